/** Access control lists in guest memory. Pure functions. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import {
  STATUS_ALLOTTED_SPACE_EXCEEDED,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_ACL,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_SID,
  STATUS_REVISION_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { ACCESS_ALLOWED_ACE, ACE_HEADER, ACL } from '../structures/security.ts';
import { bytesOfSid, isValidSid, sidLength } from './sid.ts';

/** ACL_REVISION, ACL_REVISION_DS */
const lowestRevision = 2;
const highestRevision = 4;
const largestAcl = 0xffff;
const aceStart = ACCESS_ALLOWED_ACE.SidStart.offset;

export const AceType = { Allowed: 0, Denied: 1, Audit: 2, MandatoryLabel: 0x11 } as const;
/** AceFlags: the entry is for what inherits from the object, not for itself. */
export const inheritOnlyAce = 0x08;

/** RtlCreateAcl */
export function createAcl(memory: GuestMemory, acl: Va, bytes: number, revision: number): number {
  if (bytes < ACL.sizeBytes) return STATUS_BUFFER_TOO_SMALL;
  if (revision < lowestRevision || revision > highestRevision || bytes > largestAcl) return STATUS_INVALID_PARAMETER;
  ACL.AclRevision.set(memory, acl, revision);
  ACL.Sbz1.set(memory, acl, 0);
  ACL.AclSize.set(memory, acl, bytes & ~3);
  ACL.AceCount.set(memory, acl, 0);
  ACL.Sbz2.set(memory, acl, 0);
  return STATUS_SUCCESS;
}

export interface Ace {
  readonly at: Va;
  readonly type: number;
  readonly flags: number;
  readonly bytes: number;
}

/** The list's entries, and where the next one would go; undefined if the list is damaged. */
export function entriesOf(
  memory: GuestMemory,
  acl: Va,
): { readonly entries: readonly Ace[]; readonly end: Va } | undefined {
  const limit = vaAdd(acl, ACL.AclSize.get(memory, acl));
  const entries: Ace[] = [];
  let at = vaAdd(acl, ACL.sizeBytes);
  for (let index = ACL.AceCount.get(memory, acl); index > 0; index--) {
    if (vaAdd(at, ACE_HEADER.sizeBytes) > limit) return undefined;
    const bytes = ACE_HEADER.AceSize.get(memory, at);
    if (bytes < ACE_HEADER.sizeBytes || vaAdd(at, bytes) > limit) return undefined;
    entries.push({ at, type: ACE_HEADER.AceType.get(memory, at), flags: ACE_HEADER.AceFlags.get(memory, at), bytes });
    at = vaAdd(at, bytes);
  }
  return at > limit ? undefined : { entries, end: at };
}

/** RtlValidAcl */
export function isValidAcl(memory: GuestMemory, acl: Va): boolean {
  const revision = ACL.AclRevision.get(memory, acl);
  const bytes = ACL.AclSize.get(memory, acl);
  if (revision < lowestRevision || revision > highestRevision || bytes < ACL.sizeBytes || bytes % 4 !== 0) return false;
  return entriesOf(memory, acl)?.entries.every((ace) => ace.bytes % 4 === 0 && hasValidSid(memory, ace)) ?? false;
}

function hasValidSid(memory: GuestMemory, { at, type, bytes }: Ace): boolean {
  if (type > AceType.Audit && type !== AceType.MandatoryLabel) return true;
  const sid = vaAdd(at, aceStart);
  return bytes >= aceStart + 8 && isValidSid(memory, sid) && bytes >= aceStart + sidLength(memory, sid);
}

interface NewAce {
  readonly revision: number;
  readonly type: number;
  readonly flags: number;
  readonly mask: number;
  readonly sid: Va;
}

