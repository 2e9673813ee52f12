/** DMA of a device that does not start, is stopped, or is pulled out in the middle of a transfer. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import { buildReport } from '../src/run/report/build.ts';
import type { Report } from '../src/run/report/report.ts';
import { parseStep } from '../src/run/scenario/step.ts';
import { defaultFlags } from '../src/verifier/core/options.ts';

const bytes = new Uint8Array(readFileSync(join(import.meta.dirname, 'drivers/dma-lives/dma-lives.sys')));

/** What the driver does from then on. */
const Mode = {
  FailStart: 1,
  FailAdd: 2,
  LeaveBehind: 4,
  AdapterInAdd: 8,
  LoseAdapter: 0x10,
  LoseList: 0x20,
  LateDisconnect: 0x40,
  LeaveToRemove: 0x80,
};

const open = 'open \\\\.\\DmaLives';
const mode = (bits: number): string => `ioctl 0x222000 in=${bits.toString(16).padStart(2, '0')}`;
const read = 'ioctl 0x222006 out=70003';
const cutOff = ['ioctl 0x222006 out=900001 async', 'surprise-remove', 'close'];
/** The device goes, and another one comes. */
const another = ['close', 'surprise-remove', 'start'];

function machineOf(steps: readonly string[], flags = defaultFlags): Machine {
  return new Machine({
    drivers: [{ name: 'dma-lives.sys', bytes }],
    deviceModel: 'pci-dma-engine',
    flags,
    steps: [open, ...steps].map(parseStep),
  });
}

const leaks = ({ leaks: all }: Report): string[] => all.map(({ kind }) => kind).sort();
const rule = ({ bugCheck }: Report): string | undefined => bugCheck?.parameters[0];

const harmless: Readonly<Record<string, readonly string[]>> = {
  'a transfer to a buffer of odd length': [read, 'close'],
  'an adapter that stays while the device is stopped': [
    mode(Mode.AdapterInAdd),
    ...another,
    open,
    read,
    ...['stop', 'start', read, 'stop', 'close'],
  ],
  'a transfer that is cut off': cutOff,
  'an interrupt that stays connected for longer than the device is there': [mode(Mode.LateDisconnect), ...cutOff],
  'a start that fails and gives all back': [mode(Mode.FailStart), ...another],
  'a start that fails, of which the removal gives all back': [mode(Mode.FailStart | Mode.LeaveToRemove), ...another],
  'a device that is not added': [mode(Mode.FailAdd), ...another],
};

it.each(Object.entries(harmless))('nothing is said of %s', (_, steps) => {
  for (const flags of [defaultFlags, 0x8]) {
    const report = machineOf(steps, flags).report();
    expect([report.violations, report.leaks, report.bugCheck]).toEqual([[], [], null]);
    // A device that did not start leaves nothing to judge.
    expect(report.verdict).toBe(report.scenario.steps.at(-1)?.status === '0xC000009C' ? 'incomplete' : 'clean');
  }
});

it.each([
  ['a start that fails', Mode.FailStart | Mode.LeaveBehind, another, '0x7', ['adapter', 'common-buffer']],
  ['a device that is not added', Mode.FailAdd | Mode.LeaveBehind, another, undefined, ['adapter']],
  ['a removal', Mode.LoseAdapter, [read, 'stop', 'start', 'close'], undefined, ['adapter']],
  ['a transfer that is cut off', Mode.LoseList, cutOff, '0xA', ['scatter-gather']],
  ['that, with the adapter', Mode.LoseList | Mode.LoseAdapter, cutOff, '0xA', ['adapter', 'scatter-gather']],
])('what is left of %s is found', (_, bits, steps, parameter, kinds) => {
  const checked = machineOf([mode(bits), ...steps]).report();
  expect([checked.verdict, rule(checked)?.toUpperCase()]).toEqual(['violation', parameter?.toUpperCase()]);
  expect(leaks(checked)).toEqual(kinds);
  const unchecked = machineOf([mode(bits), ...steps], 0x8).report();
  expect([unchecked.verdict, unchecked.bugCheck, leaks(unchecked)]).toEqual(['violation', null, kinds]);
});

it('a transfer that is cut off ends alike, whatever stops the machine on the way', () => {
  const steps = [read, ...cutOff];
  const expected = machineOf(steps).report();
  const snapshots: MachineSnapshot[] = [];
  for (const slice of [{ instructions: 101 }, { calls: 1 }]) {
    const machine = machineOf(steps);
    machine.nt.debugControl.slice = slice;
    for (let stops = 0; machine.resume() === 'stopped'; stops++) {
      if (machine.nt.dma.lists.size > 0 && stops % 7 === 0) snapshots.push(machine.snapshot());
    }
    expect(buildReport(machine)).toEqual(expected);
  }
  expect(snapshots.length).toBeGreaterThan(2);
  for (const snapshot of snapshots.slice(0, 10)) {
    const machine = machineOf(steps);
    machine.restore(snapshot);
    machine.run();
    expect(buildReport(machine)).toEqual(expected);
  }
});
