/**
 * Asynchronous procedure calls: what is to run in a certain thread. Kernel APCs interrupt a thread below APC_LEVEL, also
 * in the middle of a wait, which goes on afterwards; user APCs wait until the thread's program lets them in.
 */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumedCall } from '../declare/call.ts';
import { Irql, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, continueGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ALERTED, STATUS_USER_APC } from '../ntstatus.ts';
import { KAPC } from '../structures/ke.ts';
import { setIrql } from './irql.ts';
import { contextFromWords, contextToWords, contextWords, loadContext, saveContext } from './saved-context.ts';
import type { Thread, ThreadWait } from './thread.ts';

/** KPROCESSOR_MODE */
export const kernelMode = 0;
export const userMode = 1;

interface ApcState {
  /** Special ones (without a normal routine) stand first. */
  readonly kernel: readonly Va[];
  readonly user: readonly Va[];
  /** A normal kernel APC runs: the next one waits for its end. */
  readonly isNormalRunning: boolean;
  /** The thread's program let user APCs in. */
  readonly isUserPending: boolean;
  readonly isAlerted: readonly [kernel: boolean, user: boolean];
}

const noApcs: ApcState = {
  kernel: [],
  user: [],
  isNormalRunning: false,
  isUserPending: false,
  isAlerted: [false, false],
};

/** KOBJECTS */
const apcObject = 18;
/** What a kernel routine gets to change: normal routine, its context, two arguments. */
const localsBytes = 0x20;
const never = -1;

