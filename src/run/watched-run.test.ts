import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { vaFromU64 } from '../base/va.ts';
import { verify } from './verify.ts';
import { WatchedRun } from './watched-run.ts';

const repository = new URL('../../', import.meta.url);
const read = (path: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(path, repository))));
const driver = (path: string) => ({ name: path.split('/').at(-1) as string, bytes: read(path) });

const inventory = { drivers: [driver('drivers/leaky-inventory/leaky-inventory.sys')], seed: 7 };

describe('a watched run', () => {
  it('gives the report of a run that nobody watches, however it is cut into slices', () => {
    const expected = verify(inventory);
    for (const slice of [undefined, { calls: 1 }, { instructions: 1000 }]) {
      const watched = new WatchedRun(inventory);
      const control = watched.machine.nt.debugControl;
      control.slice = slice;
      let slices = 0;
      for (; watched.resume() === 'stopped'; slices++) {
        watched.state();
        watched.allocations(0, 5);
      }
      expect(slices > 10).toBe(slice !== undefined);
      expect({ ...watched.report(), host: expected.host }).toEqual(expected);
      expect(watched.resume()).toBe('over');
    }
  });

  it('tells counters, statuses and steps while it goes on', () => {
    const watched = new WatchedRun(inventory);
    expect(watched.state()).toMatchObject({
      at: 'DriverEntry',
      timeMs: 0,
      allocations: 0,
      drivers: [{ name: 'leaky-inventory.sys', status: 'Never Loaded' }],
      isOver: false,
    });
    watched.machine.nt.debugControl.stopsAtSteps = true;
    expect(watched.resume()).toBe('stopped');
    const state = watched.state();
    expect(state).toMatchObject({ allocations: 27, drivers: [{ status: 'Loaded' }] });
    expect(state.at).toMatch(/^step 1: open /);
    expect(state.counters.drivers[0]?.pagedPool).toMatchObject({ currentAllocations: 13, currentBytes: 280 });
    watched.machine.nt.debugControl.stopsAtSteps = false;
    expect(watched.resume()).toBe('over');
    expect(watched.state()).toMatchObject({ allocations: 8, drivers: [{ status: 'Unloaded' }], isOver: true });
    expect(watched.marks[0]).toMatchObject({ timeMs: 0, name: 'DriverEntry' });
    expect(watched.marks.map(({ name }) => name)).toContain('DriverUnload');
  });

  it('has the peak and the end in its series', () => {
    const watched = new WatchedRun(inventory);
    watched.resume();
    const { timeMs, pagedBytes, nonPagedBytes, allocations } = watched.series.columns();
    expect(timeMs.length).toBeGreaterThan(20);
    expect([Math.max(...pagedBytes), Math.max(...nonPagedBytes), Math.max(...allocations)]).toEqual([280, 1376, 27]);
    expect([pagedBytes.at(-1), nonPagedBytes.at(-1), allocations.at(-1)]).toEqual([102, 384, 8]);
  });

  it('lists what is held page by page, and where each was allocated', () => {
    const watched = new WatchedRun({
      ...inventory,
      readSource: (file) => ({ path: file, text: new TextDecoder().decode(read(file)) }),
    });
    watched.resume();
    const all = watched.allocations(0, 100);
    expect(all.rows.map(({ tag, bytes }) => [tag, bytes])).toEqual(
      [24, 22, 26, 30].flatMap((bytes) => [
        ['InvE', 96],
        ['InvL', bytes],
      ]),
    );
    expect(watched.allocations(6, 100)).toEqual({ first: 6, total: 8, rows: all.rows.slice(6) });
    expect(watched.allocations(8, 100).rows).toEqual([]);
    const [row] = all.rows;
    const detail = watched.allocation(vaFromU64(BigInt(row?.address ?? 0)));
    expect(detail).toMatchObject({
      allocator: 'ExAllocatePoolWithTag',
      driver: 'leaky-inventory.sys',
      site: { function: 'InventoryAllocateEntry', line: 95 },
      step: 'DriverEntry',
      source: { line: 95 },
    });
    expect(detail?.stack.map((site) => site.function)).toContain('DriverEntry');
    expect(watched.allocation(vaFromU64(1n))).toBeUndefined();
  });

  it('keeps few points, and pages of what is many', () => {
    const watched = new WatchedRun({ drivers: [driver('test/drivers/million/million.sys')] });
    watched.machine.nt.debugControl.slice = { calls: 20_000 };
    expect(watched.resume()).toBe('stopped');
    expect(watched.series.length).toBeLessThanOrEqual(2048);
    const { total } = watched.allocations(0, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(watched.allocations(total - 10, 100).rows).toHaveLength(10);
    expect(watched.series.columns().allocations.at(-1)).toBe(total);
  });
});
