/** All commands. A new one is a file here and a line below. */
import { CommandError, type DebuggerCommand } from '../command.ts';
import { splitName } from '../command-line.ts';
import { dma } from './dma.ts';
import { quit } from './quit.ts';
import { verifier } from './verifier.ts';

export const commands: readonly DebuggerCommand[] = [dma, quit, verifier];

/** The command that is called so; names of letters also in capitals. */
export function commandNamed(name: string): DebuggerCommand | undefined {
  const find = (wanted: string): DebuggerCommand | undefined =>
    commands.find((one) => one.name === wanted || one.aliases?.includes(wanted));
  return find(name) ?? find(name.toLowerCase());
}

/** The command at the beginning of a line, its name as typed, and what follows it. */
export function findCommand(line: string): {
  readonly command: DebuggerCommand;
  readonly name: string;
  readonly rest: string;
} {
  const { name, rest } = splitName(line);
  const command = commandNamed(name);
  if (command === undefined) throw new CommandError(`Couldn't resolve '${name}': no such command; .help lists them`);
  return { command, name, rest };
}
