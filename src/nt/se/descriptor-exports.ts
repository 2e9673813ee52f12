/** Security descriptors of objects: captured, assigned, read and changed. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, HANDLE, KPROCESSOR_MODE, POOL_TYPE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_OWNER,
  STATUS_INVALID_SECURITY_DESCR,
  STATUS_NO_SECURITY_ON_OBJECT,
  STATUS_SUCCESS,
  STATUS_UNKNOWN_REVISION,
} from '../ntstatus.ts';
import { PoolType } from '../structures/pool.ts';
import { DescriptorControl, SECURITY_DESCRIPTOR, SECURITY_SUBJECT_CONTEXT } from '../structures/security.ts';
import { mapGeneric, readMapping } from './access-check.ts';
import {
  type Descriptor,
  descriptorRevision,
  isValidDescriptor,
  readDescriptor,
  selfRelativeBytes,
} from './descriptor.ts';
import { merged, selected } from './object-security.ts';
import { bytesOfSid } from './sid.ts';
import { defaultDacl } from './token-information.ts';

const descriptorTag = tagOf('SeSd');
const pdescriptor = pointerTo('SECURITY_DESCRIPTOR');

/** A self-relative copy in pool that the driver has to free. */
function allocate(nt: Nt, content: Descriptor, poolType: number, call: Call): Va | undefined {
  const bytes = selfRelativeBytes(content);
  const block = nt.pool.allocate({ poolType, bytes: bytes.length, tag: descriptorTag }, call);
  if (block !== undefined) nt.memory.writeBytes(block, bytes);
  return block;
}

function stored(nt: Nt, content: Descriptor, poolType: number, at: Va, call: Call): number {
  const block = allocate(nt, content, poolType, call);
  if (block === undefined) return STATUS_INSUFFICIENT_RESOURCES;
  nt.memory.writeVa(at, block);
  return STATUS_SUCCESS;
}

interface Capture {
  readonly Original: Va;
  readonly Mode: number;
  readonly PoolType: number;
  readonly CaptureIfKernel: boolean;
  readonly Captured: Va;
}

function capture(nt: Nt, args: Capture, call: Call): number {
  const { memory } = nt;
  if (args.Original === nullVa || (args.Mode === 0 && !args.CaptureIfKernel)) {
    memory.writeVa(args.Captured, args.Original);
    return STATUS_SUCCESS;
  }
  if (SECURITY_DESCRIPTOR.Revision.get(memory, args.Original) !== descriptorRevision) return STATUS_UNKNOWN_REVISION;
  if (!isValidDescriptor(memory, args.Original)) return STATUS_INVALID_SECURITY_DESCR;
  return stored(nt, readDescriptor(memory, args.Original), args.PoolType, args.Captured, call);
}

interface Assignment {
  readonly ParentDescriptor: Va;
  readonly ExplicitDescriptor: Va;
  readonly NewDescriptor: Va;
  readonly SubjectContext: Va;
  readonly GenericMapping: Va;
}

const inheritBits = 3;

/** What a new object gets: what its creator says, then what the token has as a default. */
function assign(nt: Nt, args: Assignment, call: Call): Outcome {
  const { memory } = nt;
  const token = nt.tokens.get(SECURITY_SUBJECT_CONTEXT.PrimaryToken.get(memory, args.SubjectContext));
  const explicit: Descriptor =
    args.ExplicitDescriptor === nullVa ? { control: 0 } : readDescriptor(memory, args.ExplicitDescriptor);
  const parent = args.ParentDescriptor === nullVa ? undefined : readDescriptor(memory, args.ParentDescriptor);
  const isExplicit = (explicit.control & DescriptorControl.DaclPresent) !== 0;
  if (!isExplicit && parent?.Dacl !== undefined && hasInheritable(parent.Dacl)) {
    return unsupported('SeAssignSecurity with entries that are inherited from the parent');
  }
  const mapping = readMapping(memory, args.GenericMapping);
  const list = isExplicit ? explicit.Dacl : defaultDacl(token);
  const content: Descriptor = {
    control: explicit.control | DescriptorControl.DaclPresent,
    Owner: explicit.Owner ?? bytesOfSid(token.owner),
    Group: explicit.Group ?? bytesOfSid(token.primaryGroup),
    ...(list === undefined ? {} : { Dacl: withMappedMasks(list, (mask) => mapGeneric(mask, mapping)) }),
    ...(explicit.Sacl === undefined ? {} : { Sacl: explicit.Sacl }),
  };
  return stored(nt, content, PoolType.PagedPool, args.NewDescriptor, call);
}

