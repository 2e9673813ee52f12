/**
 * The bus driver below every plug-and-play driver: `\Driver\PnpManager`, whose dispatch routines are the kernel's own. It
 * answers at once, later from a DPC, or later from a worker thread, as the seed says.
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { dispatchOnly, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_CANCELLED, STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import { IO_STACK_LOCATION, IRP, MajorFunction, StackControl } from '../structures/io.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import { DispatcherType, KDPC, KTIMER } from '../structures/ke.ts';
import { PNP_PARAMETERS, PnpMinor, PowerMinor } from '../structures/pnp.ts';
import { PowerStateType, SystemPower } from '../structures/power.ts';
import { pnpAnswer } from './root-bus-answers.ts';

const dpcObject = 19;

// ---- when an answer is given

/** What a delayed answer needs: timer, DPC, work item, IRP. */
const delay = {
  timer: 0,
  dpc: KTIMER.sizeBytes,
  item: KTIMER.sizeBytes + KDPC.sizeBytes,
  irp: KTIMER.sizeBytes + KDPC.sizeBytes + WORK_QUEUE_ITEM.sizeBytes,
  sizeBytes: KTIMER.sizeBytes + KDPC.sizeBytes + WORK_QUEUE_ITEM.sizeBytes + 8,
} as const;

const delay100ns = 20_000;

function completeNow(nt: Nt, irp: Va, status: number): Outcome {
  IRP.Status.set(nt.memory, irp, status);
  return callGuest(nt.entries.routineVa('IofCompleteRequest'), [irp, 0], 'completed', [status]);
}

/** IoMarkIrpPending */
function markPending(nt: Nt, irp: Va): void {
  const location = nt.io.irps.currentLocation(irp);
  const control = IO_STACK_LOCATION.Control.get(nt.memory, location);
  IO_STACK_LOCATION.Control.set(nt.memory, location, control | StackControl.PendingReturned);
}

/** Completes the IRP: now, or later. */
function complete(nt: Nt, irp: Va, status: number): Outcome {
  const when = nt.random.u32() % 3;
  if (when === 0) return completeNow(nt, irp, status);
  IRP.Status.set(nt.memory, irp, status);
  markPending(nt, irp);
  const block = nt.pool.allocateKernel(delay.sizeBytes, 'PnpD');
  nt.memory.writeVa(vaAdd(block, delay.irp), irp);
  if (when === 1) completeFromDpc(nt, block);
  else completeFromWorker(nt, block);
  return STATUS_PENDING;
}

function completeFromDpc(nt: Nt, block: Va): void {
  const { memory } = nt;
  const [timer, dpc] = [vaAdd(block, delay.timer), vaAdd(block, delay.dpc)];
  nt.dispatcher.initialise(timer, DispatcherType.TimerNotification, KTIMER.sizeBytes / 4, 0);
  KDPC.Type.set(memory, dpc, dpcObject);
  KDPC.DeferredRoutine.set(memory, dpc, nt.entries.routineVa('IopRootBusDpc'));
  KDPC.DeferredContext.set(memory, dpc, block);
  nt.timers.set(timer, nt.clock.interruptTime + delay100ns, 0, dpc);
}

function completeFromWorker(nt: Nt, block: Va): void {
  const item = vaAdd(block, delay.item);
  WORK_QUEUE_ITEM.WorkerRoutine.set(nt.memory, item, nt.entries.routineVa('IopRootBusWorker'));
  nt.memory.writeVa(WORK_QUEUE_ITEM.Parameter.at(item), block);
  nt.workQueue.queue(item);
}

const transfers: readonly number[] = [MajorFunction.Read, MajorFunction.Write, MajorFunction.DeviceControl];

function completeDelayed(nt: Nt, block: Va): Outcome {
  const irp = nt.memory.readVa(vaAdd(block, delay.irp));
  nt.pool.freeKernel(block);
  // A transfer that was cancelled while the device had it; plug and play and power are not cancelled.
  const major = IO_STACK_LOCATION.MajorFunction.get(nt.memory, nt.io.irps.currentLocation(irp));
  if (transfers.includes(major) && IRP.Cancel.get(nt.memory, irp) !== 0) {
    IRP.Status.set(nt.memory, irp, STATUS_CANCELLED);
    nt.memory.writeU64(IRP.Information.at(irp), 0n);
  }
  return callGuest(nt.entries.routineVa('IofCompleteRequest'), [irp, 0], 'completed', []);
}

// ---- IRP_MN_WAIT_WAKE

function waitForWake(nt: Nt, pdo: Va, irp: Va): Outcome {
  const status = nt.io.lowerDevice.keepWakeRequest(pdo, irp);
  if (status !== undefined) return complete(nt, irp, status);
  markPending(nt, irp);
  return STATUS_PENDING;
}

/** Completes the device's wake request if it ends now; then `irp`. Record: [irp, status]. */
function endWakeRequest(nt: Nt, wake: Va, irp: Va, status: number): Outcome {
  if (wake === nullVa) return complete(nt, irp, status);
  return callGuest(nt.entries.routineVa('IofCompleteRequest'), [wake, 0], 'wakeEnded', [irp, status]);
}

/** The device's power comes back with the system's: by seed because it was this device that woke it. */
function isWoken(nt: Nt, pdo: Va, location: Va): boolean {
  const isSystem = PNP_PARAMETERS.PowerType.get(nt.memory, location) === PowerStateType.System;
  const isWorking = PNP_PARAMETERS.PowerState.get(nt.memory, location) === SystemPower.Working;
  if (!isSystem || !isWorking || !nt.power.isAsleep || nt.io.lowerDevice.wakeRequest(pdo) === nullVa) return false;
  return nt.random.u32() % 2 === 0;
}

