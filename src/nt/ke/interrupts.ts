/**
 * What interrupts a thread: deferred procedure calls and devices, when the IRQL allows them. The interrupted registers lie in a
 * frame on the interrupted thread's stack.
 */
import type { StoreCell } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { Flag, Gpr } from '../../engine/cpu/state.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumedCall } from '../declare/call.ts';
import { anyIrql } from '../declare/irql-ranges.ts';
import { Irql, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, continueGuest, type Outcome } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { KDPC } from '../structures/ke.ts';
import { setIrql } from './irql.ts';
import {
  contextFromWords,
  contextToWords,
  contextWords,
  loadContext,
  type SavedContext,
  saveContext,
} from './saved-context.ts';

const highImportance = 2;
/** How often in a row service routines run for a line that stays asserted. On Windows nothing else would ever run again. */
const stormRounds = 1000;

function storm(nt: Nt, vector: number): BugCheck {
  const objects = nt.io.interruptObjects.ofVector(vector);
  const [first] = objects;
  const parameters = [
    first?.routine ?? 0,
    first?.context ?? 0n,
    first?.object ?? 0,
    objects.length > 1 ? 2 : 1,
  ] as const;
  const summary = `an interrupt storm: the device's line stays asserted, though its service routine ran ${stormRounds} times in a row`;
  return new BugCheck(0xf2, parameters, summary, first?.routine);
}

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

  /** Whether something would interrupt a thread that runs at PASSIVE_LEVEL. */
  get isPending(): boolean {
    return this.hasPendingDpc || this.nt.io.hardware.interruptAbove(Irql.PASSIVE) !== undefined;
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
    if (nt.io.hardware.model !== undefined && this.deliverDevice()) return true;
    if (nt.cpu.state.irql >= Irql.DISPATCH || !nt.scheduler.hasRunningThread) return false;
    if (this.dpcQueue.value.length === 0) return nt.apcs.deliver();
    const { context, stack } = this.interrupt();
    setIrql(nt, Irql.DISPATCH);
    const { routine, args } = this.takeDpc();
    const resumeVa = nt.entries.resumeVa('KiRetireDpcList', 'routineReturned');
    nt.calls.callGuest({ routine, args, record: contextToWords(context) }, stack, resumeVa, undefined);
    return true;
  }

  /** What the device does happens; true if it interrupts. */
  private deliverDevice(): boolean {
    const { nt } = this;
    const { hardware } = nt.io;
    hardware.expire();
    const mayInterrupt = nt.scheduler.hasRunningThread && nt.cpu.state.flag(Flag.If);
    const due = mayInterrupt ? hardware.interruptAbove(nt.cpu.state.irql) : undefined;
    if (due === undefined) return false;
    hardware.acknowledge(due);
    const { context, stack } = this.interrupt();
    setIrql(nt, due.irql);
    const record = [...contextToWords(context), due.vector, 1];
    const routine = nt.entries.routineVa('KiInterruptDispatch');
    const resumeVa = nt.entries.resumeVa('KiInterruptService', 'serviced');
    nt.calls.callGuest({ routine, args: [due.vector], record }, stack, resumeVa, undefined);
    return true;
  }

  /** The interrupted registers, and where a frame for them begins, whose return address they stand at. */
  private interrupt(): { readonly context: SavedContext; readonly stack: Va } {
    const { cpu, memory } = this.nt;
    const context = saveContext(cpu.state);
    const stack = (Math.floor((cpu.state.gprVa(Gpr.Rsp) - 0x20) / 16) * 16 + 8) as Va;
    memory.writeVa(stack, context.rip);
    return { context, stack };
  }

  /** The service routines ran once. While the device keeps its line asserted they run again. */
  serviced(call: ResumedCall): Outcome {
    const { nt } = this;
    const [vector, rounds] = [call.word(contextWords), call.word(contextWords + 1)];
    if (nt.io.hardware.isAsserted(vector)) {
      if (rounds >= stormRounds) throw storm(nt, vector);
      const record = [...call.record.slice(0, contextWords), vector, rounds + 1];
      return callGuest(nt.entries.routineVa('KiInterruptDispatch'), [vector], 'serviced', record);
    }
    return this.goBack(call);
  }

  private goBack(call: ResumedCall): Outcome {
    const { nt } = this;
    const context = contextFromWords(call.record);
    loadContext(nt.cpu.state, context);
    setIrql(nt, context.irql);
    if (!this.deliver()) nt.scheduler.preempt();
    return continueGuest;
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
    return this.goBack(call);
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
  KiInterruptService: ntRoutine({
    doc: 'what an interrupt of a device runs on top of the interrupted thread: KiInterruptDispatch, as long as a line is asserted',
    irql: anyIrql,
    params: {},
    returns: 'VOID',
    body: () => continueGuest,
    resume: { serviced: (nt, call) => nt.interrupts.serviced(call) },
  }),
  KiRetireDpcList: ntRoutine({
    doc: 'runs the queued DPCs at DISPATCH_LEVEL on top of the interrupted thread',
    irql: ['DISPATCH', 'DISPATCH'],
    params: {},
    returns: 'VOID',
    body: () => continueGuest,
    resume: { routineReturned: (nt, call) => nt.interrupts.routineReturned(call) },
  }),
});
