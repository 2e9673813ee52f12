import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import { Access } from '../../engine/memory/layout.ts';
import { MDL, MdlFlag } from '../structures/io.ts';

const anywhere = 0xffff_ffff_ffff_ffffn;
const ramStart = 0x10_0000;

function physical(t: KernelCaller, va: Va): number {
  return t.call('MmGetPhysicalAddress', va);
}

describe('contiguous memory', () => {
  it('stands in consecutive frames within the limits and below a guard page', () => {
    const t = new KernelCaller();
    const [low, high] = [ramStart + 0x80_0000, ramStart + 0xff_ffff];
    const va = t.callVa('MmAllocateContiguousMemorySpecifyCache', 0x4800, low, high, 0x1_0000, 0);
    const first = physical(t, va);
    expect(first).toBeGreaterThanOrEqual(low);
    expect(Math.floor(first / 0x1_0000)).toBe(Math.floor((first + 0x4fff) / 0x1_0000));
    for (let page = 0; page < 5; page++) expect(physical(t, vaAdd(va, page * 0x1000))).toBe(first + page * 0x1000);
    expect(() => t.nt.memory.readU8(vaAdd(va, 0x5000))).toThrow(expect.any(GuestFault));
    expect([...t.nt.contiguous.outstanding()]).toMatchObject([{ va, bytes: 0x4800, imageIndex: t.image.index }]);
    t.call('MmFreeContiguousMemorySpecifyCache', va, 0x4800, 0);
    expect([...t.nt.contiguous.outstanding()]).toEqual([]);
  });

  it('is NULL where there is none', () => {
    const t = new KernelCaller();
    expect(t.call('MmAllocateContiguousMemory', 0x1000, ramStart - 1)).toBe(0);
    expect(t.call('MmAllocateContiguousMemory', 0, anywhere)).toBe(0);
    expect(t.call('MmAllocateContiguousMemory', 0x4000_0000, anywhere)).toBe(0);
  });

  it('is found again among freed frames', () => {
    const t = new KernelCaller();
    for (let round = 0; round < 40; round++) {
      const va = t.callVa('MmAllocateContiguousMemory', 0x10_0000, anywhere);
      expect(va).not.toBe(0);
      t.call('MmFreeContiguousMemory', va);
    }
  });

  it('stops at an address that is none of its own', () => {
    const t = new KernelCaller();
    const va = t.callVa('MmAllocateNonCachedMemory', 0x1000);
    expect(t.bugCheck('MmFreeContiguousMemory', va)).toMatchObject({ code: 0xc2, parameters: [0x60, va, 0, 0] });
    t.call('MmFreeNonCachedMemory', va, 0x1000);
    expect(t.bugCheck('MmFreeNonCachedMemory', va, 0x1000).code).toBe(0xc2);
  });
});

