/** Tokens as drivers get and question them, and threads that act for a client. */
import { nullVa, type Va, vaToU64 } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, BOOLEAN, HANDLE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BAD_IMPERSONATION_LEVEL,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_HANDLE,
  STATUS_NO_MEMORY,
  STATUS_NO_TOKEN,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { referenceObject, releaseObject } from '../ob/references.ts';
import { PoolType } from '../structures/pool.ts';
import { SECURITY_CLIENT_CONTEXT, SECURITY_QUALITY_OF_SERVICE } from '../structures/security.ts';
import { TokenClass, tokenInformation } from './token-information.ts';
import { ImpersonationLevel, type Token, TokenType } from './tokens.ts';
import { wellKnownSids } from './well-known.ts';

const informationTag = tagOf('SeTi');
const objKernelHandle = 0x200;
const currentProcessHandle = -1;
const currentThreadHandle = -2;
const dynamicTracking = 1;
const ptoken = pointerTo('TOKEN');
const pcontext = pointerTo('SECURITY_CLIENT_CONTEXT');

/** Windows would read whatever lies at an address that is no token. */
function withToken(nt: Nt, body: Va, answer: (token: Token) => Outcome): Outcome {
  const token = nt.tokens.find(body);
  return token === undefined ? unsupported('a question about an address that is no token') : answer(token);
}

/** Classes whose structure is put in the caller's own variable. */
const inPlace: readonly number[] = [TokenClass.SessionId];
/** Classes of which the documentation does not say whether a pointer or the value comes back. */
const undecided: readonly number[] = [TokenClass.IntegrityLevel, TokenClass.Elevation, TokenClass.ElevationType];

/** A block of paged pool that the driver frees. */
function query(nt: Nt, token: Token, informationClass: number, at: Va, call: Call): Outcome {
  const probe = undecided.includes(informationClass) ? undefined : tokenInformation(token, informationClass, nullVa);
  if (probe === undefined) return unsupported(`SeQueryInformationToken of class ${informationClass}`);
  if (inPlace.includes(informationClass)) {
    nt.memory.writeBytes(at, probe);
    return STATUS_SUCCESS;
  }
  const request = { poolType: PoolType.PagedPool, bytes: probe.length, tag: informationTag };
  const block = nt.pool.allocate(request, call);
  if (block === undefined) return STATUS_NO_MEMORY;
  nt.memory.writeBytes(block, tokenInformation(token, informationClass, block) ?? probe);
  nt.memory.writeVa(at, block);
  return STATUS_SUCCESS;
}

interface TokenQuery {
  readonly TokenHandle: Va;
  readonly TokenInformationClass: number;
  readonly TokenInformation: Va;
  readonly TokenInformationLength: number;
  readonly ReturnLength: Va;
}

function queryByHandle(nt: Nt, args: TokenQuery, isUserMode: boolean): Outcome {
  const tokenQuery = 8;
  const { status, entry } = nt.objects.resolveHandle(args.TokenHandle, tokenQuery, 'Token', isUserMode);
  if (entry === undefined) return status;
  const token = nt.tokens.get(entry.body);
  const content = tokenInformation(token, args.TokenInformationClass, args.TokenInformation);
  if (content === undefined) return unsupported(`NtQueryInformationToken of class ${args.TokenInformationClass}`);
  nt.memory.writeU32(args.ReturnLength, content.length);
  if (content.length > args.TokenInformationLength) return STATUS_BUFFER_TOO_SMALL;
  nt.memory.writeBytes(args.TokenInformation, content);
  return STATUS_SUCCESS;
}

interface OpenToken {
  readonly Handle: Va;
  readonly DesiredAccess: number;
  readonly HandleAttributes: number;
  readonly TokenHandle: Va;
}

function handleTo(token: Token, args: OpenToken, call: Call): number {
  const { nt } = call;
  const isKernelHandle = (args.HandleAttributes & objKernelHandle) !== 0;
  const handle = nt.objects.createHandle(token.body, args.DesiredAccess, isKernelHandle, holderOf(nt, call));
  nt.memory.writeU64(args.TokenHandle, vaToU64(handle as Va));
  return STATUS_SUCCESS;
}

