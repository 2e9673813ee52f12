/** Security descriptors as drivers build them, take them apart and change their form. */
import { nullVa, type Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BAD_DESCRIPTOR_FORMAT,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_SECURITY_DESCR,
  STATUS_SUCCESS,
  STATUS_UNKNOWN_REVISION,
} from '../ntstatus.ts';
import {
  type DescriptorPart,
  descriptorLength,
  descriptorParts,
  descriptorRevision,
  isSelfRelative,
  isValidDescriptor,
  padded,
  partAt,
  partBytes,
  readDescriptor,
  selfRelativeBytes,
} from '../se/descriptor.ts';
import { DescriptorControl, SECURITY_DESCRIPTOR, SECURITY_DESCRIPTOR_RELATIVE } from '../structures/security.ts';

const pdescriptor = pointerTo('SECURITY_DESCRIPTOR');
const pulong = pointerTo('ULONG');

const presentBits = { Dacl: DescriptorControl.DaclPresent, Sacl: DescriptorControl.SaclPresent } as const;
const defaultedBits = {
  Owner: DescriptorControl.OwnerDefaulted,
  Group: DescriptorControl.GroupDefaulted,
  Dacl: DescriptorControl.DaclDefaulted,
  Sacl: DescriptorControl.SaclDefaulted,
} as const;

function isUnknown(memory: GuestMemory, descriptor: Va): boolean {
  return SECURITY_DESCRIPTOR.Revision.get(memory, descriptor) !== descriptorRevision;
}

function setBits(memory: GuestMemory, descriptor: Va, bits: number, isSet: boolean): void {
  const control = SECURITY_DESCRIPTOR.Control.get(memory, descriptor);
  SECURITY_DESCRIPTOR.Control.set(memory, descriptor, isSet ? control | bits : control & ~bits);
}

function initialise(nt: Nt, descriptor: Va, revision: number, bytes: number, control: number): number {
  if (revision !== descriptorRevision) return STATUS_UNKNOWN_REVISION;
  nt.memory.fill(descriptor, bytes, 0);
  SECURITY_DESCRIPTOR.Revision.set(nt.memory, descriptor, revision);
  SECURITY_DESCRIPTOR.Control.set(nt.memory, descriptor, control);
  return STATUS_SUCCESS;
}

/** RtlSetDaclSecurityDescriptor, RtlSetSaclSecurityDescriptor: absolute descriptors only. */
const setList = (doc: string, part: 'Dacl' | 'Sacl') =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { SecurityDescriptor: pdescriptor, Present: BOOLEAN, List: pointerTo('ACL'), Defaulted: BOOLEAN },
    returns: 'NTSTATUS',
    body: ({ memory }, { SecurityDescriptor, Present, List, Defaulted }) => {
      if (isUnknown(memory, SecurityDescriptor)) return STATUS_UNKNOWN_REVISION;
      if (isSelfRelative(memory, SecurityDescriptor)) return STATUS_INVALID_SECURITY_DESCR;
      setBits(memory, SecurityDescriptor, presentBits[part], Present);
      if (!Present) return STATUS_SUCCESS;
      SECURITY_DESCRIPTOR[part].set(memory, SecurityDescriptor, List);
      setBits(memory, SecurityDescriptor, defaultedBits[part], Defaulted);
      return STATUS_SUCCESS;
    },
  });

const getList = (doc: string, part: 'Dacl' | 'Sacl') =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { SecurityDescriptor: pdescriptor, Present: PVOID, List: PVOID, Defaulted: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { SecurityDescriptor, Present, List, Defaulted }) => {
      if (isUnknown(memory, SecurityDescriptor)) return STATUS_UNKNOWN_REVISION;
      const control = SECURITY_DESCRIPTOR.Control.get(memory, SecurityDescriptor);
      const isPresent = (control & presentBits[part]) !== 0;
      memory.writeU8(Present, isPresent ? 1 : 0);
      if (!isPresent) return STATUS_SUCCESS;
      memory.writeVa(List, partAt(memory, SecurityDescriptor, part));
      memory.writeU8(Defaulted, (control & defaultedBits[part]) !== 0 ? 1 : 0);
      return STATUS_SUCCESS;
    },
  });

const setSid = (doc: string, part: 'Owner' | 'Group') =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { SecurityDescriptor: pdescriptor, Sid: pointerTo('SID'), Defaulted: BOOLEAN },
    returns: 'NTSTATUS',
    body: ({ memory }, { SecurityDescriptor, Sid, Defaulted }) => {
      if (isUnknown(memory, SecurityDescriptor)) return STATUS_UNKNOWN_REVISION;
      if (isSelfRelative(memory, SecurityDescriptor)) return STATUS_INVALID_SECURITY_DESCR;
      SECURITY_DESCRIPTOR[part].set(memory, SecurityDescriptor, Sid);
      setBits(memory, SecurityDescriptor, defaultedBits[part], Defaulted);
      return STATUS_SUCCESS;
    },
  });

