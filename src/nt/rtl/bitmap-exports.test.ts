import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import type { Va } from '../../base/va.ts';
import { rtlBitmaps } from './bitmap-exports.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof rtlBitmaps.routines, ...args: (number | bigint)[]) =>
  guest.call(name, rtlBitmaps.routines[name], ...args);

/** A bitmap with the bits of a text of 0s and 1s, bit 0 first; what lies behind it is 0xCC. */
function bitmap(bits: string): { header: Va; bits: () => string; buffer: Va } {
  const header = guest.allocate(16);
  const buffer = guest.allocate(Math.ceil(bits.length / 32) * 4);
  call('RtlInitializeBitMap', header, buffer, bits.length);
  for (const [index, bit] of [...bits].entries()) call(bit === '1' ? 'RtlSetBit' : 'RtlClearBit', header, index);
  const read = () => Array.from(bits, (_, index) => (call('RtlTestBit', header, index) === true ? '1' : '0')).join('');
  return { header, bits: read, buffer };
}

it('changes ranges and nothing else', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[01]{1,70}$/), fc.nat(), fc.nat(), fc.boolean(), (text, a, b, isSet) => {
      const map = bitmap(text);
      const start = a % text.length;
      const length = b % (text.length - start + 1);
      call(isSet ? 'RtlSetBits' : 'RtlClearBits', map.header, start, length);
      const run = (isSet ? '1' : '0').repeat(length);
      expect(map.bits()).toBe(text.slice(0, start) + run + text.slice(start + length));
    }),
    { numRuns: 100, seed: 2 },
  );
});

it('counts, and answers for ranges', () => {
  const { header } = bitmap('0011101');
  expect([call('RtlNumberOfSetBits', header), call('RtlNumberOfClearBits', header)]).toEqual([4, 3]);
  expect(call('RtlAreBitsSet', header, 2, 3)).toBe(true);
  expect(call('RtlAreBitsSet', header, 2, 4)).toBe(false);
  expect(call('RtlAreBitsClear', header, 0, 2)).toBe(true);
  // An empty range, and one that leaves the bitmap.
  expect(call('RtlAreBitsClear', header, 0, 0)).toBe(false);
  expect(call('RtlAreBitsSet', header, 6, 2)).toBe(false);
});

it('finds runs from the hint on, then from the start', () => {
  const map = bitmap('1100011000001');
  expect(call('RtlFindClearBits', map.header, 3, 0)).toBe(2);
  expect(call('RtlFindClearBits', map.header, 3, 4)).toBe(7);
  expect(call('RtlFindClearBits', map.header, 3, 10)).toBe(2);
  // Around the hint: found only from the start.
  expect(call('RtlFindClearBits', map.header, 5, 8)).toBe(7);
  expect(call('RtlFindClearBits', map.header, 6, 0)).toBe(0xffff_ffff);
  expect(call('RtlFindClearBits', map.header, 3, 99)).toBe(2);
  expect(call('RtlFindSetBits', map.header, 2, 3)).toBe(5);
  expect(call('RtlFindClearBitsAndSet', map.header, 2, 6)).toBe(7);
  expect(call('RtlFindSetBitsAndClear', map.header, 2, 0)).toBe(0);
  expect(map.bits()).toBe('0000011110001');
});

it('finds runs and their lengths', () => {
  const { header } = bitmap('1100011000001');
  const start = guest.allocate(4);
  expect([call('RtlFindFirstRunClear', header, start), guest.memory.readU32(start)]).toEqual([3, 2]);
  expect([call('RtlFindLongestRunClear', header, start), guest.memory.readU32(start)]).toEqual([5, 7]);
  expect([call('RtlFindNextForwardRunClear', header, 4, start), guest.memory.readU32(start)]).toEqual([1, 4]);
  expect([call('RtlFindLastBackwardRunClear', header, 6, start), guest.memory.readU32(start)]).toEqual([3, 2]);
  expect(call('RtlFindNextForwardRunClear', header, 12, start)).toBe(0);
});

it('sets and clears whole ULONGs', () => {
  const map = bitmap('0'.repeat(33));
  call('RtlSetAllBits', map.header);
  expect(guest.memory.readU64(map.buffer)).toBe(0xffff_ffff_ffff_ffffn);
  call('RtlClearAllBits', map.header);
  expect(guest.memory.readU64(map.buffer)).toBe(0n);
});

it('knows the ends of a number', () => {
  expect(call('RtlFindMostSignificantBit', 0x8000_0000_0000_0100n)).toBe(63);
  expect(call('RtlFindLeastSignificantBit', 0x8000_0000_0000_0100n)).toBe(8);
  expect(call('RtlFindMostSignificantBit', 0)).toBe(-1);
});
