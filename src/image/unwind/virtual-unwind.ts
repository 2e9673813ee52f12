/** One step up the stack, as RtlVirtualUnwind (winnt.h) takes it. */
import { type Va, vaFromU64, vaToU64 } from '../../base/va.ts';
import type { PeImage, RuntimeFunction } from '../pe/pe-image.ts';
import { type EpilogRest, epilogAt } from './epilog.ts';
import { endlessChain, longestChain } from './function-lookup.ts';
import { isFrameEstablished, readUnwindInfo, type UnwindInfo, type UnwindOperation } from './unwind-info.ts';

export interface UnwindContext {
  readonly rip: bigint;
  /** 16 registers in encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15. */
  readonly gpr: BigUint64Array;
  /** xmm0 to xmm15, low half first: 32 values. */
  readonly xmm: BigUint64Array;
}

export interface UnwindMemory {
  /** Undefined if the address can't be read (a non-canonical one among them). */
  readU64(va: Va): bigint | undefined;
}

export interface UnwindHandler {
  readonly rva: number;
  readonly dataRva: number;
}

export type UnwindResult =
  | {
      readonly kind: 'unwound';
      /** The caller's. */
      readonly context: UnwindContext;
      readonly establisherFrame: bigint;
      /** Set if a handler of the wanted type guards the body that control left. */
      readonly handler: UnwindHandler | undefined;
    }
  /** The stack is not where the unwind data say. */
  | { readonly kind: 'unreadable'; readonly va: Va };

export interface UnwindRequest {
  readonly pe: PeImage;
  readonly imageBase: Va;
  /** From {@link lookupFunctionEntry} for `context.rip`; undefined for a leaf function. */
  readonly entry: RuntimeFunction | undefined;
  readonly context: UnwindContext;
  readonly memory: UnwindMemory;
  /** UNW_FLAG_NHANDLER, UNW_FLAG_EHANDLER, UNW_FLAG_UHANDLER. */
  readonly handlerType: 'none' | 'exception' | 'unwind';
}

const rsp = 4;

/** Does not change what it is given. Throws PP1007 for unwind data that can't be decoded. */
export function virtualUnwind(request: UnwindRequest): UnwindResult {
  const { pe, entry, context } = request;
  const frame = new Frame(context, request.memory);
  if (entry === undefined) {
    const establisherFrame = frame.rsp;
    frame.return();
    return frame.result(establisherFrame, undefined);
  }
  const rva = Number(BigInt.asUintN(32, context.rip - vaToU64(request.imageBase)));
  const info = readUnwindInfo(pe, entry.unwindInfoRva);
  const establisherFrame = findEstablisherFrame(info, (rva - entry.beginRva) >>> 0, frame);
  const epilog = epilogAt(pe, entry, info, rva);
  if (epilog !== undefined) {
    finishEpilog(epilog, frame);
    return frame.result(establisherFrame, undefined);
  }
  const primary = undoProlog(pe, entry, rva, establisherFrame, frame);
  return frame.result(establisherFrame, findHandler(pe, primary, rva, request.handlerType));
}

/** The registers on their way to the caller's. After a failed read nothing that follows counts. */
class Frame {
  rip: bigint;
  readonly gpr: BigUint64Array;
  readonly xmm: BigUint64Array;
  readonly #memory: UnwindMemory;
  #unreadable: Va | undefined;

  constructor(context: UnwindContext, memory: UnwindMemory) {
    this.rip = context.rip;
    this.gpr = context.gpr.slice();
    this.xmm = context.xmm.slice();
    this.#memory = memory;
  }

  get rsp(): bigint {
    return this.gpr[rsp] ?? 0n;
  }

  set rsp(value: bigint) {
    this.gpr[rsp] = value;
  }

