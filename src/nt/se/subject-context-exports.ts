/** Subject contexts (who asks), access checks and privileges. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import {
  ACCESS_MASK,
  BOOLEAN,
  KPROCESSOR_MODE,
  PVOID,
  pointerTo,
  type ReturnType,
  ULONG64,
} from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ACCESS_DENIED, STATUS_BAD_IMPERSONATION_LEVEL, STATUS_NO_MEMORY, STATUS_SUCCESS } from '../ntstatus.ts';
import { referenceObject, releaseObject } from '../ob/references.ts';
import { PoolType } from '../structures/pool.ts';
import { LUID_AND_ATTRIBUTES, PRIVILEGE_SET, SECURITY_SUBJECT_CONTEXT } from '../structures/security.ts';
import { checkAccess, mapGeneric, Right, readMapping } from './access-check.ts';
import { ImpersonationLevel, type Token } from './tokens.ts';

const pcontext = pointerTo('SECURITY_SUBJECT_CONTEXT');
const usedForAccess = 0x8000_0000;
const allNecessary = 1;
const privilegeTag = tagOf('Sepr');

/** The driver holds a reference that its routine SeReleaseSubjectContext drops. */
function give(nt: Nt, token: Va, call: Call): void {
  referenceObject(nt, token);
  nt.events.emit('referenceGiven', { object: token, image: call.image });
}

function take(nt: Nt, token: Va, call: Call): void {
  if (token === nullVa) return;
  nt.events.emit('referenceReturned', { object: token, image: call.image });
  releaseObject(nt, token);
}

function capture(nt: Nt, thread: Va, process: Va, context: Va, call: Call): undefined {
  const { memory, tokens } = nt;
  const impersonation = tokens.impersonation(thread);
  const primary = tokens.primary(process).body;
  memory.fill(context, SECURITY_SUBJECT_CONTEXT.sizeBytes, 0);
  SECURITY_SUBJECT_CONTEXT.PrimaryToken.set(memory, context, primary);
  SECURITY_SUBJECT_CONTEXT.ProcessAuditId.set(memory, context, nt.processor.processId(process) as Va);
  give(nt, primary, call);
  if (impersonation === undefined) return;
  SECURITY_SUBJECT_CONTEXT.ClientToken.set(memory, context, impersonation.token);
  SECURITY_SUBJECT_CONTEXT.ImpersonationLevel.set(memory, context, impersonation.level);
  give(nt, impersonation.token, call);
}

function release(nt: Nt, context: Va, call: Call): undefined {
  for (const field of [SECURITY_SUBJECT_CONTEXT.PrimaryToken, SECURITY_SUBJECT_CONTEXT.ClientToken]) {
    const token = field.get(nt.memory, context);
    field.set(nt.memory, context, nullVa);
    take(nt, token, call);
  }
}

/** The token that decides: the client's if there is one. Undefined if its level does not do for that. */
function decidingToken(nt: Nt, context: Va): Token | undefined {
  const client = SECURITY_SUBJECT_CONTEXT.ClientToken.get(nt.memory, context);
  if (client === nullVa) return nt.tokens.get(SECURITY_SUBJECT_CONTEXT.PrimaryToken.get(nt.memory, context));
  const level = SECURITY_SUBJECT_CONTEXT.ImpersonationLevel.get(nt.memory, context);
  return level < ImpersonationLevel.Impersonation ? undefined : nt.tokens.get(client);
}

interface AccessCheck {
  readonly SecurityDescriptor: Va;
  readonly SubjectSecurityContext: Va;
  readonly DesiredAccess: number;
  readonly PreviouslyGrantedAccess: number;
  readonly Privileges: Va;
  readonly GenericMapping: Va;
  readonly AccessMode: number;
  readonly GrantedAccess: Va;
  readonly AccessStatus: Va;
}

