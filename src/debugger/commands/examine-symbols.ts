import { builtinAddress } from '../addresses.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import type { Session } from '../session.ts';
import { type ModuleSymbol, moduleName } from '../symbols.ts';
import { matches } from '../wildcards.ts';

/** `x` */
export const examineSymbols: DebuggerCommand = {
  name: 'x',
  usage: ['x [/0 | /1 | /2 | /v] [/f | /d] [/a | /n] [Module!]Pattern'],
  summary: 'shows the symbols that match a pattern',
  details: [
    '* stands for any characters, ? for one; letters match in both cases. Without a module all are searched.',
    '/0 shows addresses alone, /1 names alone, /2 both; /v also what each is and its size.',
    '/f functions alone, /d data alone. /a sorts by address (as is done anyway), /n by name.',
    'Types are not known: arguments and values are not shown.',
  ],
  completes: ['symbol'],
  run: (session, text) => {
    const { options, pattern } = parse(text);
    const found = select(session, pattern).filter(
      ({ kind }) => !(options.has('f') && kind !== 'function') && !(options.has('d') && kind !== 'data'),
    );
    if (options.has('n')) found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    for (const symbol of found) session.print(lineFor(session, symbol, options));
  },
};

function parse(text: string): { readonly options: ReadonlySet<string>; readonly pattern: string } {
  const options = new Set<string>();
  let rest = text;
  for (let match = /^\/(\w)\s*/.exec(rest); match !== null; match = /^\/(\w)\s*/.exec(rest)) {
    const [whole, option = ''] = match;
    if (!'012vfdan'.includes(option)) throw new CommandError(`x: the option /${option} is not supported`);
    options.add(option);
    rest = rest.slice(whole.length);
  }
  if (rest === '') throw new CommandError('x: a pattern is missing: x module!name*');
  return { options, pattern: rest };
}

function select(session: Session, pattern: string): ModuleSymbol[] {
  const mark = pattern.indexOf('!');
  const modulePattern = mark < 0 ? '*' : pattern.slice(0, mark);
  const namePattern = pattern.slice(mark + 1);
  const images = session.symbols
    .modules()
    .filter((image) => matches(modulePattern, image.name) || matches(modulePattern, moduleName(image)));
  if (images.length === 0) throw new CommandError(`Couldn't resolve 'x ${pattern}'`);
  return images.flatMap((image) => session.symbols.of(image).filter(({ name }) => matches(namePattern, name)));
}

function lineFor(session: Session, symbol: ModuleSymbol, options: ReadonlySet<string>): string {
  const { image, kind, va, sizeBytes } = symbol;
  const name = `${moduleName(image)}!${symbol.name}`;
  const address = builtinAddress(va);
  if (options.has('0')) return address;
  if (options.has('1')) return name;
  if (options.has('2')) return `${address}          ${name}`;
  const typed = kind === 'function' ? `${name} (<no parameter info>)` : `${name} = <no type information>`;
  if (!options.has('v')) return `${address} ${typed}`;
  const source = session.target.symbolsOf(image)?.source.kind;
  const scope = source === 'pdb' || source === 'dwarf' ? 'prv' : 'pub';
  const what = kind === 'function' ? 'func' : 'global';
  return `${scope} ${what.padEnd(6)} ${address} ${sizeBytes.toString(16).padStart(4)} ${typed}`;
}
