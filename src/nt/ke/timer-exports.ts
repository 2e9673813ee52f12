/** Timers (KTIMER) and deferred procedure calls (KDPC). */
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { anyIrql, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { CCHAR, LARGE_INTEGER, LONG, PVOID, pointerTo, UCHAR, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { DispatcherType, KDPC, KTIMER, PROCESSOR_NUMBER } from '../structures/ke.ts';
import { dueInterruptTime } from './clock.ts';

const synchronizationTimer = 1;
/** KOBJECTS */
const dpcObject = 19;
const threadedDpcObject = 26;
const mediumImportance = 1;
/** KDPC.Number of a DPC with a target: the processor's number plus this. */
const targetedDpc = 0x800;

function initialiseTimer(nt: Nt, timer: Va, type: number): undefined {
  const kind = type === synchronizationTimer ? DispatcherType.TimerSynchronization : DispatcherType.TimerNotification;
  nt.dispatcher.initialise(timer, kind, KTIMER.sizeBytes / 4, 0);
  KTIMER.DueTime.set(nt.memory, timer, 0n);
  KTIMER.Period.set(nt.memory, timer, 0);
  nt.memory.fill(KTIMER.TimerListEntry.at(timer), 16, 0);
  KTIMER.Dpc.set(nt.memory, timer, nullVa);
}

const setTimer = (nt: Nt, timer: Va, dueTime: bigint, periodMs: number, dpc: Va): boolean =>
  nt.timers.set(timer, dueInterruptTime(nt, dueTime), periodMs, dpc);

const initialiseDpc = (doc: string, type: number) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { Dpc: pointerTo('KDPC'), DeferredRoutine: PVOID, DeferredContext: ULONG64 },
    returns: 'VOID',
    body: ({ memory }, { Dpc, DeferredRoutine, DeferredContext }) => {
      KDPC.Type.set(memory, Dpc, type);
      KDPC.Importance.set(memory, Dpc, mediumImportance);
      KDPC.Number.set(memory, Dpc, 0);
      KDPC.DeferredRoutine.set(memory, Dpc, DeferredRoutine);
      memory.writeU64(KDPC.DeferredContext.at(Dpc), DeferredContext);
      KDPC.DpcData.set(memory, Dpc, nullVa);
    },
  });

export const keTimers = ntExports('ntoskrnl.exe', {
  KeInitializeTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializetimer',
    irql: upToDispatch,
    params: { Timer: pointerTo('KTIMER') },
    returns: 'VOID',
    body: (nt, { Timer }) => initialiseTimer(nt, Timer, 0),
  }),
  KeInitializeTimerEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializetimerex',
    irql: upToDispatch,
    params: { Timer: pointerTo('KTIMER'), Type: ULONG },
    returns: 'VOID',
    body: (nt, { Timer, Type }) => initialiseTimer(nt, Timer, Type),
  }),
  KeSetTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesettimer',
    irql: upToDispatch,
    params: { Timer: pointerTo('KTIMER'), DueTime: LARGE_INTEGER, Dpc: pointerTo('KDPC') },
    returns: 'BOOLEAN',
    body: (nt, { Timer, DueTime, Dpc }) => setTimer(nt, Timer, DueTime, 0, Dpc),
  }),
  KeSetTimerEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesettimerex',
    irql: upToDispatch,
    params: { Timer: pointerTo('KTIMER'), DueTime: LARGE_INTEGER, Period: LONG, Dpc: pointerTo('KDPC') },
    returns: 'BOOLEAN',
    body: (nt, { Timer, DueTime, Period, Dpc }) => setTimer(nt, Timer, DueTime, Math.max(0, Period), Dpc),
  }),
  /** The tolerance may be used or not: the timer comes when it is due. */
  KeSetCoalescableTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesetcoalescabletimer',
    irql: upToDispatch,
    params: {
      Timer: pointerTo('KTIMER'),
      DueTime: LARGE_INTEGER,
      Period: ULONG,
      TolerableDelay: ULONG,
      Dpc: pointerTo('KDPC'),
    },
    returns: 'BOOLEAN',
    body: (nt, { Timer, DueTime, Period, Dpc }) => setTimer(nt, Timer, DueTime, Period, Dpc),
  }),
  KeCancelTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-kecanceltimer',
    irql: upToDispatch,
    params: { Timer: pointerTo('KTIMER') },
    returns: 'BOOLEAN',
    body: (nt, { Timer }) => nt.timers.cancel(Timer),
  }),
  KeReadStateTimer: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereadstatetimer',
    irql: upToDispatch,
    params: { Timer: pointerTo('KTIMER') },
    returns: 'BOOLEAN',
    body: (nt, { Timer }) => nt.dispatcher.signalState(Timer) !== 0,
  }),
});

