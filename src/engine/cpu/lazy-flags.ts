/**
 * Arithmetic flags that are computed when they are asked for. After an arithmetic instruction only its operands and
 * its result are kept; a following conditional instruction compares those, and flags that are read later, in another
 * block or after something that can leave the unit, are put into their locals.
 * Formulas: Intel SDM volume 1, section 3.4.3.1, and the instructions' pages in volume 2.
 */
import { assert } from '../../base/errors.ts';
import { ConditionCode } from './iced.ts';
import { Flag } from './state.ts';
import { firstFlag, type StateFlow } from './state-flow.ts';
import { type CodeWriter, Op } from './wasm-writer.ts';

/**
 * How flags follow from operands `a`, `b` and result `r`:
 * `add`, `sub` also with a carry in; `logic` clears CF, OF, AF; shifts have `a` before the shift and a constant count.
 */
export type FlagsKind = 'add' | 'adc' | 'sub' | 'sbb' | 'logic' | 'shl' | 'shr' | 'sar';

export interface PendingFlags {
  readonly kind: FlagsKind;
  readonly bytes: 1 | 2 | 4 | 8;
  /** Locals of i64 for 8 bytes, else of i32 with clear upper bits. */
  readonly a: number;
  readonly b: number;
  readonly result: number;
  /** Shift count, 1 to 8 * bytes - 1. */
  readonly count?: number;
}

const flagBit = (flag: Flag): number => 1 << flag;

/** The same opcode for 64-bit operands if `bytes` is 8; `opcode` is the i32 one. */
export function sized(opcode: number, bytes: number): number {
  if (bytes !== 8) return opcode;
  return opcode >= Op.I32Clz ? opcode + (Op.I64Clz - Op.I32Clz) : opcode + (Op.I64Eqz - Op.I32Eqz);
}

export class LazyFlags {
  private readonly code: CodeWriter;
  private readonly flow: StateFlow;
  private pending: PendingFlags | undefined;
  /** Flags that `pending` stands for. */
  private pendingMask = 0;
  /** Those of them that also stand in their locals. */
  private storedMask = 0;
  /** Called when the locals of a pending operation are no longer needed. */
  onRelease: (pending: PendingFlags) => void = () => {};

  constructor(code: CodeWriter, flow: StateFlow) {
    this.code = code;
    this.flow = flow;
  }

  /** The current instruction sets the flags in `mask` like this; others keep what they are. */
  setPending(pending: PendingFlags, mask: number, liveAfter: number): void {
    this.put(this.pendingMask & ~mask & liveAfter);
    const old = this.pending;
    this.pending = pending;
    this.pendingMask = mask;
    this.storedMask = 0;
    if (old) this.onRelease(old);
  }

  /** Puts pending flags among `mask` into their locals. */
  put(mask: number): void {
    const needed = this.pendingMask & ~this.storedMask & mask;
    for (let flag = 0; flag < 6; flag++) {
      if ((needed & (1 << flag)) === 0) continue;
      this.push(flag as Flag);
      this.flow.set(firstFlag + flag);
    }
    this.storedMask |= needed;
  }

  /** The flag's local takes the value on the stack; what was pending of it is void. */
  setDirectly(flag: Flag): void {
    this.flow.set(firstFlag + flag);
    this.pendingMask &= ~flagBit(flag);
  }

  /** Nothing is pending from here on. */
  forget(): void {
    const old = this.pending;
    this.pending = undefined;
    this.pendingMask = 0;
    this.storedMask = 0;
    if (old) this.onRelease(old);
  }

  /** Pushes a flag as an i32 of 0 or 1. */
  push(flag: Flag): void {
    const pending = this.pending;
    if (!pending || (this.pendingMask & flagBit(flag)) === 0) {
      this.flow.get(firstFlag + flag);
      return;
    }
    this.pushOf(pending, flag);
  }

