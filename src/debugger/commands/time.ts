import type { DebuggerCommand } from '../command.ts';
import { fileTimeText } from '../time-text.ts';

export const time: DebuggerCommand = {
  name: '.time',
  usage: ['.time'],
  summary: 'shows the virtual time of the machine',
  run: (session) => {
    const { clock } = session.target.nt;
    session.print(`Debug session time: ${fileTimeText(clock.systemTime) ?? 'not known'}`);
    const milliseconds = Math.floor(clock.interruptTime / 10_000);
    const seconds = Math.floor(milliseconds / 1000);
    const two = (value: number): string => String(value).padStart(2, '0');
    const clockText = `${Math.floor(seconds / 3600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    session.print(
      `System Uptime: ${Math.floor(seconds / 86_400)} days ${clockText}.${String(milliseconds % 1000).padStart(3, '0')}`,
    );
  },
};
