/**
 * The bus driver below every plug-and-play driver: `\Driver\PnpManager`, whose dispatch routines are the kernel's own. It
 * answers at once, later from a DPC, or later from a worker thread, as the seed says.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import { dispatchOnly, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_CANCELLED, STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import { IO_STACK_LOCATION, IRP, MajorFunction, StackControl } from '../structures/io.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import { DispatcherType, KDPC, KTIMER } from '../structures/ke.ts';
import { PowerMinor } from '../structures/pnp.ts';
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

/** Completes the IRP: now, or later. */
function complete(nt: Nt, irp: Va, status: number): Outcome {
  const when = nt.random.u32() % 3;
  if (when === 0) return completeNow(nt, irp, status);
  IRP.Status.set(nt.memory, irp, status);
  const location = nt.io.irps.currentLocation(irp);
  const control = IO_STACK_LOCATION.Control.get(nt.memory, location);
  IO_STACK_LOCATION.Control.set(nt.memory, location, control | StackControl.PendingReturned);
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

function completeDelayed(nt: Nt, block: Va): Outcome {
  const irp = nt.memory.readVa(vaAdd(block, delay.irp));
  nt.pool.freeKernel(block);
  // A read or write that was cancelled while the device had it; plug and play and power are not cancelled.
  const major = IO_STACK_LOCATION.MajorFunction.get(nt.memory, nt.io.irps.currentLocation(irp));
  if ((major === MajorFunction.Read || major === MajorFunction.Write) && IRP.Cancel.get(nt.memory, irp) !== 0) {
    IRP.Status.set(nt.memory, irp, STATUS_CANCELLED);
    nt.memory.writeU64(IRP.Information.at(irp), 0n);
  }
  return callGuest(nt.entries.routineVa('IofCompleteRequest'), [irp, 0], 'completed', []);
}

const dispatchParameters = { DeviceObject: pointerTo('DEVICE_OBJECT'), Irp: pointerTo('IRP') } as const;
const completed = { completed: (_nt: Nt, call: { word(index: number): number }): Outcome => call.word(0) };

export const pnpRootBus = ntInternals({
  IopPnPDispatch: ntRoutine({
    doc: 'IRP_MJ_PNP of the root bus',
    irql: passiveOnly,
    params: dispatchParameters,
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp }, call) =>
      complete(nt, Irp, pnpAnswer(nt, DeviceObject, Irp, call) ?? IRP.Status.get(nt.memory, Irp)),
    resume: completed,
  }),
  IopPowerDispatch: ntRoutine({
    doc: 'IRP_MJ_POWER of the root bus: the device has no power of its own',
    irql: upToDispatch,
    params: dispatchParameters,
    returns: 'NTSTATUS',
    body: (nt, { Irp }) => {
      const minor = IO_STACK_LOCATION.MinorFunction.get(nt.memory, nt.io.irps.currentLocation(Irp));
      const isKnown = minor === PowerMinor.SetPower || minor === PowerMinor.QueryPower;
      if (minor === PowerMinor.WaitWake) return complete(nt, Irp, STATUS_NOT_SUPPORTED);
      return complete(nt, Irp, isKnown ? STATUS_SUCCESS : IRP.Status.get(nt.memory, Irp));
    },
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