  read(address: bigint): bigint {
    if (this.#unreadable !== undefined) return 0n;
    const va = vaFromU64(address);
    const value = Number.isNaN(va) ? undefined : this.#memory.readU64(va);
    if (value === undefined) this.#unreadable = va;
    return value ?? 0n;
  }

  pop(register: number): void {
    this.gpr[register] = this.read(this.rsp);
    this.rsp += 8n;
  }

  return(): void {
    this.rip = this.read(this.rsp);
    this.rsp += 8n;
  }

  /** The processor's interrupt frame: [error code,] rip, cs, rflags, rsp, ss. */
  leaveMachineFrame(hasErrorCode: boolean): void {
    const at = this.rsp + (hasErrorCode ? 8n : 0n);
    this.rip = this.read(at);
    this.rsp = this.read(at + 24n);
  }

  result(establisherFrame: bigint, handler: UnwindHandler | undefined): UnwindResult {
    if (this.#unreadable !== undefined) return { kind: 'unreadable', va: this.#unreadable };
    const context = { rip: this.rip, gpr: this.gpr, xmm: this.xmm };
    return { kind: 'unwound', context, establisherFrame: BigInt.asUintN(64, establisherFrame), handler };
  }
}

function findEstablisherFrame(info: UnwindInfo, prologOffset: number, frame: Frame): bigint {
  if (info.frameRegister === undefined || !isFrameEstablished(info, prologOffset)) return frame.rsp;
  return frameBase(info, info.frameRegister, frame);
}

function frameBase(info: UnwindInfo, frameRegister: number, frame: Frame): bigint {
  return BigInt.asUintN(64, (frame.gpr[frameRegister] ?? 0n) - BigInt(info.frameOffsetBytes));
}

function finishEpilog(epilog: EpilogRest, frame: Frame): void {
  frame.rsp = (frame.gpr[epilog.baseRegister] ?? 0n) + BigInt(epilog.displacementBytes);
  for (const register of epilog.pops) {
    if (register === undefined) frame.rsp += 8n;
    else frame.pop(register);
  }
  if (epilog.endsInMachineFrame) frame.leaveMachineFrame(false);
  else frame.return();
}

/** Undoes what ran of the prolog, part by part; returns the primary part. */
function undoProlog(
  pe: PeImage,
  entry: RuntimeFunction,
  rva: number,
  establisherFrame: bigint,
  frame: Frame,
): RuntimeFunction {
  let part = entry;
  for (let length = 0; length <= longestChain; length++) {
    const info = readUnwindInfo(pe, part.unwindInfoRva);
    const prologOffset = (rva - part.beginRva) >>> 0;
    let hasMachineFrame = false;
    for (const operation of info.operations) {
      if (prologOffset < operation.codeOffset) continue;
      undo(operation, info, establisherFrame, frame);
      hasMachineFrame ||= operation.kind === 'machine-frame';
    }
    if (info.chained === undefined) {
      if (!hasMachineFrame) frame.return();
      return part;
    }
    part = info.chained;
  }
  throw endlessChain(pe, entry);
}

function undo(operation: UnwindOperation, info: UnwindInfo, establisherFrame: bigint, frame: Frame): void {
  switch (operation.kind) {
    case 'push':
      frame.pop(operation.register);
      break;
    case 'allocate':
      frame.rsp += BigInt(operation.sizeBytes);
      break;
    case 'set-frame':
      frame.rsp = frameBase(info, info.frameRegister ?? rsp, frame);
      break;
    case 'save':
      frame.gpr[operation.register] = frame.read(establisherFrame + BigInt(operation.offsetBytes));
      break;
    case 'save-xmm': {
      const at = establisherFrame + BigInt(operation.offsetBytes);
      frame.xmm[operation.register * 2] = frame.read(at);
      frame.xmm[operation.register * 2 + 1] = frame.read(at + 8n);
      break;
    }
    case 'machine-frame':
      frame.leaveMachineFrame(operation.hasErrorCode);
      break;
  }
}

/** Handlers guard the body only, not the prolog. */
function findHandler(
  pe: PeImage,
  primary: RuntimeFunction,
  rva: number,
  type: UnwindRequest['handlerType'],
): UnwindHandler | undefined {
  const info = readUnwindInfo(pe, primary.unwindInfoRva);
  const hasIt = (type === 'exception' && info.hasExceptionHandler) || (type === 'unwind' && info.hasUnwindHandler);
  if (!hasIt || info.handlerRva === undefined || info.handlerDataRva === undefined) return undefined;
  if ((rva - primary.beginRva) >>> 0 < info.prologSizeBytes) return undefined;
  return { rva: info.handlerRva, dataRva: info.handlerDataRva };
}
