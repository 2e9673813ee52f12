import { BugCheck, type BugCheckParameter } from '../../nt/declare/bug-check.ts';

/** Bug check 0xC4 with the number of the rule and its three parameters. */
export function violation(
  rule: number,
  [p2, p3, p4]: readonly [BugCheckParameter, BugCheckParameter, BugCheckParameter],
  summary: string,
): BugCheck {
  return new BugCheck(0xc4, [rule, p2, p3, p4], summary);
}
