import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Stores } from './store.ts';
import { StoreTable } from './store-table.ts';

/** Rows as {key: [second word, third word]}, oldest first. */
function rowsOf(table: StoreTable): [number, number, number][] {
  const rows: [number, number, number][] = [];
  for (let row = table.next(); row >= 0; row = table.next(row)) {
    rows.push([table.get(row, 0), table.get(row, 1), table.get(row, 2)]);
  }
  return rows;
}

type Model = Map<number, [number, number]>;
const modelRows = (model: Model): number[][] => [...model].map(([key, [second, third]]) => [key, second, third]);

/** Adds, changes or removes one row in both. */
function apply(table: StoreTable, model: Model, { key, value }: { key: number; value: number }): void {
  const known = model.get(key);
  expect(table.find(key) >= 0).toBe(known !== undefined);
  if (known === undefined) {
    const row = table.add(key);
    expect([table.get(row, 1), table.get(row, 2)]).toEqual([0, 0]);
    table.set(row, 2, value);
    model.set(key, [0, value]);
  } else if (value % 3 === 0) {
    table.set(table.find(key), 1, value);
    model.set(key, [value, known[1]]);
  } else {
    const row = table.find(key);
    const words = [table.get(row, 1), table.get(row, 2)];
    expect(table.remove(key)).toBe(row);
    expect([table.get(row, 1), table.get(row, 2)]).toEqual(words);
    model.delete(key);
  }
}

// Few keys, so that they come again; neighbours and far apart, so that slots of the index collide.
const change = fc.record({
  key: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(0xffff_ffff, 0x8000_0010)),
  value: fc.nat(100),
});

describe('StoreTable', () => {
  it('holds what a map would, in the order of adding, and brings it back from any snapshot', () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 60 }), { minLength: 1, maxLength: 6 }), (turns) => {
        const table = new StoreTable(3);
        const model: Model = new Map();
        const snapshots: { saved: unknown; rows: number[][] }[] = [];
        for (const turn of turns) {
          for (const one of turn) apply(table, model, one);
          expect(rowsOf(table)).toEqual(modelRows(model));
          expect(table.size).toBe(model.size);
          snapshots.push({ saved: table.save(), rows: modelRows(model) });
        }
        const other = new StoreTable(3);
        for (const { saved, rows } of [...snapshots, ...snapshots.reverse()]) {
          for (const each of [table, other]) {
            each.load(saved);
            expect(rowsOf(each)).toEqual(rows);
            const again: Model = new Map(
              rows.map(([key, second, third]) => [key, [second, third]] as [number, [number, number]]),
            );
            for (const one of turns[0] ?? []) apply(each, again, one);
            expect(rowsOf(each)).toEqual(modelRows(again));
          }
        }
      }),
    );
  });

  it('stays small while rows come and go, whether the oldest or the youngest go first', () => {
    const table = new StoreTable(2);
    table.set(table.add(7), 1, 70);
    let halfWay: unknown;
    for (let round = 0; round < 20_000; round++) {
      if (round === 10_000) halfWay = table.save();
      table.set(table.add(1000 + round), 1, round);
      if (round >= 50) expect(table.remove(1000 + round - 50)).toBeGreaterThan(0);
    }
    for (let round = 0; round < 20_000; round++) {
      table.add(100);
      table.remove(100);
    }
    expect(table.size).toBe(51);
    expect(table.next()).toBe(table.find(7));
    expect(table.get(table.find(1000 + 19_990), 1)).toBe(19_990);
    // As a snapshot sees it: the rows' places and the slots of the index.
    const { chunks, index } = table.save() as { chunks: Uint32Array[]; index: Uint32Array };
    expect(chunks.length).toBe(1);
    expect(index.length).toBeLessThanOrEqual(4096);
    table.load(halfWay);
    const keys: number[] = [];
    for (let row = table.next(); row >= 0; row = table.next(row)) keys.push(table.get(row, 0));
    expect(keys).toEqual([7, ...Array.from({ length: 50 }, (_, at) => 1000 + 9950 + at)]);
  });

  it('shares with a snapshot what is not written to', () => {
    const table = new StoreTable(2);
    for (let key = 1; key <= 20_000; key++) table.add(key);
    const before = (table.save() as { chunks: Uint32Array[] }).chunks;
    table.set(table.find(9000), 1, 1);
    const after = (table.save() as { chunks: Uint32Array[] }).chunks;
    expect(after.map((chunk, at) => chunk === before[at])).toEqual([true, true, false, true, true]);
  });

  it('finds each of many rows again', () => {
    const table = new StoreTable(2);
    for (let key = 16; key <= 1_600_000; key += 16) table.set(table.add(key), 1, key + 1);
    for (let key = 16; key <= 1_600_000; key += 48) table.remove(key);
    for (let key = 16; key <= 1_600_000; key += 16) {
      const row = table.find(key);
      if ((key - 16) % 48 === 0 ? row >= 0 : table.get(row, 1) !== key + 1) expect.fail(`row ${key}`);
    }
    expect(table.remove(16)).toBe(-1);
  });

  it('refuses a key that it could not tell from none', () => {
    const stores = new Stores();
    const table = stores.table('table', 2);
    for (const key of [0, -1, 2 ** 32, 1.5, Number.NaN]) expect(() => table.add(key)).toThrow(/a key is/);
  });
});
