/** NtCreateFile: a file object, IRP_MJ_CREATE, a handle. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { ResumedCall } from '../declare/call.ts';
import type { Outcome } from '../declare/outcome.ts';
import { ACCESS_MASK, PVOID, ULONG } from '../declare/parameter-types.ts';
import { userMode } from '../ke/apcs.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  ntSuccess,
  STATUS_ACCESS_DENIED,
  STATUS_ACCESS_VIOLATION,
  STATUS_NO_SUCH_DEVICE,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_PENDING,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import {
  DEVICE_OBJECT,
  DEVOBJ_EXTENSION,
  DeviceFlag,
  FILE_OBJECT,
  IO_STACK_LOCATION,
  IO_STATUS_BLOCK,
  IRP,
  IrpFlag,
  MajorFunction,
  OBJECT_ATTRIBUTES,
} from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

import { eventOf, forward, internalRequest, waitFor } from './internal-request.ts';
import { isAccessible } from './transfer.ts';

const fileSynchronousIoAlert = 0x10;
const fileSynchronousIoNonAlert = 0x20;
const objKernelHandle = 0x200;
const fileDeviceSecureOpen = 0x100;
const deleteAccess = 0x1_0000;

interface CreateArguments {
  readonly handleAt: Va;
  readonly access: number;
  readonly attributes: Va;
  readonly iosb: Va;
  readonly fileAttributes: number;
  readonly shareAccess: number;
  readonly disposition: number;
  readonly options: number;
  readonly ea: Va;
  readonly eaBytes: number;
}

interface Target {
  readonly status: number;
  readonly device: Va;
  /** What the device's driver is to find. */
  readonly remainder: string;
  /** File that the name is relative to; null if none. */
  readonly related: Va;
}

function targetOf(nt: Nt, attributes: Va, isKernelMode: boolean): Target {
  const nameAt = OBJECT_ATTRIBUTES.ObjectName.get(nt.memory, attributes);
  const name = nameAt === nullVa ? '' : readUnicodeString(nt.memory, nameAt);
  const root = OBJECT_ATTRIBUTES.RootDirectory.get(nt.memory, attributes);
  if (root === nullVa) return { ...nt.io.devices.findByName(name), related: nullVa };
  const refused = { device: nullVa, remainder: '', related: nullVa };
  const { status, entry } = nt.objects.resolveHandle(root, 0, undefined, !isKernelMode);
  if (entry === undefined) return { ...refused, status };
  const object = nt.objects.get(entry.body);
  if (object?.type === 'File') {
    return { status: STATUS_SUCCESS, device: nt.io.files.device(entry.body), remainder: name, related: entry.body };
  }
  if (object?.type !== 'Directory') return { ...refused, status: STATUS_OBJECT_TYPE_MISMATCH };
  return { ...nt.io.devices.findByName(`${object.name ?? ''}\\${name}`), related: nullVa };
}

/** Whether the pointers of a program lead where a program may read and write. */
function probes(nt: Nt, { handleAt, iosb, attributes }: CreateArguments): boolean {
  const { memory } = nt;
  if (!isAccessible(nt, userMode, handleAt, 8, Access.Write)) return false;
  if (!isAccessible(nt, userMode, iosb, IO_STATUS_BLOCK.sizeBytes, Access.Write)) return false;
  if (!isAccessible(nt, userMode, attributes, OBJECT_ATTRIBUTES.sizeBytes, Access.Read)) return false;
  const name = OBJECT_ATTRIBUTES.ObjectName.get(memory, attributes);
  if (name === nullVa) return true;
  if (!isAccessible(nt, userMode, name, UNICODE_STRING.sizeBytes, Access.Read)) return false;
  const [buffer, bytes] = [UNICODE_STRING.Buffer.get(memory, name), UNICODE_STRING.Length.get(memory, name)];
  return isAccessible(nt, userMode, buffer, bytes, Access.Read);
}

/** IopCheckDeviceAndDriver: what can't be opened (any more). */
function refusal(nt: Nt, device: Va): number {
  const { memory } = nt;
  const flags = DEVICE_OBJECT.Flags.get(memory, device);
  const extension = DEVICE_OBJECT.DeviceObjectExtension.get(memory, device);
  if ((flags & DeviceFlag.DeviceInitializing) !== 0) return STATUS_NO_SUCH_DEVICE;
  if (DEVOBJ_EXTENSION.ExtensionFlags.get(memory, extension) !== 0) return STATUS_NO_SUCH_DEVICE;
  return (flags & DeviceFlag.Exclusive) !== 0 && nt.io.files.isInUse(device) ? STATUS_ACCESS_DENIED : STATUS_SUCCESS;
}