export const keDpcs = ntExports('ntoskrnl.exe', {
  KeInitializeDpc: initialiseDpc('wdm.h; nf-wdm-keinitializedpc', dpcObject),
  /** Runs as an ordinary DPC, as with threaded DPCs switched off on Windows: drivers must be ready for that. */
  KeInitializeThreadedDpc: initialiseDpc('wdm.h; nf-wdm-keinitializethreadeddpc', threadedDpcObject),
  KeInsertQueueDpc: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinsertqueuedpc',
    irql: anyIrql,
    params: { Dpc: pointerTo('KDPC'), SystemArgument1: ULONG64, SystemArgument2: ULONG64 },
    returns: 'BOOLEAN',
    body: (nt, { Dpc, SystemArgument1, SystemArgument2 }) => {
      const number = KDPC.Number.get(nt.memory, Dpc);
      if (number > targetedDpc) {
        throw new BugCheck(
          0xc7,
          [3, Dpc, number - targetedDpc, 1],
          'a DPC was queued for a processor that does not exist',
        );
      }
      return nt.interrupts.queueDpc(Dpc, SystemArgument1, SystemArgument2);
    },
  }),
  KeRemoveQueueDpc: ntRoutine({
    doc: 'wdm.h; nf-wdm-keremovequeuedpc',
    irql: anyIrql,
    params: { Dpc: pointerTo('KDPC') },
    returns: 'BOOLEAN',
    body: (nt, { Dpc }) => nt.interrupts.removeDpc(Dpc),
  }),
  /** Below DISPATCH_LEVEL what is queued runs before the call returns. */
  KeFlushQueuedDpcs: ntRoutine({
    doc: 'wdm.h; nf-wdm-keflushqueueddpcs',
    irql: passiveOnly,
    params: {},
    returns: 'VOID',
    body: () => undefined,
  }),
  KeSetImportanceDpc: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesetimportancedpc',
    irql: anyIrql,
    params: { Dpc: pointerTo('KDPC'), Importance: UCHAR },
    returns: 'VOID',
    body: (nt, { Dpc, Importance }) => {
      KDPC.Importance.set(nt.memory, Dpc, Importance);
    },
  }),
  KeSetTargetProcessorDpc: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesettargetprocessordpc',
    irql: anyIrql,
    params: { Dpc: pointerTo('KDPC'), Number: CCHAR },
    returns: 'VOID',
    body: (nt, { Dpc, Number: processor }) => {
      KDPC.Number.set(nt.memory, Dpc, targetedDpc + (processor & 0xff));
    },
  }),
  KeSetTargetProcessorDpcEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesettargetprocessordpcex',
    irql: anyIrql,
    params: { Dpc: pointerTo('KDPC'), ProcNumber: pointerTo('PROCESSOR_NUMBER') },
    returns: 'NTSTATUS',
    body: ({ memory }, { Dpc, ProcNumber }) => {
      const { Group, Number: processor, Reserved } = PROCESSOR_NUMBER;
      if (Group.get(memory, ProcNumber) + processor.get(memory, ProcNumber) + Reserved.get(memory, ProcNumber) !== 0) {
        return STATUS_INVALID_PARAMETER;
      }
      KDPC.Number.set(memory, Dpc, targetedDpc);
      return STATUS_SUCCESS;
    },
  }),
});
