import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import type { Va } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import { AddressMap } from '../address-map.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
  STATUS_NAME_TOO_LONG,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { STRING } from '../structures/strings.ts';
import { rtlStrings } from './string-exports.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

type Name = keyof typeof rtlStrings.routines;
const call = (name: Name, ...args: (number | bigint | boolean)[]) =>
  guest.call(name, rtlStrings.routines[name], ...args);

function members(string: Va): [length: number, maximumLength: number, buffer: Va] {
  const { memory } = guest;
  return [
    STRING.Length.get(memory, string),
    STRING.MaximumLength.get(memory, string),
    STRING.Buffer.get(memory, string),
  ];
}

describe('RtlInit*', () => {
  it('counts the source without copying it', () => {
    const string = guest.allocate(16);
    const source = guest.wide('\\DosDevices\\Leaky');
    call('RtlInitUnicodeString', string, source);
    expect(members(string)).toEqual([34, 36, source]);
    const narrow = guest.ansi('leaky');
    call('RtlInitAnsiString', string, narrow);
    expect(members(string)).toEqual([5, 6, narrow]);
  });

  it('tells an empty source from none', () => {
    const string = guest.allocate(16);
    const source = guest.wide('');
    call('RtlInitUnicodeString', string, source);
    expect(members(string)).toEqual([0, 2, source]);
    call('RtlInitUnicodeString', string, 0);
    expect(members(string)).toEqual([0, 0, 0]);
    call('RtlInitString', string, 0);
    expect(members(string)).toEqual([0, 0, 0]);
  });

  it('cuts what is too long, and the Ex form refuses it', () => {
    const string = guest.allocate(16);
    const long = AddressMap.systemPtes.start;
    const end = guest.map(long, 17);
    guest.memory.fill(long, end - long, 0x41);
    guest.memory.writeU16((end - 2) as Va, 0);
    call('RtlInitUnicodeString', string, long);
    expect(members(string)).toEqual([65532, 65534, long]);
    expect(call('RtlInitUnicodeStringEx', string, long)).toBe(STATUS_NAME_TOO_LONG);
    call('RtlInitAnsiString', string, long);
    expect(members(string)).toEqual([65534, 65535, long]);
    expect(call('RtlInitAnsiStringEx', string, long)).toBe(STATUS_NAME_TOO_LONG);
    expect(call('RtlInitUnicodeStringEx', string, 0)).toBe(STATUS_SUCCESS);
  });
});

describe('RtlCopyUnicodeString', () => {
  it('cuts to MaximumLength and terminates only where it fits', () => {
    const source = guest.unicodeString('abcdef');
    const small = guest.unicodeString('', 8);
    const [, , buffer] = members(small);
    call('RtlCopyUnicodeString', small, source);
    expect(guest.textOf(small)).toBe('abcd');
    expect(members(small)[1]).toBe(8);
    const exact = guest.unicodeString('', 14);
    call('RtlCopyUnicodeString', exact, source);
    expect(guest.wideAt(members(exact)[2])).toBe('abcdef');
    call('RtlCopyUnicodeString', small, 0);
    expect(members(small)).toEqual([0, 8, buffer]);
  });

  it('is right where the buffers overlap', () => {
    const source = guest.unicodeString('abcdefgh', 32);
    const [, , buffer] = members(source);
    const shifted = guest.allocate(16);
    STRING.Length.set(guest.memory, shifted, 0);
    STRING.MaximumLength.set(guest.memory, shifted, 16);
    STRING.Buffer.set(guest.memory, shifted, (buffer + 4) as Va);
    call('RtlCopyUnicodeString', shifted, source);
    expect(guest.textOf(shifted)).toBe('abcdefgh');
  });

  it('RtlCopyString never terminates', () => {
    const target = guest.ansiString('', 8);
    call('RtlCopyString', target, guest.ansiString('abc'));
    expect([...guest.memory.readBytes(members(target)[2], 4)]).toEqual([0x61, 0x62, 0x63, 0xcc]);
  });
});

