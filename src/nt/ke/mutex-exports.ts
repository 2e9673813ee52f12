/** Kernel mutexes and semaphores. */
import { nullVa, type Va } from '../../base/va.ts';
import { anyIrql, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise } from '../declare/outcome.ts';
import { BOOLEAN, LONG, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ABANDONED, STATUS_MUTANT_NOT_OWNED, STATUS_SEMAPHORE_LIMIT_EXCEEDED } from '../ntstatus.ts';
import { DispatcherType, KMUTANT, KSEMAPHORE } from '../structures/ke.ts';

const maximumLong = 0x7fff_ffff;
/** Boost of a thread that waited for a mutex (MUTANT_INCREMENT). */
const mutexIncrement = 1;

function releaseMutex(nt: Nt, mutex: Va, wait: boolean): Outcome {
  const { memory, dispatcher, scheduler } = nt;
  const thread = scheduler.currentThread;
  if (KMUTANT.OwnerThread.get(memory, mutex) !== thread.kthread) {
    return raise(KMUTANT.Abandoned.get(memory, mutex) !== 0 ? STATUS_ABANDONED : STATUS_MUTANT_NOT_OWNED);
  }
  const state = dispatcher.signalState(mutex);
  if (state === 0) {
    KMUTANT.OwnerThread.set(memory, mutex, nullVa);
    dispatcher.forgetMutex(mutex);
    const kernelApcDisable = thread.kernelApcDisable + KMUTANT.ApcDisable.get(memory, mutex);
    scheduler.update(thread.kthread, { kernelApcDisable });
  }
  dispatcher.signal(mutex, state + 1, mutexIncrement);
  if (wait) dispatcher.holdForWait();
  return state;
}

function releaseSemaphore(nt: Nt, semaphore: Va, increment: number, adjustment: number, wait: boolean): Outcome {
  const before = nt.dispatcher.signalState(semaphore);
  const after = before + adjustment;
  if (after > KSEMAPHORE.Limit.get(nt.memory, semaphore) || after > maximumLong || after < before) {
    return raise(STATUS_SEMAPHORE_LIMIT_EXCEEDED);
  }
  nt.dispatcher.signal(semaphore, after, increment);
  if (wait) nt.dispatcher.holdForWait();
  return before;
}

export const keMutexes = ntExports('ntoskrnl.exe', {
  KeInitializeMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializemutex',
    irql: anyIrql,
    params: { Mutex: pointerTo('KMUTEX'), Level: ULONG },
    returns: 'VOID',
    body: (nt, { Mutex }) => {
      nt.dispatcher.initialise(Mutex, DispatcherType.Mutant, KMUTANT.sizeBytes / 4, 1);
      KMUTANT.OwnerThread.set(nt.memory, Mutex, nullVa);
      KMUTANT.Abandoned.set(nt.memory, Mutex, 0);
      KMUTANT.ApcDisable.set(nt.memory, Mutex, 1);
    },
  }),
  KeReleaseMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereleasemutex',
    irql: upToDispatch,
    params: { Mutex: pointerTo('KMUTEX'), Wait: BOOLEAN },
    returns: 'LONG',
    body: (nt, { Mutex, Wait }) => releaseMutex(nt, Mutex, Wait),
  }),
  KeReadStateMutex: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereadstatemutex',
    irql: upToDispatch,
    params: { Mutex: pointerTo('KMUTEX') },
    returns: 'LONG',
    body: (nt, { Mutex }) => nt.dispatcher.signalState(Mutex),
  }),
  KeInitializeSemaphore: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializesemaphore',
    irql: upToDispatch,
    params: { Semaphore: pointerTo('KSEMAPHORE'), Count: LONG, Limit: LONG },
    returns: 'VOID',
    body: (nt, { Semaphore, Count, Limit }) => {
      nt.dispatcher.initialise(Semaphore, DispatcherType.Semaphore, KSEMAPHORE.sizeBytes / 4, Count);
      KSEMAPHORE.Limit.set(nt.memory, Semaphore, Limit);
    },
  }),
  KeReleaseSemaphore: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereleasesemaphore',
    irql: upToDispatch,
    params: { Semaphore: pointerTo('KSEMAPHORE'), Increment: LONG, Adjustment: LONG, Wait: BOOLEAN },
    returns: 'LONG',
    body: (nt, { Semaphore, Increment, Adjustment, Wait }) =>
      releaseSemaphore(nt, Semaphore, Increment, Adjustment, Wait),
  }),
  KeReadStateSemaphore: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereadstatesemaphore',
    irql: anyIrql,
    params: { Semaphore: pointerTo('KSEMAPHORE') },
    returns: 'LONG',
    body: (nt, { Semaphore }) => nt.dispatcher.signalState(Semaphore),
  }),
});
