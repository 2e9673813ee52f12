/** Access tokens: who a process or thread acts as. Made when somebody first asks for them. */
import { assert } from '../../base/errors.ts';
import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { privileges, wellKnownSids } from './well-known.ts';

export const TokenType = { Primary: 1, Impersonation: 2 } as const;
/** SECURITY_IMPERSONATION_LEVEL */
export const ImpersonationLevel = { Anonymous: 0, Identification: 1, Impersonation: 2, Delegation: 3 } as const;

export interface TokenGroup {
  readonly sid: string;
  readonly attributes: number;
}

export interface TokenPrivilege {
  readonly luid: number;
  readonly attributes: number;
}

export interface Token {
  readonly body: Va;
  readonly type: number;
  readonly level: number;
  readonly user: string;
  readonly groups: readonly TokenGroup[];
  readonly privileges: readonly TokenPrivilege[];
  readonly owner: string;
  readonly primaryGroup: string;
  /** Low parts of LUIDs. */
  readonly tokenId: number;
  readonly authenticationId: number;
  readonly sessionId: number;
}

export interface Impersonation {
  readonly token: Va;
  readonly copyOnOpen: boolean;
  readonly effectiveOnly: boolean;
  readonly level: number;
}

const tokenBytes = 0x400;
/** SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED, SE_GROUP_OWNER, SE_GROUP_INTEGRITY(_ENABLED) */
const enabledGroup = 7;
const ownerGroup = 8;
const integrityGroup = 0x60;
const enabledPrivilege = 3;
/** SYSTEM_LUID and that of an interactive logon. */
const systemLogon = 0x3e7;
const userLogon = 0x2_5f3a;
const userSid = 'S-1-5-21-1004336348-1177238915-682003330-1001';

type Content = Omit<Token, 'body' | 'tokenId'>;

const systemContent: Content = {
  type: TokenType.Primary,
  level: ImpersonationLevel.Anonymous,
  user: wellKnownSids.SeLocalSystemSid,
  groups: [
    { sid: wellKnownSids.SeAliasAdminsSid, attributes: 0xe },
    { sid: wellKnownSids.SeWorldSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeAuthenticatedUsersSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeSystemMandatorySid, attributes: integrityGroup },
  ],
  privileges: Object.values(privileges)
    .filter((luid) => luid !== privileges.SeUnsolicitedInputPrivilege)
    .map((luid) => ({ luid, attributes: enabledPrivilege })),
  owner: wellKnownSids.SeAliasAdminsSid,
  primaryGroup: wellKnownSids.SeLocalSystemSid,
  authenticationId: systemLogon,
  sessionId: 0,
};

/** Enabled in the token of an administrator who confirmed the elevation; the others are held and disabled. */
const enabledForAdministrators: readonly number[] = [
  privileges.SeChangeNotifyPrivilege,
  privileges.SeImpersonatePrivilege,
  privileges.SeCreateGlobalPrivilege,
];
const notForAdministrators: readonly number[] = [
  privileges.SeCreateTokenPrivilege,
  privileges.SeAssignPrimaryTokenPrivilege,
  privileges.SeLockMemoryPrivilege,
  privileges.SeUnsolicitedInputPrivilege,
  privileges.SeTcbPrivilege,
  privileges.SeCreatePermanentPrivilege,
  privileges.SeAuditPrivilege,
  privileges.SeSyncAgentPrivilege,
  privileges.SeEnableDelegationPrivilege,
  privileges.SeTrustedCredManAccessPrivilege,
  privileges.SeRelabelPrivilege,
];