function accessCheck(nt: Nt, args: AccessCheck, call: Call): boolean {
  const { memory } = nt;
  const answer = (status: number, granted: number): boolean => {
    memory.writeU32(args.GrantedAccess, granted);
    memory.writeU32(args.AccessStatus, status);
    return status === STATUS_SUCCESS;
  };
  const mapping = readMapping(memory, args.GenericMapping);
  if (args.AccessMode === 0) {
    const desired = mapGeneric(args.DesiredAccess, mapping);
    const extra = (desired & Right.MaximumAllowed) !== 0 ? mapping.all : 0;
    return answer(STATUS_SUCCESS, ((desired & ~Right.MaximumAllowed) | extra | args.PreviouslyGrantedAccess) >>> 0);
  }
  if (args.SecurityDescriptor === nullVa) return answer(STATUS_ACCESS_DENIED, 0);
  const token = decidingToken(nt, args.SubjectSecurityContext);
  if (token === undefined) return answer(STATUS_BAD_IMPERSONATION_LEVEL, 0);
  const { status, granted, usedPrivileges } = checkAccess(nt, {
    descriptor: args.SecurityDescriptor,
    token,
    desired: args.DesiredAccess,
    previouslyGranted: args.PreviouslyGrantedAccess,
    mapping,
  });
  if (args.Privileges !== nullVa) {
    memory.writeVa(args.Privileges, nullVa);
    if (usedPrivileges.length > 0 && !givePrivileges(nt, args.Privileges, usedPrivileges, call)) {
      return answer(STATUS_NO_MEMORY, 0);
    }
  }
  return answer(status, granted);
}

/** A PRIVILEGE_SET that the driver frees with SeFreePrivileges. */
function givePrivileges(nt: Nt, at: Va, luids: readonly number[], call: Call): boolean {
  const { memory } = nt;
  const bytes = PRIVILEGE_SET.Privilege.offset + luids.length * LUID_AND_ATTRIBUTES.sizeBytes;
  const set = nt.pool.allocate({ poolType: PoolType.PagedPool, bytes, tag: privilegeTag }, call);
  if (set === undefined) return false;
  PRIVILEGE_SET.PrivilegeCount.set(memory, set, luids.length);
  PRIVILEGE_SET.Control.set(memory, set, 0);
  for (const [index, luid] of luids.entries()) {
    const entry = vaAdd(PRIVILEGE_SET.Privilege.at(set), index * LUID_AND_ATTRIBUTES.sizeBytes);
    memory.writeU64(entry, BigInt(luid));
    LUID_AND_ATTRIBUTES.Attributes.set(memory, entry, usedForAccess);
  }
  memory.writeVa(at, set);
  return true;
}

function privilegeCheck(nt: Nt, set: Va, context: Va, mode: number): boolean {
  if (mode === 0) return true;
  const { memory } = nt;
  const token = decidingToken(nt, context);
  if (token === undefined) return false;
  const count = PRIVILEGE_SET.PrivilegeCount.get(memory, set);
  let held = 0;
  for (let index = 0; index < count; index++) {
    const entry = vaAdd(PRIVILEGE_SET.Privilege.at(set), index * LUID_AND_ATTRIBUTES.sizeBytes);
    const luid = memory.readU64(entry);
    if (luid > 0xffff_ffffn || !nt.tokens.has(token, Number(luid))) continue;
    held++;
    LUID_AND_ATTRIBUTES.Attributes.set(
      memory,
      entry,
      (LUID_AND_ATTRIBUTES.Attributes.get(memory, entry) | usedForAccess) >>> 0,
    );
  }
  const needsAll = (PRIVILEGE_SET.Control.get(memory, set) & allNecessary) !== 0;
  return needsAll ? held === count : held > 0 || count === 0;
}

const contextRoutine = (
  doc: string,
  body: (nt: Nt, context: Va, call: Call) => undefined,
  returns: ReturnType = 'VOID',
) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { SubjectContext: pcontext },
    returns,
    body: (nt, { SubjectContext }, call) => body(nt, SubjectContext, call),
  });

/** The tokens' locks are entered as critical regions: they must be left in the same thread. */
function changeLocks(nt: Nt, context: Va, by: number): undefined {
  const { kthread, kernelApcDisable } = nt.scheduler.currentThread;
  const client = SECURITY_SUBJECT_CONTEXT.ClientToken.get(nt.memory, context);
  const locks = client === nullVa ? 1 : 2;
  nt.scheduler.update(kthread, { kernelApcDisable: kernelApcDisable + by * locks });
}

