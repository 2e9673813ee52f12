/**
 * Shifts and rotates. Counts are masked to 5 bits (6 for 64-bit operands); a count of zero changes no flags.
 * Reference: Intel SDM volume 2, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD".
 */
import type { Emitter, OperandBytes } from './emitter.ts';
import { pushSign } from './flag-formulas.ts';
import type { Instruction, Operand } from './instruction.ts';
import type { InstructionTable, InstructionTranslator } from './instruction-table.ts';
import { Flag } from './state.ts';
import { operandAt } from './translate-integer.ts';
import { Op, sized } from './wasm-writer.ts';

type ShiftKind = 'shl' | 'shr' | 'sar';

const arithmetic = 0x3f;

function countMask(bytes: number): number {
  return bytes === 8 ? 0x3f : 0x1f;
}

function immediateCount(operand: Operand | undefined, bytes: number): number | undefined {
  if (operand === undefined) return 1;
  return operand.kind === 'immediate' ? Number(operand.value) & countMask(bytes) : undefined;
}

/** Pushes the masked count from CL as a value of the operand's type. */
function pushVariableCount(e: Emitter, bytes: number): void {
  e.pushGpr(1, 4);
  e.code.i32(countMask(bytes));
  e.code.op(Op.I32And);
  e.resize(4, bytes === 8 ? 8 : 4);
}

function shift(kind: ShiftKind): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    const count = immediateCount(i.operands[1], bytes);
    if (count === undefined) shiftByCl(e, kind, destination, bytes);
    else shiftByConstant(e, kind, destination, bytes, count);
  };
}

function shiftByConstant(e: Emitter, kind: ShiftKind, destination: Operand, bytes: OperandBytes, count: number): void {
  e.modify(destination, bytes, (a) => {
    if (count === 0) return a;
    const result = e.tempFor(bytes);
    pushShifted(e, kind, bytes, a, () => e.constant(count, Math.max(bytes, 4)));
    e.code.set(result);
    if (count < bytes * 8) e.setFlags(kind, bytes, { a, result, count });
    else {
      // 1- and 2-byte operands can be shifted by more bits than they have.
      e.setFlag(Flag.Cf, () => pushShiftedOut(e, kind, bytes, a, () => e.constant(count, 4)));
      e.setFlag(Flag.Of, () => e.code.i32(0));
      e.setFlag(Flag.Af, () => e.code.i32(0));
      e.setResultFlags(result, bytes);
    }
    return result;
  });
}

/** Pushes the shifted value; `sar` of short operands shifts their sign-extension. */
function pushShifted(e: Emitter, kind: ShiftKind, bytes: number, a: number, pushCount: () => void): void {
  e.code.get(a);
  if (kind === 'sar' && bytes < 4) e.signExtend(bytes, 4);
  pushCount();
  e.op(kind === 'shl' ? Op.I32Shl : kind === 'shr' ? Op.I32ShrU : Op.I32ShrS, bytes);
  if (kind !== 'shr') e.clean(bytes);
}

/** Pushes the last bit shifted out, for a count of at least 1. The count is of the operand's type. */
function pushShiftedOut(e: Emitter, kind: ShiftKind, bytes: number, a: number, pushCount: () => void): void {
  const { code } = e;
  const width = Math.max(bytes, 4);
  code.get(a);
  if (kind === 'sar' && bytes < 4) e.signExtend(bytes, 4);
  pushCount();
  e.constant(1, width);
  e.op(Op.I32Sub, bytes);
  e.op(kind === 'shl' ? Op.I32Shl : kind === 'shr' ? Op.I32ShrU : Op.I32ShrS, bytes);
  if (kind === 'shl') {
    e.constant(bytes * 8 - 1, width);
    e.op(Op.I32ShrU, bytes);
  }
  if (bytes === 8) code.op(Op.I32WrapI64);
  code.i32(1);
  code.op(Op.I32And);
}

