/** All commands. A new one is a file here and a line below. */
import { CommandError, type DebuggerCommand } from '../command.ts';
import { splitName } from '../command-line.ts';
import { absence } from './absent.ts';
import { analyze } from './analyze.ts';
import { bugcheck } from './bugcheck.ts';
import { coreCommands } from './core.ts';
import { dma } from './dma.ts';
import { pool } from './pool.ts';
import { poolfind } from './poolfind.ts';
import { poolused } from './poolused.ts';
import { poolval } from './poolval.ts';
import { verifier } from './verifier.ts';

export const commands: readonly DebuggerCommand[] = [
  ...coreCommands,
  analyze,
  bugcheck,
  dma,
  pool,
  poolfind,
  poolused,
  poolval,
  verifier,
];

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
  if (command !== undefined) return { command, name, rest };
  const [lettered] = commands
    .filter((one) => one.hasLetters && name.toLowerCase().startsWith(one.name))
    .sort((a, b) => b.name.length - a.name.length);
  if (lettered === undefined) {
    const unknown = name.startsWith('!')
      ? `No export ${name.slice(1)} found`
      : `Syntax error in '${line}': there is no command ${name}; .help lists them`;
    throw new CommandError(absence(name) ?? unknown);
  }
  return { command: lettered, name: lettered.name, rest: line.slice(lettered.name.length).trim() };
}
