/** Requests that block their thread, or that nobody completes, end to end: see test/drivers/several/base.c. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Machine, type MachineSnapshot, parseStep, type Report, verify } from '../src/index.ts';
import { buildReport } from '../src/run/report/build.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/several/base.sys', import.meta.url))));
const open = 'open \\\\.\\Base';
const [wait, release, forget, lost, forever, user] = [2, 3, 4, 5, 6, 7].map(
  (number) => `ioctl 0x${(0x222400 + number * 4).toString(16)}`,
) as [string, string, string, string, string, string];

const optionsOf = (steps: readonly string[]) => ({
  drivers: [{ name: 'base.sys', bytes }],
  steps: [open, ...steps].map(parseStep),
  instructionLimit: 1e8,
});
const run = (...steps: string[]): Report => verify(optionsOf(steps));
const statuses = ({ scenario }: Report): string[] => scenario.steps.map(({ status }) => status);
const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());

describe('an asynchronous request whose dispatch routine blocks', () => {
  it('holds its own thread until a second request releases it', () => {
    const report = run(`${wait} async`, release);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
    expect(statuses(report).slice(0, 3)).toEqual(['0x00000000', '0x00000000', '0x00000000']);
    expect(said(report)).toEqual(['base: release', 'base: waited', 'base: unload']);
  });

  it('goes on with time', () => {
    const report = run(`${wait} async`, 'wait 29s', 'wait 2s', 'close');
    expect(statuses(report)[1]).toBe('0xC00000B5');
    expect(report.verdict).toBe('clean');
  });

  it('is waited for by the end of the process', () => {
    const report = run(`${wait} async`, `${wait} async`);
    expect(statuses(report).slice(1, 3)).toEqual(['0xC00000B5', '0xC00000B5']);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
  });

  it('is ended by the end of the process if it waits for user mode', () => {
    const report = run(`${user} async`);
    expect(statuses(report)[1]).toBe('0xC0000120');
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
  });

  it('is named if nothing ends it', () => {
    const report = run(`${forever} async`, 'cancel', 'close');
    expect(report.verdict).toBe('incomplete');
    expect(report.reasons).toEqual([
      expect.stringContaining(
        `still pending: '${forever} async' (IRP_MJ_DEVICE_CONTROL, control code 0x222418, whose dispatch routine holds its thread)`,
      ),
    ]);
    expect(report.threads.some(({ stack }) => stack.some(({ module }) => module === 'base'))).toBe(true);
    expect(report.scenario.steps[1]).toMatchObject({ status: '0x00000103', isNeverCompleted: true });
  });

  it('goes on from snapshots', () => {
    const options = optionsOf([`${wait} async`, `${wait} async`, release, 'wait 10ms']);
    const first = new Machine(options);
    const snapshots: MachineSnapshot[] = [];
    first.nt.events.on('exportCalled', () => snapshots.push(first.snapshot()));
    first.run();
    const report = buildReport(first);
    expect(snapshots.length).toBeGreaterThan(10);
    for (const snapshot of snapshots) {
      const second = new Machine(options);
      second.restore(snapshot);
      second.run();
      expect(buildReport(second)).toEqual(report);
    }
  });
});

describe('a synchronous request that nothing ends', () => {
  it('in its dispatch routine: nothing is left to run', () => {
    const report = run(forever);
    expect(report.reasons).toEqual([
      `the step '${forever}' (IRP_MJ_DEVICE_CONTROL, control code 0x222418) waits for something that nothing left to run can bring`,
    ]);
  });

  it('behind it: nothing is left to run', () => {
    const report = run(lost);
    expect(report.verdict).toBe('incomplete');
    expect(report.reasons).toEqual([
      `the step '${lost}' (IRP_MJ_DEVICE_CONTROL, control code 0x222414) waits for its request to be completed, and nothing is left to run that could do it`,
    ]);
    expect(report.scenario.steps[1]).toMatchObject({ status: '0x00000103', isNeverCompleted: true });
  });

  it('although its dispatch routine answered success', () => {
    const report = run(forget, 'close');
    expect(report.verdict).toBe('incomplete');
    expect(report.reasons.join()).toContain(
      `'${forget}' (IRP_MJ_DEVICE_CONTROL, control code 0x222410, whose dispatch routine returned 0x00000000 STATUS_SUCCESS without completing it)`,
    );
    expect(report.scenario.steps[1]).toMatchObject({ status: '0x00000000', isNeverCompleted: true });
  });
});

it('a tour goes on behind a request that blocks its thread', () => {
  const report = verify({ drivers: [{ name: 'base.sys', bytes }], instructionLimit: 1e8 });
  const texts = report.scenario.steps.map(({ step }) => step);
  expect(texts).toContain(`${user} async`);
  expect(report.verdict).toBe('incomplete');
  expect(report.reasons).toEqual([expect.stringContaining('DriverUnload was not called')]);
});
