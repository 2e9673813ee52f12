/** One machine in the worker: it runs in slices, so that the page can pause it, look at it and type commands. */
import { vaFromU64 } from '../../src/base/va.ts';
import { Session } from '../../src/debugger/session.ts';
import type { RunSlice } from '../../src/nt/kd/debug-control.ts';
import { bugCheckLines } from '../../src/run/report/bug-check-arguments.ts';
import { verdictLine } from '../../src/run/report/text.ts';
import { parseStep } from '../../src/run/scenario/step.ts';
import { WatchedRun } from '../../src/run/watched-run.ts';
import type { Activity, Answer, DriverInput, RunInput, StepSize } from './messages.ts';
import { Pace } from './pace.ts';
import { findSource } from './source-texts.ts';

type WithoutRun<T> = T extends { readonly run: number } ? Omit<T, 'run'> : never;
export type RunAnswer = WithoutRun<Answer>;

/** How often the page hears of a machine that runs. */
const stateEveryMs = 50;
const seriesEveryMs = 200;
/** Of the driver's debug output, so many lines go into one message. */
const mostLines = 1000;

export class WatchedSession {
  private readonly watched: WatchedRun;
  private readonly post: (answer: RunAnswer) => void;
  private readonly drivers: readonly DriverInput[];
  private readonly pace = new Pace();
  private debugger_: Session | undefined;
  private isRunning = false;
  private isPauseWanted = false;
  private isReported = false;
  private stateAt = Number.NEGATIVE_INFINITY;
  private seriesAt = Number.NEGATIVE_INFINITY;
  private linesTold = 0;

  /**
   * `before`: the machine in whose place this one comes; with the same drivers, its debugger's breakpoints stay.
   * Throws PoolproofError for input that can't be used.
   */
  constructor(input: RunInput, post: (answer: RunAnswer) => void, before?: WatchedSession) {
    this.post = post;
    this.drivers = input.drivers;
    this.watched = new WatchedRun({
      drivers: input.drivers.filter(({ isVerified }) => isVerified),
      companions: input.drivers.filter(({ isVerified }) => !isVerified),
      flags: input.flags,
      seed: input.seed,
      steps: input.steps?.map(parseStep),
      deviceModel: input.deviceModel,
      readSource: (file) => findSource(input.sources, file),
    });
    if (before?.debugger_ !== undefined && isSame(before.drivers, this.drivers)) {
      for (const breakpoint of before.debugger_.execution.breakpoints.all) {
        const { id } = this.debugger.execution.breakpoints.add(breakpoint);
        this.debugger.execution.breakpoints.enable([id], breakpoint.isEnabled);
      }
    }
    this.tell(true);
  }

  // ---- running

  /**
   * Runs to the end, or by one step, until it is paused. Once there is a debugger it runs the machine: its breakpoints and
   * the driver's own stop it, and it says where.
   */
  async run(step?: StepSize): Promise<void> {
    if (this.isRunning || this.watched.isOver) return;
    if (this.debugger_ !== undefined && step !== 'call') {
      const line = step === undefined ? 'g' : 'gs';
      this.post({ kind: 'printed', text: `${this.debugger_.prompt}${line}\n` });
      return await this.command(line);
    }
    this.begin();
    try {
      while (this.goOn(step)) {
        await this.breathe();
        if (this.isPauseWanted) return;
      }
    } finally {
      this.end();
    }
  }

  /** False when the machine stands. */
  private goOn(step: StepSize | undefined): boolean {
    for (;;) {
      const control = this.watched.machine.nt.debugControl;
      control.stopsAtSteps = true;
      if (this.resume(step === 'call' ? { calls: 1 } : this.pace.slice) === 'over') return false;
      const { lastStop } = control;
      if (lastStop?.kind === 'scenario-step') {
        if (step === 'scenario-step') return false;
      } else if (lastStop?.kind === 'slice') {
        return step !== 'call' && !this.isPauseWanted;
      } else if (lastStop !== undefined) {
        return false;
      }
    }
  }

