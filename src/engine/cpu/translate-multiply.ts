/**
 * Multiplication and division. A divide error (vector 0) is raised before anything changes.
 * Reference: Intel SDM volume 2, "MUL", "IMUL", "DIV", "IDIV".
 */
import type { Emitter, OperandBytes } from './emitter.ts';
import { Import, loadScratchOffset } from './emitter.ts';
import type { Instruction } from './instruction.ts';
import type { InstructionTable, InstructionTranslator, Translation } from './instruction-table.ts';
import { RareOperation } from './rare-operations.ts';
import { Flag, Gpr } from './state.ts';
import { operandAt } from './translate-integer.ts';
import { Op, WasmType } from './wasm-writer.ts';

/** Pushes a value of `bytes` bytes from a local as an i64. */
function pushWide(e: Emitter, local: number, bytes: number, isSigned: boolean): void {
  e.code.get(local);
  if (isSigned) e.signExtend(bytes, 8);
  else e.resize(bytes, 8);
}

/** CF and OF: whether the product needs more than the operand's size. `push` pushes an i32. */
function setMultiplyFlags(e: Emitter, push: () => void): void {
  if (!e.needsFlag(Flag.Cf) && !e.needsFlag(Flag.Of)) return;
  const overflows = e.temp(WasmType.I32);
  push();
  e.code.set(overflows);
  e.setFlag(Flag.Cf, () => e.code.get(overflows));
  e.setFlag(Flag.Of, () => e.code.get(overflows));
}

/** `mul` and one-operand `imul`: RDX:RAX (or its parts) = accumulator * operand. */
function multiplyAccumulator(isSigned: boolean): InstructionTranslator {
  return (e, i) => {
    const operand = operandAt(i, 0);
    const bytes = e.sizeOf(operand);
    const a = e.tempFor(bytes);
    const b = e.tempFor(bytes);
    e.pushOperand(operand, bytes);
    e.code.set(b);
    e.pushGpr(Gpr.Rax, bytes);
    e.code.set(a);
    if (bytes === 8) multiplyWide(e, a, b, isSigned);
    else multiplyNarrow(e, a, b, bytes, isSigned);
  };
}

function multiplyNarrow(e: Emitter, a: number, b: number, bytes: OperandBytes, isSigned: boolean): void {
  const { code } = e;
  const product = e.temp(WasmType.I64);
  pushWide(e, a, bytes, isSigned);
  pushWide(e, b, bytes, isSigned);
  code.op(Op.I64Mul);
  code.set(product);
  if (bytes === 1) {
    code.get(product);
    e.resize(8, 2);
    e.popGpr(Gpr.Rax, 2);
  } else {
    code.get(product);
    e.resize(8, bytes);
    e.popGpr(Gpr.Rax, bytes);
    code.get(product);
    code.i64(bytes * 8);
    code.op(Op.I64ShrU);
    e.resize(8, bytes);
    e.popGpr(Gpr.Rdx, bytes);
  }
  setMultiplyFlags(e, () => pushOverflow(e, product, bytes, isSigned));
}

/** Whether a product (i64) differs from its low part, extended again. */
function pushOverflow(e: Emitter, product: number, bytes: OperandBytes, isSigned: boolean): void {
  e.code.get(product);
  e.code.get(product);
  e.resize(8, bytes);
  if (isSigned) e.signExtend(bytes, 8);
  else e.resize(bytes, 8);
  e.code.op(Op.I64Ne);
}

function multiplyWide(e: Emitter, a: number, b: number, isSigned: boolean): void {
  const { code } = e;
  const low = e.temp(WasmType.I64);
  const high = e.temp(WasmType.I64);
  code.get(a);
  code.get(b);
  code.op(Op.I64Mul);
  code.set(low);
  pushHighProduct(e, a, b, isSigned);
  code.set(high);
  code.get(low);
  e.popGpr(Gpr.Rax, 8);
  code.get(high);
  e.popGpr(Gpr.Rdx, 8);
  setMultiplyFlags(e, () => pushHighMatters(e, low, high, isSigned));
}

function pushHighMatters(e: Emitter, low: number, high: number, isSigned: boolean): void {
  const { code } = e;
  code.get(high);
  if (isSigned) {
    code.get(low);
    code.i64(63);
    code.op(Op.I64ShrS);
  } else {
    code.i64(0);
  }
  code.op(Op.I64Ne);
}

