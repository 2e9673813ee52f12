/** SSE2 on integers and bits. The wasm vector instructions were modelled on these; what differs is put together here. */
import type { Emitter } from './emitter.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction } from './instruction.ts';
import { Simd } from './simd.ts';
import { immediateAt, operandAt, pushVector, pushZero, type SseTranslation, xmmAt } from './sse-operands.ts';
import { Op, WasmType } from './wasm-writer.ts';

/** Emits code that combines destination and source, which stand in locals, to a v128 on the stack. */
type Combination = (emitter: Emitter, a: number, b: number, instruction: Instruction) => void;

function combine(combination: Combination): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const target = xmmAt(instruction, 0);
    const a = emitter.temp(WasmType.V128);
    const b = emitter.temp(WasmType.V128);
    pushVector(emitter, operandAt(instruction, 1));
    code.set(b);
    emitter.pushXmm(target);
    code.set(a);
    combination(emitter, a, b, instruction);
    emitter.popXmm(target);
  };
}

/** One wasm instruction on (destination, source). */
function direct(opcode: number): SseTranslation {
  return (emitter, instruction) => {
    const source = operandAt(instruction, 1);
    const target = xmmAt(instruction, 0);
    if (source.kind === 'xmm') {
      emitter.pushXmm(target);
      emitter.pushXmm(source.index);
    } else {
      const b = emitter.temp(WasmType.V128);
      pushVector(emitter, source);
      emitter.code.set(b);
      emitter.pushXmm(target);
      emitter.code.get(b);
    }
    emitter.code.simd(opcode);
    emitter.popXmm(target);
  };
}

/** Bytes of the two operands, 0..15 of the destination, 16..31 of the source. */
function shuffle(bytesOf: (instruction: Instruction) => readonly number[]): SseTranslation {
  return combine(({ code }, a, b, instruction) => {
    code.get(a);
    code.get(b);
    code.simd(Simd.Shuffle, ...bytesOf(instruction));
  });
}

/** Byte numbers of lanes that are `laneBytes` wide. */
function lanes(laneBytes: number, ...numbers: readonly number[]): number[] {
  return numbers.flatMap((lane) => Array.from({ length: laneBytes }, (_, byte) => lane * laneBytes + byte));
}

/** punpckl / punpckh: lanes of both operands in turn, from the low or the high half. */
function interleave(laneBytes: number, isHigh: boolean): SseTranslation {
  const perHalf = 8 / laneBytes;
  const first = isHigh ? perHalf : 0;
  const order = Array.from({ length: perHalf }, (_, i) => [first + i, first + i + 2 * perHalf]).flat();
  const bytes = lanes(laneBytes, ...order);
  return shuffle(() => bytes);
}

/** Four lanes out of four, by the two-bit fields of an immediate. */
function fields(immediate: number): [number, number, number, number] {
  return [immediate & 3, (immediate >> 2) & 3, (immediate >> 4) & 3, (immediate >> 6) & 3];
}

/** pshufd, pshuflw, pshufhw: the destination is made of the source alone. */
function shuffleSource(bytesOf: (immediate: number) => readonly number[]): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const source = emitter.temp(WasmType.V128);
    pushVector(emitter, operandAt(instruction, 1));
    code.tee(source);
    code.get(source);
    code.simd(Simd.Shuffle, ...bytesOf(immediateAt(instruction, 2)));
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

const highWords = lanes(2, 1, 3, 5, 7, 9, 11, 13, 15);

function multiplyHigh(low: number, high: number): SseTranslation {
  return combine(({ code }, a, b) => {
    for (const opcode of [low, high]) {
      code.get(a);
      code.get(b);
      code.simd(opcode);
    }
    code.simd(Simd.Shuffle, ...highWords);
  });
}

const multiplyEvenDoublewords = combine(({ code }, a, b) => {
  for (const local of [a, b]) {
    code.get(local);
    code.get(local);
    code.simd(Simd.Shuffle, ...lanes(4, 0, 2, 0, 2));
  }
  code.simd(Simd.I64x2ExtMulLowI32x4U);
});

