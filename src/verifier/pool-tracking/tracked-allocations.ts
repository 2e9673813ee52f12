/** What verified drivers hold: every live allocation with its stack, and the counters over them. */
import type { StoreNumbers } from '../../base/store-numbers.ts';
import type { StoreTable } from '../../base/store-table.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { pageSize, systemSpaceStart } from '../../engine/memory/layout.ts';
import { isPagedPoolType } from '../../nt/ex/pool.ts';
import type { Nt } from '../../nt/nt.ts';
import { InternedStacks } from './interned-stacks.ts';

export type AllocationKind = 'pool' | 'mdl' | 'irp' | 'workitem' | 'string' | 'completion-context';

export interface TrackedAllocation {
  readonly va: Va;
  readonly bytes: number;
  readonly tag: number;
  readonly poolType: number;
  readonly kind: AllocationKind;
  readonly imageIndex: number;
  /** Return addresses, innermost first. */
  readonly stack: readonly Va[];
  /** Interrupt time, 100 ns. */
  readonly time: number;
  readonly thread: Va;
  /** What {@link Nt.activity} was. */
  readonly activity: number;
}

/** Live allocations that are alike in kind, tag, pool type and stack. */
export interface AllocationGroup {
  readonly oldest: TrackedAllocation;
  readonly count: number;
  /** Sum over the blocks. */
  readonly bytes: number;
  /** How many came in which activity, in the order of time. */
  readonly activities: readonly { readonly activity: number; readonly count: number }[];
}

/** Windows' names: `Current Pool Allocations` and so on, for one of the two pools. */
export interface PoolCounters {
  readonly currentAllocations: number;
  readonly currentBytes: number;
  readonly peakAllocations: number;
  readonly peakBytes: number;
}

export interface DriverCounters {
  readonly paged: PoolCounters;
  readonly nonPaged: PoolCounters;
  /** Of MmAllocateContiguousMemory and its kin, which is no pool. */
  readonly contiguousMemoryBytes: number;
  readonly peakContiguousMemoryBytes: number;
}

export interface GlobalCounters {
  readonly allocationsAttempted: number;
  readonly allocationsSucceeded: number;
  readonly allocationsFailed: number;
  readonly allocationsWithoutTag: number;
  /** Blocks of a page and more, which Windows' per-driver counters leave out. */
  readonly allocationsNotTracked: number;
}

const kinds: readonly AllocationKind[] = ['pool', 'mdl', 'irp', 'workitem', 'string', 'completion-context'];
/** The key is the address as an offset in system space, as is the thread. `types`: pool type, kind << 16. */
const Word = {
  bytes: 1,
  tag: 2,
  types: 3,
  image: 4,
  stack: 5,
  timeLow: 6,
  timeHigh: 7,
  thread: 8,
  activity: 9,
} as const;
const words = 10;
const two32 = 0x1_0000_0000;
/** Verified drivers whose counters are kept apart. */
const maximumImages = 256;
/** No image's index: the counters of all drivers together, which have peaks of their own. */
const allDrivers = 0;
/**
 * Per driver: nonpaged, then paged; each current allocations, current bytes, peak allocations, peak bytes. Then current
 * and peak bytes of contiguous memory.
 */
const numbersPerPool = 4;
const contiguousNumber = 2 * numbersPerPool;
const numbersPerDriver = contiguousNumber + 2;
const Global = { attempted: 0, succeeded: 1, failed: 2, withoutTag: 3, notTracked: 4 } as const;

export class TrackedAllocations {
  readonly stacks: InternedStacks;
  private readonly nt: Nt;
  private readonly live: StoreTable;
  private readonly numbers: StoreNumbers;
  private readonly globalNumbers: StoreNumbers;

  constructor(nt: Nt) {
    this.nt = nt;
    this.stacks = new InternedStacks(nt);
    this.live = nt.stores.table('verifier/pool-allocations', words);
    this.numbers = nt.stores.numbers('verifier/pool-counters', maximumImages * numbersPerDriver);
    this.globalNumbers = nt.stores.numbers('verifier/pool-global', 5);
  }

