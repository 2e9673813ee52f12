/** Joins the parts of a source path as the compiler recorded them; a part that is absolute drops those before it. */
export function joinPath(...parts: readonly string[]): string {
  let path = '';
  for (const part of parts) {
    if (part === '') continue;
    if (path === '' || isAbsolutePath(part)) path = part;
    else path = /[\\/]$/.test(path) ? path + part : path + separatorOf(path) + part;
  }
  return path;
}

/** On either system: a driver may be built on Linux or on Windows, whatever system reads it. */
function isAbsolutePath(path: string): boolean {
  return /^(?:[\\/]|[A-Za-z]:[\\/])/.test(path);
}

function separatorOf(path: string): string {
  return path.includes('\\') && !path.includes('/') ? '\\' : '/';
}
