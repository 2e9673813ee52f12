import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { logCapacity, loggedFrames } from './allocation-log.ts';
import { PoolTracking } from './pool-tracking.ts';

const [nonPagedNx, tag] = [0x200, 0x7473_6554];

function setUp(isVerified = true) {
  const t = new KernelCaller();
  const { log } = new PoolTracking(t.nt, ({ isDriver }) => isDriver && isVerified);
  const allocate = (bytes: number): Va => t.callVa('ExAllocatePoolWithTag', nonPagedNx, bytes, tag);
  return { t, log, allocate };
}

const short = ({ operation, va, bytes }: { operation: string; va: Va; bytes: number }) => [operation, va, bytes];

describe('the log of allocations and frees', () => {
  it('has the newest call first, with block, size, thread and stack', () => {
    const { t, log, allocate } = setUp();
    const block = allocate(100);
    t.call('ExFreePool', block);
    expect([...log.entries()].map(short)).toEqual([
      ['free', block, 100],
      ['allocate', block, 100],
    ]);
    for (const { thread, stack } of log.entries()) {
      expect(thread).toBe(t.nt.scheduler.currentThread.kthread);
      expect(stack).toEqual(t.nt.currentStack().slice(0, loggedFrames));
    }
  });

  it('finds the calls for the block that contains an address', () => {
    const { log, allocate } = setUp();
    const [, block] = [allocate(100), allocate(100), allocate(100)];
    const found = (address: Va) => [...log.entries(address)].map(short);
    expect(found(vaAdd(block as Va, 99))).toEqual([['allocate', block, 100]]);
    expect(found(block as Va)).toEqual([['allocate', block, 100]]);
    expect(found(vaAdd(block as Va, -1))).toEqual([]);
    expect(found(vaAdd(block as Va, 100))).toEqual([]);
  });

  it('keeps the latest 65,536 entries', () => {
    const { t, log, allocate } = setUp();
    const first = allocate(16);
    for (let count = 0; count < logCapacity / 2; count++) t.call('ExFreePool', allocate(32));
    expect(log.written).toBe(logCapacity + 1);
    expect([...log.entries()]).toHaveLength(logCapacity);
    expect([...log.entries(first)]).toEqual([]);
  });

  it('has nothing of drivers that are not verified, nor of the kernel itself', () => {
    const { t, log, allocate } = setUp(false);
    t.call('ExFreePool', allocate(16));
    t.nt.pool.freeKernel(t.nt.pool.allocateKernel(16, 'Test'));
    expect(log.written).toBe(0);
  });

  it('belongs to snapshots', () => {
    const { t, log, allocate } = setUp();
    const kept = allocate(48);
    const snapshot = t.nt.snapshot();
    t.call('ExFreePool', kept);
    expect(log.written).toBe(2);
    t.nt.restore(snapshot);
    expect([...log.entries()].map(short)).toEqual([['allocate', kept, 48]]);
  });
});
