/** What verified drivers hold: every live allocation with its stack, and the counters over them. */
import type { StoreMap } from '../../base/store.ts';
import type { StoreNumbers } from '../../base/store-numbers.ts';
import type { Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { Nt } from '../../nt/nt.ts';

export type AllocationKind = 'pool' | 'mdl' | 'irp' | 'workitem' | 'string';

export interface TrackedAllocation {
  readonly va: Va;
  readonly bytes: number;
  readonly tag: number;
  readonly poolType: number;
  readonly kind: AllocationKind;
  readonly imageIndex: number;
  /** Return addresses, innermost first; equal stacks are one array. */
  readonly stack: readonly Va[];
  /** Interrupt time, 100 ns. */
  readonly time: number;
  readonly thread: Va;
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
}

export interface GlobalCounters {
  readonly allocationsAttempted: number;
  readonly allocationsSucceeded: number;
  readonly allocationsFailed: number;
  readonly allocationsWithoutTag: number;
  /** Blocks of a page and more, which Windows' per-driver counters leave out. */
  readonly allocationsNotTracked: number;
}

/** Verified drivers whose counters are kept apart. */
const maximumImages = 256;
/** Per driver: nonpaged, then paged; each current allocations, current bytes, peak allocations, peak bytes. */
const numbersPerPool = 4;
const numbersPerDriver = 2 * numbersPerPool;
const Global = { attempted: 0, succeeded: 1, failed: 2, withoutTag: 3, notTracked: 4 } as const;

export class TrackedAllocations {
  private readonly live: StoreMap<number, TrackedAllocation>;
  private readonly numbers: StoreNumbers;
  private readonly globalNumbers: StoreNumbers;

  constructor(nt: Nt) {
    this.live = nt.stores.map('verifier/pool-allocations');
    this.numbers = nt.stores.numbers('verifier/pool-counters', maximumImages * numbersPerDriver);
    this.globalNumbers = nt.stores.numbers('verifier/pool-global', 5);
  }

  add(allocation: TrackedAllocation, isPaged: boolean, isWithoutTag: boolean): void {
    this.live.set(allocation.va, allocation);
    this.globalNumbers.add(Global.attempted, 1);
    this.globalNumbers.add(Global.succeeded, 1);
    if (isWithoutTag) this.globalNumbers.add(Global.withoutTag, 1);
    if (allocation.bytes >= pageSize) this.globalNumbers.add(Global.notTracked, 1);
    const at = firstNumber(allocation.imageIndex, isPaged);
    this.numbers.raise(at + 2, this.numbers.add(at, 1));
    this.numbers.raise(at + 3, this.numbers.add(at + 1, allocation.bytes));
  }

  addFailed(): void {
    this.globalNumbers.add(Global.attempted, 1);
    this.globalNumbers.add(Global.failed, 1);
  }

  /** The allocation, which is no longer live; undefined if it was not a verified driver's. */
  remove(va: Va, isPaged: boolean): TrackedAllocation | undefined {
    const allocation = this.live.get(va);
    if (allocation === undefined) return undefined;
    this.live.delete(va);
    const at = firstNumber(allocation.imageIndex, isPaged);
    this.numbers.add(at, -1);
    this.numbers.add(at + 1, -allocation.bytes);
    return allocation;
  }

  get(va: Va): TrackedAllocation | undefined {
    return this.live.get(va);
  }

  /** A driver's live allocations, oldest first. */
  ofImage(imageIndex: number): TrackedAllocation[] {
    return [...this.live.values()].filter((allocation) => allocation.imageIndex === imageIndex);
  }

  all(): IterableIterator<TrackedAllocation> {
    return this.live.values();
  }

  countersOf(imageIndex: number): DriverCounters {
    return { paged: this.poolCounters(imageIndex, true), nonPaged: this.poolCounters(imageIndex, false) };
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

function firstNumber(imageIndex: number, isPaged: boolean): number {
  return imageIndex * numbersPerDriver + (isPaged ? numbersPerPool : 0);
}
