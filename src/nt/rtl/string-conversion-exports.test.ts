import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import type { Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_2,
  STATUS_NO_MEMORY,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { PoolType } from '../structures/pool.ts';
import { STRING } from '../structures/strings.ts';
import { rtlCodePages } from './code-page-exports.ts';
import { rtlGuid } from './guid.ts';
import { rtlNumberText } from './number-text.ts';
import { stringTag } from './string-buffers.ts';
import { rtlStringConversion } from './string-conversion-exports.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const routines = {
  ...rtlStringConversion.routines,
  ...rtlCodePages.routines,
  ...rtlGuid.routines,
  ...rtlNumberText.routines,
};
const call = (name: keyof typeof routines, ...args: (number | bigint | boolean)[]) =>
  guest.call(String(name), routines[name], ...args);

const buffer = (string: Va): Va => STRING.Buffer.get(guest.memory, string);
const blocks = () => [...guest.nt.pool.driverBlocks()];

describe('strings that the kernel allocates', () => {
  it('come from paged pool, tagged Strg, and go back with RtlFreeUnicodeString', () => {
    const string = guest.allocate(16);
    expect(call('RtlAnsiStringToUnicodeString', string, guest.ansiString('le\u0080k'), true)).toBe(STATUS_SUCCESS);
    expect(guest.wideAt(buffer(string))).toBe('le€k');
    expect([STRING.Length.get(guest.memory, string), STRING.MaximumLength.get(guest.memory, string)]).toEqual([8, 10]);
    expect(blocks()).toMatchObject([{ va: buffer(string), bytes: 10, tag: stringTag, poolType: PoolType.PagedPool }]);
    call('RtlFreeUnicodeString', string);
    expect(blocks()).toEqual([]);
    expect(guest.memory.readBytes(string, 16).every((byte, index) => byte === 0 || (index >= 4 && index < 8))).toBe(
      true,
    );
    // Freeing a cleared string does nothing.
    call('RtlFreeUnicodeString', string);
  });

  it('of every kind are counted once', () => {
    const string = guest.allocate(16);
    const source = guest.unicodeString('Leak');
    const guid = guest.bytes(Uint8Array.from({ length: 16 }, (_, index) => index + 1));
    expect(call('RtlUnicodeStringToAnsiString', string, source, true)).toBe(STATUS_SUCCESS);
    expect(guest.ansiAt(buffer(string))).toBe('Leak');
    expect(call('RtlUpcaseUnicodeString', string, source, true)).toBe(STATUS_SUCCESS);
    expect(guest.textOf(string)).toBe('LEAK');
    expect(call('RtlDowncaseUnicodeString', string, source, true)).toBe(STATUS_SUCCESS);
    expect(call('RtlCreateUnicodeString', string, guest.wide('made'))).toBe(true);
    expect(guest.wideAt(buffer(string))).toBe('made');
    expect(call('RtlStringFromGUID', guid, string)).toBe(STATUS_SUCCESS);
    expect(guest.textOf(string)).toBe('{04030201-0605-0807-090A-0B0C0D0E0F10}');
    expect(blocks().map((block) => block.bytes)).toEqual([5, 8, 8, 10, 78]);
  });

  it('fail cleanly when an allocation fails', () => {
    guest.nt.pool.policies.push(() => false);
    const string = guest.unicodeString('old');
    const before = buffer(string);
    expect(call('RtlAnsiStringToUnicodeString', string, guest.ansiString('x'), true)).toBe(STATUS_NO_MEMORY);
    expect(call('RtlCreateUnicodeString', string, guest.wide('x'))).toBe(false);
    expect(call('RtlStringFromGUID', guest.allocate(16), string)).toBe(STATUS_NO_MEMORY);
    expect(buffer(string)).toBe(before);
    expect(blocks()).toEqual([]);
  });

  it('cannot be freed twice through a copy', () => {
    const string = guest.allocate(16);
    call('RtlCreateUnicodeString', string, guest.wide('twice'));
    const copy = guest.bytes(guest.memory.readBytes(string, 16));
    call('RtlFreeUnicodeString', string);
    expect(() => call('RtlFreeUnicodeString', copy)).toThrow(BugCheck);
  });
});

