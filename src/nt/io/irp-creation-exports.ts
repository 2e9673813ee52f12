/** IRPs that drivers make: bare ones, and requests that the I/O manager fills in. */
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, CCHAR, NTSTATUS, PVOID, pointerTo, ULONG, USHORT } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
import {
  DEVICE_OBJECT,
  DeviceFlag,
  IO_STACK_LOCATION,
  IoType,
  IRP,
  IrpFlag,
  MajorFunction,
  StackControl,
} from '../structures/io.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';
import { PoolType } from '../structures/pool.ts';
import { Irps } from './irps.ts';

const pirp = pointerTo('IRP');
const pdevice = pointerTo('DEVICE_OBJECT');
const piosb = pointerTo('IO_STATUS_BLOCK');
const pevent = pointerTo('KEVENT');
const systemBufferTag = tagOf('Io  ');

/** An IRP for a device's stack in the driver's name, with its first location to be filled in. */
function request(nt: Nt, device: Va, major: number, call: Call): { irp: Va; location: Va } | undefined {
  const irp = nt.io.irps.allocateForDriver(DEVICE_OBJECT.StackSize.get(nt.memory, device), call);
  if (irp === undefined) return undefined;
  const location = nt.io.irps.nextLocation(irp);
  IO_STACK_LOCATION.MajorFunction.set(nt.memory, location, major);
  return { irp, location };
}

/** A system buffer of `bytes`, garbage behind the input. False when memory is short. */
function attachSystemBuffer(nt: Nt, irp: Va, bytes: number, input: Va, inputBytes: number, call: Call): boolean {
  const pool = { poolType: PoolType.NonPagedPoolNx, bytes, tag: systemBufferTag, family: 'irp' } as const;
  const buffer = nt.pool.allocate(pool, call);
  if (buffer === undefined) return false;
  if (inputBytes > 0) nt.memory.writeBytes(buffer, nt.memory.readBytes(input, inputBytes));
  IRP.SystemBuffer.set(nt.memory, irp, buffer);
  addFlags(nt, irp, IrpFlag.BufferedIo | IrpFlag.DeallocateBuffer);
  return true;
}

function addFlags(nt: Nt, irp: Va, flags: number): void {
  IRP.Flags.set(nt.memory, irp, IRP.Flags.get(nt.memory, irp) | flags);
}

/** An MDL in the driver's name, with its pages locked. False if there is no memory, or the buffer cannot be locked. */
function attachMdl(nt: Nt, irp: Va, buffer: Va, bytes: number, isWrite: boolean, call: Call): boolean {
  const mdl = nt.mdls.allocate(buffer, bytes, nullVa, false, call);
  if (mdl === undefined) return false;
  if (nt.mdls.locks.lock(mdl, 'kernel', isWrite, holderOf(nt, call)) !== STATUS_SUCCESS) {
    nt.mdls.free(mdl, undefined);
    return false;
  }
  IRP.MdlAddress.set(nt.memory, irp, mdl);
  return true;
}

function allocate(nt: Nt, stackSize: number, chargesQuota: boolean, call: Call): Outcome {
  if (stackSize < 0) return unsupported(`${call.name} with a negative stack size`);
  const bytes = Irps.sizeBytes(stackSize);
  if (chargesQuota && nt.poolQuota.refusal(false, bytes) !== undefined) return nullVa;
  const irp = nt.io.irps.allocateForDriver(stackSize, call);
  if (irp !== undefined && chargesQuota) nt.poolQuota.charge(irp, false, bytes);
  return irp ?? nullVa;
}

interface Control {
  readonly IoControlCode: number;
  readonly DeviceObject: Va;
  readonly InputBuffer: Va;
  readonly InputBufferLength: number;
  readonly OutputBuffer: Va;
  readonly OutputBufferLength: number;
  readonly InternalDeviceIoControl: boolean;
  readonly Event: Va;
  readonly IoStatusBlock: Va;
}

