/**
 * Fast mutexes and guarded mutexes: one structure, one algorithm. `Count` has bit 0 set while the mutex is free, bit 1
 * while a waiter was woken that has not tried yet, and the number of waiters above.
 */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { anyIrql, upToApc } from '../declare/irql-ranges.ts';
import { Irql, type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { pointerTo } from '../declare/parameter-types.ts';
import { enterGuardedRegion, leaveGuardedRegion } from '../ke/irql-exports.ts';
import type { Nt } from '../nt.ts';
import { DispatcherType, FAST_MUTEX, KEVENT } from '../structures/ke.ts';

const freeBit = 1;
const wokenBit = 2;
const oneWaiter = 4;

const fastMutex = pointerTo('FAST_MUTEX');
const apcOnly = ['APC', 'APC'] as const satisfies readonly [IrqlName, IrqlName];

function initialise(nt: Nt, mutex: Va): undefined {
  const { memory } = nt;
  FAST_MUTEX.Count.set(memory, mutex, freeBit);
  FAST_MUTEX.Owner.set(memory, mutex, nullVa);
  FAST_MUTEX.Contention.set(memory, mutex, 0);
  nt.dispatcher.initialise(FAST_MUTEX.Event.at(mutex), DispatcherType.EventSynchronization, KEVENT.sizeBytes / 4, 0);
}

function tryAcquire(nt: Nt, mutex: Va, oldIrql: number): boolean {
  const { memory } = nt;
  const count = FAST_MUTEX.Count.get(memory, mutex);
  if ((count & freeBit) === 0) return false;
  FAST_MUTEX.Count.set(memory, mutex, (count & ~freeBit) >>> 0);
  FAST_MUTEX.Owner.set(memory, mutex, nt.scheduler.currentThread.kthread);
  FAST_MUTEX.OldIrql.set(memory, mutex, oldIrql);
  return true;
}

/** Takes the mutex or waits for it; `signalled` tries again. */
function acquire(nt: Nt, mutex: Va, oldIrql: number): Outcome {
  if (tryAcquire(nt, mutex, oldIrql)) return undefined;
  const { memory } = nt;
  FAST_MUTEX.Contention.set(memory, mutex, (FAST_MUTEX.Contention.get(memory, mutex) + 1) >>> 0);
  return waitFor(nt, mutex, oldIrql);
}

function waitFor(nt: Nt, mutex: Va, oldIrql: number): Outcome {
  FAST_MUTEX.Count.set(nt.memory, mutex, (FAST_MUTEX.Count.get(nt.memory, mutex) + oneWaiter) >>> 0);
  return {
    action: 'wait',
    objects: [FAST_MUTEX.Event.at(mutex)],
    waitAll: false,
    alertable: false,
    waitMode: 0,
    dueTime: undefined,
    resume: 'signalled',
    record: [mutex, oldIrql],
  };
}

const acquireResume = {
  signalled: (nt: Nt, call: ResumedCall): Outcome => {
    const [mutex, oldIrql] = [call.va(0), call.word(1)];
    const count = FAST_MUTEX.Count.get(nt.memory, mutex);
    FAST_MUTEX.Count.set(nt.memory, mutex, ((count - oneWaiter) & ~wokenBit) >>> 0);
    return tryAcquire(nt, mutex, oldIrql) ? undefined : waitFor(nt, mutex, oldIrql);
  },
};

/** Lets the mutex go; `after` is what the form does besides. */
function release(nt: Nt, mutex: Va, call: Call, after: () => void): Outcome {
  const { memory } = nt;
  const count = FAST_MUTEX.Count.get(memory, mutex);
  if ((count & freeBit) !== 0) return unsupported(`${call.name} of a mutex that is not held`);
  FAST_MUTEX.Owner.set(memory, mutex, nullVa);
  const wakes = count >= oneWaiter && (count & wokenBit) === 0;
  FAST_MUTEX.Count.set(memory, mutex, count | freeBit | (wakes ? wokenBit : 0));
  if (wakes) nt.dispatcher.signal(FAST_MUTEX.Event.at(mutex), 1);
  after();
  return undefined;
}

/** Fast mutexes raise the IRQL to APC_LEVEL; the IRQL before. */
function raiseToApc(nt: Nt): number {
  const { irql } = nt.cpu.state;
  if (irql < Irql.APC) nt.setIrql(Irql.APC);
  return irql;
}

const acquireUnsafe = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { FastMutex: fastMutex },
    returns: 'VOID',
    body: (nt, { FastMutex }) => acquire(nt, FastMutex, nt.cpu.state.irql),
    resume: acquireResume,
  });