/** PowerDeviceD0, PowerDeviceD3 */
const [deviceOn, deviceOff] = [1, 4];

/** A device that was off has forgotten everything; the bus driver lets it decode its ranges again. */
function setDevicePower(nt: Nt, pdo: Va, location: Va): void {
  const { hardware } = nt.io;
  if (PNP_PARAMETERS.PowerType.get(nt.memory, location) === PowerStateType.System) return;
  const state = PNP_PARAMETERS.PowerState.get(nt.memory, location);
  if (state === deviceOff) hardware.switchOff(pdo);
  else if (state === deviceOn && hardware.isOff) hardware.switchOn(pdo);
}

function power(nt: Nt, pdo: Va, irp: Va): Outcome {
  const location = nt.io.irps.currentLocation(irp);
  switch (IO_STACK_LOCATION.MinorFunction.get(nt.memory, location)) {
    case PowerMinor.WaitWake:
      return waitForWake(nt, pdo, irp);
    case PowerMinor.QueryPower:
      return complete(nt, irp, nt.io.lowerDevice.refusesPower(pdo));
    case PowerMinor.SetPower: {
      setDevicePower(nt, pdo, location);
      const isOver = isWoken(nt, pdo, location);
      const wake = isOver ? nt.io.lowerDevice.takeWakeRequest(pdo, STATUS_SUCCESS) : nullVa;
      return endWakeRequest(nt, wake, irp, STATUS_SUCCESS);
    }
    default:
      return complete(nt, irp, IRP.Status.get(nt.memory, irp));
  }
}

/** A device that goes wakes nothing any more. */
function plugAndPlay(nt: Nt, pdo: Va, irp: Va, call: Call): Outcome {
  const minor = IO_STACK_LOCATION.MinorFunction.get(nt.memory, nt.io.irps.currentLocation(irp));
  const isLeaving = minor === PnpMinor.RemoveDevice || minor === PnpMinor.SurpriseRemoval;
  const wake = isLeaving ? nt.io.lowerDevice.takeWakeRequest(pdo, STATUS_CANCELLED) : nullVa;
  return endWakeRequest(nt, wake, irp, pnpAnswer(nt, pdo, irp, call) ?? IRP.Status.get(nt.memory, irp));
}

const dispatchParameters = { DeviceObject: pointerTo('DEVICE_OBJECT'), Irp: pointerTo('IRP') } as const;
const completed = {
  completed: (_nt: Nt, call: ResumedCall): Outcome => call.word(0),
  wakeEnded: (nt: Nt, call: ResumedCall): Outcome => complete(nt, call.va(0), call.word(1)),
};

export const pnpRootBus = ntInternals({
  IopPnPDispatch: ntRoutine({
    doc: 'IRP_MJ_PNP of the root bus',
    irql: passiveOnly,
    params: dispatchParameters,
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp }, call) => plugAndPlay(nt, DeviceObject, Irp, call),
    resume: completed,
  }),
  IopPowerDispatch: ntRoutine({
    doc: 'IRP_MJ_POWER of the root bus: the device has no power of its own',
    irql: upToDispatch,
    params: dispatchParameters,
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp }) => power(nt, DeviceObject, Irp),
    resume: completed,
  }),
  IopRootBusTransfer: ntRoutine({
    doc: 'IRP_MJ_READ, IRP_MJ_WRITE and control requests of the root bus',
    irql: upToDispatch,
    params: dispatchParameters,
    returns: 'NTSTATUS',
    body: (nt, { Irp }) => {
      const status = nt.io.lowerDevice.answer(Irp);
      return nt.io.lowerDevice.isTrying ? complete(nt, Irp, status) : completeNow(nt, Irp, status);
    },
    resume: completed,
  }),
  IopSystemControlDispatch: ntRoutine({
    doc: 'IRP_MJ_SYSTEM_CONTROL of the root bus: nothing is answered',
    irql: passiveOnly,
    params: dispatchParameters,
    returns: 'NTSTATUS',
    body: (nt, { Irp }) => complete(nt, Irp, IRP.Status.get(nt.memory, Irp)),
    resume: completed,
  }),
  /** Called with the cancel spin lock held. */
  IopCancelWakeRequest: ntRoutine({
    doc: 'the cancel routine of IRP_MN_WAIT_WAKE at the root bus',
    irql: dispatchOnly,
    params: dispatchParameters,
    returns: 'VOID',
    body: (nt, { DeviceObject, Irp }) => {
      nt.io.lowerDevice.takeWakeRequest(DeviceObject, STATUS_CANCELLED);
      nt.io.irps.releaseCancelLock(IRP.CancelIrql.get(nt.memory, Irp));
      return callGuest(nt.entries.routineVa('IofCompleteRequest'), [Irp, 0], 'completed', []);
    },
    resume: { completed: () => undefined },
  }),
  IopRootBusDpc: ntRoutine({
    doc: 'completes a request of the root bus in a DPC',
    irql: dispatchOnly,
    params: { Dpc: pointerTo('KDPC'), Context: PVOID, SystemArgument1: PVOID, SystemArgument2: PVOID },
    returns: 'VOID',
    body: (nt, { Context }) => completeDelayed(nt, Context),
    resume: { completed: () => undefined },
  }),
  IopRootBusWorker: ntRoutine({
    doc: 'completes a request of the root bus in a worker thread',
    irql: passiveOnly,
    params: { Context: PVOID },
    returns: 'VOID',
    body: (nt, { Context }) => completeDelayed(nt, Context),
    resume: { completed: () => undefined },
  }),
});