/** A process or thread by handle; a status if it is none. */
function bodyOf(nt: Nt, handle: Va, type: 'Process' | 'Thread'): { readonly status: number; readonly body: Va } {
  const thread = nt.scheduler.currentThread;
  const current = type === 'Process' ? currentProcessHandle : currentThreadHandle;
  if (handle === current) {
    return { status: STATUS_SUCCESS, body: type === 'Process' ? thread.process : thread.kthread };
  }
  const body = nt.objects.handle(handle)?.body;
  if (body === undefined) return { status: STATUS_INVALID_HANDLE, body: nullVa };
  const isRight = nt.objects.get(body)?.type === type;
  return { status: isRight ? STATUS_SUCCESS : STATUS_OBJECT_TYPE_MISMATCH, body };
}

function openProcessToken(args: OpenToken, call: Call): number {
  const { status, body } = bodyOf(call.nt, args.Handle, 'Process');
  return status === STATUS_SUCCESS ? handleTo(call.nt.tokens.primary(body), args, call) : status;
}

function openThreadToken(args: OpenToken, call: Call): number {
  const { nt } = call;
  const { status, body } = bodyOf(nt, args.Handle, 'Thread');
  if (status !== STATUS_SUCCESS) return status;
  const impersonation = nt.tokens.impersonation(body);
  return impersonation === undefined ? STATUS_NO_TOKEN : handleTo(nt.tokens.get(impersonation.token), args, call);
}

// ---- acting for a client

/** Takes over the thread's reference to the new token; drops that to the old one. */
function impersonate(
  nt: Nt,
  kthread: Va,
  token: Va | undefined,
  effectiveOnly: boolean,
  copies: boolean,
  level: number,
) {
  if (token !== undefined) referenceObject(nt, token);
  const before = nt.tokens.setImpersonation(
    kthread,
    token === undefined ? undefined : { token, copyOnOpen: copies, effectiveOnly, level },
  );
  if (before !== undefined) releaseObject(nt, before);
}

interface ClientSecurity {
  readonly ClientThread: Va;
  readonly ClientSecurityQos: Va;
  readonly RemoteSession: boolean;
  readonly ClientContext: Va;
}

/** The driver drops the context's token with SeDeleteClientSecurity (an inline: PsDereference…Token). */
function createClientSecurity(nt: Nt, args: ClientSecurity, call: Call): number {
  const { memory } = nt;
  const { ClientSecurityQos: qos, ClientContext: context } = args;
  const effective = nt.tokens.effective(args.ClientThread);
  const level = SECURITY_QUALITY_OF_SERVICE.ImpersonationLevel.get(memory, qos);
  const isImpersonation = effective.type === TokenType.Impersonation;
  if (isImpersonation && level > effective.level) return STATUS_BAD_IMPERSONATION_LEVEL;
  const isDynamic = SECURITY_QUALITY_OF_SERVICE.ContextTrackingMode.get(memory, qos) === dynamicTracking;
  let token = effective.body;
  if (isDynamic) referenceObject(nt, token);
  else token = nt.tokens.copyForImpersonation(effective, level).body;
  nt.events.emit('referenceGiven', { object: token, image: call.image });
  memory.fill(context, SECURITY_CLIENT_CONTEXT.sizeBytes, 0);
  memory.copy(context, qos, SECURITY_QUALITY_OF_SERVICE.sizeBytes);
  SECURITY_CLIENT_CONTEXT.ClientToken.set(memory, context, token);
  SECURITY_CLIENT_CONTEXT.DirectlyAccessClientToken.set(memory, context, isDynamic ? 1 : 0);
  SECURITY_CLIENT_CONTEXT.ServerIsRemote.set(memory, context, args.RemoteSession ? 1 : 0);
  return STATUS_SUCCESS;
}

function impersonateClient(nt: Nt, context: Va, thread: Va): number {
  const { memory } = nt;
  const token = SECURITY_CLIENT_CONTEXT.ClientToken.get(memory, context);
  const level = SECURITY_QUALITY_OF_SERVICE.ImpersonationLevel.get(memory, context);
  const effectiveOnly = SECURITY_QUALITY_OF_SERVICE.EffectiveOnly.get(memory, context) !== 0;
  const kthread = thread === nullVa ? nt.scheduler.currentThread.kthread : thread;
  impersonate(nt, kthread, token, effectiveOnly, false, level);
  return STATUS_SUCCESS;
}