  /** Pushes a flag of an operation, pending or not. */
  pushOf(pending: PendingFlags, flag: Flag): void {
    switch (flag) {
      case Flag.Cf:
        this.pushCarry(pending);
        break;
      case Flag.Pf:
        this.pushParity(pending.result, pending.bytes);
        break;
      case Flag.Af:
        this.pushAdjust(pending);
        break;
      case Flag.Zf:
        this.code.get(pending.result);
        this.code.op(sized(Op.I32Eqz, pending.bytes));
        break;
      case Flag.Sf:
        this.pushSign(pending.result, pending.bytes);
        break;
      default:
        this.pushOverflow(pending);
        break;
    }
  }

  /** Pushes whether a condition holds, as an i32 that is 0 if not. */
  pushCondition(condition: ConditionCode): void {
    if (this.pushFused(condition)) return;
    const { code } = this;
    switch (condition) {
      case ConditionCode.o:
      case ConditionCode.no:
        this.push(Flag.Of);
        break;
      case ConditionCode.b:
      case ConditionCode.ae:
        this.push(Flag.Cf);
        break;
      case ConditionCode.e:
      case ConditionCode.ne:
        this.push(Flag.Zf);
        break;
      case ConditionCode.be:
      case ConditionCode.a:
        this.push(Flag.Cf);
        this.push(Flag.Zf);
        code.op(Op.I32Or);
        break;
      case ConditionCode.s:
      case ConditionCode.ns:
        this.push(Flag.Sf);
        break;
      case ConditionCode.p:
      case ConditionCode.np:
        this.push(Flag.Pf);
        break;
      case ConditionCode.l:
      case ConditionCode.ge:
        this.push(Flag.Sf);
        this.push(Flag.Of);
        code.op(Op.I32Xor);
        break;
      default:
        assert(condition === ConditionCode.le || condition === ConditionCode.g, 'a condition');
        this.push(Flag.Sf);
        this.push(Flag.Of);
        code.op(Op.I32Xor);
        this.push(Flag.Zf);
        code.op(Op.I32Or);
    }
    if (isNegated(condition)) code.op(Op.I32Eqz);
  }

  /** One comparison of what is pending, if that says it all. */
  private pushFused(condition: ConditionCode): boolean {
    const pending = this.pending;
    if (!pending) return false;
    const needed = flagsOfCondition(condition);
    if ((this.pendingMask & needed) !== needed) return false;
    if (pending.kind === 'sub') return this.pushComparison(pending, condition);
    if (pending.kind === 'logic') return this.pushSignOfLogic(pending, condition);
    return false;
  }

  private pushComparison(pending: PendingFlags, condition: ConditionCode): boolean {
    const opcode = comparisons[condition];
    if (opcode === undefined) return false;
    const isSigned = opcode === Op.I32LtS || opcode === Op.I32GeS || opcode === Op.I32LeS || opcode === Op.I32GtS;
    this.pushOperand(pending.a, pending.bytes, isSigned);
    this.pushOperand(pending.b, pending.bytes, isSigned);
    this.code.op(sized(opcode, pending.bytes));
    return true;
  }

  private pushSignOfLogic(pending: PendingFlags, condition: ConditionCode): boolean {
    const opcode = signTests[condition];
    if (opcode === undefined) return false;
    this.pushOperand(pending.result, pending.bytes, true);
    if (pending.bytes === 8) this.code.i64(0);
    else this.code.i32(0);
    this.code.op(sized(opcode, pending.bytes));
    return true;
  }

  private pushOperand(local: number, bytes: number, isSigned: boolean): void {
    this.code.get(local);
    if (isSigned && bytes === 1) this.code.op(Op.I32Extend8S);
    if (isSigned && bytes === 2) this.code.op(Op.I32Extend16S);
  }

