/** Priorities of threads, and giving way. */
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { LONG, PVOID } from '../declare/parameter-types.ts';
import { STATUS_NO_YIELD_PERFORMED, STATUS_SUCCESS } from '../ntstatus.ts';
import { withThread } from '../ps/thread-exports.ts';
import { highPriority, lowRealtimePriority, normalPriority } from './thread.ts';

/** An increment of half the range and more sets a priority to the end of its range (KeSetBasePriorityThread). */
const saturatingIncrement = 16;

function basePriorityFor(increment: number): number {
  if (Math.abs(increment) >= saturatingIncrement) return increment > 0 ? lowRealtimePriority - 1 : 1;
  return Math.min(Math.max(normalPriority + increment, 1), lowRealtimePriority - 1);
}

export const kePriorities = ntExports('ntoskrnl.exe', {
  KeSetPriorityThread: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesetprioritythread',
    irql: passiveOnly,
    params: { Thread: PVOID, Priority: LONG },
    returns: 'LONG',
    body: (nt, { Thread, Priority }) =>
      withThread(nt, Thread, ({ priority }) => {
        nt.scheduler.setPriority(Thread, Math.min(Math.max(Priority, 1), highPriority));
        return priority;
      }),
  }),
  KeQueryPriorityThread: ntRoutine({
    doc: 'wdm.h; nf-wdm-kequeryprioritythread',
    irql: passiveOnly,
    params: { Thread: PVOID },
    returns: 'LONG',
    body: (nt, { Thread }) => withThread(nt, Thread, ({ priority }) => priority),
  }),
  /** The increment counts from the process's base priority; the one before is returned. */
  KeSetBasePriorityThread: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-kesetbaseprioritythread',
    irql: passiveOnly,
    params: { Thread: PVOID, Increment: LONG },
    returns: 'LONG',
    body: (nt, { Thread, Increment }) =>
      withThread(nt, Thread, ({ basePriority }) => {
        const priority = basePriorityFor(Increment);
        nt.scheduler.update(Thread, { basePriority: priority });
        nt.scheduler.setPriority(Thread, priority);
        return basePriority - normalPriority;
      }),
  }),
  ZwYieldExecution: ntRoutine({
    doc: 'ntoskrnl.exe; gives the rest of the turn to another thread',
    irql: upToApc,
    params: {},
    returns: 'NTSTATUS',
    body: (nt) => (nt.scheduler.ready.yield() ? STATUS_SUCCESS : STATUS_NO_YIELD_PERFORMED),
  }),
});
