import type { StoreMap } from '../../base/store.ts';
import { formatVa, type Va } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';
import { KDPC, KTIMER } from '../structures/ke.ts';

interface QueuedTimer {
  readonly timer: Va;
  /** Interrupt time, 100 ns. */
  readonly dueTime: number;
  /** 0 for one shot. */
  readonly period100ns: number;
  readonly order: number;
}

/** KTIMERs that were set and are not due yet. */
export class Timers {
  private readonly nt: Nt;
  private readonly queued: StoreMap<number, QueuedTimer>;
  private nextDue_ = Number.POSITIVE_INFINITY;
  private isNextDueKnown = false;

  constructor(nt: Nt) {
    this.nt = nt;
    this.queued = nt.stores.map('ke/timers');
  }

  /** Interrupt time at which the next one is due; infinity if none is queued. */
  get nextDue(): number {
    if (!this.isNextDueKnown) {
      this.nextDue_ = Number.POSITIVE_INFINITY;
      for (const { dueTime } of this.queued.values()) this.nextDue_ = Math.min(this.nextDue_, dueTime);
      this.isNextDueKnown = true;
    }
    return this.nextDue_;
  }

  /** After the stores were brought back. */
  forgetNextDue(): void {
    this.isNextDueKnown = false;
  }

  isQueued(timer: Va): boolean {
    return this.queued.has(timer);
  }

  all(): IterableIterator<Va> {
    return this.queued.keys() as IterableIterator<Va>;
  }

  /** Queues a timer (again); true if it was queued before. */
  set(timer: Va, dueTime: number, periodMs: number, dpc: Va): boolean {
    const { memory } = this.nt;
    const wasQueued = this.queued.delete(timer);
    KTIMER.Dpc.set(memory, timer, dpc);
    KTIMER.Period.set(memory, timer, periodMs);
    KTIMER.DueTime.set(memory, timer, BigInt(dueTime));
    this.nt.dispatcher.signal(timer, 0);
    this.queued.set(timer, { timer, dueTime, period100ns: periodMs * 10_000, order: this.queued.size });
    this.isNextDueKnown = false;
    return wasQueued;
  }

  cancel(timer: Va): boolean {
    this.isNextDueKnown = false;
    return this.queued.delete(timer);
  }

  /** Signals every timer whose time has come and queues its DPC. */
  expire(): void {
    const now = this.nt.clock.interruptTime;
    if (this.nextDue > now) return;
    const due = [...this.queued.values()].filter((entry) => entry.dueTime <= now).sort((a, b) => a.dueTime - b.dueTime);
    for (const entry of due) {
      this.queued.delete(entry.timer);
      if (entry.period100ns > 0) this.queued.set(entry.timer, { ...entry, dueTime: entry.dueTime + entry.period100ns });
    }
    this.isNextDueKnown = false;
    for (const { timer } of due) {
      this.checkMemory(timer, KTIMER.sizeBytes);
      this.nt.dispatcher.signal(timer, 1);
      const dpc = KTIMER.Dpc.get(this.nt.memory, timer);
      if (dpc === 0) continue;
      this.checkMemory(dpc, KDPC.sizeBytes);
      this.nt.interrupts.queueDpc(dpc, 0n, 0n);
    }
  }

  /** The clock interrupt stops Windows if a timer that is set, or its DPC, is no longer there. */
  private checkMemory(va: Va, bytes: number): void {
    if (this.nt.memory.isAccessible(va, bytes, Access.Write)) return;
    const parameters = [va, Irql.DISPATCH, 1, this.nt.entries.routineVa('KiRetireDpcList')] as const;
    throw new BugCheck(
      0x0a,
      parameters,
      `a timer that is set, or its DPC, lies in memory that is not there: ${formatVa(va)}`,
    );
  }
}