  private pushCarry({ kind, bytes, a, b, result, count }: PendingFlags): void {
    const { code } = this;
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
        this.pushCarries(kind, bytes, a, b, result);
        this.pushTopBit(bytes);
        return;
      case 'logic':
        code.i32(0);
        return;
      case 'shl':
        this.pushBit(a, bytes, bytes * 8 - (count ?? 1));
        return;
      case 'shr':
      case 'sar':
        this.pushBit(a, bytes, (count ?? 1) - 1);
    }
  }

  private pushCarries(kind: 'adc' | 'sbb', bytes: number, a: number, b: number, result: number): void {
    const { code } = this;
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

  private pushBit(local: number, bytes: number, bit: number): void {
    const { code } = this;
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
  private pushTopBit(bytes: number): void {
    const { code } = this;
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
  pushSign(local: number, bytes: number): void {
    this.code.get(local);
    this.pushTopBit(bytes);
  }

  /** PF of a result in a local. */
  pushParity(local: number, bytes: number): void {
    const { code } = this;
    code.get(local);
    if (bytes === 8) code.op(Op.I32WrapI64);
    code.i32(0xff);
    code.op(Op.I32And, Op.I32Popcnt);
    code.i32(1);
    code.op(Op.I32And, Op.I32Eqz);
  }

  private pushAdjust({ kind, bytes, a, b, result }: PendingFlags): void {
    const { code } = this;
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

  private pushOverflow(pending: PendingFlags): void {
    const { code } = this;
    const { kind, bytes, a, b, result } = pending;
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
        this.pushTopBit(bytes);
        return;
      }
      case 'shl':
        // Defined for a count of 1; other counts give the same formula here.
        this.pushCarry(pending);
        this.pushSign(result, bytes);
        code.op(Op.I32Xor);
        return;
      case 'shr':
        this.pushSign(a, bytes);
        return;
      case 'logic':
      case 'sar':
        code.i32(0);
    }
  }
}

const comparisons: Readonly<Record<number, number>> = {
  [ConditionCode.b]: Op.I32LtU,
  [ConditionCode.ae]: Op.I32GeU,
  [ConditionCode.be]: Op.I32LeU,
  [ConditionCode.a]: Op.I32GtU,
  [ConditionCode.e]: Op.I32Eq,
  [ConditionCode.ne]: Op.I32Ne,
  [ConditionCode.l]: Op.I32LtS,
  [ConditionCode.ge]: Op.I32GeS,
  [ConditionCode.le]: Op.I32LeS,
  [ConditionCode.g]: Op.I32GtS,
};

/** With OF clear, the signed conditions are tests of the result against zero. */
const signTests: Readonly<Record<number, number>> = {
  [ConditionCode.e]: Op.I32Eq,
  [ConditionCode.ne]: Op.I32Ne,
  [ConditionCode.s]: Op.I32LtS,
  [ConditionCode.ns]: Op.I32GeS,
  [ConditionCode.l]: Op.I32LtS,
  [ConditionCode.ge]: Op.I32GeS,
  [ConditionCode.le]: Op.I32LeS,
  [ConditionCode.g]: Op.I32GtS,
  [ConditionCode.be]: Op.I32Eq,
  [ConditionCode.a]: Op.I32Ne,
};

function isNegated(condition: ConditionCode): boolean {
  return (
    condition === ConditionCode.no ||
    condition === ConditionCode.ae ||
    condition === ConditionCode.ne ||
    condition === ConditionCode.a ||
    condition === ConditionCode.ns ||
    condition === ConditionCode.np ||
    condition === ConditionCode.ge ||
    condition === ConditionCode.g
  );
}

function flagsOfCondition(condition: ConditionCode): number {
  switch (condition) {
    case ConditionCode.o:
    case ConditionCode.no:
      return flagBit(Flag.Of);
    case ConditionCode.b:
    case ConditionCode.ae:
      return flagBit(Flag.Cf);
    case ConditionCode.e:
    case ConditionCode.ne:
      return flagBit(Flag.Zf);
    case ConditionCode.be:
    case ConditionCode.a:
      return flagBit(Flag.Cf) | flagBit(Flag.Zf);
    case ConditionCode.s:
    case ConditionCode.ns:
      return flagBit(Flag.Sf);
    case ConditionCode.p:
    case ConditionCode.np:
      return flagBit(Flag.Pf);
    case ConditionCode.l:
    case ConditionCode.ge:
      return flagBit(Flag.Sf) | flagBit(Flag.Of);
    default:
      return flagBit(Flag.Sf) | flagBit(Flag.Of) | flagBit(Flag.Zf);
  }
}