const sumOfDifferences = combine((emitter, a, b) => {
  const { code } = emitter;
  const sums = emitter.temp(WasmType.V128);
  for (const opcode of [Simd.I8x16MaxU, Simd.I8x16MinU]) {
    code.get(a);
    code.get(b);
    code.simd(opcode);
  }
  code.simd(Simd.I8x16Sub);
  code.simd(Simd.I16x8ExtAddPairwiseI8x16U);
  code.simd(Simd.I32x4ExtAddPairwiseI16x8U);
  code.tee(sums);
  code.get(sums);
  code.i32(32);
  code.simd(Simd.I64x2ShrU);
  code.simd(Simd.I32x4Add);
  code.simd(Simd.Const, ...[0xff, 0xff, 0, 0, 0, 0, 0, 0], ...[0xff, 0xff, 0, 0, 0, 0, 0, 0]);
  code.simd(Simd.And);
});

/** Shifts of all lanes by an immediate or by the low quadword of the source; wasm would take the count modulo. */
function shift(opcode: number, laneBits: number, isArithmetic = false): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const target = xmmAt(instruction, 0);
    const source = operandAt(instruction, 1);
    if (source.kind === 'immediate') {
      const count = immediateAt(instruction, 1);
      if (count >= laneBits && !isArithmetic) pushZero(emitter);
      else {
        emitter.pushXmm(target);
        code.i32(Math.min(count, laneBits - 1));
        code.simd(opcode);
      }
      emitter.popXmm(target);
      return;
    }
    const count = emitter.temp(WasmType.I64);
    pushVector(emitter, source);
    code.simd(Simd.I64x2ExtractLane, 0);
    code.set(count);
    const pushIsLarge = (): void => {
      code.get(count);
      code.i64(laneBits);
      code.op(Op.I64GeU);
    };
    if (isArithmetic) {
      emitter.pushXmm(target);
      code.i32(laneBits - 1);
      code.get(count);
      code.op(Op.I32WrapI64);
      pushIsLarge();
      code.op(Op.Select);
      code.simd(opcode);
    } else {
      pushZero(emitter);
      emitter.pushXmm(target);
      code.get(count);
      code.op(Op.I32WrapI64);
      code.simd(opcode);
      pushIsLarge();
      code.op(Op.Select);
    }
    emitter.popXmm(target);
  };
}

/** pslldq, psrldq. */
function shiftBytes(isLeft: boolean): SseTranslation {
  return (emitter, instruction) => {
    const count = Math.min(immediateAt(instruction, 1), 16);
    const target = xmmAt(instruction, 0);
    if (isLeft) pushZero(emitter);
    emitter.pushXmm(target);
    if (!isLeft) pushZero(emitter);
    const first = isLeft ? 16 - count : count;
    emitter.code.simd(Simd.Shuffle, ...Array.from({ length: 16 }, (_, i) => first + i));
    emitter.popXmm(target);
  };
}

function signBits(opcode: number): SseTranslation {
  return (emitter, instruction) => {
    emitter.pushXmm(xmmAt(instruction, 1));
    emitter.code.simd(opcode);
    popIntoGpr(emitter, instruction);
  };
}

/** The i32 on the stack becomes the whole destination register; its upper half is zero. */
function popIntoGpr(emitter: Emitter, instruction: Instruction): void {
  const target = operandAt(instruction, 0);
  const value = emitter.temp(WasmType.I32);
  emitter.code.set(value);
  emitter.storeOperand(target, target.kind === 'memory' ? 2 : 4, value);
}

function extractWord(emitter: Emitter, instruction: Instruction): void {
  emitter.pushXmm(xmmAt(instruction, 1));
  emitter.code.simd(Simd.I16x8ExtractLaneU, immediateAt(instruction, 2) & 7);
  popIntoGpr(emitter, instruction);
}

