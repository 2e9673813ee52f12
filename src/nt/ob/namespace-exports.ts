/** Object directories, symbolic links and objects by name; processes by number. */
import { nullVa, type Va, vaAdd, vaToU64 } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, HANDLE, KPROCESSOR_MODE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INFO_LENGTH_MISMATCH,
  STATUS_INVALID_CID,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_MIX,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_EXISTS,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { setString } from '../rtl/counted-strings.ts';
import { readUnicodeString, writeWide } from '../rtl/guest-text.ts';
import { FILE_OBJECT, OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { CLIENT_ID } from '../structures/ke.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { referenceObject, releaseObject } from './references.ts';

const pattributes = pointerTo('OBJECT_ATTRIBUTES');
const pname = pointerTo('UNICODE_STRING');
const objKernelHandle = 0x200;
const objOpenIf = 0x80;
const bodyBytes = 0x40;

/** The name that the attributes give, which must be a full one. */
function nameOf(nt: Nt, attributes: Va): string | undefined {
  if (OBJECT_ATTRIBUTES.RootDirectory.get(nt.memory, attributes) !== nullVa) return undefined;
  const at = OBJECT_ATTRIBUTES.ObjectName.get(nt.memory, attributes);
  return at === nullVa ? '' : readUnicodeString(nt.memory, at);
}

const relative = (what: string): Outcome => unsupported(`${what} relative to a directory handle`);

function handleTo(call: Call, body: Va, access: number, attributes: Va, handleAt: Va): number {
  const { nt } = call;
  const isKernelHandle = (OBJECT_ATTRIBUTES.Attributes.get(nt.memory, attributes) & objKernelHandle) !== 0;
  const handle = nt.objects.createHandle(body, access, isKernelHandle, holderOf(nt, call));
  releaseObject(nt, body);
  nt.memory.writeU64(handleAt, vaToU64(handle as Va));
  return STATUS_SUCCESS;
}

function createDirectory(call: Call, handleAt: Va, access: number, attributes: Va): Outcome {
  const { nt } = call;
  const name = nameOf(nt, attributes);
  if (name === undefined) return relative('an object directory');
  const existing = nt.objects.lookup(name);
  if (existing.object !== undefined && existing.remainder === '') {
    const { body, type } = existing.object;
    if ((OBJECT_ATTRIBUTES.Attributes.get(nt.memory, attributes) & objOpenIf) === 0)
      return STATUS_OBJECT_NAME_COLLISION;
    if (type !== 'Directory') return STATUS_OBJECT_TYPE_MISMATCH;
    nt.objects.reference(body);
    handleTo(call, body, access, attributes, handleAt);
    return STATUS_OBJECT_NAME_EXISTS;
  }
  const body = nt.pool.allocateKernel(bodyBytes, 'Dire');
  const status = nt.objects.create(body, 'Directory', name === '' ? undefined : name);
  if (status === STATUS_SUCCESS) return handleTo(call, body, access, attributes, handleAt);
  nt.pool.freeKernel(body);
  return status;
}

/** The link itself, not what it leads to. */
function openLink(call: Call, handleAt: Va, access: number, attributes: Va): Outcome {
  const { nt } = call;
  const name = nameOf(nt, attributes);
  if (name === undefined) return relative('a symbolic link');
  nt.fileSystem.mountFor(name);
  const link = nt.objects.symbolicLink(name);
  if (link === undefined) {
    const found = nt.objects.lookup(name);
    if (found.object === undefined) return found.status;
    return found.remainder === '' ? STATUS_OBJECT_TYPE_MISMATCH : STATUS_OBJECT_NAME_NOT_FOUND;
  }
  const body = nt.pool.allocateKernel(bodyBytes, 'Symb');
  nt.objects.createUnlisted(body, 'SymbolicLink', link.name);
  return handleTo(call, body, access, attributes, handleAt);
}

function queryLink(nt: Nt, handle: Va, target: Va, lengthAt: Va): Outcome {
  const { status, entry } = nt.objects.resolveHandle(handle, 1, 'SymbolicLink', false);
  if (entry === undefined) return status;
  const text = nt.objects.symbolicLink(nt.objects.get(entry.body)?.name ?? '')?.target;
  if (text === undefined) return STATUS_OBJECT_NAME_NOT_FOUND;
  const { memory } = nt;
  if (lengthAt !== nullVa) memory.writeU32(lengthAt, text.length * 2 + 2);
  if (UNICODE_STRING.MaximumLength.get(memory, target) < text.length * 2) return STATUS_BUFFER_TOO_SMALL;
  writeWide(memory, UNICODE_STRING.Buffer.get(memory, target), text);
  UNICODE_STRING.Length.set(memory, target, text.length * 2);
  return STATUS_SUCCESS;
}

/** Of a file: the name of its device with the file's behind it. */
function fullName(nt: Nt, body: Va): string {
  const object = nt.objects.get(body);
  if (object?.type !== 'File') return object?.name ?? '';
  const device = nt.objects.get(nt.io.files.device(body))?.name ?? '';
  return device + readUnicodeString(nt.memory, FILE_OBJECT.FileName.at(body));
}

function queryName(nt: Nt, body: Va, at: Va, length: number, lengthAt: Va): Outcome {
  const { memory } = nt;
  const name = fullName(nt, body);
  const needed = UNICODE_STRING.sizeBytes + (name === '' ? 0 : name.length * 2 + 2);
  memory.writeU32(lengthAt, needed);
  if (length < needed) return STATUS_INFO_LENGTH_MISMATCH;
  if (name === '') {
    setString(memory, at, 0, 0, nullVa);
    return STATUS_SUCCESS;
  }
  const buffer = vaAdd(at, UNICODE_STRING.sizeBytes);
  writeWide(memory, buffer, `${name}\0`);
  setString(memory, at, name.length * 2, name.length * 2 + 2, buffer);
  return STATUS_SUCCESS;
}

function referenceByName(nt: Nt, nameAt: Va, type: Va, at: Va): Outcome {
  const name = readUnicodeString(nt.memory, nameAt);
  if (name === '') return STATUS_OBJECT_NAME_INVALID;
  const { status, object, remainder } = nt.objects.lookup(name);
  if (object === undefined) return status;
  if (remainder !== '') return STATUS_OBJECT_NAME_NOT_FOUND;
  if (type !== nullVa && !nt.objects.isOfType(object.body, type)) return STATUS_OBJECT_TYPE_MISMATCH;
  referenceObject(nt, object.body);
  nt.memory.writeVa(at, object.body);
  return STATUS_SUCCESS;
}

function openProcess(nt: Nt, handleAt: Va, access: number, attributes: Va, clientId: Va, call: Call): Outcome {
  if (OBJECT_ATTRIBUTES.ObjectName.get(nt.memory, attributes) !== nullVa) return STATUS_INVALID_PARAMETER_MIX;
  if (clientId === nullVa) return STATUS_INVALID_PARAMETER_MIX;
  const id = CLIENT_ID.UniqueProcess.get(nt.memory, clientId);
  const process = nt.processor.processes.find((one) => nt.processor.processId(one) === id);
  if (process === undefined) return STATUS_INVALID_CID;
  referenceObject(nt, process);
  return handleTo(call, process, access, attributes, handleAt);
}

const openProcessRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { ProcessHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes, ClientId: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      openProcess(nt, args.ProcessHandle, args.DesiredAccess, args.ObjectAttributes, args.ClientId, call),
  });

