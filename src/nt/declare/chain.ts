/** Chains of structures in the driver's memory. */
import type { Va } from '../../base/va.ts';
import { BugCheck } from './bug-check.ts';

const longestChain = 100_000;

/**
 * The structures from `first` on, up to `end` (not included). A chain that the driver closed to a loop would keep Windows
 * in it until its watchdog stops the machine; here the watchdog comes at once.
 */
export function* chain(first: Va, end: Va, next: (at: Va) => Va, name: string): Generator<Va> {
  let count = 0;
  for (let at = first; at !== end; at = next(at)) {
    if (++count > longestChain) {
      throw new BugCheck(0x133, [1, 0x1e00, 0, 0], `the kernel follows ${name} for ever: it is a loop`);
    }
    yield at;
  }
}
