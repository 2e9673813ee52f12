import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { vaAdd } from '../../base/va.ts';
import { CallCounters } from './call-counters.ts';

const nonPagedNx = 0x200;
const tag = 0x746e7543;

function setUp(isVerified = true) {
  const t = new KernelCaller();
  return {
    t,
    counters: new CallCounters(t.nt, () => isVerified),
    lock: t.callVa('ExAllocatePoolWithTag', nonPagedNx, 64, tag),
  };
}

describe('calls of verified drivers', () => {
  it('that raise the IRQL or take a spin lock are counted, each by itself', () => {
    const { t, counters, lock } = setUp();
    t.call('KeInitializeSpinLock', lock);
    const before = t.call('KfRaiseIrql', 1);
    t.call('KeLowerIrql', before);
    const passive = t.call('KeAcquireSpinLockRaiseToDpc', lock);
    t.call('KeReleaseSpinLock', lock, passive);
    t.call('KeRaiseIrqlToDpcLevel');
    t.call('KeAcquireInStackQueuedSpinLockAtDpcLevel', lock, vaAdd(lock, 16));
    expect(counters.counts).toEqual({ irqlRaises: 2, spinLocksAcquired: 2, executionsSynchronized: 0 });
  });

  it('that try to take a spin lock are counted if they got it', () => {
    const { t, counters, lock } = setUp();
    t.call('KeInitializeSpinLock', lock);
    t.call('KfRaiseIrql', 2);
    expect(t.outcome('KeTryToAcquireSpinLockAtDpcLevel', lock)).toBe(true);
    expect(t.outcome('KeTryToAcquireSpinLockAtDpcLevel', lock)).toBe(false);
    expect(counters.counts.spinLocksAcquired).toBe(1);
  });

  it('of others are not', () => {
    const { t, counters } = setUp(false);
    t.call('KfRaiseIrql', 1);
    expect(counters.counts.irqlRaises).toBe(0);
  });
});