const getSid = (doc: string, part: 'Owner' | 'Group') =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { SecurityDescriptor: pdescriptor, Sid: PVOID, Defaulted: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { SecurityDescriptor, Sid, Defaulted }) => {
      if (isUnknown(memory, SecurityDescriptor)) return STATUS_UNKNOWN_REVISION;
      memory.writeVa(Sid, partAt(memory, SecurityDescriptor, part));
      const control = SECURITY_DESCRIPTOR.Control.get(memory, SecurityDescriptor);
      memory.writeU8(Defaulted, (control & defaultedBits[part]) !== 0 ? 1 : 0);
      return STATUS_SUCCESS;
    },
  });

function toSelfRelative(nt: Nt, absolute: Va, relative: Va, lengthAt: Va): number {
  const { memory } = nt;
  if (isSelfRelative(memory, absolute)) return STATUS_BAD_DESCRIPTOR_FORMAT;
  const content = selfRelativeBytes(readDescriptor(memory, absolute));
  const room = memory.readU32(lengthAt);
  memory.writeU32(lengthAt, content.length);
  if (content.length > room) return STATUS_BUFFER_TOO_SMALL;
  memory.writeBytes(relative, content);
  return STATUS_SUCCESS;
}

/** Where a part of the absolute form goes, and where its size stands. */
type Places = { readonly [K in DescriptorPart]: { readonly at: Va; readonly sizeAt: Va } };

function toAbsolute(nt: Nt, relative: Va, absolute: Va, sizeAt: Va, places: Places): number {
  const { memory } = nt;
  if (!isSelfRelative(memory, relative)) return STATUS_BAD_DESCRIPTOR_FORMAT;
  const parts = descriptorParts.map((part) => {
    const source = partAt(memory, relative, part);
    return { part, source, bytes: source === nullVa ? 0 : partBytes(memory, part, source), ...places[part] };
  });
  const sizes = [
    { at: sizeAt, bytes: SECURITY_DESCRIPTOR.sizeBytes as number },
    ...parts.map((part) => ({ at: part.sizeAt, bytes: padded(part.bytes) })),
  ];
  const isTooSmall = sizes.some(({ at, bytes }) => memory.readU32(at) < bytes);
  for (const { at, bytes } of sizes) memory.writeU32(at, bytes);
  if (isTooSmall) return STATUS_BUFFER_TOO_SMALL;
  const control = SECURITY_DESCRIPTOR.Control.get(memory, relative) & ~DescriptorControl.SelfRelative;
  initialise(nt, absolute, descriptorRevision, SECURITY_DESCRIPTOR.sizeBytes, control);
  for (const { part, source, bytes, at } of parts) {
    if (bytes === 0) continue;
    memory.copy(at, source, bytes);
    SECURITY_DESCRIPTOR[part].set(memory, absolute, at);
  }
  return STATUS_SUCCESS;
}

/** Whether a self-relative descriptor lies within `length` bytes and has what `required` asks for. */
function isValidRelative(memory: GuestMemory, descriptor: Va, length: number, required: number): boolean {
  if (length < SECURITY_DESCRIPTOR_RELATIVE.sizeBytes || isUnknown(memory, descriptor)) return false;
  if (!isSelfRelative(memory, descriptor)) return false;
  for (const [index, part] of (['Owner', 'Group', 'Dacl', 'Sacl'] as const).entries()) {
    const at = partAt(memory, descriptor, part);
    if (at === nullVa && (part === 'Owner' || part === 'Group') && (required & (1 << index)) !== 0) return false;
    if (at === nullVa) continue;
    if (at - descriptor + 8 > length) return false;
    if (at - descriptor + partBytes(memory, part, at) > length) return false;
  }
  return isValidDescriptor(memory, descriptor);
}

