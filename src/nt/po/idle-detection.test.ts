import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';

describe('PoRegisterSystemState', () => {
  it('gives a handle that stands for the registration until it is given back', () => {
    const kernel = new KernelCaller();
    const handle = kernel.call('PoRegisterSystemState', nullVa, 1) as Va;
    const registered = (): string[] => [...kernel.nt.power.all()].map(({ kind }) => kind);
    expect(registered()).toEqual(['system state']);
    expect(kernel.call('PoRegisterSystemState', handle, 2)).toBe(handle);
    expect(registered()).toHaveLength(1);
    kernel.call('PoUnregisterSystemState', handle);
    expect(registered()).toEqual([]);
  });
});

describe('PoRegisterDeviceForIdleDetection', () => {
  let kernel: KernelCaller;
  let pdo: Va;

  beforeEach(() => {
    kernel = new KernelCaller();
    pdo = kernel.nt.io.pnp.create([]);
  });

  const register = (conservation: number, performance: number): number =>
    kernel.call('PoRegisterDeviceForIdleDetection', pdo, conservation, performance, 4);

  it('gives one counter for each device, until both times are zero', () => {
    const counter = register(60, 30);
    expect(counter).not.toBe(nullVa);
    expect(register(10, 0)).toBe(counter);
    expect(register(0, 0)).toBe(nullVa);
    expect(kernel.nt.pool.blockAt(counter as Va)).toBeUndefined();
  });

  it('gives none for the times of disks', () => {
    expect(register(0xffff_ffff, 30)).toBe(nullVa);
  });

  it('counts from zero again when the device is busy', () => {
    const counter = register(60, 30) as Va;
    kernel.nt.memory.writeU32(counter, 7);
    kernel.call('PoSetDeviceBusyEx', counter);
    expect(kernel.nt.memory.readU32(counter)).toBe(0);
  });
});
