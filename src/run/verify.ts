import { Machine } from './machine.ts';
import type { MachineOptions } from './machine-options.ts';
import { type Progress, progressOf } from './progress.ts';
import { buildReport } from './report/build.ts';
import type { Report } from './report/report.ts';
import type { ReadSource } from './report/source-excerpt.ts';
import { LifeEnded } from './verbs.ts';

export interface VerifyOptions extends Omit<MachineOptions, 'flagsLiveAtExit'> {
  /** Called with each line that the driver prints. */
  readonly onDebugOutput?: (line: string) => void;
  /** Called often while the drivers run; must be quick unless it wants to know more. */
  readonly onProgress?: (read: () => Progress) => void;
  /** Called with the machine whose life is over, before the report is made of it. */
  readonly onEnd?: (machine: Machine) => void;
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
  options.onEnd?.(machine);
  const report = buildReport(machine, options.readSource);
  return { ...report, host: { durationMs: Math.round(now() - started) } };
}

/** As {@link verify}, with what `scenario` does in the place of steps. What it throws comes out, but for the machine's end. */
export async function verifyScenario(
  options: Omit<VerifyOptions, 'steps'>,
  scenario: (machine: Machine) => unknown,
): Promise<Report> {
  const now = options.now ?? (() => 0);
  const started = now();
  let machine = await runScenario(options, scenario, false);
  if (machine.nt.end.value?.kind === 'exact-flags-needed') machine = await runScenario(options, scenario, true);
  options.onEnd?.(machine);
  const report = buildReport(machine, options.readSource);
  return { ...report, host: { durationMs: Math.round(now() - started) } };
}

async function runScenario(
  options: Omit<VerifyOptions, 'steps'>,
  scenario: (machine: Machine) => unknown,
  flagsLiveAtExit: boolean,
): Promise<Machine> {
  const machine = makeMachine(options, flagsLiveAtExit);
  try {
    await scenario(machine);
  } catch (thrown) {
    if (!(thrown instanceof LifeEnded)) throw thrown;
  }
  machine.run();
  return machine;
}

function runLife(options: VerifyOptions, flagsLiveAtExit: boolean): Machine {
  const machine = makeMachine(options, flagsLiveAtExit);
  machine.run();
  return machine;
}

function makeMachine(options: VerifyOptions, flagsLiveAtExit: boolean): Machine {
  const machine = new Machine({ ...options, flagsLiveAtExit });
  const { onDebugOutput, onProgress } = options;
  if (onProgress) machine.nt.events.on('turnEnded', () => onProgress(() => progressOf(machine)));
  if (onDebugOutput) machine.nt.events.on('debugPrint', ({ text }) => onDebugOutput(text));
  return machine;
}
