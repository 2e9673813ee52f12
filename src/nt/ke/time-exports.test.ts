import { beforeEach, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { AddressMap } from '../address-map.ts';
import { KUSER_SHARED_DATA } from '../structures/ke.ts';

let kernel: KernelCaller;
let block: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  block = kernel.nt.pool.allocateKernel(0x40, 'Test');
});

it('ticks come every time increment', () => {
  const { memory } = kernel.nt;
  const increment = kernel.call('KeQueryTimeIncrement');
  expect(increment).toBe(156_250);
  const ticks = (): number => {
    kernel.call('KeQueryTickCount', block);
    return Number(memory.readU64(block));
  };
  const before = ticks();
  kernel.call('KeStallExecutionProcessor', 100_000);
  expect(ticks() - before).toBeGreaterThanOrEqual(6);
  expect(ticks() - before).toBeLessThanOrEqual(7);
});

it('the times since boot agree, and go on', () => {
  const { memory } = kernel.nt;
  const now = kernel.call('KeQueryInterruptTime');
  kernel.call('KeStallExecutionProcessor', 50);
  expect(kernel.call('KeQueryInterruptTime')).toBe(now + 500);
  expect(kernel.call('KeQueryUnbiasedInterruptTime')).toBe(now + 500);
  expect(kernel.call('KeQueryInterruptTimePrecise', block)).toBe(now + 500);
  expect(memory.readU64(block)).toBe(BigInt(now + 500));
  expect(kernel.call('KeQueryUnbiasedInterruptTimePrecise', vaAdd(block, 8))).toBe(now + 500);
  expect(memory.readU64(vaAdd(block, 8))).toBe(BigInt(now + 500));
});

it('local time is system time less the bias of the zone', () => {
  const { memory } = kernel.nt;
  // The page is read-only through its address.
  const frame = memory.mappingAt(AddressMap.sharedUserData)?.frame as number;
  memory.view.setBigInt64(memory.frameOffset(frame) + KUSER_SHARED_DATA.TimeZoneBias.offset, -36_000_000_000n, true);
  memory.writeU64(block, 132_000_000_000_000_000n);
  kernel.call('ExSystemTimeToLocalTime', block, vaAdd(block, 8));
  expect(memory.readU64(vaAdd(block, 8))).toBe(132_000_036_000_000_000n);
  kernel.call('ExLocalTimeToSystemTime', vaAdd(block, 8), vaAdd(block, 16));
  expect(memory.readU64(vaAdd(block, 16))).toBe(132_000_000_000_000_000n);
});

it('the resolution of timers is that of the clock', () => {
  const { memory } = kernel.nt;
  kernel.call('ExQueryTimerResolution', block, vaAdd(block, 4), vaAdd(block, 8));
  const [maximum, minimum, current] = [0, 4, 8].map((offset) => memory.readU32(vaAdd(block, offset)));
  expect(maximum).toBe(156_250);
  expect(minimum).toBeLessThanOrEqual(current as number);
  expect(current).toBe(kernel.call('KeQueryTimeIncrement'));
});
