/**
 * Moves, arithmetic, logic and comparisons on general registers and memory.
 */
import type { Emitter, OperandBytes } from './emitter.ts';
import type { FlagsKind } from './flag-formulas.ts';
import { Register } from './iced.ts';
import type { Instruction, Operand } from './instruction.ts';
import type { InstructionTable, InstructionTranslator, Translation } from './instruction-table.ts';
import { Flag, StateOffset } from './state.ts';
import { controlRegister8 } from './unit.ts';
import { Op, WasmType } from './wasm-writer.ts';

const allButCf = 0x3f & ~(1 << Flag.Cf);

export function operandAt(instruction: Instruction, index: number): Operand {
  const operand = instruction.operands[index];
  if (!operand) throw new RangeError(`no operand ${index}`);
  return operand;
}

/** `destination = destination op source`; comparisons compute and drop the result. */
function binary(opcode: number, kind: FlagsKind, isComparison = false): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    const source = operandAt(i, 1);
    const bytes = e.sizeOf(destination);
    const b = e.tempFor(bytes);
    const compute = (a: number): number => {
      const result = e.tempFor(bytes);
      e.code.get(a);
      e.code.get(b);
      e.op(opcode, bytes);
      if (opcode === Op.I32Add || opcode === Op.I32Sub) e.clean(bytes);
      e.code.set(result);
      e.setFlags(kind, bytes, { a, b, result });
      return result;
    };
    if (isClear(destination, source, opcode) && !isComparison) {
      const zero = e.tempFor(bytes);
      e.constant(0, bytes);
      e.code.set(zero);
      e.setFlags('logic', bytes, { a: zero, result: zero });
      e.storeOperand(destination, bytes, zero);
      return;
    }
    if (isComparison) {
      const a = e.tempFor(bytes);
      e.pushOperand(destination, bytes);
      e.code.set(a);
      e.pushOperand(source, bytes);
      e.code.set(b);
      compute(a);
      return;
    }
    e.pushOperand(source, bytes);
    e.code.set(b);
    e.modify(destination, bytes, compute);
  };
}

/** `xor r, r` and `sub r, r`: the idiom for zero, which reads nothing. */
function isClear(destination: Operand, source: Operand, opcode: number): boolean {
  return (
    (opcode === Op.I32Xor || opcode === Op.I32Sub) &&
    destination.kind === 'gpr' &&
    source.kind === 'gpr' &&
    destination.index === source.index &&
    destination.high === source.high &&
    destination.bytes >= 4
  );
}

function withCarry(isAdd: boolean): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    const b = e.tempFor(bytes);
    const carry = e.tempFor(bytes);
    e.flags.push(Flag.Cf);
    if (bytes === 8) e.code.op(Op.I64ExtendI32U);
    e.code.set(carry);
    e.pushOperand(operandAt(i, 1), bytes);
    e.code.set(b);
    e.modify(destination, bytes, (a) => {
      const result = e.tempFor(bytes);
      const opcode = isAdd ? Op.I32Add : Op.I32Sub;
      e.code.get(a);
      e.code.get(b);
      e.op(opcode, bytes);
      e.code.get(carry);
      e.op(opcode, bytes);
      e.clean(bytes);
      e.code.set(result);
      e.setFlags(isAdd ? 'adc' : 'sbb', bytes, { a, b, result });
      return result;
    });
  };
}

function step(opcode: number, kind: FlagsKind): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    const bytes = e.sizeOf(destination);
    const b = e.tempFor(bytes);
    e.constant(1, bytes);
    e.code.set(b);
    e.modify(destination, bytes, (a) => {
      const result = e.tempFor(bytes);
      e.code.get(a);
      e.code.get(b);
      e.op(opcode, bytes);
      e.clean(bytes);
      e.code.set(result);
      e.setFlags(kind, bytes, { a, b, result }, allButCf);
      return result;
    });
  };
}

function neg(e: Emitter, i: Instruction): void {
  const destination = operandAt(i, 0);
  const bytes = e.sizeOf(destination);
  const zero = e.tempFor(bytes);
  e.constant(0, bytes);
  e.code.set(zero);
  e.modify(destination, bytes, (old) => {
    const result = e.tempFor(bytes);
    e.code.get(zero);
    e.code.get(old);
    e.op(Op.I32Sub, bytes);
    e.clean(bytes);
    e.code.set(result);
    e.setFlags('sub', bytes, { a: zero, b: old, result });
    return result;
  });
}

function not(e: Emitter, i: Instruction): void {
  const destination = operandAt(i, 0);
  const bytes = e.sizeOf(destination);
  e.modify(destination, bytes, (old) => {
    const result = e.tempFor(bytes);
    e.code.get(old);
    e.constant(-1, bytes);
    e.op(Op.I32Xor, bytes);
    e.code.set(result);
    return result;
  });
}

function mov(e: Emitter, i: Instruction): Translation {
  const destination = operandAt(i, 0);
  const source = operandAt(i, 1);
  if (source.kind === 'other') return movFromSystemRegister(e, destination, source.register);
  if (destination.kind === 'other') return false;
  const bytes = e.sizeOf(destination);
  if (destination.kind === 'gpr') {
    e.pushOperand(source, bytes);
    e.popGpr(destination.index, bytes, destination.high);
    return;
  }
  const value = e.tempFor(bytes);
  e.pushOperand(source, bytes);
  e.code.set(value);
  e.storeOperand(destination, bytes, value);
}

