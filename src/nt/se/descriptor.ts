/** Security descriptors: the two forms in guest memory, and their content as data. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { ACL, DescriptorControl, SECURITY_DESCRIPTOR, SECURITY_DESCRIPTOR_RELATIVE } from '../structures/security.ts';
import { isValidAcl } from './acl.ts';
import { isValidSid, sidLength } from './sid.ts';

export const descriptorRevision = 1;
/** Control bits that say which form it is, not what is in it. */
const formBits = DescriptorControl.SelfRelative;

export type DescriptorPart = 'Owner' | 'Group' | 'Sacl' | 'Dacl';
export const descriptorParts: readonly DescriptorPart[] = ['Owner', 'Group', 'Sacl', 'Dacl'];

/** Content of a descriptor: raw bytes of its parts. A DACL that is present and has no list lets everybody in. */
export interface Descriptor {
  /** Without SE_SELF_RELATIVE. */
  readonly control: number;
  readonly Owner?: Uint8Array;
  readonly Group?: Uint8Array;
  readonly Sacl?: Uint8Array;
  readonly Dacl?: Uint8Array;
}

export function isSelfRelative(memory: GuestMemory, descriptor: Va): boolean {
  return (SECURITY_DESCRIPTOR.Control.get(memory, descriptor) & DescriptorControl.SelfRelative) !== 0;
}

/** Where a part stands; null if there is none. */
export function partAt(memory: GuestMemory, descriptor: Va, part: DescriptorPart): Va {
  const control = SECURITY_DESCRIPTOR.Control.get(memory, descriptor);
  if (part === 'Dacl' && (control & DescriptorControl.DaclPresent) === 0) return nullVa;
  if (part === 'Sacl' && (control & DescriptorControl.SaclPresent) === 0) return nullVa;
  if ((control & DescriptorControl.SelfRelative) === 0) return SECURITY_DESCRIPTOR[part].get(memory, descriptor);
  const offset = SECURITY_DESCRIPTOR_RELATIVE[part].get(memory, descriptor);
  return offset === 0 ? nullVa : vaAdd(descriptor, offset);
}

export function partBytes(memory: GuestMemory, part: DescriptorPart, at: Va): number {
  return part === 'Owner' || part === 'Group' ? sidLength(memory, at) : ACL.AclSize.get(memory, at);
}

/** RtlLengthSecurityDescriptor: as a self-relative one would be long; parts are padded to four bytes. */
export function descriptorLength(memory: GuestMemory, descriptor: Va): number {
  let bytes = isSelfRelative(memory, descriptor)
    ? SECURITY_DESCRIPTOR_RELATIVE.sizeBytes
    : SECURITY_DESCRIPTOR.sizeBytes;
  for (const part of descriptorParts) {
    const at = partAt(memory, descriptor, part);
    if (at !== nullVa) bytes += padded(partBytes(memory, part, at));
  }
  return bytes;
}

/** RtlValidSecurityDescriptor */
export function isValidDescriptor(memory: GuestMemory, descriptor: Va): boolean {
  if (SECURITY_DESCRIPTOR.Revision.get(memory, descriptor) !== descriptorRevision) return false;
  return descriptorParts.every((part) => {
    const at = partAt(memory, descriptor, part);
    if (at === nullVa) return true;
    return part === 'Owner' || part === 'Group' ? isValidSid(memory, at) : isValidAcl(memory, at);
  });
}

export function readDescriptor(memory: GuestMemory, descriptor: Va): Descriptor {
  const control = SECURITY_DESCRIPTOR.Control.get(memory, descriptor) & ~formBits;
  const content: { -readonly [K in DescriptorPart]?: Uint8Array } = {};
  for (const part of descriptorParts) {
    const at = partAt(memory, descriptor, part);
    if (at !== nullVa) content[part] = memory.readBytes(at, partBytes(memory, part, at));
  }
  return { control, ...content };
}

/** The self-relative form: header, then SACL, DACL, owner and group, as RtlAbsoluteToSelfRelativeSD lays them out. */
export function selfRelativeBytes(content: Descriptor): Uint8Array {
  const order: readonly DescriptorPart[] = ['Sacl', 'Dacl', 'Owner', 'Group'];
  const bytes = order.reduce(
    (sum, part) => sum + padded(content[part]?.length ?? 0),
    SECURITY_DESCRIPTOR_RELATIVE.sizeBytes as number,
  );
  const result = new Uint8Array(bytes);
  const view = new DataView(result.buffer);
  view.setUint8(0, descriptorRevision);
  view.setUint16(2, content.control | DescriptorControl.SelfRelative, true);
  let at: number = SECURITY_DESCRIPTOR_RELATIVE.sizeBytes;
  for (const part of order) {
    const value = content[part];
    if (value === undefined) continue;
    view.setUint32(SECURITY_DESCRIPTOR_RELATIVE[part].offset, at, true);
    result.set(value, at);
    at += padded(value.length);
  }
  return result;
}

export function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
