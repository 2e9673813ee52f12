/** DMA end to end: a driver that checks every operation itself, with its own pages and with copies of them. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import { buildReport } from '../src/run/report/build.ts';
import { parseStep } from '../src/run/scenario/step.ts';

const sys = 'test/drivers/dma/dma.sys';
const poolTracking = 0x8;
const dmaChecking = 0x80;

function machineFor(flags: number, steps: readonly string[]): Machine {
  return new Machine({
    drivers: [{ name: 'dma.sys', path: null, bytes: new Uint8Array(readFileSync(sys)) }],
    steps: steps.map((step) => parseStep(step)),
    flags,
    seed: 3,
    instructionLimit: 1e9,
  });
}

/** Everything that was counted comes back. */
function count(machine: Machine): Map<string, number> {
  const counts = new Map<string, number>();
  const note = (what: string, by: number): unknown => counts.set(what, (counts.get(what) ?? 0) + by);
  const { events } = machine.nt;
  events.on('dmaAdapterObtained', () => note('adapters', 1));
  events.on('dmaAdapterPut', () => note('adapters', -1));
  events.on('commonBufferAllocated', () => note('common buffers', 1));
  events.on('commonBufferFreed', () => note('common buffers', -1));
  events.on('adapterChannelAllocated', () => note('channels', 1));
  events.on('adapterChannelFreed', () => note('channels', -1));
  events.on('mapRegistersAllocated', ({ file }) => note('map registers', file.count));
  events.on('mapRegistersFreed', ({ file }) => note('map registers', -file.count));
  events.on('transferMapped', () => note('transfers', 1));
  events.on('transferFlushed', () => note('transfers', -1));
  events.on('scatterGatherListBuilt', () => note('lists', 1));
  events.on('scatterGatherListPut', () => note('lists', -1));
  return counts;
}

const nothing = {
  adapters: 0,
  'common buffers': 0,
  channels: 0,
  'map registers': 0,
  transfers: 0,
  lists: 0,
};

describe('dma.sys passes its own checks and leaves nothing', () => {
  it.each([
    ["with the driver's pages", poolTracking, 0, [], [false]],
    ['with copies of them', poolTracking, 64, [], [true]],
    ['with copies of a few of them', poolTracking, 2, [], [true, false]],
    ['with DMA checking', poolTracking | dmaChecking, undefined, [], [true]],
    ['with what waits and what fails', poolTracking, 0, ['open \\\\.\\DmaChecks', 'close'], [false]],
  ] as const)('%s', (_title, flags, guarded, steps, buffering) => {
    const machine = machineFor(flags, steps);
    const { dma } = machine.nt;
    if (guarded !== undefined) {
      dma.buffering = {
        guardedRegisters: (_adapter, registers) => Math.min(registers, guarded),
        isCommonBufferGuarded: () => guarded > 0,
        keepsPutAdapters: () => false,
      };
    }
    const buffered = new Set<boolean>();
    machine.nt.events.on('transferMapped', ({ transfer }) => buffered.add(transfer.isBuffered));
    const counts = count(machine);
    machine.run();
    const report = buildReport(machine);
    expect(report.bugCheck).toBeNull();
    expect(report.driverEntryStatus).toBe('0x00000000');
    expect(report.scenario.steps.map(({ status }) => status)).toEqual(steps.map(() => '0x00000000'));
    expect(report.leaks).toEqual([]);
    expect(Object.fromEntries(counts)).toEqual(nothing);
    expect([...buffered]).toEqual(buffering);
    const { adapters, ...rest } = dma.outstanding();
    expect([adapters.length, ...Object.values(rest).map((list) => list.length)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(dma.registers.size).toBe(0);
    expect(dma.nextRegisters.size).toBe(0);
  });
});

it('goes on from a snapshot as without', () => {
  const traceCalls = (machine: Machine, onCall: (name: string, at: number) => void = () => {}): string[] => {
    const trace: string[] = [];
    machine.nt.events.on('exportCalled', ({ name }) => {
      onCall(name, trace.length);
      trace.push(`${name} at ${machine.nt.cpu.retired}`);
    });
    return trace;
  };
  const first = machineFor(poolTracking | dmaChecking, []);
  const snapshots: { at: number; snapshot: MachineSnapshot }[] = [];
  const trace = traceCalls(first, (name, at) => {
    if (name.startsWith('Hal') && at % 11 === 0) snapshots.push({ at, snapshot: first.snapshot() });
  });
  first.run();
  const report = buildReport(first);
  expect(snapshots.length).toBeGreaterThan(5);
  for (const { at, snapshot } of snapshots) {
    const second = machineFor(poolTracking | dmaChecking, []);
    second.restore(snapshot);
    const rest = traceCalls(second);
    second.run();
    // The call at which the snapshot was taken is performed again.
    expect(rest).toEqual(trace.slice(at));
    expect(buildReport(second)).toEqual(report);
  }
});
