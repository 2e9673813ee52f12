/**
 * SSE and SSE2 but for the moves, all tables together. XMM registers stand in the CPU state.
 * Reference: Intel SDM volume 2.
 */
import { assert } from '../../base/errors.ts';
import type { Emitter } from './emitter.ts';
import type { Instruction } from './instruction.ts';
import type { InstructionTable, InstructionTranslator } from './instruction-table.ts';
import { Simd } from './simd.ts';
import { operandAt, xmmAt } from './sse-operands.ts';
import { sseFloatTable } from './translate-sse-float.ts';
import { sseIntegerTable } from './translate-sse-integer.ts';
import { WasmType } from './wasm-writer.ts';

/** maskmovdqu: bytes whose mask has the sign bit; the others are written back as they are. */
function moveMasked(emitter: Emitter, instruction: Instruction): void {
  const { code } = emitter;
  const memory = operandAt(instruction, 0);
  assert(memory.kind === 'memory', 'the destination is memory');
  const value = emitter.temp(WasmType.V128);
  emitter.pushXmm(xmmAt(instruction, 1));
  emitter.load(memory, 16);
  emitter.pushXmm(xmmAt(instruction, 2));
  code.i32(7);
  code.simd(Simd.I8x16ShrS);
  code.simd(Simd.BitSelect);
  code.set(value);
  emitter.store(memory, 16, value);
}

/** MMX forms share mnemonics and have `other` operands; CMPSD is also a string instruction, without XMM operands. */
function exceptMmxAndString(translator: InstructionTranslator): InstructionTranslator {
  return (emitter, instruction) => {
    const kinds = instruction.operands.map(({ kind }) => kind);
    const isString = kinds.length > 0 && kinds.every((kind) => kind === 'memory') && instruction.operands.length === 2;
    return kinds.includes('other') || isString ? false : translator(emitter, instruction);
  };
}

export const sseTable: InstructionTable = Object.fromEntries(
  Object.entries({ ...sseIntegerTable, ...sseFloatTable, Maskmovdqu: moveMasked }).map(([name, translator]) => [
    name,
    exceptMmxAndString(translator),
  ]),
);