  /** Notes what the running thread was given just now. Returns the number of its stack. */
  add(
    { va, bytes, tag, poolType, kind, imageIndex }: Omit<TrackedAllocation, 'stack' | 'time' | 'thread' | 'activity'>,
    isWithoutTag: boolean,
  ): number {
    const { live, nt } = this;
    const time = nt.clock.interruptTime;
    const stack = this.stacks.intern(nt.currentStack());
    const row = live.add(va - systemSpaceStart);
    live.set(row, Word.bytes, bytes);
    live.set(row, Word.tag, tag);
    live.set(row, Word.types, poolType | (kinds.indexOf(kind) << 16));
    live.set(row, Word.image, imageIndex);
    live.set(row, Word.stack, stack);
    live.set(row, Word.timeLow, time);
    live.set(row, Word.timeHigh, time / two32);
    live.set(row, Word.thread, nt.scheduler.currentThread.kthread - systemSpaceStart);
    live.set(row, Word.activity, nt.activity.value);
    this.globalNumbers.add(Global.attempted, 1);
    this.globalNumbers.add(Global.succeeded, 1);
    if (isWithoutTag) this.globalNumbers.add(Global.withoutTag, 1);
    if (bytes >= pageSize) this.globalNumbers.add(Global.notTracked, 1);
    const isPaged = isPagedPoolType(poolType);
    this.countIn(firstNumber(imageIndex, isPaged), bytes);
    this.countIn(firstNumber(allDrivers, isPaged), bytes);
    return stack;
  }

  private countIn(at: number, bytes: number): void {
    this.numbers.raise(at + 2, this.numbers.add(at, 1));
    this.numbers.raise(at + 3, this.numbers.add(at + 1, bytes));
  }

  private countOut(at: number, bytes: number): void {
    this.numbers.add(at, -1);
    this.numbers.add(at + 1, -bytes);
  }

  addFailed(): void {
    this.globalNumbers.add(Global.attempted, 1);
    this.globalNumbers.add(Global.failed, 1);
  }

  /** The allocation is no longer live. False if it was no verified driver's. */
  remove(va: Va): boolean {
    const { live } = this;
    const row = live.remove(va - systemSpaceStart);
    if (row < 0) return false;
    const isPaged = isPagedPoolType(live.get(row, Word.types));
    const bytes = live.get(row, Word.bytes);
    this.countOut(firstNumber(live.get(row, Word.image), isPaged), bytes);
    this.countOut(firstNumber(allDrivers, isPaged), bytes);
    return true;
  }

  /** A driver got contiguous memory, or (negative) gave it back. */
  addContiguous(imageIndex: number, bytes: number): void {
    const at = imageIndex * numbersPerDriver + contiguousNumber;
    this.numbers.raise(at + 1, this.numbers.add(at, bytes));
  }

  get(va: Va): TrackedAllocation | undefined {
    const row = this.live.find(va - systemSpaceStart);
    return row < 0 ? undefined : this.allocation(row);
  }

  /** A driver's live allocations, oldest first. */
  *ofImage(imageIndex: number): Generator<TrackedAllocation> {
    for (let row = this.live.next(); row >= 0; row = this.live.next(row)) {
      if (this.live.get(row, Word.image) === imageIndex) yield this.allocation(row);
    }
  }

  /** How many allocations of all drivers are live. */
  get size(): number {
    return this.live.size;
  }

  /** At most `count` live allocations of all drivers, oldest first, without the `first` oldest. */
  page(first: number, count: number): TrackedAllocation[] {
    const page: TrackedAllocation[] = [];
    let place = 0;
    for (let row = this.live.next(); row >= 0 && page.length < count; row = this.live.next(row), place++) {
      if (place >= first) page.push(this.allocation(row));
    }
    return page;
  }

