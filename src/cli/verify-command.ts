import { dirname, resolve } from 'node:path';
import { PoolproofError } from '../base/errors.ts';
import type { Machine } from '../run/machine.ts';
import type { Report } from '../run/report/report.ts';
import { reportText } from '../run/report/text.ts';
import { type VerifyOptions, verify, verifyScenario } from '../run/verify.ts';
import { optionError } from './errors.ts';
import { type ExitStatus, statusOfVerdict } from './exit-status.ts';
import { checkSourceFolders, chooseMachine, isDirectory, LifeError, type MachineChoice } from './machine-files.ts';
import { ProgressLine } from './progress-line.ts';
import { repeatCommand } from './repeat-command.ts';
import { type Terminal, writeJson } from './terminal.ts';

export interface VerifyCommandOptions extends MachineChoice {
  /** A scenario module's path. */
  readonly scenario: string | undefined;
  readonly json: string | undefined;
  /** Whether a bug check enters the debugger. */
  readonly breaks: boolean;
}

/** `poolproof verify`: the drivers in one machine, loaded in the order given. */
export async function verifyCommand(
  paths: readonly string[],
  options: VerifyCommandOptions,
  terminal: Terminal,
): Promise<ExitStatus> {
  checkDestinations(options);
  const repeat = repeatCommand({ ...options, paths, steps: options.steps.map(({ text }) => text) });
  const report = await run(paths, options, terminal, repeat);
  if (options.json !== '-') {
    terminal.out(reportText(report, terminal.style));
    if (report.verdict !== 'clean') terminal.out(`${terminal.style.faint(`Repeat: ${repeat}`)}\n`);
  }
  if (options.json !== undefined) writeJson(options.json, report, terminal);
  return statusOfVerdict(report.verdict);
}

/** What would be found wrong only after the run, or never. Throws PoolproofError. */
function checkDestinations(options: VerifyCommandOptions): void {
  checkSourceFolders(options);
  const { json } = options;
  if (json === undefined || json === '-') return;
  if (!isDirectory(dirname(resolve(json)))) throw optionError('--json', json, 'a file in a directory that exists');
}

async function run(
  paths: readonly string[],
  options: VerifyCommandOptions,
  terminal: Terminal,
  repeat: string,
): Promise<Report> {
  const chosen = await chooseMachine(paths, options);
  const now = (): number => performance.now();
  const line = options.progress && terminal.progress ? new ProgressLine(terminal.progress, now) : undefined;
  let ended: Machine | undefined;
  const machine: VerifyOptions = {
    ...chosen,
    ...(line === undefined ? {} : { onProgress: (read) => line.show(read) }),
    onEnd: (one) => {
      ended = one;
    },
    now,
  };
  try {
    const report = await reportOf(machine, options.scenario);
    line?.end();
    if (options.breaks && ended !== undefined && report.bugCheck !== null) {
      const { debugEnded } = await import('./kd-command.ts');
      // A report on standard output stays a document.
      await debugEnded(ended, chosen.readSource, options.json === '-' ? { ...terminal, out: terminal.err } : terminal);
    }
    return report;
  } catch (error) {
    throw error instanceof PoolproofError ? error : new LifeError(repeat, error);
  } finally {
    line?.end();
  }
}

async function reportOf(machine: VerifyOptions, scenario: string | undefined): Promise<Report> {
  if (scenario === undefined) return verify(machine);
  const { loadScenario } = await import('./scenario-file.ts');
  return verifyScenario(machine, await loadScenario(scenario));
}
