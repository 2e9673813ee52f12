/**
 * What interrupts a thread: deferred procedure calls, when the IRQL allows them. The interrupted registers lie in a
 * frame on the interrupted thread's stack.
 */
import type { StoreCell } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import type { ResumedCall } from '../declare/call.ts';
import { Irql, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, continueGuest, type Outcome } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { KDPC } from '../structures/ke.ts';
import { setIrql } from './irql.ts';
import { contextFromWords, contextToWords, loadContext, saveContext } from './saved-context.ts';

const highImportance = 2;

export class Interrupts {
  private readonly nt: Nt;
  private readonly dpcQueue: StoreCell<readonly Va[]>;
  private readonly activeDpc: StoreCell<Va | undefined>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.dpcQueue = nt.stores.cell<readonly Va[]>('ke/dpc-queue', []);
    this.activeDpc = nt.stores.cell<Va | undefined>('ke/active-dpc', undefined);
  }

  get hasPendingDpc(): boolean {
    return this.dpcQueue.value.length > 0;
  }

  get isDpcActive(): boolean {
    return this.activeDpc.value !== undefined;
  }

  /** DPCs that are queued: for the checks at unload. */
  get queuedDpcs(): readonly Va[] {
    return this.dpcQueue.value;
  }

  /** False if it is queued already. */
  queueDpc(dpc: Va, argument1: bigint, argument2: bigint): boolean {
    if (this.dpcQueue.value.includes(dpc)) return false;
    const { memory } = this.nt;
    memory.writeU64(KDPC.SystemArgument1.at(dpc), argument1);
    memory.writeU64(KDPC.SystemArgument2.at(dpc), argument2);
    const isFirst = KDPC.Importance.get(memory, dpc) === highImportance;
    this.dpcQueue.value = isFirst ? [dpc, ...this.dpcQueue.value] : [...this.dpcQueue.value, dpc];
    return true;
  }

  removeDpc(dpc: Va): boolean {
    const rest = this.dpcQueue.value.filter((queued) => queued !== dpc);
    const wasQueued = rest.length !== this.dpcQueue.value.length;
    this.dpcQueue.value = rest;
    return wasQueued;
  }

  /** The guest wrote CR8. True if it goes on where it is. */
  writeCr8(value: number): boolean {
    setIrql(this.nt, value);
    return !this.deliver() && !this.nt.scheduler.preempt();
  }

  /** Runs what is pending, if the IRQL allows it. True if the processor now stands elsewhere. */
  deliver(): boolean {
    const { nt } = this;
    const { nextDue } = nt.timers;
    if (nextDue !== Number.POSITIVE_INFINITY && nextDue <= nt.clock.interruptTime) nt.timers.expire();
    if (nt.cpu.state.irql >= Irql.DISPATCH || !nt.scheduler.hasRunningThread) return false;
    if (this.dpcQueue.value.length === 0) return nt.apcs.deliver();
    const context = saveContext(nt.cpu.state);
    const stack = (Math.floor((nt.cpu.state.gprVa(Gpr.Rsp) - 0x20) / 16) * 16 + 8) as Va;
    nt.memory.writeVa(stack, context.rip);
    setIrql(nt, Irql.DISPATCH);
    const { routine, args } = this.takeDpc();
    const resumeVa = nt.entries.resumeVa('KiRetireDpcList', 'routineReturned');
    nt.calls.callGuest({ routine, args, record: contextToWords(context) }, stack, resumeVa, undefined);
    return true;
  }

  /** A DPC routine returned: the next one, or back to what was interrupted. */
  routineReturned(call: ResumedCall): Outcome {
    const { nt } = this;
    this.activeDpc.value = undefined;
    if (this.dpcQueue.value.length > 0) {
      setIrql(nt, Irql.DISPATCH);
      const { routine, args } = this.takeDpc();
      return callGuest(routine, args, 'routineReturned', call.record);
    }
    const context = contextFromWords(call.record);
    loadContext(nt.cpu.state, context);
    setIrql(nt, context.irql);
    if (!this.deliver()) nt.scheduler.preempt();
    return continueGuest;
  }

  private takeDpc(): { routine: Va; args: readonly (number | bigint)[] } {
    const { memory } = this.nt;
    const [dpc, ...rest] = this.dpcQueue.value as [Va, ...Va[]];
    this.dpcQueue.value = rest;
    this.activeDpc.value = dpc;
    const args = [
      dpc,
      memory.readU64(KDPC.DeferredContext.at(dpc)),
      memory.readU64(KDPC.SystemArgument1.at(dpc)),
      memory.readU64(KDPC.SystemArgument2.at(dpc)),
    ];
    return { routine: KDPC.DeferredRoutine.get(memory, dpc), args };
  }
}

export const keInterruptInternals = ntInternals({
  KiRetireDpcList: ntRoutine({
    doc: 'runs the queued DPCs at DISPATCH_LEVEL on top of the interrupted thread',
    irql: ['DISPATCH', 'DISPATCH'],
    params: {},
    returns: 'VOID',
    body: () => continueGuest,
    resume: { routineReturned: (nt, call) => nt.interrupts.routineReturned(call) },
  }),
});
