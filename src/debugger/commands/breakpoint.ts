/** `bp`, `bl`, `bc`, `bd`, `be`: breakpoints. */
import { type Va, vaFromU64, vaInRange } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import { AddressMap } from '../../nt/address-map.ts';
import { builtinAddress, symbolAt } from '../addresses.ts';
import type { Breakpoint } from '../breakpoints.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { takeWord } from '../command-line.ts';
import { evaluatePrefix } from '../expression.ts';
import type { Session } from '../session.ts';

const set: DebuggerCommand = {
  name: 'bp',
  usage: ['bp [/1] Address [Passes] ["Commands"]'],
  summary: 'sets a breakpoint',
  details: [
    'The address is one of driver code, or a routine of the kernel (bp nt!ExAllocatePool2): then every call of it stops,',
    'before it does anything. /1 lets the breakpoint go when it is hit; Passes (hexadecimal) counts the times up to the',
    'one that stops. The commands, between quotes and separated by semicolons, run when it is hit; g among them goes on.',
  ],
  completes: ['symbol', 'text'],
  run: (session, text) => {
    const [, option, rest = ''] = /^(\/\S*)?\s*(.*)$/s.exec(text) ?? [];
    if (option !== undefined && option !== '/1') throw new CommandError(`'${option}' is no option of bp; /1 is one`);
    if (rest === '') throw new CommandError('Breakpoint address missing; bl lists the ones that are set');
    const place = evaluatePrefix(session, rest);
    const address = routineOf(session, vaFromU64(place.value));
    const hasPasses = place.rest !== '' && !place.rest.startsWith('"');
    const passes = hasPasses ? evaluatePrefix(session, place.rest) : { value: 1n, rest: place.rest };
    if (passes.value < 1n || passes.value > 0xffff_ffffn) throw new CommandError('Invalid number of passes');
    if (passes.rest !== '' && !passes.rest.startsWith('"')) {
      throw new CommandError(`Extra character error in '${passes.rest}'`);
    }
    const { word, rest: behind } = takeWord(passes.rest);
    if (behind !== '') throw new CommandError(`Extra character error in '${behind}'`);
    requireCode(session, address);
    const commands = word.trim() === '' ? undefined : word;
    const { breakpoints } = session.execution;
    const { id, isNew } = breakpoints.add({
      address,
      isOneShot: option === '/1',
      passes: Number(passes.value),
      commands,
    });
    if (!isNew) session.print(`breakpoint ${id} redefined`);
  },
};

/** What an import slot of a driver holds leads to a routine of the kernel: that is meant. */
function routineOf({ symbols }: Session, address: Va): Va {
  return symbols.thunkAt(address)?.target?.va ?? address;
}

function requireCode(session: Session, address: Va): void {
  const { nt } = session.target;
  if (nt.entries.at(address) !== undefined) return;
  if (vaInRange(address, AddressMap.host.start, AddressMap.host.sizeBytes)) {
    throw new CommandError(
      `No code at ${builtinAddress(address)}: a routine of the kernel has nothing but its beginning, which stops every call`,
    );
  }
  if (nt.memory.isAccessible(address, 1, Access.Execute)) return;
  throw new CommandError(`No code at ${builtinAddress(address)}: a breakpoint can't be set there`);
}

const list: DebuggerCommand = {
  name: 'bl',
  usage: ['bl'],
  summary: 'lists the breakpoints',
  details: ['Number, e for enabled or d, address, passes left and in all, and the commands.'],
  run: (session) => {
    for (const breakpoint of session.execution.breakpoints.all) session.print(lineOf(session, breakpoint));
  },
};

function lineOf(session: Session, one: Breakpoint): string {
  const passes = `${hex4(one.passesLeft)} (${hex4(one.passes)})`;
  const symbol = symbolAt(session, one.address) ?? '';
  const commands = one.commands === undefined ? '' : ` "${one.commands.replace(/["\\]/g, '\\$&')}"`;
  const state = `${one.isEnabled ? 'e' : 'd'}${one.isOneShot ? '1' : ' '}`;
  return `${String(one.id).padStart(2)} ${state} ${builtinAddress(one.address)}  ${passes} ${symbol}${commands}`.trimEnd();
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}

/** `0 2-4`, `*`: numbers of breakpoints that there are. */
function numbersIn(session: Session, text: string): readonly number[] {
  const known = session.execution.breakpoints.all.map(({ id }) => id);
  if (text === '*') return known;
  const numbers: number[] = [];
  for (const word of text.split(/[,\s]+/)) {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? [];
    if (first === undefined) throw new CommandError(`'${word}' is no number of a breakpoint; * stands for all`);
    const found = known.filter((id) => id >= Number(first) && id <= Number(last ?? first));
    if (found.length === 0) throw new CommandError(`There is no breakpoint ${word}`);
    numbers.push(...found);
  }
  return numbers;
}

function forNumbers(
  name: string,
  summary: string,
  act: (session: Session, numbers: readonly number[]) => void,
): DebuggerCommand {
  return {
    name,
    usage: [`${name} Number[-Number] ...`, `${name} *`],
    summary,
    completes: ['text'],
    run: (session, text) => act(session, numbersIn(session, text)),
  };
}

export const breakpointCommands: readonly DebuggerCommand[] = [
  set,
  list,
  forNumbers('bc', 'clears breakpoints', ({ execution }, numbers) => execution.breakpoints.remove(numbers)),
  forNumbers('bd', 'disables breakpoints', ({ execution }, numbers) => execution.breakpoints.enable(numbers, false)),
  forNumbers('be', 'enables breakpoints', ({ execution }, numbers) => execution.breakpoints.enable(numbers, true)),
];
