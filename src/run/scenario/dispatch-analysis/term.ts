/**
 * Values that code computes from the control code alone: functions of it, made of the processor's operations. A term can
 * be evaluated for one code, and where its operations can be undone it tells for which codes its value lies in a range.
 */
import { type CodeSet, codeRange, codesOf, countOf, noCodes, setOf, unionOf } from './code-set.ts';

export interface Term {
  /** Equal texts are equal functions. */
  readonly text: string;
  /** Undefined if it depends on the control code. */
  readonly constant: bigint | undefined;
  /** The value has no more bits than this. */
  readonly bits: number;
  /** One bit that the code chooses, and what a mask leaves of it: compilers ask so for one of several codes. */
  readonly isChosenBit?: boolean;
  /** The value as an unsigned 64-bit number; undefined if it is not known. */
  at(code: number): bigint | undefined;
  /** Codes whose value is in [low, high]; undefined if that is not known without trying them all. */
  codesWithin(low: bigint, high: bigint): CodeSet | undefined;
}

export type Bits = 8 | 16 | 32 | 64;

/** Longer texts come from loops; nothing is said of them. */
const longestText = 300;
/** Values of a range that are undone one by one. */
const mostValues = 1024n;

export const controlCode: Term = {
  text: 'code',
  constant: undefined,
  bits: 32,
  at: (code) => BigInt(code),
  codesWithin: (low, high) => {
    const most = 0xffff_ffffn;
    return low > most ? noCodes : codeRange(Number(low), Number(high < most ? high : most));
  },
};

export function constantTerm(value: bigint | number): Term {
  const unsigned = BigInt.asUintN(64, BigInt(value));
  return {
    text: `0x${unsigned.toString(16)}`,
    constant: unsigned,
    bits: unsigned.toString(2).length,
    at: () => unsigned,
    codesWithin: (low, high) => (unsigned >= low && unsigned <= high ? codeRange(0, 0xffff_ffff) : noCodes),
  };
}

export interface Operation {
  readonly bits: number;
  readonly operands: readonly Term[];
  readonly compute: (...values: bigint[]) => bigint | undefined;
  readonly codesWithin?: ((low: bigint, high: bigint) => CodeSet | undefined) | undefined;
  readonly isChosenBit?: boolean | undefined;
}

/** A term of an operation; undefined if it gets too long. */
export function operation(
  text: string,
  { bits, operands, compute, codesWithin, isChosenBit }: Operation,
): Term | undefined {
  const at = (code: number): bigint | undefined => {
    const values = operands.map((operand) => operand.at(code));
    if (values.includes(undefined)) return undefined;
    const result = compute(...(values as bigint[]));
    return result === undefined ? undefined : BigInt.asUintN(bits, result);
  };
  if (operands.every(({ constant }) => constant !== undefined)) {
    const value = at(0);
    return value === undefined ? undefined : constantTerm(value);
  }
  if (text.length > longestText) return undefined;
  const most = (1n << BigInt(bits)) - 1n;
  return {
    text,
    constant: undefined,
    bits,
    isChosenBit: isChosenBit ?? false,
    at,
    codesWithin: (low, high) => (low > most ? noCodes : codesWithin?.(low, high < most ? high : most)),
  };
}

/** The lowest bits of a term. */
export function truncated(a: Term, bits: Bits): Term | undefined {
  return a.bits <= bits
    ? a
    : operation(`(${a.text})[${bits}]`, { bits, operands: [a], compute: (value) => value, isChosenBit: a.isChosenBit });
}

/** A 32-bit value with its sign in the upper bits, or another size. */
export function signExtended(a: Term, from: Bits, to: Bits): Term | undefined {
  const low = truncated(a, from);
  if (low === undefined || low.bits < from) return low;
  return operation(`signed${from}(${low.text})`, {
    bits: to,
    operands: [low],
    compute: (value) => BigInt.asIntN(from, value),
    codesWithin: (least, most) => {
      // The values below the sign bit stay; those from it on move to the end.
      const half = 1n << BigInt(from - 1);
      const moved = (1n << BigInt(to)) - 2n * half;
      const positive = least < half ? low.codesWithin(least, most < half ? most : half - 1n) : noCodes;
      const start = least > moved + half ? least - moved : half;
      const negative = most >= moved + half ? low.codesWithin(start, most - moved) : noCodes;
      return positive && negative && unionOf([positive, negative]);
    },
  });
}

