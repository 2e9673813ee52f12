import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { nullVa, type Va, vaAdd, vaLow } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { Call } from '../declare/call.ts';
import { PoolType } from '../structures/pool.ts';
import { tagOf } from './pool.ts';
import { exPool } from './pool-exports.ts';

const tag = tagOf('Test');

function setUp() {
  const fixture = new GuestFixture();
  const { nt } = fixture;
  const call = new Call(nt, 'ExAllocatePoolWithTag', undefined, nullVa, fixture.stack);
  const allocate = (poolType: number, bytes: number): Va => nt.pool.allocate({ poolType, bytes, tag }, call) as Va;
  return { fixture, nt, call, allocate };
}

function bugCheckOf(action: () => unknown): BugCheck {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof BugCheck) return thrown;
    throw thrown;
  }
  throw new Error('no bug check');
}

describe('placement', () => {
  it('begins a cache line where the pool type asks for it', () => {
    const { nt, call, allocate } = setUp();
    const types = [
      PoolType.NonPagedPoolCacheAligned,
      PoolType.PagedPoolCacheAligned,
      PoolType.NonPagedPoolNxCacheAligned,
    ];
    for (const type of types) {
      for (const bytes of [1, 40, 100, 5000]) {
        const va = allocate(type, bytes);
        expect(vaLow(va) % 64).toBe(0);
        nt.pool.free(va, tag, call);
      }
    }
    expect([...nt.pool.driverBlocks()]).toEqual([]);
  });

  it('gives aligned blocks that never overlap, small ones within a page, large ones at its start', () => {
    const request = fc.record({
      poolType: fc.constantFrom(PoolType.NonPagedPool, PoolType.NonPagedPoolNx, PoolType.PagedPool),
      bytes: fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 3900, max: 9000 })),
      frees: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 80 }), (requests) => {
        const { nt, call, allocate } = setUp();
        const live: { va: Va; bytes: number }[] = [];
        for (const { poolType, bytes, frees } of requests) {
          const va = allocate(poolType, bytes);
          expect(vaLow(va) % 16).toBe(0);
          if (bytes >= pageSize) expect(vaLow(va) & pageMask).toBe(0);
          else expect((vaLow(va) & pageMask) + bytes).toBeLessThanOrEqual(pageSize);
          for (const other of live) expect(va >= other.va + other.bytes || va + bytes <= other.va).toBe(true);
          nt.memory.fill(va, bytes, 0x5a);
          live.push({ va, bytes });
          if (frees === 0) nt.pool.free((live.shift() as { va: Va }).va, tag, call);
        }
        for (const { va } of live) nt.pool.free(va, tag, call);
        expect([...nt.pool.driverBlocks()]).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('hands out garbage unless zeros are asked for, and spoils what was freed', () => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.NonPagedPoolNx, 64);
    expect(nt.memory.readU64(va)).not.toBe(0n);
    nt.memory.fill(va, 64, 0x41);
    nt.pool.free(va, tag, call);
    expect(nt.memory.readU8(va)).not.toBe(0x41);
    const zeroed = nt.pool.allocate({ poolType: PoolType.PagedPool, bytes: 64, tag, isZeroed: true }, call) as Va;
    expect(nt.memory.readBytes(zeroed, 64)).toEqual(new Uint8Array(64));
  });

  it('hands out other garbage for another seed, the same for the same, and never what is a valid address', () => {
    const contents = (seed: number): bigint[] => {
      const fixture = new GuestFixture({ seed });
      const call = new Call(fixture.nt, 'ExAllocatePoolWithTag', undefined, nullVa, fixture.stack);
      return [24, 100, 1000, 5000, 9000].flatMap((bytes) => {
        const va = fixture.nt.pool.allocate({ poolType: PoolType.PagedPool, bytes, tag }, call) as Va;
        return [fixture.memory.readU64(va), fixture.memory.readU64(vaAdd(va, bytes - 8))];
      });
    };
    expect(contents(1)).toEqual(contents(1));
    expect(contents(1)).not.toEqual(contents(2));
    // Not canonical: bits 47 to 63 are not alike.
    for (const word of contents(3)) expect([0n, 0x1_ffffn]).not.toContain(word >> 47n);
  });

  it('unmaps a freed block of a page and more', () => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.NonPagedPoolNx, 5000);
    nt.pool.free(va, tag, call);
    expect(() => nt.memory.readU8(va)).toThrow();
  });

  it('does not hand a freed block out again at once', () => {
    const { nt, call, allocate } = setUp();
    const freed = new Set<Va>();
    for (let count = 0; count < 30; count++) {
      const va = allocate(PoolType.NonPagedPoolNx, 100);
      expect(freed.has(va)).toBe(false);
      freed.add(va);
      nt.pool.free(va, tag, call);
    }
  });

  it('fails when memory is used up, and works again after a free', () => {
    const { nt, call } = setUp();
    const blocks: Va[] = [];
    for (;;) {
      const va = nt.pool.allocate({ poolType: PoolType.NonPagedPoolNx, bytes: 0x8_0000, tag }, call);
      if (va === undefined) break;
      blocks.push(va);
    }
    expect(blocks.length).toBeGreaterThan(5);
    nt.pool.free(blocks.pop() as Va, tag, call);
    expect(nt.pool.allocate({ poolType: PoolType.NonPagedPoolNx, bytes: 0x8_0000, tag }, call)).toBeDefined();
  });
});

