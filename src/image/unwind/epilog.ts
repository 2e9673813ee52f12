/**
 * Whether control stands in an epilog, and what is left of it. Version 1 unwind data does not say where epilogs are:
 * RtlVirtualUnwind recognises their instructions ("x64 prolog and epilog", Microsoft Learn), and so must we.
 */
import type { PeImage, RuntimeFunction } from '../pe/pe-image.ts';
import { lookupFunctionEntry, primaryFunction } from './function-lookup.ts';
import { readUnwindInfo, type UnwindInfo } from './unwind-info.ts';

/** What the rest of an epilog does; then control returns through the slot that rsp points to. */
export interface EpilogRest {
  /** Register that rsp is first computed from: rsp itself (4) or the frame register. */
  readonly baseRegister: number;
  readonly displacementBytes: number;
  /** Popped, in this order; undefined where 8 bytes are dropped. */
  readonly pops: readonly (number | undefined)[];
  /** Ends in a machine frame (iretq) instead of a return address. */
  readonly endsInMachineFrame: boolean;
}

const rsp = 4;

/** The rest of the epilog that `rva` stands in; undefined outside of epilogs. Throws PP1007. */
export function epilogAt(pe: PeImage, entry: RuntimeFunction, info: UnwindInfo, rva: number): EpilogRest | undefined {
  if (info.epilogs === undefined) return epilogByInstructions(pe, entry, info, rva);
  const { sizeBytes, offsetsFromEnd } = info.epilogs;
  for (const offset of offsetsFromEnd) {
    const position = (rva - (entry.endRva - offset)) >>> 0;
    if (position < sizeBytes) return epilogByCodes(pe, info, position);
  }
  return undefined;
}

/** The epilog mirrors the pushes: those whose pop instructions lie before `position` are already undone. */
function epilogByCodes(pe: PeImage, start: UnwindInfo, position: number): EpilogRest {
  let info = start;
  let first = indexOfPush(info);
  for (let length = 0; first < 0 && info.chained !== undefined && length < 32; length++) {
    info = readUnwindInfo(pe, info.chained.unwindInfoRva);
    first = indexOfPush(info);
  }
  const pops: (number | undefined)[] = [];
  let popped = 0;
  let index = first < 0 ? info.operations.length : first;
  for (; index < info.operations.length; index++) {
    const operation = info.operations[index];
    if (operation?.kind !== 'push') break;
    if (popped >= position) pops.push(operation.register);
    popped += operation.register >= 8 ? 2 : 1;
  }
  const next = info.operations[index];
  if (next?.kind === 'allocate' && next.sizeBytes === 8) {
    if (popped >= position) pops.push(undefined);
    index++;
  }
  const endsInMachineFrame = info.operations[index]?.kind === 'machine-frame';
  return { baseRegister: rsp, displacementBytes: 0, pops, endsInMachineFrame };
}

function indexOfPush(info: UnwindInfo): number {
  return info.operations.findIndex(({ kind }) => kind === 'push' || kind === 'machine-frame');
}

function epilogByInstructions(
  pe: PeImage,
  entry: RuntimeFunction,
  info: UnwindInfo,
  rva: number,
): EpilogRest | undefined {
  const code = pe.mapped;
  const byte = (at: number): number => code[at] ?? 0;
  const cut = stackCut(code, rva, info.frameRegister);
  let at = rva + (cut?.lengthBytes ?? 0);
  const pops: number[] = [];
  for (;;) {
    if ((byte(at) & 0xf8) === 0x58) {
      pops.push(byte(at) & 7);
      at += 1;
    } else if ((byte(at) & 0xf0) === 0x40 && (byte(at + 1) & 0xf8) === 0x58) {
      pops.push(((byte(at) & 1) << 3) | (byte(at + 1) & 7));
      at += 2;
    } else break;
  }
  if (byte(at) === 0xf2) at += 1;
  if (!leavesFunction(pe, entry, info, at)) return undefined;
  return {
    baseRegister: cut?.baseRegister ?? rsp,
    displacementBytes: cut?.displacementBytes ?? 0,
    pops,
    endsInMachineFrame: false,
  };
}

/** `add rsp, imm` or `lea rsp, [frame register + disp]`. */
function stackCut(
  code: Uint8Array,
  at: number,
  frameRegister: number | undefined,
): { baseRegister: number; displacementBytes: number; lengthBytes: number } | undefined {
  const rex = code[at] ?? 0;
  const opcode = code[at + 1] ?? 0;
  const modrm = code[at + 2] ?? 0;
  const short = (baseRegister: number) => ({ baseRegister, displacementBytes: int8(code, at + 3), lengthBytes: 4 });
  const long = (baseRegister: number) => ({ baseRegister, displacementBytes: int32(code, at + 3), lengthBytes: 7 });
  if (rex === 0x48 && modrm === 0xc4 && opcode === 0x83) return short(rsp);
  if (rex === 0x48 && modrm === 0xc4 && opcode === 0x81) return long(rsp);
  if ((rex & 0xfe) !== 0x48 || opcode !== 0x8d) return undefined;
  const base = ((rex & 1) << 3) | (modrm & 7);
  if (base === 0 || base !== frameRegister) return undefined;
  if ((modrm & 0xf8) === 0x60) return short(base);
  if ((modrm & 0xf8) === 0xa0) return long(base);
  return undefined;
}

/** A return, or a jump that is a tail call. */
function leavesFunction(pe: PeImage, entry: RuntimeFunction, info: UnwindInfo, at: number): boolean {
  const code = pe.mapped;
  const first = code[at] ?? 0;
  const second = code[at + 1] ?? 0;
  if (first === 0xc3 || first === 0xc2 || (first === 0xf3 && second === 0xc3)) return true;
  if (first === 0xeb) return leavesTo(pe, entry, info, at + 2 + int8(code, at + 1));
  if (first === 0xe9) return leavesTo(pe, entry, info, at + 5 + int32(code, at + 1));
  if (first === 0xff && second === 0x25) return true;
  // A redundant REX.W marks an indirect jump as a tail call.
  return (first & 0xf8) === 0x48 && second === 0xff && ((code[at + 2] ?? 0) & 0x38) === 0x20;
}

function leavesTo(pe: PeImage, entry: RuntimeFunction, info: UnwindInfo, target: number): boolean {
  if (target >= entry.beginRva && target < entry.endRva) {
    return target === entry.beginRva && info.chained === undefined;
  }
  const other = lookupFunctionEntry(pe, target);
  if (other === undefined) return true;
  const primary = primaryFunction(pe, other);
  return primary.beginRva !== primaryFunction(pe, entry).beginRva || target === primary.beginRva;
}

function int8(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) >> 24;
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}
