import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import * as status from '../ntstatus.ts';
import { GENERAL_LOOKASIDE } from '../structures/lookaside.ts';
import { tagOf } from './pool.ts';

const tag = tagOf('Look');
const [nonPagedNx, paged] = [0x200, 1];

/** What a list counts, and how many blocks it holds. */
function counted(memory: GuestMemory, list: Va): readonly number[] {
  const { TotalAllocates, AllocateMisses, TotalFrees, FreeMisses } = GENERAL_LOOKASIDE;
  const counters = [TotalAllocates, AllocateMisses, TotalFrees, FreeMisses].map((field) => field.get(memory, list));
  return [...counters, memory.readU16(list)];
}

class ListCaller extends KernelCaller {
  readonly list = this.nt.pool.allocateKernel(0x80, 'Test');

  get type(): number {
    return GENERAL_LOOKASIDE.Type.get(this.nt.memory, this.list);
  }

  initialiseEx(poolType: number, flags: number): number {
    return this.call('ExInitializeLookasideListEx', this.list, 0, 0, poolType, flags, 32, tag, 0);
  }
}

describe('a list that a driver initialises', () => {
  it('is empty, keeps what was asked for, and is known with its driver', () => {
    const t = new ListCaller();
    t.nt.memory.fill(t.list, 0x80, 0xcc);
    t.call('ExInitializeNPagedLookasideList', t.list, 0, 0, 0x210, 0x123, tag, 0);
    const { Depth, MaximumDepth, Tag, Size } = GENERAL_LOOKASIDE;
    expect([Depth, MaximumDepth, Tag, Size].map((field) => field.get(t.nt.memory, t.list))).toEqual([
      4,
      256,
      tag,
      0x123,
    ]);
    expect(t.type).toBe(0x210);
    expect(counted(t.nt.memory, t.list)).toEqual([0, 0, 0, 0, 0]);
    // A LOOKASIDE_LIST_EX ends here.
    expect(t.nt.memory.readU64(vaAdd(t.list, 0x60))).toBe(0xcccc_cccc_cccc_ccccn);
    expect([...t.nt.lookasides.all()]).toEqual([
      { list: t.list, tag, imageIndex: t.image.index, stack: expect.any(Array), activity: 0 },
    ]);
  });

  it('allocates and frees through thunks of that driver, the same for all of its lists', () => {
    const t = new ListCaller();
    const second = t.nt.pool.allocateKernel(0x80, 'Test');
    for (const list of [t.list, second]) t.call('ExInitializePagedLookasideList', list, 0, 0, 0, 32, tag, 0);
    const routines = [t.list, second].map((list) => [
      GENERAL_LOOKASIDE.Allocate.get(t.nt.memory, list),
      GENERAL_LOOKASIDE.Free.get(t.nt.memory, list),
    ]);
    expect(routines[1]).toEqual(routines[0]);
    expect(routines[0]?.map((va) => t.nt.entries.at(va as Va))).toMatchObject([
      { kind: 'thunk', image: { index: t.image.index }, target: { name: 'ExAllocatePoolWithTag' } },
      { kind: 'thunk', image: { index: t.image.index }, target: { name: 'ExFreePool' } },
    ]);
  });

  it('has the routines of its own that are given, be it one', () => {
    const t = new ListCaller();
    const own = vaAdd(t.image.base, 0x1000);
    t.call('ExInitializePagedLookasideList', t.list, 0, own, 0x200, 32, tag, 0);
    expect(GENERAL_LOOKASIDE.Free.get(t.nt.memory, t.list)).toBe(own);
    expect(t.nt.entries.at(GENERAL_LOOKASIDE.Allocate.get(t.nt.memory, t.list))?.kind).toBe('thunk');
    expect(t.type).toBe(paged);
  });

  it('passes its flags on in the pool type', () => {
    const t = new ListCaller();
    const types = [0, 1, 2].map((flags) => [t.initialiseEx(nonPagedNx, flags), t.type]);
    expect(types).toEqual([
      [status.STATUS_SUCCESS, 0x200],
      [status.STATUS_SUCCESS, 0x210],
      [status.STATUS_SUCCESS, 0x208],
    ]);
  });

  it.each([
    ['flags that exclude each other', paged, 3, status.STATUS_INVALID_PARAMETER_5],
    ['unknown flags', paged, 4, status.STATUS_INVALID_PARAMETER_5],
    ['a pool type that is none', 3, 0, status.STATUS_INVALID_PARAMETER_4],
    ['unknown bits of a pool type', 0x1000, 0, status.STATUS_INVALID_PARAMETER_4],
  ])('refuses %s', (_what, poolType, flags, expected) => {
    const t = new ListCaller();
    expect(t.initialiseEx(poolType, flags)).toBe(expected);
    expect([...t.nt.lookasides.all()]).toEqual([]);
  });

  it('must be aligned to 16', () => {
    const t = new ListCaller();
    expect(t.outcome('ExInitializeNPagedLookasideList', vaAdd(t.list, 8), 0, 0, 0, 32, tag, 0)).toMatchObject({
      action: 'raise',
      status: status.STATUS_DATATYPE_MISALIGNMENT,
    });
  });

  it('is not supported when the driver has no thunk left', () => {
    const t = new ListCaller();
    for (let index = 0; t.nt.images.dynamicThunk(t.image, 'ntoskrnl.exe', `Routine${index}`) !== undefined; ) index++;
    const outcome = t.outcome('ExInitializeNPagedLookasideList', t.list, 0, 0, 0, 32, tag, 0);
    expect(outcome).toMatchObject({ action: 'unsupported' });
  });
});

