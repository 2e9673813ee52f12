/**
 * Conversions between integers, single and double precision. A value that the integer can't hold gives the "integer
 * indefinite", the lowest one; NaNs keep the upper part of their payload and become quiet.
 * Reference: Intel SDM volume 1, section 4.8.3 and tables 4-7 and E-1.
 */
import { assert } from '../../base/errors.ts';
import type { Emitter } from './emitter.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction, Operand } from './instruction.ts';
import { Simd } from './simd.ts';
import { operandAt, pushLow, pushVector, type SseTranslation, xmmAt } from './sse-operands.ts';
import { Op, WasmType } from './wasm-writer.ts';

type FloatBytes = 4 | 8;

/** Prefix 0xFC: conversions that saturate, by float and integer size. */
const truncate: Readonly<Record<string, number>> = { '4to4': 0, '8to4': 2, '4to8': 4, '8to8': 6 };

/** cvttss2si and the like: a float in the low lane or in memory to a general register. */
function toInteger(from: FloatBytes, isRounded: boolean): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const isSingle = from === 4;
    const target = operandAt(instruction, 0);
    const bytes = emitter.sizeOf(target);
    const value = emitter.temp(isSingle ? WasmType.F32 : WasmType.F64);
    pushBits(emitter, operandAt(instruction, 1), from);
    code.op(isSingle ? Op.F32ReinterpretI32 : Op.F64ReinterpretI64);
    if (isRounded) code.op(isSingle ? Op.F32Nearest : Op.F64Nearest);
    code.set(value);
    code.get(value);
    code.byte(0xfc);
    code.unsigned(truncate[`${from}to${bytes}`] as number);
    emitter.constant(bytes === 4 ? -0x8000_0000 : -0x8000_0000_0000_0000n, bytes);
    // As doubles all limits are exact: -2^31 - 1 < x < 2^31, or -2^63 <= x < 2^63.
    const pushDouble = (): void => {
      code.get(value);
      if (isSingle) code.op(Op.F64PromoteF32);
    };
    pushDouble();
    pushF64(emitter, bytes === 4 ? -0x8000_0001 : -(2 ** 63));
    code.op(bytes === 4 ? Op.F64Gt : Op.F64Ge);
    pushDouble();
    pushF64(emitter, bytes === 4 ? 0x8000_0000 : 2 ** 63);
    code.op(Op.F64Lt, Op.I32And, Op.Select);
    const result = emitter.tempFor(bytes);
    code.set(result);
    emitter.storeOperand(target, bytes, result);
  };
}

function pushF64(emitter: Emitter, value: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  emitter.code.op(Op.F64Const);
  emitter.code.bytes(bytes);
}

/** Pushes the low lane of an XMM register, or memory, as an integer. */
function pushBits(emitter: Emitter, operand: Operand, bytes: FloatBytes): void {
  if (operand.kind === 'xmm') pushXmmBits(emitter, operand.index, bytes, 0);
  else emitter.pushOperand(operand, bytes);
}

function pushXmmBits(emitter: Emitter, xmm: number, bytes: FloatBytes, lane: number): void {
  emitter.code.i32(0);
  emitter.code.memory(bytes === 4 ? Op.I32Load : Op.I64Load, emitter.xmmOffset(xmm) + lane * bytes);
}

/** cvtsi2ss, cvtsi2sd: the lanes above stay. */
function fromInteger(to: FloatBytes): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const source = operandAt(instruction, 1);
    const bytes = emitter.sizeOf(source);
    const value = emitter.tempFor(bytes);
    emitter.pushOperand(source, bytes);
    code.set(value);
    code.i32(0);
    code.get(value);
    if (to === 4) code.op(bytes === 4 ? Op.F32ConvertI32S : Op.F32ConvertI64S);
    else code.op(bytes === 4 ? Op.F64ConvertI32S : Op.F64ConvertI64S);
    code.memory(to === 4 ? Op.F32Store : Op.F64Store, emitter.xmmOffset(xmmAt(instruction, 0)));
  };
}

