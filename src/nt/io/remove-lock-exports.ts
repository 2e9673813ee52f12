/** Remove locks: a count of those who use a device, and an event for the one who waits for them to finish. */
import type { Va } from '../../base/va.ts';
import { vaAdd } from '../../base/va.ts';
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import type { Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { timeIncrement100ns } from '../ke/clock.ts';
import type { Nt } from '../nt.ts';
import { STATUS_DELETE_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import { IO_REMOVE_LOCK, IO_REMOVE_LOCK_DBG_BLOCK } from '../structures/io-queues.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

/** `COL `, as the debug form's Signature. */
const debugSignature = 0x204c_4f43;
const ticksPerMinute = 600_000_000 / timeIncrement100ns;

interface Initialisation {
  readonly Lock: Va;
  readonly AllocateTag: number;
  readonly MaxLockedMinutes: number;
  readonly HighWatermark: number;
  readonly RemlockSize: number;
}

function initialise(nt: Nt, args: Initialisation): undefined {
  const { memory } = nt;
  IO_REMOVE_LOCK.Removed.set(memory, args.Lock, 0);
  IO_REMOVE_LOCK.IoCount.set(memory, args.Lock, 1);
  const event = IO_REMOVE_LOCK.RemoveEvent.at(args.Lock);
  nt.dispatcher.initialise(event, DispatcherType.EventSynchronization, KEVENT.sizeBytes / 4, 0);
  if (args.RemlockSize < IO_REMOVE_LOCK.sizeBytes + IO_REMOVE_LOCK_DBG_BLOCK.sizeBytes) return;
  const debug = vaAdd(args.Lock, IO_REMOVE_LOCK.sizeBytes);
  memory.fill(debug, IO_REMOVE_LOCK_DBG_BLOCK.sizeBytes, 0);
  IO_REMOVE_LOCK_DBG_BLOCK.Signature.set(memory, debug, debugSignature);
  IO_REMOVE_LOCK_DBG_BLOCK.HighWatermark.set(memory, debug, args.HighWatermark);
  IO_REMOVE_LOCK_DBG_BLOCK.MaxLockedTicks.set(memory, debug, BigInt(args.MaxLockedMinutes * ticksPerMinute));
  IO_REMOVE_LOCK_DBG_BLOCK.AllocateTag.set(memory, debug, args.AllocateTag);
  const list = IO_REMOVE_LOCK_DBG_BLOCK.LockList.at(debug);
  memory.writeVa(list, list);
  memory.writeVa(vaAdd(list, 8), list);
}

/** Changes the count; the new one. The last one to leave lets the remover go on. */
function changeCount(nt: Nt, lock: Va, by: number): number {
  const count = IO_REMOVE_LOCK.IoCount.get(nt.memory, lock) + by;
  IO_REMOVE_LOCK.IoCount.set(nt.memory, lock, count);
  return count;
}

function release(nt: Nt, lock: Va): void {
  if (changeCount(nt, lock, -1) === 0) nt.dispatcher.signal(IO_REMOVE_LOCK.RemoveEvent.at(lock), 1);
}

function acquire(nt: Nt, lock: Va): number {
  changeCount(nt, lock, 1);
  if (IO_REMOVE_LOCK.Removed.get(nt.memory, lock) === 0) return STATUS_SUCCESS;
  release(nt, lock);
  return STATUS_DELETE_PENDING;
}

/** Drops the caller's own hold and the one from the beginning, and waits for the others. */
function releaseAndWait(nt: Nt, lock: Va): Outcome {
  IO_REMOVE_LOCK.Removed.set(nt.memory, lock, 1);
  if (changeCount(nt, lock, -2) <= 0) return undefined;
  return {
    action: 'wait',
    objects: [IO_REMOVE_LOCK.RemoveEvent.at(lock)],
    waitAll: false,
    alertable: false,
    waitMode: 0,
    dueTime: undefined,
  };
}

const plock = pointerTo('IO_REMOVE_LOCK');
const tagSupport = {
  partial: 'tags are not compared, and the high watermark is not checked, in the debug form',
} as const;

export const ioRemoveLocks = ntExports('ntoskrnl.exe', {
  IoInitializeRemoveLockEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioinitializeremovelock',
    irql: passiveOnly,
    params: { Lock: plock, AllocateTag: ULONG, MaxLockedMinutes: ULONG, HighWatermark: ULONG, RemlockSize: ULONG },
    returns: 'VOID',
    body: (nt, args) => initialise(nt, args),
  }),
  IoAcquireRemoveLockEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioacquireremovelock',
    irql: upToDispatch,
    params: { RemoveLock: plock, Tag: ULONG64, File: PVOID, Line: ULONG, RemlockSize: ULONG },
    returns: 'NTSTATUS',
    support: tagSupport,
    body: (nt, { RemoveLock }) => acquire(nt, RemoveLock),
  }),
  IoReleaseRemoveLockEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioreleaseremovelock',
    irql: upToDispatch,
    params: { RemoveLock: plock, Tag: ULONG64, RemlockSize: ULONG },
    returns: 'VOID',
    support: tagSupport,
    body: (nt, { RemoveLock }) => {
      release(nt, RemoveLock);
    },
  }),
  IoReleaseRemoveLockAndWaitEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioreleaseremovelockandwait',
    irql: passiveOnly,
    params: { RemoveLock: plock, Tag: ULONG64, RemlockSize: ULONG },
    returns: 'VOID',
    support: tagSupport,
    body: (nt, { RemoveLock }) => releaseAndWait(nt, RemoveLock),
  }),
});
