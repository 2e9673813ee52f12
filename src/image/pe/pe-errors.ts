/** Errors of the PE loader, one factory per code. Each text is one line: file, what is wrong, what was expected. */
import { PoolproofError } from '../../base/errors.ts';

/** PP1001: not the kind of file that a driver is. */
export function notADriverFile(fileName: string, found: string): PoolproofError {
  return new PoolproofError('PP1001', `${oneLine(fileName)}: ${found}, expected an x64 Windows driver (PE32+, .sys)`);
}

/** PP1002: a PE image for another processor, in another format or of another kind. */
export function wrongKindOfImage(fileName: string, found: string, expected: string): PoolproofError {
  return new PoolproofError('PP1002', `${oneLine(fileName)}: ${found}, expected ${expected}`);
}

/** PP1003: the file ends before something that its headers promise. */
export function truncated(fileName: string, what: string, neededBytes: number, fileBytes: number): PoolproofError {
  return new PoolproofError(
    'PP1003',
    `${oneLine(fileName)}: truncated: ${what} ends at file offset ${hex(neededBytes)}, expected within the file's ${hex(fileBytes)} bytes`,
  );
}

/** PP1004: headers or section table that the Windows loader would not take. */
export function malformedHeaders(fileName: string, found: string, expected: string): PoolproofError {
  return new PoolproofError('PP1004', `${oneLine(fileName)}: malformed headers: ${found}, expected ${expected}`);
}

/** PP1005: a data directory, or a table that it leads to, that can't be read as what it should be. */
export function malformedDirectory(
  fileName: string,
  directory: string,
  found: string,
  expected: string,
): PoolproofError {
  return new PoolproofError(
    'PP1005',
    `${oneLine(fileName)}: malformed ${directory}: ${oneLine(found)}, expected ${expected}`,
  );
}

/** PP1006: the image can't be moved to the requested address. */
export function cannotRelocate(fileName: string, found: string, expected: string): PoolproofError {
  return new PoolproofError('PP1006', `${oneLine(fileName)}: can't be relocated: ${found}, expected ${expected}`);
}

/** PP1007: unwind data that can't be decoded. */
export function malformedUnwindData(fileName: string, rva: number, found: string, expected: string): PoolproofError {
  return new PoolproofError(
    'PP1007',
    `${oneLine(fileName)}: malformed unwind data at RVA ${hex(rva)}: ${found}, expected ${expected}`,
  );
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Names come from the file: control characters would break the one-line promise (and terminals). */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