export const obNamespace = ntExports('ntoskrnl.exe', {
  ZwCreateDirectoryObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwcreatedirectoryobject',
    irql: passiveOnly,
    params: { DirectoryHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => createDirectory(call, args.DirectoryHandle, args.DesiredAccess, args.ObjectAttributes),
  }),
  ZwMakeTemporaryObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwmaketemporaryobject',
    irql: passiveOnly,
    params: { Handle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) => {
      // DELETE
      const { status, entry } = nt.objects.resolveHandle(Handle, 0x1_0000, undefined, false);
      if (entry !== undefined) nt.objects.makeTemporaryUnlessOpen(entry.body);
      return status;
    },
  }),
  ZwOpenSymbolicLinkObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwopensymboliclinkobject',
    irql: passiveOnly,
    params: { LinkHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => openLink(call, args.LinkHandle, args.DesiredAccess, args.ObjectAttributes),
  }),
  ZwQuerySymbolicLinkObject: ntRoutine({
    doc: 'wdm.h; nf-wdm-zwquerysymboliclinkobject',
    irql: passiveOnly,
    params: { LinkHandle: HANDLE, LinkTarget: pname, ReturnedLength: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { LinkHandle, LinkTarget, ReturnedLength }) => queryLink(nt, LinkHandle, LinkTarget, ReturnedLength),
  }),
  ObQueryNameString: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-obquerynamestring',
    irql: upToApc,
    params: { Object: PVOID, ObjectNameInfo: PVOID, Length: ULONG, ReturnLength: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      nt.objects.get(args.Object) === undefined
        ? STATUS_INVALID_PARAMETER
        : queryName(nt, args.Object, args.ObjectNameInfo, args.Length, args.ReturnLength),
  }),
  ObReferenceObjectByName: ntRoutine({
    doc: 'ntifs.h; references an object by its full name (undocumented)',
    irql: passiveOnly,
    params: {
      ObjectName: pname,
      Attributes: ULONG,
      AccessState: PVOID,
      DesiredAccess: ACCESS_MASK,
      ObjectType: PVOID,
      AccessMode: KPROCESSOR_MODE,
      ParseContext: PVOID,
      Object: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args) => referenceByName(nt, args.ObjectName, args.ObjectType, args.Object),
  }),
  ZwOpenProcess: openProcessRoutine('ntddk.h; nf-ntddk-zwopenprocess'),
  NtOpenProcess: openProcessRoutine('ntddk.h; nf-ntddk-ntopenprocess'),
});
