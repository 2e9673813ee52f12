import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';

const kernel = new KernelCaller();
const { memory } = kernel.nt;
const block = (): Va => kernel.nt.pool.allocateKernel(0x40, 'Test');

describe('doubly linked lists', () => {
  const lock = block();
  const head = block();
  const [a, b, c] = [block(), block(), block()];

  it('inserts at both ends and removes at the head', () => {
    memory.writeVa(head, head);
    memory.writeVa(vaAdd(head, 8), head);
    expect(kernel.callVa('ExInterlockedInsertTailList', head, b, lock)).toBe(0);
    expect(kernel.callVa('ExInterlockedInsertHeadList', head, a, lock)).toBe(b);
    expect(kernel.callVa('ExInterlockedInsertTailList', head, c, lock)).toBe(b);
    const removed = [1, 2, 3, 4].map(() => kernel.callVa('ExInterlockedRemoveHeadList', head, lock));
    expect(removed).toEqual([a, b, c, 0]);
  });

  it('stops the machine for links that do not lead back', () => {
    kernel.call('ExInterlockedInsertTailList', head, a, lock);
    memory.writeVa(vaAdd(a, 8), b);
    expect(kernel.bugCheck('ExInterlockedRemoveHeadList', head, lock).code).toBe(0x139);
    memory.writeVa(head, head);
    memory.writeVa(vaAdd(head, 8), a);
    memory.writeVa(a, b);
    expect(kernel.bugCheck('ExInterlockedInsertTailList', head, c, lock).code).toBe(0x139);
  });

  it('spins for a lock that is held', () => {
    kernel.nt.setIrql(2);
    memory.writeU64(lock, 1n);
    expect(kernel.bugCheck('ExInterlockedRemoveHeadList', head, lock).code).toBe(0x133);
    kernel.nt.setIrql(0);
  });
});

describe('sequenced lists', () => {
  it('counts its depth and every change, and is last in, first out', () => {
    const head = block();
    const [a, b] = [block(), block()];
    kernel.call('InitializeSListHead', head);
    expect(kernel.callVa('ExpInterlockedPushEntrySList', head, a)).toBe(0);
    expect(kernel.callVa('ExpInterlockedPushEntrySList', head, b)).toBe(a);
    expect(kernel.call('ExQueryDepthSList', head)).toBe(2);
    expect(kernel.callVa('ExpInterlockedPopEntrySList', head)).toBe(b);
    expect(memory.readU64(head)).toBe((3n << 16n) | 1n);
    expect(kernel.callVa('ExpInterlockedFlushSList', head)).toBe(a);
    expect(kernel.callVa('ExpInterlockedPopEntrySList', head)).toBe(0);
    expect(kernel.call('ExQueryDepthSList', head)).toBe(0);
  });

  it('raises for an entry that is not aligned', () => {
    expect(kernel.outcome('ExpInterlockedPushEntrySList', block(), vaAdd(block(), 8))).toMatchObject({
      action: 'raise',
      status: 0x8000_0002,
    });
  });
});
