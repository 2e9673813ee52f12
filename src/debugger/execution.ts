/** Running a machine for a session: up to a breakpoint, a step's end, a break-in, or the end of the life. */
import { printable } from '../base/printable.ts';
import { type Va, vaAdd } from '../base/va.ts';
import { Gpr } from '../engine/cpu/state.ts';
import type { DebugStop } from '../nt/kd/debug-control.ts';
import { type Breakpoint, BreakpointList } from './breakpoints.ts';
import type { Session } from './session.ts';

/** A breakpoint of one run only; a step over a call or out of a function has one. */
export interface TemporaryStop {
  readonly addresses: readonly Va[];
  /** Only this thread stops. Undefined: any. */
  readonly thread?: Va;
  /** Only with the stack pointer here or above: calls of the same function deeper in the stack do not stop. */
  readonly stack?: Va;
}

export interface RunOptions {
  readonly temporary?: TemporaryStop;
  /** One instruction, or one call of the kernel. */
  readonly isStep?: boolean;
  /** Stops before the next step of the scenario. */
  readonly stopsAtSteps?: boolean;
}

/** Where a run came to. */
export type RunStop =
  | Exclude<DebugStop, { readonly kind: 'breakpoint' | 'slice' }>
  | { readonly kind: 'breakpoint'; readonly breakpoint: Breakpoint }
  /** The run's own. */
  | { readonly kind: 'temporary' }
  /** The commands of a breakpoint went on from it, and have said where to. */
  | { readonly kind: 'told' }
  | { readonly kind: 'over' };

/** Done in some hundredths of a second: so long a host waits between two looks at its user. */
const slice = { calls: 5_000, instructions: 10_000_000 } as const;

export class Execution {
  readonly breakpoints = new BreakpointList();
  private readonly session: Session;
  /** While the machine runs; {@link series} also between two runs. */
  private isMachineRunning = false;
  private series_ = 0;
  private isBroken = false;
  /** Commands of a breakpoint run, and whether one of them said to go on. */
  private inCommands = false;
  private goesOn = false;
  private isMidLine = false;
  /** How often the machine went on. */
  private runs = 0;

  constructor(session: Session) {
    this.session = session;
    session.target.nt.events.on('debugPrint', ({ text }) => {
      if (this.isMachineRunning) this.showDebugOutput(text);
    });
  }

  get isRunning(): boolean {
    return this.series_ > 0;
  }

  /** Stops a run, or a series of them, as soon as it can. Does nothing if there is none. */
  breakIn(): void {
    if (!this.isRunning) return;
    this.isBroken = true;
    if (this.isMachineRunning) this.session.target.nt.debugControl.requestBreak();
  }

  /** Several runs that {@link breakIn} ends as if they were one. */
  async series<T>(body: () => Promise<T>): Promise<T> {
    if (this.series_ === 0) this.isBroken = false;
    this.series_++;
    try {
      return await body();
    } finally {
      this.series_--;
    }
  }

  /** Between two runs of a series: lets the host breathe. True: the series is to end. */
  async breathe(): Promise<boolean> {
    await this.session.host.breathe();
    return this.isBroken;
  }

  /** Called by `g`: true if it stands in a breakpoint's commands, after which the run goes on by itself. */
  goesOnByItself(): boolean {
    if (this.inCommands) this.goesOn = true;
    return this.inCommands;
  }

  /**
   * Goes on from where the machine stands, breathing in between. The commands of a breakpoint that is hit are run here; if
   * they end with `g` the run goes on.
   */
  run(options: RunOptions = {}): Promise<RunStop> {
    return this.series(() => this.runWithCommands(options));
  }

  private async runWithCommands(options: RunOptions): Promise<RunStop> {
    for (;;) {
      const stop = await this.runOnce(options);
      const commands = stop.kind === 'breakpoint' ? stop.breakpoint.commands : undefined;
      if (commands === undefined || this.inCommands) return stop;
      this.inCommands = true;
      this.goesOn = false;
      const { runs } = this;
      try {
        await this.session.execute(commands);
      } finally {
        this.inCommands = false;
      }
      if (!this.goesOn || this.session.hasQuit || this.session.target.isOver) {
        return this.runs === runs ? stop : { kind: 'told' };
      }
      if (await this.breathe()) return { kind: 'break-in' };
    }
  }

  /** Runs to the first instruction of the first driver: nothing of the drivers has run then. */
  runToEntry(): Promise<RunStop> {
    const images = [...this.session.target.nt.images.all()].filter(({ isDriver }) => isDriver);
    const addresses = images.flatMap(({ base, pe }) => {
      const initialize = pe?.exports.find(({ name }) => name === 'DllInitialize');
      const entries = [pe?.entryPointRva, initialize?.rva];
      return entries.flatMap((rva) => (rva === undefined ? [] : [vaAdd(base, rva)]));
    });
    return this.series(() => this.runOnce({ temporary: { addresses } }));
  }

  private async runOnce({ temporary, isStep = false, stopsAtSteps = false }: RunOptions): Promise<RunStop> {
    const { target } = this.session;
    const control = target.nt.debugControl;
    if (target.isOver) return { kind: 'over' };
    control.attach();
    control.stopsAtSteps = stopsAtSteps;
    this.isMachineRunning = true;
    this.runs++;
    try {
      for (;;) {
        control.setBreakpoints([...this.breakpoints.addresses, ...(temporary?.addresses ?? [])]);
        control.slice = slice;
        if (isStep) control.stepInstruction();
        if (target.resume() === 'over') return { kind: 'over' };
        const stop = this.stopOf(control.lastStop, temporary);
        if (stop !== undefined) return stop;
        await this.session.host.breathe();
      }
    } finally {
      this.isMachineRunning = false;
      control.slice = undefined;
      control.stopsAtSteps = false;
      this.endLine();
      this.session.machineRan();
    }
  }

  /** Undefined: the run goes on. */
  private stopOf(stop: DebugStop | undefined, temporary: TemporaryStop | undefined): RunStop | undefined {
    if (stop === undefined || stop.kind === 'slice') return undefined;
    if (stop.kind !== 'breakpoint') return stop;
    const breakpoint = this.breakpoints.hit(stop.address);
    if (breakpoint !== undefined) return { kind: 'breakpoint', breakpoint };
    return temporary !== undefined && this.isReached(stop.address, temporary) ? { kind: 'temporary' } : undefined;
  }

  private isReached(address: Va, { addresses, thread, stack }: TemporaryStop): boolean {
    const { scheduler, cpu } = this.session.target.nt;
    if (!addresses.includes(address)) return false;
    if (thread !== undefined && scheduler.currentThread.kthread !== thread) return false;
    return stack === undefined || cpu.state.gprVa(Gpr.Rsp) >= stack;
  }

  // ---- what drivers print meanwhile

  private showDebugOutput(text: string): void {
    const lines = text.replaceAll('\r\n', '\n').split('\n');
    this.session.host.write(lines.map((line) => line.split('\t').map(printable).join('\t')).join('\n'));
    this.isMidLine = lines.at(-1) !== '';
  }

  private endLine(): void {
    if (this.isMidLine) this.session.host.write('\n');
    this.isMidLine = false;
  }
}
