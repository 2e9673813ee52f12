/** SSE and SSE2 moves between XMM registers, general registers and memory. */
import { assert } from '../../base/errors.ts';
import type { Emitter } from './emitter.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction, MemoryOperand } from './instruction.ts';
import { Simd } from './simd.ts';
import {
  alignedAddress,
  operandAt,
  pushLow,
  pushVector,
  pushZero,
  type SseTranslation,
  xmmAt,
} from './sse-operands.ts';
import { Op, WasmType } from './wasm-writer.ts';

function moveWhole(isAligned: boolean): SseTranslation {
  return (emitter, instruction) => {
    const to = operandAt(instruction, 0);
    const from = operandAt(instruction, 1);
    if (to.kind === 'xmm') {
      pushVector(emitter, from, isAligned);
      emitter.popXmm(to.index);
      return;
    }
    assert(to.kind === 'memory', 'a move to memory');
    const value = emitter.temp(WasmType.V128);
    pushVector(emitter, from);
    emitter.code.set(value);
    if (isAligned) {
      emitter.code.get(alignedAddress(emitter, to));
      emitter.storePopped(16, () => emitter.code.get(value));
    } else emitter.store(to, 16, value);
  };
}

/** movss, movsd: a register keeps its upper part when the source is a register, and loses it to zero when it is memory. */
function moveScalar(bytes: 4 | 8): SseTranslation {
  const replace = bytes === 4 ? Simd.I32x4ReplaceLane : Simd.I64x2ReplaceLane;
  return (emitter, instruction) => {
    const to = operandAt(instruction, 0);
    const from = operandAt(instruction, 1);
    if (to.kind === 'memory') {
      storeLane(emitter, to, xmmAt(instruction, 1), bytes, 0);
      return;
    }
    const target = xmmAt(instruction, 0);
    if (from.kind === 'memory') pushLow(emitter, from, bytes);
    else {
      emitter.pushXmm(target);
      pushLane(emitter, xmmAt(instruction, 1), bytes, 0);
      emitter.code.simd(replace, 0);
    }
    emitter.popXmm(target);
  };
}

function pushLane(emitter: Emitter, xmm: number, bytes: 4 | 8, lane: number): void {
  emitter.code.i32(0);
  emitter.code.memory(bytes === 4 ? Op.I32Load : Op.I64Load, emitter.xmmOffset(xmm) + lane * bytes);
}

function storeLane(emitter: Emitter, to: MemoryOperand, xmm: number, bytes: 4 | 8, lane: number): void {
  const value = emitter.tempFor(bytes);
  pushLane(emitter, xmm, bytes, lane);
  emitter.code.set(value);
  emitter.store(to, bytes, value);
}

/** Replaces one 64-bit half of a register by what `push` pushes (i64). */
function setHalf(emitter: Emitter, xmm: number, lane: 0 | 1, push: () => void): void {
  const value = emitter.temp(WasmType.I64);
  push();
  emitter.code.set(value);
  emitter.code.i32(0);
  emitter.code.get(value);
  emitter.code.memory(Op.I64Store, emitter.xmmOffset(xmm) + lane * 8);
}

/** movlps, movhps and their double forms between a half and memory. */
function moveHalf(lane: 0 | 1): SseTranslation {
  return (emitter, instruction) => {
    const to = operandAt(instruction, 0);
    const from = operandAt(instruction, 1);
    if (to.kind === 'memory') storeLane(emitter, to, xmmAt(instruction, 1), 8, lane);
    else setHalf(emitter, xmmAt(instruction, 0), lane, () => emitter.pushOperand(from, 8));
  };
}

/** movd, movq: to a register the rest becomes zero. */
function moveInteger(emitter: Emitter, instruction: Instruction): void {
  const to = operandAt(instruction, 0);
  const from = operandAt(instruction, 1);
  const { code } = emitter;
  if (to.kind === 'xmm') {
    const bytes = from.kind === 'gpr' || from.kind === 'memory' ? emitter.sizeOf(from) : 8;
    assert(bytes >= 4, 'a doubleword or quadword');
    const value = emitter.tempFor(bytes);
    if (from.kind === 'xmm') pushLane(emitter, from.index, 8, 0);
    else emitter.pushOperand(from, bytes);
    code.set(value);
    pushZero(emitter);
    code.get(value);
    code.simd(bytes === 4 ? Simd.I32x4ReplaceLane : Simd.I64x2ReplaceLane, 0);
    emitter.popXmm(to.index);
    return;
  }
  const bytes = emitter.sizeOf(to) === 4 ? 4 : 8;
  const value = emitter.tempFor(bytes);
  pushLane(emitter, xmmAt(instruction, 1), bytes, 0);
  code.set(value);
  emitter.storeOperand(to, bytes, value);
}

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

const aligned = moveWhole(true);
const unaligned = moveWhole(false);

export const sseMoveTranslations: ReadonlyMap<Mnemonic, SseTranslation> = new Map<Mnemonic, SseTranslation>([
  [Mnemonic.Movaps, aligned],
  [Mnemonic.Movapd, aligned],
  [Mnemonic.Movdqa, aligned],
  [Mnemonic.Movntdq, aligned],
  [Mnemonic.Movntps, aligned],
  [Mnemonic.Movntpd, aligned],
  [Mnemonic.Movups, unaligned],
  [Mnemonic.Movupd, unaligned],
  [Mnemonic.Movdqu, unaligned],
  [Mnemonic.Lddqu, unaligned],
  [Mnemonic.Movss, moveScalar(4)],
  [Mnemonic.Movsd, moveScalar(8)],
  [Mnemonic.Movlps, moveHalf(0)],
  [Mnemonic.Movlpd, moveHalf(0)],
  [Mnemonic.Movhps, moveHalf(1)],
  [Mnemonic.Movhpd, moveHalf(1)],
  [Mnemonic.Movhlps, (e, i) => setHalf(e, xmmAt(i, 0), 0, () => pushLane(e, xmmAt(i, 1), 8, 1))],
  [Mnemonic.Movlhps, (e, i) => setHalf(e, xmmAt(i, 0), 1, () => pushLane(e, xmmAt(i, 1), 8, 0))],
  [Mnemonic.Movd, moveInteger],
  [Mnemonic.Movq, moveInteger],
  [Mnemonic.Maskmovdqu, moveMasked],
]);
