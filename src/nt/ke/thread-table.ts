/** The threads that there are: their records, how they are made, and how they go. */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { kernelHolder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { DispatcherType } from '../structures/ke.ts';
import { normalPriority, type Thread } from './thread.ts';
import { makeStack, stackPages } from './thread-stack.ts';

const kthreadBytes = 0x900;
const maximumThreads = 2048;
/** Stack, KTHREAD, and something left for what the thread does. */
const framesOfThread = stackPages + 16;

export class ThreadTable {
  private readonly nt: Nt;
  private readonly threads: StoreMap<number, Thread>;
  private readonly nextId: StoreCell<number>;
  /** Processors to which a thread bound itself, where it did. */
  private readonly systemAffinity: StoreMap<number, bigint>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.threads = nt.stores.map('ke/threads');
    this.nextId = nt.stores.cell('ke/next-client-id', 4);
    this.systemAffinity = nt.stores.map('ke/system-affinity');
  }

  /** Oldest first. */
  all(): IterableIterator<Thread> {
    return this.threads.values();
  }

  find(kthread: Va): Thread | undefined {
    return this.threads.get(kthread);
  }

  get(kthread: Va): Thread {
    const thread = this.threads.get(kthread);
    assert(thread, 'a thread is looked up by its KTHREAD');
    return thread;
  }

  update(kthread: Va, change: Partial<Thread>): void {
    this.threads.set(kthread, { ...this.get(kthread), ...change });
  }

  /** Whether another thread can be created: there are addresses and memory for its stack. */
  get hasRoom(): boolean {
    return this.threads.size < maximumThreads && this.nt.memory.freeFrameCount >= framesOfThread;
  }

  /** A thread that is idle until `Scheduler.start` gives it a routine. */
  create(process: Va, isSystem: boolean, creator = kernelHolder, priority = normalPriority): Thread {
    const { nt } = this;
    const kthread = nt.pool.allocateKernel(kthreadBytes, 'Thre');
    const id = this.nextId.value;
    this.nextId.value = id + 4;
    nt.dispatcher.initialise(kthread, DispatcherType.Thread, 6, 0);
    const thread: Thread = {
      kthread,
      id,
      process,
      isSystem,
      creator,
      ...makeStack(nt),
      state: 'idle',
      context: undefined,
      wait: undefined,
      kernelApcDisable: 0,
      specialApcDisable: 0,
      priority,
      basePriority: priority,
      result: 0,
      exitStatus: 0,
      isAwakeForApcs: false,
      next: undefined,
    };
    this.threads.set(kthread, thread);
    nt.objects.create(kthread, 'Thread', undefined);
    return thread;
  }

  /** A thread that ended and has no references left. */
  forget(kthread: Va): void {
    this.threads.delete(kthread);
    this.systemAffinity.delete(kthread);
    this.nt.pool.freeKernel(kthread);
  }

  /** Binds a thread to processors, or to none in particular (0); the binding before. */
  setSystemAffinity(kthread: Va, mask: bigint): bigint {
    const before = this.systemAffinity.get(kthread) ?? 0n;
    if (mask === 0n) this.systemAffinity.delete(kthread);
    else this.systemAffinity.set(kthread, mask);
    return before;
  }
}
