/**
 * Cancel-safe IRP queues (IoCsq*): the queue is the driver's, behind six callbacks; the cancel routine is the I/O
 * manager's. Each routine here is a chain of callbacks, one resume point after the other. Its record starts with the
 * block that the driver's CsqAcquireLock fills with an IRQL.
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { anyIrql, dispatchOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type CallGuest, callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_SUCCESS } from '../ntstatus.ts';
import { IO_STACK_LOCATION, IRP, StackControl } from '../structures/io.ts';
import { CsqType, IO_CSQ, IO_CSQ_IRP_CONTEXT } from '../structures/io-queues.ts';

const pcsq = pointerTo('IO_CSQ');
const pirp = pointerTo('IRP');
const pcontext = pointerTo('IO_CSQ_IRP_CONTEXT');

const callbacks = {
  CsqInsertIrp: PVOID,
  CsqRemoveIrp: PVOID,
  CsqPeekNextIrp: PVOID,
  CsqAcquireLock: PVOID,
  CsqReleaseLock: PVOID,
  CsqCompleteCanceledIrp: PVOID,
} as const;

function initialise(nt: Nt, csq: Va, type: number, routines: { readonly [K in keyof typeof callbacks]: Va }): number {
  IO_CSQ.Type.set(nt.memory, csq, type);
  for (const name of Object.keys(callbacks) as (keyof typeof callbacks)[]) {
    IO_CSQ[name].set(nt.memory, csq, routines[name]);
  }
  IO_CSQ.ReservePointer.set(nt.memory, csq, nullVa);
  return STATUS_SUCCESS;
}

/** Irp->Tail.Overlay.DriverContext[3] leads from a queued IRP to its queue, or to its context first. */
const linkOf = (irp: Va): Va => vaAdd(IRP.DriverContext.at(irp), 24);

function unlink(nt: Nt, irp: Va): void {
  const link = nt.memory.readVa(linkOf(irp));
  if (IO_CSQ_IRP_CONTEXT.Type.get(nt.memory, link) === CsqType.IrpContext) {
    IO_CSQ_IRP_CONTEXT.Irp.set(nt.memory, link, nullVa);
  }
  nt.memory.writeVa(linkOf(irp), nullVa);
}

/** IoSetCancelRoutine(irp, NULL): whether there was a cancel routine to take away. */
function takeCancelRoutine(nt: Nt, irp: Va): boolean {
  const before = IRP.CancelRoutine.get(nt.memory, irp);
  IRP.CancelRoutine.set(nt.memory, irp, nullVa);
  return before !== nullVa;
}

function acquireLock(nt: Nt, csq: Va, resume: string, record: readonly number[]): CallGuest {
  const irqlAt = nt.pool.allocateKernel(16, 'Csq ');
  return callGuest(IO_CSQ.CsqAcquireLock.get(nt.memory, csq), [csq, irqlAt], resume, [irqlAt, ...record]);
}

/** Record: [irqlAt, csq, …]. */
function releaseLock(nt: Nt, call: ResumedCall, resume: string, record: readonly number[]): CallGuest {
  const irqlAt = call.va(0);
  const irql = nt.memory.readU8(irqlAt);
  nt.pool.freeKernel(irqlAt);
  return callGuest(IO_CSQ.CsqReleaseLock.get(nt.memory, call.va(1)), [call.va(1), irql], resume, record);
}

const removeIrp = (nt: Nt, csq: Va, irp: Va, resume: string, record: readonly number[]): CallGuest =>
  callGuest(IO_CSQ.CsqRemoveIrp.get(nt.memory, csq), [csq, irp], resume, record);

const completeCancelled = (nt: Nt, csq: Va, irp: Va, resume: string, record: readonly number[]): CallGuest =>
  callGuest(IO_CSQ.CsqCompleteCanceledIrp.get(nt.memory, csq), [csq, irp], resume, record);