const releaseUnsafe = (doc: string) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { FastMutex: fastMutex },
    returns: 'VOID',
    body: (nt, { FastMutex }, call) => release(nt, FastMutex, call, () => {}),
  });

export const exFastMutexes = ntExports('ntoskrnl.exe', {
  ExInitializeFastMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-exinitializefastmutex (inline in most headers)',
    irql: anyIrql,
    params: { FastMutex: fastMutex },
    returns: 'VOID',
    body: (nt, { FastMutex }) => initialise(nt, FastMutex),
  }),
  ExAcquireFastMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-exacquirefastmutex',
    irql: upToApc,
    params: { FastMutex: fastMutex },
    returns: 'VOID',
    body: (nt, { FastMutex }) => acquire(nt, FastMutex, raiseToApc(nt)),
    resume: acquireResume,
  }),
  ExTryToAcquireFastMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-extrytoacquirefastmutex',
    irql: upToApc,
    params: { FastMutex: fastMutex },
    returns: 'BOOLEAN',
    body: (nt, { FastMutex }) => {
      const irql = raiseToApc(nt);
      const isAcquired = tryAcquire(nt, FastMutex, irql);
      if (!isAcquired) nt.setIrql(irql);
      return isAcquired;
    },
  }),
  ExReleaseFastMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-exreleasefastmutex',
    irql: apcOnly,
    params: { FastMutex: fastMutex },
    returns: 'VOID',
    body: (nt, { FastMutex }, call) => {
      const irql = FAST_MUTEX.OldIrql.get(nt.memory, FastMutex) & 15;
      return release(nt, FastMutex, call, () => nt.setIrql(irql));
    },
  }),
  ExAcquireFastMutexUnsafe: acquireUnsafe('wdm.h; nf-wdm-exacquirefastmutexunsafe'),
  ExReleaseFastMutexUnsafe: releaseUnsafe('wdm.h; nf-wdm-exreleasefastmutexunsafe'),
  KeInitializeGuardedMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializeguardedmutex',
    irql: upToApc,
    params: { Mutex: fastMutex },
    returns: 'VOID',
    body: (nt, { Mutex }) => initialise(nt, Mutex),
  }),
  KeAcquireGuardedMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-keacquireguardedmutex',
    irql: upToApc,
    params: { Mutex: fastMutex },
    returns: 'VOID',
    body: (nt, { Mutex }) => {
      enterGuardedRegion(nt);
      return acquire(nt, Mutex, nt.cpu.state.irql);
    },
    resume: acquireResume,
  }),
  KeTryToAcquireGuardedMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-ketrytoacquireguardedmutex',
    irql: upToApc,
    params: { Mutex: fastMutex },
    returns: 'BOOLEAN',
    body: (nt, { Mutex }) => {
      const isAcquired = tryAcquire(nt, Mutex, nt.cpu.state.irql);
      if (isAcquired) enterGuardedRegion(nt);
      return isAcquired;
    },
  }),
  KeReleaseGuardedMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereleaseguardedmutex',
    irql: upToApc,
    params: { Mutex: fastMutex },
    returns: 'VOID',
    body: (nt, { Mutex }, call) => release(nt, Mutex, call, () => leaveGuardedRegion(nt)),
  }),
  KeAcquireGuardedMutexUnsafe: acquireUnsafe('wdm.h; nf-wdm-keacquireguardedmutexunsafe'),
  KeReleaseGuardedMutexUnsafe: releaseUnsafe('wdm.h; nf-wdm-kereleaseguardedmutexunsafe'),
});
