import { readData, readPublic, type SymbolRecord, symbolKind, symbolRecordAt } from './codeview-symbols.ts';
import type { SectionMap } from './section-map.ts';
import type { StreamView } from './stream-view.ts';

const hashSignature = 0xffffffff;
const hashVersion = 0xeffe0000 + 19990810;
const publicsHeaderSize = 28;

export interface PublicSymbol {
  /** As the linker knows it, with C++ decoration. */
  readonly name: string;
  readonly rva: number;
  readonly isCode: boolean;
}

/**
 * What the linker exported to all modules. Only records that the publics' address map names count: an incremental
 * link leaves dead ones behind. Source: https://llvm.org/docs/PDB/PublicStream.html; microsoft-pdb, PDB/dbi/gsi.h.
 * @returns ascending by RVA
 */
export function readPublics(publics: StreamView, records: StreamView, sections: SectionMap): PublicSymbol[] {
  if (publics.length === 0) return [];
  const addressMap = publics.part(publicsHeaderSize + publics.u32(0), publics.u32(4));
  const found: PublicSymbol[] = [];
  const budget = new RecordBudget(records);
  for (let at = 0; at + 4 <= addressMap.length; at += 4) {
    const record = budget.take(addressMap.u32(at));
    if (record.kind !== symbolKind.public32) continue;
    const { name, section, offset, isCode } = readPublic(records, record);
    const rva = sections.rva(section, offset);
    if (rva !== undefined) found.push({ name, rva, isCode });
  }
  return found.sort((a, b) => a.rva - b.rva);
}

/** RVA of the jump table of an incremental link. */
export function readThunkTableRva(publics: StreamView, sections: SectionMap): number | undefined {
  if (publics.length === 0 || publics.u32(8) === 0) return undefined;
  return sections.rva(publics.u16(16), publics.u32(20));
}

/** Global and file-static variables. Source: https://llvm.org/docs/PDB/GlobalStream.html. */
export function readGlobalData(
  globals: StreamView,
  records: StreamView,
  sections: SectionMap,
): { name: string; rva: number }[] {
  const found: { name: string; rva: number }[] = [];
  if (globals.length === 0) return found;
  // Before Visual C++ 7 the table had no signature; nothing that old is for x64.
  if (globals.u32(0) !== hashSignature || globals.u32(4) !== hashVersion) {
    throw globals.damaged(`hash table version 0x${globals.u32(4).toString(16)}`, `0x${hashVersion.toString(16)}`);
  }
  const hashRecords = globals.part(16, globals.u32(8));
  const budget = new RecordBudget(records);
  for (let at = 0; at + 8 <= hashRecords.length; at += 8) {
    // Offsets are stored plus one.
    const record = budget.take(hashRecords.u32(at) - 1);
    if (record.kind !== symbolKind.globalData32 && record.kind !== symbolKind.localData32) continue;
    const { name, section, offset } = readData(records, record);
    const rva = sections.rva(section, offset);
    if (rva !== undefined) found.push({ name, rva });
  }
  return found;
}

/** Each record is listed once, so together they are no longer than their stream: else a small file costs hours. */
class RecordBudget {
  readonly #records: StreamView;
  #bytesLeft: number;

  constructor(records: StreamView) {
    this.#records = records;
    this.#bytesLeft = records.length;
  }

  take(at: number): SymbolRecord {
    const record = symbolRecordAt(this.#records, at, this.#records.length);
    this.#bytesLeft -= record.end - record.at;
    if (this.#bytesLeft < 0) throw this.#records.damaged('records listed more than once', 'each once');
    return record;
  }
}
