import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import { tagOf } from '../../nt/ex/pool.ts';
import { IRP, MDL } from '../../nt/structures/io.ts';
import { PoolTracking } from './pool-tracking.ts';

const tag = tagOf('Test');
const [nonPagedNx, paged] = [0x200, 1];
const noContiguous = { contiguousMemoryBytes: 0, peakContiguousMemoryBytes: 0 };
const none = { currentAllocations: 0, currentBytes: 0, peakAllocations: 0, peakBytes: 0 };

class TrackedCaller extends KernelCaller {
  readonly tracking: PoolTracking;

  constructor(isVerified = true) {
    super();
    this.tracking = new PoolTracking(this.nt, ({ isDriver }) => isDriver && isVerified);
    this.nt.events.emit('imageLoaded', { image: this.image });
  }

  allocate(poolType: number, bytes: number): Va {
    return this.callVa('ExAllocatePoolWithTag', poolType, bytes, tag);
  }

  get counters() {
    return this.tracking.allocations.countersOf(this.image.index);
  }

  /** Kind, tag, bytes and pool type of what the driver has. */
  get live(): readonly (readonly unknown[])[] {
    return [...this.tracking.allocations.ofImage(this.image.index)].map(({ kind, tag: own, bytes, poolType }) => [
      kind,
      tagText(own),
      bytes,
      poolType,
    ]);
  }

  unload(): BugCheck | undefined {
    try {
      this.nt.events.emit('driverUnloaded', { image: this.image, driverObject: 0 as Va });
      return undefined;
    } catch (thrown) {
      if (thrown instanceof BugCheck) return thrown;
      throw thrown;
    }
  }
}

/** A string as a debugger shows it: up to its NUL. */
function wideString(t: KernelCaller, at: Va): string {
  let text = '';
  for (let va = at; t.nt.memory.readU16(va) !== 0; va = vaAdd(va, 2)) {
    text += String.fromCharCode(t.nt.memory.readU16(va));
  }
  return text;
}

describe('the counters of a driver', () => {
  it('keep paged and nonpaged pool apart, and the highest values', () => {
    const t = new TrackedCaller();
    const blocks = [100, 200, 300].map((bytes) => t.allocate(paged, bytes));
    const other = t.allocate(nonPagedNx, 50);
    for (const va of blocks.slice(1)) t.call('ExFreePool', va);
    t.allocate(paged, 10);
    t.call('ExFreePoolWithTag', other, tag);
    expect(t.counters).toEqual({
      paged: { currentAllocations: 2, currentBytes: 110, peakAllocations: 3, peakBytes: 600 },
      nonPaged: { currentAllocations: 0, currentBytes: 0, peakAllocations: 1, peakBytes: 50 },
      ...noContiguous,
    });
  });

  it('have contiguous memory apart, which is no pool and no matter of 0x62', () => {
    const t = new TrackedCaller();
    const highest = 0xffff_ffff_ffffn;
    const [first, second] = [0x1800, 0x400].map((bytes) => t.callVa('MmAllocateContiguousMemory', bytes, highest));
    t.call('MmFreeContiguousMemory', first as Va);
    expect(t.counters).toEqual({
      paged: none,
      nonPaged: none,
      contiguousMemoryBytes: 0x400,
      peakContiguousMemoryBytes: 0x1c00,
    });
    t.callVa('MmAllocateNonCachedMemory', 0x1000);
    t.call('MmFreeContiguousMemory', second as Va);
    expect(t.counters.contiguousMemoryBytes).toBe(0);
    expect(t.unload()).toBeUndefined();
  });

  it('stay at zero for a driver that is not verified', () => {
    const t = new TrackedCaller(false);
    t.allocate(paged, 100);
    expect(t.counters).toEqual({ paged: none, nonPaged: none, ...noContiguous });
    expect(t.tracking.allocations.global.allocationsAttempted).toBe(0);
    expect(t.unload()).toBeUndefined();
  });
});

describe('the global counters', () => {
  it('count attempts, failures, blocks without a tag, and blocks of a page and more', () => {
    const t = new TrackedCaller();
    t.allocate(paged, 4095);
    t.allocate(paged, 4096);
    t.call('ExAllocatePool', nonPagedNx, 16);
    expect(t.allocate(nonPagedNx, 0x1_0000_0000)).toBe(0);
    t.nt.pool.policies.push(() => false);
    expect(t.allocate(nonPagedNx, 16)).toBe(0);
    expect(t.tracking.allocations.global).toEqual({
      allocationsAttempted: 5,
      allocationsSucceeded: 3,
      allocationsFailed: 2,
      allocationsWithoutTag: 1,
      allocationsNotTracked: 1,
    });
    expect(t.live).toContainEqual(['pool', 'None', 16, nonPagedNx]);
  });
});

