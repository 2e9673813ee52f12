/**
 * Pool that processes are charged for: ExAllocatePoolWithQuota and POOL_FLAG_USE_QUOTA. As on Windows, a process's limit
 * rises while the machine has pool, so what runs out in the end is the machine's; the System process is never charged.
 */
import type { StoreMap } from '../../base/store.ts';
import type { StoreNumbers } from '../../base/store-numbers.ts';
import type { Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_QUOTA_EXCEEDED } from '../ntstatus.ts';

export interface PoolQuotaLimits {
  readonly pagedBytes: number;
  readonly nonPagedBytes: number;
}

export interface PoolQuotaUsage extends PoolQuotaLimits {
  readonly peakPagedBytes: number;
  readonly peakNonPagedBytes: number;
}

/** Pool that the limits of processes leave alone: 256 pages. */
const reserveBytes = 0x10_0000;
const Use = { nonPaged: 0, paged: 1, peakNonPaged: 2, peakPaged: 3 } as const;

export class PoolQuota {
  private readonly nt: Nt;
  private readonly limits: PoolQuotaLimits;
  private readonly machineBytes: number;
  /** Of the requesting process: the only one that is charged. */
  private readonly numbers: StoreNumbers;
  /** Charged bytes by block, negative for paged pool. */
  private readonly charges: StoreMap<number, number>;

  constructor(nt: Nt, limits: PoolQuotaLimits | undefined) {
    this.nt = nt;
    this.machineBytes = nt.memory.frameCount * pageSize;
    const whole = this.machineBytes - reserveBytes;
    this.limits = limits ?? { pagedBytes: whole, nonPagedBytes: whole };
    this.numbers = nt.stores.numbers('ps/pool-quota', 4);
    this.charges = nt.stores.map('ps/pool-quota-charges');
  }

  /** The status with which the current process is not charged for that much more; undefined if it is. */
  refusal(isPaged: boolean, bytes: number): number | undefined {
    if (!this.isCharged) return undefined;
    const { pagedBytes, nonPagedBytes } = this.limits;
    const used = this.numbers.at(isPaged ? Use.paged : Use.nonPaged);
    if (used + bytes <= (isPaged ? pagedBytes : nonPagedBytes)) return undefined;
    // Windows looks for the memory first.
    return bytes > this.machineBytes ? STATUS_INSUFFICIENT_RESOURCES : STATUS_QUOTA_EXCEEDED;
  }

  /** The current process is charged for a block until it is freed. */
  charge(block: Va, isPaged: boolean, bytes: number): void {
    if (!this.isCharged) return;
    this.charges.set(block, isPaged ? -bytes : bytes);
    const used = this.numbers.add(isPaged ? Use.paged : Use.nonPaged, bytes);
    this.numbers.raise(isPaged ? Use.peakPaged : Use.peakNonPaged, used);
  }

  /** A block is freed, by whomever. */
  giveBack(block: Va): void {
    if (this.charges.size === 0) return;
    const charged = this.charges.get(block);
    if (charged === undefined) return;
    this.charges.delete(block);
    this.numbers.add(charged < 0 ? Use.paged : Use.nonPaged, -Math.abs(charged));
  }

  /** QUOTA_LIMITS' use of the requesting process. */
  get usage(): PoolQuotaUsage {
    return {
      nonPagedBytes: this.numbers.at(Use.nonPaged),
      pagedBytes: this.numbers.at(Use.paged),
      peakNonPagedBytes: this.numbers.at(Use.peakNonPaged),
      peakPagedBytes: this.numbers.at(Use.peakPaged),
    };
  }

  private get isCharged(): boolean {
    return this.nt.scheduler.currentThread.process === this.nt.processor.requesterProcess;
  }
}
