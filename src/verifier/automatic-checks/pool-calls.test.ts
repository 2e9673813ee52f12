import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { tagOf } from '../../nt/ex/pool.ts';
import { PoolTracking } from '../pool-tracking/pool-tracking.ts';
import { PoolCalls } from './pool-calls.ts';

const tag = tagOf('Test');
const [nonPaged, paged, nonPagedNx] = [0, 1, 0x200];
const [apc, dispatch, high] = [1, 2, 15];

class PoolCaller extends KernelCaller {
  constructor(options: { isVerified?: boolean; hasPoolTracking?: boolean; hasMiscellaneousChecks?: boolean } = {}) {
    super();
    new PoolCalls(this.nt, {
      isVerified: ({ isDriver }) => isDriver && (options.isVerified ?? true),
      hasPoolTracking: options.hasPoolTracking ?? true,
      hasMiscellaneousChecks: options.hasMiscellaneousChecks ?? false,
    });
  }

  allocate(poolType: number, bytes: number): Va {
    return this.callVa('ExAllocatePoolWithTag', poolType, bytes, tag);
  }

  free(va: Va): void {
    this.call('ExFreePoolWithTag', va, tag);
  }

  at(irql: number): this {
    this.nt.setIrql(irql);
    return this;
  }

  /** Code and parameters of the bug check that the call ends in. */
  stops(name: string, ...args: readonly (number | bigint)[]): readonly unknown[] {
    const { code, parameters } = this.bugCheck(name, ...args);
    return [code, ...parameters];
  }
}

describe('an allocation of a verified driver', () => {
  it.each([
    ['ExAllocatePool', [nonPagedNx, 0], nonPagedNx],
    ['ExAllocatePoolWithTag', [paged, 0, tag], paged],
    ['ExAllocatePoolWithTagPriority', [nonPaged, 0, tag, 0], nonPaged],
    ['ExAllocatePoolWithQuota', [paged, 0], paged],
    ['ExAllocatePoolWithQuotaTag', [paged, 0, tag], paged],
    ['ExAllocatePool2', [0x40, 0, tag], nonPagedNx],
    ['ExAllocatePool3', [0x100, 0, tag, 0, 0], paged],
  ])('of 0 bytes is 0xC4/0x00: %s', (name, args, poolType) => {
    expect(new PoolCaller().stops(name, ...args)).toEqual([0xc4, 0x00, 0, poolType, 0]);
  });

  it('of paged pool is allowed at APC_LEVEL and 0xC4/0x01 above', () => {
    const t = new PoolCaller().at(apc);
    t.free(t.allocate(paged, 24));
    expect(t.at(dispatch).stops('ExAllocatePoolWithTag', paged, 24, tag)).toEqual([0xc4, 0x01, dispatch, paged, 24]);
    expect(t.stops('ExAllocatePool2', 0x100, 24, tag)).toEqual([0xc4, 0x01, dispatch, paged, 24]);
  });

  it('of nonpaged pool is allowed at DISPATCH_LEVEL and 0xC4/0x02 above', () => {
    const t = new PoolCaller().at(dispatch);
    t.free(t.allocate(nonPagedNx, 24));
    expect(t.at(high).stops('ExAllocatePoolWithTag', nonPagedNx, 24, tag)).toEqual([0xc4, 0x02, high, nonPagedNx, 24]);
  });

  it('of more than a page of must-succeed pool is 0xC4/0x03, of less 0xC2/0x9A', () => {
    const t = new PoolCaller();
    expect(t.stops('ExAllocatePoolWithTag', 2, 4097, tag).slice(0, 2)).toEqual([0xc4, 0x03]);
    expect(t.stops('ExAllocatePoolWithTag', 2, 4096, tag).slice(0, 2)).toEqual([0xc2, 0x9a]);
  });

  it.each([
    ['tag 0', 0, (caller: Va) => [0xc2, 0x9b, paged, 24, caller]],
    ["'BIG'", 0x424947, (caller: Va) => [0xc2, 0x9c, paged, 24, caller]],
    ['BIG in memory', tagOf('BIG '), (caller: Va) => [0xc2, 0x9c, paged, 24, caller]],
    ['no letter or digit', tagOf('+-*/'), (caller: Va) => [0xc2, 0x9d, tagOf('+-*/'), paged, caller]],
  ])('with %s is 0xC2', (_title, bad, expected) => {
    const t = new PoolCaller();
    const caller = vaAdd(t.image.base, 0x1234);
    t.nt.memory.writeVa(t.nt.cpu.state.gprVa(4), caller);
    expect(t.stops('ExAllocatePoolWithTag', paged, 24, bad)).toEqual(expected(caller));
  });

  it('with one letter, or one digit, in its tag is fine', () => {
    const t = new PoolCaller();
    for (const text of ['a   ', '!!!9', 'BIGG', 'XBIG']) {
      expect(t.callVa('ExAllocatePoolWithTag', paged, 24, tagOf(text))).toBeLessThan(0);
    }
  });

  it('leaves to ExAllocatePool2 what it answers NULL for', () => {
    const t = new PoolCaller();
    expect(t.call('ExAllocatePool2', 0x40, 24, 0)).toBe(0);
    expect(t.call('ExAllocatePool2', 0x140, 0, tag)).toBe(0);
  });
});

