/**
 * Push locks: one word, the number of shared holders in bits 4 and up, bit 0 while it is held. Who waits is kept beside
 * it, in order; bit 1 of the word says that somebody does.
 */
import type { StoreCell } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { pointerTo, ULONG } from '../declare/parameter-types.ts';
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/irql-exports.ts';
import type { Nt } from '../nt.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

const heldBit = 1n;
const waitingBit = 2n;
const oneShared = 0x10n;
const shareShift = 4n;

const plock = pointerTo('EX_PUSH_LOCK');

interface Waiter {
  readonly lock: Va;
  readonly event: Va;
  readonly isExclusive: boolean;
}

export class PushLocks {
  private readonly nt: Nt;
  private readonly waiters: StoreCell<readonly Waiter[]>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.waiters = nt.stores.cell<readonly Waiter[]>('ex/push-lock-waiters', []);
  }

  tryAcquire(lock: Va, isExclusive: boolean): boolean {
    const { memory } = this.nt;
    const value = memory.readU64(lock);
    if (value === 0n) memory.writeU64(lock, isExclusive ? heldBit : heldBit | oneShared);
    else if (isExclusive || (value & waitingBit) !== 0n || value >> shareShift === 0n) return false;
    else memory.writeU64(lock, value + oneShared);
    return true;
  }

  /** Waits its turn; the lock is the thread's when the wait ends. */
  wait(lock: Va, isExclusive: boolean): Outcome {
    const { memory, pool, dispatcher } = this.nt;
    const event = pool.allocateKernel(KEVENT.sizeBytes, 'ExPl');
    dispatcher.initialise(event, DispatcherType.EventSynchronization, KEVENT.sizeBytes / 4, 0);
    memory.writeU64(lock, memory.readU64(lock) | waitingBit);
    this.waiters.value = [...this.waiters.value, { lock, event, isExclusive }];
    const how = { waitAll: false, alertable: false, waitMode: 0, dueTime: undefined };
    return { action: 'wait', objects: [event], ...how, resume: 'granted', record: [event] };
  }

  /** False if nobody holds it. */
  release(lock: Va): boolean {
    const { memory } = this.nt;
    const value = memory.readU64(lock);
    if ((value & heldBit) === 0n) return false;
    const shared = value >> shareShift;
    if (shared > 1n) memory.writeU64(lock, value - oneShared);
    else this.grant(lock);
    return true;
  }

  /** Nobody holds it any more: the first who waits gets it, with all shared ones right behind a shared one. */
  private grant(lock: Va): void {
    const { memory, dispatcher } = this.nt;
    const mine = this.waiters.value.filter((waiter) => waiter.lock === lock);
    const exclusiveAt = mine.findIndex(({ isExclusive }) => isExclusive);
    const granted = exclusiveAt === 0 ? mine.slice(0, 1) : exclusiveAt < 0 ? mine : mine.slice(0, exclusiveAt);
    const left = mine.length - granted.length;
    const held =
      granted.length === 0 ? 0n : exclusiveAt === 0 ? heldBit : heldBit | (oneShared * BigInt(granted.length));
    memory.writeU64(lock, held | (left > 0 ? waitingBit : 0n));
    this.waiters.value = this.waiters.value.filter((waiter) => !granted.includes(waiter));
    for (const { event } of granted) dispatcher.signal(event, 1);
  }
}

const granted = {
  granted: (nt: Nt, call: ResumedCall): Outcome => {
    nt.pool.freeKernel(call.va(0));
    return undefined;
  },
};

const acquire = (doc: string, isExclusive: boolean) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { PushLock: plock },
    returns: 'VOID',
    body: (nt, { PushLock }) =>
      nt.pushLocks.tryAcquire(PushLock, isExclusive) ? undefined : nt.pushLocks.wait(PushLock, isExclusive),
    resume: granted,
  });

/** The forms with flags enter a critical region as well. */
const acquireEx = (doc: string, isExclusive: boolean) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { PushLock: plock, Flags: ULONG },
    returns: 'VOID',
    body: (nt, { PushLock }) => {
      enterCriticalRegion(nt);
      return nt.pushLocks.tryAcquire(PushLock, isExclusive) ? undefined : nt.pushLocks.wait(PushLock, isExclusive);
    },
    resume: granted,
  });

const notHeld = 'the release of a push lock that is not held';

const release = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { PushLock: plock },
    returns: 'VOID',
    body: (nt, { PushLock }) => (nt.pushLocks.release(PushLock) ? undefined : unsupported(notHeld)),
  });

const releaseEx = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { PushLock: plock, Flags: ULONG },
    returns: 'VOID',
    body: (nt, { PushLock }) => {
      if (!nt.pushLocks.release(PushLock)) return unsupported(notHeld);
      leaveCriticalRegion(nt);
      return undefined;
    },
  });

export const exPushLocks = ntExports('ntoskrnl.exe', {
  ExInitializePushLock: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializepushlock',
    irql: upToApc,
    params: { PushLock: plock },
    returns: 'VOID',
    body: (nt, { PushLock }) => {
      nt.memory.writeVa(PushLock, nullVa);
    },
  }),
  ExfAcquirePushLockExclusive: acquire('ntoskrnl.exe; as ExAcquirePushLockExclusive without the critical region', true),
  ExfAcquirePushLockShared: acquire('ntoskrnl.exe; as ExAcquirePushLockShared without the critical region', false),
  ExfReleasePushLock: release('ntoskrnl.exe; releases a push lock, however it is held'),
  ExfReleasePushLockExclusive: release('ntoskrnl.exe; releases a push lock'),
  ExfReleasePushLockShared: release('ntoskrnl.exe; releases a push lock'),
  ExfTryToWakePushLock: ntRoutine({
    doc: 'ntoskrnl.exe; wakes waiters, which a release here has done already',
    irql: upToApc,
    params: { PushLock: plock },
    returns: 'VOID',
    body: () => undefined,
  }),
  ExAcquirePushLockExclusiveEx: acquireEx('wdm.h; exacquirepushlockexclusive', true),
  ExAcquirePushLockSharedEx: acquireEx('wdm.h; exacquirepushlockshared', false),
  ExReleasePushLockExclusiveEx: releaseEx('wdm.h; exreleasepushlockexclusive'),
  ExReleasePushLockSharedEx: releaseEx('wdm.h; exreleasepushlockshared'),
  ExReleasePushLockEx: releaseEx('wdm.h; releases a push lock, however it is held'),
});
