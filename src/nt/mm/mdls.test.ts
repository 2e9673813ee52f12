import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import { Access, PageFlag } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { STATUS_ACCESS_VIOLATION } from '../ntstatus.ts';
import { IRP, MDL, MdlFlag } from '../structures/io.ts';
import { firstPfn } from './frames.ts';

const [kernelMode, userMode] = [0, 1];
const [read, write] = [0, 1];

class MdlTest extends KernelCaller {
  mdl(va: Va, bytes: number, irp = nullVa, isSecondary = false): Va {
    return this.callVa('IoAllocateMdl', va, bytes, isSecondary, false, irp);
  }

  flags(mdl: Va): number {
    return MDL.MdlFlags.get(this.nt.memory, mdl) & ~MdlFlag.AllocatedFixedSize;
  }

  pfn(mdl: Va, index: number): number {
    return Number(this.nt.memory.readU64(vaAdd(mdl, 0x30 + index * 8)));
  }

  lock(mdl: Va, mode = kernelMode, operation = write): void {
    this.call('MmProbeAndLockPages', mdl, mode, operation);
  }

  map(mdl: Va, priority = 16): Va {
    return this.callVa('MmMapLockedPagesSpecifyCache', mdl, kernelMode, 1, 0, 0, priority);
  }

  pool(bytes: number, poolType = 0x200): Va {
    return this.callVa('ExAllocatePoolWithTag', poolType, bytes, 0x74736554);
  }

  get locks(): number {
    return [...this.nt.mdls.outstandingLocks()].length;
  }

  get mappings(): number {
    return [...this.nt.mdls.outstandingMappings()].length;
  }

  mdlBlocks(): number {
    return [...this.nt.pool.driverBlocks()].filter(({ family }) => family === 'mdl').length;
  }
}

describe('IoAllocateMdl', () => {
  it('describes the buffer and is a block of the driver', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x2345);
    const mdl = t.mdl(vaAdd(buffer, 0x123), 0x2222);
    const { memory } = t.nt;
    expect(MDL.StartVa.get(memory, mdl)).toBe(buffer);
    expect(MDL.ByteOffset.get(memory, mdl)).toBe(0x123);
    expect(MDL.ByteCount.get(memory, mdl)).toBe(0x2222);
    expect(MDL.Size.get(memory, mdl)).toBe(0x30 + 3 * 8);
    expect(MDL.Next.get(memory, mdl)).toBe(0);
    expect(t.call('MmSizeOfMdl', vaAdd(buffer, 0x123), 0x2222)).toBe(0x30 + 3 * 8);
    expect(t.mdlBlocks()).toBe(1);
    t.call('IoFreeMdl', mdl);
    expect(t.mdlBlocks()).toBe(0);
  });

  it('becomes the first or the last MDL of an IRP', () => {
    const t = new MdlTest();
    const irp = t.pool(IRP.sizeBytes);
    t.nt.memory.fill(irp, IRP.sizeBytes, 0);
    const first = t.mdl(irp, 8, irp);
    const second = t.mdl(irp, 8, irp, true);
    const third = t.mdl(irp, 8, irp, true);
    expect(IRP.MdlAddress.get(t.nt.memory, irp)).toBe(first);
    expect(MDL.Next.get(t.nt.memory, first)).toBe(second);
    expect(MDL.Next.get(t.nt.memory, second)).toBe(third);
  });

  it('refuses buffers of nearly 4 GB', () => {
    const t = new MdlTest();
    expect(t.mdl(0x1000 as Va, 0xffff_f001)).toBe(0);
  });
});

describe('MmBuildMdlForNonPagedPool', () => {
  it('names the pages and the address that they have', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x3000);
    const mdl = t.mdl(vaAdd(buffer, 0x10), 0x1ff8);
    t.call('MmBuildMdlForNonPagedPool', mdl);
    expect(t.flags(mdl)).toBe(MdlFlag.SourceIsNonPagedPool);
    expect(MDL.MappedSystemVa.get(t.nt.memory, mdl)).toBe(vaAdd(buffer, 0x10));
    const pages = [0, 1, 2].map((index) => t.pfn(mdl, index) * 0x1000);
    expect(pages).toEqual([0, 1, 2].map((index) => t.call('MmGetPhysicalAddress', vaAdd(buffer, index * 0x1000))));
    expect(t.bugCheck('MmUnlockPages', mdl).code).toBe(0x4e);
  });
});

