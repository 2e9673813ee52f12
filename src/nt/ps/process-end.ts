/** What the end of a process checks when its threads have ended and its handles are closed (MmCleanProcessAddressSpace). */
import type { Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';

/** Bug check 0x76 if pages of the process are still locked. Listeners of `processEnding` may know better why. */
export function endProcess(nt: Nt, process: Va): void {
  nt.events.emit('processEnding', { process });
  let pages = 0;
  for (const lock of nt.mdls.outstandingLocks()) if (lock.process === process) pages += lock.pages;
  if (pages === 0) {
    nt.sections.endProcess(process);
    return;
  }
  throw new BugCheck(0x76, [0, process, pages, 0], `the process ended with ${pages} of its pages locked`);
}
