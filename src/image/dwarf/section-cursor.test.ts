import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../test/crafted-dwarf.ts';
import { addressBase, rvaOfZero, SectionCursor } from './section-cursor.ts';

const over = (bytes: Uint8Array): SectionCursor => new SectionCursor(bytes, '.debug_info');

describe('SectionCursor', () => {
  it.each([
    [0, [0x00]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [12857, [0xb9, 0x64]],
    [2 ** 40, [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]],
    [5, [0x85, 0x80, 0x00]],
  ])('reads ULEB128 %i', (value, bytes) => {
    expect(over(Uint8Array.from(bytes)).uleb()).toBe(value);
  });

  it.each([
    [2, [0x02]],
    [-2, [0x7e]],
    [127, [0xff, 0x00]],
    [-127, [0x81, 0x7f]],
    [128, [0x80, 0x01]],
    [-129, [0xff, 0x7e]],
  ])('reads SLEB128 %i', (value, bytes) => {
    expect(over(Uint8Array.from(bytes)).sleb()).toBe(value);
  });

  it('refuses what does not end', () => {
    expect(() => over(Uint8Array.of(0x80, 0x80)).uleb()).toThrow(/PP1301|cut short/);
    expect(() => over(new Uint8Array(32).fill(0x80)).uleb()).toThrow(/beyond 64 bits/);
    expect(() => over(new Uint8Array(32).fill(0xff)).sleb()).toThrow(/beyond 64 bits/);
    expect(() => over(Uint8Array.of(0x61, 0x62)).string()).toThrow(/cut short/);
    expect(() => over(Uint8Array.of(1, 2, 3)).u32()).toThrow(/cut short/);
    expect(() => new SectionCursor(new Uint8Array(4), '.debug_str', 5)).toThrow(/nothing in .debug_str at 0x5/);
  });

  it('makes addresses relative to any base without losing bits', () => {
    const address = (value: bigint, base: bigint): number =>
      over(new ByteWriter().u64(value).done()).address(8, addressBase(base));
    expect(address(0x1_4000_1234n, 0x1_4000_0000n)).toBe(0x1234);
    expect(address(0xffff_f800_0000_1001n, 0xffff_f800_0000_0000n)).toBe(0x1001);
    expect(address(0x2_0000_0000n, 0x1_ffff_0000n)).toBe(0x10000);
    expect(address(0n, 0x1_4000_0000n)).toBe(rvaOfZero(addressBase(0x140000000)));
    expect(over(new ByteWriter().u32(0x11000).done()).address(4, addressBase(0x10000))).toBe(0x1000);
  });

  it('reads both DWARF formats and no reserved one', () => {
    expect(over(new ByteWriter().u32(7).done()).unitLength()).toEqual({ length: 7, offsetBytes: 4 });
    const long = new ByteWriter().u32(0xffffffff).u64(9n).done();
    expect(over(long).unitLength()).toEqual({ length: 9, offsetBytes: 8 });
    expect(() => over(new ByteWriter().u32(0xfffffff3).done()).unitLength()).toThrow(/reserved/);
  });
});
