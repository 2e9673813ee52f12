/** What the command's exit status says; scripts rely on it. */
import type { Verdict } from '../run/report/report.ts';

export const ExitStatus = {
  Clean: 0,
  Violation: 1,
  /** Wrong usage, or a file that can't be read or is no driver. */
  Usage: 2,
  Incomplete: 3,
  /** Poolproof's own fault. */
  Internal: 4,
} as const;

export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

export const exitStatusTexts: readonly (readonly [ExitStatus, string])[] = [
  [ExitStatus.Clean, 'clean: the driver was unloaded and left nothing behind'],
  [ExitStatus.Violation, 'violation: a leak or another bug check'],
  [ExitStatus.Usage, 'wrong usage, or a file that cannot be read or is no x64 driver'],
  [ExitStatus.Incomplete, 'incomplete: something did not run, so nothing can be said for sure'],
  [ExitStatus.Internal, "poolproof's own fault"],
];

export function statusOfVerdict(verdict: Verdict): ExitStatus {
  switch (verdict) {
    case 'clean':
      return ExitStatus.Clean;
    case 'violation':
      return ExitStatus.Violation;
    case 'incomplete':
      return ExitStatus.Incomplete;
    case 'error':
      return ExitStatus.Internal;
  }
}
