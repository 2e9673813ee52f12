/** NtCreateFile, NtReadFile, NtWriteFile, NtDeviceIoControlFile and NtClose: how a request becomes an IRP. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { ResumedCall } from '../declare/call.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported, type Wait } from '../declare/outcome.ts';
import { ACCESS_MASK, HANDLE, PVOID, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  ntSuccess,
  STATUS_ACCESS_DENIED,
  STATUS_ACCESS_VIOLATION,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_PENDING,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import {
  DEVICE_OBJECT,
  DeviceFlag,
  IO_STACK_LOCATION,
  IO_STATUS_BLOCK,
  IRP,
  IrpFlag,
  MajorFunction,
  OBJECT_ATTRIBUTES,
} from '../structures/io.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

const fileSynchronousIoAlert = 0x10;
const fileSynchronousIoNonAlert = 0x20;
const objKernelHandle = 0x200;

/** Status block and event of a request that the kernel itself waits for. */
const waitBlockBytes = IO_STATUS_BLOCK.sizeBytes + KEVENT.sizeBytes;
const eventOf = (block: Va): Va => vaAdd(block, IO_STATUS_BLOCK.sizeBytes);

/** Makes an IRP for `file`'s device stack that the kernel waits for, with its stack location filled in by `fill`. */
function internalRequest(
  nt: Nt,
  file: Va,
  flags: number,
  major: number,
  fill: (location: Va) => void,
): { irp: Va; device: Va; block: Va } {
  const device = nt.io.devices.top(nt.io.files.device(file));
  const irp = nt.io.irps.allocateForRequest(DEVICE_OBJECT.StackSize.get(nt.memory, device), {
    file: nullVa,
    outputBytes: 0,
  });
  const block = nt.pool.allocateKernel(waitBlockBytes, 'IoWt');
  nt.dispatcher.initialise(eventOf(block), DispatcherType.EventNotification, 6, 0);
  IRP.Flags.set(nt.memory, irp, flags);
  IRP.UserIosb.set(nt.memory, irp, block);
  IRP.UserEvent.set(nt.memory, irp, eventOf(block));
  IRP.OriginalFileObject.set(nt.memory, irp, file);
  const location = nt.io.irps.nextLocation(irp);
  IO_STACK_LOCATION.MajorFunction.set(nt.memory, location, major);
  IO_STACK_LOCATION.FileObject.set(nt.memory, location, file);
  fill(location);
  return { irp, device, block };
}

function waitFor(event: Va, resume: string, record: readonly number[]): Wait {
  return {
    action: 'wait',
    objects: [event],
    waitAll: false,
    alertable: false,
    waitMode: 0,
    dueTime: undefined,
    resume,
    record,
  };
}

const forward = (nt: Nt, device: Va, irp: Va, resume: string, record: readonly number[]): Outcome =>
  callGuest(nt.entries.routineVa('IofCallDriver'), [device, irp], resume, record);

// ---- create

interface CreateArguments {
  readonly handleAt: Va;
  readonly access: number;
  readonly attributes: Va;
  readonly iosb: Va;
  readonly fileAttributes: number;
  readonly shareAccess: number;
  readonly options: number;
}

