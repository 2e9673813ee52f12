/** NtCreateFile: a file object, IRP_MJ_CREATE, a handle. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, PVOID, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_ACCESS_DENIED, STATUS_PENDING, STATUS_SUCCESS } from '../ntstatus.ts';
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

import { eventOf, forward, internalRequest, waitFor } from './internal-request.ts';

const fileSynchronousIoAlert = 0x10;
const fileSynchronousIoNonAlert = 0x20;
const objKernelHandle = 0x200;
const fileDeviceSecureOpen = 0x100;

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
  if (nt.previousMode === 1 && !isKernelMode && !mayOpen(nt, found.device, found.remainder, args.access)) {
    return STATUS_ACCESS_DENIED;
  }
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

/** Whether the device's descriptor lets the thread in. Names below a device are its driver's own, unless it says otherwise. */
function mayOpen(nt: Nt, device: Va, remainder: string, access: number): boolean {
  const isSecureOpen = (DEVICE_OBJECT.Characteristics.get(nt.memory, device) & fileDeviceSecureOpen) !== 0;
  return (remainder !== '' && !isSecureOpen) || nt.security.grants(device, access);
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
};

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
      options: args.CreateOptions,
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