function shiftByCl(e: Emitter, kind: ShiftKind, destination: Operand, bytes: OperandBytes): void {
  const { code } = e;
  const width = Math.max(bytes, 4);
  const count = e.tempFor(width);
  pushVariableCount(e, bytes);
  code.set(count);
  e.modify(destination, bytes, (a) => {
    const result = e.tempFor(bytes);
    pushShifted(e, kind, bytes, a, () => code.get(count));
    code.set(result);
    if ((e.flagsAfter & arithmetic) !== 0) {
      e.flags.put(e.flagsAfter);
      code.get(count);
      if (bytes === 8) code.op(Op.I32WrapI64);
      code.if();
      e.setFlag(Flag.Of, () => {
        // Defined for a count of 1: the sign changed (shl), the old sign (shr), never (sar).
        if (kind === 'sar') code.i32(0);
        else pushSign(e.code, a, bytes);
        if (kind === 'shl') {
          pushSign(e.code, result, bytes);
          code.op(Op.I32Xor);
        }
      });
      e.setFlag(Flag.Cf, () => pushShiftedOut(e, kind, bytes, a, () => code.get(count)));
      e.setFlag(Flag.Af, () => code.i32(0));
      e.setResultFlags(result, bytes);
      code.end();
    }
    return result;
  });
}

/** ROL and ROR change CF and OF only. */
function rotate(isLeft: boolean): InstructionTranslator {
  return (e, i) => {
    const { code } = e;
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    const bits = bytes * 8;
    const constant = immediateCount(i.operands[1], bytes);
    const width = Math.max(bytes, 4);
    const count = e.tempFor(width);
    if (constant === undefined) pushVariableCount(e, bytes);
    else e.constant(constant, width);
    code.set(count);
    e.modify(destination, bytes, (a) => {
      if (constant === 0) return a;
      const result = e.tempFor(bytes);
      if (bytes >= 4) {
        code.get(a);
        code.get(count);
        e.op(isLeft ? Op.I32Rotl : Op.I32Rotr, bytes);
      } else {
        pushShortRotation(e, isLeft, bits, a, count);
      }
      code.set(result);
      if ((e.flagsAfter & ((1 << Flag.Cf) | (1 << Flag.Of))) === 0) return result;
      if (constant === undefined) {
        e.flags.put(e.flagsAfter);
        code.get(count);
        if (bytes === 8) code.op(Op.I32WrapI64);
        code.if();
      }
      const pushTop = (): void => pushSign(e.code, result, bytes);
      const pushLow = (): void => {
        code.get(result);
        if (bytes === 8) code.op(Op.I32WrapI64);
        code.i32(1);
        code.op(Op.I32And);
      };
      e.setFlag(Flag.Cf, isLeft ? pushLow : pushTop);
      e.setFlag(Flag.Of, () => {
        pushTop();
        if (isLeft) pushLow();
        else pushBitAt(e, result, bytes, bits - 2);
        code.op(Op.I32Xor);
      });
      if (constant === undefined) code.end();
      return result;
    });
  };
}

/** A rotation of 1 or 2 bytes: by the count modulo the width, on the value written twice. */
function pushShortRotation(e: Emitter, isLeft: boolean, bits: number, a: number, count: number): void {
  const { code } = e;
  code.get(a);
  code.get(a);
  code.i32(bits);
  code.op(Op.I32Shl, Op.I32Or);
  if (isLeft) code.i32(bits);
  code.get(count);
  code.i32(bits - 1);
  code.op(Op.I32And);
  if (isLeft) code.op(Op.I32Sub);
  code.op(Op.I32ShrU);
  e.clean(bits / 8);
}

function pushBitAt(e: Emitter, local: number, bytes: number, bit: number): void {
  const { code } = e;
  code.get(local);
  e.constant(bit, Math.max(bytes, 4));
  e.op(Op.I32ShrU, bytes);
  if (bytes === 8) code.op(Op.I32WrapI64);
  code.i32(1);
  code.op(Op.I32And);
}

