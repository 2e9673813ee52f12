/** What a user can get wrong on the command line: one line each. */
import { PoolproofError } from '../base/errors.ts';

/** PP6001: a file that can't be read or written. */
export function fileError(path: string, problem: string, cause?: unknown): PoolproofError {
  return new PoolproofError('PP6001', `${path}: ${problem}`, { cause });
}

/** PP6002: an option's value. */
export function optionError(option: string, value: string, expected: string): PoolproofError {
  return new PoolproofError('PP6002', `${option} ${value}: expected ${expected}`);
}

/** The words for what the operating system refused. */
export function systemProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT':
      return 'no such file';
    case 'ENOTDIR':
      return 'no such file: a part of the path is no directory';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'is a directory';
    case 'ENAMETOOLONG':
      return 'the name is too long';
    case 'ELOOP':
      return 'too many symbolic links';
    case 'ENOSPC':
      return 'no space left';
    default:
      return code || (error instanceof Error ? error.message : String(error));
  }
}
