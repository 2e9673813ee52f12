/** IRPs on their way: forwarded, completed, cancelled. */
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest } from '../declare/outcome.ts';
import { CCHAR, KIRQL, PVOID, pointerTo } from '../declare/parameter-types.ts';
import { STATUS_INVALID_DEVICE_REQUEST } from '../ntstatus.ts';
import { IRP } from '../structures/io.ts';

const PIRP = pointerTo('IRP');
const PDEVICE_OBJECT = pointerTo('DEVICE_OBJECT');

export const ioIrps = ntExports('ntoskrnl.exe', {
  /** IoCallDriver: what the dispatch routine of the next driver returns. */
  IofCallDriver: ntRoutine({
    doc: 'wdm.h; nf-wdm-iofcalldriver',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { DeviceObject: PDEVICE_OBJECT, Irp: PIRP },
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp }) => nt.io.irps.callDriver(DeviceObject, Irp),
    resume: { dispatchReturned: (_nt, call) => call.status },
  }),
  /** IoCompleteRequest: calls the completion routines from the lowest driver up, then finishes the request. */
  IofCompleteRequest: ntRoutine({
    doc: 'wdm.h; nf-wdm-iofcompleterequest',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { Irp: PIRP, PriorityBoost: CCHAR },
    returns: 'VOID',
    body: (nt, { Irp, PriorityBoost }) => nt.io.irps.beginCompletion(Irp, PriorityBoost),
    resume: {
      completionReturned: (nt, call) => nt.io.irps.completionReturned(call.va(0), call.word(1), call.status),
    },
  }),
  /** TRUE if the IRP had a cancel routine, which then was called. */
  IoCancelIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocancelirp',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { Irp: PIRP },
    returns: 'BOOLEAN',
    body: (nt, { Irp }) => nt.io.irps.cancel(Irp),
    resume: { cancelRoutineReturned: () => true },
  }),
  IoAcquireCancelSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioacquirecancelspinlock',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { Irql: PVOID },
    returns: 'VOID',
    body: (nt, { Irql: irqlAt }) => {
      nt.memory.writeU8(irqlAt, nt.io.irps.acquireCancelLock());
      return undefined;
    },
  }),
  IoReleaseCancelSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioreleasecancelspinlock',
    irql: ['DISPATCH', 'DISPATCH'],
    params: { Irql: KIRQL },
    returns: 'VOID',
    body: (nt, { Irql: irql }) => {
      nt.io.irps.releaseCancelLock(irql);
      return undefined;
    },
  }),
});

export const ioIrpInternals = ntInternals({
  /** What every major function is until the driver sets its own. */
  IopInvalidDeviceRequest: ntRoutine({
    doc: 'the default dispatch routine',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { DeviceObject: PDEVICE_OBJECT, Irp: PIRP },
    returns: 'NTSTATUS',
    body: (nt, { Irp }) => {
      IRP.Status.set(nt.memory, Irp, STATUS_INVALID_DEVICE_REQUEST);
      IRP.Information.set(nt.memory, Irp, 0n);
      return callGuest(nt.entries.routineVa('IofCompleteRequest'), [Irp, 0], 'completed', []);
    },
    resume: { completed: () => STATUS_INVALID_DEVICE_REQUEST },
  }),
});