function insertWord(emitter: Emitter, instruction: Instruction): void {
  const { code } = emitter;
  const source = operandAt(instruction, 1);
  const value = emitter.temp(WasmType.I32);
  emitter.pushOperand(source, source.kind === 'memory' ? 2 : 4);
  code.set(value);
  emitter.pushXmm(xmmAt(instruction, 0));
  code.get(value);
  code.simd(Simd.I16x8ReplaceLane, immediateAt(instruction, 2) & 7);
  emitter.popXmm(xmmAt(instruction, 0));
}

const andNot = combine(({ code }, a, b) => {
  code.get(b);
  code.get(a);
  code.simd(Simd.AndNot);
});

export const sseIntegerTranslations: ReadonlyMap<Mnemonic, SseTranslation> = new Map<Mnemonic, SseTranslation>([
  [Mnemonic.Pand, direct(Simd.And)],
  [Mnemonic.Andps, direct(Simd.And)],
  [Mnemonic.Andpd, direct(Simd.And)],
  [Mnemonic.Pandn, andNot],
  [Mnemonic.Andnps, andNot],
  [Mnemonic.Andnpd, andNot],
  [Mnemonic.Por, direct(Simd.Or)],
  [Mnemonic.Orps, direct(Simd.Or)],
  [Mnemonic.Orpd, direct(Simd.Or)],
  [Mnemonic.Pxor, direct(Simd.Xor)],
  [Mnemonic.Xorps, direct(Simd.Xor)],
  [Mnemonic.Xorpd, direct(Simd.Xor)],
  [Mnemonic.Paddb, direct(Simd.I8x16Add)],
  [Mnemonic.Paddw, direct(Simd.I16x8Add)],
  [Mnemonic.Paddd, direct(Simd.I32x4Add)],
  [Mnemonic.Paddq, direct(Simd.I64x2Add)],
  [Mnemonic.Paddsb, direct(Simd.I8x16AddSatS)],
  [Mnemonic.Paddsw, direct(Simd.I16x8AddSatS)],
  [Mnemonic.Paddusb, direct(Simd.I8x16AddSatU)],
  [Mnemonic.Paddusw, direct(Simd.I16x8AddSatU)],
  [Mnemonic.Psubb, direct(Simd.I8x16Sub)],
  [Mnemonic.Psubw, direct(Simd.I16x8Sub)],
  [Mnemonic.Psubd, direct(Simd.I32x4Sub)],
  [Mnemonic.Psubq, direct(Simd.I64x2Sub)],
  [Mnemonic.Psubsb, direct(Simd.I8x16SubSatS)],
  [Mnemonic.Psubsw, direct(Simd.I16x8SubSatS)],
  [Mnemonic.Psubusb, direct(Simd.I8x16SubSatU)],
  [Mnemonic.Psubusw, direct(Simd.I16x8SubSatU)],
  [Mnemonic.Pmullw, direct(Simd.I16x8Mul)],
  [Mnemonic.Pmulhw, multiplyHigh(Simd.I32x4ExtMulLowI16x8S, Simd.I32x4ExtMulHighI16x8S)],
  [Mnemonic.Pmulhuw, multiplyHigh(Simd.I32x4ExtMulLowI16x8U, Simd.I32x4ExtMulHighI16x8U)],
  [Mnemonic.Pmuludq, multiplyEvenDoublewords],
  [Mnemonic.Pmaddwd, direct(Simd.I32x4DotI16x8S)],
  [Mnemonic.Psadbw, sumOfDifferences],
  [Mnemonic.Pavgb, direct(Simd.I8x16AvgrU)],
  [Mnemonic.Pavgw, direct(Simd.I16x8AvgrU)],
  [Mnemonic.Pminub, direct(Simd.I8x16MinU)],
  [Mnemonic.Pmaxub, direct(Simd.I8x16MaxU)],
  [Mnemonic.Pminsw, direct(Simd.I16x8MinS)],
  [Mnemonic.Pmaxsw, direct(Simd.I16x8MaxS)],
  [Mnemonic.Pcmpeqb, direct(Simd.I8x16Eq)],
  [Mnemonic.Pcmpeqw, direct(Simd.I16x8Eq)],
  [Mnemonic.Pcmpeqd, direct(Simd.I32x4Eq)],
  [Mnemonic.Pcmpgtb, direct(Simd.I8x16GtS)],
  [Mnemonic.Pcmpgtw, direct(Simd.I16x8GtS)],
  [Mnemonic.Pcmpgtd, direct(Simd.I32x4GtS)],
  [Mnemonic.Packsswb, direct(Simd.I8x16NarrowI16x8S)],
  [Mnemonic.Packuswb, direct(Simd.I8x16NarrowI16x8U)],
  [Mnemonic.Packssdw, direct(Simd.I16x8NarrowI32x4S)],
  [Mnemonic.Punpcklbw, interleave(1, false)],
  [Mnemonic.Punpcklwd, interleave(2, false)],
  [Mnemonic.Punpckldq, interleave(4, false)],
  [Mnemonic.Punpcklqdq, interleave(8, false)],
  [Mnemonic.Punpckhbw, interleave(1, true)],
  [Mnemonic.Punpckhwd, interleave(2, true)],
  [Mnemonic.Punpckhdq, interleave(4, true)],
  [Mnemonic.Punpckhqdq, interleave(8, true)],
  [Mnemonic.Unpcklps, interleave(4, false)],
  [Mnemonic.Unpckhps, interleave(4, true)],
  [Mnemonic.Unpcklpd, interleave(8, false)],
  [Mnemonic.Unpckhpd, interleave(8, true)],
  [Mnemonic.Pshufd, shuffleSource((immediate) => lanes(4, ...fields(immediate)))],
  [Mnemonic.Pshuflw, shuffleSource((immediate) => lanes(2, ...fields(immediate), 4, 5, 6, 7))],
  [Mnemonic.Pshufhw, shuffleSource((immediate) => lanes(2, 0, 1, 2, 3, ...fields(immediate).map((lane) => lane + 4)))],
  [
    Mnemonic.Shufps,
    shuffle((instruction) => {
      const [a, b, c, d] = fields(immediateAt(instruction, 2));
      return lanes(4, a, b, c + 4, d + 4);
    }),
  ],
  [
    Mnemonic.Shufpd,
    shuffle((instruction) => {
      const immediate = immediateAt(instruction, 2);
      return lanes(8, immediate & 1, 2 + ((immediate >> 1) & 1));
    }),
  ],
  [Mnemonic.Psllw, shift(Simd.I16x8Shl, 16)],
  [Mnemonic.Pslld, shift(Simd.I32x4Shl, 32)],
  [Mnemonic.Psllq, shift(Simd.I64x2Shl, 64)],
  [Mnemonic.Psrlw, shift(Simd.I16x8ShrU, 16)],
  [Mnemonic.Psrld, shift(Simd.I32x4ShrU, 32)],
  [Mnemonic.Psrlq, shift(Simd.I64x2ShrU, 64)],
  [Mnemonic.Psraw, shift(Simd.I16x8ShrS, 16, true)],
  [Mnemonic.Psrad, shift(Simd.I32x4ShrS, 32, true)],
  [Mnemonic.Pslldq, shiftBytes(true)],
  [Mnemonic.Psrldq, shiftBytes(false)],
  [Mnemonic.Pmovmskb, signBits(Simd.I8x16Bitmask)],
  [Mnemonic.Movmskps, signBits(Simd.I32x4Bitmask)],
  [Mnemonic.Movmskpd, signBits(Simd.I64x2Bitmask)],
  [Mnemonic.Pextrw, extractWord],
  [Mnemonic.Pinsrw, insertWord],
]);
