/**
 * The stack: push, pop, flags on the stack, frames.
 */
import type { Emitter } from './emitter.ts';
import { Code } from './iced.ts';
import type { Instruction } from './instruction.ts';
import type { InstructionTable, Translation } from './instruction-table.ts';
import { Flag, Gpr, StateOffset } from './state.ts';
import { operandAt } from './translate-integer.ts';
import { Op, WasmType } from './wasm-writer.ts';

/** Stores a value below the stack pointer and moves it there. `pushValue` is called twice. */
export function pushOnStack(e: Emitter, bytes: number, pushValue: () => void): void {
  const { code } = e;
  const pointer = e.temp(WasmType.I64);
  e.flow.get(Gpr.Rsp);
  code.i64(-bytes);
  code.op(Op.I64Add);
  code.tee(pointer);
  e.storePopped(bytes, pushValue);
  code.get(pointer);
  e.flow.set(Gpr.Rsp);
}

/** Loads from the stack pointer into a local; the pointer is not moved yet. */
export function loadFromStack(e: Emitter, bytes: number): number {
  const value = e.tempFor(bytes);
  e.flow.get(Gpr.Rsp);
  e.loadPopped(bytes);
  e.code.set(value);
  return value;
}

export function moveStack(e: Emitter, bytes: number): void {
  e.flow.get(Gpr.Rsp);
  e.code.i64(bytes);
  e.code.op(Op.I64Add);
  e.flow.set(Gpr.Rsp);
}

function push(e: Emitter, i: Instruction): Translation {
  const source = operandAt(i, 0);
  if (source.kind === 'other') return false;
  const bytes = source.kind === 'immediate' ? (pushesWord.has(i.code) ? 2 : 8) : e.sizeOf(source);
  const value = e.tempFor(bytes);
  e.pushOperand(source, bytes);
  e.code.set(value);
  pushOnStack(e, bytes, () => e.code.get(value));
}

function pop(e: Emitter, i: Instruction): Translation {
  const destination = operandAt(i, 0);
  if (destination.kind === 'other') return false;
  const bytes = e.sizeOf(destination);
  const value = loadFromStack(e, bytes);
  if (destination.kind === 'gpr') {
    moveStack(e, bytes);
    e.storeOperand(destination, bytes, value);
    return;
  }
  if (destination.kind !== 'memory') return false;
  // An address relative to RSP is computed with the moved pointer.
  const isMoved = destination.base === Gpr.Rsp;
  e.pushAddress(destination);
  if (isMoved) {
    e.code.i64(bytes);
    e.code.op(Op.I64Add);
  }
  e.storePopped(bytes, () => e.code.get(value));
  moveStack(e, bytes);
}

/** Bit of each arithmetic flag in RFLAGS, by `Flag`. */
const rflagsBits: readonly number[] = [0, 2, 4, 6, 7, 11];

/** Pushes RFLAGS as an i64: arithmetic flags, IF, DF and the bit that is always set. */
function pushRflags(e: Emitter): void {
  const { code } = e;
  code.i32(2);
  for (let flag = 0; flag < rflagsBits.length; flag++) {
    e.flags.push(flag as Flag);
    code.i32(rflagsBits[flag] as number);
    code.op(Op.I32Shl, Op.I32Or);
  }
  for (const [flag, bit] of [
    [Flag.Df, 10],
    [Flag.If, 9],
  ] as const) {
    e.pushState32(StateOffset.Flags + flag * 4);
    code.i32(bit);
    code.op(Op.I32Shl, Op.I32Or);
  }
  code.op(Op.I64ExtendI32U);
}

function pushfq(e: Emitter): void {
  const value = e.temp(WasmType.I64);
  pushRflags(e);
  e.code.set(value);
  pushOnStack(e, 8, () => e.code.get(value));
}

/** Sets arithmetic flags from bits of an i32 local. */
function takeFlags(e: Emitter, value: number, flags: readonly Flag[]): void {
  const { code } = e;
  for (const flag of flags) {
    e.setFlag(flag, () => {
      code.get(value);
      code.i32(rflagsBits[flag] as number);
      code.op(Op.I32ShrU);
      code.i32(1);
      code.op(Op.I32And);
    });
  }
}

