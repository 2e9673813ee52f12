import type { DebuggerCommand } from '../command.ts';
import type { TargetStep } from '../target.ts';

export const steps: DebuggerCommand = {
  name: '.steps',
  usage: ['.steps'],
  summary: "lists the steps of the scenario (poolproof's own command)",
  details: ['> marks where the life is. gs runs to the beginning of the next step.'],
  run: (session) => {
    for (const step of session.target.steps) session.print(lineOf(step));
  },
};

function lineOf({ number, name, isCurrent, status }: TargetStep): string {
  const front = `${isCurrent ? '>' : ' '} ${number === null ? '' : String(number)}`;
  return `${front.padEnd(6)} ${status ?? ''.padEnd(10)}  ${name}`.trimEnd();
}
