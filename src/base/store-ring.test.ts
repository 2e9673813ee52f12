import { describe, expect, it } from 'vitest';
import { StoreRing } from './store-ring.ts';

function fill(ring: StoreRing, from: number, to: number): void {
  for (let value = from; value < to; value++) {
    ring.push(value, value * 2, 0, value);
  }
}

/** Newest first. */
function contents(ring: StoreRing): number[] {
  return Array.from({ length: Math.min(ring.count, ring.capacity) }, (_, age) => ring.get(age, 0));
}

const downFrom = (top: number, length: number): number[] => Array.from({ length }, (_, index) => top - index);

describe('a ring of rows', () => {
  it('gives the newest first and forgets the oldest', () => {
    const ring = new StoreRing(1024);
    fill(ring, 0, 3);
    expect(contents(ring)).toEqual([2, 1, 0]);
    expect(ring.get(1, 1)).toBe(2);
    fill(ring, 3, 3000);
    expect(contents(ring)).toEqual(downFrom(2999, 1024));
    expect(ring.count).toBe(3000);
    expect(() => ring.get(1024, 0)).toThrow();
  });

  it('goes back to a snapshot, which later rows leave alone', () => {
    const ring = new StoreRing(2048);
    fill(ring, 0, 2500);
    const saved = ring.save();
    fill(ring, 2500, 6000);
    expect(contents(ring)).toEqual(downFrom(5999, 2048));
    const other = new StoreRing(2048);
    other.load(saved);
    fill(other, 9000, 9002);
    ring.load(saved);
    expect(contents(ring)).toEqual(downFrom(2499, 2048));
    expect(contents(other).slice(0, 3)).toEqual([9001, 9000, 2499]);
  });

  it('shares with a snapshot what is not written to afterwards', () => {
    const ring = new StoreRing(4096);
    fill(ring, 0, 4096);
    const first = ring.save() as { chunks: Uint32Array[] };
    fill(ring, 4096, 4100);
    const second = ring.save() as { chunks: Uint32Array[] };
    expect(second.chunks.map((chunk, index) => chunk === first.chunks[index])).toEqual([false, true, true, true]);
  });
});
