/** Whether a public is a C++ name, of Microsoft's or of the Itanium scheme (clang for MinGW). C names on x64 are bare. */
export function isDecorated(name: string): boolean {
  return name.startsWith('?') || name.startsWith('_Z');
}

/**
 * The qualified name in a C++ decorated one: `?run@Box@ns@@QEAAXXZ` is `ns::Box::run`. Templates, operators and numbered
 * scopes stay as they are written, and so does every C name: on x64 a leading underscore is the programmer's own.
 */
export function undecorated(name: string): string {
  const end = name.startsWith('?') ? name.indexOf('@@') : -1;
  const qualified = name.slice(1, Math.max(end, 1));
  return /^[A-Za-z_]\w*(@[A-Za-z_]\w*)*$/.test(qualified) ? qualified.split('@').reverse().join('::') : name;
}
