/** Names from files that someone made for it: they are shown, and obeyed by nobody. */
import { expect, it } from 'vitest';
import { nullVa } from '../base/va.ts';
import type { SymbolSource } from '../image/symbols/index.ts';
import { Nt } from '../nt/nt.ts';
import { builtinAddress } from './addresses.ts';
import { Session } from './session.ts';
import type { Target } from './target.ts';

const evil = '\u001b]0;owned\u0007\n0: kd> q\r\u202e\u009b2J';

function sessionWith(names: readonly string[]): { readonly session: Session; readonly text: () => string } {
  const nt = new Nt({ seed: 1, instructionLimit: 1e6 });
  const [image] = [...nt.images.all()];
  const driver = { ...image, isDriver: true, name: `${evil}driver`, fileName: `${evil}driver.sys` };
  nt.images.all = () => [driver][Symbol.iterator]() as ReturnType<typeof nt.images.all>;
  nt.images.containingEver = nt.images.containing = () => driver as never;
  nt.entries.containingEver = () => undefined;
  const symbols = names.map((name, index) => ({ name, rva: index * 16, kind: 'function', sizeBytes: 16 }) as const);
  const source: SymbolSource = {
    kind: 'pdb',
    symbols: () => symbols,
    find: (name) => symbols.find((symbol) => symbol.name === name),
    framesAt: (rva) => [
      {
        function: names[rva >> 4] ?? evil,
        functionRva: rva & ~15,
        inlined: false,
        source: { file: `${evil}.c`, line: 1 },
      },
    ],
  };
  let text = '';
  const target = { nt, symbolsOf: () => ({ source, origin: `${evil}.pdb`, notes: [evil] }) } as unknown as Target;
  const host = {
    write: (more: string) => {
      text += more;
    },
    breathe: () => Promise.resolve(),
  };
  return { session: new Session(target, host), text: () => text };
}

it('no control character of a name reaches the terminal', async () => {
  const { session, text } = sessionWith([`${evil}one`, 'two']);
  const [image] = [...session.target.nt.images.all()];
  const base = builtinAddress(image?.base ?? nullVa);
  for (const command of [
    `ln ${base}`,
    'x *',
    'x /v *!*',
    'lm',
    'lmv',
    'k',
    `u ${base} L2`,
    `uf ${base}`,
    'lm 1m',
    'r',
  ]) {
    await session.execute(command);
  }
  await session.execute(`ln ${evil}`);
  await session.execute(`? '${evil}'`);
  expect(text()).toContain('one');
  expect(text()).toContain('\\x1b]0;owned\\x07\\x0a0: kd> q\\x0d\\u202e\\x9b2J');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(text()).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  expect(
    text()
      .split('\n')
      .filter((line) => line.startsWith('0: kd>')),
  ).toEqual([]);
});

it('names that cannot be typed are not offered', () => {
  const { session } = sessionWith([`${evil}one`, 'two']);
  expect(session.complete('ln tw').candidates).toEqual(['two']);
  expect(session.complete('ln ').candidates.join()).not.toContain('\u001b');
  expect(session.complete('ln \u001b').candidates.join()).not.toContain('\u001b');
});
