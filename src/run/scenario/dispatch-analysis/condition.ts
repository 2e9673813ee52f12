/** Flags that depend on the control code, and the codes for which a condition on them holds. */
import { ConditionCode } from '../../../engine/cpu/iced.ts';
import { allCodes, type CodeSet, codesOf, complement, countOf, intersection, noCodes, setOf } from './code-set.ts';
import { type Bits, codesAround, operation, type Term } from './term.ts';

export type Flags =
  /** `left` - `right`, as cmp and sub leave them; a test with itself compares with zero. */
  | { readonly kind: 'compared'; readonly left: Term; readonly right: Term; readonly bits: Bits }
  /** Only zero and sign are known. */
  | { readonly kind: 'result'; readonly value: Term; readonly bits: Bits }
  /** Carry is a bit of the value. */
  | { readonly kind: 'bit'; readonly value: Term; readonly index: Term; readonly bits: Bits };

/** A condition that could not be turned into ranges; asked again when few codes are left. */
export interface Filter {
  readonly text: string;
  holds(code: number): boolean | undefined;
}

/** More codes than that are not tried one by one. */
export const mostCodes = 4096;

const signedConditions: readonly ConditionCode[] = [
  ConditionCode.l,
  ConditionCode.ge,
  ConditionCode.le,
  ConditionCode.g,
];

export function dependsOnCode(flags: Flags): boolean {
  return termsOf(flags).some(({ constant }) => constant === undefined);
}

function termsOf(flags: Flags): readonly Term[] {
  switch (flags.kind) {
    case 'compared':
      return [flags.left, flags.right];
    case 'result':
      return [flags.value];
    case 'bit':
      return [flags.value, flags.index];
  }
}

export function flagsText(flags: Flags): string {
  return `${flags.kind}${flags.bits} ${termsOf(flags)
    .map(({ text }) => text)
    .join(' ')}`;
}

/** Whether the condition holds for one code; undefined if that is not known. */
export function holdsFor(flags: Flags, condition: ConditionCode, code: number): boolean | undefined {
  const values = termsOf(flags).map((term) => term.at(code));
  return values.includes(undefined) ? undefined : holdsForValues(flags, condition, values as bigint[]);
}

function holdsForValues(flags: Flags, condition: ConditionCode, values: readonly bigint[]): boolean | undefined {
  const [left, right] = values.map((value) => BigInt.asUintN(flags.bits, value)) as [bigint, bigint];
  switch (flags.kind) {
    case 'compared':
      return compare(left, right, flags.bits, condition);
    case 'result':
      return isEqualOrSign(condition) ? compare(left, 0n, flags.bits, condition) : undefined;
    case 'bit': {
      const isSet = ((left >> (right % BigInt(flags.bits))) & 1n) === 1n;
      return condition === ConditionCode.b ? isSet : condition === ConditionCode.ae ? !isSet : undefined;
    }
  }
}

function isEqualOrSign(condition: ConditionCode): boolean {
  const some: readonly ConditionCode[] = [ConditionCode.e, ConditionCode.ne, ConditionCode.s, ConditionCode.ns];
  return some.includes(condition);
}

function compare(a: bigint, b: bigint, bits: Bits, condition: ConditionCode): boolean | undefined {
  const signed = (value: bigint): bigint => BigInt.asIntN(bits, value);
  switch (condition) {
    case ConditionCode.e:
      return a === b;
    case ConditionCode.ne:
      return a !== b;
    case ConditionCode.b:
      return a < b;
    case ConditionCode.ae:
      return a >= b;
    case ConditionCode.be:
      return a <= b;
    case ConditionCode.a:
      return a > b;
    case ConditionCode.l:
      return signed(a) < signed(b);
    case ConditionCode.ge:
      return signed(a) >= signed(b);
    case ConditionCode.le:
      return signed(a) <= signed(b);
    case ConditionCode.g:
      return signed(a) > signed(b);
    case ConditionCode.s:
      return signed(a - b) < 0n;
    case ConditionCode.ns:
      return signed(a - b) >= 0n;
    default:
      return undefined;
  }
}

