/**
 * Decodes UNWIND_INFO: "x64 exception handling", struct UNWIND_INFO (Microsoft Learn), and for version 2 the EPILOG codes
 * as `llvm/Support/Win64EH.h` and the .NET runtime's unwinder describe them.
 */
import { hex, malformedUnwindData } from '../pe/pe-errors.ts';
import type { PeImage, RuntimeFunction } from '../pe/pe-image.ts';

/** Register numbers are those of the instruction encoding: 0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8 r8 … */
export type UnwindOperation = { readonly codeOffset: number } & (
  | { readonly kind: 'push'; readonly register: number }
  | { readonly kind: 'allocate'; readonly sizeBytes: number }
  | { readonly kind: 'set-frame' }
  /** `offsetBytes` counts from the establisher frame. */
  | { readonly kind: 'save'; readonly register: number; readonly offsetBytes: number }
  | { readonly kind: 'save-xmm'; readonly register: number; readonly offsetBytes: number }
  | { readonly kind: 'machine-frame'; readonly hasErrorCode: boolean }
);

/** Version 2: where the epilogs are. Each begins after the stack was cut back and ends with the jump or return. */
export interface UnwindEpilogs {
  readonly sizeBytes: number;
  /** Of each epilog's start, counted back from the function's end. */
  readonly offsetsFromEnd: readonly number[];
}

export interface UnwindInfo {
  readonly rva: number;
  readonly version: 1 | 2;
  readonly prologSizeBytes: number;
  readonly frameRegister: number | undefined;
  /** The frame register is the establisher frame plus this. */
  readonly frameOffsetBytes: number;
  /** As recorded: the last operation of the prolog first. */
  readonly operations: readonly UnwindOperation[];
  /** Undefined in version 1, whose epilogs are recognised by their instructions. */
  readonly epilogs: UnwindEpilogs | undefined;
  readonly hasExceptionHandler: boolean;
  readonly hasUnwindHandler: boolean;
  readonly handlerRva: number | undefined;
  /** Start of the handler's own data (scope table …). */
  readonly handlerDataRva: number | undefined;
  /** The part of the same function that was unwound before this one. */
  readonly chained: RuntimeFunction | undefined;
}

/** Whether the frame register holds the frame already, so many bytes after the start of the part that `info` describes. */
export function isFrameEstablished(info: UnwindInfo, prologOffset: number): boolean {
  if (info.frameRegister === undefined) return false;
  if (prologOffset >= info.prologSizeBytes || info.chained !== undefined) return true;
  return prologOffset >= (info.operations.find(({ kind }) => kind === 'set-frame')?.codeOffset ?? 0);
}

const flagExceptionHandler = 1;
const flagUnwindHandler = 2;
const flagChained = 4;

const decoded = new WeakMap<PeImage, Map<number, UnwindInfo>>();

/** The decoded unwind data at an RVA, remembered per image. Throws PP1007. */
export function readUnwindInfo(pe: PeImage, rva: number): UnwindInfo {
  const known = decoded.get(pe) ?? new Map<number, UnwindInfo>();
  decoded.set(pe, known);
  const info = known.get(rva) ?? decodeUnwindInfo(pe, rva);
  known.set(rva, info);
  return info;
}