function create(nt: Nt, args: CreateArguments, isKernelMode: boolean): Outcome {
  const { memory } = nt;
  const name = OBJECT_ATTRIBUTES.ObjectName.get(memory, args.attributes);
  if (OBJECT_ATTRIBUTES.RootDirectory.get(memory, args.attributes) !== nullVa)
    return unsupported('NtCreateFile relative to a directory handle');
  const found = nt.io.devices.findByName(readUnicodeString(memory, name));
  if (found.status !== STATUS_SUCCESS) return found.status;
  const isExclusive = (DEVICE_OBJECT.Flags.get(memory, found.device) & DeviceFlag.Exclusive) !== 0;
  if (isExclusive && nt.io.files.isInUse(found.device)) return STATUS_ACCESS_DENIED;
  const isSynchronous = (args.options & (fileSynchronousIoAlert | fileSynchronousIoNonAlert)) !== 0;
  const file = nt.io.files.create(found.device, found.remainder, args.access, args.shareAccess, isSynchronous);
  const security = nt.pool.allocateKernel(0x18, 'IoSc');
  memory.writeU32(vaAdd(security, 0x10), args.access);
  memory.writeU32(vaAdd(security, 0x14), args.options);
  const { irp, device, block } = internalRequest(
    nt,
    file,
    IrpFlag.CreateOperation | IrpFlag.SynchronousApi,
    MajorFunction.Create,
    (location) => {
      IO_STACK_LOCATION.CreateSecurityContext.set(memory, location, security);
      // The disposition stands in the high byte; FILE_OPEN.
      IO_STACK_LOCATION.CreateOptions.set(memory, location, ((1 << 24) | args.options) >>> 0);
      IO_STACK_LOCATION.CreateFileAttributes.set(memory, location, args.fileAttributes);
      IO_STACK_LOCATION.CreateShareAccess.set(memory, location, args.shareAccess);
    },
  );
  const isKernelHandle =
    isKernelMode && (OBJECT_ATTRIBUTES.Attributes.get(memory, args.attributes) & objKernelHandle) !== 0;
  IRP.RequestorMode.set(memory, irp, isKernelMode ? 0 : 1);
  return forward(nt, device, irp, 'dispatched', [
    file,
    block,
    security,
    args.handleAt,
    args.access,
    args.iosb,
    isKernelHandle ? 1 : 0,
  ]);
}

/** The driver answered the create (its status is in RAX), or its event was set. */
function createDispatched(nt: Nt, call: ResumedCall): Outcome {
  if (call.status === STATUS_PENDING) return waitFor(eventOf(call.va(1)), 'completed', call.record);
  return finishCreate(nt, call, call.status);
}

function finishCreate(nt: Nt, call: ResumedCall, status: number): Outcome {
  const { memory, objects, pool } = nt;
  const [file, block, security, handleAt] = [call.va(0), call.va(1), call.va(2), call.va(3)];
  const information = IO_STATUS_BLOCK.Information.get(memory, block);
  pool.freeKernel(block);
  pool.freeKernel(security);
  if (!ntSuccess(status)) {
    objects.dereference(file);
    nt.io.files.free(file);
    return status;
  }
  const handle = objects.createHandle(file, call.word(4), call.word(6) !== 0, holderOf(nt, call));
  objects.dereference(file);
  memory.writeU64(handleAt, BigInt.asUintN(64, BigInt(handle)));
  const iosb = call.va(5);
  IO_STATUS_BLOCK.Status.set(memory, iosb, status);
  IO_STATUS_BLOCK.Information.set(memory, iosb, information);
  return status;
}

const createParameters = {
  FileHandle: PVOID,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: PVOID,
  IoStatusBlock: PVOID,
  AllocationSize: PVOID,
  FileAttributes: ULONG,
  ShareAccess: ULONG,
  CreateDisposition: ULONG,
  CreateOptions: ULONG,
  EaBuffer: PVOID,
  EaLength: ULONG,
} as const;

type CreateRoutineArguments = { readonly [K in 'FileHandle' | 'ObjectAttributes' | 'IoStatusBlock']: Va } & {
  readonly [K in 'DesiredAccess' | 'FileAttributes' | 'ShareAccess' | 'CreateOptions']: number;
};

function createFrom(nt: Nt, args: CreateRoutineArguments, isKernelMode: boolean): Outcome {
  return create(
    nt,
    {
      handleAt: args.FileHandle,
      access: args.DesiredAccess,
      attributes: args.ObjectAttributes,
      iosb: args.IoStatusBlock,
      fileAttributes: args.FileAttributes,
      shareAccess: args.ShareAccess,
      options: args.CreateOptions,
    },
    isKernelMode,
  );
}

const openParameters = {
  FileHandle: PVOID,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: PVOID,
  IoStatusBlock: PVOID,
  ShareAccess: ULONG,
  OpenOptions: ULONG,
} as const;

