/** Reading what the user named: driver files, and the symbol files that belong to them. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { PeImage } from '../image/pe/index.ts';
import type { SymbolCandidate } from '../image/symbols/index.ts';
import { fileError, systemProblem } from './errors.ts';

const mebibyte = 1024 * 1024;
/** The largest drivers that ship (graphics) are larger, but nothing that runs here is. */
export const mostDriverBytes = 64 * mebibyte;
const mostSymbolBytes = 512 * mebibyte;

/** The bytes of a regular file. Throws PP6001, also for what would block or never end: directories, pipes, devices. */
export function readInputFile(path: string, mostBytes = mostDriverBytes): Uint8Array {
  try {
    // Before opening: opening a pipe waits for its writer.
    const found = statSync(path);
    if (found.isDirectory()) throw fileError(path, 'is a directory, expected a file');
    if (!found.isFile()) throw fileError(path, 'is no regular file');
    if (found.size > mostBytes) throw fileError(path, `${found.size} bytes, expected at most ${mostBytes}`);
    return readUpTo(path, mostBytes);
  } catch (error) {
    throw error instanceof Error && 'code' in error && error.name !== 'PoolproofError'
      ? fileError(path, systemProblem(error), error)
      : error;
  }
}

/** The file may grow while it is read. */
function readUpTo(path: string, mostBytes: number): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(Math.min(mostBytes, fstatSync(file).size));
    let length = 0;
    while (length < bytes.length) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/**
 * Files that may hold the image's symbols: beside it, then in the order of `symbolPaths`: files as they are, directories
 * by the PDB's name and as a symbol store (`name/GUIDage/name`). Throws PP6001 for a path that is not there.
 */
export function findSymbolFiles(
  imagePath: string,
  pe: PeImage,
  symbolPaths: readonly string[],
  warn: (text: string) => void,
): SymbolCandidate[] {
  const recorded = pe.codeView?.pdbPath.split(/[\\/]/).at(-1) ?? '';
  const own = basename(imagePath).replace(/\.[^.]*$/, '.pdb');
  const names = [...new Set([recorded, own].filter((name) => /[^.\s]/.test(name)).map((name) => name.toLowerCase()))];
  const identity = pe.codeView === undefined ? '' : storeIdentity(pe.codeView);
  const found = new Map<string, SymbolCandidate>();
  const add = (path: string, isNamed: boolean): void => {
    if (found.has(path)) return;
    try {
      found.set(path, { name: path, bytes: readInputFile(path, mostSymbolBytes) });
    } catch (error) {
      if (isNamed || !(error instanceof Error)) throw error;
      warn(error.message);
    }
  };
  const addFrom = (directory: string): void => {
    for (const entry of namesIn(directory)) {
      if (!names.includes(entry.toLowerCase())) continue;
      const path = join(directory, entry);
      if (!isDirectory(path)) add(path, false);
      else if (identity !== '') {
        for (const key of namesIn(path).filter((name) => name.toLowerCase() === identity)) {
          for (const file of namesIn(join(path, key))) {
            if (names.includes(file.toLowerCase())) add(join(path, key, file), false);
          }
        }
      }
    }
  };
  addFrom(dirname(imagePath));
  for (const path of symbolPaths) {
    if (isDirectory(path)) addFrom(path);
    else add(path, true);
  }
  return [...found.values()];
}

/** The folder of a build in a symbol store: GUID digits, then the age in hexadecimal. */
function storeIdentity({ guid, age }: NonNullable<PeImage['codeView']>): string {
  return `${guid.replaceAll('-', '')}${age.toString(16)}`.toLowerCase();
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    // A directory that can't be listed holds nothing for us; the image itself was read by its path.
    return [];
  }
}

/** The version of this installation: the nearest package.json above. */
export function installedVersion(start: string): string {
  for (let directory = start; ; directory = dirname(directory)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
        name?: unknown;
        version?: unknown;
      };
      if (name === 'poolproof' && typeof version === 'string') return version;
    } catch {
      // Not here: look further up.
    }
    if (dirname(directory) === directory) return 'unknown';
  }
}
