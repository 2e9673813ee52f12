/**
 * Arithmetic flags that are computed when they are asked for. After an arithmetic instruction only its operands and
 * its result are kept; a following conditional instruction compares those, and flags that are read later, in another
 * block or after something that can leave the unit, are put into their locals.
 * Conditions: Intel SDM volume 1, appendix B.
 */
import { assert } from '../../base/errors.ts';
import { type FlagOperation, pushFlag } from './flag-formulas.ts';
import { ConditionCode } from './iced.ts';
import { Flag } from './state.ts';
import { firstFlag, type StateFlow } from './state-flow.ts';
import { type CodeWriter, Op, sized } from './wasm-writer.ts';

const flagBit = (flag: Flag): number => 1 << flag;

export class LazyFlags {
  private readonly code: CodeWriter;
  private readonly flow: StateFlow;
  private pending: FlagOperation | undefined;
  /** Flags that `pending` stands for. */
  private pendingMask = 0;
  /** Those of them that also stand in their locals. */
  private storedMask = 0;
  /** Called when the locals of a pending operation are no longer needed. */
  onRelease: (pending: FlagOperation) => void = () => {};

  constructor(code: CodeWriter, flow: StateFlow) {
    this.code = code;
    this.flow = flow;
  }

  /** The current instruction sets the flags in `mask` like this; others keep what they are. */
  setPending(pending: FlagOperation, mask: number, liveAfter: number): void {
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
    pushFlag(this.code, pending, flag);
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

  private pushComparison(pending: FlagOperation, condition: ConditionCode): boolean {
    const opcode = comparisons[condition];
    if (opcode === undefined) return false;
    const isSigned = opcode === Op.I32LtS || opcode === Op.I32GeS || opcode === Op.I32LeS || opcode === Op.I32GtS;
    this.pushOperand(pending.a, pending.bytes, isSigned);
    this.pushOperand(pending.b, pending.bytes, isSigned);
    this.code.op(sized(opcode, pending.bytes));
    return true;
  }

  private pushSignOfLogic(pending: FlagOperation, condition: ConditionCode): boolean {
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
