/** Where a life stands, kept in the machine's stores, and the small moves that its parts make of it. */
import { assert, PoolproofError } from '../base/errors.ts';
import type { StoreCell } from '../base/store.ts';
import { nullVa, type Va } from '../base/va.ts';
import type { Nt } from '../nt/nt.ts';
import type { Act, LifeState } from './life-state.ts';
import type { KernelCall } from './pnp-device.ts';
import { noBytes } from './requester.ts';

/** A request or a call that goes on this long without an end is stuck: ten virtual minutes. */
export const patience100ns = 6_000_000_000;

export class LifeRecord {
  readonly nt: Nt;
  private readonly cell: StoreCell<LifeState>;

  constructor(nt: Nt, plan: readonly Act[]) {
    this.nt = nt;
    this.cell = nt.stores.cell<LifeState>('run/life', {
      plan,
      index: 0,
      stage: 'begin',
      request: undefined,
      handleAt: nullVa,
      deadline: 0,
      files: [],
      threads: [],
      caller: nullVa,
      events: [],
      pending: [],
      results: [],
      reasons: [],
      isOver: false,
      isStuck: false,
      madeDevices: [],
      unloading: [],
      keptLoaded: [],
      tour: undefined,
      retiredLimit: 0,
    });
  }

  get state(): LifeState {
    return this.cell.value;
  }

  change(change: Partial<LifeState>): void {
    this.cell.value = { ...this.cell.value, ...change };
    if (change.index !== undefined) this.nt.activity.value = change.index;
  }

  // ---- the plan

  get act(): Act {
    const act = this.state.plan[this.state.index];
    assert(act, 'the plan has an act left');
    return act;
  }

  /** What the act is called in the report. */
  get textOfAct(): string {
    const { act } = this;
    return 'text' in act ? act.text : act.verb;
  }

  next(): void {
    this.change({ index: this.state.index + 1, stage: 'begin', request: undefined });
  }

  /** The act is not taken, and not told of. */
  drop(): void {
    const { plan, index } = this.state;
    this.change({ plan: [...plan.slice(0, index), ...plan.slice(index + 1)] });
  }

  /** Acts that come right after this one. */
  insert(acts: readonly Act[]): void {
    const { plan, index } = this.state;
    this.change({ plan: [...plan.slice(0, index + 1), ...acts, ...plan.slice(index + 1)] });
  }

  /** Acts in the place of all that come after this one. */
  goOnWith(acts: readonly Act[]): void {
    const { plan, index } = this.state;
    this.change({ plan: [...plan.slice(0, index + 1), ...acts] });
  }

  /** The life ends here, short of its end. */
  giveUp(reason: string, isStuck = false): void {
    this.change({ reasons: [...this.state.reasons, reason], isOver: true, isStuck });
  }

  /** The act could not be done; the life goes on to show what else there is. */
  passOver(reason: string, isStuck = false): void {
    this.addReason(reason);
    this.change({ isStuck: this.state.isStuck || isStuck });
    this.next();
  }

  addReason(reason: string | undefined): void {
    const { reasons } = this.state;
    if (reason !== undefined && !reasons.includes(reason)) this.change({ reasons: [...reasons, reason] });
  }

  /** The act is done, with this result in the report. */
  answer(text: string, status: number, information = 0, output: Uint8Array = noBytes): void {
    this.change({ results: [...this.state.results, { text, status, information, output }] });
    this.next();
  }

  // ---- calls of the kernel

  /** Has a thread of the machine run a routine of the kernel. */
  call(thread: Va, routine: string, args: readonly (number | bigint)[]): void {
    this.nt.scheduler.start(thread, this.nt.entries.routineVa(routine), args);
    this.called();
  }

  /** Has the process that makes the requests call a routine of the kernel. */
  callFromProgram(routine: string, args: readonly (number | bigint)[]): void {
    this.call(this.takeProgramThread(), routine, args);
  }

  /** A thread of the process that no driver holds; from now on it is at the act. */
  takeProgramThread(): Va {
    const { scheduler, processor } = this.nt;
    const { threads } = this.state;
    const free = [scheduler.requester, ...threads].find((thread) => scheduler.thread(thread).state === 'idle');
    if (free !== undefined) {
      this.change({ caller: free });
      return free;
    }
    if (!scheduler.threads.hasRoom)
      throw new PoolproofError('PP5005', 'the emulated machine has no memory for another thread');
    const { kthread } = scheduler.threads.create(processor.requesterProcess, false);
    this.change({ threads: [...threads, kthread], caller: kthread });
    return kthread;
  }

  callSystem([routine, args]: KernelCall): void {
    this.call(this.nt.scheduler.systemThread, routine, args);
  }

  /** A thread of the machine has something to do. */
  called(): void {
    this.change({ stage: 'calling', deadline: this.inPatience });
  }

  /** The act begins again when what stands in its way is over. */
  wait(): void {
    this.change({ stage: 'waiting', deadline: this.inPatience });
  }

  /** Interrupt time at which patience ends. */
  get inPatience(): number {
    return this.nt.clock.interruptTime + patience100ns;
  }
}
