/** References to objects, and handles, as drivers hold them. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { passiveOnly, upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { type DataDeclaration, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { ACCESS_MASK, HANDLE, KPROCESSOR_MODE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_DENIED,
  STATUS_INVALID_HANDLE,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { referenceObject, releaseObject, releaseObjectLater } from './references.ts';

/** NtCurrentProcess() and NtCurrentThread() */
const currentProcessHandle = -1;
const currentThreadHandle = -2;
const allAccess = 0x1f_ffff;
const objKernelHandle = 0x200;
const pobjectType = pointerTo('OBJECT_TYPE');

interface Resolved {
  readonly status: number;
  readonly body: Va;
  readonly grantedAccess: number;
}

function resolve(nt: Nt, handle: Va, access: number, type: Va, mode: number): Resolved {
  const refuse = (status: number): Resolved => ({ status, body: nullVa, grantedAccess: 0 });
  const { body, grantedAccess } = entryOf(nt, handle, mode);
  if (body === nullVa) return refuse(STATUS_INVALID_HANDLE);
  if (type !== nullVa && !nt.objects.isOfType(body, type)) return refuse(STATUS_OBJECT_TYPE_MISMATCH);
  if (mode !== 0 && (access & ~grantedAccess) !== 0) return refuse(STATUS_ACCESS_DENIED);
  return { status: STATUS_SUCCESS, body, grantedAccess };
}

function entryOf(nt: Nt, handle: Va, mode: number): { readonly body: Va; readonly grantedAccess: number } {
  const thread = nt.scheduler.currentThread;
  if (handle === currentProcessHandle) return { body: thread.process, grantedAccess: allAccess };
  if (handle === currentThreadHandle) return { body: thread.kthread, grantedAccess: allAccess };
  const entry = nt.objects.handle(handle);
  const isUsable = entry !== undefined && !(entry.isKernelHandle && mode !== 0);
  return isUsable ? entry : { body: nullVa, grantedAccess: 0 };
}

interface ByHandle {
  readonly Handle: Va;
  readonly DesiredAccess: number;
  readonly ObjectType: Va;
  readonly AccessMode: number;
  readonly Object: Va;
  readonly HandleInformation: Va;
}

function referenceByHandle(nt: Nt, args: ByHandle): number {
  const { memory } = nt;
  const { status, body, grantedAccess } = resolve(
    nt,
    args.Handle,
    args.DesiredAccess,
    args.ObjectType,
    args.AccessMode,
  );
  memory.writeVa(args.Object, body);
  if (status !== STATUS_SUCCESS) return status;
  referenceObject(nt, body);
  if (args.HandleInformation !== nullVa) {
    memory.writeU32(args.HandleInformation, 0);
    memory.writeU32(vaAdd(args.HandleInformation, 4), grantedAccess);
  }
  return STATUS_SUCCESS;
}

/** Drops a reference; the driver of a file object is told when it was the last. */
function dereference(nt: Nt, body: Va): Outcome {
  const { count, file } = releaseObject(nt, body);
  return file === undefined ? count : callGuest(nt.entries.routineVa('IopDeleteFile'), [file], 'closed', []);
}

const closed = { closed: (): Outcome => 0 };

/** Type checks of the forms that have a pointer already; a NULL type is allowed in kernel mode. */
function checkType(nt: Nt, body: Va, type: Va, mode: number): number {
  if (type === nullVa && mode === 0) return STATUS_SUCCESS;
  return nt.objects.isOfType(body, type) ? STATUS_SUCCESS : STATUS_OBJECT_TYPE_MISMATCH;
}

const byHandle = {
  Handle: HANDLE,
  DesiredAccess: ACCESS_MASK,
  ObjectType: pobjectType,
  AccessMode: KPROCESSOR_MODE,
} as const;
const byPointer = {
  Object: PVOID,
  DesiredAccess: ACCESS_MASK,
  ObjectType: pobjectType,
  AccessMode: KPROCESSOR_MODE,
} as const;

function referenceByPointer(nt: Nt, body: Va, type: Va, mode: number): number {
  const status = checkType(nt, body, type, mode);
  if (status === STATUS_SUCCESS) referenceObject(nt, body);
  return status;
}

/** A POBJECT_TYPE: the pointer that drivers dereference. */
const typePointer = (type: string): DataDeclaration => ({
  doc: `POBJECT_TYPE of ${type} objects`,
  sizeBytes: 8,
  initialise: (nt, va) => nt.memory.writeVa(va, nt.objects.typeObject(type)),
});