describe('a list that is deleted', () => {
  it('is one of two when its memory was initialised twice', () => {
    const t = new ListCaller();
    for (let round = 0; round < 2; round++) t.initialiseEx(paged, 0);
    t.call('ExDeleteLookasideListEx', t.list);
    expect([...t.nt.lookasides.all()]).toHaveLength(1);
  });

  it('twice stops the machine, as list entries that were removed do', () => {
    const t = new ListCaller();
    t.initialiseEx(paged, 0);
    t.call('ExDeleteLookasideListEx', t.list);
    expect(t.bugCheck('ExDeleteLookasideListEx', t.list)).toMatchObject({ code: 0x139, parameters: [3, 0, 0, 0] });
  });

  it('and never was initialised is the fault of its links', () => {
    const code = new GuestCode('', ['list']);
    expect(() => code.call('ExDeletePagedLookasideList', code.at('list'))).toThrow('did not come back');
    expect(code.bugCheck?.slice(0, 2)).toEqual([0x7e, 0xc000_0005 | 0]);
  });
});

describe("a list with the driver's own routines", () => {
  const source = `
    allocate: enter
      log rcx
      log rdx
      call ExAllocatePoolWithTag(rcx, rdx, r8)
      leave
    fail: enter
      xor rax, rax
      leave
    free: enter
      mov rbx, rdx
      call ExFreePool(rcx)
      mov rax, list
      sub rbx, rax
      log rbx
      leave`;

  it('calls them when it is empty, or full', () => {
    const code = new GuestCode(source, ['list']);
    const { memory, pool } = code.nt;
    const list = code.at('list');
    code.call('ExInitializePagedLookasideList', list, code.at('allocate'), 0, 0, 40, tag, 0);
    const blocks = Array.from({ length: 6 }, () => code.call('ExAllocateFromPagedLookasideList', list));
    expect(code.logged).toEqual(blocks.flatMap(() => [paged, 40]));
    expect(pool.driverBlockAt(blocks[0] as Va)).toMatchObject({ bytes: 40, tag, poolType: paged });
    for (const block of blocks) code.call('ExFreeToPagedLookasideList', list, block);
    expect(counted(memory, list)).toEqual([6, 6, 6, 2, 4]);
    expect([...pool.driverBlocks()].map(({ va }) => va)).toEqual(blocks.slice(0, 4));
    // Last in, first out.
    expect(code.call('ExAllocateFromPagedLookasideList', list)).toBe(blocks[3]);
    expect(counted(memory, list)).toEqual([7, 6, 6, 2, 3]);
  });

  it('gives what they give', () => {
    const code = new GuestCode(source, ['list']);
    code.call('ExInitializeNPagedLookasideList', code.at('list'), code.at('fail'), 0, 0, 40, tag, 0);
    expect(code.call('ExAllocateFromNPagedLookasideList', code.at('list'))).toBe(0);
    expect(counted(code.nt.memory, code.at('list'))).toEqual([1, 1, 0, 0, 0]);
  });

  it.each(['ExDeleteLookasideListEx', 'ExFlushLookasideListEx'])('has all that it holds freed by %s', (name) => {
    const code = new GuestCode(source, ['list']);
    const { memory, pool, lookasides } = code.nt;
    const list = code.at('list');
    code.call('ExInitializeLookasideListEx', list, 0, code.at('free'), nonPagedNx, 0, 40, tag, 0);
    const blocks = [1, 2, 3, 4].map(() => code.call('ExAllocateFromNPagedLookasideList', list));
    for (const block of blocks.slice(1)) code.call('ExFreeToNPagedLookasideList', list, block);
    code.call(name, list);
    // The list itself was handed over each time.
    expect(code.logged).toEqual([0, 0, 0]);
    expect([...pool.driverBlocks()].map(({ va }) => va)).toEqual([blocks[0]]);
    expect(memory.readU16(list)).toBe(0);
    const isLeft = name === 'ExFlushLookasideListEx';
    expect([...lookasides.all()].map((left) => left.list)).toEqual(isLeft ? [list] : []);
    expect(code.call('ExAllocateFromNPagedLookasideList', list) < 0).toBe(isLeft);
  });
});
