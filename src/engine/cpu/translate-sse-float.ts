/**
 * SSE and SSE2 floating point with the default control word: exceptions masked, rounding to nearest. wasm leaves the
 * bits of a NaN result open; x86 gives the first NaN operand made quiet, or the default NaN with its sign set.
 * Reference: Intel SDM volume 1, table 4-7 and section 11.5.
 */
import { assert } from '../../base/errors.ts';
import { cpuStateOffset } from '../memory/layout.ts';
import type { Emitter } from './emitter.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction, Operand } from './instruction.ts';
import { Simd } from './simd.ts';
import { immediateAt, operandAt, pushVector, type SseTranslation, xmmAt } from './sse-operands.ts';
import { Flag, StateOffset } from './state.ts';
import { sseConversionTranslations } from './translate-sse-convert.ts';
import { Op, WasmType } from './wasm-writer.ts';

/** What differs between single and double precision. */
interface Precision {
  readonly bytes: 4 | 8;
  readonly type: WasmType;
  readonly load: number;
  readonly store: number;
  readonly reinterpretFrom: number;
  readonly toBits: number;
  readonly bitsStore: number;
  readonly or: number;
  readonly eq: number;
  readonly ne: number;
  readonly lt: number;
  readonly le: number;
  readonly gt: number;
  readonly quiet: bigint;
  readonly defaultNan: bigint;
  readonly splat: number;
  readonly packedEq: number;
  readonly packedNe: number;
  readonly packedLt: number;
  readonly packedLe: number;
}

const single: Precision = {
  bytes: 4,
  type: WasmType.F32,
  load: Op.F32Load,
  store: Op.F32Store,
  reinterpretFrom: Op.F32ReinterpretI32,
  toBits: Op.I32ReinterpretF32,
  bitsStore: Op.I32Store,
  or: Op.I32Or,
  eq: Op.F32Eq,
  ne: Op.F32Ne,
  lt: Op.F32Lt,
  le: Op.F32Le,
  gt: Op.F32Gt,
  quiet: 0x40_0000n,
  defaultNan: 0xffc0_0000n,
  splat: Simd.I32x4Splat,
  packedEq: Simd.F32x4Eq,
  packedNe: Simd.F32x4Ne,
  packedLt: Simd.F32x4Lt,
  packedLe: Simd.F32x4Le,
};
const double: Precision = {
  bytes: 8,
  type: WasmType.F64,
  load: Op.F64Load,
  store: Op.F64Store,
  reinterpretFrom: Op.F64ReinterpretI64,
  toBits: Op.I64ReinterpretF64,
  bitsStore: Op.I64Store,
  or: Op.I64Or,
  eq: Op.F64Eq,
  ne: Op.F64Ne,
  lt: Op.F64Lt,
  le: Op.F64Le,
  gt: Op.F64Gt,
  quiet: 0x8_0000_0000_0000n,
  defaultNan: 0xfff8_0000_0000_0000n,
  splat: Simd.I64x2Splat,
  packedEq: Simd.F64x2Eq,
  packedNe: Simd.F64x2Ne,
  packedLt: Simd.F64x2Lt,
  packedLe: Simd.F64x2Le,
};

/** Local with the low lane of an operand, as a float. */
function scalar(emitter: Emitter, operand: Operand, precision: Precision): number {
  const value = emitter.temp(precision.type);
  if (operand.kind === 'xmm') {
    emitter.code.i32(0);
    emitter.code.memory(precision.load, emitter.xmmOffset(operand.index));
  } else {
    emitter.pushOperand(operand, precision.bytes);
    emitter.code.op(precision.reinterpretFrom);
  }
  emitter.code.set(value);
  return value;
}

/** Pushes the bits of a NaN result: of the first of the operands that is a NaN, or the default. */
function pushNanBits(emitter: Emitter, operands: readonly number[], precision: Precision): void {
  const { code } = emitter;
  for (const operand of operands) {
    code.get(operand);
    code.op(precision.toBits);
    emitter.constant(precision.quiet, precision.bytes);
    code.op(precision.or);
  }
  emitter.constant(precision.defaultNan, precision.bytes);
  for (const operand of operands.toReversed()) {
    code.get(operand);
    code.get(operand);
    code.op(precision.ne, Op.Select);
  }
}

/** The low lane becomes the result of a wasm operator; the lanes above stay. */
function scalarArithmetic(opcode: number, precision: Precision, isUnary = false): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const offset = emitter.xmmOffset(xmmAt(instruction, 0));
    const source = scalar(emitter, operandAt(instruction, 1), precision);
    const operands = isUnary ? [source] : [scalar(emitter, operandAt(instruction, 0), precision), source];
    const result = emitter.temp(precision.type);
    for (const operand of operands) code.get(operand);
    code.op(opcode);
    code.tee(result);
    code.get(result);
    code.op(precision.ne);
    code.if();
    code.i32(0);
    pushNanBits(emitter, operands, precision);
    code.memory(precision.bitsStore, offset);
    code.else();
    code.i32(0);
    code.get(result);
    code.memory(precision.store, offset);
    code.end();
  };
}

