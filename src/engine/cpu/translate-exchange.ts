/**
 * Exchanges, compare-and-exchange, byte order. `lock` needs nothing: one guest processor runs at a time.
 */
import { type Emitter, Import } from './emitter.ts';
import type { Instruction } from './instruction.ts';
import type { InstructionTable, InstructionTranslator, Translation } from './instruction-table.ts';
import { Flag } from './state.ts';
import { operandAt } from './translate-integer.ts';
import { Op, sized, WasmType } from './wasm-writer.ts';

function xchg(e: Emitter, i: Instruction): void {
  const first = operandAt(i, 0);
  const second = operandAt(i, 1);
  const [place, register] = second.kind === 'memory' ? [second, first] : [first, second];
  const bytes = e.sizeOf(place);
  const value = e.tempFor(bytes);
  e.pushOperand(register, bytes);
  e.code.set(value);
  if (place.kind === 'gpr') {
    const old = e.tempFor(bytes);
    e.pushOperand(place, bytes);
    e.code.set(old);
    e.storeOperand(place, bytes, value);
    e.storeOperand(register, bytes, old);
    return;
  }
  const previous = e.tempFor(bytes);
  e.modify(place, bytes, (old) => {
    e.code.get(old);
    e.code.set(previous);
    return value;
  });
  e.storeOperand(register, bytes, previous);
}

function xadd(e: Emitter, i: Instruction): void {
  const destination = operandAt(i, 0);
  const register = operandAt(i, 1);
  const bytes = e.sizeOf(destination);
  const b = e.tempFor(bytes);
  const previous = e.tempFor(bytes);
  e.pushOperand(register, bytes);
  e.code.set(b);
  const sum = (a: number): number => {
    const result = e.tempFor(bytes);
    e.code.get(a);
    e.code.tee(previous);
    e.code.get(b);
    e.op(Op.I32Add, bytes);
    e.clean(bytes);
    e.code.set(result);
    e.setFlags('add', bytes, { a, b, result });
    return result;
  };
  if (destination.kind === 'memory') {
    e.modify(destination, bytes, sum);
    e.storeOperand(register, bytes, previous);
    return;
  }
  // With the same register twice the sum is written last.
  const old = e.tempFor(bytes);
  e.pushOperand(destination, bytes);
  e.code.set(old);
  const result = sum(old);
  e.storeOperand(register, bytes, previous);
  e.storeOperand(destination, bytes, result);
}

/** A failed comparison loads the accumulator; it does not even clear the upper half of a 4-byte destination register. */
function cmpxchg(e: Emitter, i: Instruction): void {
  const { code } = e;
  const destination = operandAt(i, 0);
  const source = operandAt(i, 1);
  const bytes = e.sizeOf(destination);
  const expected = e.tempFor(bytes);
  const replacement = e.tempFor(bytes);
  const old = e.tempFor(bytes);
  const isEqual = e.temp(WasmType.I32);
  e.pushGpr(0, bytes);
  code.set(expected);
  e.pushOperand(source, bytes);
  code.set(replacement);
  const compare = (before: number): void => {
    code.get(before);
    code.tee(old);
    code.get(expected);
    code.op(sized(Op.I32Eq, bytes));
    code.set(isEqual);
  };
  if (destination.kind === 'gpr') {
    const before = e.tempFor(bytes);
    e.pushOperand(destination, bytes);
    code.set(before);
    compare(before);
    code.get(isEqual);
    code.if();
    e.storeOperand(destination, bytes, replacement);
    code.end();
  } else {
    e.modify(destination, bytes, (before) => {
      const result = e.tempFor(bytes);
      compare(before);
      code.get(replacement);
      code.get(before);
      code.get(isEqual);
      code.op(Op.Select);
      code.set(result);
      return result;
    });
  }
  code.get(isEqual);
  code.op(Op.I32Eqz);
  code.if();
  code.get(old);
  e.popGpr(0, bytes);
  code.end();
  const difference = e.tempFor(bytes);
  code.get(expected);
  code.get(old);
  e.op(Op.I32Sub, bytes);
  e.clean(bytes);
  code.set(difference);
  e.setFlags('sub', bytes, { a: expected, b: old, result: difference });
}