export function sum(a: Term, b: Term, bits: Bits): Term | undefined {
  if (a.constant !== undefined) return b.constant === undefined ? sum(b, a, bits) : constantSum(a, b, bits);
  const left = truncated(a, bits);
  if (left === undefined) return undefined;
  const { constant } = b;
  if (constant === 0n) return left;
  return operation(`(${left.text}+${b.text})[${bits}]`, {
    bits,
    operands: [left, b],
    compute: (x, y) => x + y,
    ...(constant === undefined
      ? {}
      : {
          codesWithin: (low, high) => {
            const first = BigInt.asUintN(bits, low - constant);
            return codesAround(left, first, high - low, bits);
          },
        }),
  });
}

function constantSum(a: Term, b: Term, bits: Bits): Term {
  return constantTerm(BigInt.asUintN(bits, (a.constant ?? 0n) + (b.constant ?? 0n)));
}

export function difference(a: Term, b: Term, bits: Bits): Term | undefined {
  if (b.constant !== undefined) return sum(a, constantTerm(BigInt.asUintN(bits, -b.constant)), bits);
  return operation(`(${a.text}-${b.text})[${bits}]`, { bits, operands: [a, b], compute: (x, y) => x - y });
}

/** Codes whose value is one of `first`, `first` + 1 … `first` + `more`, going round at the end of the bits. */
export function codesAround(a: Term, first: bigint, more: bigint, bits: Bits): CodeSet | undefined {
  const most = (1n << BigInt(bits)) - 1n;
  const last = first + more;
  if (last <= most) return a.codesWithin(first, last);
  const [upper, lower] = [a.codesWithin(first, most), a.codesWithin(0n, last - most - 1n)];
  return upper === undefined || lower === undefined ? undefined : unionOf([upper, lower]);
}

export function product(a: Term, b: Term, bits: Bits): Term | undefined {
  return operation(`(${a.text}*${b.text})[${bits}]`, { bits, operands: [a, b], compute: (x, y) => x * y });
}

export function exclusiveOr(a: Term, b: Term, bits: Bits): Term | undefined {
  const left = truncated(a, bits);
  const constant = b.constant === undefined ? undefined : BigInt.asUintN(bits, b.constant);
  if (left === undefined) return undefined;
  return operation(`(${left.text}^${b.text})[${bits}]`, {
    bits,
    operands: [left, b],
    compute: (x, y) => x ^ y,
    ...(constant === undefined ? {} : { codesWithin: eachValue(left, (value) => [value ^ constant]) }),
  });
}

export function disjunction(a: Term, b: Term, bits: Bits): Term | undefined {
  return operation(`(${a.text}|${b.text})[${bits}]`, { bits, operands: [a, b], compute: (x, y) => x | y });
}

/** A mask that leaves out one bit is how compilers compare with two codes at once; of other masks nothing is said. */
export function conjunction(a: Term, b: Term, bits: Bits): Term | undefined {
  if (a.constant !== undefined) return b.constant === undefined ? conjunction(b, a, bits) : undefined;
  const left = truncated(a, bits);
  if (left === undefined) return undefined;
  const mask = b.constant === undefined ? undefined : BigInt.asUintN(left.bits, b.constant);
  const all = (1n << BigInt(left.bits)) - 1n;
  if (mask === all) return left;
  const dropped = mask === undefined ? 0n : all & ~mask;
  const isOneBit = dropped !== 0n && (dropped & (dropped - 1n)) === 0n;
  return operation(`(${left.text}&${b.text})[${bits}]`, {
    bits: mask === undefined ? bits : Math.max(1, mask.toString(2).length),
    operands: [left, b],
    compute: (x, y) => x & y,
    isChosenBit: left.isChosenBit,
    ...(isOneBit
      ? { codesWithin: eachValue(left, (value) => ((value & dropped) === 0n ? [value, value | dropped] : [])) }
      : {}),
  });
}

