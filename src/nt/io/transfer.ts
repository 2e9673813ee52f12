/** Reads, writes and device control requests: how their buffers reach the driver. */
import { nullVa, type Va } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { ResumedCall } from '../declare/call.ts';
import type { Outcome } from '../declare/outcome.ts';
import { HANDLE, PVOID } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_VIOLATION,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_PENDING,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { probeStatus } from '../rtl/probe.ts';
import {
  DEVICE_OBJECT,
  DeviceFlag,
  FILE_OBJECT,
  FileFlag,
  IO_STACK_LOCATION,
  IO_STATUS_BLOCK,
  IRP,
  IrpFlag,
  MajorFunction,
} from '../structures/io.ts';
import { forward, waitFor } from './internal-request.ts';

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
  /** KernelMode (0) or UserMode (1): whose buffers they are. */
  readonly mode: number;
}

/** How a transfer's buffers reach the driver. */
type BufferMethod = 'buffered' | 'in-direct' | 'out-direct' | 'neither';
const controlMethods: readonly BufferMethod[] = ['buffered', 'in-direct', 'out-direct', 'neither'];

/** Requests whose buffers their control code describes. */
function isControlCode(major: number): boolean {
  return (
    major === MajorFunction.DeviceControl ||
    major === MajorFunction.InternalDeviceControl ||
    major === MajorFunction.FileSystemControl
  );
}

function methodOf(nt: Nt, device: Va, transfer: Transfer): BufferMethod {
  if (isControlCode(transfer.major)) {
    return controlMethods[transfer.code & 3] as BufferMethod;
  }
  const flags = DEVICE_OBJECT.Flags.get(nt.memory, device);
  if ((flags & DeviceFlag.BufferedIo) !== 0) return 'buffered';
  if ((flags & DeviceFlag.DirectIo) === 0) return 'neither';
  return transfer.major === MajorFunction.Read ? 'out-direct' : 'in-direct';
}

/**
 * Sends a request. Pointers of a program are checked as NtDeviceIoControlFile and its relatives do: the status block
 * always, buffers unless the driver gets them as they are.
 */
export function transfer(nt: Nt, given: Transfer): Outcome {
  const { memory } = nt;
  if (!isAccessible(nt, given.mode, given.iosb, IO_STATUS_BLOCK.sizeBytes, Access.Write))
    return STATUS_ACCESS_VIOLATION;
  const device = nt.io.devices.top(nt.io.files.device(given.file));
  const method = methodOf(nt, device, given);
  const request = withoutNullBuffers(method, given);
  const irp = nt.io.irps.allocateForRequest(DEVICE_OBJECT.StackSize.get(memory, device), {
    file: request.file,
    outputBytes: request.outputBytes,
  });
  IRP.RequestorMode.set(memory, irp, request.mode);
  IRP.UserIosb.set(memory, irp, request.iosb);
  IRP.UserEvent.set(memory, irp, request.event);
  IRP.UserApcContext.set(memory, irp, request.apcContext);
  const location = nt.io.irps.nextLocation(irp);
  IO_STACK_LOCATION.MajorFunction.set(memory, location, request.major);
  IO_STACK_LOCATION.FileObject.set(memory, location, request.file);
  const status = attachBuffers(nt, irp, location, method, request);
  if (status !== STATUS_SUCCESS) {
    nt.io.irps.discard(irp);
    return status;
  }
  // What a control request completes goes by an APC, whatever its dispatch routine returns.
  if (request.major === MajorFunction.Read || request.major === MajorFunction.Write) {
    IRP.Flags.set(memory, irp, IRP.Flags.get(memory, irp) | IrpFlag.DeferIoCompletion);
  }
  nt.io.irps.holdObjects(irp, request.event);
  nt.dispatcher.signal(FILE_OBJECT.Event.at(request.file), 0);
  const isSynchronous = isSynchronousFile(nt, request.file);
  // Whoever waits for the request keeps its file.
  if (isSynchronous) nt.objects.reference(request.file);
  return forward(nt, device, irp, 'dispatched', isSynchronous ? [irp, request.file] : [irp]);
}