export const obObjects = ntExports(
  'ntoskrnl.exe',
  {
    ObReferenceObjectByHandle: ntRoutine({
      doc: 'wdm.h; nf-wdm-obreferenceobjectbyhandle',
      irql: passiveOnly,
      params: { ...byHandle, Object: PVOID, HandleInformation: PVOID },
      returns: 'NTSTATUS',
      body: (nt, args) => referenceByHandle(nt, args),
    }),
    ObReferenceObjectByHandleWithTag: ntRoutine({
      doc: 'wdm.h; nf-wdm-obreferenceobjectbyhandlewithtag',
      irql: passiveOnly,
      params: { ...byHandle, Tag: ULONG, Object: PVOID, HandleInformation: PVOID },
      returns: 'NTSTATUS',
      body: (nt, args) => referenceByHandle(nt, args),
    }),
    ObReferenceObjectByPointer: ntRoutine({
      doc: 'wdm.h; nf-wdm-obreferenceobjectbypointer',
      irql: upToDispatch,
      params: byPointer,
      returns: 'NTSTATUS',
      body: (nt, args) => referenceByPointer(nt, args.Object, args.ObjectType, args.AccessMode),
    }),
    ObReferenceObjectByPointerWithTag: ntRoutine({
      doc: 'wdm.h; nf-wdm-obreferenceobjectbypointerwithtag',
      irql: upToDispatch,
      params: { ...byPointer, Tag: ULONG },
      returns: 'NTSTATUS',
      body: (nt, args) => referenceByPointer(nt, args.Object, args.ObjectType, args.AccessMode),
    }),
    ObfReferenceObject: ntRoutine({
      doc: 'wdm.h; nf-wdm-obfreferenceobject',
      irql: upToDispatch,
      params: { Object: PVOID },
      returns: 'LONG64',
      body: (nt, { Object: body }) => referenceObject(nt, body),
    }),
    ObfReferenceObjectWithTag: ntRoutine({
      doc: 'wdm.h; nf-wdm-obreferenceobjectwithtag',
      irql: upToDispatch,
      params: { Object: PVOID, Tag: ULONG },
      returns: 'LONG64',
      body: (nt, { Object: body }) => referenceObject(nt, body),
    }),
    ObfDereferenceObject: ntRoutine({
      doc: 'wdm.h; nf-wdm-obfdereferenceobject',
      irql: upToDispatch,
      params: { Object: PVOID },
      returns: 'LONG64',
      body: (nt, { Object: body }) => dereference(nt, body),
      resume: closed,
    }),
    ObDereferenceObject: ntRoutine({
      doc: 'wdm.h; nf-wdm-obdereferenceobject (the exported form)',
      irql: upToDispatch,
      params: { Object: PVOID },
      returns: 'LONG64',
      body: (nt, { Object: body }) => dereference(nt, body),
      resume: closed,
    }),
    ObfDereferenceObjectWithTag: ntRoutine({
      doc: 'wdm.h; nf-wdm-obdereferenceobjectwithtag',
      irql: upToDispatch,
      params: { Object: PVOID, Tag: ULONG },
      returns: 'LONG64',
      body: (nt, { Object: body }) => dereference(nt, body),
      resume: closed,
    }),
    ObDereferenceObjectDeferDelete: ntRoutine({
      doc: 'wdm.h; nf-wdm-obdereferenceobjectdeferdelete',
      irql: upToDispatch,
      params: { Object: PVOID },
      returns: 'VOID',
      body: (nt, { Object: body }) => {
        releaseObjectLater(nt, body);
      },
    }),
    ObDereferenceObjectDeferDeleteWithTag: ntRoutine({
      doc: 'wdm.h; nf-wdm-obdereferenceobjectdeferdeletewithtag',
      irql: upToDispatch,
      params: { Object: PVOID, Tag: ULONG },
      returns: 'VOID',
      body: (nt, { Object: body }) => {
        releaseObjectLater(nt, body);
      },
    }),
    ObOpenObjectByPointer: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-obopenobjectbypointer',
      irql: upToApc,
      params: {
        Object: PVOID,
        HandleAttributes: ULONG,
        PassedAccessState: pointerTo('ACCESS_STATE'),
        DesiredAccess: ACCESS_MASK,
        ObjectType: pobjectType,
        AccessMode: KPROCESSOR_MODE,
        Handle: PVOID,
      },
      returns: 'NTSTATUS',
      support: { partial: 'security descriptors: access is always granted' },
      body: (nt, args, call) => {
        const status = checkType(nt, args.Object, args.ObjectType, args.AccessMode);
        if (status !== STATUS_SUCCESS) return status;
        if (nt.objects.get(args.Object) === undefined) return STATUS_OBJECT_TYPE_MISMATCH;
        const isKernelHandle = (args.HandleAttributes & objKernelHandle) !== 0;
        const handle = nt.objects.createHandle(args.Object, args.DesiredAccess, isKernelHandle, holderOf(nt, call));
        nt.memory.writeU64(args.Handle, BigInt.asUintN(64, BigInt(handle)));
        return STATUS_SUCCESS;
      },
    }),
    ObCloseHandle: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-obclosehandle',
      irql: passiveOnly,
      params: { Handle: HANDLE, PreviousMode: KPROCESSOR_MODE },
      returns: 'NTSTATUS',
      body: (nt, { Handle, PreviousMode }) => {
        // A user may not close the kernel's handles.
        if (PreviousMode !== 0 && nt.objects.handle(Handle)?.isKernelHandle === true) return STATUS_INVALID_HANDLE;
        return callGuest(nt.entries.routineVa('ZwClose'), [Handle], 'closed', []);
      },
      resume: { closed: (_nt, call) => call.status },
    }),
    ObGetObjectType: ntRoutine({
      doc: 'ntifs.h; type object of an object',
      irql: upToDispatch,
      params: { Object: PVOID },
      returns: 'PVOID',
      body: (nt, { Object: body }) => {
        const type = nt.objects.get(body)?.type;
        return type === undefined ? nullVa : nt.objects.typeObject(type);
      },
    }),
    ObMakeTemporaryObject: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-obmaketemporaryobject',
      irql: upToApc,
      params: { Object: PVOID },
      returns: 'VOID',
      body: (nt, { Object: body }) => {
        nt.objects.makeTemporaryUnlessOpen(body);
      },
    }),
  },
  {
    ExEventObjectType: typePointer('Event'),
    ExSemaphoreObjectType: typePointer('Semaphore'),
    IoFileObjectType: typePointer('File'),
    IoDeviceObjectType: typePointer('Device'),
    IoDriverObjectType: typePointer('Driver'),
    PsThreadType: typePointer('Thread'),
    PsProcessType: typePointer('Process'),
    MmSectionObjectType: typePointer('Section'),
    SeTokenObjectType: typePointer('Token'),
    CmKeyObjectType: typePointer('Key'),
    TmTransactionObjectType: typePointer('TmTx'),
  },
);