function decodeUnwindInfo(pe: PeImage, rva: number): UnwindInfo {
  const bytes = pe.mapped;
  const fail = (found: string, expected: string): Error => malformedUnwindData(pe.fileName, rva, found, expected);
  const need = (at: number, size: number, what: string): number => {
    if (at < 0 || at + size > bytes.length) throw fail(`${what} outside of the image`, `below ${hex(bytes.length)}`);
    return at;
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  need(rva, 4, 'its header');
  const version = view.getUint8(rva) & 7;
  if (version !== 1 && version !== 2) throw fail(`version ${version}`, 'version 1 or 2');
  const flags = view.getUint8(rva) >>> 3;
  if ((flags & ~(flagExceptionHandler | flagUnwindHandler | flagChained)) !== 0) {
    throw fail(`flags ${hex(flags)}`, 'EHANDLER, UHANDLER or CHAININFO');
  }
  const isChained = (flags & flagChained) !== 0;
  if (isChained && flags !== flagChained) throw fail('a handler in a chained part', 'the handler in the primary part');
  const count = view.getUint8(rva + 2);
  const frame = view.getUint8(rva + 3);
  need(rva + 4, count * 2, 'its codes');
  const tail = rva + 4 + (count + (count & 1)) * 2;
  const hasHandler = (flags & (flagExceptionHandler | flagUnwindHandler)) !== 0;
  const { operations, epilogs } = decodeCodes(view, rva + 4, count, version, fail);
  if (operations.some((operation) => operation.kind === 'set-frame') && (frame & 15) === 0) {
    throw fail('SET_FPREG without a frame register', 'a frame register');
  }
  return {
    rva,
    version,
    prologSizeBytes: view.getUint8(rva + 1),
    frameRegister: (frame & 15) === 0 ? undefined : frame & 15,
    frameOffsetBytes: (frame >>> 4) * 16,
    operations,
    epilogs,
    hasExceptionHandler: (flags & flagExceptionHandler) !== 0,
    hasUnwindHandler: (flags & flagUnwindHandler) !== 0,
    handlerRva: hasHandler ? need(view.getUint32(need(tail, 4, 'its handler'), true), 1, 'its handler') : undefined,
    handlerDataRva: hasHandler ? tail + 4 : undefined,
    chained: isChained ? readChained(view, need(tail, 12, 'its chained entry'), fail) : undefined,
  };
}

function readChained(view: DataView, at: number, fail: (found: string, expected: string) => Error): RuntimeFunction {
  const entry = {
    beginRva: view.getUint32(at, true),
    endRva: view.getUint32(at + 4, true),
    unwindInfoRva: view.getUint32(at + 8, true),
  };
  if (entry.endRva <= entry.beginRva || entry.endRva > view.byteLength || (entry.unwindInfoRva & 1) !== 0) {
    throw fail(`a chain to ${hex(entry.beginRva)}..${hex(entry.endRva)}`, 'a function in the image');
  }
  return entry;
}

/** Slots of each UWOP_* code, its own included; 0 for codes that do not exist. ALLOC_LARGE has one more with info 1. */
const slotsOfCode = [1, 2, 1, 1, 2, 3, 2, 0, 2, 3, 1, 0, 0, 0, 0, 0];

const codeNames = [
  'PUSH_NONVOL',
  'ALLOC_LARGE',
  'ALLOC_SMALL',
  'SET_FPREG',
  'SAVE_NONVOL',
  'SAVE_NONVOL_FAR',
  'EPILOG',
  'SPARE_CODE',
  'SAVE_XMM128',
  'SAVE_XMM128_FAR',
  'PUSH_MACHFRAME',
];

function decodeCodes(
  view: DataView,
  start: number,
  count: number,
  version: number,
  fail: (found: string, expected: string) => Error,
): { operations: UnwindOperation[]; epilogs: UnwindEpilogs | undefined } {
  const operations: UnwindOperation[] = [];
  let index = version === 2 ? countEpilogCodes(view, start, count) : 0;
  const epilogs = version === 2 ? decodeEpilogs(view, start, index) : undefined;
  while (index < count) {
    const at = start + index * 2;
    const code = view.getUint8(at + 1) & 15;
    const info = view.getUint8(at + 1) >>> 4;
    const slots = (slotsOfCode[code] ?? 0) + (code === 1 && info === 1 ? 1 : 0);
    if (slots === 0) throw fail(`code ${codeNames[code] ?? code}`, 'a documented UWOP code');
    if (index + slots > count) throw fail(`${codeNames[code]} cut off`, `${slots} slots for it`);
    // Code 6 after the prolog's codes or in version 1 means nothing: RtlVirtualUnwind skips it.
    if (code !== 6) operations.push(decodeOperation(view, at, code, info, fail));
    index += slots;
  }
  return { operations, epilogs };
}

function decodeOperation(
  view: DataView,
  at: number,
  code: number,
  info: number,
  fail: (found: string, expected: string) => Error,
): UnwindOperation {
  const codeOffset = view.getUint8(at);
  switch (code) {
    case 0:
      return { codeOffset, kind: 'push', register: info };
    case 1:
      if (info > 1) throw fail(`ALLOC_LARGE with info ${info}`, '0 or 1');
      return {
        codeOffset,
        kind: 'allocate',
        sizeBytes: info === 0 ? view.getUint16(at + 2, true) * 8 : view.getUint32(at + 2, true),
      };
    case 2:
      return { codeOffset, kind: 'allocate', sizeBytes: info * 8 + 8 };
    case 3:
      return { codeOffset, kind: 'set-frame' };
    case 4:
      return { codeOffset, kind: 'save', register: info, offsetBytes: view.getUint16(at + 2, true) * 8 };
    case 5:
      return { codeOffset, kind: 'save', register: info, offsetBytes: view.getUint32(at + 2, true) };
    case 8:
      return { codeOffset, kind: 'save-xmm', register: info, offsetBytes: view.getUint16(at + 2, true) * 16 };
    case 9:
      return { codeOffset, kind: 'save-xmm', register: info, offsetBytes: view.getUint32(at + 2, true) };
    default:
      if (info > 1) throw fail(`PUSH_MACHFRAME with info ${info}`, '0 or 1');
      return { codeOffset, kind: 'machine-frame', hasErrorCode: info === 1 };
  }
}

function countEpilogCodes(view: DataView, start: number, count: number): number {
  let index = 0;
  while (index < count && (view.getUint8(start + index * 2 + 1) & 15) === 6) index++;
  return index;
}

/** First code: size, and whether one stands at the very end; the others: 12-bit offsets from the end, 0 for padding. */
function decodeEpilogs(view: DataView, start: number, count: number): UnwindEpilogs {
  if (count === 0) return { sizeBytes: 0, offsetsFromEnd: [] };
  const sizeBytes = view.getUint8(start);
  const offsetsFromEnd = ((view.getUint8(start + 1) >>> 4) & 1) !== 0 ? [sizeBytes] : [];
  for (let index = 1; index < count; index++) {
    const at = start + index * 2;
    const offset = view.getUint8(at) + (view.getUint8(at + 1) >>> 4) * 256;
    if (offset === 0) break;
    offsetsFromEnd.push(offset);
  }
  return { sizeBytes, offsetsFromEnd };
}