describe('conversion into a given buffer', () => {
  it('needs room for the terminator', () => {
    const exact = guest.unicodeString('', 8);
    expect(call('RtlAnsiStringToUnicodeString', exact, guest.ansiString('abc'), false)).toBe(STATUS_SUCCESS);
    expect(guest.wideAt(buffer(exact))).toBe('abc');
    const short = guest.unicodeString('', 6);
    expect(call('RtlAnsiStringToUnicodeString', short, guest.ansiString('abc'), false)).toBe(STATUS_BUFFER_OVERFLOW);
    expect(guest.memory.readU16(buffer(short))).toBe(0xcccc);
    const huge = guest.ansiString('x'.repeat(40));
    STRING.Length.set(guest.memory, huge, 0x8000);
    expect(call('RtlAnsiStringToUnicodeString', short, huge, false)).toBe(STATUS_INVALID_PARAMETER_2);
  });

  it('from UTF-16 is cut with STATUS_BUFFER_OVERFLOW', () => {
    const target = guest.ansiString('', 4);
    expect(call('RtlUnicodeStringToAnsiString', target, guest.unicodeString('abcdef'), false)).toBe(
      STATUS_BUFFER_OVERFLOW,
    );
    expect(guest.ansiAt(buffer(target))).toBe('abc');
    expect(STRING.Length.get(guest.memory, target)).toBe(3);
  });

  it('in upper case takes exactly the source length', () => {
    const target = guest.unicodeString('', 6);
    expect(call('RtlUpcaseUnicodeString', target, guest.unicodeString('abc'), false)).toBe(STATUS_SUCCESS);
    expect(guest.textOf(target)).toBe('ABC');
    expect(call('RtlUpcaseUnicodeString', target, guest.unicodeString('abcd'), false)).toBe(STATUS_BUFFER_OVERFLOW);
  });

  it('counted OEM forms have no terminator', () => {
    const target = guest.ansiString('', 2);
    expect(call('RtlUpcaseUnicodeStringToCountedOemString', target, guest.unicodeString('éΩ'), false)).toBe(
      STATUS_SUCCESS,
    );
    expect([...guest.memory.readBytes(buffer(target), 2)]).toEqual([0x90, 0xea]);
    const back = guest.unicodeString('', 4);
    expect(call('RtlOemStringToCountedUnicodeString', back, target, false)).toBe(STATUS_SUCCESS);
    expect(guest.textOf(back)).toBe('ÉΩ');
  });

  it('knows its sizes', () => {
    expect(call('RtlxAnsiStringToUnicodeSize', guest.ansiString('abc'))).toBe(8);
    expect(call('RtlxUnicodeStringToAnsiSize', guest.unicodeString('abc'))).toBe(4);
  });
});

describe('RtlDuplicateUnicodeString', () => {
  it('does as its flags say', () => {
    const copy = guest.allocate(16);
    const source = guest.unicodeString('ab');
    const empty = guest.unicodeString('');
    expect(call('RtlDuplicateUnicodeString', 0, source, copy)).toBe(STATUS_SUCCESS);
    expect(STRING.MaximumLength.get(guest.memory, copy)).toBe(4);
    expect(call('RtlDuplicateUnicodeString', 1, source, copy)).toBe(STATUS_SUCCESS);
    expect(guest.wideAt(buffer(copy))).toBe('ab');
    expect(call('RtlDuplicateUnicodeString', 1, empty, copy)).toBe(STATUS_SUCCESS);
    expect(buffer(copy)).toBe(0);
    expect(call('RtlDuplicateUnicodeString', 3, empty, copy)).toBe(STATUS_SUCCESS);
    expect(buffer(copy)).not.toBe(0);
    expect(call('RtlDuplicateUnicodeString', 2, source, copy)).toBe(STATUS_INVALID_PARAMETER);
    expect(call('RtlDuplicateUnicodeString', 0, 0, copy)).toBe(STATUS_INVALID_PARAMETER);
    expect(blocks().map((block) => block.bytes)).toEqual([4, 6, 2]);
  });
});

