/**
 * Single bits, and counting them.
 * Reference: Intel SDM volume 2, "BT", "BSF", "BSR", "TZCNT", "LZCNT", "POPCNT".
 */
import type { Emitter, OperandBytes } from './emitter.ts';
import { Import } from './emitter.ts';
import type { Instruction, Operand } from './instruction.ts';
import type { InstructionTable, InstructionTranslator, Translation } from './instruction-table.ts';
import { Flag } from './state.ts';
import { operandAt } from './translate-integer.ts';
import { Op, WasmType } from './wasm-writer.ts';

type BitChange = 'none' | 'set' | 'reset' | 'complement';

/** BT, BTS, BTR, BTC: the bit goes to CF. */
function bitTest(change: BitChange): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    const source = operandAt(i, 1);
    const bytes = e.sizeOf(destination);
    const index = e.tempFor(bytes);
    e.pushOperand(source, bytes);
    e.code.set(index);
    if (destination.kind === 'memory' && source.kind === 'gpr') return bitTestFar(e, destination, bytes, index, change);
    e.code.get(index);
    maskIndex(e, bytes);
    e.code.set(index);
    if (change === 'none') {
      const value = e.tempFor(bytes);
      e.pushOperand(destination, bytes);
      e.code.set(value);
      setCarryToBit(e, value, index, bytes);
      return;
    }
    e.modify(destination, bytes, (old) => {
      setCarryToBit(e, old, index, bytes);
      return changedBit(e, old, index, bytes, change);
    });
  };
}

/** A register index reaches beyond the operand in memory, in both directions. */
function bitTestFar(e: Emitter, operand: Operand, bytes: OperandBytes, index: number, change: BitChange): void {
  const { code } = e;
  if (operand.kind !== 'memory') return;
  e.pushAddress(operand);
  code.get(index);
  e.signExtend(bytes, 8);
  code.i64(Math.log2(bytes * 8));
  code.op(Op.I64ShrS);
  code.i64(Math.log2(bytes));
  code.op(Op.I64Shl, Op.I64Add);
  const offset = e.translate(bytes, change === 'none' ? Import.SlowLoad : Import.SlowModify);
  const old = e.tempFor(bytes);
  code.get(offset);
  e.loadAt(bytes);
  code.set(old);
  code.get(index);
  maskIndex(e, bytes);
  code.set(index);
  setCarryToBit(e, old, index, bytes);
  if (change === 'none') return;
  const changed = changedBit(e, old, index, bytes, change);
  code.get(offset);
  code.get(changed);
  e.storeAt(bytes);
  e.commit(offset);
}

function maskIndex(e: Emitter, bytes: number): void {
  e.constant(bytes * 8 - 1, bytes);
  e.op(Op.I32And, bytes);
}

function setCarryToBit(e: Emitter, value: number, index: number, bytes: number): void {
  e.setFlag(Flag.Cf, () => {
    e.code.get(value);
    e.code.get(index);
    e.op(Op.I32ShrU, bytes);
    if (bytes === 8) e.code.op(Op.I32WrapI64);
    e.code.i32(1);
    e.code.op(Op.I32And);
  });
}

function changedBit(e: Emitter, old: number, index: number, bytes: number, change: BitChange): number {
  const { code } = e;
  const result = e.tempFor(bytes);
  code.get(old);
  e.constant(1, Math.max(bytes, 4));
  code.get(index);
  e.op(Op.I32Shl, bytes);
  if (change === 'reset') {
    e.constant(-1, Math.max(bytes, 4));
    e.op(Op.I32Xor, bytes);
  }
  e.op(change === 'set' ? Op.I32Or : change === 'reset' ? Op.I32And : Op.I32Xor, bytes);
  code.set(result);
  return result;
}

