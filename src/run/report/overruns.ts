/** Blocks that a driver left behind and had written past the end of: nobody freed them, so no bug check told. */
import type { CallStackReader } from '../../debugger/call-stack.ts';
import type { Machine } from '../machine.ts';
import { isUnloaded } from './leaks.ts';
import type { Violation } from './report.ts';

/** Blocks of a driver that are named one by one. */
const mostNamed = 8;

export function overruns(machine: Machine, stacks: CallStackReader): Violation[] {
  const { poolTracking, drivers, verified } = machine;
  if (poolTracking === undefined) return [];
  const found: Violation[] = [];
  for (const driver of verified.filter((candidate) => isUnloaded(machine, candidate))) {
    let named = 0;
    for (const { allocation, firstDamage } of poolTracking.overrunBlocks(driver.image)) {
      if (named++ === mostNamed) break;
      const stack = stacks.read(allocation.stack);
      const offset = firstDamage - allocation.va - allocation.bytes;
      const where = offset === 0 ? 'the first byte' : `byte ${offset + 1}`;
      found.push({
        kind: 'overrun',
        bugCheck: null,
        summary: `a pool block of ${allocation.bytes} bytes that is leaked was written past its end: ${where} behind it is changed`,
        ...(drivers.length === 1 ? {} : { driver: driver.file.name }),
        site: stacks.driverSite(stack),
        stack,
      });
    }
  }
  return found;
}
