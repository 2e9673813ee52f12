import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Layout, sectionFlags } from '../../../test/pe-builder.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { PageFlag } from '../../engine/memory/layout.ts';
import { DRIVER_OBJECT } from '../structures/io.ts';

function nameOf(t: KernelCaller, name: string): Va {
  const string = t.nt.pool.allocateKernel(16 + name.length * 2, 'Test');
  const { memory } = t.nt;
  memory.writeU16(string, name.length * 2);
  memory.writeU16(vaAdd(string, 2), name.length * 2);
  memory.writeVa(vaAdd(string, 8), vaAdd(string, 16));
  for (let index = 0; index < name.length; index++)
    memory.writeU16(vaAdd(string, 16 + index * 2), name.charCodeAt(index));
  return string;
}

const resolve = (t: KernelCaller, name: string): Va => t.callVa('MmGetSystemRoutineAddress', nameOf(t, name));

describe('MmGetSystemRoutineAddress', () => {
  it('gives a thunk of the caller, the same every time', () => {
    const t = new KernelCaller();
    const va = resolve(t, 'ExAllocatePoolWithTag');
    const entry = t.nt.entries.at(va);
    expect(entry).toMatchObject({ kind: 'thunk', importName: 'ntoskrnl.exe!ExAllocatePoolWithTag' });
    expect(entry?.kind === 'thunk' && entry.image.index).toBe(t.image.index);
    expect(entry?.kind === 'thunk' && entry.target).toBe(t.nt.entries.routine('ExAllocatePoolWithTag'));
    expect(resolve(t, 'ExAllocatePoolWithTag')).toBe(va);
  });

  it('gives a thunk without a target for what Windows has and this kernel lacks', () => {
    const t = new KernelCaller();
    const name = 'MmMapMdl';
    expect(t.nt.images.kernelExport('ntoskrnl.exe', name)).toBeUndefined();
    expect(t.nt.entries.at(resolve(t, name))).toMatchObject({ kind: 'thunk', target: undefined });
  });

  it('gives NULL for what Windows lacks, and the address of data', () => {
    const t = new KernelCaller();
    expect(resolve(t, 'ExNoSuchRoutine')).toBe(nullVa);
    expect(resolve(t, 'exallocatepoolwithtag')).toBe(nullVa);
    expect(t.nt.memory.readVa(resolve(t, 'MmUserProbeAddress'))).toBe(0x7fff_ffff_0000);
  });

  it('finds the thunks again after a snapshot', () => {
    const t = new KernelCaller();
    const va = resolve(t, 'ExFreePool');
    const snapshot = t.nt.snapshot();
    const later = resolve(t, 'ExFreePoolWithTag');
    t.nt.restore(snapshot);
    expect(t.nt.entries.at(va)).toMatchObject({ importName: 'ntoskrnl.exe!ExFreePool' });
    expect(t.nt.entries.at(later)).toBeUndefined();
    expect(resolve(t, 'IoFreeMdl')).toBe(later);
  });

  it('runs out of thunks rather than take the next image’s', () => {
    const t = new KernelCaller();
    let outcome: unknown;
    const names = [...t.nt.entries.routines()].filter(({ name }) => t.nt.images.kernelExport('ntoskrnl.exe', name));
    expect(names.length).toBeGreaterThan(300);
    for (const { name } of names) outcome = t.outcome('MmGetSystemRoutineAddress', nameOf(t, name));
    expect(outcome).toMatchObject({ action: 'unsupported' });
  });
});

