/** What SeQueryInformationToken and NtQueryInformationToken tell of a token, as bytes for a place in guest memory. */
import { type Va, vaToU64 } from '../../base/va.ts';
import { SID_AND_ATTRIBUTES, TOKEN_GROUPS, TOKEN_PRIVILEGES, TOKEN_STATISTICS } from '../structures/security.ts';
import { AceType, aclBytes } from './acl.ts';
import { padded } from './descriptor.ts';
import { bytesOfSid } from './sid.ts';
import type { Token, TokenGroup } from './tokens.ts';
import { wellKnownSids } from './well-known.ts';

/** TOKEN_INFORMATION_CLASS */
export const TokenClass = {
  User: 1,
  Groups: 2,
  Privileges: 3,
  Owner: 4,
  PrimaryGroup: 5,
  DefaultDacl: 6,
  Source: 7,
  Type: 8,
  ImpersonationLevel: 9,
  Statistics: 10,
  SessionId: 12,
  ElevationType: 18,
  Elevation: 20,
  IntegrityLevel: 25,
} as const;

/** Builds the bytes of a structure that will stand at `at`: pointers in it are addresses there. */
class Building {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly at: Va;

  constructor(bytes: number, at: Va) {
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
    this.at = at;
  }

  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  part(pointerOffset: number, offset: number, content: Uint8Array): this {
    this.view.setBigUint64(pointerOffset, vaToU64((this.at + offset) as Va), true);
    this.bytes.set(content, offset);
    return this;
  }
}

function word(value: number, at: Va): Uint8Array {
  return new Building(4, at).u32(0, value).bytes;
}

/** A structure that starts with one pointer, and what it points to behind its `bytes`. */
function pointed(bytes: number, content: Uint8Array, at: Va): Building {
  return new Building(bytes + padded(content.length), at).part(0, bytes, content);
}

function groups(list: readonly TokenGroup[], at: Va): Uint8Array {
  const start = TOKEN_GROUPS.Groups.offset;
  const sids = list.map(({ sid }) => bytesOfSid(sid));
  let offset = start + list.length * SID_AND_ATTRIBUTES.sizeBytes;
  const building = new Building(
    sids.reduce((sum, sid) => sum + padded(sid.length), offset),
    at,
  );
  building.u32(0, list.length);
  for (const [index, sid] of sids.entries()) {
    const entry = start + index * SID_AND_ATTRIBUTES.sizeBytes;
    building.part(entry, offset, sid).u32(entry + 8, list[index]?.attributes ?? 0);
    offset += padded(sid.length);
  }
  return building.bytes;
}

function statistics(token: Token, at: Va): Uint8Array {
  const fields = TOKEN_STATISTICS;
  return new Building(fields.sizeBytes, at)
    .u32(fields.TokenId.offset, token.tokenId)
    .u32(fields.AuthenticationId.offset, token.authenticationId)
    .u32(fields.ExpirationTime.offset, 0xffff_ffff)
    .u32(fields.ExpirationTime.offset + 4, 0x7fff_ffff)
    .u32(fields.TokenType.offset, token.type)
    .u32(fields.ImpersonationLevel.offset, token.level)
    .u32(fields.DynamicCharged.offset, 0x1000)
    .u32(fields.DynamicAvailable.offset, 0xe00)
    .u32(fields.GroupCount.offset, token.groups.length)
    .u32(fields.PrivilegeCount.offset, token.privileges.length)
    .u32(fields.ModifiedId.offset, token.tokenId + 1).bytes;
}

function privilegeList(token: Token, at: Va): Uint8Array {
  const start = TOKEN_PRIVILEGES.Privileges.offset;
  const building = new Building(start + token.privileges.length * 12, at).u32(0, token.privileges.length);
  for (const [index, { luid, attributes }] of token.privileges.entries()) {
    building.u32(start + index * 12, luid).u32(start + index * 12 + 8, attributes);
  }
  return building.bytes;
}

const isAdministrator = (token: Token): boolean =>
  token.groups.some(({ sid, attributes }) => sid === wellKnownSids.SeAliasAdminsSid && (attributes & 4) !== 0);

/** The structure of that class for the address `at`; undefined for a class that is not known here. */
export function tokenInformation(token: Token, informationClass: number, at: Va): Uint8Array | undefined {
  switch (informationClass) {
    case TokenClass.User:
      return pointed(SID_AND_ATTRIBUTES.sizeBytes, bytesOfSid(token.user), at).bytes;
    case TokenClass.Groups:
      return groups(token.groups, at);
    case TokenClass.Privileges:
      return privilegeList(token, at);
    case TokenClass.Owner:
      return pointed(8, bytesOfSid(token.owner), at).bytes;
    case TokenClass.PrimaryGroup:
      return pointed(8, bytesOfSid(token.primaryGroup), at).bytes;
    case TokenClass.DefaultDacl:
      return pointed(8, defaultDacl(token), at).bytes;
    case TokenClass.Type:
      return word(token.type, at);
    case TokenClass.ImpersonationLevel:
      return word(token.level, at);
    case TokenClass.Statistics:
      return statistics(token, at);
    case TokenClass.SessionId:
      return word(token.sessionId, at);
    case TokenClass.ElevationType:
      return word(token.sessionId === 0 ? 1 : 2, at);
    case TokenClass.Elevation:
      return word(isAdministrator(token) ? 1 : 0, at);
    case TokenClass.IntegrityLevel: {
      const label = token.groups.find(({ attributes }) => (attributes & 0x20) !== 0);
      return pointed(SID_AND_ATTRIBUTES.sizeBytes, bytesOfSid(label?.sid ?? 'S-1-16-8192'), at).u32(8, 0x60).bytes;
    }
    default:
      return undefined;
  }
}

/** The list that objects get whose creator says nothing: the owner and SYSTEM may do everything. */
export function defaultDacl(token: Token): Uint8Array {
  const all = 0x1000_0000;
  return aclBytes([
    { type: AceType.Allowed, mask: all, sid: token.owner },
    { type: AceType.Allowed, mask: all, sid: wellKnownSids.SeLocalSystemSid },
  ]);
}
