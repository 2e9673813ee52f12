import { describe, expect, it } from 'vitest';
import { CounterSeries } from './counter-series.ts';

describe('a series of counters', () => {
  it('keeps points as they come, and moves the end of what stays the same', () => {
    const series = new CounterSeries(8);
    series.add(0, 0, 0, 0, 0);
    series.add(1, 0.5, 16, 0, 1);
    series.add(2, 0.6, 16, 0, 1);
    series.add(9, 0.7, 16, 0, 1);
    const { timeMs, busyMs, pagedBytes, allocations } = series.columns();
    expect([...timeMs]).toEqual([0, 1, 9]);
    expect([...busyMs]).toEqual([0, 0.5, 0.7]);
    expect([...pagedBytes]).toEqual([0, 16, 16]);
    expect([...allocations]).toEqual([0, 1, 1]);
  });

  it('is bounded, ascends, and loses neither peak nor end', () => {
    const series = new CounterSeries(64);
    for (let time = 0; time < 100_000; time++) {
      series.add(time, time / 2, time === 31_337 ? 1e6 : time % 7, 1, time % 3);
    }
    const { timeMs, pagedBytes } = series.columns();
    expect(timeMs.length).toBeLessThanOrEqual(64);
    expect(timeMs.length).toBeGreaterThan(16);
    expect([...timeMs]).toEqual([...timeMs].sort((one, other) => one - other));
    expect(pagedBytes[timeMs.indexOf(31_337)]).toBe(1e6);
    expect(timeMs.at(-1)).toBe(99_999);
  });
});
