/** Snapshots at calls of the kernel, each restored into a fresh machine, must lead to the same rest of the life. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findDeviceModel } from '../src/hardware/index.ts';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import { buildReport } from '../src/run/report/build.ts';
import { parseStep } from '../src/run/scenario/step.ts';
import { defaultFlags } from '../src/verifier/core/options.ts';

interface ExpectedRun {
  readonly name: string;
  readonly steps: readonly { readonly step: string }[];
  readonly deviceModel?: string;
}

const expected = JSON.parse(readFileSync('drivers/expected.json', 'utf8')) as {
  drivers: { name: string; sys: string; runs: ExpectedRun[] }[];
};

function machineFor(sys: string, run: ExpectedRun): Machine {
  return new Machine({
    drivers: [{ name: sys.slice(sys.lastIndexOf('/') + 1), path: null, bytes: new Uint8Array(readFileSync(sys)) }],
    steps: run.steps.length === 0 ? undefined : run.steps.map(({ step }) => parseStep(step)),
    deviceModel: run.deviceModel === undefined ? undefined : findDeviceModel(run.deviceModel),
    flags: defaultFlags,
    seed: 7,
    instructionLimit: 1e9,
  });
}

/** One line for each call: who called what, when. */
function traceCalls(machine: Machine, onCall: (trace: readonly string[]) => void = () => {}): string[] {
  const trace: string[] = [];
  machine.nt.events.on('exportCalled', ({ name, returnAddress }) => {
    onCall(trace);
    trace.push(`${name} from ${returnAddress} at ${machine.nt.cpu.retired} ${machine.nt.cpu.state.gpr(1)}`);
  });
  return trace;
}

/**
 * Between them: errors on the way, cancelled and timed waits, exceptions, a second try in DriverEntry, a device's removal,
 * DMA and interrupts.
 */
const chosen = [
  'leaky-mailbox cancel',
  'leaky-mailbox wait',
  'clean-channel fault',
  'clean-bringup serial',
  'clean-beacon surprise',
  'dma-adapter-channel-freed-twice write',
];
const lives = expected.drivers
  .flatMap(({ name, sys, runs }) => runs.map((run) => ({ title: `${name} ${run.name}`, sys, run })))
  .filter(({ title }) => chosen.includes(title));

describe('restoring a snapshot into a fresh machine', () => {
  it('covers every chosen life', () => expect(lives.map(({ title }) => title).sort()).toEqual(chosen.toSorted()));

  it.each(lives)('gives the same rest of the life: $title', ({ sys, run }) => {
    const first = machineFor(sys, run);
    const snapshots: { at: number; snapshot: MachineSnapshot }[] = [];
    // With a device, which has memory of its own, at every third call only.
    const interval = run.deviceModel === undefined ? 1 : 3;
    const trace = traceCalls(first, ({ length }) => {
      if (length % interval === 0) snapshots.push({ at: length, snapshot: first.snapshot() });
    });
    first.run();
    const report = buildReport(first);
    expect(snapshots.length).toBeGreaterThan(10);
    for (const { at, snapshot } of snapshots) {
      const second = machineFor(sys, run);
      second.restore(snapshot);
      const rest = traceCalls(second);
      second.run();
      // The call at which the snapshot was taken is performed again.
      expect(rest).toEqual(trace.slice(at));
      expect(buildReport(second)).toEqual(report);
    }
  });
});
