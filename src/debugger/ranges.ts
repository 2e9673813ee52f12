/** Ranges of memory as they are typed: `address`, `address L8`, `start end` ("Address and Address Range Syntax"). */
import { type Va, vaFromU64 } from '../base/va.ts';
import { CommandError } from './command.ts';
import { type ExpressionHolder, evaluate, evaluatePrefix } from './expression.ts';

export interface TypedRange {
  readonly start: Va;
  /** How many elements; undefined: the command's usual number. */
  readonly count: number | undefined;
}

/** More than this is only shown for `L?`, and never more than the other: a mistyped end is more likely than a wish. */
const largestRangeBytes = 0x10_0000;
const largestWishBytes = 0x100_0000;

/**
 * Reads a range of elements of `elementBytes`. `start end` means up to and with the element that holds `end`;
 * `start L-8` the eight in front of `start`. Undefined if nothing is typed.
 */
export function parseRange(holder: ExpressionHolder, text: string, elementBytes: number): TypedRange | undefined {
  if (text.trim() === '') return undefined;
  const { value, rest } = evaluatePrefix(holder, text);
  const start = vaFromU64(value);
  if (rest === '') return { start, count: undefined };
  const [, isUnlimited, length] = /^[lL](\??)\s*(.*)$/.exec(rest) ?? [];
  if (length !== undefined) {
    const typed = BigInt.asIntN(64, evaluate(holder, length));
    const count = Number(typed < 0n ? -typed : typed);
    checkSize(count * elementBytes, rest, isUnlimited === '?');
    return typed < 0n ? { start: (start - count * elementBytes) as Va, count } : { start, count };
  }
  const end = vaFromU64(evaluate(holder, rest));
  const bytes = end - start + 1;
  if (!(bytes > 0)) throw new CommandError(`Range error in '${rest}'`);
  checkSize(bytes, rest, false);
  return { start, count: Math.ceil(bytes / elementBytes) };
}

function checkSize(bytes: number, text: string, isUnlimited: boolean): void {
  if (bytes > (isUnlimited ? largestWishBytes : largestRangeBytes)) throw new CommandError(`Range error in '${text}'`);
}