/** CR8 and segment selectors as 64-bit Windows has them in kernel mode. */
function movFromSystemRegister(e: Emitter, destination: Operand, register: number): Translation {
  const selectors: Readonly<Record<number, number>> = {
    [Register.CS]: 0x10,
    [Register.SS]: 0x18,
    [Register.DS]: 0x2b,
    [Register.ES]: 0x2b,
    [Register.FS]: 0x53,
    [Register.GS]: 0x2b,
  };
  const selector = selectors[register];
  if (register === controlRegister8 && destination.kind === 'gpr') {
    e.pushState32(StateOffset.Cr8);
    e.code.op(Op.I64ExtendI32U);
    e.popGpr(destination.index, 8);
    return;
  }
  if (selector === undefined) return false;
  if (destination.kind === 'gpr') {
    e.constant(selector, destination.bytes);
    e.popGpr(destination.index, destination.bytes);
    return;
  }
  const value = e.tempFor(2);
  e.constant(selector, 2);
  e.code.set(value);
  e.storeOperand(destination, 2, value);
}

function extend(isSigned: boolean): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    const source = operandAt(i, 1);
    const from = e.sizeOf(source);
    const to = e.sizeOf(destination);
    e.pushOperand(source, from);
    if (isSigned) e.signExtend(from, to);
    else e.resize(from, to);
    if (destination.kind === 'gpr') e.popGpr(destination.index, to);
  };
}

function lea(e: Emitter, i: Instruction): void {
  const destination = operandAt(i, 0);
  const memory = operandAt(i, 1);
  if (destination.kind !== 'gpr' || memory.kind !== 'memory') return;
  e.pushEffectiveAddress(memory);
  e.resize(8, destination.bytes);
  e.popGpr(destination.index, destination.bytes);
}

/** AL to AX, AX to EAX, EAX to RAX. */
function widenAccumulator(from: OperandBytes, to: OperandBytes): InstructionTranslator {
  return (e) => {
    e.pushGpr(0, from);
    e.signExtend(from, to);
    e.popGpr(0, to);
  };
}

/** The accumulator's sign into DX, EDX, RDX. */
function widenIntoRdx(bytes: OperandBytes): InstructionTranslator {
  return (e) => {
    e.pushGpr(0, bytes);
    if (bytes === 2) e.code.op(Op.I32Extend16S);
    e.constant(bytes === 8 ? 63 : 31, bytes === 8 ? 8 : 4);
    e.op(Op.I32ShrS, bytes);
    e.clean(bytes);
    e.popGpr(2, bytes);
  };
}

function setcc(e: Emitter, i: Instruction): void {
  const value = e.temp(WasmType.I32);
  e.flags.pushCondition(i.condition);
  e.code.set(value);
  e.storeOperand(operandAt(i, 0), 1, value);
}

/** The source is read even if it is not moved; a 4-byte form clears the upper half in either case. */
function cmovcc(e: Emitter, i: Instruction): Translation {
  const destination = operandAt(i, 0);
  if (destination.kind !== 'gpr') return false;
  const { bytes } = destination;
  const value = e.tempFor(bytes);
  e.pushOperand(operandAt(i, 1), bytes);
  e.code.set(value);
  e.code.get(value);
  e.pushGpr(destination.index, bytes);
  e.flags.pushCondition(i.condition);
  e.code.op(Op.Select);
  e.popGpr(destination.index, bytes);
}

const nothing: InstructionTranslator = () => {};

function forAll<Name extends string>(names: readonly Name[], translator: InstructionTranslator) {
  return Object.fromEntries(names.map((name) => [name, translator])) as Record<Name, InstructionTranslator>;
}

export const integerTable: InstructionTable = {
  Mov: mov,
  Movnti: mov,
  Movzx: extend(false),
  Movsx: extend(true),
  Movsxd: extend(true),
  Lea: lea,
  Add: binary(Op.I32Add, 'add'),
  Sub: binary(Op.I32Sub, 'sub'),
  And: binary(Op.I32And, 'logic'),
  Or: binary(Op.I32Or, 'logic'),
  Xor: binary(Op.I32Xor, 'logic'),
  Cmp: binary(Op.I32Sub, 'sub', true),
  Test: binary(Op.I32And, 'logic', true),
  Adc: withCarry(true),
  Sbb: withCarry(false),
  Inc: step(Op.I32Add, 'add'),
  Dec: step(Op.I32Sub, 'sub'),
  Neg: neg,
  Not: not,
  Cbw: widenAccumulator(1, 2),
  Cwde: widenAccumulator(2, 4),
  Cdqe: widenAccumulator(4, 8),
  Cwd: widenIntoRdx(2),
  Cdq: widenIntoRdx(4),
  Cqo: widenIntoRdx(8),
  ...forAll(
    [
      'Seta',
      'Setae',
      'Setb',
      'Setbe',
      'Sete',
      'Setg',
      'Setge',
      'Setl',
      'Setle',
      'Setne',
      'Setno',
      'Setnp',
      'Setns',
      'Seto',
      'Setp',
      'Sets',
    ],
    setcc,
  ),
  ...forAll(
    [
      'Cmova',
      'Cmovae',
      'Cmovb',
      'Cmovbe',
      'Cmove',
      'Cmovg',
      'Cmovge',
      'Cmovl',
      'Cmovle',
      'Cmovne',
      'Cmovno',
      'Cmovnp',
      'Cmovns',
      'Cmovo',
      'Cmovp',
      'Cmovs',
    ],
    cmovcc,
  ),
  ...forAll(
    [
      'Nop',
      'Reservednop',
      'Pause',
      'Mfence',
      'Lfence',
      'Sfence',
      'Endbr64',
      'Endbr32',
      'Prefetcht0',
      'Prefetcht1',
      'Prefetcht2',
      'Prefetchnta',
      'Prefetchw',
      'Prefetch',
      'Clflush',
      'Clflushopt',
      'Serialize',
    ],
    nothing,
  ),
};
