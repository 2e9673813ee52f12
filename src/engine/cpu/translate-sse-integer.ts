/** SSE2 on integers and bits. The wasm vector instructions were modelled on these; what differs is put together here. */
import type { Emitter } from './emitter.ts';
import type { Instruction } from './instruction.ts';
import type { InstructionTable, InstructionTranslator } from './instruction-table.ts';
import { Simd } from './simd.ts';
import { immediateAt, operandAt, pushVector, pushZero, xmmAt } from './sse-operands.ts';
import { Op, WasmType } from './wasm-writer.ts';

/** Emits code that combines destination and source, which stand in locals, to a v128 on the stack. */
type Combination = (emitter: Emitter, a: number, b: number, instruction: Instruction) => void;

function combine(combination: Combination): InstructionTranslator {
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
function direct(opcode: number): InstructionTranslator {
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
function shuffle(bytesOf: (instruction: Instruction) => readonly number[]): InstructionTranslator {
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
function interleave(laneBytes: number, isHigh: boolean): InstructionTranslator {
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
function shuffleSource(bytesOf: (immediate: number) => readonly number[]): InstructionTranslator {
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

function multiplyHigh(low: number, high: number): InstructionTranslator {
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
function shift(opcode: number, laneBits: number, isArithmetic = false): InstructionTranslator {
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
function shiftBytes(isLeft: boolean): InstructionTranslator {
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

function signBits(opcode: number): InstructionTranslator {
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

export const sseIntegerTable: InstructionTable = {
  Pand: direct(Simd.And),
  Andps: direct(Simd.And),
  Andpd: direct(Simd.And),
  Pandn: andNot,
  Andnps: andNot,
  Andnpd: andNot,
  Por: direct(Simd.Or),
  Orps: direct(Simd.Or),
  Orpd: direct(Simd.Or),
  Pxor: direct(Simd.Xor),
  Xorps: direct(Simd.Xor),
  Xorpd: direct(Simd.Xor),
  Paddb: direct(Simd.I8x16Add),
  Paddw: direct(Simd.I16x8Add),
  Paddd: direct(Simd.I32x4Add),
  Paddq: direct(Simd.I64x2Add),
  Paddsb: direct(Simd.I8x16AddSatS),
  Paddsw: direct(Simd.I16x8AddSatS),
  Paddusb: direct(Simd.I8x16AddSatU),
  Paddusw: direct(Simd.I16x8AddSatU),
  Psubb: direct(Simd.I8x16Sub),
  Psubw: direct(Simd.I16x8Sub),
  Psubd: direct(Simd.I32x4Sub),
  Psubq: direct(Simd.I64x2Sub),
  Psubsb: direct(Simd.I8x16SubSatS),
  Psubsw: direct(Simd.I16x8SubSatS),
  Psubusb: direct(Simd.I8x16SubSatU),
  Psubusw: direct(Simd.I16x8SubSatU),
  Pmullw: direct(Simd.I16x8Mul),
  Pmulhw: multiplyHigh(Simd.I32x4ExtMulLowI16x8S, Simd.I32x4ExtMulHighI16x8S),
  Pmulhuw: multiplyHigh(Simd.I32x4ExtMulLowI16x8U, Simd.I32x4ExtMulHighI16x8U),
  Pmuludq: multiplyEvenDoublewords,
  Pmaddwd: direct(Simd.I32x4DotI16x8S),
  Psadbw: sumOfDifferences,
  Pavgb: direct(Simd.I8x16AvgrU),
  Pavgw: direct(Simd.I16x8AvgrU),
  Pminub: direct(Simd.I8x16MinU),
  Pmaxub: direct(Simd.I8x16MaxU),
  Pminsw: direct(Simd.I16x8MinS),
  Pmaxsw: direct(Simd.I16x8MaxS),
  Pcmpeqb: direct(Simd.I8x16Eq),
  Pcmpeqw: direct(Simd.I16x8Eq),
  Pcmpeqd: direct(Simd.I32x4Eq),
  Pcmpgtb: direct(Simd.I8x16GtS),
  Pcmpgtw: direct(Simd.I16x8GtS),
  Pcmpgtd: direct(Simd.I32x4GtS),
  Packsswb: direct(Simd.I8x16NarrowI16x8S),
  Packuswb: direct(Simd.I8x16NarrowI16x8U),
  Packssdw: direct(Simd.I16x8NarrowI32x4S),
  Punpcklbw: interleave(1, false),
  Punpcklwd: interleave(2, false),
  Punpckldq: interleave(4, false),
  Punpcklqdq: interleave(8, false),
  Punpckhbw: interleave(1, true),
  Punpckhwd: interleave(2, true),
  Punpckhdq: interleave(4, true),
  Punpckhqdq: interleave(8, true),
  Unpcklps: interleave(4, false),
  Unpckhps: interleave(4, true),
  Unpcklpd: interleave(8, false),
  Unpckhpd: interleave(8, true),
  Pshufd: shuffleSource((immediate) => lanes(4, ...fields(immediate))),
  Pshuflw: shuffleSource((immediate) => lanes(2, ...fields(immediate), 4, 5, 6, 7)),
  Pshufhw: shuffleSource((immediate) => lanes(2, 0, 1, 2, 3, ...fields(immediate).map((lane) => lane + 4))),
  Shufps: shuffle((instruction) => {
    const [a, b, c, d] = fields(immediateAt(instruction, 2));
    return lanes(4, a, b, c + 4, d + 4);
  }),
  Shufpd: shuffle((instruction) => {
    const immediate = immediateAt(instruction, 2);
    return lanes(8, immediate & 1, 2 + ((immediate >> 1) & 1));
  }),
  Psllw: shift(Simd.I16x8Shl, 16),
  Pslld: shift(Simd.I32x4Shl, 32),
  Psllq: shift(Simd.I64x2Shl, 64),
  Psrlw: shift(Simd.I16x8ShrU, 16),
  Psrld: shift(Simd.I32x4ShrU, 32),
  Psrlq: shift(Simd.I64x2ShrU, 64),
  Psraw: shift(Simd.I16x8ShrS, 16, true),
  Psrad: shift(Simd.I32x4ShrS, 32, true),
  Pslldq: shiftBytes(true),
  Psrldq: shiftBytes(false),
  Pmovmskb: signBits(Simd.I8x16Bitmask),
  Movmskps: signBits(Simd.I32x4Bitmask),
  Movmskpd: signBits(Simd.I64x2Bitmask),
  Pextrw: extractWord,
  Pinsrw: insertWord,
};