function create(nt: Nt, args: CreateArguments, isKernelMode: boolean): Outcome {
  const { memory } = nt;
  if (!isKernelMode && !probes(nt, args)) return STATUS_ACCESS_VIOLATION;
  const found = targetOf(nt, args.attributes, isKernelMode);
  if (found.status !== STATUS_SUCCESS) return found.status;
  if (nt.previousMode === 1 && !isKernelMode && !mayOpen(nt, found.device, found.remainder, args.access)) {
    return STATUS_ACCESS_DENIED;
  }
  const refused = refusal(nt, found.device);
  if (refused !== STATUS_SUCCESS) return refused;
  const isSynchronous = (args.options & (fileSynchronousIoAlert | fileSynchronousIoNonAlert)) !== 0;
  const file = nt.io.files.create(found.device, found.remainder, args.access, args.shareAccess, isSynchronous);
  FILE_OBJECT.RelatedFileObject.set(memory, file, found.related);
  FILE_OBJECT.DeleteAccess.set(memory, file, (args.access & deleteAccess) === 0 ? 0 : 1);
  const security = nt.pool.allocateKernel(0x18, 'IoSc');
  memory.writeU32(vaAdd(security, 0x10), args.access);
  memory.writeU32(vaAdd(security, 0x14), args.options);
  const { irp, device, block } = internalRequest(
    nt,
    file,
    IrpFlag.CreateOperation | IrpFlag.SynchronousApi | IrpFlag.DeferIoCompletion,
    MajorFunction.Create,
    (location) => {
      IO_STACK_LOCATION.CreateSecurityContext.set(memory, location, security);
      // The disposition stands in the high byte.
      const packed = (args.disposition << 24) | (args.options & 0xff_ffff);
      IO_STACK_LOCATION.CreateOptions.set(memory, location, packed >>> 0);
      IO_STACK_LOCATION.CreateEaLength.set(memory, location, args.eaBytes);
      IO_STACK_LOCATION.CreateFileAttributes.set(memory, location, args.fileAttributes);
      IO_STACK_LOCATION.CreateShareAccess.set(memory, location, args.shareAccess);
    },
  );
  const isKernelHandle =
    isKernelMode && (OBJECT_ATTRIBUTES.Attributes.get(memory, args.attributes) & objKernelHandle) !== 0;
  IRP.RequestorMode.set(memory, irp, isKernelMode ? 0 : 1);
  if (args.eaBytes > 0) IRP.SystemBuffer.set(memory, irp, args.ea);
  return forward(nt, device, irp, 'dispatched', [
    file,
    block,
    security,
    args.handleAt,
    args.access,
    args.iosb,
    isKernelHandle ? 1 : 0,
    irp,
  ]);
}

/** Whether the device's descriptor lets the thread in. Names below a device are its driver's own, unless it says otherwise. */
function mayOpen(nt: Nt, device: Va, remainder: string, access: number): boolean {
  const isSecureOpen = (DEVICE_OBJECT.Characteristics.get(nt.memory, device) & fileDeviceSecureOpen) !== 0;
  return (remainder !== '' && !isSecureOpen) || nt.security.grants(device, access);
}

/** The driver answered the create (its status is in RAX), or its event was set. */
function createDispatched(nt: Nt, call: ResumedCall): Outcome {
  if (call.status === STATUS_PENDING) return waitFor(eventOf(call.va(1)), 'completed', call.record);
  const { status } = call;
  nt.io.irps.dispatched(call.va(7), status);
  return finishCreate(nt, call, status);
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

export const createParameters = {
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
} & { readonly CreateDisposition?: number; readonly EaBuffer?: Va; readonly EaLength?: number };

/** FILE_OPEN: what NtOpenFile does. */
const fileOpen = 1;

export function createFrom(nt: Nt, args: CreateRoutineArguments, isKernelMode: boolean): Outcome {
  return create(
    nt,
    {
      handleAt: args.FileHandle,
      access: args.DesiredAccess,
      attributes: args.ObjectAttributes,
      iosb: args.IoStatusBlock,
      fileAttributes: args.FileAttributes,
      shareAccess: args.ShareAccess,
      disposition: args.CreateDisposition ?? fileOpen,
      options: args.CreateOptions,
      ea: args.EaBuffer ?? nullVa,
      eaBytes: args.EaLength ?? 0,
    },
    isKernelMode,
  );
}

export const openParameters = {
  FileHandle: PVOID,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: PVOID,
  IoStatusBlock: PVOID,
  ShareAccess: ULONG,
  OpenOptions: ULONG,
} as const;

export const createResume = {
  dispatched: createDispatched,
  completed: (nt: Nt, call: ResumedCall): Outcome =>
    finishCreate(nt, call, IO_STATUS_BLOCK.Status.get(nt.memory, call.va(1))),
};
