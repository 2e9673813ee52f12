/** SeAccessCheck: what a descriptor grants to a token. */
import { nullVa, type Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ACCESS_DENIED, STATUS_PRIVILEGE_NOT_HELD, STATUS_SUCCESS } from '../ntstatus.ts';
import { ACCESS_ALLOWED_ACE, GENERIC_MAPPING } from '../structures/security.ts';
import { AceType, entriesOf, inheritOnlyAce } from './acl.ts';
import { partAt } from './descriptor.ts';
import { sidText } from './sid.ts';
import type { Token } from './tokens.ts';
import { privileges, wellKnownSids } from './well-known.ts';

export const Right = {
  ReadControl: 0x2_0000,
  WriteDac: 0x4_0000,
  WriteOwner: 0x8_0000,
  SystemSecurity: 0x0100_0000,
  MaximumAllowed: 0x0200_0000,
} as const;

export interface GenericMapping {
  readonly read: number;
  readonly write: number;
  readonly execute: number;
  readonly all: number;
}

/** FILE_GENERIC_READ and so on: files and devices. */
export const fileMapping: GenericMapping = { read: 0x12_0089, write: 0x12_0116, execute: 0x12_00a0, all: 0x1f_01ff };

export function readMapping(memory: GuestMemory, at: Va): GenericMapping {
  return {
    read: GENERIC_MAPPING.GenericRead.get(memory, at),
    write: GENERIC_MAPPING.GenericWrite.get(memory, at),
    execute: GENERIC_MAPPING.GenericExecute.get(memory, at),
    all: GENERIC_MAPPING.GenericAll.get(memory, at),
  };
}

export function mapGeneric(mask: number, mapping: GenericMapping): number {
  let mapped = mask & 0x0fff_ffff;
  if ((mask & 0x8000_0000) !== 0) mapped |= mapping.read;
  if ((mask & 0x4000_0000) !== 0) mapped |= mapping.write;
  if ((mask & 0x2000_0000) !== 0) mapped |= mapping.execute;
  if ((mask & 0x1000_0000) !== 0) mapped |= mapping.all;
  return mapped >>> 0;
}

export interface AccessQuestion {
  readonly descriptor: Va;
  readonly token: Token;
  readonly desired: number;
  readonly previouslyGranted: number;
  readonly mapping: GenericMapping;
}

export interface AccessAnswer {
  readonly status: number;
  readonly granted: number;
  /** LUIDs of the privileges that were needed. */
  readonly usedPrivileges: readonly number[];
}

const denied = (status: number): AccessAnswer => ({ status, granted: 0, usedPrivileges: [] });

/** The check in user mode; kernel mode is granted everything before it comes to this. */
export function checkAccess(nt: Nt, question: AccessQuestion): AccessAnswer {
  const { token, mapping } = question;
  const desired = mapGeneric(question.desired, mapping);
  const wantsMaximum = (desired & Right.MaximumAllowed) !== 0;
  let granted = question.previouslyGranted;
  let left = desired & ~Right.MaximumAllowed & ~granted;
  const used: number[] = [];
  if ((left & Right.SystemSecurity) !== 0) {
    if (!nt.tokens.has(token, privileges.SeSecurityPrivilege)) return denied(STATUS_PRIVILEGE_NOT_HELD);
    used.push(privileges.SeSecurityPrivilege);
    granted |= Right.SystemSecurity;
    left &= ~Right.SystemSecurity;
  }
  if ((left & Right.WriteOwner) !== 0 && nt.tokens.has(token, privileges.SeTakeOwnershipPrivilege)) {
    used.push(privileges.SeTakeOwnershipPrivilege);
    granted |= Right.WriteOwner;
    left &= ~Right.WriteOwner;
  }
  const { allowed, refused } = listAnswer(nt, question, left, wantsMaximum);
  if (wantsMaximum) granted |= allowed;
  if (refused || (left & ~allowed) !== 0) return denied(STATUS_ACCESS_DENIED);
  granted |= left;
  if (granted === 0) return denied(STATUS_ACCESS_DENIED);
  return { status: STATUS_SUCCESS, granted: granted >>> 0, usedPrivileges: used };
}

/** What the discretionary list says of the token, entry by entry: the first that names a right decides it. */
function listAnswer(
  { memory, tokens }: Nt,
  { descriptor, token, mapping }: AccessQuestion,
  wanted: number,
  wantsMaximum: boolean,
): { readonly allowed: number; readonly refused: boolean } {
  const list = partAt(memory, descriptor, 'Dacl');
  if (list === nullVa) return { allowed: mapGeneric(0x1000_0000, mapping) | wanted, refused: false };
  const found = entriesOf(memory, list);
  if (found === undefined) return { allowed: 0, refused: true };
  let allowed = 0;
  let refused = 0;
  const entries = found.entries
    .filter(({ type, flags }) => type <= AceType.Denied && (flags & inheritOnlyAce) === 0)
    .map(({ type, at }) => ({
      type,
      mask: mapGeneric(ACCESS_ALLOWED_ACE.Mask.get(memory, at), mapping),
      sid: sidText(memory, ACCESS_ALLOWED_ACE.SidStart.at(at)),
    }));
  const owner = partAt(memory, descriptor, 'Owner');
  const isOwner = owner !== nullVa && tokens.isMember(token, sidText(memory, owner));
  // An entry for OWNER RIGHTS takes the place of what owners have by themselves.
  if (isOwner && !entries.some(({ sid }) => sid === wellKnownSids.SeOwnerRightsSid)) {
    allowed |= Right.ReadControl | Right.WriteDac;
  }
  for (const { type, mask, sid } of entries) {
    const isAllowed = type === AceType.Allowed;
    const isFor = sid === wellKnownSids.SeOwnerRightsSid ? isOwner : tokens.isMember(token, sid, !isAllowed);
    if (!isFor) continue;
    if (isAllowed) allowed |= mask & ~refused;
    else refused |= mask & ~allowed;
    if (!wantsMaximum && (wanted & ~allowed) === 0) break;
  }
  return { allowed, refused: (wanted & refused & ~allowed) !== 0 };
}
