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

describe('single lists under a lock, and sums', () => {
  it('are last in, first out', () => {
    const [lock, head, a, b] = [block(), block(), block(), block()];
    memory.writeU64(lock, 0n);
    memory.writeU64(head, 0n);
    expect(kernel.callVa('ExInterlockedPopEntryList', head, lock)).toBe(0);
    expect(kernel.callVa('ExInterlockedPushEntryList', head, a, lock)).toBe(0);
    expect(kernel.callVa('ExInterlockedPushEntryList', head, b, lock)).toBe(a);
    expect([1, 2, 3].map(() => kernel.callVa('ExInterlockedPopEntryList', head, lock))).toEqual([b, a, 0]);
    expect(memory.readU64(lock)).toBe(0n);
  });

  it('give the value before, and wrap', () => {
    const [lock, sum] = [block(), block()];
    memory.writeU64(lock, 0n);
    memory.writeU64(sum, 0x1_ffff_ffffn);
    expect(kernel.call('ExInterlockedAddUlong', sum, 2, lock)).toBe(0xffff_ffff);
    expect(memory.readU64(sum)).toBe(0x1_0000_0001n);
    memory.writeU64(sum, 5n);
    expect(kernel.call('ExInterlockedAddLargeInteger', sum, -6, lock)).toBe(5);
    expect(memory.readU64(sum)).toBe(0xffff_ffff_ffff_ffffn);
  });

  it.each([
    ['ExInterlockedPopEntryList', 0],
    ['ExInterlockedAddUlong', 1],
  ])('%s spins for a lock that is held', (routine) => {
    const lock = block();
    memory.writeU64(lock, 1n);
    kernel.nt.setIrql(2);
    const args = routine === 'ExInterlockedAddUlong' ? [block(), 1, lock] : [block(), lock];
    expect(kernel.bugCheck(routine, ...args).code).toBe(0x133);
    kernel.nt.setIrql(0);
  });
});

describe.each(['Ex', ''])('sequenced lists, %sInterlocked…', (prefix) => {
  it('are last in, first out, and count', () => {
    const [head, a, b] = [block(), block(), block()];
    kernel.call('InitializeSListHead', head);
    expect(kernel.callVa(`${prefix}InterlockedPushEntrySList`, head, a)).toBe(0);
    expect(kernel.callVa(`${prefix}InterlockedPushEntrySList`, head, b)).toBe(a);
    expect(kernel.call('ExQueryDepthSList', head)).toBe(2);
    expect(kernel.callVa(`${prefix}InterlockedPopEntrySList`, head)).toBe(b);
    expect(kernel.callVa('ExInterlockedFlushSList', head)).toBe(a);
    expect(kernel.call('ExQueryDepthSList', head)).toBe(0);
    expect(kernel.callVa(`${prefix}InterlockedPopEntrySList`, head)).toBe(0);
    expect(kernel.callVa('ExInterlockedFlushSList', head)).toBe(0);
  });

  it('raise for entries that are not aligned', () => {
    const head = block();
    kernel.call('InitializeSListHead', head);
    const outcome = kernel.outcome(`${prefix}InterlockedPushEntrySList`, head, vaAdd(block(), 8));
    expect(outcome).toMatchObject({ action: 'raise', status: 0x8000_0002 });
  });
});