export class Apcs {
  private readonly nt: Nt;
  private readonly states: StoreMap<number, ApcState>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.states = nt.stores.map('ke/apcs');
  }

  private state(kthread: Va): ApcState {
    return this.states.get(kthread) ?? noApcs;
  }

  private change(kthread: Va, change: Partial<ApcState>): void {
    const state = { ...this.state(kthread), ...change };
    const isNothing = state.kernel.length + state.user.length === 0 && !state.isNormalRunning && !state.isUserPending;
    if (isNothing && !state.isAlerted.includes(true)) this.states.delete(kthread);
    else this.states.set(kthread, state);
  }

  /** All that are queued, with their threads: for the checks at unload. */
  *queued(): Generator<{ readonly apc: Va; readonly thread: Va }> {
    for (const [thread, { kernel, user }] of this.states.entries()) {
      for (const apc of [...kernel, ...user]) yield { apc, thread: thread as Va };
    }
  }

  // ---- queues

  /** KeInitializeApc. Without a normal routine the APC is special, and of kernel mode. */
  initialise(
    apc: Va,
    thread: Va,
    routines: { readonly kernel: Va; readonly rundown: Va; readonly normal: Va },
    mode: number,
    normalContext: bigint,
  ): void {
    const { memory } = this.nt;
    const isSpecial = routines.normal === nullVa;
    KAPC.Type.set(memory, apc, apcObject);
    KAPC.Size.set(memory, apc, KAPC.sizeBytes);
    KAPC.Thread.set(memory, apc, thread);
    KAPC.KernelRoutine.set(memory, apc, routines.kernel);
    KAPC.RundownRoutine.set(memory, apc, routines.rundown);
    KAPC.NormalRoutine.set(memory, apc, routines.normal);
    memory.writeU64(KAPC.NormalContext.at(apc), isSpecial ? 0n : normalContext);
    KAPC.ApcStateIndex.set(memory, apc, 0);
    KAPC.ApcMode.set(memory, apc, isSpecial ? kernelMode : mode);
    KAPC.Inserted.set(memory, apc, 0);
  }

  /** KeInsertQueueApc: false if it is queued already, or its thread has ended. */
  insert(apc: Va, argument1: bigint, argument2: bigint, increment: number): boolean {
    const { memory, scheduler } = this.nt;
    const thread = scheduler.findThread(KAPC.Thread.get(memory, apc));
    if (thread === undefined || thread.state === 'terminated' || KAPC.Inserted.get(memory, apc) !== 0) return false;
    memory.writeU64(KAPC.SystemArgument1.at(apc), argument1);
    memory.writeU64(KAPC.SystemArgument2.at(apc), argument2);
    KAPC.Inserted.set(memory, apc, 1);
    const state = this.state(thread.kthread);
    if (KAPC.ApcMode.get(memory, apc) === userMode) {
      this.change(thread.kthread, { user: [...state.user, apc] });
      this.letUserApcsIn(thread, increment);
      return true;
    }
    const specials = state.kernel.filter((queued) => this.isSpecial(queued));
    const normals = state.kernel.filter((queued) => !this.isSpecial(queued));
    this.change(thread.kthread, {
      kernel: this.isSpecial(apc) ? [...specials, apc, ...normals] : [...specials, ...normals, apc],
    });
    this.interrupt(thread, increment);
    return true;
  }

  /** KeRemoveQueueApc: false if it is not queued. */
  remove(apc: Va): boolean {
    const { memory } = this.nt;
    if (KAPC.Inserted.get(memory, apc) === 0) return false;
    KAPC.Inserted.set(memory, apc, 0);
    const thread = KAPC.Thread.get(memory, apc);
    const { kernel, user } = this.state(thread);
    this.change(thread, {
      kernel: kernel.filter((queued) => queued !== apc),
      user: user.filter((queued) => queued !== apc),
    });
    return true;
  }

  /** The thread ends: its user APCs, which nobody will run. */
  takeUserApcs(kthread: Va): readonly Va[] {
    const { user } = this.state(kthread);
    for (const apc of user) KAPC.Inserted.set(this.nt.memory, apc, 0);
    this.states.delete(kthread);
    return user;
  }

  private isSpecial(apc: Va): boolean {
    return KAPC.NormalRoutine.get(this.nt.memory, apc) === nullVa;
  }

  /** Takes a thread that waits, or rests in its program, to its APC. */
  private interrupt(thread: Thread, increment: number): void {
    if (thread.state === 'waiting' || thread.state === 'idle') {
      const irql = thread.context?.irql ?? Irql.PASSIVE;
      if (this.deliverable(thread, irql) !== undefined) this.nt.scheduler.awaken(thread.kthread, increment);
    }
  }

  private letUserApcsIn(thread: Thread, increment: number): void {
    const { wait } = thread;
    if (thread.state !== 'waiting' || wait?.waitMode !== userMode) return;
    if (!wait.alertable && !this.state(thread.kthread).isUserPending) return;
    this.change(thread.kthread, { isUserPending: true });
    this.nt.scheduler.wake(thread.kthread, STATUS_USER_APC, increment);
  }

  // ---- alerts

  /** KeAlertThread: whether the thread was alerted already. */
  alert(kthread: Va, mode: number): boolean {
    const { wait, state } = this.nt.scheduler.thread(kthread);
    const isAlerted = this.state(kthread).isAlerted.slice() as [boolean, boolean];
    const was = isAlerted[mode === userMode ? 1 : 0];
    if (was) return true;
    if (state === 'waiting' && wait?.alertable === true && mode <= wait.waitMode) {
      this.nt.scheduler.wake(kthread, STATUS_ALERTED);
      return false;
    }
    isAlerted[mode === userMode ? 1 : 0] = true;
    this.change(kthread, { isAlerted });
    return false;
  }

  /** KeTestAlertThread: whether the running thread was alerted; user APCs are let in if not. */
  testAlert(mode: number): boolean {
    const { kthread } = this.nt.scheduler.currentThread;
    const { isAlerted, user } = this.state(kthread);
    const which = mode === userMode ? 1 : 0;
    if (isAlerted[which]) this.clearAlert(kthread, which);
    else if (mode === userMode && user.length > 0) this.change(kthread, { isUserPending: true });
    return isAlerted[which];
  }

  private clearAlert(kthread: Va, which: 0 | 1): void {
    const [kernel, user] = this.state(kthread).isAlerted;
    this.change(kthread, { isAlerted: which === 0 ? [false, user] : [kernel, false] });
  }

  /** The status with which a wait that would block ends at once, if it does. */
  statusForWait(kthread: Va, alertable: boolean, waitMode: number): number | undefined {
    const state = this.states.get(kthread);
    if (state === undefined) return undefined;
    if (alertable) {
      const which = waitMode === userMode ? 1 : 0;
      const alerted = state.isAlerted[which] ? which : state.isAlerted[0] ? 0 : undefined;
      if (state.isAlerted[which] || (alerted !== undefined && !(waitMode === userMode && state.user.length > 0))) {
        this.clearAlert(kthread, alerted ?? which);
        return STATUS_ALERTED;
      }
    }
    if (waitMode !== userMode || !(state.isUserPending || (alertable && state.user.length > 0))) return undefined;
    this.change(kthread, { isUserPending: true });
    return STATUS_USER_APC;
  }

  // ---- delivery

  /** The next APC that a thread at that IRQL can take. */
  private deliverable(thread: Thread, irql: number): Va | undefined {
    if (irql >= Irql.APC || thread.specialApcDisable !== 0) return undefined;
    const { kernel, isNormalRunning } = this.state(thread.kthread);
    const [first] = kernel;
    if (first === undefined || this.isSpecial(first)) return first;
    return thread.kernelApcDisable === 0 && !isNormalRunning ? first : undefined;
  }

  /** Whether user APCs run when the thread goes back to its program. */
  hasUserApcDue(kthread: Va): boolean {
    const state = this.states.get(kthread);
    return state?.isUserPending === true && state.user.length > 0;
  }

  private next(thread: Thread): Va | undefined {
    const apc = this.deliverable(thread, Irql.PASSIVE);
    if (apc !== undefined) return apc;
    if (!thread.isAwakeForApcs || !this.hasUserApcDue(thread.kthread)) return undefined;
    return this.state(thread.kthread).user[0];
  }

  /** Runs the running thread's APCs, if the IRQL allows it. True if the processor now stands elsewhere. */
  deliver(): boolean {
    const { nt } = this;
    const { scheduler, memory, cpu } = nt;
    if (!scheduler.hasRunningThread || cpu.state.irql >= Irql.APC) return false;
    const thread = scheduler.currentThread;
    const apc = this.states.size > 0 && this.states.has(thread.kthread) ? this.next(thread) : undefined;
    if (apc === undefined) {
      if (thread.wait === undefined) return false;
      // What interrupted the wait was taken back.
      scheduler.waitAgain(thread.wait);
      return true;
    }
    const context = saveContext(cpu.state);
    const locals = (Math.floor((cpu.state.gprVa(Gpr.Rsp) - 0x40) / 16) * 16) as Va;
    const stack = vaAdd(locals, -8);
    memory.writeVa(stack, context.rip);
    if (thread.wait !== undefined) scheduler.update(thread.kthread, { wait: undefined });
    const record = [...contextToWords(context), locals, kernelMode, ...wordsOfWait(thread.wait)];
    const { routine, args } = this.begin(apc, record);
    nt.calls.callGuest(
      { routine, args, record },
      stack,
      nt.entries.resumeVa('KiDeliverApc', 'kernelRoutineReturned'),
      undefined,
    );
    return true;
  }

  /** Takes the APC from its queue; its kernel routine is called at APC_LEVEL. */
  private begin(apc: Va, record: number[]): { readonly routine: Va; readonly args: readonly Va[] } {
    const { memory } = this.nt;
    const locals = record[contextWords] as Va;
    record[contextWords + 1] = KAPC.ApcMode.get(memory, apc);
    memory.copy(locals, KAPC.NormalRoutine.at(apc), localsBytes);
    this.remove(apc);
    setIrql(this.nt, Irql.APC);
    const args = [apc, ...[0, 8, 16, 24].map((offset) => vaAdd(locals, offset))];
    return { routine: KAPC.KernelRoutine.get(memory, apc), args };
  }

  kernelRoutineReturned(call: ResumedCall): Outcome {
    const { nt } = this;
    const locals = call.va(contextWords);
    const normal = nt.memory.readVa(locals);
    this.checkIrql(Irql.APC, 0, nullVa);
    if (normal === nullVa) return this.goOn(call);
    if (call.word(contextWords + 1) === userMode) {
      return unsupported('a user APC: code of a program is not run');
    }
    this.change(nt.scheduler.currentThread.kthread, { isNormalRunning: true });
    setIrql(nt, Irql.PASSIVE);
    const args = [8, 16, 24].map((offset) => nt.memory.readU64(vaAdd(locals, offset)));
    return callGuest(normal, args, 'normalRoutineReturned', call.record);
  }

  normalRoutineReturned(call: ResumedCall): Outcome {
    this.checkIrql(Irql.PASSIVE, 2, this.nt.memory.readVa(call.va(contextWords)));
    this.change(this.nt.scheduler.currentThread.kthread, { isNormalRunning: false });
    return this.goOn(call);
  }

  /** Bug check 0xC8 IRQL_UNEXPECTED_VALUE. */
  private checkIrql(expected: number, which: number, routine: Va): void {
    const { irql } = this.nt.cpu.state;
    if (irql === expected) return;
    const packed = (irql << 16) | (expected << 8) | which;
    throw new BugCheck(0xc8, [packed, 0, 0, routine], `a routine of an APC returned at IRQL ${irql}`);
  }

  /** The next APC, or back to what was interrupted. */
  private goOn(call: ResumedCall): Outcome {
    const { nt } = this;
    const { scheduler } = nt;
    const apc = this.next(scheduler.currentThread);
    if (apc !== undefined) {
      const record = call.record.slice();
      const { routine, args } = this.begin(apc, record);
      return callGuest(routine, args, 'kernelRoutineReturned', record);
    }
    const context = contextFromWords(call.record);
    loadContext(nt.cpu.state, context);
    setIrql(nt, context.irql);
    const wait = waitOfWords(call.record.slice(contextWords + 2));
    if (wait !== undefined) scheduler.waitAgain(wait);
    if (scheduler.hasRunningThread && !nt.interrupts.deliver()) scheduler.preempt();
    return continueGuest;
  }
}

