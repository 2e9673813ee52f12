/** The device model pci-dma-engine end to end: a driver that talks to it and checks itself what it sees. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import type { MachineOptions } from '../src/run/machine-options.ts';
import { buildReport } from '../src/run/report/build.ts';
import type { Report } from '../src/run/report/report.ts';
import { parseStep } from '../src/run/scenario/step.ts';

const bytes = new Uint8Array(readFileSync('test/drivers/dma-engine/dma-engine.sys'));

/** The driver's control requests, from 0x800 on. */
const functions = ['poll', 'line', 'message', 'interrupt', 'disconnect', 'storm', 'spin', 'configuration', 'absent'];

const stepsOf = (words: readonly string[]): string[] => [
  'open \\\\.\\DmaEngineTest',
  ...words.map((word) => {
    const index = functions.indexOf(word);
    return index < 0 ? word : `ioctl 0x${(0x22_2000 + index * 4).toString(16)} out=4`;
  }),
];

function machineFor(words: readonly string[], options: Partial<MachineOptions> = {}): Machine {
  return new Machine({
    drivers: [{ name: 'dma-engine.sys', path: null, bytes }],
    steps: stepsOf(words).map(parseStep),
    deviceModel: 'pci-dma-engine',
    instructionLimit: 1e9,
    ...options,
  });
}

const reportOf = (words: readonly string[], options: Partial<MachineOptions> = {}): Report =>
  machineFor(words, options).report();

/** Lines of checks that failed, by word. */
const failures = ({ scenario }: Report): (string | null | undefined)[] =>
  scenario.steps.filter(({ step }) => step.startsWith('ioctl')).map(({ output }) => output);

const everything = [
  ...['poll', 'line', 'configuration', 'interrupt', 'spin', 'poll', 'disconnect'],
  ...['message', 'configuration', 'interrupt', 'spin', 'disconnect'],
  ...['suspend', 'resume', 'poll', 'surprise-remove', 'absent'],
];

it.each([1, 2, 3])('registers, transfers, errors, interrupts, configuration, removal, with seed %d', (seed) => {
  const report = reportOf(everything, { seed });
  expect(failures(report).filter((output) => output !== '00000000')).toEqual([]);
  expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
});

it('another device comes after one that was pulled out, as new', () => {
  const report = reportOf(['line', 'surprise-remove', 'close', 'start', 'open \\\\.\\DmaEngineTest', 'poll']);
  expect(failures(report)).toEqual(['00000000', '00000000']);
  expect(report.verdict).toBe('clean');
});

it('a line that the service routine leaves asserted ends the life', () => {
  const report = reportOf(['line', 'storm']);
  expect(report.bugCheck).toMatchObject({ code: '0xF2', name: 'HARDWARE_INTERRUPT_STORM' });
  expect(report.bugCheck?.parameters[3]).toBe('0x1');
  expect(report.violations[0]?.site).toMatchObject({ module: 'dma-engine', function: 'Isr' });
});

it('without a connected interrupt nothing comes', () => {
  expect(failures(reportOf(['storm', 'poll']))[1]).toBe('00000000');
});

it('the same report twice, and however the machine is stopped on the way', () => {
  const words = ['poll', 'line', 'interrupt', 'spin', 'disconnect', 'message', 'interrupt', 'spin'];
  const expected = reportOf(words);
  expect(failures(expected).filter((output) => output !== '00000000')).toEqual([]);
  expect(reportOf(words)).toEqual(expected);
  for (const slice of [{ instructions: 997 }, { calls: 3 }]) {
    const machine = machineFor(words);
    machine.nt.debugControl.slice = slice;
    let stops = 0;
    while (machine.resume() === 'stopped') stops++;
    expect(stops).toBeGreaterThan(20);
    expect(buildReport(machine)).toEqual(expected);
  }
});

/** Each snapshot, restored into a fresh machine, has to lead to the same end. */
function expectSameEnd(words: readonly string[], first: Machine, snapshots: readonly MachineSnapshot[]): void {
  const report = buildReport(first);
  expect(snapshots.length).toBeGreaterThan(3);
  for (const snapshot of snapshots.slice(0, 8)) {
    const second = machineFor(words);
    second.restore(snapshot);
    second.run();
    expect(second.nt.cpu.retired, `taken at ${snapshot.nt.retired}`).toBe(first.nt.cpu.retired);
    expect(buildReport(second)).toEqual(report);
  }
}

it('the same report when every instruction is a step', () => {
  const words = ['line', 'poll'];
  const expected = reportOf(words);
  const machine = machineFor(words);
  machine.nt.debugControl.slice = { calls: 1 };
  let steps = 0;
  while (machine.resume() === 'stopped') {
    const isTalking = machine.nt.io.hardware.nextDue !== Number.POSITIVE_INFINITY;
    if (isTalking || (steps > 0 && steps < 3000)) {
      machine.nt.debugControl.stepInstruction();
      steps++;
    } else machine.nt.debugControl.slice = { instructions: 500 };
  }
  expect(steps).toBeGreaterThan(200);
  expect(buildReport(machine)).toEqual(expected);
});

it('a snapshot while a driver polls goes on to the same end in a fresh machine', () => {
  const words = ['line', 'poll', 'spin'];
  const first = machineFor(words);
  const snapshots: MachineSnapshot[] = [];
  first.nt.debugControl.slice = { instructions: 30 };
  while (first.resume() === 'stopped') {
    if (first.nt.io.hardware.nextDue !== Number.POSITIVE_INFINITY) snapshots.push(first.snapshot());
  }
  expectSameEnd(
    words,
    first,
    snapshots.filter((_, index) => index % 5 === 0),
  );
});

it('so do snapshots while a driver waits, in its service routine and in its deferred procedure', () => {
  const words = ['line', 'interrupt', 'disconnect', 'message', 'interrupt'];
  const first = machineFor(words);
  const snapshots: MachineSnapshot[] = [];
  first.nt.events.on('exportCalled', ({ name }) => {
    if (['KeWaitForSingleObject', 'KeInsertQueueDpc', 'KeSetEvent'].includes(name)) snapshots.push(first.snapshot());
  });
  first.run();
  expectSameEnd(words, first, snapshots.slice(1));
});

it('a wrong name, or a model that cannot be, is told in one line', () => {
  expect(() => machineFor([], { deviceModel: 'pci-printer' })).toThrow(
    "there is no device model 'pci-printer', only pci-dma-engine",
  );
  const model = {
    name: 'odd',
    description: '',
    pci: { vendor: 1, device: 2, classCode: 0 },
    read: () => 0,
    write() {},
  };
  expect(() => machineFor([], { deviceModel: { ...model, ranges: [{ type: 'memory', bytes: 48 }] } })).toThrow(
    "the device model 'odd' can't be: a range of memory has a power of two of bytes, 16 to 64 MB",
  );
});
