/** `p` and `t`: one instruction after the other. */
import { type Va, vaAdd } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { exceptionTargets, mostFrames } from '../exception-targets.ts';
import type { RunStop, TemporaryStop } from '../execution.ts';
import { evaluate } from '../expression.ts';
import { behind, instructionAt } from '../instructions.ts';
import type { Session } from '../session.ts';
import { reportOver, reportStop } from '../stop-report.ts';
import { requireThread } from './go.ts';

const mostSteps = 0x10_0000n;

const elsewhere = [
  'A fault leads to where its exception goes, and an instruction that lets a deferred procedure run to that procedure.',
];

export const stepOver: DebuggerCommand = {
  name: 'p',
  usage: ['p [Count]'],
  summary: 'runs one instruction, with all of what it calls',
  details: [
    'At the beginning of a routine of the kernel it runs the whole routine. A call that an exception ends leads to the',
    '__except block that takes it.',
    ...elsewhere,
  ],
  completes: ['text'],
  repeat: 'continues',
  run: (session, text) => steps(session, text, over),
};

export const traceInto: DebuggerCommand = {
  name: 't',
  usage: ['t [Count]'],
  summary: 'runs one instruction, and stops at the beginning of what it calls',
  details: [
    'At the beginning of a routine of the kernel it runs the whole routine, or up to the driver that the routine calls:',
    'from IofCallDriver it leads to the dispatch routine. If the thread waits it stops when the thread goes on.',
    ...elsewhere,
  ],
  completes: ['text'],
  repeat: 'continues',
  run: (session, text) => steps(session, text, into),
};

type Step = (session: Session) => Promise<RunStop>;

async function steps(session: Session, text: string, step: Step): Promise<void> {
  const count = text === '' ? 1n : evaluate(session, text);
  if (count < 1n || count > mostSteps) throw new CommandError(`Invalid number of steps: ${count.toString(16)}`);
  const { execution, target } = session;
  await execution.series(async () => {
    for (let left = count; left > 0n; left--) {
      requireThread(session);
      if (target.isOver) {
        reportOver(session);
        return;
      }
      const stop = await step(session);
      reportStop(session, stop);
      if (stop.kind !== 'step' && stop.kind !== 'temporary') return;
      if (left > 1n && (await execution.breathe())) return;
    }
  });
}

async function over(session: Session): Promise<RunStop> {
  const { cpu, entries, exceptions, memory, scheduler } = session.target.nt;
  const thread = scheduler.currentThread.kthread;
  const stack = cpu.state.gprVa(Gpr.Rsp);
  const until = (address: Va, at: Va): Promise<RunStop> => {
    const caught = exceptionTargets(session, exceptions.frames(mostFrames), true);
    return session.execution.run({ temporary: { addresses: [address, ...caught], thread, stack: at } });
  };
  const entry = entries.at(cpu.state.rip);
  if (entry !== undefined && entry.kind !== 'resume') return until(memory.readVa(stack), vaAdd(stack, 8));
  const code = instructionAt(session, cpu.state.rip);
  const { mnemonic = '', operands = '' } = code.instruction ?? {};
  // A write of CR8 lets deferred procedures run, as a call would.
  const runsOthers = mnemonic === 'call' || (mnemonic === 'mov' && operands.startsWith('cr8'));
  return entry === undefined && runsOthers ? until(behind(code), stack) : into(session);
}

async function into(session: Session): Promise<RunStop> {
  const { scheduler } = session.target.nt;
  const { kthread } = scheduler.currentThread;
  const stop = await session.execution.run({ isStep: true });
  if (stop.kind !== 'step' || scheduler.currentThread.kthread === kthread) return stop;
  // It waits, or its turn is over: it goes on where its registers say. One that ended does not.
  const { context } = scheduler.thread(kthread);
  if (context === undefined) return stop;
  const temporary: TemporaryStop = { addresses: [context.rip], thread: kthread };
  return session.execution.run({ temporary });
}
