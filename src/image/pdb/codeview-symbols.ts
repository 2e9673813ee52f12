import type { StreamView } from './stream-view.ts';

/** Symbol record kinds that are read. Source: cvinfo.h, SYM_ENUM_e. */
export const symbolKind = {
  end: 0x0006,
  thunk32: 0x1102,
  block32: 0x1103,
  with32: 0x1104,
  label32: 0x1105,
  localData32: 0x110c,
  globalData32: 0x110d,
  public32: 0x110e,
  localProc32: 0x110f,
  globalProc32: 0x1110,
  procedureReference: 0x1125,
  localProcedureReference: 0x1127,
  globalManagedProc: 0x112a,
  localManagedProc: 0x112b,
  trampoline: 0x112c,
  separatedCode: 0x1132,
  localProc32Id: 0x1146,
  globalProc32Id: 0x1147,
  inlineSite: 0x114d,
  inlineSiteEnd: 0x114e,
  procIdEnd: 0x114f,
  localProc32Dpc: 0x1155,
  localProc32DpcId: 0x1156,
  inlineSite2: 0x115d,
} as const;

/** Where one symbol record stands: offsets in its stream. */
export interface SymbolRecord {
  readonly kind: number;
  readonly at: number;
  /** Of the contents, after length and kind. */
  readonly dataAt: number;
  readonly end: number;
}

/** Reads the record at `at`. Throws PP1203 if it does not fit before `limit`. */
export function symbolRecordAt(stream: StreamView, at: number, limit: number): SymbolRecord {
  const size = stream.u16(at);
  const end = at + 2 + size;
  if (size < 2 || end > limit) {
    throw stream.damaged(`a symbol record of ${size} bytes at offset ${at}`, `2 to ${limit - at - 2} bytes`);
  }
  return { kind: stream.u16(at + 2), at, dataAt: at + 4, end };
}

/** A name at a place: what procedures, data, labels, thunks and publics have in common. */
export interface PlacedName {
  readonly name: string;
  /** From 1; 0 or beyond the last section if the symbol has no place in the image. */
  readonly section: number;
  readonly offset: number;
}

export interface ProcedureRecord extends PlacedName {
  readonly sizeBytes: number;
}

export function isProcedure(kind: number): boolean {
  switch (kind) {
    case symbolKind.localProc32:
    case symbolKind.globalProc32:
    case symbolKind.localProc32Id:
    case symbolKind.globalProc32Id:
    case symbolKind.localProc32Dpc:
    case symbolKind.localProc32DpcId:
      return true;
    default:
      return false;
  }
}

/** Whether the record opens a scope that an end record closes. */
export function opensScope(kind: number): boolean {
  switch (kind) {
    case symbolKind.thunk32:
    case symbolKind.block32:
    case symbolKind.with32:
    case symbolKind.separatedCode:
    case symbolKind.inlineSite:
    case symbolKind.inlineSite2:
    case symbolKind.globalManagedProc:
    case symbolKind.localManagedProc:
      return true;
    default:
      return isProcedure(kind);
  }
}

export function closesScope(kind: number): boolean {
  return kind === symbolKind.end || kind === symbolKind.procIdEnd || kind === symbolKind.inlineSiteEnd;
}

/** PROCSYM32. */
export function readProcedure(stream: StreamView, { dataAt, end }: SymbolRecord): ProcedureRecord {
  return {
    name: stream.text(dataAt + 35, end),
    section: stream.u16(dataAt + 32),
    offset: stream.u32(dataAt + 28),
    sizeBytes: stream.u32(dataAt + 12),
  };
}

/** THUNKSYM32. */
export function readThunk(stream: StreamView, { dataAt, end }: SymbolRecord): ProcedureRecord {
  return {
    name: stream.text(dataAt + 21, end),
    section: stream.u16(dataAt + 16),
    offset: stream.u32(dataAt + 12),
    sizeBytes: stream.u16(dataAt + 18),
  };
}

/** LABELSYM32. */
export function readLabel(stream: StreamView, { dataAt, end }: SymbolRecord): PlacedName {
  return { name: stream.text(dataAt + 7, end), section: stream.u16(dataAt + 4), offset: stream.u32(dataAt) };
}

/** DATASYM32. */
export function readData(stream: StreamView, { dataAt, end }: SymbolRecord): PlacedName {
  return { name: stream.text(dataAt + 10, end), section: stream.u16(dataAt + 8), offset: stream.u32(dataAt + 4) };
}

export interface PublicRecord extends PlacedName {
  readonly isCode: boolean;
}

/** PUBSYM32; flag 1 is code, 2 function. */
export function readPublic(stream: StreamView, { dataAt, end }: SymbolRecord): PublicRecord {
  return {
    name: stream.text(dataAt + 10, end),
    section: stream.u16(dataAt + 8),
    offset: stream.u32(dataAt + 4),
    isCode: (stream.u32(dataAt) & 3) !== 0,
  };
}

export interface TrampolineRecord {
  readonly sizeBytes: number;
  readonly section: number;
  readonly offset: number;
  readonly targetSection: number;
  readonly targetOffset: number;
}

/** TRAMPOLINESYM: a jump that an incremental link put before a function. */
export function readTrampoline(stream: StreamView, { dataAt }: SymbolRecord): TrampolineRecord {
  return {
    sizeBytes: stream.u16(dataAt + 2),
    offset: stream.u32(dataAt + 4),
    targetOffset: stream.u32(dataAt + 8),
    section: stream.u16(dataAt + 12),
    targetSection: stream.u16(dataAt + 14),
  };
}

export interface SeparatedCodeRecord {
  readonly sizeBytes: number;
  readonly section: number;
  readonly offset: number;
  /** Start of the scope that it was split from: a procedure, block or other separated code. */
  readonly parentSection: number;
  readonly parentOffset: number;
}

/** SEPCODESYM. */
export function readSeparatedCode(stream: StreamView, { dataAt }: SymbolRecord): SeparatedCodeRecord {
  return {
    sizeBytes: stream.u32(dataAt + 8),
    offset: stream.u32(dataAt + 16),
    parentOffset: stream.u32(dataAt + 20),
    section: stream.u16(dataAt + 24),
    parentSection: stream.u16(dataAt + 26),
  };
}
