/** Free blocks of pool that hold what they did not hold when they were freed: somebody wrote to them. */
import type { Va } from '../../base/va.ts';
import type { CallStackReader } from '../../debugger/call-stack.ts';
import { tagText } from '../../nt/declare/parameter-types.ts';
import type { DamagedBlock } from '../../nt/ex/free-blocks.ts';
import type { LogEntry } from '../../verifier/pool-tracking/allocation-log.ts';
import type { Machine } from '../machine.ts';
import type { Violation } from './report.ts';
import { siteText } from './site-text.ts';

/** Blocks that are named one by one. */
const mostNamed = 8;

/**
 * Windows has no bug check for these: it finds them, if at all, as a corrupted pool. When they were written to is not
 * known; the log of Pool tracking tells who had the block.
 */
export function freedWrites(machine: Machine, stacks: CallStackReader): Violation[] {
  const found: Violation[] = [];
  for (const block of machine.nt.pool.damagedFreeBlocks()) {
    found.push(freedWrite(block, machine, stacks));
    if (found.length === mostNamed) break;
  }
  return found;
}

function freedWrite(block: DamagedBlock, machine: Machine, stacks: CallStackReader): Violation {
  const { allocated, freed } = lastUse(machine, block.va);
  const stack = stacks.read(freed?.stack ?? []);
  const site = stacks.driverSite(stack);
  const allocationStack = stacks.read(allocated?.stack ?? []);
  const maker = stacks.driverSite(allocationStack);
  const culprit =
    machine.drivers.length === 1 ? undefined : machine.drivers.find(({ image }) => image.name === site?.module);
  return {
    kind: 'use-after-free',
    bugCheck: null,
    summary: `${whatOf(block, freed)} ${damageText(block)}${maker === null ? '' : `; it was allocated at ${siteText(maker)}`}`,
    ...(culprit === undefined ? {} : { driver: culprit.file.name }),
    site,
    stack,
    ...(allocationStack.length === 0 ? {} : { allocationStack }),
  };
}

function whatOf({ tag }: DamagedBlock, freed: LogEntry | undefined): string {
  if (freed !== undefined) return `a pool block of ${freed.bytes} bytes (tag ${tagText(tag)})`;
  return tag === 0 ? 'a pool block that nobody had yet' : `a pool block (tag ${tagText(tag)})`;
}

function damageText({ va, firstDamage, tag }: DamagedBlock): string {
  const when = tag === 0 ? 'was written to' : 'was written to after it was freed';
  const offset = firstDamage - va;
  return offset < 0 ? `${when}, or over its header from the block in front of it` : `${when}, at byte ${offset + 1}`;
}

/** The latest calls for the block that begins there. */
function lastUse({ poolTracking }: Machine, va: Va): { allocated?: LogEntry; freed?: LogEntry } {
  let freed: LogEntry | undefined;
  for (const entry of poolTracking?.log.entries(va) ?? []) {
    if (entry.operation === 'free') freed ??= entry;
    else if (freed !== undefined) return { allocated: entry, freed };
  }
  return freed === undefined ? {} : { freed };
}
