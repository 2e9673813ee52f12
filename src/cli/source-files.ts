/** Source files that a driver's symbols name, found on this machine. */
import { dirname, isAbsolute, join } from 'node:path';
import type { SourceText } from '../run/report/source-excerpt.ts';
import { readInputFile } from './input-files.ts';

export const mostSourceBytes = 8 * 1024 * 1024;
/** A driver is untrusted, and names what it likes: nothing but source text is shown of this machine's files. */
export const sourceName = /\.(c|cc|cpp|cxx|c\+\+|h|hh|hpp|hxx|inl|inc|rs|asm|s|idl)$/i;

/**
 * Finds a file by the path that the compiler recorded: as it is, then below the folders of the drivers, then below the
 * `sourceFolders`, by as many of the path's last parts as lead to a file.
 */
export class SourceFiles {
  private readonly folders: readonly string[];
  private readonly known = new Map<string, SourceText | undefined>();

  constructor(driverPaths: readonly string[], sourceFolders: readonly string[]) {
    this.folders = [...new Set(driverPaths.map((path) => dirname(path))), ...sourceFolders];
  }

  find(file: string): SourceText | undefined {
    if (!this.known.has(file)) this.known.set(file, this.read(file));
    return this.known.get(file);
  }

  private read(file: string): SourceText | undefined {
    if (!sourceName.test(file)) return undefined;
    for (const path of this.candidates(file)) {
      const text = textOf(path);
      if (text !== undefined) return { path, text };
    }
    return undefined;
  }

  private candidates(file: string): string[] {
    const parts = file.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
    // What leads out of a folder is no place below it.
    const below = parts.slice(parts.lastIndexOf('..') + 1).filter((part) => !/^[a-z]:$/i.test(part));
    const suffixes = below.map((_, at) => join(...below.slice(at)));
    const asItIs = isAbsolute(file) || !parts.includes('..') ? [file] : [];
    return [...asItIs, ...suffixes.flatMap((suffix) => this.folders.map((folder) => join(folder, suffix)))];
  }
}

function textOf(path: string): string | undefined {
  try {
    return new TextDecoder().decode(readInputFile(path, mostSourceBytes));
  } catch {
    // Not there, or not to be read: the report goes without.
    return undefined;
  }
}
