/** Routines on ERESOURCE structures, and rundown protection. */
import { type Va, vaAdd, vaFromU64, vaToU64 } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumedCall } from '../declare/call.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { isAction, type Outcome, unsupported, type Wait } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/irql-exports.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { RUNDOWN_WAIT } from '../structures/executive.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';
import type { Resource, SharedKind } from './resource.ts';

const presource = pointerTo('ERESOURCE');

const waitFor = (event: Va, resume: string): Wait => ({
  action: 'wait',
  objects: [event],
  waitAll: false,
  alertable: false,
  waitMode: 0,
  dueTime: undefined,
  resume,
  record: [event],
});

function withResource(nt: Nt, resource: Va, body: (state: Resource, thread: number) => Outcome): Outcome {
  const state = nt.resources.get(resource);
  if (state === undefined) return unsupported('a resource (ERESOURCE) that was not initialised');
  return body(state, nt.scheduler.currentThread.kthread);
}

const acquireExclusive = (nt: Nt, resource: Va, wait: boolean): Outcome =>
  withResource(nt, resource, (state, thread) => {
    if (nt.resources.tryExclusive(state, thread)) return true;
    return wait ? waitFor(nt.resources.wait(state, thread, true), 'owned') : false;
  });

const acquireShared = (nt: Nt, resource: Va, wait: boolean, kind: SharedKind): Outcome =>
  withResource(nt, resource, (state, thread) => {
    if (nt.resources.tryShared(state, thread, kind)) return true;
    return wait ? waitFor(nt.resources.wait(state, thread, false), 'owned') : false;
  });

/** The thread was given the resource; its event goes. */
const owned = {
  owned: (nt: Nt, call: ResumedCall): Outcome => {
    nt.pool.freeKernel(call.va(0));
    return true;
  },
};

function release(nt: Nt, resource: Va, owner: number | undefined): Outcome {
  return withResource(nt, resource, (state, current) => {
    const thread = owner ?? current;
    if (nt.resources.release(state, thread)) return undefined;
    throw new BugCheck(
      0xe3,
      [resource, thread, 0, 2],
      'a resource (ERESOURCE) was released by a thread that does not own it',
    );
  });
}

const sharedRoutine = (doc: string, kind: SharedKind) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { Resource: presource, Wait: BOOLEAN },
    returns: 'BOOLEAN',
    body: (nt, { Resource, Wait }) => acquireShared(nt, Resource, Wait, kind),
    resume: owned,
  });

/** The forms that also enter a critical region; they always wait, and return the resource. */
const enterRoutine = (doc: string, isExclusive: boolean) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { Resource: presource },
    returns: 'PVOID',
    body: (nt, { Resource }) => {
      enterCriticalRegion(nt);
      const got = isExclusive ? acquireExclusive(nt, Resource, true) : acquireShared(nt, Resource, true, 'fair');
      if (got === true) return Resource;
      return isAction(got) && got.action === 'wait' ? { ...got, record: [...(got.record ?? []), Resource] } : got;
    },
    resume: {
      owned: (nt, call) => {
        nt.pool.freeKernel(call.va(0));
        return call.va(1);
      },
    },
  });

