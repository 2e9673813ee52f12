/** Import tables: IMAGE_IMPORT_DESCRIPTOR and ImgDelayDescr; "PE Format", The .idata Section. */
import type { DataDirectory } from './coff-header.ts';
import type { MappedReader } from './mapped-reader.ts';
import { hex } from './pe-errors.ts';
import type { PeImport, PeImportedModule } from './pe-image.ts';

const mostModules = 1024;
const mostImports = 65536;

const ordinalFlag = 1n << 63n;

/** Throws PP1005. */
export function readImports(reader: MappedReader, directory: DataDirectory): PeImportedModule[] {
  if (directory.rva === 0) return [];
  const modules: PeImportedModule[] = [];
  let left = mostImports;
  for (let at = directory.rva; ; at += 20) {
    const lookupRva = reader.u32(at);
    const nameRva = reader.u32(at + 12);
    const iatRva = reader.u32(at + 16);
    if (nameRva === 0 || iatRva === 0) break;
    if (modules.length === mostModules) throw reader.error(`more than ${mostModules} modules`, 'a zero descriptor');
    const imports = readThunks(reader, lookupRva || iatRva, iatRva, left);
    left -= imports.length;
    modules.push({ module: reader.name(nameRva, 'a module name'), imports });
  }
  return modules;
}

/** Throws PP1005. `imageBase` is for descriptors of the old kind, which hold addresses instead of RVAs. */
export function readDelayImports(reader: MappedReader, directory: DataDirectory): PeImportedModule[] {
  if (directory.rva === 0) return [];
  const modules: PeImportedModule[] = [];
  let left = mostImports;
  for (let at = directory.rva; ; at += 32) {
    const attributes = reader.u32(at);
    const nameRva = reader.u32(at + 4);
    const iatRva = reader.u32(at + 12);
    const lookupRva = reader.u32(at + 16);
    if (nameRva === 0 && iatRva === 0) break;
    if ((attributes & 1) === 0) throw reader.error('a descriptor of addresses', 'RVAs (attribute bit 0 set)');
    if (modules.length === mostModules) throw reader.error(`more than ${mostModules} modules`, 'a zero descriptor');
    const imports = readThunks(reader, lookupRva, iatRva, left);
    left -= imports.length;
    modules.push({ module: reader.name(nameRva, 'a module name'), imports });
  }
  return modules;
}

function readThunks(reader: MappedReader, lookupRva: number, iatRva: number, most: number): PeImport[] {
  const imports: PeImport[] = [];
  for (let index = 0; ; index++) {
    const thunk = reader.u64(lookupRva + index * 8);
    const slot = iatRva + index * 8;
    if (thunk === 0n) return imports;
    if (index === most) throw reader.error(`more than ${mostImports} imports`, 'a zero entry at the end of a table');
    reader.need(slot, 8, 'an import address table entry');
    if ((thunk & ordinalFlag) !== 0n) {
      imports.push({ name: undefined, ordinal: Number(thunk & 0xffffn), iatRva: slot });
      continue;
    }
    if (thunk > 0x7fff_ffffn) {
      throw reader.error(`import lookup entry 0x${thunk.toString(16)}`, 'an ordinal or the RVA of a name');
    }
    const name = reader.name(Number(thunk) + 2, 'an imported name');
    if (name === '') throw reader.error(`an empty name at RVA ${hex(Number(thunk))}`, 'a name to import');
    imports.push({ name, ordinal: undefined, iatRva: slot });
  }
}