const dereference = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { Token: ptoken },
    returns: 'VOID',
    body: (nt, { Token: token }) => void releaseObject(nt, token) as undefined,
  });

const openProcessRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { Handle: HANDLE, DesiredAccess: ACCESS_MASK, TokenHandle: PVOID },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => openProcessToken({ ...args, HandleAttributes: 0 }, call),
  });

const openProcessExRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { Handle: HANDLE, DesiredAccess: ACCESS_MASK, HandleAttributes: ULONG, TokenHandle: PVOID },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => openProcessToken(args, call),
  });

const openThreadRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      Handle: HANDLE,
      DesiredAccess: ACCESS_MASK,
      OpenAsSelf: BOOLEAN,
      HandleAttributes: ULONG,
      TokenHandle: PVOID,
    },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => openThreadToken(args, call),
  });

const queryRoutine = (doc: string, isUser: (nt: Nt) => boolean) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      TokenHandle: HANDLE,
      TokenInformationClass: ULONG,
      TokenInformation: PVOID,
      TokenInformationLength: ULONG,
      ReturnLength: PVOID,
    },
    returns: 'NTSTATUS',
    support: { partial: 'classes beyond users, groups, privileges, type, statistics, session and elevation' },
    body: (nt, args) => queryByHandle(nt, args, isUser(nt)),
  });

