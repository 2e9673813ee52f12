/** How far a life has come, for whoever waits for it. */
import type { Machine } from './machine.ts';
import { activityAt } from './report/leak-origin.ts';

export interface Progress {
  /** `step 3: ioctl 0x222040`, `DriverEntry` */
  readonly at: string;
  /** Of the machine since its start, milliseconds. */
  readonly virtualMs: number;
  readonly instructions: number;
  /** What the verified drivers hold of pool. */
  readonly liveBlocks: number;
  readonly liveBytes: number;
}

export function progressOf({ nt, life, drivers, verified, poolTracking }: Machine): Progress {
  const { step, name } = activityAt(nt.activity.value, life.state, drivers);
  const counters = verified.flatMap(({ image }) => {
    const of = poolTracking?.allocations.countersOf(image.index);
    return of === undefined ? [] : [of.paged, of.nonPaged];
  });
  return {
    at: step === null ? name : `step ${step}: ${name}`,
    virtualMs: Math.floor(nt.clock.interruptTime / 10_000),
    instructions: nt.cpu.retired,
    liveBlocks: counters.reduce((sum, { currentAllocations }) => sum + currentAllocations, 0),
    liveBytes: counters.reduce((sum, { currentBytes }) => sum + currentBytes, 0),
  };
}
