/** What a plain run does with the control codes that it finds, on drivers of this repository. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import { buildReport } from '../src/run/report/build.ts';
import { repository } from './end-to-end.ts';

function run(path: string, options: { readonly seed?: number; readonly steps?: readonly string[] } = {}): Report {
  return verify({
    drivers: [{ name: basename(path), path: null, bytes: new Uint8Array(readFileSync(join(repository, path))) }],
    steps: options.steps?.map(parseStep),
    flags: defaultFlags,
    seed: options.seed ?? 1,
    instructionLimit: 1e9,
    now: () => 0,
  });
}

const steps = ({ scenario }: Report): string[] => scenario.steps.map(({ step }) => step);
const sample = (name: string): string => `drivers/${name}/${name}.sys`;

describe('a plain run', () => {
  it('tries each control code in several ways, and says so', () => {
    const report = run(sample('clean-bringup'));
    for (const code of ['0x222100', '0x222104']) {
      const tried = steps(report).filter((step) => step.startsWith(`ioctl ${code}`));
      expect(tried.map((step) => step.slice(15))).toEqual([
        '',
        'in=00*8 out=8',
        'in=01000000*64 out=256',
        'in=40000000*64 out=256',
        'in=noise:256:1 out=256',
        'in=noise:4096:1 out=4096',
      ]);
    }
    expect(report.notes).toContainEqual(
      expect.stringContaining('the 2 control codes found in the dispatch routine were tried with 12 requests'),
    );
    expect(steps(run(sample('clean-bringup'), { seed: 9 }))).toContain('ioctl 0x222100 in=noise:256:9 out=256');
  });

  it('says nothing of control codes if there is no device', () => {
    const report = run('test/drivers/seh/seh.sys');
    expect(report.notes.join()).not.toContain('control code');
  });

  it('can be repeated as steps', () => {
    const { seed: _, ...tour } = run(sample('leaky-mailbox')).scenario;
    const repeated = run(sample('leaky-mailbox'), { steps: tour.steps.map(({ step }) => step) });
    expect(repeated).toMatchObject({ scenario: tour, verdict: 'violation', leaks: [{ tag: 'Mail' }] });
  });

  it('goes on from a snapshot', () => {
    const path = sample('leaky-mailbox');
    const driver = { name: basename(path), path: null, bytes: new Uint8Array(readFileSync(join(repository, path))) };
    const machine = (): Machine =>
      new Machine({ drivers: [driver], steps: undefined, flags: defaultFlags, seed: 1, instructionLimit: 1e9 });
    const first = machine();
    const snapshots: MachineSnapshot[] = [];
    let calls = 0;
    first.nt.events.on('exportCalled', () => {
      if (calls++ % 16 === 0) snapshots.push(first.snapshot());
    });
    first.run();
    expect(snapshots.length).toBeGreaterThan(4);
    for (const snapshot of snapshots) {
      const second = machine();
      second.restore(snapshot);
      second.run();
      expect(buildReport(second)).toEqual(buildReport(first));
    }
  });

  it('is no longer for many codes', () => {
    const tour = steps(run(sample('clean-resources')));
    expect(tour.length).toBeLessThan(200);
    expect(new Set(tour.map((step) => /^ioctl (\S+)/.exec(step)?.[1])).size).toBe(20);
  });

  it('names the step in which the machine stopped', () => {
    const report = run('test/drivers/bad-pool-calls/bad-pool-calls.sys');
    expect(report).toMatchObject({ verdict: 'violation', bugCheck: { code: '0xC4', parameters: ['0x0', {}, {}, {}] } });
    expect(report.notes).toContain("the run ended in the step 'ioctl 0x222280'");
  });
});

describe('a request of the tour that pends', () => {
  it('is cancelled, made again, and closed over', () => {
    const report = run(sample('clean-mailbox'));
    const wait = 'ioctl 0x222088 in=00*8 out=8 async';
    const at = steps(report).indexOf(wait);
    expect(steps(report).slice(at, at + 3)).toEqual([wait, 'wait 10ms', 'cancel']);
    expect(steps(report).filter((step) => step === wait)).toHaveLength(2);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    for (const { step, status } of report.scenario.steps) if (step.endsWith('async')) expect(status).toBe('0xC0000120');
  });

  it('is named if nothing ends it', () => {
    const report = run('test/drivers/pending/pending.sys');
    expect(report).toMatchObject({ verdict: 'incomplete', leaks: [] });
    expect(report.reasons).toEqual([expect.stringMatching(/still pending: 'ioctl .* async'.* and \d+ more$/)]);
  });

  it('is cancelled at the end of the process, if its file is closed without that', () => {
    const report = run('test/drivers/pending/pending.sys', {
      steps: ['open \\\\.\\Pending', 'ioctl 0x22200C async', 'close'],
    });
    expect(report.scenario.steps[1]?.status).toBe('0xC0000120');
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    expect(report.debugOutput.map((line) => line.trimEnd()).slice(0, 3)).toEqual(['create', 'cleanup', 'cancelled']);
  });

  it('may block its thread for as long as its input says', () => {
    // It waits for as many milliseconds as the noise has in its first four bytes.
    const report = run(sample('clean-channel'), { seed: 3 });
    const waits = report.scenario.steps.filter(({ step }) => step.startsWith('ioctl 0x2220d0 in=noise'));
    expect(waits.map(({ status }) => status)).toEqual(['0x00000102', '0x00000102']);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
  });
});
