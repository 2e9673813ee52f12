import { PoolproofError } from '../../base/errors.ts';
import { oneLine } from '../pe/pe-errors.ts';

/** PP1201: the file is not a PDB at all. */
export function notAPdb(fileName: string, found: string): PoolproofError {
  return new PoolproofError(
    'PP1201',
    `${oneLine(fileName)}: not a PDB file: found ${found}, expected "Microsoft C/C++ MSF 7.00"`,
  );
}

/** PP1202: a PDB of a kind that is not read. */
export function unsupportedPdb(fileName: string, found: string, expected: string): PoolproofError {
  return new PoolproofError('PP1202', `${oneLine(fileName)}: PDB not supported: found ${found}, expected ${expected}`);
}

/** PP1203: a PDB that contradicts itself. `where` names the stream or record. */
export function damagedPdb(fileName: string, where: string, found: string, expected: string): PoolproofError {
  return new PoolproofError(
    'PP1203',
    `${oneLine(fileName)}: damaged PDB: ${oneLine(where)}: found ${found}, expected ${expected}`,
  );
}