describe('a free block that is written to', () => {
  it.each([
    ['its first byte', 0],
    ['its middle', 50],
    ['its last byte', 111],
  ])('is known by %s, and never handed out again', (_title, offset) => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.NonPagedPoolNx, 100);
    expect([...nt.pool.damagedFreeBlocks()]).toEqual([]);
    nt.pool.free(va, tag, call);
    expect([...nt.pool.damagedFreeBlocks()]).toEqual([]);
    nt.memory.writeU8(vaAdd(va, offset), 1);
    const damage = [{ va, tag, firstDamage: vaAdd(va, offset) }];
    expect([...nt.pool.damagedFreeBlocks()]).toEqual(damage);
    for (let count = 0; count < 200; count++) {
      const other = allocate(PoolType.NonPagedPoolNx, 100);
      expect(other).not.toBe(va);
      nt.pool.free(other, tag, call);
    }
    expect([...nt.pool.damagedFreeBlocks()]).toEqual(damage);
  });

  it('is known by its header', () => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.PagedPool, 100);
    nt.pool.free(va, tag, call);
    nt.memory.writeU64(vaAdd(va, -8), 0n);
    expect([...nt.pool.damagedFreeBlocks()]).toEqual([{ va, tag, firstDamage: vaAdd(va, -8) }]);
  });

  it("is the kernel's own, too", () => {
    const { nt } = setUp();
    const va = nt.pool.allocateKernel(64, 'Irp ');
    nt.pool.freeKernel(va);
    nt.memory.writeU8(vaAdd(va, 3), 0);
    expect([...nt.pool.damagedFreeBlocks()]).toMatchObject([{ va, tag: tagOf('Irp ') }]);
  });
});

describe('bad frees', () => {
  it.each([
    ['twice', 0x07, (va: Va) => va],
    ['of the middle of a block', 0x44, (va: Va) => vaAdd(va, 8)],
    ['of a user address', 0x40, () => 0x1_0000 as Va],
    ['of an address outside of pool', 0x46, () => -0x1000 as Va],
  ])('a free %s is bug check 0xC2/0x%i', (title, code, addressOf) => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.NonPagedPoolNx, 64);
    if (title === 'twice') nt.pool.free(va, tag, call);
    const bugCheck = bugCheckOf(() => nt.pool.free(addressOf(va), 0, call));
    expect([bugCheck.code, bugCheck.parameters[0]]).toEqual([0xc2, code]);
  });

  it('with another tag is 0xC2/0x0A; with tag 0 it is none', () => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.PagedPool, 64);
    const other = tagOf('Othr');
    expect(bugCheckOf(() => nt.pool.free(va, other, call))).toMatchObject({
      code: 0xc2,
      parameters: [0x0a, va, tag, other],
    });
    nt.pool.free(va, 0, call);
  });

  it('of a block whose header was overwritten is 0x19/0x20', () => {
    const { nt, call, allocate } = setUp();
    const va = allocate(PoolType.NonPagedPoolNx, 64);
    nt.memory.writeU64(vaAdd(va, -16), 0n);
    const bugCheck = bugCheckOf(() => nt.pool.free(va, tag, call));
    expect([bugCheck.code, bugCheck.parameters[0], bugCheck.parameters[1]]).toEqual([0x19, 0x20, vaAdd(va, -16)]);
  });
});

describe('ExAllocatePool2', () => {
  const { ExAllocatePool2 } = exPool.routines;
  it.each([
    ['no pool flag', 0n, 16],
    ['two pool flags', 0x140n, 16],
    ['a reserved flag', 0x50n, 16],
    ['size 0', 0x40n, 0],
  ])('answers NULL, or raises if asked to, for %s', (_title, flags, bytes) => {
    const { fixture } = setUp();
    expect(fixture.call('ExAllocatePool2', ExAllocatePool2, flags, bytes, tag)).toBe(0);
    expect(fixture.call('ExAllocatePool2', ExAllocatePool2, flags | 0x20n, bytes, tag)).toMatchObject({
      action: 'raise',
      status: 0xc000000d,
    });
  });

  it('zeroes unless POOL_FLAG_UNINITIALIZED, and passes over optional flags', () => {
    const { fixture } = setUp();
    const va = fixture.call('ExAllocatePool2', ExAllocatePool2, 0x40n | (1n << 32n), 32, tag) as Va;
    expect(fixture.memory.readU64(va)).toBe(0n);
    const raw = fixture.call('ExAllocatePool2', ExAllocatePool2, 0x42n, 32, tag) as Va;
    expect(fixture.memory.readU64(raw)).not.toBe(0n);
  });

  it('answers NULL for tag 0', () => {
    expect(setUp().fixture.call('ExAllocatePool2', ExAllocatePool2, 0x40n, 16, 0)).toBe(0);
  });
});

describe('the older forms', () => {
  const { ExAllocatePoolWithTag, ExAllocatePoolWithQuotaTag } = exPool.routines;
  const huge = 0x1_0000_0000;

  it('answer NULL for lack of memory, or raise STATUS_INSUFFICIENT_RESOURCES where they say so', () => {
    const { fixture } = setUp();
    expect(fixture.call('ExAllocatePoolWithTag', ExAllocatePoolWithTag, 0, huge, tag)).toBe(0);
    const raised = { action: 'raise', status: 0xc000009a };
    expect(fixture.call('ExAllocatePoolWithTag', ExAllocatePoolWithTag, 0x10, huge, tag)).toMatchObject(raised);
    expect(fixture.call('ExAllocatePoolWithQuotaTag', ExAllocatePoolWithQuotaTag, 0, huge, tag)).toMatchObject(raised);
    expect(fixture.call('ExAllocatePoolWithQuotaTag', ExAllocatePoolWithQuotaTag, 0x8, huge, tag)).toBe(0);
  });

  it('must-succeed pool is bug check 0xC2/0x9A', () => {
    const { fixture } = setUp();
    expect(bugCheckOf(() => fixture.call('ExAllocatePoolWithTag', ExAllocatePoolWithTag, 2, 16, tag))).toMatchObject({
      code: 0xc2,
    });
  });
});