/** Those of the codes for which a condition holds; undefined if that is not known for each of them. */
export function codesWhere(codes: CodeSet, flags: Flags, condition: ConditionCode): CodeSet | undefined {
  if (!dependsOnCode(flags)) {
    const holds = holdsFor(flags, condition, 0);
    return holds === undefined ? undefined : holds ? codes : noCodes;
  }
  if (countOf(codes) <= mostCodes) {
    const chosen: number[] = [];
    for (const code of codesOf(codes)) {
      const holds = holdsFor(flags, condition, code);
      if (holds === undefined) return undefined;
      if (holds) chosen.push(code);
    }
    return setOf(chosen);
  }
  const all = rangesWhere(flags, condition);
  return all && intersection(codes, all);
}

function rangesWhere(flags: Flags, condition: ConditionCode): CodeSet | undefined {
  const negation = negations.get(condition);
  if (negation !== undefined) {
    const others = rangesWhere(flags, negation);
    return others && complement(others);
  }
  if (flags.kind === 'bit') return undefined;
  const { bits } = flags;
  const value = flags.kind === 'result' ? flags.value : flags.left;
  const right = flags.kind === 'result' ? 0n : flags.right.constant;
  if (right === undefined || value.constant !== undefined) return undefined;
  if (flags.kind === 'result' && !isEqualOrSign(condition)) return undefined;
  const bound = BigInt.asUintN(bits, right);
  const half = 1n << BigInt(bits - 1);
  switch (condition) {
    case ConditionCode.e:
      return value.codesWithin(bound, bound);
    case ConditionCode.b:
      return bound === 0n ? noCodes : value.codesWithin(0n, bound - 1n);
    case ConditionCode.be:
      return value.codesWithin(0n, bound);
    case ConditionCode.l:
    case ConditionCode.le: {
      // Counted from the most negative value.
      const count = BigInt.asUintN(bits, bound - half) + (condition === ConditionCode.le ? 1n : 0n);
      if (count === 0n) return noCodes;
      return count === 2n * half ? allCodes : codesAround(value, half, count - 1n, bits);
    }
    case ConditionCode.s:
      return codesAround(value, BigInt.asUintN(bits, bound + half), half - 1n, bits);
    default:
      return undefined;
  }
}

/** Conditions that are told by the opposite one. */
const negations = new Map<ConditionCode, ConditionCode>([
  [ConditionCode.ne, ConditionCode.e],
  [ConditionCode.ae, ConditionCode.b],
  [ConditionCode.a, ConditionCode.be],
  [ConditionCode.ge, ConditionCode.l],
  [ConditionCode.g, ConditionCode.le],
  [ConditionCode.ns, ConditionCode.s],
]);

/** One if the condition holds, else zero: what setcc stores. */
export function conditionTerm(flags: Flags, condition: ConditionCode): Term | undefined {
  return operation(`(${flagsText(flags)} ${condition})`, {
    bits: 1,
    operands: termsOf(flags),
    compute: (...values) => {
      const holds = holdsForValues(flags, condition, values);
      return holds === undefined ? undefined : holds ? 1n : 0n;
    },
    codesWithin: (low, high) => {
      if (low === 0n && high > 0n) return allCodes;
      const codes = codesWhere(allCodes, flags, condition);
      return codes && (low === 0n ? complement(codes) : codes);
    },
    isChosenBit: isChosenBit(flags) && condition === ConditionCode.ne,
  });
}

/** Whether zero means that the code is none of several. */
export function isChosenBit(flags: Flags): boolean {
  return flags.kind === 'compared' && flags.left.isChosenBit === true && flags.right.constant === 0n;
}

/** Whether a condition compares for order, of whichever sign. */
export function isOrder(condition: ConditionCode): boolean {
  const unsigned: readonly ConditionCode[] = [ConditionCode.a, ConditionCode.ae, ConditionCode.b, ConditionCode.be];
  return unsigned.includes(condition) || signedConditions.includes(condition);
}