function attachBuffers(nt: Nt, irp: Va, location: Va, method: BufferMethod, request: Transfer): number {
  const { memory } = nt;
  const isControl = isControlCode(request.major);
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
  if (!isAccessible(nt, request.mode, request.input, request.inputBytes, Access.Read)) return STATUS_ACCESS_VIOLATION;
  if (method === 'buffered' || isControl) {
    const systemBytes = method === 'buffered' ? Math.max(request.inputBytes, request.outputBytes) : request.inputBytes;
    if (systemBytes > 0 && !attachSystemBuffer(nt, irp, systemBytes, request)) return STATUS_INSUFFICIENT_RESOURCES;
    if (method === 'buffered') {
      if (!isAccessible(nt, request.mode, request.output, request.outputBytes, Access.Write))
        return STATUS_ACCESS_VIOLATION;
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

/** A program's null pointer is an empty buffer of a device control request, whatever length came with it. */
function withoutNullBuffers(method: BufferMethod, request: Transfer): Transfer {
  const isControl = isControlCode(request.major);
  if (request.mode === 0 || !isControl || method === 'neither') return request;
  return {
    ...request,
    inputBytes: request.input === nullVa ? 0 : request.inputBytes,
    outputBytes: request.output === nullVa && method === 'buffered' ? 0 : request.outputBytes,
  };
}

/** Whether the requesting mode may access the buffer. Pages that a program may only read it can't have written to. */
export function isAccessible(nt: Nt, mode: number, buffer: Va, bytes: number, access: Access): boolean {
  if (bytes === 0) return true;
  if (mode === 1 && probeStatus(buffer, bytes, 1) !== undefined) return false;
  return nt.memory.isAccessible(buffer, bytes, access);
}

/** The system buffer holds the input; what lies behind it is garbage, as on Windows. */
function attachSystemBuffer(nt: Nt, irp: Va, bytes: number, request: Transfer): boolean {
  const buffer = nt.pool.allocateKernel(bytes, 'IoSb', 'system-buffer');
  nt.memory.fill(buffer, bytes, 0x81 + (nt.random.u32() % 0x7d));
  nt.memory.writeBytes(buffer, nt.memory.readBytes(request.input, request.inputBytes));
  IRP.SystemBuffer.set(nt.memory, irp, buffer);
  IRP.Flags.set(nt.memory, irp, IrpFlag.BufferedIo | IrpFlag.DeallocateBuffer);
  return true;
}

export function isSynchronousFile(nt: Nt, file: Va): boolean {
  return (FILE_OBJECT.Flags.get(nt.memory, file) & FileFlag.SynchronousIo) !== 0;
}

export function withFile(
  nt: Nt,
  handle: Va,
  access: number,
  body: (file: Va) => Outcome,
  mode: number = nt.previousMode,
): Outcome {
  const resolved = nt.objects.resolveHandle(handle, access, 'File', mode !== 0);
  return resolved.entry === undefined ? resolved.status : body(resolved.entry.body);
}

/** Resolves the optional event handle; its object is signalled when the request completes. */
export function eventOfHandle(
  nt: Nt,
  handle: Va,
  mode: number = nt.previousMode,
): { readonly status: number; readonly event: Va } {
  if (handle === nullVa) return { status: STATUS_SUCCESS, event: nullVa };
  const resolved = nt.objects.resolveHandle(handle, 0, 'Event', mode !== 0);
  if (resolved.entry !== undefined) nt.dispatcher.signal(resolved.entry.body, 0);
  return { status: resolved.status, event: resolved.entry?.body ?? nullVa };
}

/** The driver has the request, or has answered it. A file that is open for synchronous I/O is waited for. Record: [IRP], and [file] of such. */
function driverReturned(nt: Nt, call: ResumedCall): Outcome {
  const { status } = call;
  nt.io.irps.dispatched(call.va(0), status);
  const file = call.record[1] as Va | undefined;
  if (file === undefined) return status;
  if (status === STATUS_PENDING) return waitFor(FILE_OBJECT.Event.at(file), 'signalled', call.record);
  nt.io.files.dereferenceLater(file);
  return status;
}

export const dispatched = {
  dispatched: driverReturned,
  signalled: (nt: Nt, call: ResumedCall): Outcome => {
    const status = FILE_OBJECT.FinalStatus.get(nt.memory, call.va(1));
    nt.io.files.dereferenceLater(call.va(1));
    return status;
  },
};

export const transferParameters = {
  FileHandle: HANDLE,
  Event: HANDLE,
  ApcRoutine: PVOID,
  ApcContext: PVOID,
  IoStatusBlock: PVOID,
} as const;
/** FILE_USE_FILE_POINTER_POSITION */
const useFilePosition = -2n;
const fileReadData = 0x1;
const fileWriteData = 0x2;

export type ReadWriteArguments = {
  readonly [K in 'FileHandle' | 'Event' | 'ApcContext' | 'IoStatusBlock' | 'Buffer' | 'ByteOffset']: Va;
} & {
  readonly Length: number;
};

/** Where a request begins: as asked, or at the position of a file that is open for synchronous I/O. */
function offsetOf(nt: Nt, file: Va, at: Va): bigint | undefined {
  const asked = at === nullVa ? useFilePosition : BigInt.asIntN(64, nt.memory.readU64(at));
  if (asked !== useFilePosition) return BigInt.asUintN(64, asked);
  return isSynchronousFile(nt, file) ? FILE_OBJECT.CurrentByteOffset.get(nt.memory, file) : undefined;
}

export function readWrite(nt: Nt, major: number, args: ReadWriteArguments, mode: number = nt.previousMode): Outcome {
  const event = eventOfHandle(nt, args.Event, mode);
  if (event.status !== STATUS_SUCCESS) return event.status;
  const isRead = major === MajorFunction.Read;
  const body = (file: Va): Outcome => {
    const byteOffset = offsetOf(nt, file, args.ByteOffset);
    if (byteOffset === undefined) return STATUS_INVALID_PARAMETER;
    return transfer(nt, {
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
      mode,
    });
  };
  return withFile(nt, args.FileHandle, isRead ? fileReadData : fileWriteData, body, mode);
}

/** Access that a control code asks for in its bits 15 and 14. */
export function accessOfCode(code: number): number {
  const access = (code >>> 14) & 3;
  return ((access & 1) !== 0 ? fileReadData : 0) | ((access & 2) !== 0 ? fileWriteData : 0);
}