export const seTokens = ntExports('ntoskrnl.exe', {
  PsReferencePrimaryToken: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-psreferenceprimarytoken',
    irql: passiveOnly,
    params: { Process: PVOID },
    returns: 'PVOID',
    body: (nt, { Process }) => {
      const { body } = nt.tokens.primary(Process);
      referenceObject(nt, body);
      return body;
    },
  }),
  PsDereferencePrimaryToken: dereference('ntifs.h; nf-ntifs-psdereferenceprimarytoken'),
  PsDereferenceImpersonationToken: dereference('ntifs.h; nf-ntifs-psdereferenceimpersonationtoken'),
  PsReferenceImpersonationToken: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-psreferenceimpersonationtoken',
    irql: passiveOnly,
    params: { Thread: PVOID, CopyOnOpen: PVOID, EffectiveOnly: PVOID, ImpersonationLevel: PVOID },
    returns: 'PVOID',
    body: (nt, args) => {
      const impersonation = nt.tokens.impersonation(args.Thread);
      if (impersonation === undefined) return nullVa;
      referenceObject(nt, impersonation.token);
      nt.memory.writeU8(args.CopyOnOpen, impersonation.copyOnOpen ? 1 : 0);
      nt.memory.writeU8(args.EffectiveOnly, impersonation.effectiveOnly ? 1 : 0);
      nt.memory.writeU32(args.ImpersonationLevel, impersonation.level);
      return impersonation.token;
    },
  }),
  PsImpersonateClient: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-psimpersonateclient',
    irql: passiveOnly,
    params: { Thread: PVOID, Token: ptoken, CopyOnOpen: BOOLEAN, EffectiveOnly: BOOLEAN, ImpersonationLevel: ULONG },
    returns: 'NTSTATUS',
    body: (nt, args) => {
      const token = args.Token === nullVa ? undefined : args.Token;
      impersonate(nt, args.Thread, token, args.EffectiveOnly, args.CopyOnOpen, args.ImpersonationLevel);
      return STATUS_SUCCESS;
    },
  }),
  PsRevertToSelf: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-psreverttoself',
    irql: passiveOnly,
    params: {},
    returns: 'VOID',
    body: (nt) => impersonate(nt, nt.scheduler.currentThread.kthread, undefined, false, false, 0) as undefined,
  }),
  PsIsThreadImpersonating: ntRoutine({
    doc: 'ntifs.h; whether a thread has a token of its own',
    irql: upToApc,
    params: { Thread: PVOID },
    returns: 'BOOLEAN',
    body: (nt, { Thread }) => nt.tokens.impersonation(Thread) !== undefined,
  }),
  SeCreateClientSecurity: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-secreateclientsecurity',
    irql: passiveOnly,
    params: {
      ClientThread: PVOID,
      ClientSecurityQos: pointerTo('SECURITY_QUALITY_OF_SERVICE'),
      RemoteSession: BOOLEAN,
      ClientContext: pcontext,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) => createClientSecurity(nt, args, call),
  }),
  SeImpersonateClientEx: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-seimpersonateclientex',
    irql: passiveOnly,
    params: { ClientContext: pcontext, ServerThread: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { ClientContext, ServerThread }) => impersonateClient(nt, ClientContext, ServerThread),
  }),
  SeImpersonateClient: ntRoutine({
    doc: 'ntifs.h; as SeImpersonateClientEx, without an answer',
    irql: passiveOnly,
    params: { ClientContext: pcontext, ServerThread: PVOID },
    returns: 'VOID',
    body: (nt, { ClientContext, ServerThread }) => void impersonateClient(nt, ClientContext, ServerThread) as undefined,
  }),
  SeTokenType: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-setokentype',
    irql: passiveOnly,
    params: { Token: ptoken },
    returns: 'ULONG',
    body: (nt, args) => withToken(nt, args.Token, ({ type }) => type),
  }),
  SeTokenImpersonationLevel: ntRoutine({
    doc: 'ntifs.h; level of an impersonation token',
    irql: passiveOnly,
    params: { Token: ptoken },
    returns: 'ULONG',
    body: (nt, args) =>
      withToken(nt, args.Token, ({ type, level }) =>
        type === TokenType.Primary ? ImpersonationLevel.Anonymous : level,
      ),
  }),
  SeTokenIsAdmin: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-setokenisadmin',
    irql: passiveOnly,
    params: { Token: ptoken },
    returns: 'BOOLEAN',
    body: (nt, args) => withToken(nt, args.Token, (token) => nt.tokens.isMember(token, wellKnownSids.SeAliasAdminsSid)),
  }),
  SeTokenIsRestricted: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-setokenisrestricted',
    irql: passiveOnly,
    params: { Token: ptoken },
    returns: 'BOOLEAN',
    body: (nt, args) => withToken(nt, args.Token, () => false),
  }),
  SeQueryAuthenticationIdToken: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-sequeryauthenticationidtoken',
    irql: passiveOnly,
    params: { Token: ptoken, AuthenticationId: pointerTo('LUID') },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withToken(nt, args.Token, ({ authenticationId }) => {
        nt.memory.writeU64(args.AuthenticationId, BigInt(authenticationId));
        return STATUS_SUCCESS;
      }),
  }),
  SeQuerySessionIdToken: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-sequerysessionidtoken',
    irql: passiveOnly,
    params: { Token: ptoken, SessionId: pointerTo('ULONG') },
    returns: 'NTSTATUS',
    body: (nt, args) =>
      withToken(nt, args.Token, ({ sessionId }) => {
        nt.memory.writeU32(args.SessionId, sessionId);
        return STATUS_SUCCESS;
      }),
  }),
  /** The block is the driver's to free with ExFreePool. */
  SeQueryInformationToken: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-sequeryinformationtoken',
    irql: passiveOnly,
    params: { Token: ptoken, TokenInformationClass: ULONG, TokenInformation: PVOID },
    returns: 'NTSTATUS',
    support: { partial: 'classes beyond users, groups, privileges, type, statistics and session' },
    body: (nt, args, call) =>
      withToken(nt, args.Token, (token) => query(nt, token, args.TokenInformationClass, args.TokenInformation, call)),
  }),
  ZwQueryInformationToken: queryRoutine('ntifs.h; nf-ntifs-zwqueryinformationtoken', () => false),
  NtQueryInformationToken: queryRoutine('ntifs.h; nf-ntifs-ntqueryinformationtoken', (nt) => nt.previousMode !== 0),
  ZwOpenProcessTokenEx: openProcessExRoutine('ntifs.h; nf-ntifs-zwopenprocesstokenex'),
  NtOpenProcessTokenEx: openProcessExRoutine('ntifs.h; nf-ntifs-ntopenprocesstokenex'),
  ZwOpenProcessToken: openProcessRoutine('ntifs.h; as ZwOpenProcessTokenEx'),
  NtOpenProcessToken: openProcessRoutine('ntifs.h; nf-ntifs-ntopenprocesstoken'),
  ZwOpenThreadTokenEx: openThreadRoutine('ntifs.h; nf-ntifs-zwopenthreadtokenex'),
  NtOpenThreadTokenEx: openThreadRoutine('ntifs.h; nf-ntifs-ntopenthreadtokenex'),
});
