/**
 * Requests that a driver completes and that are not complete: with STATUS_PENDING or -1, or with their cancel routine set.
 * I/O verification stops Windows with bug check 0xC9, parameter 1 0x6 or 0x7; without it Windows goes on, and so does the
 * run: the driver is at fault all the same.
 */
import type { StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';

export interface WrongCompletion {
  readonly irp: Va;
  readonly wrong: 'status' | 'cancel-routine';
  /** The status, or the cancel routine. */
  readonly value: number;
  readonly stack: readonly Va[];
  readonly count: number;
  readonly imageIndex: number;
}

export class IrpCompletionChecks {
  private readonly found: StoreMap<string, WrongCompletion>;

  constructor(nt: Nt, isVerified: (image: KernelImage) => boolean) {
    this.found = nt.stores.map('verifier/wrong-completions');
    nt.events.on('irpCompletedWrongly', ({ irp, wrong, value }) => {
      const stack = nt.currentStack();
      const image = stack
        .map((address) => nt.images.containing(address))
        .find((at) => at !== undefined && isVerified(at));
      if (image === undefined) return;
      const key = `${wrong} ${stack.join(' ')}`;
      const before = this.found.get(key);
      this.found.set(key, {
        ...(before ?? { irp, wrong, value, stack, imageIndex: image.index }),
        count: (before?.count ?? 0) + 1,
      });
    });
  }

  /** Each place once, in the order in which they were met. */
  all(): IterableIterator<WrongCompletion> {
    return this.found.values();
  }
}
