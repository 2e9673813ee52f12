import { Machine } from './machine.ts';
import type { MachineOptions } from './machine-options.ts';
import { type Progress, progressOf } from './progress.ts';
import { buildReport } from './report/build.ts';
import type { Report } from './report/report.ts';
import type { ReadSource } from './report/source-excerpt.ts';

export interface VerifyOptions extends Omit<MachineOptions, 'flagsLiveAtExit'> {
  /** Called with each line that the driver prints. */
  readonly onDebugOutput?: (line: string) => void;
  /** Called often while the drivers run; must be quick unless it wants to know more. */
  readonly onProgress?: (read: () => Progress) => void;
  /** Gives the text of source files, for the report. */
  readonly readSource?: ReadSource;
  /** Milliseconds from any start; only `host.durationMs` comes of it, 0 without it. */
  readonly now?: () => number;
}

/**
 * Runs drivers through their life and says what was found.
 * Throws PoolproofError for input that can't be used.
 */
export function verify(options: VerifyOptions): Report {
  const now = options.now ?? (() => 0);
  const started = now();
  let machine = runLife(options, false);
  // Rare: code that passes arithmetic flags across calls. The same life again, with exact flags.
  if (machine.nt.end.value?.kind === 'exact-flags-needed') machine = runLife(options, true);
  const report = buildReport(machine, options.readSource);
  return { ...report, host: { durationMs: Math.round(now() - started) } };
}

function runLife(options: VerifyOptions, flagsLiveAtExit: boolean): Machine {
  const machine = new Machine({ ...options, flagsLiveAtExit });
  const { onDebugOutput, onProgress } = options;
  if (onProgress) machine.nt.events.on('turnEnded', () => onProgress(() => progressOf(machine)));
  if (onDebugOutput) machine.nt.events.on('debugPrint', ({ text }) => onDebugOutput(text));
  machine.run();
  return machine;
}