export const rtlSecurityDescriptors = ntExports('ntoskrnl.exe', {
  RtlCreateSecurityDescriptor: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlcreatesecuritydescriptor',
    irql: passiveOnly,
    params: { SecurityDescriptor: pdescriptor, Revision: ULONG },
    returns: 'NTSTATUS',
    body: (nt, args) => initialise(nt, args.SecurityDescriptor, args.Revision, SECURITY_DESCRIPTOR.sizeBytes, 0),
  }),
  RtlCreateSecurityDescriptorRelative: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlcreatesecuritydescriptorrelative',
    irql: passiveOnly,
    params: { SecurityDescriptor: pdescriptor, Revision: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { SecurityDescriptor, Revision }) =>
      initialise(
        nt,
        SecurityDescriptor,
        Revision,
        SECURITY_DESCRIPTOR_RELATIVE.sizeBytes,
        DescriptorControl.SelfRelative,
      ),
  }),
  RtlLengthSecurityDescriptor: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtllengthsecuritydescriptor',
    irql: passiveOnly,
    params: { SecurityDescriptor: pdescriptor },
    returns: 'ULONG',
    body: ({ memory }, { SecurityDescriptor }) => descriptorLength(memory, SecurityDescriptor),
  }),
  RtlValidSecurityDescriptor: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlvalidsecuritydescriptor',
    irql: passiveOnly,
    params: { SecurityDescriptor: pdescriptor },
    returns: 'BOOLEAN',
    body: ({ memory }, { SecurityDescriptor }) => isValidDescriptor(memory, SecurityDescriptor),
  }),
  RtlValidRelativeSecurityDescriptor: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlvalidrelativesecuritydescriptor',
    irql: upToApc,
    params: { SecurityDescriptor: pdescriptor, Length: ULONG, RequiredInformation: ULONG },
    returns: 'BOOLEAN',
    body: ({ memory }, args) => isValidRelative(memory, args.SecurityDescriptor, args.Length, args.RequiredInformation),
  }),
  SeValidSecurityDescriptor: ntRoutine({
    doc: 'wdm.h; nf-wdm-sevalidsecuritydescriptor',
    irql: passiveOnly,
    params: { Length: ULONG, SecurityDescriptor: pdescriptor },
    returns: 'BOOLEAN',
    body: ({ memory }, { Length, SecurityDescriptor }) => isValidRelative(memory, SecurityDescriptor, Length, 0),
  }),
  RtlSetDaclSecurityDescriptor: setList('wdm.h; nf-wdm-rtlsetdaclsecuritydescriptor', 'Dacl'),
  RtlSetSaclSecurityDescriptor: setList('ntifs.h; sets the system list', 'Sacl'),
  RtlGetDaclSecurityDescriptor: getList('ntifs.h; nf-ntifs-rtlgetdaclsecuritydescriptor', 'Dacl'),
  RtlGetSaclSecurityDescriptor: getList('ntifs.h; nf-ntifs-rtlgetsaclsecuritydescriptor', 'Sacl'),
  RtlSetOwnerSecurityDescriptor: setSid('ntifs.h; nf-ntifs-rtlsetownersecuritydescriptor', 'Owner'),
  RtlSetGroupSecurityDescriptor: setSid('ntifs.h; nf-ntifs-rtlsetgroupsecuritydescriptor', 'Group'),
  RtlGetOwnerSecurityDescriptor: getSid('ntifs.h; nf-ntifs-rtlgetownersecuritydescriptor', 'Owner'),
  RtlGetGroupSecurityDescriptor: getSid('ntifs.h; nf-ntifs-rtlgetgroupsecuritydescriptor', 'Group'),
  RtlAbsoluteToSelfRelativeSD: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlabsolutetoselfrelativesd',
    irql: upToApc,
    params: {
      AbsoluteSecurityDescriptor: pdescriptor,
      SelfRelativeSecurityDescriptor: pdescriptor,
      BufferLength: pulong,
    },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      toSelfRelative(nt, args.AbsoluteSecurityDescriptor, args.SelfRelativeSecurityDescriptor, args.BufferLength),
  }),
  RtlSelfRelativeToAbsoluteSD: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlselfrelativetoabsolutesd',
    irql: upToApc,
    params: {
      SelfRelativeSecurityDescriptor: pdescriptor,
      AbsoluteSecurityDescriptor: pdescriptor,
      AbsoluteSecurityDescriptorSize: pulong,
      Dacl: PVOID,
      DaclSize: pulong,
      Sacl: PVOID,
      SaclSize: pulong,
      Owner: PVOID,
      OwnerSize: pulong,
      PrimaryGroup: PVOID,
      PrimaryGroupSize: pulong,
    },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      toAbsolute(
        nt,
        args.SelfRelativeSecurityDescriptor,
        args.AbsoluteSecurityDescriptor,
        args.AbsoluteSecurityDescriptorSize,
        {
          Owner: { at: args.Owner, sizeAt: args.OwnerSize },
          Group: { at: args.PrimaryGroup, sizeAt: args.PrimaryGroupSize },
          Sacl: { at: args.Sacl, sizeAt: args.SaclSize },
          Dacl: { at: args.Dacl, sizeAt: args.DaclSize },
        },
      ),
  }),
});