export const seSubjectContexts = ntExports('ntoskrnl.exe', {
  SeCaptureSubjectContext: contextRoutine('ntifs.h; nf-ntifs-secapturesubjectcontext', (nt, context, call) => {
    const { kthread, process } = nt.scheduler.currentThread;
    return capture(nt, kthread, process, context, call);
  }),
  SeCaptureSubjectContextEx: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-secapturesubjectcontextex',
    irql: passiveOnly,
    params: { Thread: PVOID, Process: PVOID, SubjectContext: pcontext },
    returns: 'VOID',
    body: (nt, { Thread, Process, SubjectContext }, call) => capture(nt, Thread, Process, SubjectContext, call),
  }),
  SeReleaseSubjectContext: contextRoutine('ntifs.h; nf-ntifs-sereleasesubjectcontext', release),
  SeLockSubjectContext: contextRoutine('ntifs.h; nf-ntifs-selocksubjectcontext', (nt, context) =>
    changeLocks(nt, context, -1),
  ),
  SeUnlockSubjectContext: contextRoutine('ntifs.h; nf-ntifs-seunlocksubjectcontext', (nt, context) =>
    changeLocks(nt, context, 1),
  ),
  SeAccessCheck: ntRoutine({
    doc: 'wdm.h; nf-wdm-seaccesscheck',
    irql: passiveOnly,
    params: {
      SecurityDescriptor: PVOID,
      SubjectSecurityContext: pcontext,
      SubjectContextLocked: BOOLEAN,
      DesiredAccess: ACCESS_MASK,
      PreviouslyGrantedAccess: ACCESS_MASK,
      Privileges: PVOID,
      GenericMapping: pointerTo('GENERIC_MAPPING'),
      AccessMode: KPROCESSOR_MODE,
      GrantedAccess: PVOID,
      AccessStatus: PVOID,
    },
    returns: 'BOOLEAN',
    support: { partial: 'mandatory labels, object and callback entries' },
    body: (nt, args, call) => accessCheck(nt, args, call),
  }),
  SePrivilegeCheck: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-seprivilegecheck',
    irql: passiveOnly,
    params: {
      RequiredPrivileges: pointerTo('PRIVILEGE_SET'),
      SubjectSecurityContext: pcontext,
      AccessMode: KPROCESSOR_MODE,
    },
    returns: 'BOOLEAN',
    body: (nt, args) => privilegeCheck(nt, args.RequiredPrivileges, args.SubjectSecurityContext, args.AccessMode),
  }),
  SeSinglePrivilegeCheck: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-sesingleprivilegecheck',
    irql: passiveOnly,
    params: { PrivilegeValue: ULONG64, PreviousMode: KPROCESSOR_MODE },
    returns: 'BOOLEAN',
    body: (nt, { PrivilegeValue, PreviousMode }) => {
      if (PreviousMode === 0) return true;
      const token = nt.tokens.effective(nt.scheduler.currentThread.kthread);
      return PrivilegeValue <= 0xffff_ffffn && nt.tokens.has(token, Number(PrivilegeValue));
    },
  }),
  SeFreePrivileges: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-sefreeprivileges',
    irql: passiveOnly,
    params: { Privileges: pointerTo('PRIVILEGE_SET') },
    returns: 'VOID',
    body: (nt, { Privileges }, call) => nt.pool.free(Privileges, 0, call),
  }),
  /** Auditing is off, as it is unless a policy says otherwise. */
  SeOpenObjectAuditAlarm: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-seopenobjectauditalarm',
    irql: passiveOnly,
    params: {
      ObjectTypeName: pointerTo('UNICODE_STRING'),
      Object: PVOID,
      AbsoluteObjectName: pointerTo('UNICODE_STRING'),
      SecurityDescriptor: PVOID,
      AccessState: pointerTo('ACCESS_STATE'),
      ObjectCreated: BOOLEAN,
      AccessGranted: BOOLEAN,
      AccessMode: KPROCESSOR_MODE,
      GenerateOnClose: PVOID,
    },
    returns: 'VOID',
    body: (nt, { GenerateOnClose }) => nt.memory.writeU8(GenerateOnClose, 0) as undefined,
  }),
});