/** BSF and BSR: with a source of zero, ZF is set and the destination keeps its value. */
function bitScan(isReverse: boolean): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    if (destination.kind !== 'gpr') return false;
    const { bytes } = destination;
    const { code } = e;
    const value = e.tempFor(bytes);
    e.pushOperand(operandAt(i, 1), bytes);
    code.set(value);
    e.setFlag(Flag.Zf, () => {
      code.get(value);
      e.op(Op.I32Eqz, bytes);
    });
    code.get(value);
    e.op(Op.I32Eqz, bytes);
    code.op(Op.I32Eqz);
    code.if();
    if (isReverse) {
      e.constant(bytes === 8 ? 63 : 31, Math.max(bytes, 4));
      code.get(value);
      e.op(Op.I32Clz, bytes);
      e.op(Op.I32Sub, bytes);
    } else {
      code.get(value);
      e.op(Op.I32Ctz, bytes);
    }
    e.popGpr(destination.index, bytes);
    code.end();
  };
}

/** TZCNT, LZCNT: CF if the source is zero, ZF if the count is. */
function countZeros(isLeading: boolean): InstructionTranslator {
  return (e, i) => {
    const destination = operandAt(i, 0);
    if (destination.kind !== 'gpr') return false;
    const { bytes } = destination;
    const { code } = e;
    const value = e.tempFor(bytes);
    const count = e.tempFor(bytes);
    e.pushOperand(operandAt(i, 1), bytes);
    code.set(value);
    code.get(value);
    if (bytes === 2) {
      // A sentinel beyond (or a smaller width) makes a source of zero count 16.
      code.i32(isLeading ? 16 : 0x1_0000);
      code.op(isLeading ? Op.I32Shl : Op.I32Or);
      if (isLeading) {
        code.i32(0x8000);
        code.op(Op.I32Or);
      }
    }
    e.op(isLeading ? Op.I32Clz : Op.I32Ctz, bytes);
    code.set(count);
    e.setFlag(Flag.Cf, () => {
      code.get(value);
      e.op(Op.I32Eqz, bytes);
    });
    e.setFlag(Flag.Zf, () => {
      code.get(count);
      e.op(Op.I32Eqz, bytes);
    });
    code.get(count);
    e.popGpr(destination.index, bytes);
  };
}

function popcnt(e: Emitter, i: Instruction): Translation {
  const destination = operandAt(i, 0);
  if (destination.kind !== 'gpr') return false;
  const { bytes } = destination;
  const { code } = e;
  const value = e.tempFor(bytes);
  e.pushOperand(operandAt(i, 1), bytes);
  code.set(value);
  code.get(value);
  e.op(Op.I32Popcnt, bytes);
  e.popGpr(destination.index, bytes);
  e.setFlag(Flag.Zf, () => {
    code.get(value);
    e.op(Op.I32Eqz, bytes);
  });
  for (const flag of [Flag.Cf, Flag.Pf, Flag.Af, Flag.Sf, Flag.Of]) e.setFlag(flag, () => code.i32(0));
}

/** `xlatb`: AL = [RBX + AL]. */
function xlatb(e: Emitter, i: Instruction): Translation {
  const memory = operandAt(i, 0);
  if (memory.kind !== 'memory' || memory.addressBytes !== 8) return false;
  const address = e.temp(WasmType.I64);
  e.pushAddress({ ...memory, index: -1 });
  e.pushGpr(0, 1);
  e.code.op(Op.I64ExtendI32U, Op.I64Add);
  e.code.set(address);
  e.code.get(address);
  e.loadPopped(1);
  e.popGpr(0, 1);
}

export const bitsTable: InstructionTable = {
  Bt: bitTest('none'),
  Bts: bitTest('set'),
  Btr: bitTest('reset'),
  Btc: bitTest('complement'),
  Bsf: bitScan(false),
  Bsr: bitScan(true),
  Tzcnt: countZeros(false),
  Lzcnt: countZeros(true),
  Popcnt: popcnt,
  Xlatb: xlatb,
};
