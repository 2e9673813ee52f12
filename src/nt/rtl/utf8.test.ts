import { beforeEach, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_4,
  STATUS_INVALID_PARAMETER_5,
  STATUS_SOME_NOT_MAPPED,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { STRING } from '../structures/strings.ts';
import { rtlUtf8 } from './utf8.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof rtlUtf8.routines, ...args: (number | bigint | boolean)[]) =>
  guest.call(name, rtlUtf8.routines[name], ...args);

it('converts, and tells the size that is needed', () => {
  const target = guest.allocate(16);
  const count = guest.allocate(4);
  const source = guest.wide('aé€😀');
  expect(call('RtlUnicodeToUTF8N', 0, 0, count, source, 10)).toBe(STATUS_SUCCESS);
  expect(guest.memory.readU32(count)).toBe(10);
  expect(call('RtlUnicodeToUTF8N', target, 10, 0, source, 10)).toBe(STATUS_SUCCESS);
  expect(Buffer.from(guest.memory.readBytes(target, 10)).toString('utf8')).toBe('aé€😀');
  const back = guest.allocate(16);
  expect(call('RtlUTF8ToUnicodeN', back, 16, count, target, 10)).toBe(STATUS_SUCCESS);
  expect(guest.memory.readBytes(back, 10)).toEqual(guest.memory.readBytes(source, 10));
});

it('writes whole characters only where the buffer is too small', () => {
  const target = guest.allocate(16);
  const count = guest.allocate(4);
  expect(call('RtlUnicodeToUTF8N', target, 5, count, guest.wide('aé€'), 6)).toBe(STATUS_BUFFER_TOO_SMALL);
  expect(guest.memory.readU32(count)).toBe(3);
  expect(guest.memory.readU8((target + 3) as typeof target)).toBe(0xcc);
});

it('replaces what is malformed and says so', () => {
  const target = guest.allocate(16);
  const count = guest.allocate(4);
  expect(call('RtlUnicodeToUTF8N', target, 16, count, guest.wide('\ud800x'), 4)).toBe(STATUS_SOME_NOT_MAPPED);
  expect([...guest.memory.readBytes(target, 4)]).toEqual([0xef, 0xbf, 0xbd, 0x78]);
  expect(call('RtlUTF8ToUnicodeN', target, 16, count, guest.bytes([0xff, 0x41]), 2)).toBe(STATUS_SOME_NOT_MAPPED);
  expect(guest.memory.readU32(target)).toBe(0x0041_fffd);
});

it('refuses what the documentation says', () => {
  const target = guest.allocate(16);
  expect(call('RtlUnicodeToUTF8N', 0, 0, 0, target, 2)).toBe(STATUS_INVALID_PARAMETER);
  expect(call('RtlUnicodeToUTF8N', target, 16, 0, 0, 2)).toBe(STATUS_INVALID_PARAMETER_4);
  expect(call('RtlUnicodeToUTF8N', target, 16, 0, target, 3)).toBe(STATUS_INVALID_PARAMETER_5);
});

it('counted strings are allocated, terminated and freed', () => {
  const string = guest.allocate(16);
  expect(call('RtlUnicodeStringToUTF8String', string, guest.unicodeString('é'), true)).toBe(STATUS_SUCCESS);
  expect([...guest.memory.readBytes(STRING.Buffer.get(guest.memory, string), 3)]).toEqual([0xc3, 0xa9, 0]);
  expect([...guest.nt.pool.driverBlocks()]).toHaveLength(1);
  const back = guest.unicodeString('', 4);
  expect(call('RtlUTF8StringToUnicodeString', back, string, false)).toBe(STATUS_SUCCESS);
  expect(guest.textOf(back)).toBe('é');
  expect(call('RtlUTF8StringToUnicodeString', guest.unicodeString('', 2), string, false)).toBe(STATUS_BUFFER_OVERFLOW);
  call('RtlFreeUTF8String', string);
  expect([...guest.nt.pool.driverBlocks()]).toEqual([]);
});
