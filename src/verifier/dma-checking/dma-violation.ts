import { BugCheck, type BugCheckParameter } from '../../nt/declare/bug-check.ts';

/** Bug check 0xE6 with the number of the rule and its other parameters; those that are left out are 0. */
export function dmaViolation(rule: number, parameters: readonly BugCheckParameter[], summary: string): BugCheck {
  const [p2 = 0, p3 = 0, p4 = 0] = parameters;
  return new BugCheck(0xe6, [rule, p2, p3, p4], summary);
}