  private resume(slice: RunSlice): 'stopped' | 'over' {
    this.watched.machine.nt.debugControl.slice = slice;
    this.pace.begin();
    const result = this.watched.resume();
    this.pace.done();
    return result;
  }

  pauseSoon(): void {
    this.isPauseWanted = true;
    this.debugger_?.breakIn();
    this.pace.wake();
  }

  setPace(callsPerSecond: number | undefined): void {
    this.pace.callsPerSecond = callsPerSecond;
    this.pace.wake();
  }

  private begin(): void {
    this.isRunning = true;
    this.isPauseWanted = false;
    this.tell(true);
  }

  private end(): void {
    const control = this.watched.machine.nt.debugControl;
    control.stopsAtSteps = false;
    control.slice = undefined;
    this.isRunning = false;
    this.tell(true);
  }

  private async breathe(): Promise<void> {
    this.tell(false);
    await this.pace.rest();
  }

  // ---- the debugger

  async command(line: string): Promise<void> {
    if (this.isRunning) return;
    const session = this.debugger;
    this.begin();
    try {
      await session.execute(line);
    } finally {
      this.end();
    }
    if (session.hasQuit) {
      this.debugger_ = undefined;
      this.watched.machine.nt.debugControl.detach();
      this.post({
        kind: 'printed',
        text: '(the debugger is detached, without breakpoints; a command attaches it again)\n',
      });
    }
    this.post({ kind: 'prompt', prompt: session.prompt });
  }

  complete(line: string): void {
    if (!this.isRunning) this.post({ kind: 'completions', line, ...this.debugger.complete(line) });
  }

  private get debugger(): Session {
    if (this.debugger_?.target.nt !== this.watched.machine.nt) {
      this.debugger_ = new Session(
        this.watched.debugTarget(() => this.resume(this.pace.slice)),
        {
          write: (text) => this.post({ kind: 'printed', text }),
          breathe: () => this.breathe(),
        },
      );
    }
    return this.debugger_ as Session;
  }

  // ---- telling

  allocations(first: number, count: number): void {
    this.post({ kind: 'allocations', page: this.watched.allocations(first, count) });
  }

  allocation(address: string): void {
    this.post({ kind: 'allocation', address, detail: this.watched.allocation(vaFromU64(BigInt(address))) });
  }

  private get activity(): Activity {
    if (this.watched.isOver) return 'over';
    return this.isRunning ? 'running' : 'standing';
  }

  /** `isAll`: not only what is due. */
  private tell(isAll: boolean): void {
    const now = performance.now();
    if (isAll || now - this.stateAt >= stateEveryMs) {
      this.stateAt = now;
      this.tellOutput();
      this.post({ kind: 'state', activity: this.activity, state: this.watched.state() });
    }
    if (isAll || now - this.seriesAt >= seriesEveryMs) {
      this.seriesAt = now;
      this.post({ kind: 'series', series: { ...this.watched.series.columns(), marks: this.watched.marks } });
    }
    if (this.activity === 'over' && !this.isReported) {
      this.isReported = true;
      this.tellReport();
    }
  }

  private tellOutput(): void {
    const { debugOutput } = this.watched.machine;
    while (this.linesTold < debugOutput.length) {
      const lines = debugOutput.slice(this.linesTold, this.linesTold + mostLines);
      this.linesTold += lines.length;
      this.post({ kind: 'debug-output', lines });
    }
  }

  private tellReport(): void {
    const report = this.watched.report();
    const accused = report.leaks[0]?.driver ?? report.violations[0]?.driver ?? report.driver.name;
    this.post({
      kind: 'report',
      report,
      headline: verdictLine(report),
      bugCheck: report.bugCheck === null ? [] : bugCheckLines(report.bugCheck, accused),
    });
  }
}

/** Then images lie at the same addresses. */
function isSame(some: readonly DriverInput[], others: readonly DriverInput[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ name, bytes }, at) => {
      const other = others[at];
      return (
        other?.name === name &&
        bytes.length === other.bytes.length &&
        bytes.every((byte, of) => byte === other.bytes[of])
      );
    })
  );
}