describe('MmProbeAndLockPages', () => {
  it('locks user pages for the caller and unlocks them', () => {
    const t = new MdlTest();
    const buffer = t.nt.userMemory.allocate(0x1800);
    const mdl = t.mdl(buffer, 0x1800);
    t.lock(mdl, userMode);
    expect(t.flags(mdl)).toBe(MdlFlag.PagesLocked | MdlFlag.WriteOperation);
    expect(MDL.Process.get(t.nt.memory, mdl)).toBe(t.nt.processor.requesterProcess);
    expect([...t.nt.mdls.outstandingLocks()]).toMatchObject([
      { mdl, pages: 2, imageIndex: t.image.index, isWrite: true },
    ]);
    expect(t.nt.addressSpace.frames.lockCount(t.pfn(mdl, 0) - firstPfn)).toBe(1);
    t.call('MmUnlockPages', mdl);
    expect(t.flags(mdl)).toBe(MdlFlag.WriteOperation);
    expect(t.locks).toBe(0);
    expect(t.nt.addressSpace.frames.lockCount(t.pfn(mdl, 0) - firstPfn)).toBe(0);
    expect(t.bugCheck('MmUnlockPages', mdl)).toMatchObject({ code: 0x76, parameters: [1, mdl, 0, 0] });
  });

  it('raises STATUS_ACCESS_VIOLATION where user memory ends, is read-only, or is not user memory', () => {
    const t = new MdlTest();
    const buffer = t.nt.userMemory.allocate(0x1000);
    const violation = { action: 'raise', status: STATUS_ACCESS_VIOLATION };
    expect(t.outcome('MmProbeAndLockPages', t.mdl(buffer, 0x1001), userMode, read)).toMatchObject(violation);
    t.nt.memory.protectPage(buffer, Access.Read | PageFlag.User);
    expect(t.outcome('MmProbeAndLockPages', t.mdl(buffer, 0x1000), userMode, write)).toMatchObject(violation);
    expect(t.outcome('MmProbeAndLockPages', t.mdl(buffer, 0x1000), userMode, read)).toBeUndefined();
    const pool = t.pool(0x1000);
    expect(t.outcome('MmProbeAndLockPages', t.mdl(pool, 0x1000), userMode, read)).toMatchObject(violation);
    const wrapping = t.mdl((AddressMap.userEnd - 0x10) as Va, 0x1000);
    expect(t.outcome('MmProbeAndLockPages', wrapping, userMode, read)).toMatchObject(violation);
    expect(t.locks).toBe(1);
  });

  it('faults on a system address that is not mapped', () => {
    const t = new MdlTest();
    const mdl = t.mdl(vaAdd(AddressMap.pagedPool.start, 0x3fff_0010), 16);
    expect(() => t.lock(mdl)).toThrow(expect.any(GuestFault));
  });

  it('keeps paged pool resident under both addresses until the last unlock', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x1000, 1);
    const isPageable = (va: Va): boolean => ((t.nt.memory.mappingAt(va)?.flags ?? 0) & PageFlag.Pageable) !== 0;
    expect(isPageable(buffer)).toBe(true);
    const [one, two] = [t.mdl(buffer, 0x1000), t.mdl(buffer, 0x1000)];
    t.lock(one);
    t.lock(two);
    const alias = t.map(one);
    expect([isPageable(buffer), isPageable(alias)]).toEqual([false, false]);
    t.call('MmUnlockPages', one);
    expect(isPageable(buffer)).toBe(false);
    t.call('MmUnlockPages', two);
    expect(isPageable(buffer)).toBe(true);
    expect(t.bugCheck('MmUnlockPages', two).code).toBe(0x4e);
  });

  it('shows locks whose MDL was freed or locked again', () => {
    const t = new MdlTest();
    const mdl = t.mdl(t.nt.userMemory.allocate(0x1000), 0x1000);
    t.lock(mdl, userMode);
    t.lock(mdl, userMode);
    expect(t.locks).toBe(2);
    t.call('IoFreeMdl', mdl);
    expect(t.locks).toBe(2);
  });
});

