/** The function table: RUNTIME_FUNCTION entries; "x64 exception handling", struct RUNTIME_FUNCTION. */
import type { DataDirectory } from './coff-header.ts';
import type { MappedReader } from './mapped-reader.ts';
import { hex } from './pe-errors.ts';
import type { RuntimeFunction } from './pe-image.ts';

/** Throws PP1005 unless the entries ascend without overlap and lie in the image with their unwind data. */
export function readFunctionTable(reader: MappedReader, directory: DataDirectory): RuntimeFunction[] {
  if (directory.rva === 0 || directory.sizeBytes === 0) return [];
  reader.need(directory.rva, directory.sizeBytes, 'the directory');
  if (directory.sizeBytes % 12 !== 0) {
    throw reader.error(`a size of ${hex(directory.sizeBytes)} bytes`, 'a multiple of 12');
  }
  const functions: RuntimeFunction[] = [];
  let lowestRva = 0;
  for (let at = directory.rva; at < directory.rva + directory.sizeBytes; at += 12) {
    const beginRva = reader.u32(at);
    const endRva = reader.u32(at + 4);
    const unwindInfoRva = reader.u32(at + 8);
    if (beginRva === 0 && endRva === 0 && unwindInfoRva === 0) break;
    if (beginRva < lowestRva || endRva <= beginRva || endRva > reader.sizeBytes) {
      throw reader.error(
        `function ${hex(beginRva)} to ${hex(endRva)} in entry ${functions.length}`,
        `a range from ${hex(lowestRva)} up, below SizeOfImage ${hex(reader.sizeBytes)}`,
      );
    }
    const isIndirect = (unwindInfoRva & 1) !== 0;
    reader.need(isIndirect ? unwindInfoRva - 1 : unwindInfoRva, isIndirect ? 12 : 4, 'unwind data');
    lowestRva = endRva;
    functions.push({ beginRva, endRva, unwindInfoRva });
  }
  return functions;
}
