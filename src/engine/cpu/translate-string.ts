/**
 * String instructions. A repeated one counts as one retired instruction. It works page by page: RCX, RSI and RDI are
 * up to date whenever something in it faults, so it goes on where it stopped (`string-repetition.ts`).
 * Reference: Intel SDM volume 2, "MOVS", "STOS", "LODS", "CMPS", "SCAS".
 */
import { type Emitter, Import, type OperandBytes } from './emitter.ts';
import { type FlagOperation, pushFlag } from './flag-formulas.ts';
import type { Instruction } from './instruction.ts';
import type { InstructionTable, InstructionTranslator, Translation } from './instruction-table.ts';
import { elementwise } from './slow-access.ts';
import { Flag, Gpr } from './state.ts';
import {
  advance,
  advanceByChunk,
  countDown,
  elementStep,
  limit,
  noChunkIf,
  pushChunkBytes,
  pushManyBytes,
  pushSource,
  repeat,
  type StringOperation,
  setChunk,
} from './string-repetition.ts';
import { Op, WasmType } from './wasm-writer.ts';

function stringInstruction(
  bytes: OperandBytes,
  emit: (e: Emitter, i: Instruction, operation: StringOperation) => Translation,
): InstructionTranslator {
  return (e, i) => {
    let usesSource = false;
    let usesDestination = false;
    for (const operand of i.operands) {
      if (operand.kind === 'xmm') return false;
      if (operand.kind !== 'memory') continue;
      if (operand.addressBytes !== 8) return false;
      if (operand.base === Gpr.Rsi) usesSource = true;
      if (operand.base === Gpr.Rdi) usesDestination = true;
    }
    return emit(e, i, { bytes, usesSource, usesDestination });
  };
}

function movs(e: Emitter, i: Instruction, operation: StringOperation): void {
  const { code } = e;
  const { bytes } = operation;
  const step = elementStep(e, bytes);
  const value = e.tempFor(bytes);
  const one = (): void => {
    pushSource(e, i);
    e.loadPopped(bytes);
    code.set(value);
    e.flow.get(Gpr.Rdi);
    e.storePopped(bytes, () => code.get(value));
    advance(e, Gpr.Rsi, step);
    advance(e, Gpr.Rdi, step);
  };
  repeat(e, i, operation, (done) => {
    if (done === undefined) return one();
    const chunk = setChunk(e, bytes, [() => pushSource(e, i), () => e.flow.get(Gpr.Rdi)]);
    code.get(chunk);
    code.if();
    pushSource(e, i);
    const from = e.translate(bytes, Import.SlowLoad, () => pushManyBytes(e, chunk, bytes));
    e.flow.get(Gpr.Rdi);
    const to = e.translate(bytes, Import.SlowModify, () => pushManyBytes(e, chunk, bytes));
    code.get(from);
    code.i32(elementwise);
    code.op(Op.I32Eq);
    code.get(to);
    code.i32(elementwise);
    code.op(Op.I32Eq, Op.I32Or);
    noChunkIf(e, chunk);
    code.end();
    code.get(chunk);
    code.op(Op.I32Eqz);
    code.if();
    one();
    countDown(e, () => code.i64(1));
    code.else();
    // A destination just above the source repeats what lies between them: never copy more than that at once.
    const gap = e.temp(WasmType.I32);
    code.get(to);
    code.get(from);
    code.op(Op.I32Sub);
    code.i32(Math.log2(bytes));
    code.op(Op.I32ShrU);
    code.tee(gap);
    code.i32(1);
    code.get(gap);
    code.op(Op.Select);
    code.set(gap);
    limit(e, chunk, () => code.get(gap));
    code.get(to);
    code.get(from);
    pushChunkBytes(e, chunk, bytes);
    code.bulk(10);
    advanceByChunk(e, Gpr.Rsi, chunk, bytes);
    advanceByChunk(e, Gpr.Rdi, chunk, bytes);
    countDown(e, () => {
      code.get(chunk);
      code.op(Op.I64ExtendI32U);
    });
    code.end();
  });
}

function stos(e: Emitter, i: Instruction, operation: StringOperation): void {
  const { code } = e;
  const { bytes } = operation;
  const step = elementStep(e, bytes);
  const value = e.tempFor(bytes);
  e.pushGpr(Gpr.Rax, bytes);
  code.set(value);
  const one = (): void => {
    e.flow.get(Gpr.Rdi);
    e.storePopped(bytes, () => code.get(value));
    advance(e, Gpr.Rdi, step);
  };
  repeat(e, i, operation, (done) => {
    if (done === undefined) return one();
    const chunk = setChunk(e, bytes, [() => e.flow.get(Gpr.Rdi)]);
    code.get(chunk);
    code.if();
    e.flow.get(Gpr.Rdi);
    const to = e.translate(bytes, Import.SlowModify, () => pushManyBytes(e, chunk, bytes));
    code.get(to);
    code.i32(elementwise);
    code.op(Op.I32Eq);
    noChunkIf(e, chunk);
    code.end();
    code.get(chunk);
    code.op(Op.I32Eqz);
    code.if();
    one();
    countDown(e, () => code.i64(1));
    code.else();
    fillChunk(e, to, chunk, value, bytes);
    advanceByChunk(e, Gpr.Rdi, chunk, bytes);
    countDown(e, () => {
      code.get(chunk);
      code.op(Op.I64ExtendI32U);
    });
    code.end();
  });
}

