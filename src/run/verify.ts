import { Machine, type MachineOptions } from './machine.ts';
import { buildReport } from './report/build.ts';
import type { Report } from './report/report.ts';

export interface VerifyOptions extends Omit<MachineOptions, 'flagsLiveAtExit'> {
  /** Called with each line that the driver prints. */
  readonly onDebugOutput?: (line: string) => void;
  /** Milliseconds from any start; only `host.durationMs` comes of it. */
  readonly now: () => number;
}

/**
 * Runs a driver through its life and says what was found.
 * Throws PoolproofError for input that can't be used.
 */
export function verify(options: VerifyOptions): Report {
  const started = options.now();
  let machine = runLife(options, false);
  // Rare: code that passes arithmetic flags across calls. The same life again, with exact flags.
  if (machine.nt.end.value?.kind === 'exact-flags-needed') machine = runLife(options, true);
  const report = buildReport(machine);
  return { ...report, host: { durationMs: Math.round(options.now() - started) } };
}

function runLife(options: VerifyOptions, flagsLiveAtExit: boolean): Machine {
  const machine = new Machine({ ...options, flagsLiveAtExit });
  const { onDebugOutput } = options;
  if (onDebugOutput) machine.nt.events.on('debugPrint', ({ text }) => onDebugOutput(text));
  machine.run();
  return machine;
}
