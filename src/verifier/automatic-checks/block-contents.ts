/** What must not lie in a block that is freed, because the kernel still uses it (automatic checks, Miscellaneous checks). */
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { PoolBlock } from '../../nt/ex/pool.ts';
import type { Nt } from '../../nt/nt.ts';
import { violation } from './violation.ts';

export class BlockContents {
  private readonly nt: Nt;
  private readonly hasMiscellaneousChecks: boolean;

  constructor(nt: Nt, hasMiscellaneousChecks: boolean) {
    this.nt = nt;
    this.hasMiscellaneousChecks = hasMiscellaneousChecks;
  }

  check(block: PoolBlock): void {
    const { va, bytes, poolType } = block;
    const isInside = (at: Va): boolean => at >= va && at < va + bytes;
    for (const timer of this.nt.timers.all()) {
      if (isInside(timer))
        throw violation(0x15, [timer, poolType, va], 'the driver freed pool that holds a timer that is set');
    }
    for (const { resource } of this.nt.resources.all()) {
      if (!isInside(resource)) continue;
      const summary = 'the driver freed pool that holds an ERESOURCE that was not deleted';
      if (this.hasMiscellaneousChecks) throw violation(0xd2, [resource, va, bytes], summary);
      throw violation(0x17, [resource, poolType, va], summary);
    }
    if (this.hasMiscellaneousChecks) this.checkListsAndWorkItems(block, isInside);
  }

  private checkListsAndWorkItems({ va, bytes }: PoolBlock, isInside: (at: Va) => boolean): void {
    for (const { list } of this.nt.lookasides.all()) {
      if (isInside(list)) {
        throw violation(0xcc, [list, va, bytes], 'the driver freed pool that holds a lookaside list in use');
      }
    }
    for (const item of this.nt.workQueue.items) {
      if (!isInside(item)) continue;
      const summary = 'the driver freed pool that holds a work item that is queued';
      throw new BugCheck(0xe4, [0, item, va, vaAdd(va, bytes)], summary);
    }
  }
}