/** Stores a value `chunk` times from offset `to`: the first one, then copies of what is there already. */
function fillChunk(e: Emitter, to: number, chunk: number, value: number, bytes: OperandBytes): void {
  const { code } = e;
  if (bytes === 1) {
    code.get(to);
    code.get(value);
    code.get(chunk);
    code.bulk(11);
    return;
  }
  const filled = e.temp(WasmType.I32);
  const total = e.temp(WasmType.I32);
  pushChunkBytes(e, chunk, bytes);
  code.set(total);
  code.get(to);
  code.get(value);
  e.storeAt(bytes);
  code.i32(bytes);
  code.set(filled);
  const done = code.block();
  const again = code.loop();
  code.get(filled);
  code.get(total);
  code.op(Op.I32GeU);
  code.brIf(done);
  code.get(to);
  code.get(filled);
  code.op(Op.I32Add);
  code.get(to);
  // min(filled, total - filled)
  code.get(filled);
  code.get(total);
  code.get(filled);
  code.op(Op.I32Sub);
  code.get(filled);
  code.get(total);
  code.get(filled);
  code.op(Op.I32Sub, Op.I32LtU, Op.Select);
  code.bulk(10);
  code.get(filled);
  code.i32(1);
  code.op(Op.I32Shl);
  code.set(filled);
  code.br(again);
  code.end();
  code.end();
}

function lods(e: Emitter, i: Instruction, operation: StringOperation): void {
  const { bytes } = operation;
  if (i.rep !== undefined) e.flow.touch(Gpr.Rax);
  const step = elementStep(e, bytes);
  repeat(e, i, operation, (done) => {
    pushSource(e, i);
    e.loadPopped(bytes);
    e.popGpr(Gpr.Rax, bytes);
    advance(e, Gpr.Rsi, step);
    if (done !== undefined) countDown(e, () => e.code.i64(1));
  });
}

/** CMPS compares [RSI] with [RDI], SCAS the accumulator with [RDI]; repeated while (not) equal. */
function compareStrings(e: Emitter, i: Instruction, operation: StringOperation): void {
  const { code } = e;
  const { bytes } = operation;
  const step = elementStep(e, bytes);
  const a = e.tempFor(bytes);
  const b = e.tempFor(bytes);
  const result = e.tempFor(bytes);
  const compared = e.temp(WasmType.I32);
  const isRepeated = i.rep !== undefined;
  if (isRepeated) {
    e.flags.put(e.flagsAfter);
    code.i32(0);
    code.set(compared);
  }
  repeat(e, i, operation, (done) => {
    if (operation.usesSource) {
      pushSource(e, i);
      e.loadPopped(bytes);
    } else {
      e.pushGpr(Gpr.Rax, bytes);
    }
    code.set(a);
    e.flow.get(Gpr.Rdi);
    e.loadPopped(bytes);
    code.set(b);
    if (operation.usesSource) advance(e, Gpr.Rsi, step);
    advance(e, Gpr.Rdi, step);
    if (done === undefined) return;
    countDown(e, () => code.i64(1));
    code.i32(1);
    code.set(compared);
    code.get(a);
    code.get(b);
    e.op(i.rep === 'repne' ? Op.I32Eq : Op.I32Ne, bytes);
    code.brIf(done);
  });
  code.get(a);
  code.get(b);
  e.op(Op.I32Sub, bytes);
  e.clean(bytes);
  code.set(result);
  if (!isRepeated) {
    e.setFlags('sub', bytes, { a, b, result });
    return;
  }
  const flags: FlagOperation = { kind: 'sub', bytes, a, b, result };
  code.get(compared);
  code.if();
  for (const flag of [Flag.Cf, Flag.Pf, Flag.Af, Flag.Zf, Flag.Sf, Flag.Of]) {
    e.setFlag(flag, () => pushFlag(code, flags, flag));
  }
  code.end();
}

export const stringTable: InstructionTable = {
  Movsb: stringInstruction(1, movs),
  Movsw: stringInstruction(2, movs),
  Movsd: stringInstruction(4, movs),
  Movsq: stringInstruction(8, movs),
  Stosb: stringInstruction(1, stos),
  Stosw: stringInstruction(2, stos),
  Stosd: stringInstruction(4, stos),
  Stosq: stringInstruction(8, stos),
  Lodsb: stringInstruction(1, lods),
  Lodsw: stringInstruction(2, lods),
  Lodsd: stringInstruction(4, lods),
  Lodsq: stringInstruction(8, lods),
  Cmpsb: stringInstruction(1, compareStrings),
  Cmpsw: stringInstruction(2, compareStrings),
  Cmpsd: stringInstruction(4, compareStrings),
  Cmpsq: stringInstruction(8, compareStrings),
  Scasb: stringInstruction(1, compareStrings),
  Scasw: stringInstruction(2, compareStrings),
  Scasd: stringInstruction(4, compareStrings),
  Scasq: stringInstruction(8, compareStrings),
};
