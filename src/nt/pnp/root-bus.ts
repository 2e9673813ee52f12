/**
 * The bus driver below every plug-and-play driver: `\Driver\PnpManager`, whose dispatch routines are the kernel's own. It
 * answers at once, later from a DPC, or later from a worker thread, as the seed says.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { dispatchOnly, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import { referenceObject } from '../ob/references.ts';
import { utf16OfText } from '../rtl/guest-text.ts';
import { IO_STACK_LOCATION, IRP, StackControl } from '../structures/io.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import { DispatcherType, KDPC, KTIMER } from '../structures/ke.ts';
import {
  Capability,
  DEVICE_CAPABILITIES,
  DEVICE_RELATIONS,
  DeviceRelation,
  PNP_PARAMETERS,
  PnpMinor,
  PowerMinor,
} from '../structures/pnp.ts';
import { PoolType } from '../structures/pool.ts';
import { deviceId, enumerator } from './plug-and-play.ts';

const queryTag = tagOf('Pp  ');
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

/** Completes the IRP with the status that it has: now, or later. */
function complete(nt: Nt, irp: Va, status: number): Outcome {
  IRP.Status.set(nt.memory, irp, status);
  const when = nt.random.u32() % 3;
  if (when === 0) return callGuest(nt.entries.routineVa('IofCompleteRequest'), [irp, 0], 'completed', [status]);
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
  return callGuest(nt.entries.routineVa('IofCompleteRequest'), [irp, 0], 'completed', []);
}

// ---- answers

const succeeding: readonly number[] = [
  PnpMinor.StartDevice,
  PnpMinor.QueryRemoveDevice,
  PnpMinor.RemoveDevice,
  PnpMinor.CancelRemoveDevice,
  PnpMinor.StopDevice,
  PnpMinor.QueryStopDevice,
  PnpMinor.CancelStopDevice,
  PnpMinor.QueryPnpDeviceState,
  PnpMinor.SurpriseRemoval,
];

/** What the bus makes of a request; undefined leaves the status as it came. */
function answer(nt: Nt, pdo: Va, irp: Va, call: Call): number | undefined {
  const location = nt.io.irps.currentLocation(irp);
  const minor = IO_STACK_LOCATION.MinorFunction.get(nt.memory, location);
  if (succeeding.includes(minor)) return STATUS_SUCCESS;
  switch (minor) {
    case PnpMinor.QueryCapabilities:
      fillCapabilities(nt, PNP_PARAMETERS.Capabilities.get(nt.memory, location));
      return STATUS_SUCCESS;
    case PnpMinor.QueryDeviceRelations:
      if (PNP_PARAMETERS.RelationType.get(nt.memory, location) !== DeviceRelation.TargetDevice) return undefined;
      return giveTarget(nt, pdo, irp, call);
    case PnpMinor.QueryId:
      return giveText(nt, irp, idText(nt, pdo, PNP_PARAMETERS.IdType.get(nt.memory, location)), call);
    case PnpMinor.QueryDeviceText:
      return giveText(nt, irp, deviceText(PNP_PARAMETERS.TextType.get(nt.memory, location)), call);
    default:
      return undefined;
  }
}

/** D0 in S0, D3 in all other system states. */
function fillCapabilities({ memory }: Nt, capabilities: Va): void {
  const flags = DEVICE_CAPABILITIES.Flags.get(memory, capabilities);
  DEVICE_CAPABILITIES.Flags.set(memory, capabilities, flags | Capability.UniqueId | Capability.SurpriseRemovalOk);
  for (let system = 0; system < 7; system++) {
    const deviceState = system === 0 ? 0 : system === 1 ? 1 : 4;
    memory.writeU32(vaAdd(DEVICE_CAPABILITIES.DeviceState.at(capabilities), system * 4), deviceState);
  }
}

/** BUS_QUERY_ID_TYPE: device, hardware IDs, compatible IDs, instance. */
function idText(nt: Nt, pdo: Va, type: number): string | undefined {
  const id = `${enumerator}\\${deviceId}`;
  const instance = nt.io.pnp.get(pdo)?.instance ?? '';
  return [`${id}\0`, `${id}\0\0`, undefined, `${instance}\0`][type];
}

/** DEVICE_TEXT_TYPE: description, location. */
const deviceText = (type: number): string | undefined => ['Root-enumerated device\0', 'Root bus\0'][type];

function giveText(nt: Nt, irp: Va, text: string | undefined, call: Call): number | undefined {
  return text === undefined ? undefined : give(nt, irp, utf16OfText(text), call);
}

/** The PDO itself, with a reference for whoever asked. */
function giveTarget(nt: Nt, pdo: Va, irp: Va, call: Call): number {
  const status = give(nt, irp, new Uint8Array(DEVICE_RELATIONS.sizeBytes), call);
  if (status !== STATUS_SUCCESS) return status;
  const relations = nt.memory.readVa(IRP.Information.at(irp));
  DEVICE_RELATIONS.Count.set(nt.memory, relations, 1);
  DEVICE_RELATIONS.Objects.set(nt.memory, relations, pdo);
  referenceObject(nt, pdo);
  return STATUS_SUCCESS;
}

/** Paged pool that the sender of the request frees. */
function give(nt: Nt, irp: Va, contents: Uint8Array, call: Call): number {
  const buffer = nt.pool.allocate({ poolType: PoolType.PagedPool, bytes: contents.length, tag: queryTag }, call);
  if (buffer === undefined) return STATUS_INSUFFICIENT_RESOURCES;
  nt.memory.writeBytes(buffer, contents);
  nt.memory.writeVa(IRP.Information.at(irp), buffer);
  return STATUS_SUCCESS;
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
      complete(nt, Irp, answer(nt, DeviceObject, Irp, call) ?? IRP.Status.get(nt.memory, Irp)),
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