const requesterContent: Content = {
  type: TokenType.Primary,
  level: ImpersonationLevel.Anonymous,
  user: userSid,
  groups: [
    { sid: `${userSid.slice(0, userSid.lastIndexOf('-'))}-513`, attributes: enabledGroup },
    { sid: wellKnownSids.SeWorldSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeAliasAdminsSid, attributes: enabledGroup | ownerGroup },
    { sid: wellKnownSids.SeAliasUsersSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeInteractiveSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeAuthenticatedUsersSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeLocalSid, attributes: enabledGroup },
    { sid: wellKnownSids.SeHighMandatorySid, attributes: integrityGroup },
  ],
  privileges: Object.values(privileges)
    .filter((luid) => !notForAdministrators.includes(luid))
    .map((luid) => ({ luid, attributes: enabledForAdministrators.includes(luid) ? enabledPrivilege : 0 })),
  owner: wellKnownSids.SeAliasAdminsSid,
  primaryGroup: `${userSid.slice(0, userSid.lastIndexOf('-'))}-513`,
  authenticationId: userLogon,
  sessionId: 1,
};

export class Tokens {
  private readonly nt: Nt;
  private readonly tokens: StoreMap<number, Token>;
  private readonly ofProcesses: StoreMap<number, Va>;
  private readonly impersonations: StoreMap<number, Impersonation>;
  private readonly nextId: StoreCell<number>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.tokens = nt.stores.map('se/tokens');
    this.ofProcesses = nt.stores.map('se/process-tokens');
    this.impersonations = nt.stores.map('se/impersonations');
    this.nextId = nt.stores.cell('se/next-luid', 0x3_0000);
  }

  /** The token at an address; undefined for what is none. */
  find(body: Va): Token | undefined {
    return this.tokens.get(body);
  }

  get(body: Va): Token {
    const token = this.tokens.get(body);
    assert(token, 'a token is looked up by its address');
    return token;
  }

  /** Primary token of a process; the process keeps its one reference. */
  primary(process: Va): Token {
    const known = this.ofProcesses.get(process);
    if (known !== undefined) return this.get(known);
    const token = this.create(process === this.nt.processor.requesterProcess ? requesterContent : systemContent);
    this.ofProcesses.set(process, token.body);
    return token;
  }

  /** A new token with one reference of its creator. */
  create(content: Content): Token {
    const body = this.nt.pool.allocateKernel(tokenBytes, 'Toke');
    const token = { ...content, body, tokenId: this.newLuid() };
    this.tokens.set(body, token);
    this.nt.objects.create(body, 'Token', undefined);
    return token;
  }

  copyForImpersonation(token: Token, level: number): Token {
    return this.create({ ...token, type: TokenType.Impersonation, level });
  }

  /** The last reference went. */
  freeBody(body: Va): void {
    this.tokens.delete(body);
    this.nt.pool.freeKernel(body);
  }

  newLuid(): number {
    this.nextId.value += 1;
    return this.nextId.value;
  }

  // ---- threads that act as somebody else

  impersonation(kthread: Va): Impersonation | undefined {
    return this.impersonations.get(kthread);
  }

  /** The thread takes over a reference to the token. Undefined: it acts for itself again. The token of before is dropped. */
  setImpersonation(kthread: Va, impersonation: Impersonation | undefined): Va | undefined {
    const before = this.impersonations.get(kthread)?.token;
    if (impersonation === undefined) this.impersonations.delete(kthread);
    else this.impersonations.set(kthread, impersonation);
    return before;
  }

  /** The token by which the thread's accesses are judged. */
  effective(kthread: Va): Token {
    const impersonation = this.impersonations.get(kthread);
    if (impersonation !== undefined) return this.get(impersonation.token);
    return this.primary(this.nt.scheduler.findThread(kthread)?.process ?? this.nt.processor.systemProcess);
  }

  has(token: Token, luid: number): boolean {
    return token.privileges.some((held) => held.luid === luid && (held.attributes & 2) !== 0);
  }

  /** Whether the SID is in the token; for a denial, groups that only deny count too (SE_GROUP_USE_FOR_DENY_ONLY). */
  isMember(token: Token, sid: string, denies = false): boolean {
    if (token.user === sid) return true;
    return token.groups.some((group) => group.sid === sid && (group.attributes & (denies ? 0x14 : 4)) !== 0);
  }
}