/** Codes whose value is in a range, by what the value was before the operation: for few values. */
function eachValue(a: Term, before: (value: bigint) => readonly bigint[]): Operation['codesWithin'] {
  return (low, high) => {
    if (high - low >= mostValues) return undefined;
    const sets: CodeSet[] = [];
    for (let value = low; value <= high; value++) {
      for (const one of before(value)) {
        const codes = a.codesWithin(one, one);
        if (codes === undefined) return undefined;
        sets.push(codes);
      }
    }
    return unionOf(sets);
  };
}

export function shiftedLeft(a: Term, count: number, bits: Bits): Term | undefined {
  const distance = BigInt(count);
  return count === 0
    ? truncated(a, bits)
    : operation(`(${a.text}<<${count})[${bits}]`, { bits, operands: [a], compute: (x) => x << distance });
}

/** A constant shifted by a number that the code chooses. */
export function shiftedLeftBy(a: Term, count: Term, bits: Bits): Term | undefined {
  const mask = bits === 64 ? 63n : 31n;
  return operation(`(${a.text}<<${count.text})[${bits}]`, {
    bits,
    operands: [a, count],
    compute: (x, by) => x << (by & mask),
    isChosenBit: a.constant === 1n,
  });
}

export function shiftedRight(a: Term, count: number, bits: Bits, isSigned: boolean): Term | undefined {
  const left = truncated(a, bits);
  const distance = BigInt(count);
  if (left === undefined || count === 0) return left;
  const mayBeNegative = isSigned && left.bits === bits;
  return operation(`(${left.text}>>${isSigned ? 's' : ''}${count})[${bits}]`, {
    bits: mayBeNegative ? bits : Math.max(1, left.bits - count),
    operands: [left],
    compute: (x) => (isSigned ? BigInt.asIntN(bits, x) : x) >> distance,
    ...(mayBeNegative
      ? {}
      : {
          codesWithin: (low, high) => left.codesWithin(low << distance, (high << distance) | ((1n << distance) - 1n)),
        }),
  });
}

export function rotatedRight(a: Term, count: number, bits: Bits): Term | undefined {
  const left = truncated(a, bits);
  if (left === undefined) return undefined;
  const rotate = (value: bigint, by: number): bigint =>
    BigInt.asUintN(bits, (value >> BigInt(by)) | (value << BigInt(bits - by)));
  return operation(`(${left.text}ror${count})[${bits}]`, {
    bits,
    operands: [left],
    compute: (x) => rotate(x, count % bits),
    codesWithin: eachValue(left, (value) => [rotate(value, (bits - (count % bits)) % bits)]),
  });
}

/** SHRD: `a` shifted to the right, with the lowest bits of `b` above it; clang's way to ask for a multiple in a range. */
export function shiftedRightFrom(a: Term, b: Term, count: number, bits: Bits): Term | undefined {
  const [low, high] = [truncated(a, bits), truncated(b, bits)];
  if (low === undefined || high === undefined || count === 0) return low;
  const distance = BigInt(count);
  const result: Term | undefined = operation(`(${low.text}:${high.text}>>${count})[${bits}]`, {
    bits,
    operands: [low, high],
    compute: (x, y) => (x >> distance) | (y << BigInt(bits - count)),
    codesWithin: (least, most) => {
      if (most >> BigInt(bits - count) !== 0n) return undefined;
      const around = low.codesWithin(least << distance, (most << distance) | ((1n << distance) - 1n));
      if (around === undefined || countOf(around) > 4 * Number(mostValues)) return undefined;
      return setOf(
        codesOf(around).filter((code) => {
          const value = result?.at(code);
          return value !== undefined && value >= least && value <= most;
        }),
      );
    },
  });
  return result;
}

/** What stands in memory at an address that the code chooses: a table. */
export function loaded(
  address: Term,
  bytes: number,
  read: (address: bigint, bytes: number) => bigint | undefined,
): Term | undefined {
  return operation(`[${address.text}]${bytes}`, {
    bits: bytes * 8,
    operands: [address],
    compute: (at) => read(at, bytes),
  });
}
