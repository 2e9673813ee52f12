import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import type { Va } from '../../base/va.ts';
import { vaAdd } from '../../base/va.ts';
import { tagOf } from '../../nt/ex/pool.ts';
import { PoolCalls } from '../automatic-checks/pool-calls.ts';
import { ListsAndResources } from './lists-and-resources.ts';

const tag = tagOf('Misc');
const nonPagedNx = 0x200;

function setUp(isVerified = true) {
  const t = new KernelCaller();
  const verified = ({ isDriver }: { readonly isDriver: boolean }) => isDriver && isVerified;
  new PoolCalls(t.nt, { isVerified: verified, hasPoolTracking: false, hasMiscellaneousChecks: true });
  new ListsAndResources(t.nt, verified);
  const allocate = (bytes: number): Va => t.callVa('ExAllocatePoolWithTag', nonPagedNx, bytes, tag);
  const stops = (name: string, ...args: (number | bigint)[]) => {
    const { code, parameters } = t.bugCheck(name, ...args);
    return [code, ...parameters];
  };
  const initialise = (list: Va, bytes = 64) =>
    ['ExInitializeNPagedLookasideList', list, 0, 0, 0, bytes, tag, 0] as const;
  return { t, allocate, stops, initialise };
}

describe('a lookaside list', () => {
  it('that is initialised twice is 0xCA, deleted twice 0xCB, of too small blocks 0xCD', () => {
    const { t, allocate, stops, initialise } = setUp();
    const list = allocate(0x100);
    expect(stops(...initialise(list, 7))).toEqual([0xc4, 0xcd, list, 7, 8]);
    t.call(...initialise(list, 8));
    expect(stops(...initialise(list))).toEqual([0xc4, 0xca, list, 0, 0]);
    t.outcome('ExDeleteNPagedLookasideList', list);
    expect(stops('ExDeleteNPagedLookasideList', list)).toEqual([0xc4, 0xcb, list, 0, 0]);
  });

  it('in memory that is freed is 0xCC with the block and its size; deleted, it may go', () => {
    const { t, allocate, stops, initialise } = setUp();
    const block = allocate(0x200);
    const list = vaAdd(block, 0x80);
    t.call(...initialise(list));
    expect(stops('ExFreePool', block)).toEqual([0xc4, 0xcc, list, block, 0x200]);
    t.outcome('ExDeleteNPagedLookasideList', list);
    t.call('ExFreePool', block);
  });
});

describe('an ERESOURCE', () => {
  it('that is initialised twice is 0xD0, deleted twice 0xD1', () => {
    const { t, allocate, stops } = setUp();
    const resource = allocate(0x100);
    t.call('ExInitializeResourceLite', resource);
    expect(stops('ExInitializeResourceLite', resource)).toEqual([0xc4, 0xd0, resource, 0, 0]);
    t.call('ExDeleteResourceLite', resource);
    expect(stops('ExDeleteResourceLite', resource)).toEqual([0xc4, 0xd1, resource, 0, 0]);
  });

  it('in memory that is freed is 0xD2 with the block and its size', () => {
    const { t, allocate, stops } = setUp();
    const block = allocate(0x180);
    t.call('ExInitializeResourceLite', vaAdd(block, 0x40));
    expect(stops('ExFreePool', block)).toEqual([0xc4, 0xd2, vaAdd(block, 0x40), block, 0x180]);
  });
});

describe('a work item', () => {
  it('that is queued in memory that is freed is 0xE4 with the block', () => {
    const { t, allocate, stops } = setUp();
    const block = allocate(0x80);
    const item = vaAdd(block, 0x20);
    t.nt.memory.fill(block, 0x80, 0);
    t.call('ExQueueWorkItem', item, 1);
    expect(stops('ExFreePool', block)).toEqual([0xe4, 0, item, block, vaAdd(block, 0x80)]);
    t.nt.workQueue.take();
    t.call('ExFreePool', block);
  });
});

describe('a driver that is not verified', () => {
  it('may do all of it', () => {
    const { t, allocate, initialise } = setUp(false);
    const block = allocate(0x200);
    t.call(...initialise(block));
    t.call(...initialise(block));
    t.call('ExInitializeResourceLite', vaAdd(block, 0x100));
    t.call('ExInitializeResourceLite', vaAdd(block, 0x100));
    t.call('ExFreePool', block);
    expect([...t.nt.pool.driverBlocks()]).toEqual([]);
  });
});
