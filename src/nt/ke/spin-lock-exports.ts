/** Spin locks of all forms: plain, queued in the caller's stack, and shared or exclusive. */
import type { Va } from '../../base/va.ts';
import { anyIrql, dispatchOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import type { Outcome } from '../declare/outcome.ts';
import { KIRQL, pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { KLOCK_QUEUE_HANDLE } from '../structures/ke.ts';
import {
  acquireQueued,
  raiseToDispatch,
  release,
  releaseExclusive,
  releaseQueued,
  releaseShared,
  spinForever,
  tryAcquire,
  tryAcquireExclusive,
  tryAcquireShared,
  tryConvertToExclusive,
} from './spin-locks.ts';

type TryAcquire = (nt: Nt, lock: Va) => boolean;
type Release = (nt: Nt, lock: Va) => void;

const fromDispatch = ['DISPATCH', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];
const spinLock = pointerTo('KSPIN_LOCK');
const exSpinLock = pointerTo('EX_SPIN_LOCK');
const lockHandle = pointerTo('KLOCK_QUEUE_HANDLE');

/** Raises to DISPATCH_LEVEL, takes the lock and returns the IRQL before. */
const acquireRaising = (doc: string, type: typeof spinLock, take: TryAcquire) =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { SpinLock: type },
    returns: 'KIRQL',
    body: (nt, { SpinLock }): Outcome => {
      const irql = raiseToDispatch(nt);
      return take(nt, SpinLock) ? irql : spinForever(nt, SpinLock);
    },
  });

const acquireAtDpc = (doc: string, type: typeof spinLock, take: TryAcquire) =>
  ntRoutine({
    doc,
    irql: fromDispatch,
    params: { SpinLock: type },
    returns: 'VOID',
    body: (nt, { SpinLock }): Outcome => (take(nt, SpinLock) ? undefined : spinForever(nt, SpinLock)),
  });

const tryAtDpc = (doc: string, type: typeof spinLock, take: TryAcquire) =>
  ntRoutine({
    doc,
    irql: fromDispatch,
    params: { SpinLock: type },
    returns: 'BOOLEAN',
    body: (nt, { SpinLock }) => take(nt, SpinLock),
  });

const releaseLowering = (doc: string, type: typeof spinLock, give: Release) =>
  ntRoutine({
    doc,
    irql: dispatchOnly,
    params: { SpinLock: type, NewIrql: KIRQL },
    returns: 'VOID',
    body: (nt, { SpinLock, NewIrql }) => {
      give(nt, SpinLock);
      nt.setIrql(NewIrql & 15);
    },
  });

const releaseAtDpc = (doc: string, type: typeof spinLock, give: Release) =>
  ntRoutine({
    doc,
    irql: fromDispatch,
    params: { SpinLock: type },
    returns: 'VOID',
    body: (nt, { SpinLock }) => {
      give(nt, SpinLock);
    },
  });

const exDoc = (name: string): string => `wdm.h; nf-wdm-${name.toLowerCase()}`;