/** Local with the bits of a single-precision number made from a double one, whose bits stand in a local. */
function narrowed(emitter: Emitter, bits: number): number {
  const { code } = emitter;
  const result = emitter.temp(WasmType.I32);
  const value = emitter.temp(WasmType.F64);
  // sign | quiet NaN | upper payload
  code.get(bits);
  code.i64(32);
  code.op(Op.I64ShrU, Op.I32WrapI64);
  code.i32(0x8000_0000 | 0);
  code.op(Op.I32And);
  code.i32(0x7fc0_0000);
  code.op(Op.I32Or);
  code.get(bits);
  code.i64(29);
  code.op(Op.I64ShrU, Op.I32WrapI64);
  code.i32(0x7f_ffff);
  code.op(Op.I32And, Op.I32Or);
  code.get(bits);
  code.op(Op.F64ReinterpretI64);
  code.tee(value);
  code.op(Op.F32DemoteF64, Op.I32ReinterpretF32);
  code.get(value);
  code.get(value);
  code.op(Op.F64Ne, Op.Select);
  code.set(result);
  return result;
}

/** Local with the bits of a double-precision number made from a single one, whose bits stand in a local. */
function widened(emitter: Emitter, bits: number): number {
  const { code } = emitter;
  const result = emitter.temp(WasmType.I64);
  const value = emitter.temp(WasmType.F32);
  code.get(bits);
  code.i32(0x8000_0000 | 0);
  code.op(Op.I32And, Op.I64ExtendI32U);
  code.i64(32);
  code.op(Op.I64Shl);
  code.get(bits);
  code.i32(0x7f_ffff);
  code.op(Op.I32And, Op.I64ExtendI32U);
  code.i64(29);
  code.op(Op.I64Shl, Op.I64Or);
  code.i64(0x7ff8_0000_0000_0000n);
  code.op(Op.I64Or);
  code.get(bits);
  code.op(Op.F32ReinterpretI32);
  code.tee(value);
  code.op(Op.F64PromoteF32, Op.I64ReinterpretF64);
  code.get(value);
  code.get(value);
  code.op(Op.F32Ne, Op.Select);
  code.set(result);
  return result;
}

/** cvtss2sd, cvtsd2ss: the rest of the destination stays. */
function changeScalar(from: FloatBytes): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const bits = emitter.tempFor(from);
    pushBits(emitter, operandAt(instruction, 1), from);
    code.set(bits);
    const result = from === 4 ? widened(emitter, bits) : narrowed(emitter, bits);
    code.i32(0);
    code.get(result);
    code.memory(from === 4 ? Op.I64Store : Op.I32Store, emitter.xmmOffset(xmmAt(instruction, 0)));
  };
}

/** cvtps2pd, cvtpd2ps: two numbers; two singles leave the upper half zero. */
function changePacked(from: FloatBytes): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const source = emitter.temp(WasmType.V128);
    const offset = emitter.xmmOffset(xmmAt(instruction, 0));
    if (from === 4) pushLow(emitter, operandAt(instruction, 1), 8);
    else pushVector(emitter, operandAt(instruction, 1));
    code.set(source);
    const results = [0, 1].map((lane) => {
      const bits = emitter.tempFor(from);
      code.get(source);
      code.simd(from === 4 ? Simd.I32x4ExtractLane : Simd.I64x2ExtractLane, lane);
      code.set(bits);
      return from === 4 ? widened(emitter, bits) : narrowed(emitter, bits);
    });
    for (const [lane, result] of results.entries()) {
      code.i32(0);
      code.get(result);
      if (from === 4) code.memory(Op.I64Store, offset + lane * 8);
      else code.memory(Op.I32Store, offset + lane * 4);
    }
    if (from === 8) {
      code.i32(0);
      code.i64(0);
      code.memory(Op.I64Store, offset + 8);
    }
  };
}