export const exResources = ntExports('ntoskrnl.exe', {
  ExInitializeResourceLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializeresourcelite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'NTSTATUS',
    body: (nt, { Resource }, call) => {
      nt.resources.initialise(Resource, holderOf(nt, call));
      return STATUS_SUCCESS;
    },
  }),
  ExReinitializeResourceLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreinitializeresourcelite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'NTSTATUS',
    body: (nt, { Resource }, call) => {
      nt.resources.initialise(Resource, holderOf(nt, call));
      return STATUS_SUCCESS;
    },
  }),
  ExDeleteResourceLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exdeleteresourcelite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'NTSTATUS',
    body: (nt, { Resource }) =>
      withResource(nt, Resource, () => {
        nt.resources.delete(Resource);
        return STATUS_SUCCESS;
      }),
  }),
  ExAcquireResourceExclusiveLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exacquireresourceexclusivelite',
    irql: upToApc,
    params: { Resource: presource, Wait: BOOLEAN },
    returns: 'BOOLEAN',
    body: (nt, { Resource, Wait: waits }) => acquireExclusive(nt, Resource, waits),
    resume: owned,
  }),
  ExTryToAcquireResourceExclusiveLite: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-extrytoacquireresourceexclusivelite',
    irql: upToApc,
    params: { Resource: presource },
    returns: 'BOOLEAN',
    body: (nt, { Resource }) => acquireExclusive(nt, Resource, false),
  }),
  ExAcquireResourceSharedLite: sharedRoutine('wdm.h; nf-wdm-exacquireresourcesharedlite', 'fair'),
  ExAcquireSharedStarveExclusive: sharedRoutine('wdm.h; nf-wdm-exacquiresharedstarveexclusive', 'starve-exclusive'),
  ExAcquireSharedWaitForExclusive: sharedRoutine('wdm.h; nf-wdm-exacquiresharedwaitforexclusive', 'wait-for-exclusive'),
  ExEnterCriticalRegionAndAcquireResourceExclusive: enterRoutine(
    'wdm.h; nf-wdm-exentercriticalregionandacquireresourceexclusive',
    true,
  ),
  ExEnterCriticalRegionAndAcquireResourceShared: enterRoutine(
    'wdm.h; nf-wdm-exentercriticalregionandacquireresourceshared',
    false,
  ),
  ExReleaseResourceLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreleaseresourcelite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'VOID',
    body: (nt, { Resource }) => release(nt, Resource, undefined),
  }),
  ExReleaseResourceForThreadLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreleaseresourceforthreadlite',
    irql: upToDispatch,
    params: { Resource: presource, ResourceThreadId: PVOID },
    returns: 'VOID',
    body: (nt, { Resource, ResourceThreadId }) => release(nt, Resource, ResourceThreadId),
  }),
  ExReleaseResourceAndLeaveCriticalRegion: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreleaseresourceandleavecriticalregion',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'VOID',
    body: (nt, { Resource }) => {
      const outcome = release(nt, Resource, undefined);
      if (outcome === undefined) leaveCriticalRegion(nt);
      return outcome;
    },
  }),
  ExConvertExclusiveToSharedLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exconvertexclusivetosharedlite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'VOID',
    body: (nt, { Resource }) =>
      withResource(nt, Resource, (state, thread) => {
        const isOwner = state.isExclusive && state.owners.some((owner) => owner.thread === thread);
        if (!isOwner) return unsupported('ExConvertExclusiveToSharedLite by a thread that is not the exclusive owner');
        nt.resources.convertToShared(state);
        return undefined;
      }),
  }),
  ExIsResourceAcquiredExclusiveLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exisresourceacquiredexclusivelite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'BOOLEAN',
    body: (nt, { Resource }) =>
      withResource(
        nt,
        Resource,
        (state, thread) => state.isExclusive && state.owners.some((owner) => owner.thread === thread),
      ),
  }),
  /** Times that the running thread owns it, in whatever way. */
  ExIsResourceAcquiredSharedLite: ntRoutine({
    doc: 'wdm.h; nf-wdm-exisresourceacquiredsharedlite',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'ULONG',
    body: (nt, { Resource }) =>
      withResource(nt, Resource, (state, thread) => state.owners.find((owner) => owner.thread === thread)?.count ?? 0),
  }),
  ExGetExclusiveWaiterCount: ntRoutine({
    doc: 'wdm.h; nf-wdm-exgetexclusivewaitercount',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'ULONG',
    body: (nt, { Resource }) =>
      withResource(nt, Resource, ({ waiters }) => waiters.filter(({ isExclusive }) => isExclusive).length),
  }),
  ExGetSharedWaiterCount: ntRoutine({
    doc: 'wdm.h; nf-wdm-exgetsharedwaitercount',
    irql: upToDispatch,
    params: { Resource: presource },
    returns: 'ULONG',
    body: (nt, { Resource }) =>
      withResource(nt, Resource, ({ waiters }) => waiters.filter(({ isExclusive }) => !isExclusive).length),
  }),
});

// ---- rundown protection: bit 0 clear, the count times two; set, a wait block's address or nothing.

const prundown = pointerTo('EX_RUNDOWN_REF');

export function acquireRundown(nt: Nt, ref: Va, count: number): boolean {
  const value = nt.memory.readU64(ref);
  if ((value & 1n) !== 0n) return false;
  nt.memory.writeU64(ref, BigInt.asUintN(64, value + BigInt(count) * 2n));
  return true;
}

