/**
 * The arithmetic flags of an operation, as functions of its operands and its result. Each pushes an i32 of 0 or 1.
 * Formulas: Intel SDM volume 1, section 3.4.3.1, and the instructions' pages in volume 2.
 */
import { Flag } from './state.ts';
import { type CodeWriter, Op, sized } from './wasm-writer.ts';

/**
 * How flags follow from operands `a`, `b` and result `r`:
 * `add`, `sub` also with a carry in; `logic` clears CF, OF, AF; shifts have `a` before the shift and a constant count.
 */
export type FlagsKind = 'add' | 'adc' | 'sub' | 'sbb' | 'logic' | 'shl' | 'shr' | 'sar';

export interface FlagOperation {
  readonly kind: FlagsKind;
  readonly bytes: 1 | 2 | 4 | 8;
  /** Locals of i64 for 8 bytes, else of i32 with clear upper bits. */
  readonly a: number;
  readonly b: number;
  readonly result: number;
  /** Shift count, 1 to 8 * bytes - 1. */
  readonly count?: number;
}

/** Pushes a flag of an operation. */
export function pushFlag(code: CodeWriter, operation: FlagOperation, flag: Flag): void {
  switch (flag) {
    case Flag.Cf:
      pushCarry(code, operation);
      break;
    case Flag.Pf:
      pushParity(code, operation.result, operation.bytes);
      break;
    case Flag.Af:
      pushAdjust(code, operation);
      break;
    case Flag.Zf:
      code.get(operation.result);
      code.op(sized(Op.I32Eqz, operation.bytes));
      break;
    case Flag.Sf:
      pushSign(code, operation.result, operation.bytes);
      break;
    default:
      pushOverflow(code, operation);
      break;
  }
}

function pushCarry(code: CodeWriter, { kind, bytes, a, b, result, count }: FlagOperation): void {
  switch (kind) {
    case 'add':
      code.get(result);
      code.get(a);
      code.op(sized(Op.I32LtU, bytes));
      return;
    case 'sub':
      code.get(a);
      code.get(b);
      code.op(sized(Op.I32LtU, bytes));
      return;
    case 'adc':
    case 'sbb':
      // The carries out of all positions; the highest is CF.
      pushCarries(code, kind, bytes, a, b, result);
      pushTopBit(code, bytes);
      return;
    case 'logic':
      code.i32(0);
      return;
    case 'shl':
      pushBit(code, a, bytes, bytes * 8 - (count ?? 1));
      return;
    case 'shr':
    case 'sar':
      pushBit(code, a, bytes, (count ?? 1) - 1);
  }
}

function pushCarries(code: CodeWriter, kind: 'adc' | 'sbb', bytes: number, a: number, b: number, result: number): void {
  const invert = (): void => {
    if (bytes === 8) code.i64(-1);
    else code.i32(-1);
    code.op(sized(Op.I32Xor, bytes));
  };
  // adc: (a & b) | ((a | b) & ~r); sbb: (~a & b) | ((~a | b) & r)
  for (const opcode of [Op.I32And, Op.I32Or]) {
    code.get(a);
    if (kind === 'sbb') invert();
    code.get(b);
    code.op(sized(opcode, bytes));
  }
  code.get(result);
  if (kind === 'adc') invert();
  code.op(sized(Op.I32And, bytes), sized(Op.I32Or, bytes));
}

function pushBit(code: CodeWriter, local: number, bytes: number, bit: number): void {
  code.get(local);
  if (bytes === 8) {
    code.i64(bit);
    code.op(Op.I64ShrU, Op.I32WrapI64);
  } else {
    code.i32(bit);
    code.op(Op.I32ShrU);
  }
  code.i32(1);
  code.op(Op.I32And);
}

/** The sign bit of the value on the stack. */
function pushTopBit(code: CodeWriter, bytes: number): void {
  if (bytes === 8) {
    code.i64(63);
    code.op(Op.I64ShrU, Op.I32WrapI64);
    return;
  }
  code.i32(bytes * 8 - 1);
  code.op(Op.I32ShrU);
  if (bytes < 4) {
    code.i32(1);
    code.op(Op.I32And);
  }
}

/** SF of a result in a local. */
export function pushSign(code: CodeWriter, local: number, bytes: number): void {
  code.get(local);
  pushTopBit(code, bytes);
}

/** PF of a result in a local. */
export function pushParity(code: CodeWriter, local: number, bytes: number): void {
  code.get(local);
  if (bytes === 8) code.op(Op.I32WrapI64);
  code.i32(0xff);
  code.op(Op.I32And, Op.I32Popcnt);
  code.i32(1);
  code.op(Op.I32And, Op.I32Eqz);
}

function pushAdjust(code: CodeWriter, { kind, bytes, a, b, result }: FlagOperation): void {
  if (kind !== 'add' && kind !== 'adc' && kind !== 'sub' && kind !== 'sbb') {
    code.i32(0);
    return;
  }
  code.get(a);
  code.get(b);
  code.op(sized(Op.I32Xor, bytes));
  code.get(result);
  code.op(sized(Op.I32Xor, bytes));
  if (bytes === 8) code.op(Op.I32WrapI64);
  code.i32(4);
  code.op(Op.I32ShrU);
  code.i32(1);
  code.op(Op.I32And);
}

function pushOverflow(code: CodeWriter, operation: FlagOperation): void {
  const { kind, bytes, a, b, result } = operation;
  switch (kind) {
    case 'add':
    case 'adc':
    case 'sub':
    case 'sbb': {
      // add: (a ^ r) & (b ^ r); sub: (a ^ b) & (a ^ r)
      const isAdd = kind === 'add' || kind === 'adc';
      code.get(a);
      code.get(isAdd ? result : b);
      code.op(sized(Op.I32Xor, bytes));
      code.get(isAdd ? b : a);
      code.get(result);
      code.op(sized(Op.I32Xor, bytes), sized(Op.I32And, bytes));
      pushTopBit(code, bytes);
      return;
    }
    case 'shl':
      // Defined for a count of 1; other counts give the same formula here.
      pushCarry(code, operation);
      pushSign(code, result, bytes);
      code.op(Op.I32Xor);
      return;
    case 'shr':
      pushSign(code, a, bytes);
      return;
    case 'logic':
    case 'sar':
      code.i32(0);
  }
}