describe('RtlMultiByteToUnicodeN and its relatives', () => {
  it('cut silently and tell the length', () => {
    const target = guest.allocate(16);
    const count = guest.allocate(4);
    expect(call('RtlMultiByteToUnicodeN', target, 5, count, guest.ansi('abcdef'), 6)).toBe(STATUS_SUCCESS);
    expect(guest.memory.readU32(count)).toBe(4);
    expect([...guest.memory.readBytes(target, 5)]).toEqual([0x61, 0, 0x62, 0, 0xcc]);
    expect(call('RtlUnicodeToMultiByteN', target, 3, 0, guest.wide('€Ωx'), 6)).toBe(STATUS_SUCCESS);
    expect([...guest.memory.readBytes(target, 3)]).toEqual([0x80, 0x3f, 0x78]);
  });

  it('RtlAnsiCharToUnicodeChar moves the pointer on', () => {
    const text = guest.ansi('\u0080');
    const pointer = guest.allocate(8);
    guest.memory.writeVa(pointer, text);
    expect(call('RtlAnsiCharToUnicodeChar', pointer)).toBe(0x20ac);
    expect(guest.memory.readVa(pointer)).toBe(text + 1);
  });
});

describe('numbers', () => {
  it.each([
    // The documentation's own table, then prefixes and wrapping.
    ['123', 10, 123],
    ['-345', 10, -345],
    ['xyz', 10, 0],
    ['+678abc', 10, 678],
    ['+678abc', 16, 6785724],
    ['007', 10, 7],
    ['789', 8, 7],
    ['FGH', 16, 15],
    [' ', 10, 0],
    ['0x1F', 0, 31],
    ['\t 0b101', 0, 5],
    ['0o17', 0, 15],
    ['12', 0, 12],
    ['4294967297', 10, 1],
    ['0x10', 16, 0],
  ] as const)('RtlUnicodeStringToInteger reads %j in base %i', (text, base, value) => {
    const result = guest.allocate(4);
    expect(call('RtlUnicodeStringToInteger', guest.unicodeString(text), base, result)).toBe(STATUS_SUCCESS);
    expect(guest.memory.readI32(result)).toBe(value);
    expect(call('RtlCharToInteger', guest.ansi(text), base, result)).toBe(STATUS_SUCCESS);
    expect(guest.memory.readI32(result)).toBe(value);
  });

  it('refuses other bases and an empty string', () => {
    const result = guest.allocate(4);
    expect(call('RtlUnicodeStringToInteger', guest.unicodeString('1'), 7, result)).toBe(STATUS_INVALID_PARAMETER);
    expect(call('RtlUnicodeStringToInteger', guest.unicodeString(''), 10, result)).toBe(STATUS_INVALID_PARAMETER);
    expect(call('RtlIntegerToUnicodeString', 1, 7, guest.unicodeString('', 64))).toBe(STATUS_INVALID_PARAMETER);
  });

  it('writes numbers with their terminator or not at all', () => {
    const string = guest.unicodeString('', 18);
    expect(call('RtlIntegerToUnicodeString', 0xdeadbeef, 16, string)).toBe(STATUS_SUCCESS);
    expect(guest.wideAt(buffer(string))).toBe('DEADBEEF');
    expect(call('RtlIntegerToUnicodeString', 4000000000, 0, string)).toBe(STATUS_BUFFER_OVERFLOW);
    expect(guest.wideAt(buffer(string))).toBe('DEADBEEF');
    const large = guest.unicodeString('', 130);
    expect(call('RtlInt64ToUnicodeString', 0xffff_ffff_ffff_ffffn, 10, large)).toBe(STATUS_SUCCESS);
    expect(guest.textOf(large)).toBe('18446744073709551615');
  });
});

describe('GUIDs', () => {
  it('are read back as they were written', () => {
    const guid = guest.allocate(16);
    expect(call('ExUuidCreate', guid)).toBe(STATUS_SUCCESS);
    const string = guest.allocate(16);
    call('RtlStringFromGUID', guid, string);
    expect(guest.textOf(string)).toMatch(/^\{[\dA-F]{8}-[\dA-F]{4}-4[\dA-F]{3}-[89AB][\dA-F]{3}-[\dA-F]{12}\}$/);
    const again = guest.allocate(16);
    expect(call('RtlGUIDFromString', string, again)).toBe(STATUS_SUCCESS);
    expect(guest.memory.readBytes(again, 16)).toEqual(guest.memory.readBytes(guid, 16));
  });

  it('need braces and digits', () => {
    const guid = guest.allocate(16);
    for (const text of ['', '04030201-0605-0807-090A-0B0C0D0E0F10', '{0403020G-0605-0807-090A-0B0C0D0E0F10}']) {
      expect(call('RtlGUIDFromString', guest.unicodeString(text), guid)).toBe(STATUS_INVALID_PARAMETER);
    }
    expect(guest.memory.readU32(guid)).toBe(0xcccccccc);
  });
});