function buildControl(nt: Nt, args: Control, call: Call): Outcome {
  const { memory } = nt;
  const major = args.InternalDeviceIoControl ? MajorFunction.InternalDeviceControl : MajorFunction.DeviceControl;
  const made = request(nt, args.DeviceObject, major, call);
  if (made === undefined) return nullVa;
  const { irp, location } = made;
  IO_STACK_LOCATION.OutputBufferLength.set(memory, location, args.OutputBufferLength);
  IO_STACK_LOCATION.InputBufferLength.set(memory, location, args.InputBufferLength);
  IO_STACK_LOCATION.IoControlCode.set(memory, location, args.IoControlCode);
  if (!attachControlBuffers(nt, irp, location, args, call)) {
    nt.io.irps.discard(irp);
    return nullVa;
  }
  IRP.UserIosb.set(memory, irp, args.IoStatusBlock);
  IRP.UserEvent.set(memory, irp, args.Event);
  nt.io.irps.tieToThread(irp, args.OutputBufferLength);
  return irp;
}

/** As the method in the control code's low bits says. */
function attachControlBuffers(nt: Nt, irp: Va, location: Va, args: Control, call: Call): boolean {
  const { InputBuffer, InputBufferLength, OutputBuffer, OutputBufferLength } = args;
  const method = args.IoControlCode & 3;
  if (method === 3) {
    IRP.UserBuffer.set(nt.memory, irp, OutputBuffer);
    IO_STACK_LOCATION.Type3InputBuffer.set(nt.memory, location, InputBuffer);
    return true;
  }
  const inputBytes = InputBuffer === nullVa ? 0 : InputBufferLength;
  const bytes = method === 0 ? Math.max(InputBufferLength, OutputBufferLength) : inputBytes;
  if (bytes > 0 && !attachSystemBuffer(nt, irp, bytes, InputBuffer, inputBytes, call)) return false;
  if (method === 0) {
    IRP.UserBuffer.set(nt.memory, irp, OutputBuffer);
    if (bytes > 0 && OutputBuffer !== nullVa) addFlags(nt, irp, IrpFlag.InputOperation);
    return true;
  }
  // IN_DIRECT reads from the second buffer, OUT_DIRECT writes to it.
  return OutputBuffer === nullVa || attachMdl(nt, irp, OutputBuffer, OutputBufferLength, method === 2, call);
}

interface Transfer {
  readonly MajorFunction: number;
  readonly DeviceObject: Va;
  readonly Buffer: Va;
  readonly Length: number;
  readonly StartingOffset: Va;
  readonly IoStatusBlock: Va;
}

/** The request that IoBuildAsynchronousFsdRequest and IoBuildSynchronousFsdRequest make. */
function buildTransfer(nt: Nt, args: Transfer, call: Call): Va | undefined {
  const { memory } = nt;
  const made = request(nt, args.DeviceObject, args.MajorFunction, call);
  if (made === undefined) return undefined;
  const { irp, location } = made;
  IRP.UserIosb.set(memory, irp, args.IoStatusBlock);
  IRP.Thread.set(memory, irp, nt.scheduler.currentThread.kthread);
  const isRead = args.MajorFunction === MajorFunction.Read;
  if (!isRead && args.MajorFunction !== MajorFunction.Write) return irp;
  IO_STACK_LOCATION.ReadWriteLength.set(memory, location, args.Length);
  if (args.StartingOffset !== nullVa) {
    IO_STACK_LOCATION.ReadWriteByteOffset.set(memory, location, memory.readU64(args.StartingOffset));
  }
  if (attachTransferBuffer(nt, irp, isRead, args, call)) return irp;
  nt.io.irps.discard(irp);
  return undefined;
}

function attachTransferBuffer(nt: Nt, irp: Va, isRead: boolean, args: Transfer, call: Call): boolean {
  const flags = DEVICE_OBJECT.Flags.get(nt.memory, args.DeviceObject);
  if ((flags & DeviceFlag.BufferedIo) !== 0) {
    IRP.UserBuffer.set(nt.memory, irp, args.Buffer);
    if (isRead) addFlags(nt, irp, IrpFlag.InputOperation);
    return attachSystemBuffer(nt, irp, args.Length, args.Buffer, isRead ? 0 : args.Length, call);
  }
  if ((flags & DeviceFlag.DirectIo) !== 0) return attachMdl(nt, irp, args.Buffer, args.Length, isRead, call);
  IRP.UserBuffer.set(nt.memory, irp, args.Buffer);
  return true;
}

