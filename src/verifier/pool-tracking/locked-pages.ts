/**
 * Pages of a process that stay locked when it ends: bug check 0xCB, which names the MDL, where Windows without Pool
 * tracking (and without TrackLockedPages in the registry) has 0x76 (pool-tracking.md of the WDK docs, bug check 0xCB
 * page).
 */
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { PageLock } from '../../nt/mm/page-locks.ts';
import type { Nt } from '../../nt/nt.ts';

/** Stands for Windows' lock tracking record: {MDL, process, pages, return address of the call that locked them}. */
const recordBytes = 0x20;

export class LockedPages {
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
    nt.events.on('processEnding', ({ process }) => this.check(process));
  }

  /** Locks that keep pages of the process, oldest first. */
  *ofProcess(process: Va): Generator<PageLock> {
    for (const lock of this.nt.mdls.outstandingLocks()) if (lock.process === process) yield lock;
  }

  private check(process: Va): void {
    const [lock] = this.ofProcess(process);
    if (lock === undefined) return;
    const { memory, pool } = this.nt;
    const record = pool.allocateKernel(recordBytes, 'Vflp');
    memory.writeVa(record, lock.mdl);
    memory.writeVa(vaAdd(record, 8), process);
    memory.writeU64(vaAdd(record, 0x10), BigInt(lock.pages));
    memory.writeVa(vaAdd(record, 0x18), lock.stack[0] ?? (0 as Va));
    const who = lock.imageIndex === 0 ? 'a request that was never completed' : 'the driver';
    throw new BugCheck(
      0xcb,
      [record, 0, lock.mdl, lock.pages],
      `the process ended while ${who} still had ${lock.pages} of its pages locked`,
    );
  }
}