function markPending(nt: Nt, irp: Va): void {
  const location = nt.io.irps.currentLocation(irp);
  const control = IO_STACK_LOCATION.Control.get(nt.memory, location);
  IO_STACK_LOCATION.Control.set(nt.memory, location, control | StackControl.PendingReturned);
}

// ---- insert: record [irqlAt, csq, irp, status]

function insert(nt: Nt, csq: Va, irp: Va, context: Va, insertContext: Va): Outcome {
  const { memory } = nt;
  memory.writeVa(linkOf(irp), context === nullVa ? csq : context);
  if (context !== nullVa) {
    IO_CSQ_IRP_CONTEXT.Type.set(memory, context, CsqType.IrpContext);
    IO_CSQ_IRP_CONTEXT.Irp.set(memory, context, irp);
    IO_CSQ_IRP_CONTEXT.Csq.set(memory, context, csq);
  }
  return acquireLock(nt, csq, 'locked', [csq, irp, insertContext]);
}

const insertResume = {
  locked: (nt: Nt, call: ResumedCall): Outcome => {
    const [irqlAt, csq, irp, insertContext] = [call.word(0), call.va(1), call.va(2), call.va(3)];
    const isExtended = IO_CSQ.Type.get(nt.memory, csq) === CsqType.CsqEx;
    const args = isExtended ? [csq, irp, insertContext] : [csq, irp];
    const record = [irqlAt, csq, irp, isExtended ? 1 : 0];
    return callGuest(IO_CSQ.CsqInsertIrp.get(nt.memory, csq), args, 'inserted', record);
  },
  inserted: (nt: Nt, call: ResumedCall): Outcome => {
    const [irqlAt, csq, irp] = [call.word(0), call.va(1), call.va(2)];
    const status = call.word(3) === 1 ? call.status : STATUS_SUCCESS;
    if (!ntSuccess(status)) return releaseLock(nt, call, 'released', [status]);
    markPending(nt, irp);
    IRP.CancelRoutine.set(nt.memory, irp, nt.entries.routineVa('IopCsqCancelRoutine'));
    const isCancelled = IRP.Cancel.get(nt.memory, irp) !== 0 && takeCancelRoutine(nt, irp);
    if (!isCancelled) return releaseLock(nt, call, 'released', [status]);
    return removeIrp(nt, csq, irp, 'removedAgain', [irqlAt, csq, irp, status]);
  },
  removedAgain: (nt: Nt, call: ResumedCall): Outcome => {
    unlink(nt, call.va(2));
    return releaseLock(nt, call, 'releasedCancelled', [call.va(1), call.va(2), call.word(3)]);
  },
  releasedCancelled: (nt: Nt, call: ResumedCall): Outcome =>
    completeCancelled(nt, call.va(0), call.va(1), 'released', [call.word(2)]),
  released: (_nt: Nt, call: ResumedCall): Outcome => call.word(0),
};

// ---- remove the next one: record [irqlAt, csq, peekContext, irp]

const peek = (nt: Nt, csq: Va, irqlAt: number, after: Va, peekContext: Va): CallGuest =>
  callGuest(IO_CSQ.CsqPeekNextIrp.get(nt.memory, csq), [csq, after, peekContext], 'peeked', [irqlAt, csq, peekContext]);

const removeNextResume = {
  locked: (nt: Nt, call: ResumedCall): Outcome => peek(nt, call.va(1), call.word(0), nullVa, call.va(2)),
  peeked: (nt: Nt, call: ResumedCall): Outcome => {
    const irp = call.resultVa;
    if (irp === nullVa) return releaseLock(nt, call, 'released', [nullVa]);
    // Being cancelled: its cancel routine waits for the lock and removes it itself.
    if (!takeCancelRoutine(nt, irp)) return peek(nt, call.va(1), call.word(0), irp, call.va(2));
    return removeIrp(nt, call.va(1), irp, 'removed', [call.word(0), call.va(1), irp]);
  },
  removed: (nt: Nt, call: ResumedCall): Outcome => {
    unlink(nt, call.va(2));
    return releaseLock(nt, call, 'released', [call.va(2)]);
  },
  released: (_nt: Nt, call: ResumedCall): Outcome => call.va(0),
};

