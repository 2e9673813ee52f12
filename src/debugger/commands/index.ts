/** All commands. A new one is a file here and a line below. */
import { CommandError, type DebuggerCommand } from '../command.ts';
import { quit } from './quit.ts';

export const commands: readonly DebuggerCommand[] = [quit];

/** The command at the beginning of a line, and what follows its name. */
export function findCommand(line: string): { readonly command: DebuggerCommand; readonly rest: string } {
  const [name = ''] = /^\S+/.exec(line) ?? [];
  const command = commands.find((one) => one.name === name || one.aliases?.includes(name));
  if (command === undefined) throw new CommandError(`Couldn't resolve '${name}': no such command; .help lists them`);
  return { command, rest: line.slice(name.length).trim() };
}
