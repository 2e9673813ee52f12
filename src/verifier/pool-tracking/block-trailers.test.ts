import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { tagOf } from '../../nt/ex/pool.ts';
import { chargedBytes } from '../../nt/ex/pool-sizes.ts';
import { PoolTracking } from './pool-tracking.ts';

const tag = tagOf('Test');
const [nonPagedNx, paged] = [0x200, 1];

function setUp(isVerified = true) {
  const t = new KernelCaller();
  const tracking = new PoolTracking(t.nt, ({ isDriver }) => isDriver && isVerified);
  const allocate = (bytes: number, poolType = nonPagedNx): Va =>
    t.callVa('ExAllocatePoolWithTag', poolType, bytes, tag);
  /** Code and parameters of the bug check when the block is freed. */
  const freed = (va: Va) => {
    const { code, parameters } = t.bugCheck('ExFreePool', va);
    return [code, ...parameters];
  };
  return { t, tracking, allocate, freed };
}

const smallSizes = [1, 2, 8, 15, 16, 17, 31, 32, 100, 256, 1000, 4032, 4047, 4048];
const largeSizes = [4097, 5000, 8191 - 16, 12_000];

describe('a write past the end of a block', () => {
  it.each([...smallSizes, ...largeSizes])('of %i bytes is 0xC4/0x51 at the free, however short it is', (bytes) => {
    for (const length of [1, 2, 7, 16]) {
      for (const value of [0, 0xff, 0x41]) {
        const { t, allocate, freed } = setUp();
        const block = allocate(bytes, length === 2 ? paged : nonPagedNx);
        const end = vaAdd(block, bytes);
        const record = t.nt.pool.driverBlockAt(block);
        t.nt.memory.fill(end, length, value);
        expect(freed(block)).toEqual([0xc4, 0x51, block, end, record && chargedBytes(record)]);
      }
    }
  });

  it('is told by where it hit: the charged bytes, the hash entry, or the header', () => {
    const rules = [0, 1, 3, 4, 7, 8, 15].map((offset) => {
      const { t, allocate, freed } = setUp();
      const block = allocate(40);
      const at = vaAdd(block, 40 + offset);
      t.nt.memory.writeU8(at, t.nt.memory.readU8(at) ^ 0x55);
      const [code, rule, base, where] = freed(block);
      expect([code, base]).toEqual([0xc4, block]);
      return [rule, (where as Va) - block - 40];
    });
    expect(rules).toEqual([
      [0x51, 0],
      [0x51, 1],
      [0x51, 3],
      [0x52, 4],
      [0x52, 4],
      [0x53, 8],
      [0x53, 8],
    ]);
  });

  it('is found for what kernel routines made, too', () => {
    const { t, freed } = setUp();
    const mdl = t.callVa('IoAllocateMdl', t.nt.userMemory.allocate(16), 16, false, false, 0);
    const bytes = t.nt.pool.driverBlockAt(mdl)?.bytes ?? 0;
    t.nt.memory.writeU8(vaAdd(mdl, bytes), 0);
    expect(freed(mdl).slice(0, 2)).toEqual([0xc4, 0x51]);
  });

  it('hits the next header of a driver that is not verified: 0x19', () => {
    const { t, allocate, freed } = setUp(false);
    const block = allocate(48);
    t.nt.memory.fill(vaAdd(block, 48), 16, 0x41);
    expect(freed(block).slice(0, 2)).toEqual([0x19, 0x20]);
  });
});

describe('a block that was used as it may be', () => {
  it('is freed, whatever its size, filled to the last byte', () => {
    const { t, tracking, allocate } = setUp();
    for (let bytes = 1; bytes < 9000; bytes += bytes % 97 === 0 ? 13 : 7) {
      const block = allocate(bytes, bytes % 2 === 0 ? paged : nonPagedNx);
      t.nt.memory.fill(block, bytes, 0x41);
      t.call('ExFreePool', block);
    }
    for (const bytes of [4048, 4049, 4063, 4064, 4065, 4079, 4080, 4081, 4096, 8176, 8177, 8192]) {
      const block = allocate(bytes);
      t.nt.memory.fill(block, bytes, 0);
      t.call('ExFreePool', block);
    }
    expect(tracking.allocations.countersOf(t.image.index).nonPaged.currentAllocations).toBe(0);
  });

  it('keeps its alignment and its place: below a page within one, from a page on at the start of one', () => {
    const [verified, other] = [setUp(), setUp(false)];
    for (const bytes of [...smallSizes, 4049, 4064, 4065, 4096, ...largeSizes]) {
      const pageOffsets = [verified, other].map(({ allocate }) => vaLow(allocate(bytes)) & 0xfff);
      expect(pageOffsets.map((offset) => offset % 16)).toEqual([0, 0]);
      expect((pageOffsets[0] === 0) === (pageOffsets[1] === 0), `${bytes}`).toBe(true);
    }
  });
});