const createResume = {
  dispatched: createDispatched,
  completed: (nt: Nt, call: ResumedCall): Outcome =>
    finishCreate(nt, call, IO_STATUS_BLOCK.Status.get(nt.memory, call.va(1))),
};

// ---- read, write, device control

interface Transfer {
  readonly major: number;
  readonly file: Va;
  readonly event: Va;
  readonly apcContext: Va;
  readonly iosb: Va;
  readonly code: number;
  readonly input: Va;
  readonly inputBytes: number;
  readonly output: Va;
  readonly outputBytes: number;
  readonly byteOffset: bigint;
}

/** How a transfer's buffers reach the driver. */
type BufferMethod = 'buffered' | 'in-direct' | 'out-direct' | 'neither';
const controlMethods: readonly BufferMethod[] = ['buffered', 'in-direct', 'out-direct', 'neither'];

function methodOf(nt: Nt, device: Va, transfer: Transfer): BufferMethod {
  if (transfer.major === MajorFunction.DeviceControl || transfer.major === MajorFunction.InternalDeviceControl) {
    return controlMethods[transfer.code & 3] as BufferMethod;
  }
  const flags = DEVICE_OBJECT.Flags.get(nt.memory, device);
  if ((flags & DeviceFlag.BufferedIo) !== 0) return 'buffered';
  if ((flags & DeviceFlag.DirectIo) === 0) return 'neither';
  return transfer.major === MajorFunction.Read ? 'out-direct' : 'in-direct';
}

function transfer(nt: Nt, request: Transfer): Outcome {
  const { memory } = nt;
  const device = nt.io.devices.top(nt.io.files.device(request.file));
  const irp = nt.io.irps.allocateForRequest(DEVICE_OBJECT.StackSize.get(memory, device), {
    file: request.file,
    outputBytes: request.outputBytes,
  });
  IRP.RequestorMode.set(memory, irp, nt.previousMode);
  IRP.UserIosb.set(memory, irp, request.iosb);
  IRP.UserEvent.set(memory, irp, request.event);
  IRP.UserApcContext.set(memory, irp, request.apcContext);
  const location = nt.io.irps.nextLocation(irp);
  IO_STACK_LOCATION.MajorFunction.set(memory, location, request.major);
  IO_STACK_LOCATION.FileObject.set(memory, location, request.file);
  const status = attachBuffers(nt, irp, location, methodOf(nt, device, request), request);
  if (status !== STATUS_SUCCESS) {
    nt.io.irps.discard(irp);
    return status;
  }
  nt.objects.reference(request.file);
  return forward(nt, device, irp, 'dispatched', []);
}

function attachBuffers(nt: Nt, irp: Va, location: Va, method: BufferMethod, request: Transfer): number {
  const { memory } = nt;
  const isControl = request.major === MajorFunction.DeviceControl;
  if (isControl) {
    IO_STACK_LOCATION.OutputBufferLength.set(memory, location, request.outputBytes);
    IO_STACK_LOCATION.InputBufferLength.set(memory, location, request.inputBytes);
    IO_STACK_LOCATION.IoControlCode.set(memory, location, request.code);
  } else {
    IO_STACK_LOCATION.ReadWriteLength.set(
      memory,
      location,
      request.major === MajorFunction.Read ? request.outputBytes : request.inputBytes,
    );
    IO_STACK_LOCATION.ReadWriteByteOffset.set(memory, location, request.byteOffset);
  }
  if (method === 'neither') {
    if (isControl) IO_STACK_LOCATION.Type3InputBuffer.set(memory, location, request.input);
    IRP.UserBuffer.set(memory, irp, isControl || request.major === MajorFunction.Read ? request.output : request.input);
    return STATUS_SUCCESS;
  }
  if (!isAccessible(nt, request.input, request.inputBytes, Access.Read)) return STATUS_ACCESS_VIOLATION;
  if (method === 'buffered' || isControl) {
    const systemBytes = method === 'buffered' ? Math.max(request.inputBytes, request.outputBytes) : request.inputBytes;
    if (systemBytes > 0 && !attachSystemBuffer(nt, irp, systemBytes, request)) return STATUS_INSUFFICIENT_RESOURCES;
    if (method === 'buffered') {
      if (!isAccessible(nt, request.output, request.outputBytes, Access.Write)) return STATUS_ACCESS_VIOLATION;
      IRP.UserBuffer.set(memory, irp, request.output);
      if (request.outputBytes > 0)
        IRP.Flags.set(memory, irp, IRP.Flags.get(memory, irp) | IrpFlag.BufferedIo | IrpFlag.InputOperation);
      return STATUS_SUCCESS;
    }
  }
  const [buffer, bytes] =
    request.major === MajorFunction.Write ? [request.input, request.inputBytes] : [request.output, request.outputBytes];
  if (bytes === 0) return STATUS_SUCCESS;
  const mdl = nt.mdls.createLocked(buffer, bytes, method === 'out-direct');
  if (mdl === undefined) return STATUS_ACCESS_VIOLATION;
  IRP.MdlAddress.set(memory, irp, mdl);
  return STATUS_SUCCESS;
}