describe('what kernel routines make for the driver', () => {
  it('is its allocation, with the tags that Verifier gives, until the routine that frees it', () => {
    const t = new TrackedCaller();
    const { memory } = t.nt;
    const strings = t.allocate(nonPagedNx, 0x100);
    const characters = vaAdd(strings, 0x20);
    memory.writeBytes(characters, new TextEncoder().encode('pool\0'));
    t.call('RtlInitAnsiString', strings, characters);
    const unicode = vaAdd(strings, 0x10);
    t.call('RtlAnsiStringToUnicodeString', unicode, strings, true);
    const mdl = t.callVa('IoAllocateMdl', strings, 0x100, false, false, 0);
    const irp = t.callVa('IoAllocateIrp', 1, false);
    const item = t.callVa('IoAllocateWorkItem', 0);
    expect(t.live.slice(1)).toEqual([
      ['string', 'Strg', 10, paged],
      ['mdl', 'VMdl', expect.any(Number), nonPagedNx],
      ['irp', 'Irp ', 0xd0 + 0x48, nonPagedNx],
      ['workitem', 'Vfwi', expect.any(Number), nonPagedNx],
    ]);
    t.call('RtlFreeUnicodeString', unicode);
    t.call('IoFreeMdl', mdl);
    t.call('IoFreeIrp', irp);
    t.call('IoFreeWorkItem', item);
    t.call('ExFreePool', strings);
    expect(t.live).toEqual([]);
    expect(t.unload()).toBeUndefined();
  });

  it('is settled when the I/O manager frees an MDL that the driver put on a request', () => {
    const t = new TrackedCaller();
    const { memory, io } = t.nt;
    const irp = io.irps.allocateForRequest(1, { file: 0 as Va, outputBytes: 0 });
    const buffer = t.allocate(nonPagedNx, 64);
    const [first, second] = [0, 1].map((order) => t.callVa('IoAllocateMdl', buffer, 64, order === 1, false, irp));
    expect(MDL.Next.get(memory, IRP.MdlAddress.get(memory, irp))).toBe(second);
    expect(t.live.filter(([kind]) => kind === 'mdl')).toHaveLength(2);
    for (const mdl of [first, second]) t.call('MmProbeAndLockPages', mdl as Va, 0, 0);
    io.irps.complete(irp, 0);
    io.irps.endOf(irp);
    expect(t.live).toEqual([['pool', 'Test', 64, nonPagedNx]]);
    expect([...t.nt.mdls.outstandingLocks()]).toEqual([]);
  });
});

describe('the check at unload', () => {
  it('is 0xC4/0x62 with the name of the driver, its record and the number of allocations', () => {
    const t = new TrackedCaller();
    t.allocate(paged, 100);
    t.allocate(nonPagedNx, 100);
    t.allocate(nonPagedNx, 0x2000);
    const bugCheck = t.unload();
    const [p1, name, record, left] = bugCheck?.parameters ?? [];
    expect([bugCheck?.code, p1, left]).toEqual([0xc4, 0x62, 3]);
    expect(wideString(t, name as Va)).toBe('caller.sys');
    expect(t.nt.memory.readVa(vaAdd(record as Va, 8))).toBe(name);
    expect(t.nt.memory.readU16(record as Va)).toBe('caller.sys'.length * 2);
  });

  it('counts what the driver allocates while it is unloaded', () => {
    const t = new TrackedCaller();
    t.nt.events.on('driverUnloading', () => t.allocate(paged, 24));
    t.nt.events.emit('driverUnloading', { image: t.image, driverObject: 0 as Va });
    expect(t.unload()?.parameters[3]).toBe(1);
  });

  it('is silent when nothing is left, with memory of the kernel and of other drivers around', () => {
    const t = new TrackedCaller();
    t.nt.pool.allocateKernel(100, 'Test');
    t.call('ExFreePool', t.allocate(paged, 100));
    expect(t.unload()).toBeUndefined();
  });

  it('has counters of all drivers together', () => {
    const t = new TrackedCaller();
    const first = t.allocate(nonPagedNx, 0x40);
    t.allocate(paged, 0x30);
    t.call('ExFreePool', first);
    t.allocate(nonPagedNx, 0x10);
    const { paged: pagedPool, nonPaged } = t.tracking.allocations.total;
    expect(nonPaged).toEqual({ currentAllocations: 1, currentBytes: 0x10, peakAllocations: 1, peakBytes: 0x40 });
    expect(pagedPool).toEqual({ currentAllocations: 1, currentBytes: 0x30, peakAllocations: 1, peakBytes: 0x30 });
  });
});
