import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatVa,
  hexVa,
  nonCanonicalVa,
  type Va,
  vaFromHalves,
  vaFromU64,
  vaHigh,
  vaInRange,
  vaLow,
  vaToU64,
} from './va.ts';

const anyVa = fc.bigInt({ min: -(1n << 47n), max: (1n << 47n) - 1n }).map((value) => Number(value) as Va);

describe('Va', () => {
  it('is the same through 64 bits, through halves and back', () => {
    fc.assert(
      fc.property(anyVa, (va) => {
        expect(vaFromU64(vaToU64(va))).toBe(va);
        expect(vaFromHalves(vaLow(va), vaHigh(va))).toBe(va);
        expect(vaLow(va)).toBe(Number(vaToU64(va) & 0xffff_ffffn));
      }),
    );
  });

  it('takes no non-canonical value', () => {
    for (const value of [0x8000_0000_0000n, 0xffff_7fff_ffff_ffffn, 0xcdcd_cdcd_cdcd_cdcdn, 1n << 63n]) {
      expect(vaFromU64(value)).toBeNaN();
      expect(vaFromHalves(Number(value & 0xffff_ffffn), Number(value >> 32n))).toBeNaN();
    }
    expect(vaFromU64(0xffff_8000_0000_0000n)).toBe(-(2 ** 47));
  });

  it('lies in no range when it is non-canonical, and ranges do not wrap', () => {
    expect(vaInRange(nonCanonicalVa, 0 as Va, 2 ** 47)).toBe(false);
    expect(vaInRange(0x1000 as Va, 0x1000 as Va, 0x10, 0x10)).toBe(true);
    expect(vaInRange(0x1000 as Va, 0x1000 as Va, 0x10, 0x11)).toBe(false);
    expect(vaInRange(0xfff as Va, 0x1000 as Va, 0x10)).toBe(false);
  });

  it('is written as the debugger and as reports write it', () => {
    const va = vaFromU64(0xffff_f803_1a2b_3c40n);
    expect(formatVa(va)).toBe('fffff803`1a2b3c40');
    expect(hexVa(va)).toBe('0xfffff8031a2b3c40');
    expect(hexVa(nonCanonicalVa)).toBe('non-canonical');
  });
});