function isAccessible(nt: Nt, buffer: Va, bytes: number, access: Access): boolean {
  return bytes === 0 || nt.memory.isAccessible(buffer, bytes, access);
}

/** The system buffer holds the input; what lies behind it is garbage, as on Windows. */
function attachSystemBuffer(nt: Nt, irp: Va, bytes: number, request: Transfer): boolean {
  const buffer = nt.pool.allocateKernel(bytes, 'IoSb');
  nt.memory.fill(buffer, bytes, 0x81 + (nt.random.u32() % 0x7d));
  nt.memory.writeBytes(buffer, nt.memory.readBytes(request.input, request.inputBytes));
  IRP.SystemBuffer.set(nt.memory, irp, buffer);
  IRP.Flags.set(nt.memory, irp, IrpFlag.BufferedIo | IrpFlag.DeallocateBuffer);
  return true;
}

function withFile(nt: Nt, handle: Va, access: number, body: (file: Va) => Outcome): Outcome {
  const resolved = nt.objects.resolveHandle(handle, access, 'File', nt.previousMode !== 0);
  return resolved.entry === undefined ? resolved.status : body(resolved.entry.body);
}

/** Resolves the optional event handle; its object is signalled when the request completes. */
function eventOfHandle(nt: Nt, handle: Va): { readonly status: number; readonly event: Va } {
  if (handle === nullVa) return { status: STATUS_SUCCESS, event: nullVa };
  const resolved = nt.objects.resolveHandle(handle, 0, 'Event', nt.previousMode !== 0);
  if (resolved.entry !== undefined) nt.dispatcher.signal(resolved.entry.body, 0);
  return { status: resolved.status, event: resolved.entry?.body ?? nullVa };
}

const dispatched = { dispatched: (_nt: Nt, call: ResumedCall): Outcome => call.status };

const transferParameters = {
  FileHandle: HANDLE,
  Event: HANDLE,
  ApcRoutine: PVOID,
  ApcContext: PVOID,
  IoStatusBlock: PVOID,
} as const;
const fileReadData = 0x1;
const fileWriteData = 0x2;

type ReadWriteArguments = {
  readonly [K in 'FileHandle' | 'Event' | 'ApcContext' | 'IoStatusBlock' | 'Buffer' | 'ByteOffset']: Va;
} & {
  readonly Length: number;
};

function readWrite(nt: Nt, major: number, args: ReadWriteArguments): Outcome {
  const event = eventOfHandle(nt, args.Event);
  if (event.status !== STATUS_SUCCESS) return event.status;
  const isRead = major === MajorFunction.Read;
  const byteOffset = args.ByteOffset === nullVa ? 0n : nt.memory.readU64(args.ByteOffset);
  return withFile(nt, args.FileHandle, isRead ? fileReadData : fileWriteData, (file) =>
    transfer(nt, {
      major,
      file,
      event: event.event,
      apcContext: args.ApcContext,
      iosb: args.IoStatusBlock,
      code: 0,
      input: isRead ? nullVa : args.Buffer,
      inputBytes: isRead ? 0 : args.Length,
      output: isRead ? args.Buffer : nullVa,
      outputBytes: isRead ? args.Length : 0,
      byteOffset,
    }),
  );
}

