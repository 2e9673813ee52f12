/** Base relocations: IMAGE_BASE_RELOCATION blocks; "PE Format", The .reloc Section. */
import type { DataDirectory } from './coff-header.ts';
import type { MappedReader } from './mapped-reader.ts';
import { hex } from './pe-errors.ts';
import { type PeBaseRelocations, relocationType } from './pe-image.ts';

/** IMAGE_REL_BASED_*, winnt.h, for messages. */
const typeNames: readonly string[] = [
  'ABSOLUTE',
  'HIGH',
  'LOW',
  'HIGHLOW',
  'HIGHADJ',
  'MACHINE_SPECIFIC_5',
  'RESERVED',
  'MACHINE_SPECIFIC_7',
  'MACHINE_SPECIFIC_8',
  'MACHINE_SPECIFIC_9',
  'DIR64',
];

/** Throws PP1005; for a type that x64 images don't have, by its name. */
export function readBaseRelocations(reader: MappedReader, directory: DataDirectory): PeBaseRelocations {
  if (directory.rva === 0 || directory.sizeBytes === 0) return { rvas: new Uint32Array(), types: new Uint8Array() };
  reader.need(directory.rva, directory.sizeBytes, 'the directory');
  // Counted first: the directory's size is only a claim, and what it claims is not allocated.
  let count = 0;
  forEachFixup(reader, directory, () => count++);
  const rvas = new Uint32Array(count);
  const types = new Uint8Array(count);
  let index = 0;
  forEachFixup(reader, directory, (rva, type) => {
    rvas[index] = rva;
    types[index++] = type;
  });
  return { rvas, types };
}

function forEachFixup(
  reader: MappedReader,
  directory: DataDirectory,
  visit: (rva: number, type: number) => void,
): void {
  const end = directory.rva + directory.sizeBytes;
  for (let block = directory.rva; block + 8 <= end; ) {
    const pageRva = reader.u32(block);
    const blockBytes = reader.u32(block + 4);
    if (pageRva === 0 && blockBytes === 0) return;
    if (blockBytes < 8 || block + blockBytes > end) {
      throw reader.error(`a block of ${hex(blockBytes)} bytes at RVA ${hex(block)}`, `8 to ${hex(end - block)}`);
    }
    for (let at = block + 8; at + 2 <= block + blockBytes; at += 2) {
      const entry = reader.u16(at);
      const type = entry >>> 12;
      if (type === 0) continue;
      const rva = pageRva + (entry & 0xfff);
      if (type !== relocationType.dir64 && type !== relocationType.highLow) {
        throw reader.error(
          `relocation type ${type} (${typeNames[type] ?? 'not defined'}) for RVA ${hex(rva)}`,
          'DIR64, HIGHLOW or ABSOLUTE',
        );
      }
      reader.need(rva, type === relocationType.dir64 ? 8 : 4, 'a relocated field');
      visit(rva, type);
    }
    block += blockBytes;
  }
}
