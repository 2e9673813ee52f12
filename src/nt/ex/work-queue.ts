/**
 * System worker threads. What is queued stands in the driver's memory and is read when a worker takes it, as on Windows.
 * There is always one worker more than those that are busy while something waits, so that an item that blocks holds
 * nobody up.
 */
import { assert } from '../../base/errors.ts';
import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { Irql, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { delayedWorkPriority, highPriority, normalPriority } from '../ke/thread.ts';
import type { Nt } from '../nt.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';

const maximumWorkers = 64;

interface QueuedItem {
  readonly item: Va;
  readonly priority: number;
}

/** Priorities of the workers of each WORK_QUEUE_TYPE: critical, delayed, hypercritical, normal, background, real time, supercritical. */
const queuePriorities: readonly number[] = [13, delayedWorkPriority, 15, 8, 7, 18, 14];
const delayedWorkQueue = 1;
/** wdm.h: CustomPriorityWorkQueue plus a priority */
const customPriority = 32;

function priorityOfQueue(queueType: number): number {
  const custom = queueType - customPriority;
  return queuePriorities[queueType] ?? Math.min(Math.max(custom, 1), highPriority);
}

export class WorkQueue {
  private readonly nt: Nt;
  private readonly queued: StoreCell<readonly QueuedItem[]>;
  private readonly workers: StoreCell<readonly Va[]>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.queued = nt.stores.cell<readonly QueuedItem[]>('ex/work-queue', []);
    this.workers = nt.stores.cell<readonly Va[]>('ex/workers', []);
  }

  /** WORK_QUEUE_ITEMs that no worker has taken yet: for the checks at unload. */
  get items(): readonly Va[] {
    return this.queued.value.map(({ item }) => item);
  }

  /** An item that is in the queue already stops Windows. */
  queue(item: Va, queueType = delayedWorkQueue): void {
    const { memory } = this.nt;
    const list = WORK_QUEUE_ITEM.List.at(item);
    if (memory.readVa(list) !== nullVa) {
      throw new BugCheck(0xe4, [1, item, item, 0], 'a work item was queued that is in a queue already');
    }
    memory.writeVa(list, item);
    const priority = priorityOfQueue(queueType);
    const at = this.queued.value.findIndex((other) => other.priority < priority);
    const place = at < 0 ? this.queued.value.length : at;
    this.queued.value = [...this.queued.value.slice(0, place), { item, priority }, ...this.queued.value.slice(place)];
    this.provideWorker();
  }

  /** The next item; a worker stands by for those behind it. */
  take(): Va | undefined {
    const [first, ...rest] = this.queued.value;
    if (first === undefined) return undefined;
    const { item, priority } = first;
    this.queued.value = rest;
    this.setPriority(this.nt.scheduler.currentThread.kthread, priority);
    this.nt.memory.writeVa(WORK_QUEUE_ITEM.List.at(item), nullVa);
    if (rest.length > 0) this.provideWorker();
    return item;
  }

  /** Sees to it that a worker is about to look at the queue. */
  private provideWorker(): void {
    const { scheduler } = this.nt;
    const states = this.workers.value.map((worker) => scheduler.thread(worker).state);
    if (this.workers.value.some((worker, index) => states[index] === 'ready' && this.isFresh(worker))) return;
    let worker = this.workers.value[states.indexOf('idle')];
    if (worker === undefined) {
      if (this.workers.value.length >= maximumWorkers || !scheduler.threads.hasRoom) return;
      worker = scheduler.threads.create(this.nt.processor.systemProcess, true).kthread;
      this.workers.value = [...this.workers.value, worker];
    }
    this.setPriority(worker, this.queued.value[0]?.priority ?? normalPriority);
    scheduler.start(worker, this.nt.entries.routineVa('ExpWorkerThread'), []);
  }

  private setPriority(worker: Va, priority: number): void {
    this.nt.scheduler.update(worker, { basePriority: priority });
    this.nt.scheduler.setPriority(worker, priority);
  }

  /** Whether a worker that is ready stands at its beginning. */
  private isFresh(worker: Va): boolean {
    return this.nt.scheduler.thread(worker).context?.rip === this.nt.entries.routineVa('ExpWorkerThread');
  }
}

/** Record: [routine]. */
function next(nt: Nt): Outcome {
  const item = nt.workQueue.take();
  if (item === undefined) return undefined;
  const routine = WORK_QUEUE_ITEM.WorkerRoutine.get(nt.memory, item);
  return callGuest(routine, [WORK_QUEUE_ITEM.Parameter.get(nt.memory, item)], 'routineReturned', [routine]);
}

function routineReturned(nt: Nt, call: ResumedCall): Outcome {
  checkWorkerState(nt, call.va(0), nullVa);
  return next(nt);
}

/** A worker thread has to come back as it went. */
export function checkWorkerState(nt: Nt, routine: Va, item: Va): void {
  const { irql } = nt.cpu.state;
  const { kernelApcDisable, specialApcDisable } = nt.scheduler.currentThread;
  if (irql !== Irql.PASSIVE) {
    throw new BugCheck(0xe1, [routine, irql, item, item], 'a work item returned at raised IRQL');
  }
  if (kernelApcDisable !== 0 || specialApcDisable !== 0) {
    const disabled = ((specialApcDisable & 0xffff) * 0x1_0000 + (kernelApcDisable & 0xffff)) >>> 0;
    throw new BugCheck(0x01, [routine, 0, disabled, 1], 'a work item returned with APCs disabled');
  }
}

export const exWorkerInternals = ntInternals({
  ExpWorkerThread: ntRoutine({
    doc: 'loop of a system worker thread',
    irql: passiveOnly,
    params: {},
    returns: 'VOID',
    body: (nt) => {
      assert(nt.scheduler.currentThread.isSystem, 'work items run in system threads');
      return next(nt);
    },
    resume: { routineReturned },
  }),
});
