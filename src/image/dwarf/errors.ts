import { PoolproofError } from '../../base/errors.ts';

/** A section ends inside a value. */
export function truncatedDwarf(section: string, offset: number): PoolproofError {
  return new PoolproofError(
    'PP1301',
    `debug information is cut short: ${section} ends inside the value at ${hex(offset)}`,
  );
}

/** A value that the DWARF standard does not allow, or a version that is not known. */
export function invalidDwarf(section: string, offset: number, found: string): PoolproofError {
  return new PoolproofError('PP1302', `debug information is malformed: ${section} at ${hex(offset)}: ${found}`);
}

/** A reference leads outside its section, or to a section that the image does not have. */
export function danglingDwarf(section: string, offset: number): PoolproofError {
  return new PoolproofError('PP1303', `debug information is malformed: nothing in ${section} at ${hex(offset)}`);
}

/** Small tables refer to each other so often that reading them would take far more time or memory than their size. */
export function excessiveDwarf(): PoolproofError {
  return new PoolproofError('PP1304', 'debug information is malformed: it repeats itself beyond any use');
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
