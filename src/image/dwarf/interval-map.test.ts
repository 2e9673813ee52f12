import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Interval, IntervalMap } from './interval-map.ts';

describe('IntervalMap', () => {
  it('shows the highest rank that covers an address', () => {
    const interval = fc.record({ start: fc.nat(60), size: fc.integer({ min: 1, max: 30 }) });
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 20 }), (drawn) => {
        const intervals: Interval<number>[] = drawn.map(({ start, size }, rank) => ({
          start,
          end: start + size,
          rank,
          value: rank,
        }));
        const map = new IntervalMap(intervals);
        for (let rva = 0; rva < 100; rva++) {
          const covering = intervals.filter(({ start, end }) => start <= rva && rva < end);
          expect(map.at(rva)).toBe(covering.at(-1)?.value);
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('knows nothing when empty', () => {
    expect(new IntervalMap([]).at(0)).toBeUndefined();
  });
});
