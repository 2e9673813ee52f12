import type { StoreCell } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { lowRealtimePriority } from './thread.ts';

interface ReadyThread {
  readonly kthread: Va;
  readonly priority: number;
  /** The turn in which it became ready. */
  readonly since: number;
}

/** Turns after which a thread runs whatever its priority, as it would on another processor. */
const patienceTurns = 4;

/**
 * The threads that could run. The highest priority goes first, and among equals the seed says who. What the driver
 * was tested on has several processors, so a lower priority never keeps a thread waiting for long, and one that only
 * becomes ready with a higher priority need not run before the next call returns.
 */
export class ReadyQueue {
  private readonly nt: Nt;
  private readonly threads: StoreCell<readonly ReadyThread[]>;
  private readonly turn: StoreCell<number>;
  /** Whether the running thread gives way to an equal (somebody new may run at once) or to anybody (it yields). */
  private readonly givesWay: StoreCell<'no' | 'to-equal' | 'to-all'>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.threads = nt.stores.cell<readonly ReadyThread[]>('ke/ready', []);
    this.turn = nt.stores.cell('ke/turn', 0);
    this.givesWay = nt.stores.cell<'no' | 'to-equal' | 'to-all'>('ke/gives-way', 'no');
  }

  get isEmpty(): boolean {
    return this.threads.value.length === 0;
  }

  add(kthread: Va, priority: number): void {
    this.threads.value = [...this.threads.value, { kthread, priority, since: this.turn.value }];
  }

  remove(kthread: Va): void {
    this.threads.value = this.threads.value.filter((ready) => ready.kthread !== kthread);
  }

  /** The thread's priority changed. */
  changePriority(kthread: Va, priority: number): void {
    this.threads.value = this.threads.value.map((ready) =>
      ready.kthread === kthread ? { ...ready, priority } : ready,
    );
  }

  /** By the seed: a new thread or work item may begin before the call that made it returns. */
  mayStartAtOnce(): void {
    if (this.nt.random.u32() % 2 === 0) this.givesWay.value = 'to-equal';
  }

  /** The running thread lets any other run; false if none is ready. */
  yield(): boolean {
    if (!this.isEmpty) this.givesWay.value = 'to-all';
    return !this.isEmpty;
  }

  /** A turn of the processor is over. */
  endTurn(): void {
    this.turn.value += 1;
  }

  /** Whether the running thread's time is over at the end of its turn. */
  isDue(priority: number): boolean {
    return this.oldestStarved() !== undefined || this.highest >= priority;
  }

  /** Whether the running thread, of that priority, gives way now. */
  preempts(priority: number): boolean {
    const { highest } = this;
    if (highest > priority) return highest >= lowRealtimePriority || this.nt.random.u32() % 2 === 0;
    const givesWay = this.givesWay.value;
    this.givesWay.value = 'no';
    return givesWay === 'to-all' || (givesWay === 'to-equal' && highest === priority);
  }

  /** Takes the next to run out of the queue. */
  take(): Va | undefined {
    const { highest } = this;
    this.givesWay.value = 'no';
    const equals = this.threads.value.filter(({ priority }) => priority === highest);
    const starved = this.oldestStarved();
    const taken = starved ?? (equals.length > 1 ? equals[this.nt.random.u32() % equals.length] : equals[0]);
    if (taken !== undefined) this.remove(taken.kthread);
    return taken?.kthread;
  }

  private get highest(): number {
    let highest = -1;
    for (const { priority } of this.threads.value) highest = Math.max(highest, priority);
    return highest;
  }

  private oldestStarved(): ReadyThread | undefined {
    const [first] = this.threads.value;
    return first !== undefined && this.turn.value - first.since >= patienceTurns ? first : undefined;
  }
}