describe('a quota charge', () => {
  it.each([
    ['ExAllocatePoolWithQuotaTag', [nonPaged, 24, tag]],
    ['ExAllocatePoolWithQuota', [nonPaged, 24]],
    ['ExAllocatePool2', [0x41, 24, tag]],
  ])('from a DPC routine is 0xC4/0x10B, with Pool tracking: %s', (name, args) => {
    for (const hasPoolTracking of [true, false]) {
      const t = new PoolCaller({ hasPoolTracking });
      expect(t.callVa(name, ...args)).toBeLessThan(0);
      runDpc(t);
      if (hasPoolTracking) expect(t.stops(name, ...args)).toEqual([0xc4, 0x10b, 0, 0, 0]);
      else expect(t.callVa(name, ...args)).toBeLessThan(0);
    }
  });

  /** Leaves the machine inside a DPC routine. */
  function runDpc(t: PoolCaller): void {
    const { nt } = t;
    nt.scheduler.start(nt.scheduler.systemThread, vaAdd(t.image.base, 0x1000), []);
    nt.scheduler.dispatchNext(Number.POSITIVE_INFINITY);
    const dpc = nt.pool.allocateKernel(0x40, 'Test');
    nt.memory.writeVa(vaAdd(dpc, 0x18), vaAdd(t.image.base, 0x1000));
    nt.interrupts.queueDpc(dpc, 0n, 0n);
    expect(nt.interrupts.deliver()).toBe(true);
    expect(nt.interrupts.isDpcActive).toBe(true);
  }
});

