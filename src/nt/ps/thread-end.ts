/** The end of a thread: its requests are cancelled and waited for, its APCs given back, its object is signalled. */
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumedCall } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { Irql, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, continueGuest, type Outcome } from '../declare/outcome.ts';
import { NTSTATUS } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { KAPC } from '../structures/ke.ts';
import { tellOfThread } from './notifications.ts';

/** 100 ms: how often a thread that ends looks whether its cancelled requests came back. */
const pause100ns = 1_000_000;
/** Five minutes: then the requests are left behind. */
const patience100ns = 3_000_000_000;

/** The running thread ends. The caller has a resume point `exited`, which is never reached. */
export function exitThread(nt: Nt, exitStatus: number): Outcome {
  return callGuest(nt.entries.routineVa('PspExitThread'), [exitStatus], 'exited', []);
}

/** What a thread may not hold when it ends. */
function check(nt: Nt): void {
  const { kthread, kernelApcDisable, specialApcDisable } = nt.scheduler.currentThread;
  const { irql } = nt.cpu.state;
  const mutex = nt.dispatcher.mutexOwnedBy(kthread);
  if (mutex !== undefined) {
    throw new BugCheck(0x4000_008a, [kthread, mutex, 0, 0], 'a system thread ended while it owned a mutex');
  }
  if (kernelApcDisable !== 0 || specialApcDisable !== 0 || irql !== Irql.PASSIVE) {
    const disabled = ((specialApcDisable & 0xffff) * 0x1_0000 + (kernelApcDisable & 0xffff)) >>> 0;
    throw new BugCheck(0x20, [0, disabled, irql, 0], 'a thread ended at raised IRQL or with APCs disabled');
  }
}

function cancelRequests(nt: Nt, exitStatus: number): Outcome {
  const deadline = nt.clock.interruptTime + patience100ns;
  return callGuest(nt.entries.routineVa('IopCancelThreadIo'), [], 'requestsCancelled', [exitStatus, deadline]);
}

/** Record of all that follows: [exit status, interrupt time at which the requests are left behind]. */
function waitForRequests(nt: Nt, call: ResumedCall): Outcome {
  const { kthread } = nt.scheduler.currentThread;
  const isBusy = [...nt.io.irps.outstanding()].some(({ thread }) => thread === kthread);
  const { interruptTime } = nt.clock;
  if (isBusy && interruptTime < call.word(1)) {
    const dueTime = interruptTime + pause100ns;
    const pause = { objects: [], waitAll: false, alertable: false, waitMode: 0, dueTime };
    return { action: 'wait', ...pause, resume: 'requestsCancelled', record: call.record };
  }
  nt.io.irps.abandon(kthread);
  return giveBackApcs(nt, call.word(0), nt.apcs.takeUserApcs(kthread));
}

/** APCs that did not run: their rundown routines, or the pool, take them. Record: [exit status, APCs …]. */
function giveBackApcs(nt: Nt, exitStatus: number, apcs: readonly Va[]): Outcome {
  const [apc, ...rest] = apcs;
  if (apc === undefined) {
    nt.scheduler.terminateCurrent(exitStatus);
    return continueGuest;
  }
  const rundown = KAPC.RundownRoutine.get(nt.memory, apc);
  if (rundown !== nullVa) return callGuest(rundown, [apc], 'apcGivenBack', [exitStatus, ...rest]);
  nt.pool.freeAny(apc);
  return giveBackApcs(nt, exitStatus, rest);
}

export const psThreadEnd = ntInternals({
  PspExitThread: ntRoutine({
    doc: 'end of the running thread',
    irql: passiveOnly,
    params: { ExitStatus: NTSTATUS },
    returns: 'VOID',
    body: (nt, { ExitStatus }) => {
      check(nt);
      if (nt.callbacks.of('thread').length === 0) return cancelRequests(nt, ExitStatus);
      return tellOfThread(nt, nt.scheduler.currentThread, false, 'told', [ExitStatus]);
    },
    resume: {
      told: (nt, call) => cancelRequests(nt, call.word(0)),
      requestsCancelled: waitForRequests,
      apcGivenBack: (nt, call) => giveBackApcs(nt, call.word(0), call.record.slice(1) as Va[]),
    },
  }),
});