export const keSpinLocks = ntExports('ntoskrnl.exe', {
  KeInitializeSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializespinlock',
    irql: anyIrql,
    params: { SpinLock: spinLock },
    returns: 'VOID',
    body: (nt, { SpinLock }) => {
      nt.memory.writeU64(SpinLock, 0n);
    },
  }),
  KeAcquireSpinLockRaiseToDpc: acquireRaising('wdm.h; nf-wdm-keacquirespinlockraisetodpc', spinLock, tryAcquire),
  KeReleaseSpinLock: releaseLowering('wdm.h; nf-wdm-kereleasespinlock', spinLock, release),
  KeAcquireSpinLockAtDpcLevel: acquireAtDpc('wdm.h; nf-wdm-keacquirespinlockatdpclevel', spinLock, tryAcquire),
  KeReleaseSpinLockFromDpcLevel: releaseAtDpc('wdm.h; nf-wdm-kereleasespinlockfromdpclevel', spinLock, release),
  KeTryToAcquireSpinLockAtDpcLevel: tryAtDpc('wdm.h; nf-wdm-ketrytoacquirespinlockatdpclevel', spinLock, tryAcquire),
  KeTestSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-ketestspinlock',
    irql: fromDispatch,
    params: { SpinLock: spinLock },
    returns: 'BOOLEAN',
    body: (nt, { SpinLock }) => nt.memory.readU64(SpinLock) === 0n,
  }),
  KeAcquireSpinLockForDpc: acquireRaising('wdm.h; nf-wdm-keacquirespinlockfordpc', spinLock, tryAcquire),
  KeReleaseSpinLockForDpc: releaseLowering('wdm.h; nf-wdm-kereleasespinlockfordpc', spinLock, release),
  KeAcquireInStackQueuedSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-keacquireinstackqueuedspinlock',
    irql: upToDispatch,
    params: { SpinLock: spinLock, LockHandle: lockHandle },
    returns: 'VOID',
    body: (nt, { SpinLock, LockHandle }) => {
      const irql = raiseToDispatch(nt);
      KLOCK_QUEUE_HANDLE.OldIrql.set(nt.memory, LockHandle, irql);
      return acquireQueued(nt, SpinLock, LockHandle) ? undefined : spinForever(nt, SpinLock);
    },
  }),
  KeReleaseInStackQueuedSpinLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereleaseinstackqueuedspinlock',
    irql: dispatchOnly,
    params: { LockHandle: lockHandle },
    returns: 'VOID',
    body: (nt, { LockHandle }) => {
      releaseQueued(nt, LockHandle);
      nt.setIrql(KLOCK_QUEUE_HANDLE.OldIrql.get(nt.memory, LockHandle) & 15);
    },
  }),
  KeAcquireInStackQueuedSpinLockAtDpcLevel: ntRoutine({
    doc: 'wdm.h; nf-wdm-keacquireinstackqueuedspinlockatdpclevel',
    irql: fromDispatch,
    params: { SpinLock: spinLock, LockHandle: lockHandle },
    returns: 'VOID',
    body: (nt, { SpinLock, LockHandle }): Outcome =>
      acquireQueued(nt, SpinLock, LockHandle) ? undefined : spinForever(nt, SpinLock),
  }),
  KeReleaseInStackQueuedSpinLockFromDpcLevel: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereleaseinstackqueuedspinlockfromdpclevel',
    irql: fromDispatch,
    params: { LockHandle: lockHandle },
    returns: 'VOID',
    body: (nt, { LockHandle }) => {
      releaseQueued(nt, LockHandle);
    },
  }),
  ExAcquireSpinLockExclusive: acquireRaising(exDoc('ExAcquireSpinLockExclusive'), exSpinLock, tryAcquireExclusive),
  ExAcquireSpinLockShared: acquireRaising(exDoc('ExAcquireSpinLockShared'), exSpinLock, tryAcquireShared),
  ExReleaseSpinLockExclusive: releaseLowering(exDoc('ExReleaseSpinLockExclusive'), exSpinLock, releaseExclusive),
  ExReleaseSpinLockShared: releaseLowering(exDoc('ExReleaseSpinLockShared'), exSpinLock, releaseShared),
  ExAcquireSpinLockExclusiveAtDpcLevel: acquireAtDpc(
    exDoc('ExAcquireSpinLockExclusiveAtDpcLevel'),
    exSpinLock,
    tryAcquireExclusive,
  ),
  ExAcquireSpinLockSharedAtDpcLevel: acquireAtDpc(
    exDoc('ExAcquireSpinLockSharedAtDpcLevel'),
    exSpinLock,
    tryAcquireShared,
  ),
  ExReleaseSpinLockExclusiveFromDpcLevel: releaseAtDpc(
    exDoc('ExReleaseSpinLockExclusiveFromDpcLevel'),
    exSpinLock,
    releaseExclusive,
  ),
  ExReleaseSpinLockSharedFromDpcLevel: releaseAtDpc(
    exDoc('ExReleaseSpinLockSharedFromDpcLevel'),
    exSpinLock,
    releaseShared,
  ),
  ExTryAcquireSpinLockExclusiveAtDpcLevel: tryAtDpc(
    'ntifs.h; not documented on a page of its own',
    exSpinLock,
    tryAcquireExclusive,
  ),
  ExTryAcquireSpinLockSharedAtDpcLevel: tryAtDpc(
    'ntifs.h; not documented on a page of its own',
    exSpinLock,
    tryAcquireShared,
  ),
  ExTryConvertSharedSpinLockExclusive: tryAtDpc(
    exDoc('ExTryConvertSharedSpinLockExclusive'),
    exSpinLock,
    tryConvertToExclusive,
  ),
});