function free(nt: Nt, irp: Va, call: Call): undefined {
  const { memory } = nt;
  if (IRP.Type.get(memory, irp) !== IoType.Irp) {
    throw new BugCheck(0x44, [irp, 0, 0, 0], 'IoFreeIrp was given what is no IRP, or one that was freed already');
  }
  IRP.Type.set(memory, irp, 0);
  nt.io.irps.untie(irp);
  nt.pool.free(irp, 0, call);
}

// ---- IoForwardIrpSynchronously: record [event]

/** Sends the IRP down with a copy of its location, and waits until it comes back. */
function forwardSynchronously(nt: Nt, device: Va, irp: Va): Outcome {
  const { memory } = nt;
  if (IRP.CurrentLocation.get(memory, irp) <= 1) return false;
  const next = nt.io.irps.nextLocation(irp);
  const copied = IO_STACK_LOCATION.CompletionRoutine.offset;
  memory.copy(next, nt.io.irps.currentLocation(irp), copied);
  const event = nt.pool.allocateKernel(KEVENT.sizeBytes, 'IoFw');
  nt.dispatcher.initialise(event, DispatcherType.EventSynchronization, KEVENT.sizeBytes / 4, 0);
  IO_STACK_LOCATION.CompletionRoutine.set(memory, next, nt.entries.routineVa('IopForwardedIrpCompleted'));
  memory.writeVa(IO_STACK_LOCATION.Context.at(next), event);
  const always = StackControl.InvokeOnSuccess | StackControl.InvokeOnError | StackControl.InvokeOnCancel;
  IO_STACK_LOCATION.Control.set(memory, next, always);
  return callGuest(nt.entries.routineVa('IofCallDriver'), [device, irp], 'dispatched', [event]);
}

function forwarded(nt: Nt, event: Va): Outcome {
  nt.pool.freeKernel(event);
  return true;
}

const transferParameters = {
  MajorFunction: ULONG,
  DeviceObject: pdevice,
  Buffer: PVOID,
  Length: ULONG,
  StartingOffset: pointerTo('LARGE_INTEGER'),
} as const;

