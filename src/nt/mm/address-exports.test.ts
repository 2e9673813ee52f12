import { beforeEach, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';

let kernel: KernelCaller;
beforeEach(() => {
  kernel = new KernelCaller();
});

const data = (name: string): bigint =>
  kernel.nt.memory.readU64(kernel.nt.images.kernelExport('ntoskrnl.exe', name) as Va);

it('the machine is a large workstation', () => {
  expect(kernel.call('MmQuerySystemSize')).toBe(2);
  expect(kernel.call('MmIsThisAnNtAsSystem')).toBe(0);
});

it('user space ends 64 KB below the hole, system space begins behind it', () => {
  expect(data('MmHighestUserAddress')).toBe(0x7fff_fffe_ffffn);
  expect(data('MmUserProbeAddress')).toBe(0x7fff_ffff_0000n);
  expect(data('MmSystemRangeStart')).toBe(0xffff_8000_0000_0000n);
});

it('MmIsNonPagedSystemAddressValid knows nonpaged pool from paged pool, and freed pages from both', () => {
  const isValid = (va: Va): number => kernel.call('MmIsNonPagedSystemAddressValid', va);
  const nonPaged = kernel.callVa('ExAllocatePool2', 0x40, 0x2000, 0x7473_6554);
  const paged = kernel.callVa('ExAllocatePool2', 0x100, 0x2000, 0x7473_6554);
  expect([isValid(nonPaged), isValid(vaAdd(nonPaged, 0x1fff)), isValid(paged), isValid(0x10_0000 as Va)]).toEqual([
    1, 1, 0, 0,
  ]);
  kernel.call('ExFreePool', nonPaged);
  expect(isValid(nonPaged)).toBe(0);
});
