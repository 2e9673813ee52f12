import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { vaAdd } from '../../base/va.ts';
import { crtStrings } from './c-string-exports.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof crtStrings.routines, ...args: (number | bigint)[]) =>
  guest.call(name, crtStrings.routines[name], ...args);

describe.each([
  { kind: 'bytes', prefix: 'str', ignoringCase: 'str', size: 1, put: 'ansi', at: 'ansiAt' },
  { kind: 'wide characters', prefix: 'wcs', ignoringCase: 'wcs', size: 2, put: 'wide', at: 'wideAt' },
] as const)('strings of $kind', ({ prefix, ignoringCase, size, put, at }) => {
  const text = (content: string) => guest[put](content);

  it('lengths', () => {
    expect(call(`${prefix}len`, text('leak'))).toBe(4);
    expect(call(`${prefix}nlen`, text('leak'), 3)).toBe(3);
    expect(call(`${prefix}nlen`, vaAdd(guest.dataEnd, -size), 0)).toBe(0);
  });

  it('comparisons', () => {
    expect(call(`${prefix}cmp`, text('abc'), text('abd'))).toBe(-1);
    expect(call(`${prefix}cmp`, text('abc'), text('ab'))).toBe(1);
    expect(call(`${prefix}ncmp`, text('abc'), text('abd'), 2)).toBe(0);
    expect(call(`_${ignoringCase}icmp`, text('aBc'), text('AbC'))).toBe(0);
    expect(call(`_${ignoringCase}icmp`, text('a'), text('_'))).toBe(1);
    expect(call(`_${ignoringCase}nicmp`, text('LEAKy'), text('leaks'), 4)).toBe(0);
    expect(call(`_${ignoringCase}nicmp`, text('LEAKy'), text('leaks'), 5)).toBe(1);
  });

  it('copies', () => {
    const target = guest.allocate(32);
    expect(call(`${prefix}cpy`, target, text('pool'))).toBe(target);
    expect(call(`${prefix}cat`, target, text('proof'))).toBe(target);
    expect(guest[at](target)).toBe('poolproof');
    call(`${prefix}ncat`, target, text('!?'), 1);
    expect(guest[at](target)).toBe('poolproof!');
    guest.memory.fill(target, 32, 0xcc);
    call(`${prefix}ncpy`, target, text('abc'), 5);
    const bytes = [...guest.memory.readBytes(target, 6 * size)].filter((_, index) => index % size === 0);
    expect(bytes).toEqual([0x61, 0x62, 0x63, 0, 0, 0xcc]);
    guest.memory.fill(target, 32, 0xcc);
    call(`${prefix}ncpy`, target, text('abc'), 2);
    expect(guest.memory.readU8(vaAdd(target, 2 * size))).toBe(0xcc);
  });

  it('searches', () => {
    const path = text('\\a\\b');
    expect(call(`${prefix}chr`, path, 0x5c)).toBe(path);
    expect(call(`${prefix}rchr`, path, 0x5c)).toBe(path + 2 * size);
    expect(call(`${prefix}chr`, path, 0)).toBe(path + 4 * size);
    expect(call(`${prefix}chr`, path, 0x7a)).toBe(0);
    expect(call(`${prefix}str`, path, text('\\b'))).toBe(path + 2 * size);
    expect(call(`${prefix}str`, path, text(''))).toBe(path);
    expect(call(`${prefix}str`, path, text('\\bc'))).toBe(0);
    expect(call(`${prefix}spn`, path, text('a\\'))).toBe(3);
  });

  it('secure copies, and no guess at what the invalid parameter handler does', () => {
    const target = guest.allocate(16);
    expect(call(`${prefix}cpy_s`, target, 5, text('leak'))).toBe(0);
    expect(guest[at](target)).toBe('leak');
    expect(call(`${prefix}cpy_s`, target, 4, text('leak'))).toMatchObject({ action: 'unsupported' });
    expect(call(`${prefix}cat_s`, target, 6, text('y'))).toBe(0);
    expect(guest[at](target)).toBe('leaky');
    expect(call(`${prefix}cat_s`, target, 6, text('!'))).toMatchObject({ action: 'unsupported' });
    expect(call(`${prefix}ncpy_s`, target, 4, text('abcdef'), 3)).toBe(0);
    expect(guest[at](target)).toBe('abc');
    expect(call(`${prefix}ncpy_s`, target, 3, text('abcdef'), -1)).toBe(80);
    expect(guest[at](target)).toBe('ab');
    expect(call(`${prefix}ncat_s`, target, 5, text('xyz'), -1)).toBe(80);
    expect(guest[at](target)).toBe('abxy');
    expect(call(`${prefix}ncat_s`, target, 16, text('z'), -1)).toBe(0);
    expect(guest[at](target)).toBe('abxyz');
  });

  it('case in place', () => {
    const string = text('aZ9');
    expect(call(`_${ignoringCase}upr`, string)).toBe(string);
    expect(guest[at](string)).toBe('AZ9');
    call(`_${ignoringCase}lwr`, string);
    expect(guest[at](string)).toBe('az9');
  });
});

it('characters and numbers', () => {
  expect(call('tolower', 0x41)).toBe(0x61);
  expect(call('toupper', 0xe0)).toBe(0xe0);
  expect(call('towupper', 0xe0)).toBe(0xc0);
  expect(call('towlower', 0x416)).toBe(0x436);
  expect([call('isdigit', 0x39), call('isdigit', 0x41), call('isspace', 0x0b), call('isprint', 0x7f)]).toEqual([
    1, 0, 1, 0,
  ]);
  expect([call('isxdigit', 0x66), call('isupper', 0x61), call('islower', -1)]).toEqual([1, 0, 0]);
  expect(call('atoi', guest.ansi(' \t-12x'))).toBe(-12);
  expect(call('atoi', guest.ansi('99999999999'))).toBe(0x7fff_ffff);
  expect(call('atol', guest.ansi('x'))).toBe(0);
});