/** Offsets of the entries of an ACL in bytes. */
function* offsets(list: Uint8Array): Generator<number> {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  let at = 8;
  for (let count = view.getUint16(4, true); count > 0 && at + 8 <= list.length; count--) {
    yield at;
    at += Math.max(8, view.getUint16(at + 2, true));
  }
}

function hasInheritable(list: Uint8Array): boolean {
  return [...offsets(list)].some((at) => ((list[at + 1] as number) & inheritBits) !== 0);
}

function withMappedMasks(list: Uint8Array, map: (mask: number) => number): Uint8Array {
  const copy = list.slice();
  const view = new DataView(copy.buffer);
  for (const at of offsets(copy)) {
    if ((copy[at] as number) <= 2) view.setUint32(at + 4, map(view.getUint32(at + 4, true)), true);
  }
  return copy;
}

function freeAt(nt: Nt, at: Va, call: Call): number {
  const block = nt.memory.readVa(at);
  if (block !== nullVa) nt.pool.free(block, 0, call);
  nt.memory.writeVa(at, nullVa);
  return STATUS_SUCCESS;
}

/** Writes the parts that are asked for; tells how long they are if they do not fit. */
function give(nt: Nt, source: Descriptor, information: number, at: Va, room: number, lengthAt: Va): number {
  const bytes = selfRelativeBytes(selected(source, information));
  nt.memory.writeU32(lengthAt, bytes.length);
  if (bytes.length > room) return STATUS_BUFFER_TOO_SMALL;
  nt.memory.writeBytes(at, bytes);
  return STATUS_SUCCESS;
}

function setOnObject(nt: Nt, handle: Va, information: number, descriptor: Va, isUserMode: boolean): Outcome {
  const { memory } = nt;
  // WRITE_OWNER for owner and group, WRITE_DAC, ACCESS_SYSTEM_SECURITY
  const access =
    (information & 3 ? 0x8_0000 : 0) | (information & 4 ? 0x4_0000 : 0) | (information & 8 ? 0x100_0000 : 0);
  const { status, entry } = nt.objects.resolveHandle(handle, access, undefined, isUserMode);
  if (entry === undefined) return status;
  if (descriptor === nullVa) return STATUS_INVALID_SECURITY_DESCR;
  if (SECURITY_DESCRIPTOR.Revision.get(memory, descriptor) !== descriptorRevision) return STATUS_UNKNOWN_REVISION;
  if (!isValidDescriptor(memory, descriptor)) return STATUS_INVALID_SECURITY_DESCR;
  const content = readDescriptor(memory, descriptor);
  if ((information & 1) !== 0 && content.Owner === undefined) return STATUS_INVALID_OWNER;
  nt.security.set(entry.body, information, content);
  return STATUS_SUCCESS;
}

const objectParams = { Handle: HANDLE, SecurityInformation: ULONG, SecurityDescriptor: pdescriptor } as const;

const setRoutine = (doc: string, isUser: (nt: Nt) => boolean) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: objectParams,
    returns: 'NTSTATUS',
    support: { partial: 'a file of a driver keeps it with the kernel: no IRP_MJ_SET_SECURITY is sent' },
    body: (nt, args) => setOnObject(nt, args.Handle, args.SecurityInformation, args.SecurityDescriptor, isUser(nt)),
  });

const queryRoutine = (doc: string, isUser: (nt: Nt) => boolean) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { ...objectParams, Length: ULONG, LengthNeeded: pointerTo('ULONG') },
    returns: 'NTSTATUS',
    support: { partial: 'no IRP_MJ_QUERY_SECURITY is sent to the driver of a file' },
    body: (nt, { Handle, SecurityInformation, SecurityDescriptor, Length, LengthNeeded }) => {
      // READ_CONTROL
      const { status, entry } = nt.objects.resolveHandle(Handle, 0x2_0000, undefined, isUser(nt));
      if (entry === undefined) return status;
      return give(nt, nt.security.of(entry.body), SecurityInformation, SecurityDescriptor, Length, LengthNeeded);
    },
  });

const kernel = (): boolean => false;
const previous = (nt: Nt): boolean => nt.previousMode !== 0;

