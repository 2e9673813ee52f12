import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import { tagOf } from '../../nt/ex/pool.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import { PoolTracking } from '../pool-tracking/pool-tracking.ts';
import { UnloadChecks } from './unload-checks.ts';

function setUp() {
  const t = new KernelCaller();
  const isVerified = ({ isDriver }: KernelImage): boolean => isDriver;
  new UnloadChecks(t.nt, isVerified);
  new PoolTracking(t.nt, isVerified);
  const unload = (): readonly unknown[] | undefined => {
    try {
      t.nt.events.emit('driverUnloaded', { image: t.image, driverObject: 0 as Va });
      return undefined;
    } catch (thrown) {
      if (thrown instanceof BugCheck) return [thrown.code, ...thrown.parameters];
      throw thrown;
    }
  };
  /** A timer in memory of the kernel's, with a DPC beside it. */
  const timer = t.nt.pool.allocateKernel(0x100, 'Test');
  const dpc = vaAdd(timer, 0x80);
  t.call('KeInitializeTimer', timer);
  return { t, unload, timer, dpc };
}

const later = -10_000_000n;

describe('what is looked for when a driver goes', () => {
  it('is a timer whose DPC would run in the image: 0xC7 with the routine and the image', () => {
    const { t, unload, timer, dpc } = setUp();
    const routine = vaAdd(t.image.base, 0x1000);
    t.call('KeInitializeDpc', dpc, routine, 0);
    t.call('KeSetTimer', timer, later, dpc);
    expect(unload()).toEqual([0xc7, 2, routine, t.image.base, vaAdd(t.image.base, t.image.sizeBytes)]);
    t.call('KeCancelTimer', timer);
    expect(unload()).toBeUndefined();
  });

  it('comes before what was leaked', () => {
    const { t, unload, timer, dpc } = setUp();
    t.call('ExAllocatePoolWithTag', 0x200, 16, tagOf('Left'));
    t.call('KeInitializeDpc', dpc, vaAdd(t.image.base, 0x1000), 0);
    t.call('KeSetTimer', timer, later, dpc);
    expect(unload()?.[0]).toBe(0xc7);
    t.call('KeCancelTimer', timer);
    expect(unload()?.slice(0, 2)).toEqual([0xc4, 0x62]);
  });

  it('is no timer of somebody else', () => {
    const { t, unload, timer, dpc } = setUp();
    t.call('KeInitializeDpc', dpc, t.nt.entries.routineVa('ExFreePool'), 0);
    t.call('KeSetTimer', timer, later, dpc);
    expect(unload()).toBeUndefined();
  });
});
