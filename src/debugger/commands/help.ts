import { CommandError, type DebuggerCommand } from '../command.ts';
import { splitName } from '../command-line.ts';
import type { Session } from '../session.ts';

export const help: DebuggerCommand = {
  name: '.help',
  aliases: ['.hh', '!help'],
  usage: ['.help [Command]'],
  summary: 'lists the commands, or tells what one does',
  completes: ['command'],
  run: (session, text) => {
    if (text === '') {
      for (const { name, summary } of session.commands) session.print(`${name.padEnd(14)} ${summary}`);
      session.print();
      session.print(
        '.help COMMAND tells more. Commands are separated by ;, and an empty line repeats what can be repeated.',
      );
      return;
    }
    const { name } = splitName(text);
    const command = session.commandNamed(name);
    if (command === undefined) throw new CommandError(`No help for '${name}': there is no such command`);
    describe(session, command);
  },
};

function describe(session: Session, { usage, summary, details = [], aliases = [] }: DebuggerCommand): void {
  for (const form of usage) session.print(form);
  session.print(`    ${summary}`);
  for (const line of details) session.print(`    ${line}`);
  if (aliases.length > 0) session.print(`    Also: ${aliases.join(', ')}`);
}

export const echo: DebuggerCommand = {
  name: '.echo',
  usage: ['.echo String', '.echo "String"'],
  summary: 'prints text',
  completes: ['text'],
  run: (session, text) => session.print(/^".*"$/s.test(text) ? text.slice(1, -1) : text),
};

/** `*` and `$$`: a remark. */
export const remarks: readonly DebuggerCommand[] = [
  {
    name: '*',
    usage: ['* Text'],
    summary: 'a remark: the rest of the line is passed over',
    takesWholeLine: true,
    run: () => {},
  },
  { name: '$$', usage: ['$$ Text'], summary: 'a remark, up to the next semicolon', run: () => {} },
];
