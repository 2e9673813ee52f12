/** What verified drivers hold: every live allocation with its stack, and the counters over them. */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
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

const none: PoolCounters = { currentAllocations: 0, currentBytes: 0, peakAllocations: 0, peakBytes: 0 };
export const noDriverCounters: DriverCounters = { paged: none, nonPaged: none };
export const noGlobalCounters: GlobalCounters = {
  allocationsAttempted: 0,
  allocationsSucceeded: 0,
  allocationsFailed: 0,
  allocationsWithoutTag: 0,
  allocationsNotTracked: 0,
};

export class TrackedAllocations {
  readonly global: StoreCell<GlobalCounters>;
  private readonly live: StoreMap<number, TrackedAllocation>;
  private readonly counters: StoreMap<number, DriverCounters>;

  constructor(nt: Nt) {
    this.live = nt.stores.map('verifier/pool-allocations');
    this.counters = nt.stores.map('verifier/pool-counters');
    this.global = nt.stores.cell<GlobalCounters>('verifier/pool-global', noGlobalCounters);
  }

  add(allocation: TrackedAllocation, isPaged: boolean): void {
    this.live.set(allocation.va, allocation);
    this.count(allocation.imageIndex, isPaged, 1, allocation.bytes);
  }

  /** The allocation, which is no longer live; undefined if it was not a verified driver's. */
  remove(va: Va, isPaged: boolean): TrackedAllocation | undefined {
    const allocation = this.live.get(va);
    if (allocation === undefined) return undefined;
    this.live.delete(va);
    this.count(allocation.imageIndex, isPaged, -1, -allocation.bytes);
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
    return this.counters.get(imageIndex) ?? noDriverCounters;
  }

  private count(imageIndex: number, isPaged: boolean, allocations: number, bytes: number): void {
    const before = this.countersOf(imageIndex);
    const pool = isPaged ? before.paged : before.nonPaged;
    const currentAllocations = pool.currentAllocations + allocations;
    const currentBytes = pool.currentBytes + bytes;
    const after = {
      currentAllocations,
      currentBytes,
      peakAllocations: Math.max(pool.peakAllocations, currentAllocations),
      peakBytes: Math.max(pool.peakBytes, currentBytes),
    };
    this.counters.set(imageIndex, isPaged ? { ...before, paged: after } : { ...before, nonPaged: after });
  }
}