describe('pageable sections', () => {
  const pe = {
    sections: [{ name: 'PAGE', characteristics: sectionFlags.code, data: new Uint8Array(0x1800).fill(0xc3) }],
  };

  function pageableRvas(t: KernelCaller): number[] {
    const rvas: number[] = [];
    for (let rva = 0; rva < t.image.sizeBytes; rva += 0x1000) {
      const flags = t.nt.memory.mappingAt(vaAdd(t.image.base, rva))?.flags ?? 0;
      if ((flags & PageFlag.Pageable) !== 0) rvas.push(rva);
    }
    return rvas;
  }

  it('stay in memory while they are locked', () => {
    const t = new KernelCaller({}, pe);
    const section = t.image.pe?.sections.find(({ name }) => name === 'PAGE');
    const rva = section?.rva as number;
    const before = pageableRvas(t);
    expect(before).toEqual([rva, rva + 0x1000]);
    const handle = t.callVa('MmLockPagableDataSection', vaAdd(t.image.base, rva + 0x1004));
    expect(t.nt.memory.readU32(handle)).toBe(0x4547_4150);
    t.call('MmLockPagableSectionByHandle', handle);
    expect(pageableRvas(t)).toEqual([]);
    t.call('MmUnlockPagableImageSection', handle);
    expect(pageableRvas(t)).toEqual([]);
    expect([...t.nt.driverPaging.outstanding()]).toMatchObject([{ name: 'PAGE', count: 1 }]);
    t.call('MmUnlockPagableImageSection', handle);
    expect(pageableRvas(t)).toEqual(before);
    expect(t.bugCheck('MmUnlockPagableImageSection', handle).parameters[0]).toBe(0x1010);
    expect(t.bugCheck('MmLockPagableDataSection', vaAdd(t.image.base, -0x1000)).parameters[0]).toBe(0x1234);
  });

  it('are the whole driver after MmPageEntireDriver, but for what is locked', () => {
    const t = new KernelCaller({}, pe);
    const before = pageableRvas(t);
    const section = t.image.pe?.sections.find(({ name }) => name === 'PAGE');
    const handle = t.callVa('MmLockPagableDataSection', vaAdd(t.image.base, section?.rva as number));
    expect(t.callVa('MmPageEntireDriver', vaAdd(t.image.base, 0x1000))).toBe(t.image.base);
    const pages = t.image.sizeBytes / 0x1000;
    expect(pageableRvas(t)).toHaveLength(pages - 2);
    t.call('MmUnlockPagableImageSection', handle);
    expect(pageableRvas(t)).toHaveLength(pages);
    t.call('MmResetDriverPaging', vaAdd(t.image.base, 0x1000));
    expect(pageableRvas(t)).toEqual(before);
  });
});

describe('MmIsDriverVerifying', () => {
  it('asks whoever verifies', () => {
    const t = new KernelCaller();
    const driver = t.nt.pool.allocateKernel(DRIVER_OBJECT.sizeBytes, 'Driv');
    DRIVER_OBJECT.DriverStart.set(t.nt.memory, driver, t.image.base);
    expect(t.call('MmIsDriverVerifying', driver)).toBe(0);
    t.nt.images.isVerified = ({ index }) => index === t.image.index;
    expect(t.call('MmIsDriverVerifying', driver)).toBe(1);
    expect(t.call('MmIsDriverVerifyingByAddress', vaAdd(t.image.base, 0x1000))).toBe(1);
    expect(t.call('MmIsDriverVerifyingByAddress', driver)).toBe(0);
  });
});

describe('the stack cookie', () => {
  /** A driver whose cookie, at the start of its code, is as the linker left it. */
  const defaultCookie = [0x32, 0xa2, 0xdf, 0x2d, 0x99, 0x2b, 0, 0];
  const withCookie = {
    code: () => defaultCookie,
    loadConfig: (at: Layout) => ({ 88: at.imageBase + BigInt(at.textRva) }),
  };

  it('is initialised when the image is loaded, with its upper 16 bits clear as the check of it wants', () => {
    const cookies = Array.from({ length: 40 }, (_, seed) => {
      const t = new KernelCaller({ seed }, withCookie);
      return t.nt.memory.readU64(vaAdd(t.image.base, 0x1000));
    });
    for (const cookie of cookies) {
      expect(cookie >> 48n).toBe(0n);
      expect(cookie).not.toBe(0x2b99_2ddf_a232n);
    }
    expect(new Set(cookies).size).toBe(cookies.length);
  });
});