/** Access that a control code asks for in its bits 15 and 14. */
function accessOfCode(code: number): number {
  const access = (code >>> 14) & 3;
  return ((access & 1) !== 0 ? fileReadData : 0) | ((access & 2) !== 0 ? fileWriteData : 0);
}

// ---- close

/** Closes a handle: IRP_MJ_CLEANUP with the last one, IRP_MJ_CLOSE with the last reference. */
function close(nt: Nt, handle: Va): Outcome {
  const isFile = nt.objects.get(nt.objects.handle(handle)?.body ?? nullVa)?.type === 'File';
  const closed = nt.objects.closeHandle(handle);
  if (closed.body === undefined) return closed.status;
  if (!isFile) {
    releaseObject(nt, closed.body);
    return STATUS_SUCCESS;
  }
  if (closed.wasLast !== true) return dereferenceFile(nt, closed.body);
  const { irp, device, block } = internalRequest(
    nt,
    closed.body,
    IrpFlag.CloseOperation | IrpFlag.SynchronousApi,
    MajorFunction.Cleanup,
    () => {},
  );
  return forward(nt, device, irp, 'cleanedUp', [closed.body, block]);
}

function cleanedUp(nt: Nt, call: ResumedCall): Outcome {
  if (call.status === STATUS_PENDING) return waitFor(eventOf(call.va(1)), 'cleanupCompleted', call.record);
  return cleanupCompleted(nt, call);
}

function cleanupCompleted(nt: Nt, call: ResumedCall): Outcome {
  nt.pool.freeKernel(call.va(1));
  return dereferenceFile(nt, call.va(0));
}

function dereferenceFile(nt: Nt, file: Va): Outcome {
  if (nt.objects.dereference(file) !== 0) return STATUS_SUCCESS;
  return callGuest(nt.entries.routineVa('IopDeleteFile'), [file], 'deleted', []);
}

const closeResume = { cleanedUp, cleanupCompleted, deleted: (): Outcome => STATUS_SUCCESS };

export const ioSystemServices = ntExports('ntoskrnl.exe', {
  NtCreateFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntcreatefile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: createParameters,
    returns: 'NTSTATUS',
    support: { partial: 'devices only; no directory handles, no extended attributes' },
    body: (nt, args) => createFrom(nt, args, nt.previousMode === 0),
    resume: createResume,
  }),
  ZwCreateFile: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwcreatefile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: createParameters,
    returns: 'NTSTATUS',
    support: { partial: 'devices only; no directory handles, no extended attributes' },
    body: (nt, args) => createFrom(nt, args, true),
    resume: createResume,
  }),
  NtOpenFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntopenfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: openParameters,
    returns: 'NTSTATUS',
    support: { partial: 'devices only; no directory handles' },
    body: (nt, args) =>
      createFrom(nt, { ...args, FileAttributes: 0, CreateOptions: args.OpenOptions }, nt.previousMode === 0),
    resume: createResume,
  }),
  ZwOpenFile: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwopenfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: openParameters,
    returns: 'NTSTATUS',
    support: { partial: 'devices only; no directory handles' },
    body: (nt, args) => createFrom(nt, { ...args, FileAttributes: 0, CreateOptions: args.OpenOptions }, true),
    resume: createResume,
  }),
  NtReadFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntreadfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { ...transferParameters, Buffer: PVOID, Length: ULONG, ByteOffset: PVOID, Key: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => readWrite(nt, MajorFunction.Read, args),
    resume: dispatched,
  }),
  NtWriteFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntwritefile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { ...transferParameters, Buffer: PVOID, Length: ULONG, ByteOffset: PVOID, Key: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => readWrite(nt, MajorFunction.Write, args),
    resume: dispatched,
  }),
  NtDeviceIoControlFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntdeviceiocontrolfile',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {
      ...transferParameters,
      IoControlCode: ULONG,
      InputBuffer: PVOID,
      InputBufferLength: ULONG,
      OutputBuffer: PVOID,
      OutputBufferLength: ULONG,
    },
    returns: 'NTSTATUS',
    body: (nt, args) => {
      if (args.ApcRoutine !== nullVa) return STATUS_INVALID_PARAMETER;
      const event = eventOfHandle(nt, args.Event);
      if (event.status !== STATUS_SUCCESS) return event.status;
      return withFile(nt, args.FileHandle, accessOfCode(args.IoControlCode), (file) =>
        transfer(nt, {
          major: MajorFunction.DeviceControl,
          file,
          event: event.event,
          apcContext: args.ApcContext,
          iosb: args.IoStatusBlock,
          code: args.IoControlCode,
          input: args.InputBuffer,
          inputBytes: args.InputBufferLength,
          output: args.OutputBuffer,
          outputBytes: args.OutputBufferLength,
          byteOffset: 0n,
        }),
      );
    },
    resume: dispatched,
  }),
  NtClose: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-ntclose',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Handle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) => close(nt, Handle),
    resume: closeResume,
  }),
  ZwClose: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwclose',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Handle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) => close(nt, Handle),
    resume: closeResume,
  }),
});