function popfq(e: Emitter): void {
  const { code } = e;
  const value = loadFromStack(e, 8);
  const low = e.temp(WasmType.I32);
  code.get(value);
  code.op(Op.I32WrapI64);
  code.set(low);
  moveStack(e, 8);
  takeFlags(e, low, [0, 1, 2, 3, 4, 5]);
  for (const [flag, bit] of [
    [Flag.Df, 10],
    [Flag.If, 9],
  ] as const) {
    code.i32(0);
    code.get(low);
    code.i32(bit);
    code.op(Op.I32ShrU);
    code.i32(1);
    code.op(Op.I32And);
    e.storeState32(StateOffset.Flags + flag * 4);
  }
}

function lahf(e: Emitter): void {
  pushRflags(e);
  e.code.op(Op.I32WrapI64);
  e.clean(1);
  e.popGpr(0, 1, true);
}

function sahf(e: Emitter): void {
  const value = e.temp(WasmType.I32);
  e.pushGpr(0, 1, true);
  e.code.set(value);
  takeFlags(e, value, [Flag.Cf, Flag.Pf, Flag.Af, Flag.Zf, Flag.Sf]);
}

function leave(e: Emitter): void {
  const { code } = e;
  const value = e.temp(WasmType.I64);
  e.flow.get(Gpr.Rbp);
  e.loadPopped(8);
  code.set(value);
  e.flow.get(Gpr.Rbp);
  code.i64(8);
  code.op(Op.I64Add);
  e.flow.set(Gpr.Rsp);
  code.get(value);
  e.flow.set(Gpr.Rbp);
}

/** `enter size, level`: a frame with pointers to the frames of `level` - 1 enclosing procedures and its own. */
function enter(e: Emitter, i: Instruction): Translation {
  const { code } = e;
  const size = operandAt(i, 0);
  const nesting = operandAt(i, 1);
  if (size.kind !== 'immediate' || nesting.kind !== 'immediate') return false;
  const level = Number(nesting.value) & 0x1f;
  const frame = e.temp(WasmType.I64);
  const value = e.temp(WasmType.I64);
  e.flow.get(Gpr.Rsp);
  code.i64(-8);
  code.op(Op.I64Add);
  code.set(frame);
  const store = (slot: number, pushValue: () => void): void => {
    code.get(frame);
    code.i64(-8 * slot);
    code.op(Op.I64Add);
    e.storePopped(8, pushValue);
  };
  store(0, () => e.flow.get(Gpr.Rbp));
  for (let slot = 1; slot < level; slot++) {
    e.flow.get(Gpr.Rbp);
    code.i64(-8 * slot);
    code.op(Op.I64Add);
    e.loadPopped(8);
    code.set(value);
    store(slot, () => code.get(value));
  }
  if (level > 0) store(level, () => code.get(frame));
  code.get(frame);
  e.flow.set(Gpr.Rbp);
  code.get(frame);
  code.i64(-8 * level - (Number(size.value) & 0xffff));
  code.op(Op.I64Add);
  e.flow.set(Gpr.Rsp);
}

function setCarry(value: 0 | 1): (e: Emitter) => void {
  return (e) => e.setFlag(Flag.Cf, () => e.code.i32(value));
}

function cmc(e: Emitter): void {
  e.setFlag(Flag.Cf, () => {
    e.flags.push(Flag.Cf);
    e.code.op(Op.I32Eqz);
  });
}

function setDirection(value: 0 | 1): (e: Emitter) => void {
  return (e) => {
    e.code.i32(0);
    e.code.i32(value);
    e.storeState32(StateOffset.Flags + Flag.Df * 4);
  };
}

const pushesWord: ReadonlySet<number> = new Set([Code.Push_imm16, Code.Pushw_imm8]);

export const stackTable: InstructionTable = {
  Push: push,
  Pop: pop,
  Pushfq: pushfq,
  Popfq: popfq,
  Lahf: lahf,
  Sahf: sahf,
  Leave: leave,
  Enter: enter,
  Clc: setCarry(0),
  Stc: setCarry(1),
  Cmc: cmc,
  Cld: setDirection(0),
  Std: setDirection(1),
};
