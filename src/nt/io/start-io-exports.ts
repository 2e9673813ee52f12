/** Device queues, and the I/O manager's use of one in every device object: IoStartPacket, IoStartNextPacket. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { dispatchOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { initialiseDeviceQueue, insertDeviceQueue, removeDeviceQueue, removeEntry } from '../ke/device-queue.ts';
import { raiseToDispatch } from '../ke/spin-locks.ts';
import type { Nt } from '../nt.ts';
import { DEVICE_OBJECT, DRIVER_OBJECT, IRP } from '../structures/io.ts';

const pqueue = pointerTo('KDEVICE_QUEUE');
const pentry = pointerTo('KDEVICE_QUEUE_ENTRY');
const pdevice = pointerTo('DEVICE_OBJECT');
const pirp = pointerTo('IRP');

/** Irp->Tail.Overlay.DeviceQueueEntry shares its place with DriverContext. */
const entryOf = (irp: Va): Va => IRP.DriverContext.at(irp);
const irpOf = (entry: Va): Va => vaAdd(entry, -IRP.DriverContext.offset);

/** Hands a request to the driver's StartIo. Record: [irql]. */
function startIo(nt: Nt, device: Va, irp: Va, irql: number): Outcome {
  const driver = DEVICE_OBJECT.DriverObject.get(nt.memory, device);
  return callGuest(DRIVER_OBJECT.DriverStartIo.get(nt.memory, driver), [device, irp], 'startIoReturned', [irql]);
}

/** The cancel lock guards CurrentIrp and the cancel routine, where the request can be cancelled. */
function startPacket(nt: Nt, device: Va, irp: Va, keyAt: Va, cancelRoutine: Va): Outcome {
  const { memory, io } = nt;
  const irql = raiseToDispatch(nt);
  const isCancelable = cancelRoutine !== nullVa;
  const lockIrql = isCancelable ? io.irps.acquireCancelLock() : 0;
  if (isCancelable) IRP.CancelRoutine.set(memory, irp, cancelRoutine);
  const key = keyAt === nullVa ? undefined : memory.readU32(keyAt);
  if (!insertDeviceQueue(nt, DEVICE_OBJECT.DeviceQueue.at(device), entryOf(irp), key)) {
    DEVICE_OBJECT.CurrentIrp.set(memory, device, irp);
    if (isCancelable) io.irps.releaseCancelLock(lockIrql);
    return startIo(nt, device, irp, irql);
  }
  if (isCancelable && IRP.Cancel.get(memory, irp) !== 0) {
    IRP.CancelIrql.set(memory, irp, lockIrql);
    IRP.CancelRoutine.set(memory, irp, nullVa);
    return callGuest(cancelRoutine, [device, irp], 'cancelRoutineReturned', [irql]);
  }
  if (isCancelable) io.irps.releaseCancelLock(lockIrql);
  nt.setIrql(irql);
  return undefined;
}

function startNextPacket(nt: Nt, device: Va, isCancelable: boolean, key?: number): Outcome {
  const { memory, io } = nt;
  const { irql } = nt.cpu.state;
  const lockIrql = isCancelable ? io.irps.acquireCancelLock() : 0;
  DEVICE_OBJECT.CurrentIrp.set(memory, device, nullVa);
  const entry = removeDeviceQueue(nt, DEVICE_OBJECT.DeviceQueue.at(device), key);
  if (entry !== nullVa) DEVICE_OBJECT.CurrentIrp.set(memory, device, irpOf(entry));
  if (isCancelable) io.irps.releaseCancelLock(lockIrql);
  return entry === nullVa ? undefined : startIo(nt, device, irpOf(entry), irql);
}

const lowerAgain = (nt: Nt, call: ResumedCall): undefined => {
  nt.setIrql(call.word(0));
};

export const ioStartIo = ntExports('ntoskrnl.exe', {
  IoStartPacket: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iostartpacket',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, Irp: pirp, Key: pointerTo('ULONG'), CancelFunction: PVOID },
    returns: 'VOID',
    body: (nt, { DeviceObject, Irp, Key, CancelFunction }) => startPacket(nt, DeviceObject, Irp, Key, CancelFunction),
    resume: { startIoReturned: lowerAgain, cancelRoutineReturned: lowerAgain },
  }),
  IoStartNextPacket: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iostartnextpacket',
    irql: dispatchOnly,
    params: { DeviceObject: pdevice, Cancelable: BOOLEAN },
    returns: 'VOID',
    body: (nt, { DeviceObject, Cancelable }) => startNextPacket(nt, DeviceObject, Cancelable),
    resume: { startIoReturned: lowerAgain },
  }),
  IoStartNextPacketByKey: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iostartnextpacketbykey',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, Cancelable: BOOLEAN, Key: ULONG },
    returns: 'VOID',
    body: (nt, { DeviceObject, Cancelable, Key }) => startNextPacket(nt, DeviceObject, Cancelable, Key),
    resume: { startIoReturned: lowerAgain },
  }),
  KeInitializeDeviceQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keinitializedevicequeue',
    irql: upToDispatch,
    params: { DeviceQueue: pqueue },
    returns: 'VOID',
    body: (nt, { DeviceQueue }) => {
      initialiseDeviceQueue(nt, DeviceQueue);
    },
  }),
  KeInsertDeviceQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keinsertdevicequeue',
    irql: dispatchOnly,
    params: { DeviceQueue: pqueue, DeviceQueueEntry: pentry },
    returns: 'BOOLEAN',
    body: (nt, { DeviceQueue, DeviceQueueEntry }) => insertDeviceQueue(nt, DeviceQueue, DeviceQueueEntry, undefined),
  }),
  KeInsertByKeyDeviceQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keinsertbykeydevicequeue',
    irql: dispatchOnly,
    params: { DeviceQueue: pqueue, DeviceQueueEntry: pentry, SortKey: ULONG },
    returns: 'BOOLEAN',
    body: (nt, { DeviceQueue, DeviceQueueEntry, SortKey }) =>
      insertDeviceQueue(nt, DeviceQueue, DeviceQueueEntry, SortKey),
  }),
  KeRemoveDeviceQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keremovedevicequeue',
    irql: dispatchOnly,
    params: { DeviceQueue: pqueue },
    returns: 'PVOID',
    body: (nt, { DeviceQueue }) => removeDeviceQueue(nt, DeviceQueue),
  }),
  KeRemoveByKeyDeviceQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keremovebykeydevicequeue',
    irql: dispatchOnly,
    params: { DeviceQueue: pqueue, SortKey: ULONG },
    returns: 'PVOID',
    body: (nt, { DeviceQueue, SortKey }) => removeDeviceQueue(nt, DeviceQueue, SortKey),
  }),
  KeRemoveEntryDeviceQueue: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-keremoveentrydevicequeue',
    irql: upToDispatch,
    params: { DeviceQueue: pqueue, DeviceQueueEntry: pentry },
    returns: 'BOOLEAN',
    body: (nt, { DeviceQueueEntry }) => removeEntry(nt, DeviceQueueEntry),
  }),
});
