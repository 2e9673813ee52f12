/** CONTEXT records: the processor's state in guest memory, and back. */
import { type Va, vaAdd, vaFromU64, vaToU64 } from '../../base/va.ts';
import { Gpr, StateOffset } from '../../engine/cpu/state.ts';
import { cpuStateOffset } from '../../engine/memory/layout.ts';
import type { UnwindContext } from '../../image/unwind/index.ts';
import type { Nt } from '../nt.ts';
import { CONTEXT, KTRAP_FRAME } from '../structures/exception.ts';

/** CONTEXT_AMD64 with CONTROL, INTEGER, SEGMENTS and FLOATING_POINT: what Windows captures. */
const contextFull = 0x10_000f;
/** KGDT64_R0_CODE and KGDT64_R0_DATA; the others are the user's data selector, as in every kernel context. */
const selectors = { code: 0x10, stack: 0x18, data: 0x2b, teb: 0x53 } as const;
const registerCount = 16;
/** XSAVE_FORMAT: x87 control word after FNINIT, MXCSR and its mask. */
const fltSave = { controlWord: 0x27f, mxcsrOffset: 0x18, maskOffset: 0x1c, mxcsrMask: 0xffff } as const;

/** RIP with all its 64 bits, canonical or not. */
export function processorRip(nt: Nt): bigint {
  return nt.memory.view.getBigUint64(cpuStateOffset + StateOffset.Rip, true);
}

function processorMxcsr(nt: Nt): number {
  return nt.memory.view.getUint32(cpuStateOffset + StateOffset.Mxcsr, true);
}

/** The processor's registers, with another RIP and RSP if given. */
export function processorContext(nt: Nt, rip = processorRip(nt), rsp?: Va): UnwindContext {
  const { state } = nt.cpu;
  const gpr = new BigUint64Array(registerCount);
  const xmm = new BigUint64Array(registerCount * 2);
  for (let index = 0; index < registerCount; index++) {
    gpr[index] = state.gpr(index);
    const { low, high } = state.xmm(index);
    xmm[index * 2] = low;
    xmm[index * 2 + 1] = high;
  }
  if (rsp !== undefined) gpr[Gpr.Rsp] = vaToU64(rsp);
  return { rip, gpr, xmm };
}

export function contextRsp(context: UnwindContext): Va {
  return vaFromU64(context.gpr[Gpr.Rsp] ?? 0n);
}

/** Makes a whole CONTEXT at `va` of the processor's state, with `context` for the registers that unwinding tracks. */
export function writeProcessorContext(nt: Nt, va: Va, context: UnwindContext): void {
  const { memory } = nt;
  memory.fill(va, CONTEXT.sizeBytes, 0);
  const mxcsr = processorMxcsr(nt);
  CONTEXT.ContextFlags.set(memory, va, contextFull);
  CONTEXT.MxCsr.set(memory, va, mxcsr);
  CONTEXT.SegCs.set(memory, va, selectors.code);
  CONTEXT.SegSs.set(memory, va, selectors.stack);
  CONTEXT.SegDs.set(memory, va, selectors.data);
  CONTEXT.SegEs.set(memory, va, selectors.data);
  CONTEXT.SegFs.set(memory, va, selectors.teb);
  CONTEXT.SegGs.set(memory, va, selectors.data);
  CONTEXT.EFlags.set(memory, va, nt.cpu.state.rflags);
  const floating = CONTEXT.FltSave.at(va);
  memory.writeU16(floating, fltSave.controlWord);
  memory.writeU32(vaAdd(floating, fltSave.mxcsrOffset), mxcsr);
  memory.writeU32(vaAdd(floating, fltSave.maskOffset), fltSave.mxcsrMask);
  writeContext(nt, va, context);
}

/** Makes a KTRAP_FRAME of the processor's state at `va`. */
export function writeTrapFrame(nt: Nt, va: Va): void {
  const { memory } = nt;
  const { state } = nt.cpu;
  memory.fill(va, KTRAP_FRAME.sizeBytes, 0);
  KTRAP_FRAME.PreviousIrql.set(memory, va, state.irql);
  KTRAP_FRAME.MxCsr.set(memory, va, processorMxcsr(nt));
  for (const name of trapFrameRegisters) KTRAP_FRAME[name].set(memory, va, state.gpr(Gpr[name]));
  KTRAP_FRAME.Rip.set(memory, va, processorRip(nt));
  KTRAP_FRAME.SegCs.set(memory, va, selectors.code);
  KTRAP_FRAME.EFlags.set(memory, va, state.rflags);
  KTRAP_FRAME.SegSs.set(memory, va, selectors.stack);
}

const trapFrameRegisters = ['Rax', 'Rcx', 'Rdx', 'R8', 'R9', 'R10', 'R11', 'Rbx', 'Rdi', 'Rsi', 'Rbp', 'Rsp'] as const;

/** Writes the registers that unwinding tracks; the rest of the CONTEXT stays. */
export function writeContext(nt: Nt, va: Va, context: UnwindContext): void {
  writeWords(nt, CONTEXT.Gpr.at(va), context.gpr);
  writeWords(nt, CONTEXT.Xmm.at(va), context.xmm);
  CONTEXT.Rip.set(nt.memory, va, context.rip);
}

export function readContext(nt: Nt, va: Va): UnwindContext {
  return {
    rip: CONTEXT.Rip.get(nt.memory, va),
    gpr: readWords(nt, CONTEXT.Gpr.at(va), registerCount),
    xmm: readWords(nt, CONTEXT.Xmm.at(va), registerCount * 2),
  };
}

/** Control goes on where a CONTEXT says, with all its registers and flags. */
export function restoreContext(nt: Nt, va: Va): void {
  const { memory } = nt;
  const { state } = nt.cpu;
  const { rip, gpr, xmm } = readContext(nt, va);
  for (let index = 0; index < registerCount; index++) {
    state.setGpr(index, gpr[index] ?? 0n);
    state.setXmm(index, xmm[index * 2] ?? 0n, xmm[index * 2 + 1] ?? 0n);
  }
  state.rflags = CONTEXT.EFlags.get(memory, va);
  memory.view.setUint32(cpuStateOffset + StateOffset.Mxcsr, CONTEXT.MxCsr.get(memory, va), true);
  memory.view.setBigUint64(cpuStateOffset + StateOffset.Rip, rip, true);
}

/** Words as they lie in the guest's memory; every host that runs WebAssembly in practice is little-endian too. */
function writeWords(nt: Nt, va: Va, words: BigUint64Array): void {
  nt.memory.writeBytes(va, new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
}

function readWords(nt: Nt, va: Va, count: number): BigUint64Array {
  return new BigUint64Array(nt.memory.readBytes(va, count * 8).buffer);
}
