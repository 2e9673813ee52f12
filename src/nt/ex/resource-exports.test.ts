import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import type { Va } from '../../base/va.ts';
import { ERESOURCE } from '../structures/executive.ts';

describe('what a thread knows of a resource', () => {
  let kernel: KernelCaller;
  let resource: Va;

  beforeEach(() => {
    kernel = new KernelCaller();
    resource = kernel.nt.pool.allocateKernel(ERESOURCE.sizeBytes, 'Test');
    kernel.call('ExInitializeResourceLite', resource);
  });

  const owned = (): number[] => [
    kernel.call('ExIsResourceAcquiredExclusiveLite', resource),
    kernel.call('ExIsResourceAcquiredSharedLite', resource),
  ];
  const thread = (): number => kernel.nt.scheduler.currentThread.kthread;

  it('counts in whatever way it was acquired', () => {
    expect(owned()).toEqual([0, 0]);
    expect(kernel.call('ExAcquireResourceExclusiveLite', resource, 1)).toBe(1);
    expect(owned()).toEqual([1, 1]);
    // Shared acquisitions of the exclusive owner are exclusive ones.
    expect(kernel.call('ExAcquireSharedStarveExclusive', resource, 1)).toBe(1);
    expect(kernel.call('ExAcquireSharedWaitForExclusive', resource, 1)).toBe(1);
    expect(owned()).toEqual([1, 3]);
    kernel.call('ExConvertExclusiveToSharedLite', resource);
    expect(owned()).toEqual([0, 3]);
    for (let count = 0; count < 3; count++) kernel.call('ExReleaseResourceForThreadLite', resource, thread());
    expect(owned()).toEqual([0, 0]);
  });

  it('stops Windows when it was not the owner', () => {
    const stop = kernel.bugCheck('ExReleaseResourceForThreadLite', resource, thread());
    expect([stop.code, stop.parameters[0], stop.parameters[1]]).toEqual([0xe3, resource, thread()]);
    kernel.call('ExAcquireResourceSharedLite', resource, 1);
    expect(kernel.outcome('ExConvertExclusiveToSharedLite', resource)).toMatchObject({ action: 'unsupported' });
  });

  it('is forgotten by a new beginning, and by an end', () => {
    kernel.call('ExAcquireResourceExclusiveLite', resource, 1);
    expect(kernel.call('ExReinitializeResourceLite', resource)).toBe(0);
    expect(owned()).toEqual([0, 0]);
    expect([...kernel.nt.resources.all()]).toHaveLength(1);
    expect(kernel.call('ExDeleteResourceLite', resource)).toBe(0);
    expect([...kernel.nt.resources.all()]).toHaveLength(0);
    expect(kernel.outcome('ExIsResourceAcquiredSharedLite', resource)).toMatchObject({ action: 'unsupported' });
  });

  it('is asked for in a critical region', () => {
    expect(kernel.call('ExEnterCriticalRegionAndAcquireResourceShared', resource)).toBe(resource);
    expect([kernel.call('KeAreApcsDisabled'), ...owned()]).toEqual([1, 0, 1]);
    kernel.call('ExReleaseResourceAndLeaveCriticalRegion', resource);
    expect([kernel.call('KeAreApcsDisabled'), ...owned()]).toEqual([0, 0, 0]);
  });
});

describe('a reader, while another reads and a writer waits', () => {
  it.each([
    ['ExAcquireSharedStarveExclusive', 1],
    ['ExAcquireResourceSharedLite', 0],
    ['ExAcquireSharedWaitForExclusive', 0],
  ])('%s: %i', (acquire, answer) => {
    const code = new GuestCode(
      `
      reader: enter
        call ExAcquireResourceSharedLite(resource, 1)
        call KeDelayExecutionThread(0, 0, delay)
        call ExReleaseResourceLite(resource)
        leave
      writer: enter
        call ExAcquireResourceExclusiveLite(resource, 1)
        log 5
        call ExReleaseResourceLite(resource)
        leave
      other: enter
        call ExGetExclusiveWaiterCount(resource)
        log rax
        call ExGetSharedWaiterCount(resource)
        log rax
        call ${acquire}(resource, 0)
        log rax
        cmp eax, 0
        je over
        call ExReleaseResourceLite(resource)
        over: leave`,
      ['resource', 'delay'],
    );
    code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, -10_000n));
    code.call('ExInitializeResourceLite', code.at('resource'));
    for (const label of ['reader', 'writer', 'other']) code.start(label);
    expect(code.run()).toEqual([1, 0, answer, 5]);
  });

  it.each([
    ['ExAcquireResourceSharedLite', 1],
    ['ExAcquireSharedWaitForExclusive', 0],
  ])('and who reads already, %s: %i', (acquire, answer) => {
    const code = new GuestCode(
      `
      reader: enter
        call ExAcquireResourceSharedLite(resource, 1)
        call KeDelayExecutionThread(0, 0, delay)
        call ${acquire}(resource, 0)
        log rax
        leave
      writer: enter
        call ExAcquireResourceExclusiveLite(resource, 1)
        leave`,
      ['resource', 'delay'],
    );
    code.nt.memory.writeU64(code.at('delay'), BigInt.asUintN(64, -10_000n));
    code.call('ExInitializeResourceLite', code.at('resource'));
    code.start('reader');
    code.start('writer');
    expect(code.run()).toEqual([answer]);
  });
});

it('ExRundownCompleted leaves nothing to wait for, and nothing to acquire, until a new beginning', () => {
  const kernel = new KernelCaller();
  const ref = kernel.nt.pool.allocateKernel(8, 'Test');
  kernel.call('ExInitializeRundownProtection', ref);
  kernel.call('ExRundownCompleted', ref);
  expect(kernel.call('ExAcquireRundownProtection', ref)).toBe(0);
  expect(kernel.outcome('ExWaitForRundownProtectionRelease', ref)).toBeUndefined();
  kernel.call('ExReInitializeRundownProtection', ref);
  expect(kernel.call('ExAcquireRundownProtection', ref)).toBe(1);
});
