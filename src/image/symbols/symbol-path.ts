/**
 * Symbol paths as WinDbg writes them ("Advanced SYMSRV Use", "Symbol path for Windows debuggers" of the debugger docs):
 * elements separated by semicolons; `srv*CACHE*STORE`, `symsrv*symsrv.dll*…`, `cache*DIR`, or a directory or file.
 */

export type SymbolPlace =
  /** A file, or a directory with files or with the folders of a store. */
  | { readonly kind: 'local'; readonly path: string }
  /** Stores in the order in which they are asked; what a later one has is kept in the earlier ones. */
  | { readonly kind: 'store'; readonly folders: readonly string[]; readonly servers: readonly string[] }
  /** Where all that comes from a server of a later element is kept. */
  | { readonly kind: 'cache'; readonly path: string };

/** The elements of a symbol path, in their order. Elements that name nothing are left out. */
export function parseSymbolPath(text: string): SymbolPlace[] {
  return text.split(';').flatMap((element): SymbolPlace[] => {
    const [keyword = '', ...parts] = element.split('*').map((part) => part.trim());
    if (parts.length === 0) return keyword === '' ? [] : [{ kind: 'local', path: keyword }];
    switch (keyword.toLowerCase()) {
      case 'cache':
        return parts.filter((part) => part !== '').map((path) => ({ kind: 'cache', path }));
      case 'srv':
        return store(parts);
      case 'symsrv':
        // The first part is the library that would do it.
        return store(parts.slice(1));
      default:
        // A star is a character like any other where file names may have it.
        return [{ kind: 'local', path: element.trim() }];
    }
  });
}

function store(parts: readonly string[]): SymbolPlace[] {
  const named = parts.filter((part) => part !== '');
  const isServer = (part: string): boolean => /^https?:\/\//i.test(part);
  const folders = named.filter((part) => !isServer(part));
  const servers = named.filter(isServer).map((url) => url.replace(/\/+$/, ''));
  return named.length === 0 ? [] : [{ kind: 'store', folders, servers }];
}

/** Where a store keeps a file: `name/GUIDage/name`, in two-tier stores below a folder of the name's first two letters. */
export function storeFolders(name: string, identity: string): readonly (readonly string[])[] {
  return [
    [name, identity],
    [name.slice(0, 2), name, identity],
  ];
}

/** The folder of a build in a symbol store: GUID digits, then the age in hexadecimal. */
export function storeIdentity({ guid, age }: { readonly guid: string; readonly age: number }): string {
  return `${guid.replaceAll(/[{}-]/g, '')}${age.toString(16)}`.toUpperCase();
}

/** A store's name for a compressed file: the last letter is an underscore. */
export function compressedName(name: string): string {
  return `${name.slice(0, -1)}_`;
}