/** Pushes bits 127..64 of the product of two i64 locals, from products of their halves. */
export function pushHighProduct(e: Emitter, a: number, b: number, isSigned: boolean): void {
  const { code } = e;
  const [aLow, aHigh, bLow, bHigh, middle] = [0, 0, 0, 0, 0].map(() => e.temp(WasmType.I64)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  for (const [from, low, high] of [
    [a, aLow, aHigh],
    [b, bLow, bHigh],
  ] as const) {
    code.get(from);
    code.i64(0xffff_ffff);
    code.op(Op.I64And);
    code.set(low);
    code.get(from);
    code.i64(32);
    code.op(Op.I64ShrU);
    code.set(high);
  }
  const shiftDown = (): void => {
    code.i64(32);
    code.op(Op.I64ShrU);
  };
  // middle = aHigh * bLow + (aLow * bLow >> 32)
  code.get(aHigh);
  code.get(bLow);
  code.op(Op.I64Mul);
  code.get(aLow);
  code.get(bLow);
  code.op(Op.I64Mul);
  shiftDown();
  code.op(Op.I64Add);
  code.set(middle);
  // high = aHigh * bHigh + (middle >> 32) + ((aLow * bHigh + low(middle)) >> 32)
  code.get(aHigh);
  code.get(bHigh);
  code.op(Op.I64Mul);
  code.get(middle);
  shiftDown();
  code.op(Op.I64Add);
  code.get(aLow);
  code.get(bHigh);
  code.op(Op.I64Mul);
  code.get(middle);
  code.i64(0xffff_ffff);
  code.op(Op.I64And, Op.I64Add);
  shiftDown();
  code.op(Op.I64Add);
  if (!isSigned) return;
  // Signed: less the other operand for each negative one.
  for (const [sign, other] of [
    [a, b],
    [b, a],
  ] as const) {
    code.get(sign);
    code.i64(63);
    code.op(Op.I64ShrS);
    code.get(other);
    code.op(Op.I64And, Op.I64Sub);
  }
}

function imul(e: Emitter, i: Instruction): Translation {
  if (i.operands.length === 1) return multiplyAccumulator(true)(e, i);
  const destination = operandAt(i, 0);
  if (destination.kind !== 'gpr') return false;
  const { bytes, index } = destination;
  const { code } = e;
  const a = e.tempFor(bytes);
  const b = e.tempFor(bytes);
  const [first, second] = i.operands.length === 3 ? [operandAt(i, 1), operandAt(i, 2)] : [destination, operandAt(i, 1)];
  e.pushOperand(first, bytes);
  code.set(a);
  e.pushOperand(second, bytes);
  code.set(b);
  const needsFlags = e.needsFlag(Flag.Cf) || e.needsFlag(Flag.Of);
  if (bytes === 8) {
    const low = e.temp(WasmType.I64);
    code.get(a);
    code.get(b);
    code.op(Op.I64Mul);
    code.tee(low);
    e.popGpr(index, 8);
    if (!needsFlags) return;
    const high = e.temp(WasmType.I64);
    pushHighProduct(e, a, b, true);
    code.set(high);
    setMultiplyFlags(e, () => pushHighMatters(e, low, high, true));
    return;
  }
  if (!needsFlags) {
    code.get(a);
    code.get(b);
    code.op(Op.I32Mul);
    e.clean(bytes);
    e.popGpr(index, bytes);
    return;
  }
  const product = e.temp(WasmType.I64);
  pushWide(e, a, bytes, true);
  pushWide(e, b, bytes, true);
  code.op(Op.I64Mul);
  code.tee(product);
  e.resize(8, bytes);
  e.popGpr(index, bytes);
  setMultiplyFlags(e, () => pushOverflow(e, product, bytes, true));
}

function divide(isSigned: boolean): InstructionTranslator {
  return (e, i) => {
    const operand = operandAt(i, 0);
    const bytes = e.sizeOf(operand);
    const divisor = e.temp(WasmType.I64);
    const value = e.tempFor(bytes);
    e.pushOperand(operand, bytes);
    e.code.set(value);
    pushWide(e, value, bytes, isSigned);
    e.code.tee(divisor);
    e.code.op(Op.I64Eqz);
    e.leaveIf(e.site('fault', 0));
    if (bytes === 8) divideWide(e, divisor, isSigned);
    else divideNarrow(e, divisor, bytes, isSigned);
  };
}

function divideNarrow(e: Emitter, divisor: number, bytes: OperandBytes, isSigned: boolean): void {
  const { code } = e;
  const bits = bytes * 8;
  const dividend = e.temp(WasmType.I64);
  const quotient = e.temp(WasmType.I64);
  const remainder = e.temp(WasmType.I64);
  if (bytes === 1) {
    e.pushGpr(Gpr.Rax, 2);
    if (isSigned) e.signExtend(2, 8);
    else e.resize(2, 8);
  } else {
    e.pushGpr(Gpr.Rdx, bytes);
    if (isSigned) e.signExtend(bytes, 8);
    else e.resize(bytes, 8);
    code.i64(bits);
    code.op(Op.I64Shl);
    e.pushGpr(Gpr.Rax, bytes);
    e.resize(bytes, 8);
    code.op(Op.I64Or);
  }
  code.set(dividend);
  if (isSigned && bytes === 4) leaveIfSmallestByMinusOne(e, dividend, divisor);
  code.get(dividend);
  code.get(divisor);
  code.op(isSigned ? Op.I64DivS : Op.I64DivU);
  code.tee(quotient);
  if (isSigned) {
    code.i64(2 ** (bits - 1));
    code.op(Op.I64Add);
  }
  code.i64(2 ** bits - 1);
  code.op(Op.I64GtU);
  e.leaveIf(e.site('fault', 0));
  code.get(dividend);
  code.get(divisor);
  code.op(isSigned ? Op.I64RemS : Op.I64RemU);
  code.set(remainder);
  code.get(quotient);
  e.resize(8, bytes);
  e.popGpr(Gpr.Rax, bytes);
  code.get(remainder);
  e.resize(8, bytes);
  if (bytes === 1) e.popGpr(Gpr.Rax, 1, true);
  else e.popGpr(Gpr.Rdx, bytes);
}

/** The one signed division whose quotient does not fit, and that WebAssembly traps on. */
function leaveIfSmallestByMinusOne(e: Emitter, dividend: number, divisor: number): void {
  const { code } = e;
  code.get(dividend);
  code.i64(-(2n ** 63n));
  code.op(Op.I64Eq);
  code.get(divisor);
  code.i64(-1);
  code.op(Op.I64Eq, Op.I32And);
  e.leaveIf(e.site('fault', 0));
}

/** 128 by 64 bits. Nearly always the upper half only extends the lower one; else the host computes. */
function divideWide(e: Emitter, divisor: number, isSigned: boolean): void {
  const { code } = e;
  const low = e.temp(WasmType.I64);
  const high = e.temp(WasmType.I64);
  const remainder = e.temp(WasmType.I64);
  const fault = e.site('fault', 0);
  e.pushGpr(Gpr.Rax, 8);
  code.set(low);
  e.pushGpr(Gpr.Rdx, 8);
  code.tee(high);
  if (isSigned) {
    code.get(low);
    code.i64(63);
    code.op(Op.I64ShrS);
  } else {
    code.i64(0);
  }
  code.op(Op.I64Eq);
  code.if();
  if (isSigned) leaveIfSmallestByMinusOne(e, low, divisor);
  code.get(low);
  code.get(divisor);
  code.op(isSigned ? Op.I64RemS : Op.I64RemU);
  code.set(remainder);
  code.get(low);
  code.get(divisor);
  code.op(isSigned ? Op.I64DivS : Op.I64DivU);
  code.set(low);
  code.else();
  for (const [index, local] of [low, high, divisor].entries()) {
    code.i32(loadScratchOffset);
    code.get(local);
    code.memory(Op.I64Store, index * 8);
  }
  code.i32(isSigned ? RareOperation.DivideSigned : RareOperation.DivideUnsigned);
  code.call(Import.RareOperation);
  code.op(Op.I32Eqz);
  e.leaveIf(fault);
  code.i32(loadScratchOffset);
  code.memory(Op.I64Load);
  code.set(low);
  code.i32(loadScratchOffset);
  code.memory(Op.I64Load, 8);
  code.set(remainder);
  code.end();
  code.get(low);
  e.popGpr(Gpr.Rax, 8);
  code.get(remainder);
  e.popGpr(Gpr.Rdx, 8);
}

export const multiplyTable: InstructionTable = {
  Mul: multiplyAccumulator(false),
  Imul: imul,
  Div: divide(false),
  Idiv: divide(true),
};
