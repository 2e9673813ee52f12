/** Operands of SSE instructions. */
import { assert } from '../../base/errors.ts';
import type { Emitter } from './emitter.ts';
import type { Instruction, MemoryOperand, Operand } from './instruction.ts';
import { Simd } from './simd.ts';
import { WasmType } from './wasm-writer.ts';

/** Translates one instruction between `Emitter.begin` and `Emitter.finish`. */
export type SseTranslation = (emitter: Emitter, instruction: Instruction) => void;

/** Operand `index`, which the instruction has. */
export function operandAt(instruction: Instruction, index: number): Operand {
  const operand = instruction.operands[index];
  assert(operand !== undefined, 'the operand exists');
  return operand;
}

/** Number of the XMM register that operand `index` is. */
export function xmmAt(instruction: Instruction, index: number): number {
  const operand = operandAt(instruction, index);
  assert(operand.kind === 'xmm', 'an XMM operand');
  return operand.index;
}

/** The 8-bit immediate that operand `index` is, unsigned. */
export function immediateAt(instruction: Instruction, index: number): number {
  const operand = operandAt(instruction, index);
  assert(operand.kind === 'immediate' && typeof operand.value === 'number', 'an immediate operand');
  return operand.value & 0xff;
}

/** Pushes a 16-byte operand as v128; memory that is not aligned to 16 raises #GP if `isAligned` asks so. */
export function pushVector(emitter: Emitter, operand: Operand, isAligned = true): void {
  if (operand.kind === 'xmm') {
    emitter.pushXmm(operand.index);
    return;
  }
  assert(operand.kind === 'memory', 'an XMM or memory operand');
  if (!isAligned) {
    emitter.load(operand, 16);
    return;
  }
  emitter.code.get(alignedAddress(emitter, operand));
  emitter.loadPopped(16);
}

/** Pushes an operand as v128 of which only the low `bytes` (4 or 8) count; those above are zero if it is memory. */
export function pushLow(emitter: Emitter, operand: Operand, bytes: 4 | 8): void {
  if (operand.kind === 'xmm') {
    emitter.pushXmm(operand.index);
    return;
  }
  assert(operand.kind === 'memory', 'an XMM or memory operand');
  emitter.load(operand, bytes);
  const value = emitter.tempFor(bytes);
  emitter.code.set(value);
  pushZero(emitter);
  emitter.code.get(value);
  emitter.code.simd(bytes === 4 ? Simd.I32x4ReplaceLane : Simd.I64x2ReplaceLane, 0);
}

/** Pushes sixteen zero bytes. */
export function pushZero(emitter: Emitter): void {
  emitter.code.simd(Simd.Const, ...new Array<number>(16).fill(0));
}

/** Local with the address of a memory operand; #GP if it is not aligned to 16. */
export function alignedAddress(emitter: Emitter, operand: MemoryOperand): number {
  const address = emitter.temp(WasmType.I64);
  emitter.pushAddress(operand);
  emitter.code.set(address);
  emitter.requireAligned(address, 16);
  return address;
}
