import type { DebuggerCommand } from '../command.ts';

export const quit: DebuggerCommand = {
  name: 'q',
  usage: ['q'],
  summary: 'ends the session',
  run: (session) => {
    session.hasQuit = true;
  },
};
