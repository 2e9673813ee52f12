import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Stores } from './store.ts';

function contents(stores: ReturnType<typeof build>): unknown {
  return {
    map: [...stores.map.entries()],
    cell: stores.cell.value,
    list: [...stores.list.items],
    queue: drain(stores),
    numbers: [...stores.numbers.values],
  };
}

/** What the queue holds, without changing it. */
function drain({ queue }: ReturnType<typeof build>): number[] {
  const saved = queue.save();
  const items: number[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
  queue.load(saved);
  return items;
}

function build() {
  const all = new Stores();
  return {
    all,
    map: all.map<number, string>('map'),
    cell: all.cell('cell', 0),
    list: all.list<number>('list'),
    queue: all.queue('queue'),
    numbers: all.numbers('numbers', 2),
  };
}

const change = fc.record({ kind: fc.nat(6), key: fc.nat(5), value: fc.nat(100) });

function apply(
  stores: ReturnType<typeof build>,
  { kind, key, value }: { kind: number; key: number; value: number },
): void {
  if (kind === 0) stores.map.set(key, `${value}`);
  else if (kind === 1) stores.map.delete(key);
  else if (kind === 2) stores.cell.value = value;
  else if (kind === 3) stores.list.push(value);
  else if (kind === 4) stores.queue.push(value);
  else if (kind === 5) stores.queue.shift();
  else stores.numbers.add(key % 2, value);
}

describe('Stores', () => {
  it('bring back what they held, in this and in a fresh set of stores, any number of times', () => {
    fc.assert(
      fc.property(fc.array(change), fc.array(change), fc.array(change), (before, between, after) => {
        const first = build();
        for (const step of before) apply(first, step);
        const expected = contents(first);
        const snapshot = first.all.snapshot();
        for (const step of between) apply(first, step);
        first.all.restore(snapshot);
        expect(contents(first)).toEqual(expected);
        for (const step of after) apply(first, step);
        const second = build();
        second.all.restore(snapshot);
        expect(contents(second)).toEqual(expected);
      }),
    );
  });

  it('refuse a snapshot of another shape', () => {
    const other = new Stores();
    other.cell('only', 1);
    expect(() => build().all.restore(other.snapshot())).toThrow(/no store 'map'/);
  });
});
