/** What one instruction that does not branch does to what is known. What has no rule here is forgotten. */
import { ConditionCode, Mnemonic } from '../../../engine/cpu/iced.ts';
import type { Instruction, Operand } from '../../../engine/cpu/instruction.ts';
import { type AbstractState, added, type ImageReader, Register, subtracted, type Value } from './abstract-state.ts';
import { conditionTerm } from './condition.ts';
import {
  type Bits,
  conjunction,
  constantTerm,
  disjunction,
  exclusiveOr,
  product,
  rotatedRight,
  shiftedLeft,
  shiftedLeftBy,
  shiftedRight,
  shiftedRightFrom,
  signExtended,
  type Term,
} from './term.ts';

const one = constantTerm(1);
const zero = constantTerm(0);
const allOnes = constantTerm(-1);

export function stepInstruction(state: AbstractState, instruction: Instruction, image: ImageReader): void {
  const { mnemonic, operands } = instruction;
  const [to, from, third] = operands;
  const bits = bitsOf(to);
  const read = (operand: Operand | undefined): Value => state.read(operand, image);
  const flagsBefore = state.flags;
  if (instruction.flagsWritten !== 0) state.flags = undefined;
  switch (mnemonic) {
    case Mnemonic.Nop:
    case Mnemonic.Endbr64:
      return;
    case Mnemonic.Mov:
      state.write(to, read(from));
      return;
    case Mnemonic.Movzx:
      state.write(to, term(read(from)));
      return;
    case Mnemonic.Movsx:
    case Mnemonic.Movsxd:
      state.write(to, extended(read(from), bitsOf(from), bits));
      return;
    case Mnemonic.Cdqe:
      state.set(Register.Rax, extended(state.registers[Register.Rax], 32, 64));
      return;
    case Mnemonic.Lea:
      if (from?.kind === 'memory') state.write(to, state.address(from, bits));
      return;
    case Mnemonic.Cmp:
      compare(state, read(to), read(from), bits);
      return;
    case Mnemonic.Test: {
      const [left, right] = [read(to), read(from)];
      const isSame = to?.kind === 'gpr' && from?.kind === 'gpr' && to.index === from.index && to.high === from.high;
      compare(state, isSame ? left : bitwise(conjunction, left, right, bits), zero, bits);
      return;
    }
    case Mnemonic.Bt: {
      const [value, index] = [term(read(to)), term(read(from))];
      // With a memory operand the bit may lie beyond it.
      if (value && index && to?.kind === 'gpr') state.flags = { kind: 'bit', value, index, bits };
      return;
    }
    case Mnemonic.Add: {
      const result = added(read(to), read(from), bits);
      state.write(to, result);
      resultFlags(state, result, bits);
      return;
    }
    case Mnemonic.Sub: {
      const [left, right] = [read(to), read(from)];
      state.write(to, isSameRegister(to, from) ? zero : subtracted(left, right, bits));
      compare(state, left, right, bits);
      return;
    }
    case Mnemonic.Inc:
    case Mnemonic.Dec: {
      const result = mnemonic === Mnemonic.Inc ? added(read(to), one, bits) : subtracted(read(to), one, bits);
      state.write(to, result);
      resultFlags(state, result, bits);
      return;
    }
    case Mnemonic.Xor:
      logical(state, to, isSameRegister(to, from) ? zero : bitwise(exclusiveOr, read(to), read(from), bits), bits);
      return;
    case Mnemonic.Not:
      state.write(to, bitwise(exclusiveOr, read(to), allOnes, bits));
      return;
    case Mnemonic.Neg: {
      const result = subtracted(zero, read(to), bits);
      state.write(to, result);
      resultFlags(state, result, bits);
      return;
    }
    case Mnemonic.Or:
      logical(state, to, bitwise(disjunction, read(to), read(from), bits), bits);
      return;
    case Mnemonic.And: {
      const [left, right] = [read(to), read(from)];
      // An aligned stack pointer: where exactly it points does not matter, as long as it does so throughout.
      const isPointer = left !== undefined && 'to' in left;
      logical(state, to, isPointer ? left : bitwise(conjunction, left, right, bits), bits);
      return;
    }
    case Mnemonic.Shl:
    case Mnemonic.Shr:
    case Mnemonic.Sar:
    case Mnemonic.Ror:
    case Mnemonic.Rol: {
      const value = term(read(to));
      const count = term(read(from));
      const result = value && count && shifted(mnemonic, value, count, bits);
      state.write(to, result);
      const isShift = mnemonic !== Mnemonic.Ror && mnemonic !== Mnemonic.Rol;
      if (isShift) resultFlags(state, result, bits);
      return;
    }
    case Mnemonic.Shrd: {
      const [low, high] = [term(read(to)), term(read(from))];
      const count = third?.kind === 'immediate' ? Number(third.value) & (bits === 64 ? 63 : 31) : undefined;
      const result = low && high && count !== undefined ? shiftedRightFrom(low, high, count, bits) : undefined;
      state.write(to, result);
      resultFlags(state, result, bits);
      return;
    }
    case Mnemonic.Imul: {
      const [left, right] = operands.length === 3 ? [read(from), read(third)] : [read(to), read(from)];
      if (operands.length === 1) break;
      state.write(to, bitwise(product, left, right, bits));
      return;
    }
    case Mnemonic.Push:
      push(state, read(to));
      return;
    case Mnemonic.Pop: {
      const value = state.load(state.registers[Register.Rsp], 8, image);
      state.moveStack(8);
      state.write(to, value);
      return;
    }
    case Mnemonic.Leave: {
      const frame = 5;
      state.set(Register.Rsp, state.registers[frame]);
      state.set(frame, state.load(state.registers[Register.Rsp], 8, image));
      state.moveStack(8);
      return;
    }
    case Mnemonic.Xchg: {
      const [left, right] = [read(to), read(from)];
      state.write(to, right);
      state.write(from, left);
      return;
    }
    default:
  }
  if (operands.length === 1 && bits === 8 && instruction.condition !== ConditionCode.None) {
    state.write(to, state.flags && conditionTerm(state.flags, instruction.condition));
    return;
  }
  if (instruction.flagsWritten === 0) state.flags = flagsBefore;
  forget(state, instruction);
}

