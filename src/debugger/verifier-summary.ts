/** What `!verifier` prints first: the options, and the statistics over all verified drivers, as Windows 10 and 11 do. */
import { hasBit, listedOptions, type OptionChoice, type OptionGroup } from '../verifier/core/options.ts';
import type { PoolCounters } from '../verifier/pool-tracking/tracked-allocations.ts';
import type { Target } from './target.ts';

const groupTitles: readonly (readonly [OptionGroup, string])[] = [
  ['standard', 'STANDARD FLAGS:'],
  ['additional', 'ADDITIONAL FLAGS:'],
  ['reserved', 'RESERVED FLAGS (use of these flags is unsupported):'],
];

/** An option that was chosen and does not exist here gets no X: it is named below. */
export function optionLines(choice: OptionChoice): string[] {
  const active = new Set([0, ...choice.active.map(({ flag }) => flag)]);
  const lines = ['', `Verify Flags Level 0x${hex(choice.flags, 8)}`];
  for (const [group, title] of groupTitles) {
    const isReserved = group === 'reserved';
    const options = listedOptions.filter(
      (one) => one.group === group && (!isReserved || hasBit(choice.flags, one.flag)),
    );
    if (options.length === 0) continue;
    lines.push('', `  ${title}`);
    for (const { flag, name } of options) {
      lines.push(`    [${isReserved || active.has(flag) ? 'X' : ' '}] (0x${hex(flag, 8)}) ${name}`);
    }
  }
  lines.push('', '    [X] Indicates flag is enabled');
  if (choice.notImplemented.length > 0) {
    lines.push('', '    Chosen, and not implemented here:');
    for (const { flag, name } of choice.notImplemented) lines.push(`        (0x${hex(flag, 8)}) ${name}`);
  }
  return lines;
}

export function statisticLines({ callCounts, poolTracking }: Target): string[] {
  const lines = [
    '',
    'Summary of All Verifier Statistics',
    '',
    `  RaiseIrqls           0x${callCounts.irqlRaises.toString(16)}`,
    `  AcquireSpinLocks     0x${callCounts.spinLocksAcquired.toString(16)}`,
    `  Synch Executions     0x${callCounts.executionsSynchronized.toString(16)}`,
    // Pages are trimmed by Force IRQL checking alone, which is not there.
    '  Trims                0x0',
    '',
  ];
  if (poolTracking === undefined) {
    return [...lines, '  Pool tracking (0x00000008) is off: pool allocations are not counted.'];
  }
  const { global, total } = poolTracking.allocations;
  const count = (name: string, value: number): string => `  ${name.padEnd(38)} 0x${value.toString(16)}`;
  const pool = (name: string, allocations: number, bytes: number): string =>
    `${count(`${name} pool allocations`, allocations)} for ${hex(bytes, 8).toUpperCase()} bytes`;
  const pools = (name: string, { currentAllocations, currentBytes, peakAllocations, peakBytes }: PoolCounters) => [
    pool(`Current ${name}`, currentAllocations, currentBytes),
    pool(`Peak ${name}`, peakAllocations, peakBytes),
  ];
  return [
    ...lines,
    count('Pool Allocations Attempted', global.allocationsAttempted),
    count('Pool Allocations Succeeded', global.allocationsSucceeded),
    // There is no special pool.
    count('Pool Allocations Succeeded SpecialPool', 0),
    count('Pool Allocations With NO TAG', global.allocationsWithoutTag),
    count('Pool Allocations Failed', global.allocationsFailed),
    '',
    ...pools('paged', total.paged),
    ...pools('nonpaged', total.nonPaged),
  ];
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