describe('RtlAppend*', () => {
  it('appends whole or not at all', () => {
    const target = guest.unicodeString('ab', 10);
    expect(call('RtlAppendUnicodeToString', target, guest.wide('cd'))).toBe(STATUS_SUCCESS);
    expect(guest.wideAt(members(target)[2])).toBe('abcd');
    expect(call('RtlAppendUnicodeStringToString', target, guest.unicodeString('ef'))).toBe(STATUS_BUFFER_TOO_SMALL);
    expect(guest.textOf(target)).toBe('abcd');
    expect(call('RtlAppendUnicodeStringToString', target, guest.unicodeString('e'))).toBe(STATUS_SUCCESS);
    expect(guest.textOf(target)).toBe('abcde');
    expect(call('RtlAppendUnicodeToString', target, 0)).toBe(STATUS_SUCCESS);
    const narrow = guest.ansiString('ab', 4);
    expect(call('RtlAppendAsciizToString', narrow, guest.ansi('cd'))).toBe(STATUS_SUCCESS);
    expect(call('RtlAppendStringToString', narrow, guest.ansiString('e'))).toBe(STATUS_BUFFER_TOO_SMALL);
  });
});

describe('comparing', () => {
  it('orders, with and without case', () => {
    const upper = guest.unicodeString('ÀBC');
    const lower = guest.unicodeString('àbc');
    const longer = guest.unicodeString('ÀBCd');
    expect(call('RtlCompareUnicodeString', upper, lower, false)).toBeLessThan(0);
    expect(call('RtlCompareUnicodeString', upper, lower, true)).toBe(0);
    expect(call('RtlCompareUnicodeString', longer, upper, true)).toBeGreaterThan(0);
    expect(call('RtlEqualUnicodeString', upper, lower, true)).toBe(true);
    expect(call('RtlEqualUnicodeString', upper, longer, true)).toBe(false);
    expect(call('RtlPrefixUnicodeString', lower, longer, true)).toBe(true);
    expect(call('RtlPrefixUnicodeString', lower, longer, false)).toBe(false);
    expect(call('RtlPrefixUnicodeString', longer, lower, true)).toBe(false);
  });

  it('compares bytes as the ANSI code page has them', () => {
    const upper = guest.ansiString('\u00c0BC');
    const lower = guest.ansiString('\u00e0bc');
    expect(call('RtlCompareString', upper, lower, false)).toBeLessThan(0);
    expect(call('RtlEqualString', upper, lower, true)).toBe(true);
    expect(call('RtlPrefixString', guest.ansiString('\u00c0b'), lower, true)).toBe(true);
    // 0x80 is the euro sign, U+20AC, but still sorts by its byte.
    expect(call('RtlCompareString', guest.ansiString('\u0080'), guest.ansiString('\u0081'), false)).toBeLessThan(0);
  });
});

it('letter case keeps characters whose other case leads elsewhere', () => {
  const upcase = (character: string): string =>
    String.fromCharCode(call('RtlUpcaseUnicodeChar', character.charCodeAt(0)) as number);
  expect([...'aé\u00ffßıµſςσ'].map(upcase).join('')).toBe('AÉ\u0178ßıµſΣΣ');
  expect(call('RtlDowncaseUnicodeChar', 0x130)).toBe(0x130);
  expect(call('RtlDowncaseUnicodeChar', 0x3a3)).toBe(0x3c3);
  expect(call('RtlUpperChar', 0xff)).toBe(0x9f);
  expect(call('RtlUpperChar', 0x7a)).toBe(0x5a);
  const target = guest.ansiString('', 3);
  call('RtlUpperString', target, guest.ansiString('leak'));
  expect([...guest.memory.readBytes(members(target)[2], 3)]).toEqual([0x4c, 0x45, 0x41]);
});

describe('RtlHashUnicodeString', () => {
  it('is x65599', () => {
    const value = guest.allocate(4);
    expect(call('RtlHashUnicodeString', guest.unicodeString('AB'), false, 0, value)).toBe(STATUS_SUCCESS);
    expect(guest.memory.readU32(value)).toBe(0x41 * 65599 + 0x42);
    call('RtlHashUnicodeString', guest.unicodeString('ab'), true, 1, value);
    expect(guest.memory.readU32(value)).toBe(0x41 * 65599 + 0x42);
  });

  it('refuses what it does not know', () => {
    const value = guest.allocate(4);
    expect(call('RtlHashUnicodeString', 0, false, 0, value)).toBe(STATUS_INVALID_PARAMETER);
    expect(call('RtlHashUnicodeString', guest.unicodeString('a'), false, 2, value)).toBe(STATUS_INVALID_PARAMETER);
    expect(call('RtlHashUnicodeString', guest.unicodeString('a'), false, 0, 0)).toBe(STATUS_INVALID_PARAMETER);
  });
});

it('a bad pointer faults instead of being read as empty', () => {
  expect(() => call('RtlInitUnicodeString', guest.allocate(16), guest.dataEnd)).toThrow(GuestFault);
  expect(() => call('RtlInitUnicodeString', 0x1234_5678_9abc_def0n, 0)).toThrow(GuestFault);
});
