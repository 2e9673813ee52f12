/** Work items: of the I/O manager, which keeps the device (or driver) object alive, and bare ones. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { anyIrql, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import { checkWorkerState } from '../ex/work-queue.ts';
import type { Nt } from '../nt.ts';
import { referenceObject, releaseObjectLater } from '../ob/references.ts';
import { IO_WORKITEM, WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import { PoolType } from '../structures/pool.ts';

const pitem = pointerTo('IO_WORKITEM');
const workItemTag = tagOf('IoWi');

function initialise(nt: Nt, item: Va, object: Va): void {
  nt.memory.fill(item, IO_WORKITEM.sizeBytes, 0);
  IO_WORKITEM.IoObject.set(nt.memory, item, object);
}

function allocate(nt: Nt, object: Va, call: Call): Va {
  const request = {
    poolType: PoolType.NonPagedPoolNx,
    bytes: IO_WORKITEM.sizeBytes,
    tag: workItemTag,
    family: 'work-item',
  } as const;
  const item = nt.pool.allocate(request, call);
  if (item === undefined) return nullVa;
  initialise(nt, item, object);
  return item;
}

interface Queueing {
  readonly IoWorkItem: Va;
  readonly WorkerRoutine: Va;
  readonly QueueType: number;
  readonly Context: bigint;
}

function queue(nt: Nt, args: Queueing, isExtended: boolean): undefined {
  const { memory } = nt;
  const item = WORK_QUEUE_ITEM;
  item.WorkerRoutine.set(memory, args.IoWorkItem, nt.entries.routineVa('IopProcessWorkItem'));
  item.Parameter.set(memory, args.IoWorkItem, BigInt.asUintN(64, BigInt(args.IoWorkItem)));
  IO_WORKITEM.Routine.set(memory, args.IoWorkItem, args.WorkerRoutine);
  IO_WORKITEM.Context.set(memory, args.IoWorkItem, args.Context);
  IO_WORKITEM.IsExtended.set(memory, args.IoWorkItem, isExtended ? 1 : 0);
  nt.workQueue.queue(args.IoWorkItem, args.QueueType);
  referenceObject(nt, IO_WORKITEM.IoObject.get(memory, args.IoWorkItem));
}

const queueParameters = { IoWorkItem: pitem, WorkerRoutine: PVOID, QueueType: ULONG, Context: ULONG64 } as const;

export const ioWorkItems = ntExports('ntoskrnl.exe', {
  IoAllocateWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioallocateworkitem',
    irql: upToDispatch,
    params: { DeviceObject: pointerTo('DEVICE_OBJECT') },
    returns: 'PVOID',
    body: (nt, { DeviceObject }, call) => allocate(nt, DeviceObject, call),
  }),
  IoFreeWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-iofreeworkitem',
    irql: upToDispatch,
    params: { IoWorkItem: pitem },
    returns: 'VOID',
    body: (nt, { IoWorkItem }, call) => nt.pool.free(IoWorkItem, 0, call),
  }),
  IoSizeofWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosizeofworkitem',
    irql: anyIrql,
    params: {},
    returns: 'ULONG',
    body: () => IO_WORKITEM.sizeBytes,
  }),
  IoInitializeWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioinitializeworkitem',
    irql: anyIrql,
    params: { IoObject: PVOID, IoWorkItem: pitem },
    returns: 'VOID',
    body: (nt, { IoObject, IoWorkItem }) => {
      initialise(nt, IoWorkItem, IoObject);
    },
  }),
  IoUninitializeWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-iouninitializeworkitem',
    irql: anyIrql,
    params: { IoWorkItem: pitem },
    returns: 'VOID',
    body: (nt, { IoWorkItem }) => {
      IO_WORKITEM.IoObject.set(nt.memory, IoWorkItem, nullVa);
    },
  }),
  IoQueueWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioqueueworkitem',
    irql: upToDispatch,
    params: queueParameters,
    returns: 'VOID',
    body: (nt, args) => queue(nt, args, false),
  }),
  IoQueueWorkItemEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioqueueworkitemex',
    irql: upToDispatch,
    params: queueParameters,
    returns: 'VOID',
    body: (nt, args) => queue(nt, args, true),
  }),
  ExQueueWorkItem: ntRoutine({
    doc: 'wdm.h; nf-wdm-exqueueworkitem',
    irql: upToDispatch,
    params: { WorkItem: pointerTo('WORK_QUEUE_ITEM'), QueueType: ULONG },
    returns: 'VOID',
    body: (nt, { WorkItem, QueueType }) => {
      nt.workQueue.queue(WorkItem, QueueType);
    },
  }),
});

export const ioWorkItemInternals = ntInternals({
  /** Calls the driver's routine; the item may be freed in it. Record: [object, routine, item]. */
  IopProcessWorkItem: ntRoutine({
    doc: 'worker routine of all I/O work items',
    irql: passiveOnly,
    params: { IoWorkItem: pitem },
    returns: 'VOID',
    body: ({ memory }, { IoWorkItem }) => {
      const object = IO_WORKITEM.IoObject.get(memory, IoWorkItem);
      const context = IO_WORKITEM.Context.get(memory, IoWorkItem);
      const routine = IO_WORKITEM.Routine.get(memory, IoWorkItem);
      const isExtended = IO_WORKITEM.IsExtended.get(memory, IoWorkItem) !== 0;
      const args = isExtended ? [object, context, IoWorkItem] : [object, context];
      return callGuest(routine, args, 'routineReturned', [object, routine, IoWorkItem]);
    },
    resume: {
      routineReturned: (nt, call) => {
        checkWorkerState(nt, call.va(1), call.va(2));
        releaseObjectLater(nt, call.va(0));
        return undefined;
      },
    },
  }),
});
