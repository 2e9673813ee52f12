/**
 * How the kernel runs: the loop that lets the processor run and looks at the world in between, and the calls by which
 * the guest reaches the kernel. Where a fault or a bug check ends a routine, it becomes here what Windows makes of it.
 */
import { unreachable } from '../base/errors.ts';
import type { StoreNumbers } from '../base/store-numbers.ts';
import type { CpuExit } from '../engine/cpu/cpu.ts';
import { GuestFault } from '../engine/memory/guest-fault.ts';
import { BugCheck } from './declare/bug-check.ts';
import type { Nt } from './nt.ts';

/** How {@link RunLoop.run} came back: rest means that nothing more will happen by itself, stopped that a debugger stopped it. */
export type RunResult = 'done' | 'rest' | 'deadline' | 'ended' | 'stopped';

/** Instructions between two looks at clock and scheduler: one millisecond of virtual time. */
const turnInstructions = 1_000_000;
/** What a call of the kernel costs on the host, in instructions; so that a limit on work is a limit on time. */
const instructionsPerCall = 500;
/** How often the limit is looked at in between turns. */
const callsBetweenChecks = 1024;
const Progress = { calls: 0, workAtRest: 1, turnEnd: 2, isStopped: 3 } as const;

export class RunLoop {
  private readonly nt: Nt;
  private readonly progress: StoreNumbers;

  constructor(nt: Nt) {
    this.nt = nt;
    this.progress = nt.stores.numbers('nt/progress', 4);
    this.progress.values[Progress.turnEnd] = turnInstructions;
  }

  /**
   * Runs until `isDone`, or until every thread waits with nothing that could wake it, or the life ends. Virtual time
   * moves on to the next timer whenever all threads wait, up to `deadline` (interrupt time in 100 ns). After `stopped`
   * the same call goes on from exactly there.
   */
  run(isDone: () => boolean, deadline = Number.POSITIVE_INFINITY): RunResult {
    const { clock, cpu, debugControl, end, scheduler } = this.nt;
    let goesOn = this.progress.at(Progress.isStopped) !== 0;
    this.progress.values[Progress.isStopped] = 0;
    for (; end.value === undefined; goesOn = false) {
      // What is looked at between turns only must not be seen where the machine was stopped within one.
      if (!goesOn) {
        if (isDone()) return this.rest('done');
        if (clock.interruptTime >= deadline) return this.rest('deadline');
        if (!scheduler.hasRunningThread && !this.guard(() => scheduler.dispatchNext(deadline))) {
          if (end.value !== undefined) return 'ended';
          return this.rest(clock.interruptTime >= deadline ? 'deadline' : 'rest');
        }
      }
      if (!scheduler.hasRunningThread) continue;
      if (!goesOn && debugControl.stopsBetween()) return this.stopped();
      const { runEnd } = this;
      this.nt.io.hardware.takeNews();
      const exit = debugControl.execute(Math.max(1, runEnd - cpu.retired), goesOn);
      if (debugControl.stopsAt(exit, cpu.retired >= runEnd)) return this.stopped();
      this.guard(() => this.handleExit(exit));
      if (cpu.retired >= this.progress.at(Progress.turnEnd)) this.guard(() => this.endTurn());
      else if (cpu.retired >= runEnd) this.guard(() => this.nt.interrupts.deliver());
    }
    return 'ended';
  }

  /** Control reached a host address. True: done, the guest goes on behind the call. */
  hostCall(): boolean {
    const { debugControl, end } = this.nt;
    if (end.value !== undefined) return false;
    if (debugControl.isWatching && debugControl.stopsBeforeCall()) return false;
    if (this.isCallTooMany()) return false;
    // As guard() does, without a closure for each call.
    try {
      const goesOn = this.nt.calls.enter() && end.value === undefined && !debugControl.stopsAfterCall();
      return goesOn && !this.nt.io.hardware.takeNews();
    } catch (thrown) {
      this.caught(thrown);
      return false;
    }
  }