/** min, max: the second operand if either is a NaN or both are zero. */
function scalarExtreme(isMaximum: boolean, precision: Precision): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const b = scalar(emitter, operandAt(instruction, 1), precision);
    const a = scalar(emitter, operandAt(instruction, 0), precision);
    code.i32(0);
    for (const operand of [a, b, a, b]) code.get(operand);
    code.op(isMaximum ? precision.gt : precision.lt, Op.Select);
    code.memory(precision.store, emitter.xmmOffset(xmmAt(instruction, 0)));
  };
}

function packedOperands(emitter: Emitter, instruction: Instruction): [a: number, b: number] {
  const a = emitter.temp(WasmType.V128);
  const b = emitter.temp(WasmType.V128);
  pushVector(emitter, operandAt(instruction, 1));
  emitter.code.set(b);
  emitter.pushXmm(xmmAt(instruction, 0));
  emitter.code.set(a);
  return [a, b];
}

function packedArithmetic(opcode: number, precision: Precision, isUnary = false): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const [a, b] = packedOperands(emitter, instruction);
    const operands = isUnary ? [b] : [a, b];
    const result = emitter.temp(WasmType.V128);
    const isNan = emitter.temp(WasmType.V128);
    for (const operand of operands) code.get(operand);
    code.simd(opcode);
    code.tee(result);
    code.get(result);
    code.simd(precision.packedNe);
    code.tee(isNan);
    code.simd(Simd.AnyTrue);
    code.if();
    const splat = (value: bigint): void => {
      emitter.constant(value, precision.bytes);
      code.simd(precision.splat);
    };
    for (const operand of operands) {
      code.get(operand);
      splat(precision.quiet);
      code.simd(Simd.Or);
    }
    splat(precision.defaultNan);
    for (const operand of operands.toReversed()) {
      code.get(operand);
      code.get(operand);
      code.simd(precision.packedNe);
      code.simd(Simd.BitSelect);
    }
    code.get(result);
    code.get(isNan);
    code.simd(Simd.BitSelect);
    code.set(result);
    code.end();
    code.get(result);
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

/** wasm's pseudo-minimum and -maximum with operands exchanged are those of x86. */
function packedExtreme(opcode: number): SseTranslation {
  return (emitter, instruction) => {
    const [a, b] = packedOperands(emitter, instruction);
    emitter.code.get(b);
    emitter.code.get(a);
    emitter.code.simd(opcode);
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

/** Predicates 0..3: equal, less, less or equal, unordered; 4..7 are their negations. */
function packedCompare(precision: Precision): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const predicate = immediateAt(instruction, 2) & 7;
    const [a, b] = packedOperands(emitter, instruction);
    if ((predicate & 3) === 3) {
      for (const operand of [a, b]) {
        code.get(operand);
        code.get(operand);
        code.simd(precision.packedNe);
      }
      code.simd(Simd.Or);
    } else {
      code.get(a);
      code.get(b);
      code.simd([precision.packedEq, precision.packedLt, precision.packedLe][predicate & 3] as number);
    }
    if (predicate >= 4) code.simd(Simd.Not);
    emitter.popXmm(xmmAt(instruction, 0));
  };
}

function pushUnordered(emitter: Emitter, a: number, b: number, precision: Precision): void {
  const { code } = emitter;
  for (const operand of [a, b]) {
    code.get(operand);
    code.get(operand);
    code.op(precision.ne);
  }
  code.op(Op.I32Or);
}

function scalarCompare(precision: Precision): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const predicate = immediateAt(instruction, 2) & 7;
    const b = scalar(emitter, operandAt(instruction, 1), precision);
    const a = scalar(emitter, operandAt(instruction, 0), precision);
    code.i32(0);
    if ((predicate & 3) === 3) pushUnordered(emitter, a, b, precision);
    else {
      code.get(a);
      code.get(b);
      code.op([precision.eq, precision.lt, precision.le][predicate & 3] as number);
    }
    if (predicate >= 4) code.op(Op.I32Eqz);
    if (precision.bytes === 8) code.op(Op.I64ExtendI32U);
    const isTrue = emitter.tempFor(precision.bytes);
    code.set(isTrue);
    emitter.constant(0, precision.bytes);
    code.get(isTrue);
    emitter.op(Op.I32Sub, precision.bytes);
    code.memory(precision.bitsStore, emitter.xmmOffset(xmmAt(instruction, 0)));
  };
}