/** RtlAddAccessAllowedAce(Ex) and its relatives: an entry at the end. */
export function addAce(memory: GuestMemory, acl: Va, ace: NewAce): number {
  if (!isValidSid(memory, ace.sid)) return STATUS_INVALID_SID;
  const own = ACL.AclRevision.get(memory, acl);
  if (own > highestRevision || ace.revision > highestRevision) return STATUS_REVISION_MISMATCH;
  const found = isValidAcl(memory, acl) ? entriesOf(memory, acl) : undefined;
  if (found === undefined) return STATUS_INVALID_ACL;
  const sidBytes = sidLength(memory, ace.sid);
  const bytes = aceStart + sidBytes;
  if (vaAdd(found.end, bytes) > vaAdd(acl, ACL.AclSize.get(memory, acl))) return STATUS_ALLOTTED_SPACE_EXCEEDED;
  ACE_HEADER.AceType.set(memory, found.end, ace.type);
  ACE_HEADER.AceFlags.set(memory, found.end, ace.flags);
  ACE_HEADER.AceSize.set(memory, found.end, bytes);
  ACCESS_ALLOWED_ACE.Mask.set(memory, found.end, ace.mask);
  memory.copy(vaAdd(found.end, aceStart), ace.sid, sidBytes);
  ACL.AceCount.set(memory, acl, ACL.AceCount.get(memory, acl) + 1);
  ACL.AclRevision.set(memory, acl, Math.max(own, ace.revision));
  return STATUS_SUCCESS;
}

/** RtlAddAce: entries that stand one behind the other at `list`, inserted in front of entry `index`. */
export function addAces(
  memory: GuestMemory,
  acl: Va,
  revision: number,
  index: number,
  list: Va,
  bytes: number,
): number {
  const found = isValidAcl(memory, acl) ? entriesOf(memory, acl) : undefined;
  if (found === undefined) return STATUS_INVALID_PARAMETER;
  let count = 0;
  for (let at = 0; at < bytes; count++) {
    const size = at + ACE_HEADER.sizeBytes > bytes ? 0 : ACE_HEADER.AceSize.get(memory, vaAdd(list, at));
    if (size < ACE_HEADER.sizeBytes || at + size > bytes) return STATUS_INVALID_PARAMETER;
    at += size;
  }
  if (vaAdd(found.end, bytes) > vaAdd(acl, ACL.AclSize.get(memory, acl))) return STATUS_BUFFER_TOO_SMALL;
  const place = found.entries[index]?.at ?? found.end;
  const content = memory.readBytes(list, bytes);
  memory.copy(vaAdd(place, bytes), place, found.end - place);
  memory.writeBytes(place, content);
  ACL.AceCount.set(memory, acl, ACL.AceCount.get(memory, acl) + count);
  ACL.AclRevision.set(memory, acl, Math.max(ACL.AclRevision.get(memory, acl), revision));
  return STATUS_SUCCESS;
}

/** RtlDeleteAce */
export function deleteAce(memory: GuestMemory, acl: Va, index: number): number {
  const found = isValidAcl(memory, acl) ? entriesOf(memory, acl) : undefined;
  const ace = found?.entries[index];
  if (found === undefined || ace === undefined) return STATUS_INVALID_PARAMETER;
  const behind = vaAdd(ace.at, ace.bytes);
  memory.copy(ace.at, behind, found.end - behind);
  memory.fill(vaAdd(found.end, -ace.bytes), ace.bytes, 0);
  ACL.AceCount.set(memory, acl, ACL.AceCount.get(memory, acl) - 1);
  return STATUS_SUCCESS;
}

/** RtlGetAce: its address, null if there is none of that index. */
export function aceAt(memory: GuestMemory, acl: Va, index: number): Va {
  return entriesOf(memory, acl)?.entries[index]?.at ?? nullVa;
}

/** An ACL of entries given as data, as bytes. */
export function aclBytes(
  entries: readonly { readonly type: number; readonly mask: number; readonly sid: string }[],
): Uint8Array {
  const parts = entries.map(({ type, mask, sid }) => {
    const identifier = bytesOfSid(sid);
    const ace = new Uint8Array(aceStart + identifier.length);
    const view = new DataView(ace.buffer);
    view.setUint8(0, type);
    view.setUint16(2, ace.length, true);
    view.setUint32(4, mask, true);
    ace.set(identifier, aceStart);
    return ace;
  });
  const list = new Uint8Array(parts.reduce((sum, part) => sum + part.length, ACL.sizeBytes));
  const view = new DataView(list.buffer);
  view.setUint8(0, lowestRevision);
  view.setUint16(2, list.length, true);
  view.setUint16(4, entries.length, true);
  let at: number = ACL.sizeBytes;
  for (const part of parts) {
    list.set(part, at);
    at += part.length;
  }
  return list;
}