describe('MmAllocatePagesForMdl', () => {
  it('gives zeroed pages to map; the pages and the MDL are freed one after the other', () => {
    const t = new KernelCaller();
    const before = t.nt.memory.freeFrameCount;
    const mdl = t.callVa('MmAllocatePagesForMdl', 0, anywhere, 0, 0x2800);
    expect(MDL.ByteCount.get(t.nt.memory, mdl)).toBe(0x3000);
    expect(MDL.MdlFlags.get(t.nt.memory, mdl)).toBe(MdlFlag.PagesLocked);
    const va = t.callVa('MmMapLockedPagesSpecifyCache', mdl, 0, 1, 0, 0, 16);
    expect(t.nt.memory.readBytes(va, 0x3000).every((byte) => byte === 0)).toBe(true);
    expect([...t.nt.pageAllocations.outstanding()]).toMatchObject([{ mdl, imageIndex: t.image.index }]);
    t.call('MmFreePagesFromMdl', mdl);
    // Still mapped: nobody else gets the pages.
    t.nt.memory.writeU8(va, 1);
    t.call('MmUnmapLockedPages', va, mdl);
    t.call('ExFreePool', mdl);
    expect([...t.nt.pageAllocations.outstanding()]).toEqual([]);
    expect(before - t.nt.memory.freeFrameCount).toBeLessThanOrEqual(1);
    expect(t.bugCheck('MmFreePagesFromMdl', mdl).code).toBe(0x4e);
  });

  it('still knows the pages whose MDL was freed first, when that address is used again', () => {
    const t = new KernelCaller();
    const addresses = new Set<number>();
    const count = 100;
    for (let index = 0; index < count; index++) {
      const mdl = t.callVa('MmAllocatePagesForMdl', 0, anywhere, 0, 0x1000);
      addresses.add(mdl);
      t.call('ExFreePool', mdl);
    }
    expect(addresses.size).toBeLessThan(count);
    expect([...t.nt.pageAllocations.outstanding()]).toHaveLength(count);
  });

  it('gives fewer pages when memory is short, or none if all are required', () => {
    const t = new KernelCaller();
    const bytes = 0x400_0000;
    expect(t.call('MmAllocatePagesForMdlEx', 0, anywhere, 0, bytes, 1, 0x4)).toBe(0);
    const mdl = t.callVa('MmAllocatePagesForMdlEx', 0, anywhere, 0, bytes - 0x1000, 1, 0);
    // No pages are left for the MDL itself.
    expect(mdl).toBe(0);
    const limited = t.callVa('MmAllocatePagesForMdl', ramStart + 0x180_0000, ramStart + 0x180_1fff, 0, 0x4000);
    expect(MDL.ByteCount.get(t.nt.memory, limited)).toBe(0x2000);
  });

  it('gives one chunk on demand', () => {
    const t = new KernelCaller();
    const mdl = t.callVa('MmAllocateNodePagesForMdlEx', 0, anywhere, 0x4000, 0x4000, 1, 0, 0x25);
    const pfns = [0, 1, 2, 3].map((index) => Number(t.nt.memory.readU64(vaAdd(mdl, 0x30 + index * 8))));
    expect(pfns).toEqual([0, 1, 2, 3].map((index) => (pfns[0] as number) + index));
    t.call('MmFreePagesFromMdl', mdl);
  });

  it('says what it cannot do', () => {
    const t = new KernelCaller();
    expect(t.outcome('MmAllocatePagesForMdl', 0, anywhere, 0x1000, 0x1000)).toMatchObject({ action: 'unsupported' });
  });
});

describe('device memory', () => {
  it('is RAM where there is RAM, and reads as all ones elsewhere', () => {
    const t = new KernelCaller();
    const pool = t.callVa('ExAllocatePoolWithTag', 0x200, 0x1000, 0x31323334);
    const ram = t.callVa('MmMapIoSpace', physical(t, pool) + 0x10, 8, 1);
    t.nt.memory.writeU32(ram, 0xabcd_0123);
    expect(t.nt.memory.readU32(vaAdd(pool, 0x10))).toBe(0xabcd_0123);
    const device = t.callVa('MmMapIoSpace', 0xfed0_0ff8, 0x10, 0);
    expect(t.nt.memory.readU64(vaAdd(device, 8))).toBe(anywhere);
    expect(physical(t, device)).toBe(0xfed0_0ff8);
    t.nt.memory.writeU8(device, 7);
    const again = t.callVa('MmMapIoSpaceEx', 0xfed0_0ff8, 1, 0x204);
    expect(t.nt.memory.readU8(again)).toBe(7);
    expect([...t.nt.mdls.outstandingMappings()].map(({ purpose }) => purpose)).toEqual(Array(3).fill('io-space'));
    for (const [va, bytes] of [
      [ram, 8],
      [device, 0x10],
      [again, 1],
    ] as const)
      t.call('MmUnmapIoSpace', va, bytes);
    expect([...t.nt.mdls.outstandingMappings()]).toEqual([]);
    expect(t.nt.memory.readU32(vaAdd(pool, 0x10))).toBe(0xabcd_0123);
  });

  it('stops at a wrong address or size', () => {
    const t = new KernelCaller();
    const va = t.callVa('MmMapIoSpace', 0xfed0_0000, 0x2000, 0);
    expect(t.bugCheck('MmUnmapIoSpace', va, 0x1000).parameters.slice(0, 3)).toEqual([0x305, va, 1]);
    expect(t.bugCheck('MmUnmapIoSpace', vaAdd(va, 0x1000), 0x1000).parameters[0]).toBe(0x400);
    expect(t.call('MmMapIoSpace', 1n << 60n, 0x1000, 0)).toBe(0);
    expect(t.call('MmMapIoSpace', 0xfed0_0000, 0, 0)).toBe(0);
  });
});