/** comis, ucomis: ZF, PF, CF tell the order as of unsigned integers; all three are set if there is none. */
function compareToFlags(precision: Precision): SseTranslation {
  return (emitter, instruction) => {
    const { code } = emitter;
    const b = scalar(emitter, operandAt(instruction, 1), precision);
    const a = scalar(emitter, operandAt(instruction, 0), precision);
    const pushNot = (opcode: number): void => {
      code.get(a);
      code.get(b);
      code.op(opcode, Op.I32Eqz);
    };
    emitter.setFlag(Flag.Pf, () => pushUnordered(emitter, a, b, precision));
    // Less or unordered is the same as not (greater or equal), that is, not b <= a.
    emitter.setFlag(Flag.Cf, () => {
      code.get(b);
      code.get(a);
      code.op(precision.le, Op.I32Eqz);
    });
    emitter.setFlag(Flag.Zf, () => {
      pushNot(precision.lt);
      pushNot(precision.gt);
      code.op(Op.I32And);
    });
    for (const flag of [Flag.Af, Flag.Sf, Flag.Of]) emitter.setFlag(flag, () => code.i32(0));
  };
}

/** Rounding control, masks, denormals-are-zero and flush-to-zero; the sticky bits below may be anything. */
const controlBits = 0xffc0;
const defaultControl = 0x1f80;

/** ldmxcsr: a control word that asks for other than the default arithmetic is unsupported. */
export function loadControl(emitter: Emitter, instruction: Instruction): void {
  const { code } = emitter;
  const value = emitter.temp(WasmType.I32);
  emitter.pushOperand(operandAt(instruction, 0), 4);
  code.tee(value);
  code.i32(controlBits);
  code.op(Op.I32And);
  code.i32(defaultControl);
  code.op(Op.I32Ne);
  emitter.leaveIf(emitter.site('unsupported'));
  code.i32(0);
  code.get(value);
  code.memory(Op.I32Store, cpuStateOffset + StateOffset.Mxcsr);
}

/** stmxcsr. */
export function storeControl(emitter: Emitter, instruction: Instruction): void {
  const value = emitter.temp(WasmType.I32);
  const target = operandAt(instruction, 0);
  assert(target.kind === 'memory', 'the control word goes to memory');
  emitter.pushState32(StateOffset.Mxcsr);
  emitter.code.set(value);
  emitter.store(target, 4, value);
}

export const sseFloatTranslations: ReadonlyMap<Mnemonic, SseTranslation> = new Map<Mnemonic, SseTranslation>([
  [Mnemonic.Addss, scalarArithmetic(Op.F32Add, single)],
  [Mnemonic.Addsd, scalarArithmetic(Op.F64Add, double)],
  [Mnemonic.Addps, packedArithmetic(Simd.F32x4Add, single)],
  [Mnemonic.Addpd, packedArithmetic(Simd.F64x2Add, double)],
  [Mnemonic.Subss, scalarArithmetic(Op.F32Sub, single)],
  [Mnemonic.Subsd, scalarArithmetic(Op.F64Sub, double)],
  [Mnemonic.Subps, packedArithmetic(Simd.F32x4Sub, single)],
  [Mnemonic.Subpd, packedArithmetic(Simd.F64x2Sub, double)],
  [Mnemonic.Mulss, scalarArithmetic(Op.F32Mul, single)],
  [Mnemonic.Mulsd, scalarArithmetic(Op.F64Mul, double)],
  [Mnemonic.Mulps, packedArithmetic(Simd.F32x4Mul, single)],
  [Mnemonic.Mulpd, packedArithmetic(Simd.F64x2Mul, double)],
  [Mnemonic.Divss, scalarArithmetic(Op.F32Div, single)],
  [Mnemonic.Divsd, scalarArithmetic(Op.F64Div, double)],
  [Mnemonic.Divps, packedArithmetic(Simd.F32x4Div, single)],
  [Mnemonic.Divpd, packedArithmetic(Simd.F64x2Div, double)],
  [Mnemonic.Sqrtss, scalarArithmetic(Op.F32Sqrt, single, true)],
  [Mnemonic.Sqrtsd, scalarArithmetic(Op.F64Sqrt, double, true)],
  [Mnemonic.Sqrtps, packedArithmetic(Simd.F32x4Sqrt, single, true)],
  [Mnemonic.Sqrtpd, packedArithmetic(Simd.F64x2Sqrt, double, true)],
  [Mnemonic.Minss, scalarExtreme(false, single)],
  [Mnemonic.Minsd, scalarExtreme(false, double)],
  [Mnemonic.Minps, packedExtreme(Simd.F32x4PMin)],
  [Mnemonic.Minpd, packedExtreme(Simd.F64x2PMin)],
  [Mnemonic.Maxss, scalarExtreme(true, single)],
  [Mnemonic.Maxsd, scalarExtreme(true, double)],
  [Mnemonic.Maxps, packedExtreme(Simd.F32x4PMax)],
  [Mnemonic.Maxpd, packedExtreme(Simd.F64x2PMax)],
  [Mnemonic.Cmpss, scalarCompare(single)],
  [Mnemonic.Cmpsd, scalarCompare(double)],
  [Mnemonic.Cmpps, packedCompare(single)],
  [Mnemonic.Cmppd, packedCompare(double)],
  [Mnemonic.Comiss, compareToFlags(single)],
  [Mnemonic.Comisd, compareToFlags(double)],
  [Mnemonic.Ucomiss, compareToFlags(single)],
  [Mnemonic.Ucomisd, compareToFlags(double)],
  ...sseConversionTranslations,
]);
