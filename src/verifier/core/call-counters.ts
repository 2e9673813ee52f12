/**
 * Global counters of Driver Verifier that count calls of verified drivers ("Monitoring Global Counters" of the WDK docs).
 * A call that the compiler put into the driver (a write of CR8) is none of the kernel's, and Windows does not see it either.
 */
import type { StoreNumbers } from '../../base/store-numbers.ts';
import { proceed } from '../../nt/host-entries.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';

/** What `!verifier` and Driver Verifier Manager show since boot. */
export interface CallCounts {
  /** `IRQL Raises`, `RaiseIrqls`. */
  readonly irqlRaises: number;
  /** `Spinlocks Acquired`, `AcquireSpinLocks`. */
  readonly spinLocksAcquired: number;
  /** `Executions Synchronized`, `Synch Executions`. */
  readonly executionsSynchronized: number;
}

const Counted = { irqlRaises: 0, spinLocksAcquired: 1, executionsSynchronized: 2 } as const;

const routines: Readonly<Record<keyof typeof Counted, readonly string[]>> = {
  irqlRaises: ['KfRaiseIrql', 'KeRaiseIrqlToDpcLevel'],
  spinLocksAcquired: [
    'KeAcquireSpinLockRaiseToDpc',
    'KeAcquireSpinLockAtDpcLevel',
    'KeAcquireSpinLockForDpc',
    'KeAcquireInStackQueuedSpinLock',
    'KeAcquireInStackQueuedSpinLockAtDpcLevel',
    'KeAcquireInterruptSpinLock',
    'ExAcquireSpinLockExclusive',
    'ExAcquireSpinLockShared',
    'ExAcquireSpinLockExclusiveAtDpcLevel',
    'ExAcquireSpinLockSharedAtDpcLevel',
  ],
  executionsSynchronized: ['KeSynchronizeExecution'],
};
/** They answer whether they took the lock. */
const tryingRoutines = [
  'KeTryToAcquireSpinLockAtDpcLevel',
  'ExTryAcquireSpinLockExclusiveAtDpcLevel',
  'ExTryAcquireSpinLockSharedAtDpcLevel',
];

export class CallCounters {
  private readonly numbers: StoreNumbers;

  constructor(nt: Nt, isVerified: (image: KernelImage) => boolean) {
    this.numbers = nt.stores.numbers('verifier/call-counters', 3);
    for (const [counter, names] of Object.entries(routines)) {
      const index = Counted[counter as keyof typeof Counted];
      for (const name of names) {
        nt.entries.hook(name, {
          before: (_nt, { image }) => {
            if (image !== undefined && isVerified(image)) this.numbers.add(index, 1);
            return proceed;
          },
        });
      }
    }
    for (const name of tryingRoutines) {
      nt.entries.hook(name, {
        after: (_nt, { image }, result) => {
          if (result === true && image !== undefined && isVerified(image)) {
            this.numbers.add(Counted.spinLocksAcquired, 1);
          }
        },
      });
    }
  }

  get counts(): CallCounts {
    return {
      irqlRaises: this.numbers.at(Counted.irqlRaises),
      spinLocksAcquired: this.numbers.at(Counted.spinLocksAcquired),
      executionsSynchronized: this.numbers.at(Counted.executionsSynchronized),
    };
  }
}
