/** Power requests of drivers. */
import type { Va } from '../../base/va.ts';
import { nullVa, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo, UCHAR, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER_2, STATUS_PENDING } from '../ntstatus.ts';
import { referenceObject, releaseObjectLater } from '../ob/references.ts';
import { makeStackRequest, type StackAnswer, sendStackRequest, stackRequestResume } from '../pnp/stack-requests.ts';
import { DEVICE_OBJECT, DEVOBJ_EXTENSION, IO_STATUS_BLOCK, MajorFunction } from '../structures/io.ts';
import { WORK_QUEUE_ITEM } from '../structures/io-queues.ts';
import { PNP_PARAMETERS, PowerMinor } from '../structures/pnp.ts';

const pdevice = pointerTo('DEVICE_OBJECT');
const devicePowerState = 1;

/** A work item and what PoRequestPowerIrp was given. */
const work = {
  top: WORK_QUEUE_ITEM.sizeBytes,
  irp: WORK_QUEUE_ITEM.sizeBytes + 8,
  block: WORK_QUEUE_ITEM.sizeBytes + 16,
  device: WORK_QUEUE_ITEM.sizeBytes + 24,
  minor: WORK_QUEUE_ITEM.sizeBytes + 32,
  powerState: WORK_QUEUE_ITEM.sizeBytes + 36,
  completion: WORK_QUEUE_ITEM.sizeBytes + 40,
  context: WORK_QUEUE_ITEM.sizeBytes + 48,
  iosb: WORK_QUEUE_ITEM.sizeBytes + 56,
  sizeBytes: WORK_QUEUE_ITEM.sizeBytes + 56 + IO_STATUS_BLOCK.sizeBytes,
} as const;

interface PowerRequest {
  readonly DeviceObject: Va;
  readonly MinorFunction: number;
  readonly PowerState: number;
  readonly CompletionFunction: Va;
  readonly Context: bigint;
  readonly Irp: Va;
}

const minors: readonly number[] = [PowerMinor.WaitWake, PowerMinor.SetPower, PowerMinor.QueryPower];

function request(nt: Nt, args: PowerRequest): number {
  if (!minors.includes(args.MinorFunction)) return STATUS_INVALID_PARAMETER_2;
  const { memory } = nt;
  const made = makeStackRequest(nt, args.DeviceObject, MajorFunction.Power, args.MinorFunction, (location) => {
    if (args.MinorFunction === PowerMinor.WaitWake) {
      PNP_PARAMETERS.WakeState.set(memory, location, args.PowerState);
      return;
    }
    PNP_PARAMETERS.PowerType.set(memory, location, devicePowerState);
    PNP_PARAMETERS.PowerState.set(memory, location, args.PowerState);
  });
  const item = nt.pool.allocateKernel(work.sizeBytes, 'PoRq');
  memory.writeVa(vaAdd(item, work.top), made.device);
  memory.writeVa(vaAdd(item, work.irp), made.irp);
  memory.writeVa(vaAdd(item, work.block), made.block);
  memory.writeVa(vaAdd(item, work.device), args.DeviceObject);
  memory.writeU32(vaAdd(item, work.minor), args.MinorFunction);
  memory.writeU32(vaAdd(item, work.powerState), args.PowerState);
  memory.writeVa(vaAdd(item, work.completion), args.CompletionFunction);
  memory.writeU64(vaAdd(item, work.context), args.Context);
  WORK_QUEUE_ITEM.WorkerRoutine.set(memory, item, nt.entries.routineVa('PopIrpWorker'));
  memory.writeVa(WORK_QUEUE_ITEM.Parameter.at(item), item);
  referenceObject(nt, args.DeviceObject);
  if (args.Irp !== nullVa) memory.writeVa(args.Irp, made.irp);
  nt.workQueue.queue(item);
  return STATUS_PENDING;
}

/** Record after [block, irp]: [item]. */
const workerResume = {
  ...stackRequestResume(requestAnswered, isWatched),
  told: (nt: Nt, call: ResumedCall): Outcome => requestDone(nt, call.va(0)),
};