/** RCL and RCR: bit by bit through CF. Rare, so a loop is good enough. */
function rotateThroughCarry(isLeft: boolean): InstructionTranslator {
  return (e, i) => {
    const { code } = e;
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    const width = Math.max(bytes, 4);
    const constant = immediateCount(i.operands[1], bytes);
    const left = e.tempFor(4);
    const carry = e.tempFor(4);
    const out = e.tempFor(4);
    if (constant === undefined) {
      pushVariableCount(e, bytes);
      e.resize(width, 4);
    } else {
      code.i32(constant);
    }
    if (bytes < 4) {
      code.i32(bytes * 8 + 1);
      code.op(Op.I32RemU);
    }
    code.set(left);
    e.flags.push(Flag.Cf);
    code.set(carry);
    e.modify(destination, bytes, (a) => {
      if (constant === 0) return a;
      const value = e.tempFor(bytes);
      const overflow = e.tempFor(4);
      e.flags.put(e.flagsAfter);
      code.get(a);
      code.set(value);
      const done = code.block();
      code.get(left);
      code.op(Op.I32Eqz);
      code.brIf(done);
      const again = code.loop();
      if (isLeft) {
        pushSign(e.code, value, bytes);
        code.set(out);
        code.get(value);
        e.constant(1, width);
        e.op(Op.I32Shl, bytes);
        e.clean(bytes);
        code.get(carry);
        e.resize(4, width);
      } else {
        pushSign(e.code, value, bytes);
        code.get(carry);
        code.op(Op.I32Xor);
        code.set(overflow);
        pushBitAt(e, value, bytes, 0);
        code.set(out);
        code.get(value);
        e.constant(1, width);
        e.op(Op.I32ShrU, bytes);
        code.get(carry);
        e.resize(4, width);
        e.constant(bytes * 8 - 1, width);
        e.op(Op.I32Shl, bytes);
      }
      e.op(Op.I32Or, bytes);
      code.set(value);
      code.get(out);
      code.set(carry);
      code.get(left);
      code.i32(1);
      code.op(Op.I32Sub);
      code.tee(left);
      code.brIf(again);
      code.end();
      e.setFlag(Flag.Of, () => {
        if (isLeft) {
          pushSign(e.code, value, bytes);
          code.get(carry);
          code.op(Op.I32Xor);
        } else {
          code.get(overflow);
        }
      });
      e.setFlag(Flag.Cf, () => code.get(carry));
      code.end();
      return value;
    });
  };
}

/** SHLD and SHRD: bits of the second operand move in. */
function doubleShift(isLeft: boolean): InstructionTranslator {
  return (e, i) => {
    const { code } = e;
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    const bits = bytes * 8;
    const width = Math.max(bytes, 4);
    const constant = immediateCount(operandAt(i, 2), bytes);
    const filler = e.tempFor(bytes);
    const count = e.tempFor(width);
    e.pushOperand(operandAt(i, 1), bytes);
    code.set(filler);
    if (constant === undefined) pushVariableCount(e, bytes);
    else e.constant(constant, width);
    code.set(count);
    e.modify(destination, bytes, (a) => {
      if (constant === 0) return a;
      const result = e.tempFor(bytes);
      const mask = e.flagsAfter & arithmetic;
      if (mask !== 0) e.flags.put(mask);
      code.get(a);
      code.set(result);
      code.get(count);
      if (bytes === 8) code.op(Op.I32WrapI64);
      code.if();
      code.get(a);
      code.get(count);
      e.op(isLeft ? Op.I32Shl : Op.I32ShrU, bytes);
      code.get(filler);
      e.constant(bits, width);
      code.get(count);
      e.op(Op.I32Sub, bytes);
      e.op(isLeft ? Op.I32ShrU : Op.I32Shl, bytes);
      e.op(Op.I32Or, bytes);
      e.clean(bytes);
      code.set(result);
      e.setFlag(Flag.Cf, () => pushShiftedOut(e, isLeft ? 'shl' : 'shr', bytes, a, () => code.get(count)));
      e.setFlag(Flag.Of, () => {
        pushSign(e.code, a, bytes);
        pushSign(e.code, result, bytes);
        code.op(Op.I32Xor);
      });
      e.setFlag(Flag.Af, () => code.i32(0));
      e.setResultFlags(result, bytes);
      code.end();
      return result;
    });
  };
}

/** BMI2 shifts: no flags. */
function shiftWithoutFlags(opcode: number): InstructionTranslator {
  return (e: Emitter, i: Instruction) => {
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    e.pushOperand(operandAt(i, 1), bytes);
    e.pushOperand(operandAt(i, 2), bytes);
    e.code.op(sized(opcode, bytes));
    if (destination.kind === 'gpr') e.popGpr(destination.index, bytes);
  };
}

export const shiftTable: InstructionTable = {
  Shl: shift('shl'),
  Sal: shift('shl'),
  Shr: shift('shr'),
  Sar: shift('sar'),
  Rol: rotate(true),
  Ror: rotate(false),
  Rcl: rotateThroughCarry(true),
  Rcr: rotateThroughCarry(false),
  Shld: doubleShift(true),
  Shrd: doubleShift(false),
  Shlx: shiftWithoutFlags(Op.I32Shl),
  Shrx: shiftWithoutFlags(Op.I32ShrU),
  Sarx: shiftWithoutFlags(Op.I32ShrS),
  Rorx: shiftWithoutFlags(Op.I32Rotr),
};