describe('physical addresses', () => {
  it('lead back to a virtual one, and to the bytes', () => {
    const t = new KernelCaller();
    const pool = t.callVa('ExAllocatePoolWithTag', 0x200, 0x1000, 0x31323334);
    const target = t.callVa('ExAllocatePoolWithTag', 0x200, 0x2000, 0x31323334);
    t.nt.memory.writeU64(vaAdd(pool, 0x20), 0x1122_3344_5566_7788n);
    const address = physical(t, vaAdd(pool, 0x20));
    expect(t.call('MmGetVirtualForPhysical', address)).toBe(pool + 0x20);
    expect(t.call('MmGetPhysicalAddress', 0x10)).toBe(0);
    const count = vaAdd(target, 0x1000);
    expect(t.call('MmCopyMemory', target, address, 8, 1, count)).toBe(0);
    expect(t.nt.memory.readU64(target)).toBe(0x1122_3344_5566_7788n);
    const last = t.callVa('MmAllocateContiguousMemory', 0x1000, anywhere);
    expect(t.call('MmCopyMemory', target, vaAdd(last, 0xff0), 0x20, 2, count)).toBe(0xc000_0141);
    expect(t.nt.memory.readU64(count)).toBe(0x10n);
  });

  it('of RAM are listed in pool that the driver frees', () => {
    const t = new KernelCaller({ ramBytes: 0x180_0000 });
    const ranges = t.callVa('MmGetPhysicalMemoryRanges');
    const words = [0, 8, 16, 24].map((offset) => t.nt.memory.readU64(vaAdd(ranges, offset)));
    expect(words).toEqual([BigInt(ramStart), 0x180_0000n, 0n, 0n]);
    t.call('ExFreePool', ranges);
  });
});

describe('reserved mapping addresses', () => {
  const tag = 0x61626364;

  it('take an MDL of their size at most, one at a time', () => {
    const t = new KernelCaller();
    const at = t.callVa('MmAllocateMappingAddress', 0x2000, tag);
    const buffer = t.callVa('ExAllocatePoolWithTag', 1, 0x3000, tag);
    const [fit, long] = [0x2000, 0x2001].map((bytes) => {
      const mdl = t.callVa('IoAllocateMdl', buffer, bytes, false, false, 0);
      t.call('MmProbeAndLockPages', mdl, 0, 1);
      return mdl;
    }) as [Va, Va];
    expect(t.call('MmMapLockedPagesWithReservedMapping', at, tag, long, 1)).toBe(0);
    expect(t.call('MmMapLockedPagesWithReservedMapping', at, tag, fit, 1)).toBe(at);
    const sub = (name: string, ...args: number[]): unknown => t.bugCheck(name, ...args).parameters[0];
    expect(sub('MmMapLockedPagesWithReservedMapping', at, tag, fit, 1)).toBe(0x107);
    expect(sub('MmFreeMappingAddress', at, tag)).toBe(0x103);
    expect(sub('MmFreeMappingAddress', at, tag + 1)).toBe(0x101);
    t.call('MmUnmapReservedMapping', at, tag, fit);
    expect(t.nt.memory.isAccessible(at, 1, Access.Read)).toBe(false);
    // Unmapping as any MDL gives up nothing that was reserved.
    t.call('MmMapLockedPagesWithReservedMapping', at, tag, fit, 1);
    t.call('MmUnlockPages', fit);
    expect(t.callVa('MmMapIoSpace', 0xfed0_0000, 0x2000, 0)).not.toBe(at);
    t.call('MmFreeMappingAddress', at, tag);
    expect([...t.nt.mappingAddresses.outstanding()]).toEqual([]);
    expect(sub('MmUnmapReservedMapping', at, tag, fit)).toBe(0x109);
  });
});

describe('user memory', () => {
  it('ends at a page that faults, and its addresses come back', () => {
    const { nt } = new KernelCaller();
    const before = nt.memory.freeFrameCount;
    for (const bytes of [1, 8, 24, 0xff0, 0x1000, 0x1001, 0x5003]) {
      const va = nt.userMemory.allocate(bytes);
      expect(va % 16).toBe(0);
      nt.memory.fill(va, bytes, 1);
      const end = vaAdd(va, Math.ceil(bytes / 16) * 16);
      expect(() => nt.memory.readU8(end)).toThrow(expect.any(GuestFault));
      nt.userMemory.free(va);
      expect(() => nt.memory.readU8(va)).toThrow(expect.any(GuestFault));
    }
    expect(nt.memory.freeFrameCount).toBe(before);
  });

  it('is a plain error when the machine has no more', () => {
    const { nt } = new KernelCaller();
    expect(() => nt.userMemory.allocate(0x400_0000)).toThrow(/PP3200|no memory is left/);
  });
});