export const seDescriptors = ntExports('ntoskrnl.exe', {
  /** What is captured is the driver's to free (SeReleaseSecurityDescriptor or ExFreePool). */
  SeCaptureSecurityDescriptor: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-secapturesecuritydescriptor',
    irql: passiveOnly,
    params: {
      Original: pdescriptor,
      Mode: KPROCESSOR_MODE,
      PoolType: POOL_TYPE,
      CaptureIfKernel: BOOLEAN,
      Captured: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) => capture(nt, args, call),
  }),
  SeReleaseSecurityDescriptor: ntRoutine({
    doc: 'ntifs.h; frees what SeCaptureSecurityDescriptor gave',
    irql: passiveOnly,
    params: { Captured: pdescriptor, Mode: KPROCESSOR_MODE, CaptureIfKernel: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { Captured, Mode, CaptureIfKernel }, call) => {
      if (Captured !== nullVa && (Mode !== 0 || CaptureIfKernel)) nt.pool.free(Captured, 0, call);
      return STATUS_SUCCESS;
    },
  }),
  SeAssignSecurity: ntRoutine({
    doc: 'wdm.h; nf-wdm-seassignsecurity',
    irql: passiveOnly,
    params: {
      ParentDescriptor: pdescriptor,
      ExplicitDescriptor: pdescriptor,
      NewDescriptor: PVOID,
      IsDirectoryObject: BOOLEAN,
      SubjectContext: pointerTo('SECURITY_SUBJECT_CONTEXT'),
      GenericMapping: pointerTo('GENERIC_MAPPING'),
      PoolType: POOL_TYPE,
    },
    returns: 'NTSTATUS',
    support: { partial: 'inherited entries; substitution of creator owner and group' },
    body: (nt, args, call) => assign(nt, args, call),
  }),
  SeDeassignSecurity: ntRoutine({
    doc: 'wdm.h; nf-wdm-sedeassignsecurity',
    irql: passiveOnly,
    params: { SecurityDescriptor: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { SecurityDescriptor }, call) => freeAt(nt, SecurityDescriptor, call),
  }),
  SeQuerySecurityDescriptorInfo: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-sequerysecuritydescriptorinfo',
    irql: passiveOnly,
    params: {
      SecurityInformation: pointerTo('SECURITY_INFORMATION'),
      SecurityDescriptor: pdescriptor,
      Length: pointerTo('ULONG'),
      ObjectsSecurityDescriptor: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args) => {
      const { memory } = nt;
      const own = memory.readVa(args.ObjectsSecurityDescriptor);
      const content = own === nullVa ? { control: 0 } : readDescriptor(memory, own);
      const room = memory.readU32(args.Length);
      return give(nt, content, memory.readU32(args.SecurityInformation), args.SecurityDescriptor, room, args.Length);
    },
  }),
  /** The new descriptor replaces the pointer; the one before stays the driver's to free. */
  SeSetSecurityDescriptorInfo: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-sesetsecuritydescriptorinfo',
    irql: passiveOnly,
    params: {
      Object: PVOID,
      SecurityInformation: pointerTo('SECURITY_INFORMATION'),
      ModificationDescriptor: pdescriptor,
      ObjectsSecurityDescriptor: PVOID,
      PoolType: POOL_TYPE,
      GenericMapping: pointerTo('GENERIC_MAPPING'),
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) => {
      const { memory } = nt;
      const own = memory.readVa(args.ObjectsSecurityDescriptor);
      if (own === nullVa) return STATUS_NO_SECURITY_ON_OBJECT;
      const change = readDescriptor(memory, args.ModificationDescriptor);
      const content = merged(readDescriptor(memory, own), memory.readU32(args.SecurityInformation), change);
      return stored(nt, content, args.PoolType, args.ObjectsSecurityDescriptor, call);
    },
  }),
  /** Memory of the driver's until ObReleaseObjectSecurity. */
  ObGetObjectSecurity: ntRoutine({
    doc: 'wdm.h; nf-wdm-obgetobjectsecurity',
    irql: passiveOnly,
    params: { Object: PVOID, SecurityDescriptor: PVOID, MemoryAllocated: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args, call) => {
      const status = stored(nt, nt.security.of(args.Object), PoolType.PagedPool, args.SecurityDescriptor, call);
      if (status === STATUS_SUCCESS) nt.memory.writeU8(args.MemoryAllocated, 1);
      return status;
    },
  }),
  ObReleaseObjectSecurity: ntRoutine({
    doc: 'wdm.h; nf-wdm-obreleaseobjectsecurity',
    irql: upToApc,
    params: { SecurityDescriptor: pdescriptor, MemoryAllocated: BOOLEAN },
    returns: 'VOID',
    body: (nt, { SecurityDescriptor, MemoryAllocated }, call) => {
      if (SecurityDescriptor !== nullVa && MemoryAllocated) nt.pool.free(SecurityDescriptor, 0, call);
    },
  }),
  ZwSetSecurityObject: setRoutine('ntifs.h; nf-ntifs-zwsetsecurityobject', kernel),
  NtSetSecurityObject: setRoutine('ntifs.h; nf-ntifs-ntsetsecurityobject', previous),
  ZwQuerySecurityObject: queryRoutine('ntifs.h; nf-ntifs-zwquerysecurityobject', kernel),
  NtQuerySecurityObject: queryRoutine('ntifs.h; nf-ntifs-ntquerysecurityobject', previous),
});
