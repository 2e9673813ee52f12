/** The kernel's own forms of the file services: ZwReadFile and so on, which take kernel addresses whoever calls. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { networkOpen } from '../fs/information.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND, STATUS_SUCCESS } from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { IO_STATUS_BLOCK, MajorFunction, OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { control, controlParameters } from './control-request.ts';
import { createFrom, createParameters, createResume } from './create-file.ts';
import { dispatched, readWrite, transferParameters } from './transfer.ts';

const readWriteParameters = {
  ...transferParameters,
  Buffer: PVOID,
  Length: ULONG,
  ByteOffset: PVOID,
  Key: PVOID,
} as const;

const transferRoutine = (doc: string, major: number) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: readWriteParameters,
    returns: 'NTSTATUS',
    support: { partial: 'no APC routine' },
    body: (nt, args) =>
      args.ApcRoutine === nullVa ? readWrite(nt, major, args, 0) : unsupported('a request with an APC routine'),
    resume: dispatched,
  });

const controlRoutine = (doc: string, major: number, mode: (nt: Nt) => number) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: controlParameters,
    returns: 'NTSTATUS',
    support: { partial: 'no APC routine' },
    body: (nt, args) =>
      args.ApcRoutine === nullVa ? control(nt, major, args, mode(nt)) : unsupported('a request with an APC routine'),
    resume: dispatched,
  });

/** IO_NO_PARAMETER_CHECKING */
const noParameterChecking = 0x100;

const ioCreateParameters = {
  ...createParameters,
  CreateFileType: ULONG,
  InternalParameters: PVOID,
  Options: ULONG,
} as const;
const createPartially = { partial: 'named pipes and mailslots' } as const;

type IoCreateArguments = Parameters<typeof createFrom>[1] & {
  readonly CreateFileType: number;
  readonly Options: number;
};

function ioCreate(nt: Nt, args: IoCreateArguments): Outcome {
  if (args.CreateFileType !== 0) return unsupported('IoCreateFile for a named pipe or a mailslot');
  return createFrom(nt, args, nt.previousMode === 0 || (args.Options & noParameterChecking) !== 0);
}

/** IO_DRIVER_CREATE_CONTEXT: Size, ExtraCreateParameter, DeviceObjectHint, TxnParameters. */
const contextOffsets = [8, 16, 24] as const;

// ---- ZwDeleteFile: open for deletion, close.

const block = { iosb: 0, handle: IO_STATUS_BLOCK.sizeBytes, sizeBytes: IO_STATUS_BLOCK.sizeBytes + 8 } as const;
const deleteAccess = 0x1_0000;
const shareAll = 7;
const deleteOnClose = 0x1000;

function deleteFile(nt: Nt, attributes: Va): Outcome {
  const at = nt.pool.allocateKernel(block.sizeBytes, 'IoOp');
  const args = [vaAdd(at, block.handle), deleteAccess, attributes, at, shareAll, deleteOnClose];
  return callGuest(nt.entries.routineVa('ZwOpenFile'), args, 'opened', [at]);
}

const deleteResume = {
  opened: (nt: Nt, call: ResumedCall): Outcome => {
    const handle = nt.memory.readI64AsNumber(vaAdd(call.va(0), block.handle));
    nt.pool.freeKernel(call.va(0));
    return ntSuccess(call.status) ? callGuest(nt.entries.routineVa('ZwClose'), [handle], 'closed', []) : call.status;
  },
  closed: (_nt: Nt, call: ResumedCall): Outcome => call.status,
};

/** Times, sizes and attributes by name, without an open; for the volume only. */
function queryFullAttributes(nt: Nt, attributes: Va, at: Va): Outcome {
  const { memory, fileSystem } = nt;
  if (OBJECT_ATTRIBUTES.RootDirectory.get(memory, attributes) !== nullVa) {
    return unsupported('ZwQueryFullAttributesFile relative to a directory handle');
  }
  const found = nt.io.devices.findByName(
    readUnicodeString(memory, OBJECT_ATTRIBUTES.ObjectName.get(memory, attributes)),
  );
  if (found.status !== STATUS_SUCCESS) return found.status;
  if (found.device !== fileSystem.device || found.remainder === '') {
    return unsupported('ZwQueryFullAttributesFile of a file of a driver');
  }
  const parts = found.remainder.split('\\').filter((part) => part !== '');
  const node = fileSystem.volume.find(parts);
  if (node === undefined) {
    const parent = fileSystem.volume.find(parts.slice(0, -1));
    return parent?.isDirectory === true ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_OBJECT_PATH_NOT_FOUND;
  }
  memory.writeBytes(at, networkOpen(node));
  return STATUS_SUCCESS;
}

export const ioFileServices = ntExports('ntoskrnl.exe', {
  ZwReadFile: transferRoutine('wdm.h; nf-wdm-zwreadfile', MajorFunction.Read),
  ZwWriteFile: transferRoutine('wdm.h; nf-wdm-zwwritefile', MajorFunction.Write),
  ZwDeviceIoControlFile: controlRoutine(
    'ntifs.h; nf-ntifs-zwdeviceiocontrolfile',
    MajorFunction.DeviceControl,
    () => 0,
  ),
  ZwFsControlFile: controlRoutine('ntifs.h; nf-ntifs-zwfscontrolfile', MajorFunction.FileSystemControl, () => 0),
  NtFsControlFile: controlRoutine(
    'ntifs.h; nf-ntifs-ntfscontrolfile',
    MajorFunction.FileSystemControl,
    (nt) => nt.previousMode,
  ),
  IoCreateFile: ntRoutine({
    doc: 'wdm.h; nf-wdm-iocreatefile',
    irql: passiveOnly,
    params: ioCreateParameters,
    returns: 'NTSTATUS',
    support: createPartially,
    body: ioCreate,
    resume: createResume,
  }),
  IoCreateFileEx: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-iocreatefileex',
    irql: passiveOnly,
    params: { ...ioCreateParameters, DriverContext: PVOID },
    returns: 'NTSTATUS',
    support: createPartially,
    body: (nt, args) => {
      const { DriverContext: context } = args;
      const says = (offset: number): boolean => nt.memory.readVa(vaAdd(context, offset)) !== nullVa;
      if (context !== nullVa && contextOffsets.some(says)) return unsupported('IoCreateFileEx with a driver context');
      return ioCreate(nt, args);
    },
    resume: createResume,
  }),
  ZwDeleteFile: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-zwdeletefile',
    irql: passiveOnly,
    params: { ObjectAttributes: pointerTo('OBJECT_ATTRIBUTES') },
    returns: 'NTSTATUS',
    body: (nt, { ObjectAttributes }) => deleteFile(nt, ObjectAttributes),
    resume: deleteResume,
  }),
  ZwQueryFullAttributesFile: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwqueryfullattributesfile',
    irql: passiveOnly,
    params: { ObjectAttributes: pointerTo('OBJECT_ATTRIBUTES'), FileInformation: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'absolute names of the volume C:' },
    body: (nt, { ObjectAttributes, FileInformation }) => queryFullAttributes(nt, ObjectAttributes, FileInformation),
  }),
});
