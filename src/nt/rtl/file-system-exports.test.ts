/** What file systems ask of the run-time library: wildcards, equal names, expected statuses, names of DOS. */
import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { nullVa } from '../../base/va.ts';
import { rtlNames } from './name-exports.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof rtlNames.routines, ...args: (number | bigint | boolean)[]) =>
  guest.call(name, rtlNames.routines[name], ...args);

it.each([
  ['\\dir\\a*.txt', true],
  ['a?', true],
  ['<', true],
  ['>', true],
  ['"', true],
  ['\\a*\\b', false],
  ['plain.txt', false],
  ['', false],
])('FsRtlDoesNameContainWildCards of %s: %s', (name, answer) => {
  expect(call('FsRtlDoesNameContainWildCards', guest.unicodeString(name))).toBe(answer);
});

it.each([
  ['Leak', 'lEAK', true, true],
  ['Leak', 'lEAK', false, false],
  ['Leak', 'Leak', false, true],
  ['Leak', 'Leaks', true, false],
  ['é', 'É', true, true],
])('FsRtlAreNamesEqual of %s and %s, ignoring case %s: %s', (first, second, ignoresCase, answer) => {
  const [left, right] = [guest.unicodeString(first), guest.unicodeString(second)];
  expect(call('FsRtlAreNamesEqual', left, right, ignoresCase, nullVa)).toBe(answer);
});

describe('statuses in exception filters', () => {
  it.each([
    [0xc000_0005, false],
    [0x8000_0002, false],
    [0xc000_001d, false],
    [0xc000_00aa, false],
    [0xc000_0006, true],
    [0xc000_009a, true],
    [0xc000_00e8, true],
  ])('%i is expected: %s', (status, isExpected) => {
    expect(call('FsRtlIsNtstatusExpected', status)).toBe(isExpected);
    expect(Number(call('FsRtlNormalizeNtstatus', status, 0xc000_00e9)) >>> 0).toBe(isExpected ? status : 0xc000_00e9);
  });
});

describe('RtlIsNameLegalDOS8Dot3', () => {
  it('ignores case, and tells of spaces in legal names only', () => {
    const spaces = guest.bytes(Uint8Array.of(0xcc));
    const isLegal = (name: string): unknown =>
      call('RtlIsNameLegalDOS8Dot3', guest.unicodeString(name), nullVa, spaces);
    expect(isLegal('much too long.txt')).toBe(false);
    expect(guest.memory.readU8(spaces)).toBe(0xcc);
    expect(isLegal('read me.txt')).toBe(true);
    expect(guest.memory.readU8(spaces)).toBe(1);
    expect(isLegal('readme.txt')).toBe(true);
    expect(guest.memory.readU8(spaces)).toBe(0);
    expect(call('RtlIsNameLegalDOS8Dot3', guest.unicodeString('readme.txt'), nullVa, nullVa)).toBe(true);
  });

  it('does not write the name for DOS', () => {
    const outcome = call('RtlIsNameLegalDOS8Dot3', guest.unicodeString('A'), guest.allocate(16), nullVa);
    expect(outcome).toMatchObject({ action: 'unsupported' });
  });
});
