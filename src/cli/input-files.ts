/** Reading the files that the user named. */
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileError, systemProblem } from './errors.ts';

const mebibyte = 1024 * 1024;
/** The largest drivers that ship (graphics) are larger, but nothing that runs here is. */
export const mostDriverBytes = 64 * mebibyte;

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
