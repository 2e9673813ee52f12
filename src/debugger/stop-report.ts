/** What is printed where a machine came to a stand, as the kernel debugger does. */
import { type Va, vaToU64 } from '../base/va.ts';
import type { BugCheck, BugCheckParameter } from '../nt/declare/bug-check.ts';
import { builtinAddress } from './addresses.ts';
import { showInstruction } from './commands/registers.ts';
import type { RunStop } from './execution.ts';
import type { Session } from './session.ts';

/** Prints why a run stopped, and where. */
export function reportStop(session: Session, stop: RunStop): void {
  switch (stop.kind) {
    case 'over':
      reportEnd(session);
      return;
    case 'told':
      return;
    case 'breakpoint':
      if (stop.breakpoint.commands === undefined) session.print(`Breakpoint ${stop.breakpoint.id} hit`);
      break;
    case 'break-instruction':
      session.print(breakInstruction);
      break;
    case 'break-in':
      session.print('Break-in: the machine was stopped where it was');
      break;
    case 'scenario-step':
      session.print(`Before the step: ${stop.text}`);
      // The processor does nothing: its registers are what the last thing left.
      return;
    case 'step':
    case 'temporary':
      break;
  }
  showInstruction(session);
}

/** The life is over, or the machine stopped for good: says how. */
export function reportEnd(session: Session): void {
  const { target } = session;
  const end = target.nt.end.value;
  if (end?.kind === 'bug-check') printBugCheck(session, end.bugCheck);
  else session.print(`The life of the drivers is over: ${target.outcome}`);
}

/** What `g` and its relatives say when nothing can run any more. */
export function reportOver(session: Session): void {
  session.print(`Nothing can run any more: ${session.target.outcome}`);
}

const breakInstruction = 'Break instruction exception - code 80000003 (first chance)';

/** The banner of a bug check. */
export function printBugCheck(session: Session, { code, parameters }: BugCheck): void {
  const { nt } = session.target;
  const lines = [
    `*** Fatal System Error: 0x${code.toString(16).padStart(8, '0')}`,
    `${' '.repeat(23)}(${parameters.map(parameterText).join(',')})`,
    '',
    breakInstruction,
    '',
    'A fatal system error has occurred.',
    'Debugger entered on first try; Bugcheck callbacks have not been invoked.',
    '',
    'A fatal system error has occurred.',
    '',
    'nt!DbgBreakPointWithStatus:',
  ];
  for (const line of lines) session.print(line);
  // Where the kernel debugger is entered; what the machine itself shows is the place that the bug check is about.
  const at = nt.images.kernelExport('ntoskrnl.exe', 'DbgBreakPointWithStatus');
  if (at !== undefined) session.print(`${builtinAddress(at)} cc              int     3`);
}

/** `0x` and 16 capital digits. */
function parameterText(parameter: BugCheckParameter): string {
  const value = typeof parameter === 'bigint' ? BigInt.asUintN(64, parameter) : vaToU64(parameter as Va);
  return `0x${value.toString(16).toUpperCase().padStart(16, '0')}`;
}
