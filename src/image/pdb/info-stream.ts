import type { StreamView } from './stream-view.ts';

/** PDB features are listed as a version number or as four letters. */
const featureVc140 = 20140508;
const featureVc110 = 20091201;
const featureMinimalDebugInfo = 0x494e494d;

/**
 * Stream 1: who this PDB is, and which streams have names.
 * Source: https://llvm.org/docs/PDB/PdbStream.html; microsoft-pdb, PDB/include/map.h.
 */
export interface InfoStream {
  /** 32 upper-case hexadecimal digits, as in a symbol store's folder names. */
  readonly guid: string;
  /** How often the PDB was written; see {@link DbiStream.age} for the age that images record. */
  readonly age: number;
  readonly namedStreams: ReadonlyMap<string, number>;
  /** Whether stream 4 (IPI) exists. */
  readonly hasIdStream: boolean;
  /** `/DEBUG:FASTLINK`: private symbols are in the object files, not here. */
  readonly isFastLink: boolean;
}

export function readInfoStream(stream: StreamView): InfoStream {
  const version = stream.u32(0);
  // 19990604 (VC70 beta) and later have the GUID.
  if (version < 19990604 || version > 20991231) throw stream.damaged(`version ${version}`, '20000404');
  const age = stream.u32(8);
  const guid = readGuid(stream, 12);
  const namesSize = stream.u32(28);
  const names = stream.part(32, namesSize);
  const table = readHashTable(stream, 32 + namesSize);
  const namedStreams = new Map<string, number>();
  let nameBytes = 0;
  for (const [nameOffset, index] of table.entries) {
    nameBytes += names.textEnd(nameOffset) + 1 - nameOffset;
    if (nameBytes > namesSize) throw stream.damaged('names of streams that overlap', 'each name once');
    namedStreams.set(names.text(nameOffset), index);
  }

  let hasIdStream = false;
  let isFastLink = false;
  // After the table stands one unused name index.
  for (let at = table.end + 4; at + 4 <= stream.length; at += 4) {
    const feature = stream.u32(at);
    if (feature === featureVc140 || feature === featureVc110) hasIdStream = true;
    if (feature === featureMinimalDebugInfo) isFastLink = true;
    if (feature === featureVc110) break;
  }
  return { guid, age, namedStreams, hasIdStream, isFastLink };
}

function readGuid(stream: StreamView, at: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  let text = hex(stream.u32(at), 8) + hex(stream.u16(at + 4), 4) + hex(stream.u16(at + 6), 4);
  for (let i = 8; i < 16; i++) text += hex(stream.u8(at + i), 2);
  return text.toUpperCase();
}

/** A serialized hash table of 32-bit keys and values: only its entries matter here. */
function readHashTable(stream: StreamView, start: number): { entries: [number, number][]; end: number } {
  const size = stream.u32(start);
  const capacity = stream.u32(start + 4);
  const presentWords = stream.u32(start + 8);
  const presentAt = start + 12;
  const deletedAt = presentAt + 4 * presentWords;
  let at = deletedAt + 4 + 4 * stream.u32(deletedAt);
  const entries: [number, number][] = [];
  for (let word = 0; word < presentWords; word++) {
    for (let bits = stream.u32(presentAt + 4 * word); bits !== 0; bits &= bits - 1) {
      entries.push([stream.u32(at), stream.u32(at + 4)]);
      at += 8;
    }
  }
  if (entries.length !== size || size > capacity) {
    throw stream.damaged(`a table of ${entries.length} named streams`, `${size} of at most ${capacity}`);
  }
  return { entries, end: at };
}