// ---- remove a certain one: record [irqlAt, csq, context or irp]

const removeResume = {
  locked: (nt: Nt, call: ResumedCall): Outcome => {
    const irp = IO_CSQ_IRP_CONTEXT.Irp.get(nt.memory, call.va(2));
    if (irp === nullVa || !takeCancelRoutine(nt, irp)) return releaseLock(nt, call, 'released', [nullVa]);
    return removeIrp(nt, call.va(1), irp, 'removed', [call.word(0), call.va(1), irp]);
  },
  removed: removeNextResume.removed,
  released: removeNextResume.released,
};

export const ioCancelSafeQueues = ntExports('ntoskrnl.exe', {
  IoCsqInitialize: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocsqinitialize',
    irql: anyIrql,
    params: { Csq: pcsq, ...callbacks },
    returns: 'NTSTATUS',
    body: (nt, args) => initialise(nt, args.Csq, CsqType.Csq, args),
  }),
  IoCsqInitializeEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocsqinitializeex',
    irql: anyIrql,
    params: { Csq: pcsq, ...callbacks },
    returns: 'NTSTATUS',
    body: (nt, args) => initialise(nt, args.Csq, CsqType.CsqEx, args),
  }),
  IoCsqInsertIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocsqinsertirp',
    irql: upToDispatch,
    params: { Csq: pcsq, Irp: pirp, Context: pcontext },
    returns: 'VOID',
    body: (nt, { Csq, Irp, Context }) => insert(nt, Csq, Irp, Context, nullVa),
    resume: insertResume,
  }),
  IoCsqInsertIrpEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocsqinsertirpex',
    irql: upToDispatch,
    params: { Csq: pcsq, Irp: pirp, Context: pcontext, InsertContext: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Csq, Irp, Context, InsertContext }) => insert(nt, Csq, Irp, Context, InsertContext),
    resume: insertResume,
  }),
  IoCsqRemoveNextIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocsqremovenextirp',
    irql: upToDispatch,
    params: { Csq: pcsq, PeekContext: PVOID },
    returns: 'PVOID',
    body: (nt, { Csq, PeekContext }) => acquireLock(nt, Csq, 'locked', [Csq, PeekContext]),
    resume: removeNextResume,
  }),
  IoCsqRemoveIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocsqremoveirp',
    irql: upToDispatch,
    params: { Csq: pcsq, Context: pcontext },
    returns: 'PVOID',
    body: (nt, { Csq, Context }) => acquireLock(nt, Csq, 'locked', [Csq, Context]),
    resume: removeResume,
  }),
});

export const ioCancelSafeQueueInternals = ntInternals({
  /** Cancel routine of every IRP in a cancel-safe queue. Record: [irqlAt, csq, irp]. */
  IopCsqCancelRoutine: ntRoutine({
    doc: 'takes a cancelled IRP out of its queue and has the driver complete it',
    irql: dispatchOnly,
    params: { DeviceObject: PVOID, Irp: pirp },
    returns: 'VOID',
    body: (nt, { Irp }) => {
      nt.io.irps.releaseCancelLock(IRP.CancelIrql.get(nt.memory, Irp));
      const link = nt.memory.readVa(linkOf(Irp));
      const isContext = IO_CSQ_IRP_CONTEXT.Type.get(nt.memory, link) === CsqType.IrpContext;
      const csq = isContext ? IO_CSQ_IRP_CONTEXT.Csq.get(nt.memory, link) : link;
      return acquireLock(nt, csq, 'locked', [csq, Irp]);
    },
    resume: {
      locked: (nt, call) => removeIrp(nt, call.va(1), call.va(2), 'removed', call.record),
      removed: (nt, call) => {
        unlink(nt, call.va(2));
        return releaseLock(nt, call, 'released', [call.va(1), call.va(2)]);
      },
      released: (nt, call) => completeCancelled(nt, call.va(0), call.va(1), 'completed', []),
      completed: () => undefined,
    },
  }),
});