export function releaseRundown(nt: Nt, ref: Va, count: number): undefined {
  const { memory } = nt;
  const value = memory.readU64(ref);
  if ((value & 1n) === 0n) {
    memory.writeU64(ref, BigInt.asUintN(64, value - BigInt(count) * 2n));
    return undefined;
  }
  const block = vaFromU64(value & ~1n);
  const left = RUNDOWN_WAIT.Count.get(memory, block) - count;
  RUNDOWN_WAIT.Count.set(memory, block, left >>> 0);
  if (left === 0) nt.dispatcher.signal(RUNDOWN_WAIT.Event.at(block), 1);
  return undefined;
}

/** From now on nobody gets protection; waits for those who have it. Record: [block, ref]. */
export function waitForRundown(nt: Nt, ref: Va): Outcome {
  const { memory } = nt;
  const value = memory.readU64(ref);
  if (value === 0n || value === 1n) {
    memory.writeU64(ref, 1n);
    return undefined;
  }
  if ((value & 1n) !== 0n) return unsupported('ExWaitForRundownProtectionRelease by two threads');
  const block = nt.pool.allocateKernel(RUNDOWN_WAIT.sizeBytes, 'RuWa');
  RUNDOWN_WAIT.Count.set(memory, block, Number(value >> 1n));
  nt.dispatcher.initialise(RUNDOWN_WAIT.Event.at(block), DispatcherType.EventSynchronization, KEVENT.sizeBytes / 4, 0);
  memory.writeU64(ref, vaToU64(vaAdd(block, 1)));
  return { ...waitFor(RUNDOWN_WAIT.Event.at(block), 'released'), record: [block, ref] };
}

export const rundownResume = {
  released: (nt: Nt, call: ResumedCall): Outcome => {
    nt.pool.freeKernel(call.va(0));
    nt.memory.writeU64(call.va(1), 1n);
    return undefined;
  },
};

const rundownRoutine = (doc: string, write: bigint) =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { RunRef: prundown },
    returns: 'VOID',
    body: (nt, { RunRef }) => {
      nt.memory.writeU64(RunRef, write);
    },
  });

export const exRundown = ntExports('ntoskrnl.exe', {
  ExInitializeRundownProtection: rundownRoutine('wdm.h; nf-wdm-exinitializerundownprotection', 0n),
  ExReInitializeRundownProtection: rundownRoutine('wdm.h; nf-wdm-exreinitializerundownprotection', 0n),
  ExRundownCompleted: rundownRoutine('wdm.h; nf-wdm-exrundowncompleted', 1n),
  ExAcquireRundownProtection: ntRoutine({
    doc: 'wdm.h; nf-wdm-exacquirerundownprotection',
    irql: upToDispatch,
    params: { RunRef: prundown },
    returns: 'BOOLEAN',
    body: (nt, { RunRef }) => acquireRundown(nt, RunRef, 1),
  }),
  ExAcquireRundownProtectionEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-exacquirerundownprotectionex',
    irql: upToDispatch,
    params: { RunRef: prundown, Count: ULONG },
    returns: 'BOOLEAN',
    body: (nt, { RunRef, Count }) => acquireRundown(nt, RunRef, Count),
  }),
  ExReleaseRundownProtection: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreleaserundownprotection',
    irql: upToDispatch,
    params: { RunRef: prundown },
    returns: 'VOID',
    body: (nt, { RunRef }) => releaseRundown(nt, RunRef, 1),
  }),
  ExReleaseRundownProtectionEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreleaserundownprotectionex',
    irql: upToDispatch,
    params: { RunRef: prundown, Count: ULONG },
    returns: 'VOID',
    body: (nt, { RunRef, Count }) => releaseRundown(nt, RunRef, Count),
  }),
  ExWaitForRundownProtectionRelease: ntRoutine({
    doc: 'wdm.h; nf-wdm-exwaitforrundownprotectionrelease',
    irql: upToApc,
    params: { RunRef: prundown },
    returns: 'VOID',
    body: (nt, { RunRef }) => waitForRundown(nt, RunRef),
    resume: rundownResume,
  }),
});