  /** The running thread touched hardware, perhaps. False if the processor stands elsewhere now, or its fuel is to be granted anew. */
  deviceTouched(): boolean {
    if (this.nt.end.value !== undefined) return false;
    const { hardware } = this.nt.io;
    const isDue = hardware.nextDue <= this.nt.clock.interruptTime;
    const hasNews = hardware.takeNews();
    if (!isDue && !hasNews) return true;
    this.guard(() => this.nt.interrupts.deliver());
    return false;
  }

  /**
   * Counts a call of the kernel, an exception or something that a device does; true if the life ends over it. A loop of
   * these has few instructions, so its turns are long.
   */
  isCallTooMany(): boolean {
    this.progress.add(Progress.calls, 1);
    return this.progress.at(Progress.calls) % callsBetweenChecks === 0 && this.isOverLimit();
  }

  /** Retired instructions at which the kernel looks again: the turn's end, or when something of a device is due before. */
  private get runEnd(): number {
    const due = this.nt.io.hardware.nextDue;
    const turnEnd = this.progress.at(Progress.turnEnd);
    return due === Number.POSITIVE_INFINITY ? turnEnd : Math.min(turnEnd, this.nt.clock.retiredAt(due));
  }

  private stopped(): RunResult {
    this.progress.values[Progress.isStopped] = 1;
    return 'stopped';
  }

  private rest(result: RunResult): RunResult {
    this.progress.values[Progress.workAtRest] = this.work;
    return result;
  }

  /** What was done since the start, in instructions; calls of the kernel count as what they cost. */
  private get work(): number {
    return this.nt.cpu.retired + this.progress.at(Progress.calls) * instructionsPerCall;
  }

  /** The clock interrupt: time is shown, timers expire, another thread may run. */
  private endTurn(): void {
    const { clock, cpu, end, events, interrupts, scheduler } = this.nt;
    this.progress.values[Progress.turnEnd] = cpu.retired + turnInstructions;
    if (end.value !== undefined) return;
    if (this.isOverLimit()) return;
    clock.tick();
    if (events.has('turnEnded')) events.emit('turnEnded', { retired: cpu.retired });
    if (!interrupts.deliver() && scheduler.hasRunningThread) scheduler.rotate();
  }

  /** Ends the life if it has gone on for too long without coming to rest. */
  private isOverLimit(): boolean {
    if (this.work - this.progress.at(Progress.workAtRest) <= this.nt.options.instructionLimit) return false;
    this.nt.finish({ kind: 'instruction-limit', site: this.nt.cpu.state.rip, stack: this.nt.currentStack() });
    return true;
  }

  private handleExit(exit: CpuExit): void {
    const { nt } = this;
    if (nt.cpu.needsExactFlags) {
      nt.finish({ kind: 'exact-flags-needed' });
      return;
    }
    switch (exit.kind) {
      case 'host':
      case 'fuel':
      case 'breakpoint':
      case 'step':
        return;
      case 'fault':
        if (!this.isCallTooMany()) nt.exceptions.fromProcessor(exit);
        return;
      case 'unsupported':
        nt.finish({
          kind: 'unsupported',
          what: 'instruction',
          name: exit.text,
          site: exit.rip,
          stack: nt.currentStack(),
        });
        return;
      default:
        unreachable(exit);
    }
  }

  /** Runs kernel code: a fault that it meets in guest memory, or a bug check, becomes what Windows makes of it. */
  private guard<T>(body: () => T): T | undefined {
    try {
      return body();
    } catch (thrown) {
      this.caught(thrown);
      return undefined;
    }
  }

  private caught(thrown: unknown): void {
    if (thrown instanceof BugCheck) this.nt.bugCheck(thrown);
    else if (thrown instanceof GuestFault) this.guard(() => this.nt.exceptions.fromKernel(thrown));
    else throw thrown;
  }
}
