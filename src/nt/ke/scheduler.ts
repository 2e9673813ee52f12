/**
 * Which thread runs. A thread that does not run is its saved registers; one that waits also has its wait. All of it is
 * data (`thread-table.ts`), and the order in which threads run follows from it alone.
 */
import { assert } from '../../base/errors.ts';
import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va, vaAdd, vaInRange } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { AddressMap } from '../address-map.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Irql } from '../declare/nt-routine.ts';
import type { Wait } from '../declare/outcome.ts';
import { kernelHolder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_TIMEOUT } from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import { KPCR } from '../structures/ke.ts';
import { setIrql } from './irql.ts';
import { ReadyQueue } from './ready-queue.ts';
import { loadContext, saveContext } from './saved-context.ts';
import { delayedWorkPriority, lowRealtimePriority, type Thread, type ThreadState, type ThreadWait } from './thread.ts';
import { freeStack } from './thread-stack.ts';
import { ThreadTable } from './thread-table.ts';

export class Scheduler {
  private readonly nt: Nt;
  readonly threads: ThreadTable;
  private readonly current: StoreCell<Va>;
  readonly ready: ReadyQueue;
  private readonly waitOrder: StoreCell<number>;
  private readonly idleThread: StoreCell<Va>;
  /** The first system thread: it loads, starts and unloads drivers. */
  private readonly systemThread_: StoreCell<Va>;
  /** The thread of the process that makes the requests. */
  private readonly requester_: StoreCell<Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.threads = new ThreadTable(nt);
    this.current = nt.stores.cell('ke/current-thread', nullVa);
    this.ready = new ReadyQueue(nt);
    this.waitOrder = nt.stores.cell('ke/wait-order', 0);
    this.idleThread = nt.stores.cell('ke/idle-thread', nullVa);
    this.systemThread_ = nt.stores.cell('ke/system-thread', nullVa);
    this.requester_ = nt.stores.cell('ke/requester', nullVa);
  }

  boot(): void {
    const { systemProcess, requesterProcess } = this.nt.processor;
    this.idleThread.value = this.threads.create(systemProcess, true).kthread;
    this.setEntry(this.idleThread.value, this.nt.entries.routineVa('KiIdleLoop'), []);
    this.systemThread_.value = this.threads.create(systemProcess, true, kernelHolder, delayedWorkPriority).kthread;
    this.requester_.value = this.threads.create(requesterProcess, false).kthread;
    this.setCurrent(nullVa);
    const { user, systemProcessUser } = AddressMap;
    this.nt.memory.hidesUserPage = (va) => {
      if (!this.hasRunningThread) return false;
      const { process } = this.currentThread;
      if (process !== requesterProcess && vaInRange(va, user.start, user.sizeBytes)) return true;
      return process !== systemProcess && vaInRange(va, systemProcessUser.start, systemProcessUser.sizeBytes);
    };
  }

  get systemThread(): Va {
    return this.systemThread_.value;
  }

  get requester(): Va {
    return this.requester_.value;
  }

  get hasRunningThread(): boolean {
    return this.current.value !== nullVa;
  }

  /** The running thread; the idle thread if none runs. */
  get currentThread(): Thread {
    return this.thread(this.hasRunningThread ? this.current.value : this.idleThread.value);
  }

  get isIdle(): boolean {
    return !this.hasRunningThread || this.current.value === this.idleThread.value;
  }

  /** Nothing can run before time passes. */
  get isAtRest(): boolean {
    return !this.hasRunningThread && this.ready.isEmpty && !this.nt.interrupts.isPending;
  }

  thread(kthread: Va): Thread {
    return this.threads.get(kthread);
  }

  findThread(kthread: Va): Thread | undefined {
    return this.threads.find(kthread);
  }

  all(): IterableIterator<Thread> {
    return this.threads.all();
  }

  update(kthread: Va, change: Partial<Thread>): void {
    this.threads.update(kthread, change);
  }

  // ---- beginning and end of what a thread runs

  /** Gives an idle thread a routine to run; when it returns, the thread is idle again and `result` has RAX. */
  start(kthread: Va, routine: Va, args: readonly (number | bigint)[]): void {
    if (this.thread(kthread).isAwakeForApcs) {
      this.update(kthread, { next: { routine, args } });
      return;
    }
    assert(this.thread(kthread).state === 'idle', 'only an idle thread can be given a routine');
    this.setEntry(kthread, routine, args);
    this.makeReady(kthread);
  }

  /** A thread that waits or is idle takes an APC; what it did goes on afterwards. */
  awaken(kthread: Va, increment: number): void {
    const { state } = this.thread(kthread);
    if (state === 'idle') {
      this.setEntry(kthread, this.nt.entries.routineVa('KiUserMode'), []);
      this.update(kthread, { isAwakeForApcs: true });
    }
    this.boost(kthread, increment);
    this.makeReady(kthread);
  }

  private setEntry(kthread: Va, routine: Va, args: readonly (number | bigint)[]): void {
    const { state } = this.nt.cpu;
    const running = saveContext(state);
    const base = vaAdd(this.thread(kthread).stackBase, -0x18);
    this.nt.memory.writeU64(base, 0n);
    this.nt.calls.callGuest(
      { routine, args, record: [] },
      base,
      this.nt.entries.resumeVa('KiThreadStartup', 'returned'),
      undefined,
    );
    state.rflags = 0x202;
    this.update(kthread, { context: { ...saveContext(state), irql: Irql.PASSIVE } });
    loadContext(state, running);
  }

  /** The running thread ends; its object is signalled. */
  terminateCurrent(exitStatus: number): void {
    const kthread = this.current.value;
    this.update(kthread, { state: 'terminated', exitStatus, context: undefined });
    this.setCurrent(nullVa);
    setIrql(this.nt, Irql.PASSIVE);
    this.nt.dispatcher.signal(kthread, 1);
    this.nt.events.emit('threadTerminated', { thread: kthread });
    freeStack(this.nt, this.thread(kthread).stackBase);
    // The reference that a thread has to itself while it runs.
    releaseObject(this.nt, kthread);
  }

  /** The running thread's routine returned. */
  routineReturned(result: number): void {
    const kthread = this.current.value;
    if (this.thread(kthread).kernelApcDisable !== 0 || this.nt.cpu.state.irql !== Irql.PASSIVE) {
      this.checkRest(kthread);
    }
    const { isAwakeForApcs, next } = this.thread(kthread);
    this.update(kthread, { state: 'idle', context: undefined, isAwakeForApcs: false, next: undefined });
    if (!isAwakeForApcs) this.update(kthread, { result });
    this.setCurrent(nullVa);
    if (next !== undefined) this.start(kthread, next.routine, next.args);
    else if (this.nt.apcs.hasUserApcDue(kthread)) this.awaken(kthread, 0);
  }

  private checkRest(kthread: Va): void {
    const { irql } = this.nt.cpu.state;
    if (irql !== Irql.PASSIVE) {
      throw new BugCheck(0x4a, [this.nt.cpu.state.rip, irql, 0, 0], 'a system call returned at raised IRQL');
    }
    throw new BugCheck(
      0x01,
      [0, 0, this.thread(kthread).kernelApcDisable & 0xffff_ffff, 0],
      'a system call returned with kernel APCs disabled: a critical region was entered and not left',
    );
  }

  // ---- running

  /** Lets the next thread run. False when nothing can run before `deadline` (interrupt time). */
  dispatchNext(deadline: number): boolean {
    for (;;) {
      const next = this.ready.take();
      if (next !== undefined) {
        this.switchTo(next);
        this.nt.interrupts.deliver();
        return true;
      }
      if (this.nt.interrupts.isPending) {
        this.switchTo(this.idleThread.value);
        this.nt.interrupts.deliver();
        return true;
      }
      // A device that does something for ever.
      if (this.nt.end.value !== undefined) return false;
      const due = Math.min(this.nt.timers.nextDue, this.nextWaitDue(), this.nt.io.hardware.nextDue);
      // Nothing is left to run: time stands.
      if (due === Number.POSITIVE_INFINITY) return false;
      if (due > deadline) {
        this.nt.clock.advanceTo(deadline);
        return false;
      }
      this.nt.clock.advanceTo(due);
      this.nt.timers.expire();
      this.nt.io.hardware.expire();
      this.expireWaits();
    }
  }

  /** At the end of a turn: another thread's, if one is ready and the IRQL allows it. A boost wears off. */
  rotate(): void {
    this.expireWaits();
    this.ready.endTurn();
    if (this.isIdle) return;
    const { kthread, priority, basePriority } = this.currentThread;
    const now = priority > basePriority && priority < lowRealtimePriority ? priority - 1 : priority;
    if (now !== priority) this.update(kthread, { priority: now });
    if (this.nt.cpu.state.irql < Irql.DISPATCH && this.ready.isDue(now)) this.changeTo(this.ready.take());
  }

  /** Where the kernel may change threads: one that became ready takes the processor. True if it did. */
  preempt(): boolean {
    if (this.ready.isEmpty || this.isIdle || this.nt.cpu.state.irql >= Irql.DISPATCH) return false;
    if (!this.ready.preempts(this.currentThread.priority)) return false;
    this.changeTo(this.ready.take());
    return true;
  }

  /** The running thread stays ready and another one runs. */
  private changeTo(next: Va | undefined): void {
    if (next === undefined) return;
    const { kthread, priority } = this.currentThread;
    this.suspendCurrent('ready');
    this.ready.add(kthread, priority);
    this.switchTo(next);
    this.nt.interrupts.deliver();
  }

  setPriority(kthread: Va, priority: number): void {
    this.update(kthread, { priority });
    this.ready.changePriority(kthread, priority);
  }

  /** The idle thread has nothing left to do. */
  leaveIdle(): void {
    this.setEntryOfIdle();
    this.setCurrent(nullVa);
  }

  private setEntryOfIdle(): void {
    this.setEntry(this.idleThread.value, this.nt.entries.routineVa('KiIdleLoop'), []);
  }

  private switchTo(kthread: Va): void {
    const thread = this.thread(kthread);
    assert(thread.context, 'a thread that is to run has its registers');
    loadContext(this.nt.cpu.state, thread.context);
    setIrql(this.nt, thread.context.irql);
    this.update(kthread, { state: 'running', context: undefined });
    this.setCurrent(kthread);
  }

  private suspendCurrent(state: ThreadState): void {
    this.update(this.current.value, { state, context: saveContext(this.nt.cpu.state) });
    this.setCurrent(nullVa);
  }

  private makeReady(kthread: Va): void {
    this.update(kthread, { state: 'ready' });
    this.ready.add(kthread, this.thread(kthread).priority);
  }

  private setCurrent(kthread: Va): void {
    this.current.value = kthread;
    const shown = kthread === nullVa ? this.idleThread.value : kthread;
    KPCR.PrcbCurrentThread.set(this.nt.memory, this.nt.processor.kpcr, shown);
  }

  // ---- waiting

  /** The running thread waits; it stands already where it goes on with the wait status in RAX. */
  wait(action: Wait, routine: Va): void {
    const { nt } = this;
    const kthread = this.current.value;
    const status = nt.dispatcher.trySatisfy(action.objects, action.waitAll, kthread);
    if (status !== undefined) {
      nt.cpu.state.setGpr(Gpr.Rax, BigInt(status));
      return;
    }
    const atOnce = nt.apcs.statusForWait(kthread, action.alertable, action.waitMode);
    if (atOnce !== undefined) {
      nt.cpu.state.setGpr(Gpr.Rax, BigInt(atOnce));
      return;
    }
    if (action.dueTime !== undefined && action.dueTime <= nt.clock.interruptTime && action.objects.length > 0) {
      nt.cpu.state.setGpr(Gpr.Rax, BigInt(STATUS_TIMEOUT));
      return;
    }
    if (nt.cpu.state.irql >= Irql.DISPATCH) {
      throw new BugCheck(0xb8, [kthread, 0, 0, 0], 'a thread would have to wait at DISPATCH_LEVEL or above');
    }
    this.waitOrder.value += 1;
    this.update(kthread, {
      wait: {
        objects: action.objects,
        waitAll: action.waitAll,
        dueTime: action.dueTime,
        alertable: action.alertable,
        waitMode: action.waitMode,
        routine,
        order: this.waitOrder.value,
      },
    });
    this.suspendCurrent('waiting');
  }

  /** After an APC interrupted it. */
  waitAgain(wait: ThreadWait): void {
    this.update(this.current.value, { wait: undefined });
    this.wait({ action: 'wait', ...wait }, wait.routine);
  }

  /** An object was signalled: wakes those whose wait it ends, longest wait first, with a boost of `increment`. */
  wakeWaiters(object: Va, increment = 0): void {
    const waiting = [...this.threads.all()]
      .filter((thread) => thread.state === 'waiting' && thread.wait?.objects.includes(object))
      .sort((a, b) => (a.wait?.order ?? 0) - (b.wait?.order ?? 0));
    for (const thread of waiting) {
      if (!this.nt.dispatcher.isSignalled(object, thread.kthread)) return;
      const { wait } = thread;
      const status = wait && this.nt.dispatcher.trySatisfy(wait.objects, wait.waitAll, thread.kthread);
      if (status !== undefined) this.wake(thread.kthread, status, increment);
    }
  }

  /** Ends a thread's wait with a status. */
  wake(kthread: Va, status: number, increment = 0): void {
    const { context } = this.thread(kthread);
    assert(context, 'a waiting thread has its registers');
    const gpr = context.gpr.slice();
    gpr[Gpr.Rax] = BigInt(status);
    this.update(kthread, { context: { ...context, gpr }, wait: undefined });
    this.boost(kthread, increment);
    this.makeReady(kthread);
  }

  private boost(kthread: Va, increment: number): void {
    const { priority, basePriority } = this.thread(kthread);
    const boosted = Math.min(basePriority + increment, lowRealtimePriority - 1);
    if (boosted > priority) this.update(kthread, { priority: boosted });
  }

  /** Interrupt time at which the next wait times out; infinity if none does. */
  nextWaitDue(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { wait, state } of this.threads.all()) {
      if (state === 'waiting' && wait?.dueTime !== undefined && wait.dueTime < due) due = wait.dueTime;
    }
    return due;
  }

  private expireWaits(): void {
    const now = this.nt.clock.interruptTime;
    for (const thread of [...this.threads.all()]) {
      const { wait } = thread;
      if (thread.state !== 'waiting' || wait?.dueTime === undefined || wait.dueTime > now) continue;
      // A delay (no objects) ends with success.
      this.wake(thread.kthread, wait.objects.length === 0 ? 0 : STATUS_TIMEOUT);
    }
  }
}
