/**
 * How a string instruction repeats: element by element, or by chunks of whole elements that lie within a page of each
 * operand. RCX, RSI and RDI are up to date whenever something can fault.
 * Reference: Intel SDM volume 2, "REP".
 */
import type { Emitter, OperandBytes } from './emitter.ts';
import type { Instruction } from './instruction.ts';
import { elementwise, manyBytes } from './slow-access.ts';
import { Flag, Gpr, StateOffset } from './state.ts';
import { type Label, Op, WasmType } from './wasm-writer.ts';

export interface StringOperation {
  readonly bytes: OperandBytes;
  readonly usesSource: boolean;
  readonly usesDestination: boolean;
}

/** A local with the distance to the next element: negative if DF is set. */
export function elementStep(e: Emitter, bytes: number): number {
  const { code } = e;
  const step = e.temp(WasmType.I64);
  code.i64(bytes);
  code.i64(-bytes);
  e.pushState32(StateOffset.Flags + Flag.Df * 4);
  code.op(Op.I32Eqz, Op.Select);
  code.set(step);
  return step;
}

export function advance(e: Emitter, register: Gpr, step: number): void {
  e.flow.get(register);
  e.code.get(step);
  e.code.op(Op.I64Add);
  e.flow.set(register);
}

export function pushSource(e: Emitter, i: Instruction): void {
  const operand = i.operands.find((candidate) => candidate.kind === 'memory' && candidate.base === Gpr.Rsi);
  if (operand?.kind === 'memory') e.pushAddress(operand);
}

/** Runs `body` once, or as often as RCX says. `body` gets the label to leave the loop. */
export function repeat(
  e: Emitter,
  i: Instruction,
  operation: StringOperation,
  body: (done: Label | undefined) => void,
): void {
  if (i.rep === undefined) {
    body(undefined);
    return;
  }
  const { code } = e;
  e.flow.touch(Gpr.Rcx);
  if (operation.usesSource) e.flow.touch(Gpr.Rsi);
  if (operation.usesDestination) e.flow.touch(Gpr.Rdi);
  const done = code.block();
  const again = code.loop();
  e.flow.get(Gpr.Rcx);
  code.op(Op.I64Eqz);
  code.brIf(done);
  body(done);
  code.br(again);
  code.end();
  code.end();
}

/** Subtracts `push` (i64) from RCX. */
export function countDown(e: Emitter, push: () => void): void {
  e.flow.get(Gpr.Rcx);
  push();
  e.code.op(Op.I64Sub);
  e.flow.set(Gpr.Rcx);
}

/** Pushes how many whole elements follow the address in a register within its page, as i32. */
function pushElementsInPage(e: Emitter, pushAddress: () => void, bytes: number): void {
  const { code } = e;
  code.i32(0x1000);
  pushAddress();
  code.op(Op.I32WrapI64);
  code.i32(0xfff);
  code.op(Op.I32And, Op.I32Sub);
  code.i32(Math.log2(bytes));
  code.op(Op.I32ShrU);
}

/** chunk = min(chunk, what `push` pushes), unsigned. */
export function limit(e: Emitter, chunk: number, push: () => void): void {
  const { code } = e;
  const other = e.temp(WasmType.I32);
  push();
  code.tee(other);
  code.get(chunk);
  code.get(other);
  code.get(chunk);
  code.op(Op.I32LtU, Op.Select);
  code.set(chunk);
}

/** Sets `chunk` to the elements that can be done at once: 0 if one crosses a page or the direction is down. */
export function setChunk(e: Emitter, bytes: number, addresses: readonly (() => void)[]): number {
  const { code } = e;
  const chunk = e.temp(WasmType.I32);
  code.i32(0x1000);
  e.flow.get(Gpr.Rcx);
  code.op(Op.I32WrapI64);
  e.flow.get(Gpr.Rcx);
  code.i64(0x1000);
  code.op(Op.I64GtU, Op.Select);
  code.set(chunk);
  for (const address of addresses) limit(e, chunk, () => pushElementsInPage(e, address, bytes));
  code.i32(0);
  code.get(chunk);
  e.pushState32(StateOffset.Flags + Flag.Df * 4);
  code.op(Op.Select);
  code.set(chunk);
  return chunk;
}

export function pushChunkBytes(e: Emitter, chunk: number, bytes: number): void {
  e.code.get(chunk);
  e.code.i32(Math.log2(bytes));
  e.code.op(Op.I32Shl);
}

/** Of a device's page nothing is accessed yet: it answers {@link elementwise}. */
export function pushManyBytes(e: Emitter, chunk: number, bytes: number): void {
  pushChunkBytes(e, chunk, bytes);
  e.code.i32(manyBytes);
  e.code.op(Op.I32Or);
}

/** Pops a condition; if it holds, nothing can be done at once. */
export function noChunkIf(e: Emitter, chunk: number): void {
  const { code } = e;
  code.if();
  code.i32(0);
  code.set(chunk);
  code.end();
}

export function advanceByChunk(e: Emitter, register: Gpr, chunk: number, bytes: number): void {
  e.flow.get(register);
  pushChunkBytes(e, chunk, bytes);
  e.code.op(Op.I64ExtendI32U, Op.I64Add);
  e.flow.set(register);
}
