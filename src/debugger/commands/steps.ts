import type { DebuggerCommand } from '../command.ts';
import type { TargetStep } from '../target.ts';

export const steps: DebuggerCommand = {
  name: '.steps',
  usage: ['.steps'],
  summary: "lists the steps of the scenario (poolproof's own command)",
  details: [
    '> marks where the life is. gs runs to the beginning of the next step, which are the lines with numbers: - is what the',
    "life does between them (DriverEntry, the unload), and ? stands for a tour's steps as long as they are not known.",
  ],
  run: (session) => {
    session.print('  Step Status      Name; -: what the life does between the steps, gs does not stop there');
    for (const step of session.target.steps) session.print(lineOf(step));
  },
};

function lineOf({ number, name, isCurrent, isUnknown, status }: TargetStep): string {
  const front = `${isCurrent ? '>' : ' '} ${number ?? (isUnknown ? '?' : '-')}`;
  return `${front.padEnd(6)} ${status ?? ''.padEnd(10)}  ${name}`.trimEnd();
}