describe('mapping', () => {
  it('gives the same bytes a second address, with a page behind it that faults', () => {
    const t = new MdlTest();
    const buffer = t.nt.userMemory.allocate(0x1200);
    const mdl = t.mdl(buffer, 0x1200);
    t.lock(mdl, userMode);
    const va = t.map(mdl);
    expect(va).toBe(MDL.MappedSystemVa.get(t.nt.memory, mdl));
    t.nt.memory.writeU32(vaAdd(va, 0x11fc), 0x1234_5678);
    expect(t.nt.memory.readU32(vaAdd(buffer, 0x11fc))).toBe(0x1234_5678);
    expect(() => t.nt.memory.readU8(vaAdd(va, 0x1200))).toThrow(expect.any(GuestFault));
    expect(t.mappings).toBe(1);
    t.call('MmUnlockPages', mdl);
    expect(t.mappings).toBe(0);
    expect(() => t.nt.memory.readU8(va)).toThrow(expect.any(GuestFault));
    expect(t.flags(mdl) & (MdlFlag.MappedToSystemVa | MdlFlag.PagesLocked)).toBe(0);
  });

  it('obeys MdlMappingNoWrite, MdlMappingNoExecute and MmProtectMdlSystemAddress', () => {
    const t = new MdlTest();
    const mdl = t.mdl(t.pool(0x1000), 0x1000);
    t.lock(mdl);
    const va = t.map(mdl, (0xc000_0000 | 16) >>> 0);
    expect(t.nt.memory.mappingAt(va)?.flags).toBe(Access.Read);
    expect(t.call('MmProtectMdlSystemAddress', mdl, 4)).toBe(0);
    expect(t.nt.memory.mappingAt(va)?.flags).toBe(Access.Read | Access.Write);
    expect(t.call('MmProtectMdlSystemAddress', mdl, 0x80)).toBe(0xc000_0045);
  });

  it('stops at a mapping of pages that nobody locked', () => {
    const t = new MdlTest();
    const mdl = t.mdl(t.pool(0x1000), 0x1000);
    expect(t.bugCheck('MmMapLockedPagesSpecifyCache', mdl, kernelMode, 1, 0, 0, 16)).toMatchObject({ code: 0x1a });
  });

  it('stops where something is unmapped that is not mapped', () => {
    const t = new MdlTest();
    const mdl = t.mdl(t.pool(0x2000), 0x2000);
    t.lock(mdl);
    const va = t.map(mdl);
    const codes = [vaAdd(va, 0x1000), vaAdd(va, 0x10_0000)].map((at) => t.bugCheck('MmUnmapLockedPages', at, mdl));
    expect(codes.map(({ code, parameters }) => [code, parameters[0]])).toEqual([
      [0xda, 0x304],
      [0xda, 0x302],
    ]);
    t.call('MmUnmapLockedPages', va, mdl);
    expect(t.mappings).toBe(0);
    expect(t.flags(mdl) & MdlFlag.MappedToSystemVa).toBe(0);
  });

  it('is made by the older routine too, which stops where the newer one may answer NULL', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x1000);
    const mdl = t.mdl(buffer, 0x1000);
    expect(t.bugCheck('MmMapLockedPages', mdl, kernelMode)).toMatchObject({ code: 0x1a });
    t.lock(mdl);
    const va = t.callVa('MmMapLockedPages', mdl, kernelMode);
    t.nt.memory.writeU8(va, 0x5b);
    expect(t.nt.memory.readU8(buffer)).toBe(0x5b);
    expect(t.mappings).toBe(1);
    t.call('MmUnmapLockedPages', va, mdl);
    expect(t.mappings).toBe(0);
    const other = t.callVa('MmMapLockedPages', mdl, userMode);
    expect(other > 0 && other < AddressMap.userEnd).toBe(true);
    t.call('MmUnmapLockedPages', other, mdl);
    expect(t.mappings).toBe(0);
  });

  it('reaches the requesting process in user mode', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x1000);
    const mdl = t.mdl(buffer, 0x1000);
    t.call('MmBuildMdlForNonPagedPool', mdl);
    const va = t.callVa('MmMapLockedPagesSpecifyCache', mdl, userMode, 1, 0, 0, 16);
    expect(va > 0 && va < AddressMap.userEnd).toBe(true);
    t.nt.memory.writeU8(va, 0x5a);
    expect(t.nt.memory.readU8(buffer)).toBe(0x5a);
    t.call('MmUnmapLockedPages', va, mdl);
    expect(t.mappings).toBe(0);
    expect(t.flags(mdl)).toBe(MdlFlag.SourceIsNonPagedPool);
  });
});

