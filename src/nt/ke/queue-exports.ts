/** Kernel queues (KQUEUE): entries that threads wait for, the last to wait served first. */
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { KPROCESSOR_MODE, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { DispatcherType, KQUEUE, LIST_ENTRY } from '../structures/ke.ts';
import { dueTimeAt } from './clock.ts';
import { initialiseList, insertBetween, removeHead } from './lists.ts';

const pqueue = pointerTo('KQUEUE');
const pentry = pointerTo('LIST_ENTRY');
const queueLimit = 'threads that could run are not held back by MaximumCount';

/** The number of entries before. */
function insert(nt: Nt, queue: Va, entry: Va, isAtHead: boolean): number {
  const head = KQUEUE.EntryListHead.at(queue);
  const before = nt.dispatcher.signalState(queue);
  if (isAtHead) insertBetween(nt, head, LIST_ENTRY.Flink.get(nt.memory, head), entry);
  else insertBetween(nt, LIST_ENTRY.Blink.get(nt.memory, head), head, entry);
  nt.dispatcher.signal(queue, before + 1);
  return before;
}

/** The entry of a wait that was satisfied; its links show that it is in no queue. */
function take(nt: Nt, queue: Va): Va {
  const entry = removeHead(nt, KQUEUE.EntryListHead.at(queue));
  if (entry === nullVa) {
    throw new BugCheck(
      0x96,
      [entry, queue, 0, 0],
      'a queue holds fewer entries than were inserted: its list was changed',
    );
  }
  LIST_ENTRY.Flink.set(nt.memory, entry, nullVa);
  return entry;
}

export const keQueues = ntExports('ntoskrnl.exe', {
  KeInitializeQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keinitializequeue',
    irql: upToDispatch,
    params: { Queue: pqueue, Count: ULONG },
    returns: 'VOID',
    body: (nt, { Queue, Count }) => {
      nt.dispatcher.initialise(Queue, DispatcherType.Queue, KQUEUE.sizeBytes / 4, 0);
      initialiseList(nt, KQUEUE.EntryListHead.at(Queue));
      initialiseList(nt, KQUEUE.ThreadListHead.at(Queue));
      KQUEUE.CurrentCount.set(nt.memory, Queue, 0);
      KQUEUE.MaximumCount.set(nt.memory, Queue, Count === 0 ? 1 : Count);
    },
  }),
  KeInsertQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keinsertqueue',
    irql: upToDispatch,
    params: { Queue: pqueue, Entry: pentry },
    returns: 'LONG',
    body: (nt, { Queue, Entry }) => insert(nt, Queue, Entry, false),
  }),
  KeInsertHeadQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keinsertheadqueue',
    irql: upToDispatch,
    params: { Queue: pqueue, Entry: pentry },
    returns: 'LONG',
    body: (nt, { Queue, Entry }) => insert(nt, Queue, Entry, true),
  }),
  /** The entry, or the status of the wait in its place. */
  KeRemoveQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keremovequeue',
    irql: upToDispatch,
    params: { Queue: pqueue, WaitMode: KPROCESSOR_MODE, Timeout: pointerTo('LARGE_INTEGER') },
    returns: 'PVOID',
    support: { partial: queueLimit },
    body: (nt, { Queue, WaitMode, Timeout }) => ({
      action: 'wait',
      objects: [Queue],
      waitAll: false,
      alertable: false,
      waitMode: WaitMode,
      dueTime: dueTimeAt(nt, Timeout),
      resume: 'ended',
      record: [Queue],
    }),
    resume: { ended: (nt, call) => (call.status === 0 ? take(nt, call.va(0)) : call.status) },
  }),
  /** The first of the entries that are left, linked with the others; NULL if there are none. */
  KeRundownQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-kerundownqueue',
    irql: upToDispatch,
    params: { Queue: pqueue },
    returns: 'PVOID',
    body: (nt, { Queue }) => {
      const { memory } = nt;
      const head = KQUEUE.EntryListHead.at(Queue);
      const [first, last] = [LIST_ENTRY.Flink.get(memory, head), LIST_ENTRY.Blink.get(memory, head)];
      nt.dispatcher.signal(Queue, 0);
      if (first === head) return nullVa;
      LIST_ENTRY.Blink.set(memory, first, last);
      LIST_ENTRY.Flink.set(memory, last, first);
      initialiseList(nt, head);
      return first;
    },
  }),
  KeReadStateQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-kereadstatequeue',
    irql: upToDispatch,
    params: { Queue: pqueue },
    returns: 'LONG',
    body: (nt, { Queue }) => nt.dispatcher.signalState(Queue),
  }),
});