export const ioIrpCreation = ntExports('ntoskrnl.exe', {
  IoAllocateIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioallocateirp',
    irql: upToDispatch,
    params: { StackSize: CCHAR, ChargeQuota: BOOLEAN },
    returns: 'PVOID',
    body: (nt, { StackSize, ChargeQuota }, call) => allocate(nt, StackSize, ChargeQuota, call),
  }),
  IoAllocateIrpEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioallocateirpex',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, StackSize: CCHAR, ChargeQuota: BOOLEAN },
    returns: 'PVOID',
    body: (nt, { StackSize, ChargeQuota }, call) => allocate(nt, StackSize, ChargeQuota, call),
  }),
  IoFreeIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-iofreeirp',
    irql: upToDispatch,
    params: { Irp: pirp },
    returns: 'VOID',
    body: (nt, { Irp }, call) => free(nt, Irp, call),
  }),
  IoInitializeIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioinitializeirp',
    irql: upToDispatch,
    params: { Irp: pirp, PacketSize: USHORT, StackSize: CCHAR },
    returns: 'VOID',
    body: (nt, { Irp, PacketSize, StackSize }) => {
      nt.io.irps.initialise(Irp, PacketSize, StackSize);
    },
  }),
  IoReuseIrp: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioreuseirp',
    irql: upToDispatch,
    params: { Irp: pirp, Status: NTSTATUS },
    returns: 'VOID',
    body: (nt, { Irp, Status }) => {
      const { memory } = nt;
      const allocationFlags = IRP.AllocationFlags.get(memory, Irp);
      nt.io.irps.initialise(Irp, IRP.Size.get(memory, Irp), IRP.StackCount.get(memory, Irp));
      IRP.AllocationFlags.set(memory, Irp, allocationFlags);
      IRP.Status.set(memory, Irp, Status);
    },
  }),
  IoMakeAssociatedIrp: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iomakeassociatedirp',
    irql: upToDispatch,
    params: { Irp: pirp, StackSize: CCHAR },
    returns: 'PVOID',
    body: (nt, { Irp, StackSize }, call) => {
      const { memory } = nt;
      const made = allocate(nt, StackSize, false, call);
      if (typeof made !== 'number' || made === nullVa) return made;
      const associated = made as Va;
      IRP.Flags.set(memory, associated, IrpFlag.AssociatedIrp);
      IRP.Thread.set(memory, associated, IRP.Thread.get(memory, Irp));
      IRP.SystemBuffer.set(memory, associated, Irp);
      return associated;
    },
  }),
  IoBuildDeviceIoControlRequest: ntRoutine({
    doc: 'wdm.h; nf-wdm-iobuilddeviceiocontrolrequest',
    irql: upToApc,
    params: {
      IoControlCode: ULONG,
      DeviceObject: pdevice,
      InputBuffer: PVOID,
      InputBufferLength: ULONG,
      OutputBuffer: PVOID,
      OutputBufferLength: ULONG,
      InternalDeviceIoControl: BOOLEAN,
      Event: pevent,
      IoStatusBlock: piosb,
    },
    returns: 'PVOID',
    body: (nt, args, call) => buildControl(nt, args, call),
  }),
  IoBuildSynchronousFsdRequest: ntRoutine({
    doc: 'wdm.h; nf-wdm-iobuildsynchronousfsdrequest',
    irql: upToApc,
    params: { ...transferParameters, Event: pevent, IoStatusBlock: piosb },
    returns: 'PVOID',
    body: (nt, args, call) => {
      const irp = buildTransfer(nt, args, call);
      if (irp === undefined) return nullVa;
      IRP.UserEvent.set(nt.memory, irp, args.Event);
      nt.io.irps.tieToThread(irp, args.Length);
      return irp;
    },
  }),
  IoBuildAsynchronousFsdRequest: ntRoutine({
    doc: 'wdm.h; nf-wdm-iobuildasynchronousfsdrequest',
    irql: upToApc,
    params: { ...transferParameters, IoStatusBlock: piosb },
    returns: 'PVOID',
    body: (nt, args, call) => buildTransfer(nt, args, call) ?? nullVa,
  }),
  IoForwardIrpSynchronously: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioforwardirpsynchronously',
    irql: upToApc,
    params: { DeviceObject: pdevice, Irp: pirp },
    returns: 'BOOLEAN',
    body: (nt, { DeviceObject, Irp }) => forwardSynchronously(nt, DeviceObject, Irp),
    resume: {
      dispatched: (nt, call) =>
        call.status !== STATUS_PENDING
          ? forwarded(nt, call.va(0))
          : {
              action: 'wait',
              objects: [call.va(0)],
              waitAll: false,
              alertable: false,
              waitMode: 0,
              dueTime: undefined,
              resume: 'completed',
              record: call.record,
            },
      completed: (nt, call) => forwarded(nt, call.va(0)),
    },
  }),
  IoGetRequestorProcess: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogetrequestorprocess',
    irql: upToDispatch,
    params: { Irp: pirp },
    returns: 'PVOID',
    body: (nt, { Irp }) => nt.scheduler.findThread(IRP.Thread.get(nt.memory, Irp))?.process ?? nullVa,
  }),
  IoGetRequestorProcessId: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogetrequestorprocessid',
    irql: upToDispatch,
    params: { Irp: pirp },
    returns: 'ULONG',
    body: (nt, { Irp }) => {
      const thread = nt.scheduler.findThread(IRP.Thread.get(nt.memory, Irp));
      return thread === undefined ? 0 : nt.processor.processId(thread.process);
    },
  }),
  IoIs32bitProcess: ntRoutine({
    doc: 'wdm.h; nf-wdm-iois32bitprocess',
    irql: upToDispatch,
    params: { Irp: pirp },
    returns: 'BOOLEAN',
    body: () => false,
  }),
});

export const ioIrpCreationInternals = ntInternals({
  IopForwardedIrpCompleted: ntRoutine({
    doc: 'completion routine of IoForwardIrpSynchronously',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, Irp: pirp, Event: pevent },
    returns: 'NTSTATUS',
    body: (nt, { Event }) => {
      nt.dispatcher.signal(Event, 1);
      return STATUS_MORE_PROCESSING_REQUIRED;
    },
  }),
});
