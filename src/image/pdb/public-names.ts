/**
 * The qualified name in a C++ decorated one: `?run@Box@ns@@QEAAXXZ` is `ns::Box::run`. Names on x64 that do not start
 * with `?` are not decorated, and templates, operators and numbered scopes stay as they are written.
 */
export function undecorated(name: string): string {
  const end = name.startsWith('?') ? name.indexOf('@@') : -1;
  const qualified = name.slice(1, Math.max(end, 1));
  return /^[A-Za-z_]\w*(@[A-Za-z_]\w*)*$/.test(qualified) ? qualified.split('@').reverse().join('::') : name;
}
