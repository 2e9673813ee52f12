/** How a line may go on: commands, symbols, images, registers, as the commands' declarations say. */
import { printable } from '../base/printable.ts';
import type { ArgumentKind } from './command.ts';
import { splitName } from './command-line.ts';
import { commands } from './commands/index.ts';
import { registerNames } from './registers.ts';
import type { Session } from './session.ts';
import { moduleName } from './symbols.ts';

export interface Completion {
  /** Where in the line the word begins that the candidates replace. */
  readonly start: number;
  readonly candidates: readonly string[];
}

/** More are of no help to anyone. */
const mostCandidates = 200;

export function complete(session: Session, line: string): Completion {
  const begin = line.length - line.slice(line.lastIndexOf(';') + 1).trimStart().length;
  const command = line.slice(begin);
  const { name } = splitName(command);
  if (name === command) return { start: begin, candidates: namesLike(name) };
  const declared = commands.find((one) => one.name === name || one.aliases?.includes(name));
  const [, inFront = '', word = ''] = /^(.*?)([\w!.$@:\\]*)$/.exec(command.slice(name.length)) ?? [];
  const position = inFront.split(/\s+/).filter((part) => part !== '').length;
  const { completes = [] } = declared ?? {};
  const kind = completes[Math.min(position, completes.length - 1)];
  const candidates = kind === undefined ? [] : candidatesOf(session, kind, word);
  return { start: line.length - word.length, candidates: candidates.filter(isSafe).slice(0, mostCandidates) };
}

function namesLike(start: string): readonly string[] {
  const names = commands.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]);
  return names.filter((name) => name.startsWith(start)).sort();
}

function candidatesOf(session: Session, kind: ArgumentKind, word: string): readonly string[] {
  switch (kind) {
    case 'command':
      return namesLike(word);
    case 'image':
      return startingWith(session.symbols.modules().map(moduleName), word);
    case 'register':
      return startingWith(registerNames, word);
    case 'address':
    case 'symbol':
      return word.startsWith('@')
        ? startingWith(registerNames, word.slice(1)).map((name) => `@${name}`)
        : symbolsLike(session, word);
    default:
      return [];
  }
}

/** `module!` first, then its symbols; a bare word also completes to a driver's symbols. */
function symbolsLike(session: Session, word: string): readonly string[] {
  const modules = session.symbols.modules();
  const mark = word.indexOf('!');
  if (mark >= 0) {
    const image = session.symbols.module(word.slice(0, mark));
    const names = image === undefined ? [] : session.symbols.of(image).map(({ name }) => name);
    return startingWith(names, word.slice(mark + 1)).map((name) => `${word.slice(0, mark)}!${name}`);
  }
  if (word === '') return modules.map((image) => `${moduleName(image)}!`);
  const own = modules.filter(({ isDriver }) => isDriver).flatMap((image) => session.symbols.of(image));
  const names = own.map(({ name }) => name);
  return [
    ...startingWith(
      modules.map((image) => `${moduleName(image)}!`),
      word,
    ),
    ...startingWith(names, word),
  ];
}

function startingWith(names: readonly string[], word: string): readonly string[] {
  const start = word.toLowerCase();
  return [...new Set(names.filter((name) => name.toLowerCase().startsWith(start)))].sort();
}

/** A name that would be shown otherwise than it is can't be typed either. */
function isSafe(name: string): boolean {
  return printable(name) === name;
}