describe('a free of a verified driver', () => {
  it.each([
    ['a user address', () => 0x10000 as Va],
    ['NULL', () => 0 as Va],
    ['an address outside of pool', () => -0x1000 as Va],
    ["the kernel's own memory", (t: PoolCaller) => t.nt.pool.allocateKernel(64, 'Test')],
    ['a place in pool that was never handed out', (t: PoolCaller) => vaAdd(t.allocate(nonPaged, 64), 0x50)],
    ['a page of pool that was never handed out', (t: PoolCaller) => vaAdd(t.allocate(paged, 0x3000), 0x10000)],
  ])('of %s is 0xC4/0x10', (_title, addressOf) => {
    const t = new PoolCaller();
    const va = addressOf(t);
    expect(t.stops('ExFreePool', va)).toEqual([0xc4, 0x10, va, 0, 0]);
  });

  it.each([
    ['unaligned', 64, 8],
    ['in the middle of a small block', 64, 32],
    ['in the middle of a large block', 0x3000, 0x1000],
  ])('of an address that is %s is 0xC4/0x16', (_title, bytes, offset) => {
    const t = new PoolCaller();
    const va = vaAdd(t.allocate(nonPaged, bytes), offset);
    expect(t.stops('ExFreePoolWithTag', va, tag)).toEqual([0xc4, 0x16, 0, va, 0]);
  });

  it('that is the second one is 0xC4/0x13, with the header of a small block', () => {
    const t = new PoolCaller();
    for (const poolType of [nonPaged, paged]) {
      const small = t.allocate(poolType, 64);
      t.free(small);
      const header = vaAdd(small, -16);
      expect(t.stops('ExFreePoolWithTag', small, tag)).toEqual([
        0xc4,
        0x13,
        small,
        header,
        t.nt.memory.readU64(header),
      ]);
      const large = t.allocate(poolType, 0x2000);
      t.free(large);
      expect(t.stops('ExFreePool2', large, tag, 0, 0)).toEqual([0xc4, 0x13, large, 0, 0]);
    }
  });

  it('of paged pool is allowed at APC_LEVEL and 0xC4/0x11 above', () => {
    const t = new PoolCaller();
    const [first, second] = [t.allocate(paged, 24), t.allocate(paged, 24)];
    t.at(apc).free(first);
    expect(t.at(dispatch).stops('ExFreePoolWithTag', second, tag)).toEqual([0xc4, 0x11, dispatch, paged, second]);
  });

  it('of nonpaged pool is allowed at DISPATCH_LEVEL and 0xC4/0x12 above', () => {
    const t = new PoolCaller();
    const [first, second] = [t.allocate(nonPagedNx, 24), t.allocate(nonPagedNx, 24)];
    t.at(dispatch).free(first);
    expect(t.at(high).stops('ExFreePool', second)).toEqual([0xc4, 0x12, high, nonPagedNx, second]);
  });

  it('with another tag is 0xC2/0x0A', () => {
    const t = new PoolCaller();
    const va = t.allocate(paged, 24);
    expect(t.stops('ExFreePoolWithTag', va, tagOf('Othr'))).toEqual([0xc2, 0x0a, va, tag, tagOf('Othr')]);
  });

  it('of a block with a timer that is set is 0xC4/0x15; cancelled, it may go', () => {
    const t = new PoolCaller();
    const va = t.allocate(nonPagedNx, 0x80);
    const timer = vaAdd(va, 0x40);
    t.call('KeInitializeTimer', timer);
    t.call('KeSetTimer', timer, -10_000_000n, 0);
    expect(t.stops('ExFreePoolWithTag', va, tag)).toEqual([0xc4, 0x15, timer, nonPagedNx, va]);
    t.call('KeCancelTimer', timer);
    t.free(va);
  });

  it('of a block with an ERESOURCE is 0xC4/0x17; deleted, it may go', () => {
    const t = new PoolCaller();
    const va = t.allocate(nonPagedNx, 0x100);
    t.call('ExInitializeResourceLite', va);
    expect(t.stops('ExFreePoolWithTag', va, tag)).toEqual([0xc4, 0x17, va, nonPagedNx, va]);
    t.call('ExDeleteResourceLite', va);
    t.free(va);
  });

  it('of an address inside a block is 0xC4/0x16, or 0x13E where Pool tracking knows the block', () => {
    const t = new PoolCaller();
    const block = t.allocate(nonPagedNx, 64);
    expect(t.stops('ExFreePool', vaAdd(block, 16))).toEqual([0xc4, 0x16, 0, vaAdd(block, 16), 0]);
    new PoolTracking(t.nt, ({ isDriver }) => isDriver);
    const tracked = t.allocate(nonPagedNx, 64);
    const inside = vaAdd(tracked, 32);
    const [code, rule, freed, found, at] = t.stops('ExFreePool', inside);
    expect([code, rule, freed, found]).toEqual([0xc4, 0x13e, inside, tracked]);
    expect(t.nt.memory.readVa(at as Va)).toBe(tracked);
  });

  it('of an IRP is 0xC4/0x105; IoFreeIrp frees it', () => {
    const t = new PoolCaller();
    const irp = t.callVa('IoAllocateIrp', 1, false);
    expect(t.stops('ExFreePool', irp)).toEqual([0xc4, 0x105, irp, 0, 0]);
    t.call('IoFreeIrp', irp);
    expect([...t.nt.pool.driverBlocks()]).toEqual([]);
  });
});

describe('a driver that is not verified', () => {
  it('meets what the pool itself does', () => {
    const t = new PoolCaller({ isVerified: false });
    expect(t.allocate(paged, 0)).toBeLessThan(0);
    expect(t.callVa('ExAllocatePoolWithTag', paged, 24, 0)).toBeLessThan(0);
    const va = t.allocate(nonPaged, 64);
    t.free(va);
    expect(t.stops('ExFreePool', va).slice(0, 2)).toEqual([0xc2, 0x07]);
  });
});