/** `cmpxchg8b` and `cmpxchg16b`: RDX:RAX against memory, RCX:RBX into it. Only ZF changes. */
function cmpxchgPair(bytes: 4 | 8): InstructionTranslator {
  return (e, i) => {
    const { code } = e;
    const memory = operandAt(i, 0);
    if (memory.kind !== 'memory') return false;
    const address = e.temp(WasmType.I64);
    e.pushAddress(memory);
    code.set(address);
    if (bytes === 8) e.requireAligned(address, 16);
    code.get(address);
    const offset = e.translate(bytes * 2, Import.SlowModify);
    const low = e.tempFor(bytes);
    const high = e.tempFor(bytes);
    const isEqual = e.temp(WasmType.I32);
    const load = bytes === 8 ? Op.I64Load : Op.I32Load;
    const store = bytes === 8 ? Op.I64Store : Op.I32Store;
    code.get(offset);
    code.memory(load);
    code.tee(low);
    e.pushGpr(0, bytes);
    code.op(sized(Op.I32Eq, bytes));
    code.get(offset);
    code.memory(load, bytes);
    code.tee(high);
    e.pushGpr(2, bytes);
    code.op(sized(Op.I32Eq, bytes), Op.I32And);
    code.set(isEqual);
    code.get(isEqual);
    code.if();
    code.get(offset);
    e.pushGpr(3, bytes);
    code.memory(store);
    code.get(offset);
    e.pushGpr(1, bytes);
    code.memory(store, bytes);
    code.else();
    code.get(low);
    e.popGpr(0, bytes);
    code.get(high);
    e.popGpr(2, bytes);
    code.end();
    e.commit(offset);
    e.setFlag(Flag.Zf, () => code.get(isEqual));
  };
}

function bswap(e: Emitter, i: Instruction): void {
  const { code } = e;
  const operand = operandAt(i, 0);
  if (operand.kind !== 'gpr') return;
  const { bytes, index } = operand;
  if (bytes === 2) {
    // Undefined by the manual; processors clear the register's low half.
    e.constant(0, 2);
    e.popGpr(index, 2);
    return;
  }
  const value = e.tempFor(bytes);
  e.pushGpr(index, bytes);
  code.set(value);
  const swap = (mask: number | bigint, bits: number): void => {
    code.get(value);
    e.constant(bits, bytes);
    e.op(Op.I32ShrU, bytes);
    e.constant(mask, bytes);
    e.op(Op.I32And, bytes);
    code.get(value);
    e.constant(mask, bytes);
    e.op(Op.I32And, bytes);
    e.constant(bits, bytes);
    e.op(Op.I32Shl, bytes);
    e.op(Op.I32Or, bytes);
    code.set(value);
  };
  swap(bytes === 8 ? 0x00ff_00ff_00ff_00ffn : 0x00ff_00ff, 8);
  if (bytes === 8) swap(0x0000_ffff_0000_ffffn, 16);
  code.get(value);
  e.constant(bytes === 8 ? 32 : 16, bytes);
  e.op(Op.I32Rotl, bytes);
  e.popGpr(index, bytes);
}

/** `movbe`: a byte-swapping move. */
function movbe(e: Emitter, i: Instruction): Translation {
  const destination = operandAt(i, 0);
  const source = operandAt(i, 1);
  const bytes = e.sizeOf(destination);
  const value = e.tempFor(bytes);
  const swapped = e.tempFor(bytes);
  e.pushOperand(source, bytes);
  e.code.set(value);
  e.constant(0, bytes);
  for (let index = 0; index < bytes; index++) {
    e.constant(8, bytes);
    e.op(Op.I32Shl, bytes);
    e.code.get(value);
    e.constant(index * 8, bytes);
    e.op(Op.I32ShrU, bytes);
    e.constant(0xff, bytes);
    e.op(Op.I32And, bytes);
    e.op(Op.I32Or, bytes);
  }
  e.code.set(swapped);
  e.storeOperand(destination, bytes, swapped);
}

export const exchangeTable: InstructionTable = {
  Xchg: xchg,
  Bswap: bswap,
  Movbe: movbe,
  Xadd: xadd,
  Cmpxchg: cmpxchg,
  Cmpxchg8b: cmpxchgPair(4),
  Cmpxchg16b: cmpxchgPair(8),
};
