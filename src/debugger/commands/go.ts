/** `g`, `gu`, `gs`: running on. */
import { CommandError, type DebuggerCommand } from '../command.ts';
import { exceptionTargets, mostFrames } from '../exception-targets.ts';
import type { RunOptions } from '../execution.ts';
import { evaluateAddress } from '../expression.ts';
import type { Session } from '../session.ts';
import { reportOver, reportStop } from '../stop-report.ts';

/** Runs and prints where that ended; if nothing can run any more, only that. */
export async function runAndReport(session: Session, options: RunOptions = {}): Promise<void> {
  if (session.target.isOver) reportOver(session);
  else reportStop(session, await session.execution.run(options));
}

/** A thread is needed to step in. */
export function requireThread(session: Session): void {
  const { scheduler } = session.target.nt;
  if (!session.target.isOver && !scheduler.hasRunningThread) {
    throw new CommandError('No thread is running: g goes on, gs to the next step of the scenario');
  }
}

export const go: DebuggerCommand = {
  name: 'g',
  usage: ['g', 'g Address'],
  summary: 'runs on, to a breakpoint, to the address, or to the end of the life',
  details: [
    'What stops it: breakpoints (bp), breakpoints in the driver (int 3, DbgBreakPoint, RtlAssert), a bug check, and',
    'Ctrl+C. When the life of the drivers is over, the verdict is told and everything can still be looked at.',
    'In the commands of a breakpoint g ends them, and the run goes on.',
  ],
  completes: ['symbol'],
  run: async (session, text) => {
    const address = text === '' ? undefined : evaluateAddress(session, text);
    if (address === undefined && session.execution.goesOnByItself()) return;
    await runAndReport(session, address === undefined ? {} : { temporary: { addresses: [address] } });
  },
};

export const goUp: DebuggerCommand = {
  name: 'gu',
  usage: ['gu'],
  summary: 'runs on to where the current function returns to',
  details: [
    'Calls of the function by itself, and other threads, do not stop it. If an exception ends the function it stops in the',
    '__except block that takes it.',
  ],
  run: async (session) => {
    requireThread(session);
    const { nt } = session.target;
    const [, ...callers] = session.target.isOver ? [] : nt.exceptions.frames(mostFrames);
    const [caller] = callers;
    if (!session.target.isOver && caller === undefined) throw new CommandError('The function has no caller');
    const thread = nt.scheduler.currentThread.kthread;
    if (caller === undefined) {
      await runAndReport(session);
      return;
    }
    const addresses = [caller.rip, ...exceptionTargets(session, callers, false)];
    await runAndReport(session, { temporary: { addresses, thread, stack: caller.rsp } });
  },
};

export const goToStep: DebuggerCommand = {
  name: 'gs',
  usage: ['gs'],
  summary: "runs on to the next step of the scenario (poolproof's own command)",
  details: [
    'Stops before the step does anything. .steps lists the steps; those of a tour are known once it begins.',
    'Breakpoints and what else stops g stop it too.',
  ],
  repeat: 'again',
  run: async (session) => runAndReport(session, { stopsAtSteps: true }),
};
