/** `poolproof kd`, and the debugger that `--break` enters: a session at the terminal. */
import { PoolproofError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import { Session } from '../debugger/session.ts';
import { reportEnd, reportStop } from '../debugger/stop-report.ts';
import { debugTarget } from '../run/debug-target.ts';
import { Machine } from '../run/machine.ts';
import { progressOf } from '../run/progress.ts';
import { buildReport } from '../run/report/build.ts';
import type { ReadSource } from '../run/report/source-excerpt.ts';
import { ConsoleLines } from './console-lines.ts';
import { ExitStatus, statusOfVerdict } from './exit-status.ts';
import { checkSourceFolders, chooseMachine, LifeError, type MachineChoice } from './machine-files.ts';
import { ProgressLine } from './progress-line.ts';
import { repeatCommand } from './repeat-command.ts';
import type { Terminal } from './terminal.ts';

export interface KdCommandOptions extends MachineChoice {
  /** Run before anything is read. */
  readonly commands: string | undefined;
}

/** Stops the drivers before their first instruction, and takes commands until `q` or the end of the input. */
export async function kdCommand(
  paths: readonly string[],
  options: KdCommandOptions,
  terminal: Terminal,
  version: string,
): Promise<ExitStatus> {
  checkSourceFolders(options);
  const { readSource, ...chosen } = await chooseMachine(paths, options);
  // The debugger shows flags, so they must be right everywhere.
  const machine = new Machine({ ...chosen, flagsLiveAtExit: true });
  const seat = new Seat(machine, readSource, terminal, options.progress);
  try {
    const names = machine.verified.map(({ file }) => file.name).join(', ');
    terminal.out(`poolproof ${version}: kernel debugger at a machine with ${printable(names)}; .help lists commands\n`);
    if (!seat.session.target.isOver) await seat.startAtEntry();
    if (options.commands !== undefined) {
      seat.session.print(`kd: Reading initial command '${options.commands}'`);
      await seat.session.execute(options.commands);
    }
    await seat.takeLines();
    if (!seat.session.target.isOver) return ExitStatus.Clean;
    return statusOfVerdict(buildReport(machine, readSource).verdict);
  } catch (error) {
    if (error instanceof PoolproofError) throw error;
    const repeat = repeatCommand({ ...options, paths, steps: options.steps.map(({ text }) => text) });
    throw new LifeError(repeat, error);
  } finally {
    seat.leave();
  }
}

/** A session at a machine that stopped with a bug check. */
export async function debugEnded(machine: Machine, readSource: ReadSource, terminal: Terminal): Promise<void> {
  const seat = new Seat(machine, readSource, terminal, false);
  try {
    reportEnd(seat.session);
    await seat.takeLines();
  } finally {
    seat.leave();
  }
}

/** A session with its terminal. */
class Seat {
  readonly session: Session;
  private readonly terminal: Terminal;
  private readonly lines: ConsoleLines | undefined;
  private readonly progress: ProgressLine | undefined;

  constructor(machine: Machine, readSource: ReadSource, terminal: Terminal, hasProgress: boolean) {
    this.terminal = terminal;
    const line =
      hasProgress && terminal.progress ? new ProgressLine(terminal.progress, () => performance.now()) : undefined;
    this.progress = line;
    this.session = new Session(debugTarget(machine, readSource), {
      write: (text) => {
        line?.end();
        terminal.out(text);
      },
      breathe: () => {
        line?.show(() => progressOf(machine));
        return new Promise((resolve) => setImmediate(resolve));
      },
    });
    const { input } = terminal;
    this.lines =
      input && new ConsoleLines({ input, complete: (text) => this.complete(text), interrupt: () => this.interrupt() });
  }

  async startAtEntry(): Promise<void> {
    const stop = await this.session.execution.runToEntry();
    if (!this.session.hasQuit) reportStop(this.session, stop);
  }

  /** Until `q` or the end of the input. */
  async takeLines(): Promise<void> {
    const { session, lines, terminal } = this;
    while (!session.hasQuit) {
      const line = await lines?.next(session.prompt);
      if (line === undefined) break;
      // Nobody sees what a pipe holds.
      if (terminal.input?.screen === undefined) terminal.out(`${session.prompt}${printable(line)}\n`);
      await session.execute(line);
      this.progress?.end();
    }
  }

  leave(): void {
    this.progress?.end();
    this.lines?.close();
  }

  private interrupt(): boolean {
    if (!this.session.isBusy) return false;
    this.session.breakIn();
    return true;
  }

  private complete(line: string): [string[], string] {
    const { start, candidates } = this.session.complete(line);
    return [[...candidates], line.slice(start)];
  }
}