/** A wait as words of a resume record. */
function wordsOfWait(wait: ThreadWait | undefined): number[] {
  if (wait === undefined) return [];
  const flags = (wait.waitAll ? 1 : 0) | (wait.alertable ? 2 : 0);
  return [wait.dueTime ?? never, flags, wait.waitMode, wait.routine, wait.order, ...wait.objects];
}

function waitOfWords(words: readonly number[]): ThreadWait | undefined {
  if (words.length === 0) return undefined;
  const [dueTime, flags, waitMode, routine, order, ...objects] = words as [number, number, number, Va, number, ...Va[]];
  return {
    objects,
    waitAll: (flags & 1) !== 0,
    alertable: (flags & 2) !== 0,
    dueTime: dueTime === never ? undefined : dueTime,
    waitMode,
    routine,
    order,
  };
}

export const keApcInternals = ntInternals({
  KiDeliverApc: ntRoutine({
    doc: 'runs the APCs of the interrupted thread, their kernel routines at APC_LEVEL',
    irql: ['APC', 'APC'],
    params: {},
    returns: 'VOID',
    body: () => continueGuest,
    resume: {
      kernelRoutineReturned: (nt, call) => nt.apcs.kernelRoutineReturned(call),
      normalRoutineReturned: (nt, call) => nt.apcs.normalRoutineReturned(call),
    },
  }),
  KiUserMode: ntRoutine({
    doc: 'stands for the program of a thread that rests there while its APCs run',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'VOID',
    body: () => undefined,
  }),
});
