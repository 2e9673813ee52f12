import { quadword } from '../addresses.ts';
import { parameterValues } from '../bug-check-lines.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';

export const bugcheck: DebuggerCommand = {
  name: '.bugcheck',
  usage: ['.bugcheck'],
  summary: 'the code and the parameters of the bug check; zeros if there is none',
  run: (session, text) => {
    if (text !== '') throw new CommandError('.bugcheck takes no arguments');
    const end = session.target.nt.end.value;
    const bugCheck = end?.kind === 'bug-check' ? end.bugCheck : undefined;
    const values = bugCheck === undefined ? [0n, 0n, 0n, 0n] : parameterValues(bugCheck);
    session.print(`Bugcheck code ${(bugCheck?.code ?? 0).toString(16).toUpperCase().padStart(8, '0')}`);
    session.print(`Arguments ${values.map(quadword).join(' ')}`);
  },
};