/** The device at the bottom of the stack. */
function pdoOf({ memory }: Nt, device: Va): Va {
  let at = device;
  for (let hops = 0; hops < 64; hops++) {
    const below = DEVOBJ_EXTENSION.AttachedTo.get(memory, DEVICE_OBJECT.DeviceObjectExtension.get(memory, at));
    if (below === nullVa) break;
    at = below;
  }
  return at;
}

/** A request to wake may pend for as long as the device sleeps. */
function isWatched(nt: Nt, call: ResumedCall): { readonly pdo: Va } | undefined {
  const item = call.va(2);
  const minor = nt.memory.readU32(vaAdd(item, work.minor));
  return minor === PowerMinor.WaitWake ? undefined : { pdo: pdoOf(nt, nt.memory.readVa(vaAdd(item, work.device))) };
}

function requestAnswered(nt: Nt, call: ResumedCall, { status, information }: StackAnswer): Outcome {
  const { memory } = nt;
  const item = call.va(2);
  const completion = memory.readVa(vaAdd(item, work.completion));
  if (completion === nullVa) return requestDone(nt, item);
  const iosb = vaAdd(item, work.iosb);
  IO_STATUS_BLOCK.Status.set(memory, iosb, status);
  memory.writeVa(IO_STATUS_BLOCK.Information.at(iosb), information);
  const args = [
    memory.readVa(vaAdd(item, work.device)),
    memory.readU32(vaAdd(item, work.minor)),
    memory.readU32(vaAdd(item, work.powerState)),
    memory.readU64(vaAdd(item, work.context)),
    iosb,
  ];
  return callGuest(completion, args, 'told', [item]);
}

function requestDone(nt: Nt, item: Va): undefined {
  const device = nt.memory.readVa(vaAdd(item, work.device));
  nt.pool.freeKernel(item);
  releaseObjectLater(nt, device);
}

export const poPower = ntExports('ntoskrnl.exe', {
  /** As IoCallDriver, since Windows Vista. */
  PoCallDriver: ntRoutine({
    doc: 'wdm.h; nf-wdm-pocalldriver',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, Irp: pointerTo('IRP') },
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp }) => nt.io.irps.callDriver(DeviceObject, Irp),
    resume: { dispatchReturned: (_nt, call) => call.status },
  }),
  /** Since Windows Vista there is no order of power requests that it would keep. */
  PoStartNextPowerIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-postartnextpowerirp',
    irql: upToDispatch,
    params: { Irp: pointerTo('IRP') },
    returns: 'VOID',
    body: () => undefined,
  }),
  /** The state before. */
  PoSetPowerState: ntRoutine({
    doc: 'wdm.h; nf-wdm-posetpowerstate',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, Type: ULONG, State: ULONG },
    returns: 'ULONG',
    body: (nt, { DeviceObject, Type, State }) => nt.io.pnp.setPowerState(DeviceObject, Type, State),
  }),
  PoRequestPowerIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-porequestpowerirp',
    irql: upToDispatch,
    params: {
      DeviceObject: pdevice,
      MinorFunction: UCHAR,
      PowerState: ULONG,
      CompletionFunction: PVOID,
      Context: ULONG64,
      Irp: PVOID,
    },
    returns: 'NTSTATUS',
    support: { partial: 'the completion function is always called in a worker thread, at PASSIVE_LEVEL' },
    body: (nt, args) => request(nt, args),
  }),
});

export const poInternals = ntInternals({
  PopIrpWorker: ntRoutine({
    doc: 'sends a power request of PoRequestPowerIrp and tells its completion function',
    irql: passiveOnly,
    params: { Item: PVOID },
    returns: 'VOID',
    body: (nt, { Item }) => {
      const at = (offset: number): Va => nt.memory.readVa(vaAdd(Item, offset));
      const sent = { device: at(work.top), irp: at(work.irp), block: at(work.block) };
      return sendStackRequest(nt, sent, [Item]);
    },
    resume: workerResume,
  }),
});
