/** Sets of control codes (32-bit values) as disjoint ranges, ascending. */

export interface CodeRange {
  readonly first: number;
  readonly last: number;
}

export type CodeSet = readonly CodeRange[];

const maximum = 0xffff_ffff;

export const allCodes: CodeSet = [{ first: 0, last: maximum }];
export const noCodes: CodeSet = [];

/** The codes first..last. */
export function codeRange(first: number, last: number): CodeSet {
  return first <= last ? [{ first, last }] : noCodes;
}

export function unionOf(sets: readonly CodeSet[]): CodeSet {
  const ranges = sets.flat().sort((a, b) => a.first - b.first);
  const joined: { first: number; last: number }[] = [];
  for (const { first, last } of ranges) {
    const before = joined[joined.length - 1];
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else joined.push({ first, last });
  }
  return joined;
}

export function intersection(a: CodeSet, b: CodeSet): CodeSet {
  const common: CodeRange[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const left = a[i] as CodeRange;
    const right = b[j] as CodeRange;
    const first = Math.max(left.first, right.first);
    const last = Math.min(left.last, right.last);
    if (first <= last) common.push({ first, last });
    if (left.last < right.last) i++;
    else j++;
  }
  return common;
}

export function complement(set: CodeSet): CodeSet {
  const gaps: CodeRange[] = [];
  let next = 0;
  for (const { first, last } of set) {
    if (first > next) gaps.push({ first: next, last: first - 1 });
    next = last + 1;
  }
  if (next <= maximum) gaps.push({ first: next, last: maximum });
  return gaps;
}

export function without(a: CodeSet, b: CodeSet): CodeSet {
  return intersection(a, complement(b));
}

export function countOf(set: CodeSet): number {
  return set.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

/** Every code of a set that is known to be small. */
export function codesOf(set: CodeSet): number[] {
  return set.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

export function setOf(codes: readonly number[]): CodeSet {
  return unionOf(codes.map((code) => codeRange(code, code)));
}

export function isSameSet(a: CodeSet, b: CodeSet): boolean {
  return (
    a.length === b.length && a.every(({ first, last }, index) => b[index]?.first === first && b[index]?.last === last)
  );
}