/** Whatever an instruction without a rule may have changed. */
function forget(state: AbstractState, { operands }: Instruction): void {
  for (const operand of operands) {
    if (operand.kind === 'gpr' || operand.kind === 'memory') state.write(operand, undefined);
  }
  // Multiplications, divisions and string instructions change registers that they do not name.
  if (operands.length < 2 || operands.every(({ kind }) => kind === 'memory')) {
    for (const register of [0, 1, 2, 6, 7]) state.set(register, undefined);
  }
}

export function push(state: AbstractState, value: Value): void {
  state.moveStack(-8);
  state.store(state.registers[Register.Rsp], 8, value);
}

function bitsOf(operand: Operand | undefined): Bits {
  const bytes = operand?.kind === 'gpr' || operand?.kind === 'memory' ? operand.bytes : 8;
  return bytes === 1 ? 8 : bytes === 2 ? 16 : bytes === 4 ? 32 : 64;
}

function term(value: Value): Term | undefined {
  return value === undefined || 'to' in value ? undefined : value;
}

function extended(value: Value, from: Bits, to: Bits): Value {
  const known = term(value);
  return known && signExtended(known, from, to);
}

function bitwise(
  rule: (a: Term, b: Term, bits: Bits) => Term | undefined,
  left: Value,
  right: Value,
  bits: Bits,
): Term | undefined {
  const [a, b] = [term(left), term(right)];
  return a && b && rule(a, b, bits);
}

function shifted(mnemonic: Mnemonic, value: Term, by: Term, bits: Bits): Term | undefined {
  if (by.constant === undefined) return mnemonic === Mnemonic.Shl ? shiftedLeftBy(value, by, bits) : undefined;
  const count = Number(BigInt.asUintN(8, by.constant));
  const distance = count & (bits === 64 ? 63 : 31);
  switch (mnemonic) {
    case Mnemonic.Shl:
      return shiftedLeft(value, distance, bits);
    case Mnemonic.Shr:
    case Mnemonic.Sar:
      return shiftedRight(value, distance, bits, mnemonic === Mnemonic.Sar);
    case Mnemonic.Ror:
      return rotatedRight(value, distance % bits, bits);
    default:
      return rotatedRight(value, (bits - (distance % bits)) % bits, bits);
  }
}

function isSameRegister(a: Operand | undefined, b: Operand | undefined): boolean {
  return a?.kind === 'gpr' && b?.kind === 'gpr' && a.index === b.index && a.bytes === b.bytes && a.high === b.high;
}

function logical(state: AbstractState, to: Operand | undefined, result: Value, bits: Bits): void {
  state.write(to, result);
  compare(state, result, zero, bits);
}

function compare(state: AbstractState, left: Value, right: Value, bits: Bits): void {
  const [a, b] = [term(left), term(right)];
  state.flags = a && b && { kind: 'compared', left: a, right: b, bits };
}

function resultFlags(state: AbstractState, result: Value, bits: Bits): void {
  const value = term(result);
  state.flags = value && { kind: 'result', value, bits };
}
