/** Finding devices and drivers, attaching by name, and what a driver keeps with the I/O manager. */

import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { chain } from '../declare/chain.ts';
import { anyIrql, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { ACCESS_MASK, PVOID, pointerTo, UCHAR, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  ntSuccess,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { referenceObject, releaseObject } from '../ob/references.ts';
import { DEVICE_OBJECT, DEVOBJ_EXTENSION, FILE_OBJECT, IO_STATUS_BLOCK, OBJECT_ATTRIBUTES } from '../structures/io.ts';

const pdevice = pointerTo('DEVICE_OBJECT');
const pname = pointerTo('UNICODE_STRING');
const pdriver = pointerTo('DRIVER_OBJECT');
const objKernelHandle = 0x200;
const fileNonDirectoryFile = 0x40;
const shareAll = 7;
/** WDM 6.0: Windows Vista and everything since. */
const wdmVersion = { major: 6, minor: 0 } as const;

// ---- IoGetDeviceObjectPointer, IoAttachDevice: open, reference the file object, close the handle.

/** Object attributes, status block and handle of an open that a routine does itself. */
const openBlock = {
  iosb: OBJECT_ATTRIBUTES.sizeBytes,
  handle: OBJECT_ATTRIBUTES.sizeBytes + IO_STATUS_BLOCK.sizeBytes,
  sizeBytes: OBJECT_ATTRIBUTES.sizeBytes + IO_STATUS_BLOCK.sizeBytes + 8,
} as const;

/** Opens a device by name; the record at `opened` is [block, …record]. */
function open(nt: Nt, name: Va, access: number, record: readonly number[]): Outcome {
  const { memory } = nt;
  const block = nt.pool.allocateKernel(openBlock.sizeBytes, 'IoOp');
  OBJECT_ATTRIBUTES.Length.set(memory, block, OBJECT_ATTRIBUTES.sizeBytes);
  OBJECT_ATTRIBUTES.ObjectName.set(memory, block, name);
  OBJECT_ATTRIBUTES.Attributes.set(memory, block, objKernelHandle);
  const args = [
    vaAdd(block, openBlock.handle),
    access,
    block,
    vaAdd(block, openBlock.iosb),
    shareAll,
    fileNonDirectoryFile,
  ];
  return callGuest(nt.entries.routineVa('ZwOpenFile'), args, 'opened', [block, ...record]);
}

/** The file object, referenced, and the handle that is still to be closed; undefined if the open failed. */
function openedFile(nt: Nt, call: ResumedCall): { readonly file: Va; readonly handle: number } | undefined {
  const block = call.va(0);
  const handle = nt.memory.readI64AsNumber(vaAdd(block, openBlock.handle));
  nt.pool.freeKernel(block);
  const file = ntSuccess(call.status) ? nt.objects.handle(handle)?.body : undefined;
  if (file === undefined) return undefined;
  referenceObject(nt, file);
  return { file, handle };
}

const close = (nt: Nt, handle: number, record: readonly number[]): Outcome =>
  callGuest(nt.entries.routineVa('ZwClose'), [handle], 'closed', record);

/** Record: [block, fileAt, deviceAt]. */
const getPointerResume = {
  opened: (nt: Nt, call: ResumedCall): Outcome => {
    const opened = openedFile(nt, call);
    if (opened === undefined) return call.status;
    nt.events.emit('referenceGiven', { object: opened.file, image: call.image });
    nt.memory.writeVa(call.va(1), opened.file);
    nt.memory.writeVa(call.va(2), nt.io.devices.top(nt.io.files.device(opened.file)));
    return close(nt, opened.handle, []);
  },
  closed: (): Outcome => STATUS_SUCCESS,
};

/** Record: [block, source, attachedAt], then [file, status]. */
const attachResume = {
  opened: (nt: Nt, call: ResumedCall): Outcome => {
    const opened = openedFile(nt, call);
    if (opened === undefined) return call.status;
    const below = nt.io.devices.attach(call.va(1), nt.io.files.device(opened.file));
    nt.memory.writeVa(call.va(2), below);
    return close(nt, opened.handle, [opened.file, below === nullVa ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS]);
  },
  closed: (nt: Nt, call: ResumedCall): Outcome => {
    const { file } = releaseObject(nt, call.va(0));
    if (file === undefined) return call.word(1);
    return callGuest(nt.entries.routineVa('IopDeleteFile'), [file], 'deleted', [call.word(1)]);
  },
  deleted: (_nt: Nt, call: ResumedCall): Outcome => call.word(0),
};

/** With a reference, which the caller drops. */
function referenced(nt: Nt, device: Va): Va {
  if (device !== nullVa) referenceObject(nt, device);
  return device;
}

const attachedTo = (nt: Nt, device: Va): Va =>
  DEVOBJ_EXTENSION.AttachedTo.get(nt.memory, DEVICE_OBJECT.DeviceObjectExtension.get(nt.memory, device));

function lowest(nt: Nt, device: Va): Va {
  let last = device;
  for (const at of chain(device, nullVa, (above) => attachedTo(nt, above), 'a stack of devices')) last = at;
  return last;
}

function shutdownRoutine(doc: string, isRegistered: boolean, isLast = false) {
  return ntRoutine({
    doc,
    irql: passiveOnly,
    params: { DeviceObject: pdevice },
    returns: isRegistered ? 'NTSTATUS' : 'VOID',
    body: (nt, { DeviceObject }): Outcome => {
      if (!isRegistered) return nt.io.registrations.removeShutdown(DeviceObject);
      nt.io.registrations.addShutdown(DeviceObject, isLast);
      return STATUS_SUCCESS;
    },
  });
}

export const ioDeviceStacks = ntExports('ntoskrnl.exe', {
  IoGetDeviceObjectPointer: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdeviceobjectpointer',
    irql: passiveOnly,
    params: { ObjectName: pname, DesiredAccess: ACCESS_MASK, FileObject: PVOID, DeviceObject: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => open(nt, args.ObjectName, args.DesiredAccess, [args.FileObject, args.DeviceObject]),
    resume: getPointerResume,
  }),
  /** Opens for attributes only, which does not open the stack for I/O. */
  IoAttachDevice: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioattachdevice',
    irql: passiveOnly,
    params: { SourceDevice: pdevice, TargetDevice: pname, AttachedDevice: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => open(nt, args.TargetDevice, 0x80, [args.SourceDevice, args.AttachedDevice]),
    resume: attachResume,
  }),
  IoGetAttachedDevice: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogetattacheddevice',
    irql: upToDispatch,
    params: { DeviceObject: pdevice },
    returns: 'PVOID',
    body: (nt, { DeviceObject }) => nt.io.devices.top(DeviceObject),
  }),
  IoGetAttachedDeviceReference: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetattacheddevicereference',
    irql: upToDispatch,
    params: { DeviceObject: pdevice },
    returns: 'PVOID',
    body: (nt, { DeviceObject }) => referenced(nt, nt.io.devices.top(DeviceObject)),
  }),
  IoGetLowerDeviceObject: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogetlowerdeviceobject',
    irql: upToDispatch,
    params: { DeviceObject: pdevice },
    returns: 'PVOID',
    body: (nt, { DeviceObject }) => referenced(nt, attachedTo(nt, DeviceObject)),
  }),
  IoGetDeviceAttachmentBaseRef: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-iogetdeviceattachmentbaseref',
    irql: upToDispatch,
    params: { DeviceObject: pdevice },
    returns: 'PVOID',
    body: (nt, { DeviceObject }) => referenced(nt, lowest(nt, DeviceObject)),
  }),
  IoGetRelatedDeviceObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetrelateddeviceobject',
    irql: upToDispatch,
    params: { FileObject: pointerTo('FILE_OBJECT') },
    returns: 'PVOID',
    body: (nt, { FileObject }) => nt.io.devices.top(FILE_OBJECT.DeviceObject.get(nt.memory, FileObject)),
  }),
  IoIsWdmVersionAvailable: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioiswdmversionavailable',
    irql: anyIrql,
    params: { MajorVersion: UCHAR, MinorVersion: UCHAR },
    returns: 'BOOLEAN',
    body: (_nt, { MajorVersion, MinorVersion }) =>
      MajorVersion < wdmVersion.major || (MajorVersion === wdmVersion.major && MinorVersion <= wdmVersion.minor),
  }),
  IoAllocateDriverObjectExtension: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioallocatedriverobjectextension',
    irql: upToDispatch,
    params: {
      DriverObject: pdriver,
      ClientIdentificationAddress: PVOID,
      DriverObjectExtensionSize: ULONG,
      Extension: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args) => {
      nt.memory.writeVa(args.Extension, nullVa);
      const { DriverObject: driver, ClientIdentificationAddress: client } = args;
      if (nt.io.registrations.extension(driver, client) !== undefined) return STATUS_OBJECT_NAME_COLLISION;
      nt.memory.writeVa(
        args.Extension,
        nt.io.registrations.addExtension(driver, client, args.DriverObjectExtensionSize),
      );
      return STATUS_SUCCESS;
    },
  }),
  IoGetDriverObjectExtension: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdriverobjectextension',
    irql: upToDispatch,
    params: { DriverObject: pdriver, ClientIdentificationAddress: PVOID },
    returns: 'PVOID',
    body: (nt, args) => nt.io.registrations.extension(args.DriverObject, args.ClientIdentificationAddress) ?? nullVa,
  }),
  IoRegisterShutdownNotification: shutdownRoutine('wdm.h; nf-wdm-ioregistershutdownnotification', true),
  IoRegisterLastChanceShutdownNotification: shutdownRoutine(
    'wdm.h; nf-wdm-ioregisterlastchanceshutdownnotification',
    true,
    true,
  ),
  IoUnregisterShutdownNotification: shutdownRoutine('wdm.h; nf-wdm-iounregistershutdownnotification', false),
  IoGetDeviceNumaNode: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdevicenumanode',
    irql: passiveOnly,
    params: { Pdo: pdevice, NodeNumber: pointerTo('USHORT') },
    returns: 'NTSTATUS',
    body: (nt, { Pdo, NodeNumber }) => {
      if (nt.io.devices.get(Pdo) === undefined) return STATUS_INVALID_PARAMETER;
      // A machine without nodes is one node.
      nt.memory.writeU16(NodeNumber, 0);
      return STATUS_SUCCESS;
    },
  }),
  IoAllocateErrorLogEntry: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioallocateerrorlogentry',
    irql: upToDispatch,
    params: { IoObject: PVOID, EntrySize: UCHAR },
    returns: 'PVOID',
    body: (nt, { IoObject, EntrySize }, call) =>
      nt.io.registrations.allocateErrorLogEntry(IoObject, EntrySize, holderOf(nt, call)),
  }),
  IoWriteErrorLogEntry: ntRoutine({
    doc: 'wdm.h; nf-wdm-iowriteerrorlogentry',
    irql: upToDispatch,
    params: { ElEntry: PVOID },
    returns: 'VOID',
    body: (nt, { ElEntry }) => nt.io.registrations.finishErrorLogEntry(ElEntry, true),
  }),
  IoFreeErrorLogEntry: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-iofreeerrorlogentry',
    irql: upToDispatch,
    params: { ElEntry: PVOID },
    returns: 'VOID',
    body: (nt, { ElEntry }) => nt.io.registrations.finishErrorLogEntry(ElEntry, false),
  }),
});