  /** A driver's live allocations, those together that are alike; the group with the oldest first. */
  groupsOf(imageIndex: number): AllocationGroup[] {
    const { live } = this;
    const groups: GrowingGroup[] = [];
    // By stack; few stacks have more than one.
    const byStack: GrowingGroup[][] = [];
    for (let row = live.next(); row >= 0; row = live.next(row)) {
      if (live.get(row, Word.image) !== imageIndex) continue;
      const [tag, types, stack] = [live.get(row, Word.tag), live.get(row, Word.types), live.get(row, Word.stack)];
      byStack[stack] ??= [];
      const alike = byStack[stack];
      let group = alike.find((other) => other.tag === tag && other.types === types);
      if (group === undefined) {
        group = { tag, types, oldest: this.allocation(row), count: 0, bytes: 0, activities: [] };
        alike.push(group);
        groups.push(group);
      }
      group.count++;
      group.bytes += live.get(row, Word.bytes);
      const activity = live.get(row, Word.activity);
      const latest = group.activities.at(-1);
      if (latest?.activity === activity) latest.count++;
      else group.activities.push({ activity, count: 1 });
    }
    return groups.map(({ oldest, count, bytes, activities }) => ({ oldest, count, bytes, activities }));
  }

  countersOf(imageIndex: number): DriverCounters {
    const contiguous = imageIndex * numbersPerDriver + contiguousNumber;
    return {
      paged: this.poolCounters(imageIndex, true),
      nonPaged: this.poolCounters(imageIndex, false),
      contiguousMemoryBytes: this.numbers.at(contiguous),
      peakContiguousMemoryBytes: this.numbers.at(contiguous + 1),
    };
  }

  /** Of all verified drivers together. */
  get total(): { readonly paged: PoolCounters; readonly nonPaged: PoolCounters } {
    return { paged: this.poolCounters(allDrivers, true), nonPaged: this.poolCounters(allDrivers, false) };
  }

  get global(): GlobalCounters {
    const { globalNumbers } = this;
    return {
      allocationsAttempted: globalNumbers.at(Global.attempted),
      allocationsSucceeded: globalNumbers.at(Global.succeeded),
      allocationsFailed: globalNumbers.at(Global.failed),
      allocationsWithoutTag: globalNumbers.at(Global.withoutTag),
      allocationsNotTracked: globalNumbers.at(Global.notTracked),
    };
  }

  private allocation(row: number): TrackedAllocation {
    const { live } = this;
    const types = live.get(row, Word.types);
    return {
      va: vaAdd(systemSpaceStart as Va, live.get(row, 0)),
      bytes: live.get(row, Word.bytes),
      tag: live.get(row, Word.tag),
      poolType: types & 0xffff,
      kind: kinds[types >>> 16] as AllocationKind,
      imageIndex: live.get(row, Word.image),
      stack: this.stacks.get(live.get(row, Word.stack)),
      time: live.get(row, Word.timeHigh) * two32 + live.get(row, Word.timeLow),
      thread: vaAdd(systemSpaceStart as Va, live.get(row, Word.thread)),
      activity: live.get(row, Word.activity),
    };
  }

  private poolCounters(imageIndex: number, isPaged: boolean): PoolCounters {
    const at = firstNumber(imageIndex, isPaged);
    return {
      currentAllocations: this.numbers.at(at),
      currentBytes: this.numbers.at(at + 1),
      peakAllocations: this.numbers.at(at + 2),
      peakBytes: this.numbers.at(at + 3),
    };
  }
}

interface GrowingGroup {
  readonly tag: number;
  readonly types: number;
  readonly oldest: TrackedAllocation;
  count: number;
  bytes: number;
  readonly activities: { readonly activity: number; count: number }[];
}

function firstNumber(imageIndex: number, isPaged: boolean): number {
  return imageIndex * numbersPerDriver + (isPaged ? numbersPerPool : 0);
}
