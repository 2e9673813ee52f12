import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';

const dispatchLevel = 2;

let kernel: KernelCaller;
let lock: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  lock = kernel.nt.pool.allocateKernel(0x40, 'Test');
  kernel.call('KeInitializeSpinLock', lock);
});

const irql = (): number => kernel.nt.cpu.state.irql;
const word = (): number => kernel.nt.memory.readU32(lock);

it('KeTestSpinLock says whether the lock is free', () => {
  expect(kernel.call('KeTestSpinLock', lock)).toBe(1);
  kernel.call('KeAcquireSpinLockRaiseToDpc', lock);
  expect(kernel.call('KeTestSpinLock', lock)).toBe(0);
});

it('a lock for a DPC raises where the DPC is threaded, and goes back', () => {
  expect(kernel.call('KeAcquireSpinLockForDpc', lock)).toBe(0);
  expect(irql()).toBe(dispatchLevel);
  kernel.call('KeReleaseSpinLockForDpc', lock, 0);
  expect(irql()).toBe(0);
  expect(kernel.call('KeTestSpinLock', lock)).toBe(1);
  kernel.nt.setIrql(dispatchLevel);
  expect(kernel.call('KeAcquireSpinLockForDpc', lock)).toBe(dispatchLevel);
  kernel.call('KeReleaseSpinLockForDpc', lock, dispatchLevel);
  expect(irql()).toBe(dispatchLevel);
});

it('a queued lock taken at DISPATCH_LEVEL stays there', () => {
  const handle = vaAdd(lock, 8);
  kernel.nt.setIrql(dispatchLevel);
  kernel.call('KeAcquireInStackQueuedSpinLockAtDpcLevel', lock, handle);
  expect(kernel.call('KeTestSpinLock', lock)).toBe(0);
  kernel.call('KeReleaseInStackQueuedSpinLockFromDpcLevel', handle);
  expect(irql()).toBe(dispatchLevel);
  expect(kernel.call('KeTestSpinLock', lock)).toBe(1);
});

describe('a lock for readers and writers', () => {
  it('raises for a writer, who is alone', () => {
    expect(kernel.call('ExAcquireSpinLockExclusive', lock)).toBe(0);
    expect(irql()).toBe(dispatchLevel);
    expect(kernel.call('ExTryAcquireSpinLockSharedAtDpcLevel', lock)).toBe(0);
    expect(kernel.call('ExTryAcquireSpinLockExclusiveAtDpcLevel', lock)).toBe(0);
    kernel.call('ExReleaseSpinLockExclusive', lock, 0);
    expect([irql(), word()]).toEqual([0, 0]);
  });

  it('lets readers in together', () => {
    expect(kernel.call('ExAcquireSpinLockShared', lock)).toBe(0);
    expect(kernel.call('ExTryAcquireSpinLockSharedAtDpcLevel', lock)).toBe(1);
    expect(kernel.call('ExTryAcquireSpinLockExclusiveAtDpcLevel', lock)).toBe(0);
    expect(kernel.call('ExTryConvertSharedSpinLockExclusive', lock)).toBe(0);
    kernel.call('ExReleaseSpinLockSharedFromDpcLevel', lock);
    expect(irql()).toBe(dispatchLevel);
    kernel.call('ExReleaseSpinLockShared', lock, 0);
    expect([irql(), word()]).toEqual([0, 0]);
  });

  it('is taken and given back at DISPATCH_LEVEL', () => {
    kernel.nt.setIrql(dispatchLevel);
    kernel.call('ExAcquireSpinLockExclusiveAtDpcLevel', lock);
    expect(kernel.call('ExTryAcquireSpinLockExclusiveAtDpcLevel', lock)).toBe(0);
    kernel.call('ExReleaseSpinLockExclusiveFromDpcLevel', lock);
    expect(kernel.call('ExTryAcquireSpinLockExclusiveAtDpcLevel', lock)).toBe(1);
    expect(irql()).toBe(dispatchLevel);
  });
});