describe('partial MDLs', () => {
  it('describe a part of the source, and lose their mapping when they are freed', () => {
    const t = new MdlTest();
    const buffer = t.nt.userMemory.allocate(0x3000);
    const source = t.mdl(buffer, 0x3000);
    t.lock(source, userMode);
    const target = t.mdl(vaAdd(buffer, 0x1800), 0x1000);
    t.call('IoBuildPartialMdl', source, target, vaAdd(buffer, 0x1800), 0x1000);
    expect([t.pfn(target, 0), t.pfn(target, 1)]).toEqual([t.pfn(source, 1), t.pfn(source, 2)]);
    expect(t.flags(target)).toBe(MdlFlag.Partial);
    const va = t.map(target);
    t.nt.memory.writeU8(va, 0x77);
    expect(t.nt.memory.readU8(vaAdd(buffer, 0x1800))).toBe(0x77);
    expect(t.mappings).toBe(1);
    t.call('IoFreeMdl', target);
    expect(t.mappings).toBe(0);
    expect(t.locks).toBe(1);
  });

  it('inherit the mapping of nonpaged pool', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x2000);
    const [source, target] = [t.mdl(buffer, 0x2000), t.mdl(buffer, 0x2000)];
    t.call('MmBuildMdlForNonPagedPool', source);
    t.call('IoBuildPartialMdl', source, target, vaAdd(buffer, 0x1010), 0);
    expect(MDL.MappedSystemVa.get(t.nt.memory, target)).toBe(vaAdd(buffer, 0x1010));
    expect(MDL.ByteCount.get(t.nt.memory, target)).toBe(0xff0);
    t.call('IoFreeMdl', target);
  });

  it('stop where they have no room', () => {
    const t = new MdlTest();
    const buffer = t.pool(0x40_000);
    const source = t.mdl(buffer, 0x40_000);
    t.call('MmBuildMdlForNonPagedPool', source);
    expect(t.bugCheck('IoBuildPartialMdl', source, t.mdl(buffer, 8), buffer, 0).code).toBe(0x49);
  });
});

describe("the I/O manager's MDLs", () => {
  it('are locked from the start and leave nothing', () => {
    const t = new MdlTest();
    const before = t.nt.memory.freeFrameCount;
    const buffer = t.nt.userMemory.allocate(0x1000);
    const mdl = t.nt.mdls.createLocked(buffer, 0x1000, true) as Va;
    expect(t.mdlBlocks()).toBe(0);
    const va = t.map(mdl);
    // The process frees its buffer while the request is under way: the pages stay.
    t.nt.userMemory.free(buffer);
    t.nt.memory.writeU8(va, 1);
    t.nt.mdls.release(mdl);
    expect([t.locks, t.mappings]).toEqual([0, 0]);
    // The kernel's own heap may have grown by a page.
    expect(before - t.nt.memory.freeFrameCount).toBeLessThanOrEqual(1);
  });

  it('free what a driver attached, in its name', () => {
    const t = new MdlTest();
    const mdl = t.mdl(t.nt.userMemory.allocate(0x1000), 0x1000);
    t.lock(mdl, userMode);
    const freed: Va[] = [];
    t.nt.events.on('poolFreed', ({ block, caller }) => {
      if (caller === undefined) freed.push(block.va);
    });
    t.nt.mdls.release(mdl);
    expect(freed).toEqual([mdl]);
    expect([t.locks, t.mdlBlocks()]).toEqual([0, 0]);
  });

  it('do not exist for a buffer that cannot be accessed', () => {
    const t = new MdlTest();
    expect(t.nt.mdls.createLocked(t.nt.userMemory.allocate(0), 8, false)).toBeUndefined();
    expect(t.locks).toBe(0);
  });
});

describe('snapshots', () => {
  it('bring locks and mappings back', () => {
    const t = new MdlTest();
    const buffer = t.nt.userMemory.allocate(0x1000);
    const mdl = t.mdl(buffer, 0x1000);
    t.lock(mdl, userMode);
    const snapshot = t.nt.snapshot();
    const va = t.map(mdl);
    t.call('MmUnlockPages', mdl);
    t.nt.restore(snapshot);
    expect([t.locks, t.mappings]).toEqual([1, 0]);
    expect(t.map(mdl)).toBe(va);
    t.call('MmUnlockPages', mdl);
    expect(t.locks).toBe(0);
  });
});
