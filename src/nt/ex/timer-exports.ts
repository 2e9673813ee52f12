/** EX_TIMER: timers that the executive allocates, with a callback at DISPATCH_LEVEL. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { dispatchOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, LARGE_INTEGER, PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { bytes, placed, pointer, struct, u32, u64 } from '../declare/struct.ts';
import { dueInterruptTime } from '../ke/clock.ts';
import { type Holder, holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { DispatcherType, KDPC, KTIMER } from '../structures/ke.ts';

/** The executive's own: drivers know only that a KTIMER stands first, for waits. */
const EX_TIMER = struct('EX_TIMER', {
  Timer: bytes(KTIMER.sizeBytes, 8),
  Dpc: bytes(KDPC.sizeBytes, 8),
  Callback: pointer,
  Context: u64,
  DeleteCallback: pointer,
  DeleteContext: u64,
  Attributes: u32,
});
const EXT_DELETE_PARAMETERS = struct('_EXT_DELETE_PARAMETERS', {
  Version: u32,
  Reserved: u32,
  DeleteCallback: pointer,
  DeleteContext: placed(0x10, u64),
});

/** wdm.h: EX_TIMER_NOTIFICATION */
const notification = 0x8000_0000;
const ptimer = pointerTo('EX_TIMER');

export interface ExecutiveTimer extends Holder {
  readonly timer: Va;
}

/** The EX_TIMERs that were allocated and not deleted. */
export class ExecutiveTimers {
  private readonly timers: StoreMap<number, ExecutiveTimer>;

  constructor(nt: Nt) {
    this.timers = nt.stores.map('ex/timers');
  }

  all(): IterableIterator<ExecutiveTimer> {
    return this.timers.values();
  }

  add(timer: Va, holder: Holder): void {
    this.timers.set(timer, { timer, ...holder });
  }

  /** False for what is none. */
  delete(timer: Va): boolean {
    return this.timers.delete(timer);
  }
}

function allocate(nt: Nt, callback: Va, context: bigint, attributes: number, call: Call): Va {
  const { memory, entries } = nt;
  const timer = nt.pool.allocateKernel(EX_TIMER.sizeBytes, 'ExTm');
  nt.executiveTimers.add(timer, holderOf(nt, call));
  const isNotification = (attributes & notification) !== 0;
  const type = isNotification ? DispatcherType.TimerNotification : DispatcherType.TimerSynchronization;
  nt.dispatcher.initialise(timer, type, KTIMER.sizeBytes / 4, 0);
  const dpc = EX_TIMER.Dpc.at(timer);
  KDPC.Importance.set(memory, dpc, 1);
  KDPC.DeferredRoutine.set(memory, dpc, entries.routineVa('ExpTimerDpcRoutine'));
  KDPC.DeferredContext.set(memory, dpc, timer);
  EX_TIMER.Callback.set(memory, timer, callback);
  EX_TIMER.Context.set(memory, timer, context);
  EX_TIMER.Attributes.set(memory, timer, attributes);
  return timer;
}

/** Stops the timer; whether it was set, or its callback was still to come. */
function cancel(nt: Nt, timer: Va): boolean {
  const wasSet = nt.timers.cancel(timer);
  return nt.interrupts.removeDpc(EX_TIMER.Dpc.at(timer)) || wasSet;
}

/** The callback is not running: there is one processor, and it runs this. Its own deletion is left to its end. */
function remove(nt: Nt, args: { readonly Timer: Va; readonly Cancel: boolean; readonly Parameters: Va }): Outcome {
  const { memory } = nt;
  const { Timer: timer, Cancel, Parameters } = args;
  if (!Cancel && nt.timers.isQueued(timer)) return unsupported('ExDeleteTimer of a timer that is set, without Cancel');
  const wasSet = cancel(nt, timer);
  const callback = Parameters === nullVa ? nullVa : EXT_DELETE_PARAMETERS.DeleteCallback.get(memory, Parameters);
  const context = Parameters === nullVa ? 0n : EXT_DELETE_PARAMETERS.DeleteContext.get(memory, Parameters);
  if (!nt.executiveTimers.delete(timer)) return unsupported('ExDeleteTimer of what is no timer');
  nt.pool.freeKernel(timer);
  return callback === nullVa ? wasSet : callGuest(callback, [context], 'deleted', [wasSet ? 1 : 0]);
}

export const exTimers = ntExports('ntoskrnl.exe', {
  ExAllocateTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-exallocatetimer',
    irql: upToDispatch,
    params: { Callback: PVOID, CallbackContext: ULONG64, Attributes: ULONG },
    returns: 'PVOID',
    body: (nt, { Callback, CallbackContext, Attributes }, call) =>
      allocate(nt, Callback, CallbackContext, Attributes, call),
  }),
  /** The period counts 100 ns. */
  ExSetTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-exsettimer',
    irql: upToDispatch,
    params: { Timer: ptimer, DueTime: LARGE_INTEGER, Period: LARGE_INTEGER, Parameters: PVOID },
    returns: 'BOOLEAN',
    body: (nt, { Timer, DueTime, Period }) => {
      const dpc = EX_TIMER.Callback.get(nt.memory, Timer) === nullVa ? nullVa : EX_TIMER.Dpc.at(Timer);
      return nt.timers.set(Timer, dueInterruptTime(nt, DueTime), Number(Period) / 10_000, dpc);
    },
  }),
  ExCancelTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-excanceltimer',
    irql: upToDispatch,
    params: { Timer: ptimer, Parameters: PVOID },
    returns: 'BOOLEAN',
    body: (nt, { Timer }) => cancel(nt, Timer),
  }),
  ExDeleteTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-exdeletetimer',
    irql: upToDispatch,
    params: { Timer: ptimer, Cancel: BOOLEAN, Wait: BOOLEAN, Parameters: PVOID },
    returns: 'BOOLEAN',
    support: { partial: 'a timer that is set, without Cancel' },
    body: (nt, args) => remove(nt, args),
    resume: { deleted: (_nt, call) => call.word(0) !== 0 },
  }),
});

export const exTimerInternals = ntInternals({
  ExpTimerDpcRoutine: ntRoutine({
    doc: 'DPC of every EX_TIMER: its callback',
    irql: dispatchOnly,
    params: { Dpc: pointerTo('KDPC'), Timer: ptimer },
    returns: 'VOID',
    body: ({ memory }, { Timer }) =>
      callGuest(EX_TIMER.Callback.get(memory, Timer), [Timer, EX_TIMER.Context.get(memory, Timer)], 'returned', []),
    resume: { returned: () => undefined },
  }),
});
