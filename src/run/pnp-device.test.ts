import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tagOf } from '../nt/ex/pool.ts';
import { defaultFlags } from '../verifier/core/options.ts';
import { Machine } from './machine.ts';
import { buildReport } from './report/build.ts';
import { parseStep } from './scenario/step.ts';

const path = '\\\\.\\ROOT#POOLPROOF#0000#{6d1b3a52-9c0e-4e1b-8f57-2a4c7d9e1b60}';

function machineOf(name: string, steps: readonly string[], seed = 1): Machine {
  return new Machine({
    drivers: [{ name: `${name}.sys`, path: null, bytes: new Uint8Array(readFileSync(`drivers/${name}/${name}.sys`)) }],
    steps: steps.map(parseStep),
    flags: defaultFlags,
    seed,
    instructionLimit: 1e9,
  });
}

/** The report of a life in which no block with that tag can be had. */
function withoutTag(name: string, tag: string): ReturnType<typeof buildReport> {
  const machine = machineOf(name, ['stop']);
  machine.nt.pool.policies.push((request) => request.tag !== tagOf(tag));
  machine.run();
  return buildReport(machine);
}

function run(name: string, steps: readonly string[], seed?: number): ReturnType<typeof buildReport> {
  const machine = machineOf(name, steps, seed);
  machine.run();
  return buildReport(machine);
}

describe('a plug-and-play driver', () => {
  it('is unloaded when its device does not start, and nothing more is done', () => {
    const report = withoutTag('clean-beacon', 'BPos');
    expect(report).toMatchObject({ verdict: 'incomplete', leaks: [], bugCheck: null, scenario: { steps: [] } });
    expect(report.reasons).toEqual([
      'the device was not started: IRP_MN_START_DEVICE failed with 0xC000009A STATUS_INSUFFICIENT_RESOURCES; if the driver looks for its hardware, give it a model of it (--device-model)',
    ]);
  });

  it('is unloaded when its AddDevice fails', () => {
    const report = withoutTag('clean-beacon', 'Strg');
    expect(report).toMatchObject({ verdict: 'incomplete', leaks: [], bugCheck: null, scenario: { steps: [] } });
    expect(report.reasons).toEqual(['the device was not started: AddDevice failed with 0xC0000017 STATUS_NO_MEMORY']);
  });

  it.each([2, 3, 4, 5, 6])('is clean whenever the bus answers: seed %i', (seed) => {
    const steps = [`open ${path}`, 'stop', 'start', 'close', 'stop', 'remove', 'start', 'surprise-remove', 'start'];
    const report = run('clean-beacon', steps, seed);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    expect(report.scenario.steps.map(({ status }) => Number(status))).toEqual(steps.map(() => 0));
  });

  it('is removed after the end of the process that has it open', () => {
    const report = run('leaky-beacon', [`open ${path}`, 'surprise-remove']);
    expect(report.verdict).toBe('violation');
    expect(report.leaks.map(({ kind }) => kind).sort()).toEqual(['pool', 'string']);
    expect(run('leaky-beacon', [`open ${path}`]).verdict).toBe('clean');
  });
});

describe('a driver without AddDevice', () => {
  it.each(['start', 'stop', 'surprise-remove', 'remove'])('has no device for the step %s', (step) => {
    const report = run('clean-inventory', [step]);
    expect(report.verdict).toBe('incomplete');
    expect(report.reasons[0]).toBe(
      `the step '${step}' needs a plug-and-play driver, and this one has no AddDevice routine`,
    );
  });
});
