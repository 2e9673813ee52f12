import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import { AddressMap } from '../address-map.ts';
import { rtlMemory } from './memory.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof rtlMemory.routines, ...args: (number | bigint)[]) =>
  guest.call(name, rtlMemory.routines[name], ...args);

it('copies as memmove does, across pages and overlaps', () => {
  const start = AddressMap.systemPtes.start;
  const pages = 4;
  guest.map(start, pages);
  const offset = fc.nat({ max: 0x1fff });
  fc.assert(
    fc.property(offset, offset, fc.nat({ max: 0x1fff }), (to, from, bytes) => {
      const model = Uint8Array.from({ length: pages * 0x1000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
      guest.memory.writeBytes(start, model);
      expect(call('memcpy', start + to, start + from, bytes)).toBe(start + to);
      model.copyWithin(to, from, from + bytes);
      expect(Buffer.from(model).equals(guest.memory.readBytes(start, model.length))).toBe(true);
    }),
    { numRuns: 150, seed: 1 },
  );
});

it('copies right between two addresses of one page', () => {
  const start = AddressMap.systemPtes.start;
  guest.map(start, 1);
  const frame = guest.memory.mappingAt(start);
  const alias = vaAdd(start, 0x10_0000);
  guest.memory.mapPage(alias, frame?.frame ?? -1, frame?.flags ?? 0);
  guest.memory.writeBytes(start, Uint8Array.of(1, 2, 3, 4));
  call('memmove', vaAdd(alias, 2), start, 4);
  expect([...guest.memory.readBytes(start, 6)]).toEqual([1, 2, 1, 2, 3, 4]);
});

it('keeps what was written before a fault', () => {
  const target = vaAdd(guest.dataEnd, -4);
  expect(() => call('memset', target, 0x55, 8)).toThrow(GuestFault);
  expect(guest.memory.readU32(target)).toBe(0x55555555);
  expect(() => call('memset', target, 0, 0xffff_ffff_ffff_fff0n)).toThrow(GuestFault);
  expect(() => call('memmove', 0, target, 1)).toThrow(GuestFault);
  expect(call('memmove', 0, 0, 0)).toBe(0);
  expect(() => guest.memory.readBytes(target, 2 ** 63)).toThrow(GuestFault);
});

it('fills, with each name’s own order of arguments', () => {
  const target = guest.allocate(12);
  call('memset', target, 0x1ff, 4);
  call('RtlFillMemory', vaAdd(target, 4), 4, 0xab);
  call('RtlZeroMemory', vaAdd(target, 8), 2);
  expect([...guest.memory.readBytes(target, 12)]).toEqual([255, 255, 255, 255, 171, 171, 171, 171, 0, 0, 0xcc, 0xcc]);
});

it('compares', () => {
  const left = guest.bytes([1, 2, 3, 0x80]);
  const right = guest.bytes([1, 2, 3, 0x7f]);
  expect(call('RtlCompareMemory', left, right, 4)).toBe(3);
  expect(call('RtlCompareMemory', left, left, 4)).toBe(4);
  expect(call('memcmp', left, right, 4)).toBe(1);
  expect(call('memcmp', right, left, 4)).toBe(-1);
  expect(call('memcmp', left, right, 3)).toBe(0);
  expect(call('memchr', left, 3, 4)).toBe(left + 2);
  expect(call('memchr', left, 9, 4)).toBe(0);
  expect(call('RtlCompareMemoryUlong', guest.bytes([1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]), 12, 1)).toBe(8);
  expect(call('RtlCompareMemory', vaAdd(guest.dataEnd, -2) as Va, vaAdd(guest.dataEnd, -2), 2)).toBe(2);
});
