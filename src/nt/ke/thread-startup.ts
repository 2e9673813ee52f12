/** Where threads begin and end, and what the processor does without any. */
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { continueGuest } from '../declare/outcome.ts';

export const keThreadInternals = ntInternals({
  KiThreadStartup: ntRoutine({
    doc: "below every thread's first routine",
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'VOID',
    body: () => continueGuest,
    resume: {
      returned: (nt, call) => {
        nt.scheduler.routineReturned(call.resultVa);
        return continueGuest;
      },
    },
  }),
  KiIdleLoop: ntRoutine({
    doc: 'what the processor runs while every thread waits',
    irql: ['PASSIVE', 'PASSIVE'],
    params: {},
    returns: 'VOID',
    body: (nt) => {
      nt.scheduler.leaveIdle();
      return continueGuest;
    },
  }),
});