/** cvtdq2ps, cvtdq2pd. */
function packedFromIntegers(opcode: number, sourceBytes: 8 | 16): SseTranslation {
  return (emitter, instruction) => {
    if (sourceBytes === 8) pushLow(emitter, operandAt(instruction, 1), 8);
    else pushVector(emitter, operandAt(instruction, 1));
    emitter.code.simd(opcode);
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

/** cvtps2dq, cvttps2dq. */
function packedSinglesToIntegers(isRounded: boolean): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const value = roundedVector(emitter, instruction, isRounded ? Simd.F32x4Nearest : undefined);
    code.get(value);
    code.simd(Simd.I32x4TruncSatF32x4S);
    code.i32(0x8000_0000 | 0);
    code.simd(Simd.I32x4Splat);
    // Too small values saturate to the right result; too large ones and NaNs are what fails x < 2^31.
    code.get(value);
    code.i32(0x4f00_0000);
    code.simd(Simd.I32x4Splat);
    code.simd(Simd.F32x4Lt);
    code.simd(Simd.BitSelect);
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

/** cvtpd2dq, cvttpd2dq: the upper half becomes zero. */
function packedDoublesToIntegers(isRounded: boolean): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const value = roundedVector(emitter, instruction, isRounded ? Simd.F64x2Nearest : undefined);
    const fits = emitter.temp(WasmType.V128);
    code.get(value);
    code.simd(Simd.I32x4TruncSatF64x2SZero);
    code.simd(Simd.Const, ...[0, 0, 0, 0x80], ...[0, 0, 0, 0x80], ...new Array<number>(8).fill(0));
    code.get(value);
    code.i64(0x41e0_0000_0000_0000n);
    code.simd(Simd.I64x2Splat);
    code.simd(Simd.F64x2Lt);
    code.tee(fits);
    code.get(fits);
    code.simd(Simd.Shuffle, ...[0, 1, 2, 3], ...[8, 9, 10, 11], ...[0, 1, 2, 3], ...[8, 9, 10, 11]);
    code.simd(Simd.BitSelect);
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

function roundedVector(emitter: Emitter, instruction: Instruction, nearest: number | undefined): number {
  const value = emitter.temp(WasmType.V128);
  const source = operandAt(instruction, 1);
  assert(source.kind === 'xmm' || source.kind === 'memory', 'a vector');
  pushVector(emitter, source);
  if (nearest !== undefined) emitter.code.simd(nearest);
  emitter.code.set(value);
  return value;
}

export const sseConversionTranslations: ReadonlyMap<Mnemonic, SseTranslation> = new Map<Mnemonic, SseTranslation>([
  [Mnemonic.Cvtss2si, toInteger(4, true)],
  [Mnemonic.Cvtsd2si, toInteger(8, true)],
  [Mnemonic.Cvttss2si, toInteger(4, false)],
  [Mnemonic.Cvttsd2si, toInteger(8, false)],
  [Mnemonic.Cvtsi2ss, fromInteger(4)],
  [Mnemonic.Cvtsi2sd, fromInteger(8)],
  [Mnemonic.Cvtss2sd, changeScalar(4)],
  [Mnemonic.Cvtsd2ss, changeScalar(8)],
  [Mnemonic.Cvtps2pd, changePacked(4)],
  [Mnemonic.Cvtpd2ps, changePacked(8)],
  [Mnemonic.Cvtdq2ps, packedFromIntegers(Simd.F32x4ConvertI32x4S, 16)],
  [Mnemonic.Cvtdq2pd, packedFromIntegers(Simd.F64x2ConvertLowI32x4S, 8)],
  [Mnemonic.Cvtps2dq, packedSinglesToIntegers(true)],
  [Mnemonic.Cvttps2dq, packedSinglesToIntegers(false)],
  [Mnemonic.Cvtpd2dq, packedDoublesToIntegers(true)],
  [Mnemonic.Cvttpd2dq, packedDoublesToIntegers(false)],
]);