/** Cancels, one after the other, those of the IRPs that have not completed. */
function cancelNext(nt: Nt, irps: readonly number[]): Outcome {
  const rest = irps.slice();
  while (rest.length > 0) {
    const irp = rest.shift() as Va;
    if (nt.io.irps.isOwnRequest(irp)) return callGuest(nt.entries.routineVa('IoCancelIrp'), [irp], 'cancelled', rest);
  }
  return STATUS_SUCCESS;
}

export const ioServiceInternals = ntInternals({
  NtCancelIoFile: ntRoutine({
    doc: 'cancels the pending requests of a file: CancelIo of the Windows API',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { FileHandle: HANDLE, IoStatusBlock: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { FileHandle }) =>
      withFile(nt, FileHandle, 0, (file) =>
        cancelNext(
          nt,
          [...nt.io.irps.outstanding()].filter((request) => request.file === file).map(({ irp }) => irp),
        ),
      ),
    resume: { cancelled: (nt, call) => cancelNext(nt, call.record) },
  }),
  /** IRP_MJ_CLOSE for a file object without references, then its end. */
  IopDeleteFile: ntRoutine({
    doc: 'delete procedure of file objects',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { FileObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { FileObject }) => {
      const { irp, device, block } = internalRequest(
        nt,
        FileObject,
        IrpFlag.CloseOperation | IrpFlag.SynchronousApi,
        MajorFunction.Close,
        () => {},
      );
      return forward(nt, device, irp, 'dispatched', [FileObject, block]);
    },
    resume: {
      dispatched: (nt, call) =>
        call.status === STATUS_PENDING ? waitFor(eventOf(call.va(1)), 'completed', call.record) : closed(nt, call),
      completed: (nt, call) => closed(nt, call),
    },
  }),
  /** Sends IRP_MJ_CLOSE for the files whose last reference went at raised IRQL. */
  IopProcessDeferredDeletes: ntRoutine({
    doc: 'work of a system thread',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'VOID',
    body: (nt) => nextDeferred(nt),
    resume: { deleted: (nt) => nextDeferred(nt) },
  }),
});

function closed(nt: Nt, call: ResumedCall): Outcome {
  nt.pool.freeKernel(call.va(1));
  nt.io.files.free(call.va(0));
  return STATUS_SUCCESS;
}

function nextDeferred(nt: Nt): Outcome {
  const file = nt.io.files.takeDeferred();
  return file === undefined ? undefined : callGuest(nt.entries.routineVa('IopDeleteFile'), [file], 'deleted', []);
}
