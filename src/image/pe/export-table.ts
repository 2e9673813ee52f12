/** Export table: IMAGE_EXPORT_DIRECTORY; "PE Format", The .edata Section. */
import type { DataDirectory } from './coff-header.ts';
import type { MappedReader } from './mapped-reader.ts';
import { hex } from './pe-errors.ts';
import type { PeExport } from './pe-image.ts';

const mostExports = 65536;

export interface ExportTable {
  readonly moduleName: string | undefined;
  readonly exports: readonly PeExport[];
}

/** Throws PP1005. */
export function readExports(reader: MappedReader, directory: DataDirectory): ExportTable {
  if (directory.rva === 0) return { moduleName: undefined, exports: [] };
  const at = directory.rva;
  reader.need(at, 40, 'the export directory');
  const nameRva = reader.u32(at + 12);
  const ordinalBase = reader.u32(at + 16);
  const functionCount = reader.u32(at + 20);
  const nameCount = reader.u32(at + 24);
  if (functionCount > mostExports || nameCount > mostExports) {
    throw reader.error(`${Math.max(functionCount, nameCount)} exports`, `at most ${mostExports}`);
  }
  const names = readNames(reader, at, nameCount, functionCount);
  const functionsRva = reader.u32(at + 28);
  const exports: PeExport[] = [];
  for (let index = 0; index < functionCount; index++) {
    const rva = reader.u32(functionsRva + index * 4);
    if (rva === 0) continue;
    const isForwarded = rva >= directory.rva && rva < directory.rva + directory.sizeBytes;
    const forwarder = isForwarded ? reader.name(rva, 'a forwarder') : undefined;
    reader.need(rva, 1, `export ${ordinalBase + index}`);
    for (const name of names.get(index) ?? [undefined]) {
      exports.push({ name, ordinal: ordinalBase + index, rva, forwarder });
    }
  }
  return { moduleName: nameRva === 0 ? undefined : reader.name(nameRva, 'the module name'), exports };
}

function readNames(reader: MappedReader, at: number, count: number, functionCount: number): Map<number, string[]> {
  const namesRva = reader.u32(at + 32);
  const ordinalsRva = reader.u32(at + 36);
  const names = new Map<number, string[]>();
  for (let index = 0; index < count; index++) {
    const name = reader.name(reader.u32(namesRva + index * 4), 'an exported name');
    const functionIndex = reader.u16(ordinalsRva + index * 2);
    if (functionIndex >= functionCount) {
      throw reader.error(`name ${name} with function index ${hex(functionIndex)}`, `one below ${hex(functionCount)}`);
    }
    const known = names.get(functionIndex);
    if (known === undefined) names.set(functionIndex, [name]);
    else known.push(name);
  }
  return names;
}
