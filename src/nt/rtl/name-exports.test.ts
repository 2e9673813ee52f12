import { beforeEach, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { UNICODE_PREFIX_TABLE, UNICODE_PREFIX_TABLE_ENTRY } from '../structures/tables.ts';
import { rtlArithmetic } from './arithmetic.ts';
import { readUnicodeString, writeWide } from './guest-text.ts';
import { isLegal8Dot3, rtlNames } from './name-exports.ts';
import { rtlSplayTrees } from './splay-exports.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

function string(text: string): Va {
  const at = guest.allocate(UNICODE_STRING.sizeBytes);
  const buffer = guest.allocate(text.length * 2 + 2);
  writeWide(guest.memory, buffer, text);
  UNICODE_STRING.Length.set(guest.memory, at, text.length * 2);
  UNICODE_STRING.MaximumLength.set(guest.memory, at, text.length * 2);
  UNICODE_STRING.Buffer.set(guest.memory, at, buffer);
  return at;
}

it.each([
  ['README.TXT', true],
  ['A.B.C', false],
  ['NINECHARS', false],
  ['A.TEXT', false],
  ['lower.txt', false],
  ['A+B', false],
  ['.', true],
  ['.EXT', false],
  ['A.', false],
  ['A B.TXT', true],
])('%s is a DOS name: %s', (name, expected) => {
  expect(isLegal8Dot3(name).isLegal).toBe(expected);
});

it('takes the first part of a path off', () => {
  const call = (path: string): string[] => {
    const [first, rest] = [string(''), string('')];
    guest.call('FsRtlDissectName', rtlNames.routines.FsRtlDissectName, string(path), first, rest);
    return [readUnicodeString(guest.memory, first), readUnicodeString(guest.memory, rest)];
  };
  expect(call('\\A\\B\\C')).toEqual(['A', 'B\\C']);
  expect(call('A\\B')).toEqual(['A', 'B']);
  expect(call('\\A')).toEqual(['A', '']);
  expect(call('')).toEqual(['', '']);
});

it('gives random numbers below the largest, from a seed that moves on', () => {
  const seed = guest.allocate(4);
  guest.memory.writeU32(seed, 42);
  const values = Array.from({ length: 50 }, () =>
    Number(guest.call('RtlRandom', rtlArithmetic.routines.RtlRandom, seed)),
  );
  expect(new Set(values).size).toBe(50);
  expect(Math.max(...values)).toBeLessThan(0x7fff_ffff);
});

it('finds the longest prefix that ends where a part does', () => {
  const prefixes = rtlSplayTrees.routines;
  const table = guest.allocate(UNICODE_PREFIX_TABLE.sizeBytes);
  guest.call('RtlInitializeUnicodePrefix', prefixes.RtlInitializeUnicodePrefix, table);
  const insert = (text: string): { entry: Va; isNew: unknown } => {
    const entry = guest.allocate(UNICODE_PREFIX_TABLE_ENTRY.sizeBytes);
    const args = [table, string(text), entry];
    return { entry, isNew: guest.call('RtlInsertUnicodePrefix', prefixes.RtlInsertUnicodePrefix, ...args) };
  };
  const find = (name: string, index = 0): unknown =>
    guest.call('RtlFindUnicodePrefix', prefixes.RtlFindUnicodePrefix, table, string(name), index);
  const [short, long] = [insert('\\Server'), insert('\\Server\\Share')];
  expect([short.isNew, insert('\\Server').isNew]).toEqual([true, false]);
  expect(find('\\Server\\Share\\File')).toBe(long.entry);
  expect(find('\\server\\other')).toBe(short.entry);
  expect(find('\\server\\other', 8)).toBe(nullVa);
  expect(find('\\Servers')).toBe(nullVa);
  guest.call('RtlRemoveUnicodePrefix', prefixes.RtlRemoveUnicodePrefix, table, long.entry);
  expect(find('\\Server\\Share\\File')).toBe(short.entry);
  const next = (restarts: number): unknown =>
    guest.call('RtlNextUnicodePrefix', prefixes.RtlNextUnicodePrefix, table, restarts);
  expect([next(1), next(0), next(0)]).toEqual([short.entry, nullVa, short.entry]);
});
