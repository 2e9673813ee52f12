/** What a plain run does with the control codes that it finds, on drivers of this repository. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';
import { Machine, type MachineSnapshot } from '../src/run/machine.ts';
import { buildReport } from '../src/run/report/build.ts';
import { repository } from './end-to-end.ts';

interface RunOptions {
  readonly seed?: number;
  readonly steps?: readonly string[];
  readonly deviceModel?: string;
}

const anything = (value: unknown): unknown => (typeof value === 'string' ? value : expect.any(String));

function run(path: string, options: RunOptions = {}): Report {
  return verify({
    drivers: [{ name: basename(path), path: null, bytes: new Uint8Array(readFileSync(join(repository, path))) }],
    steps: options.steps?.map(parseStep),
    flags: defaultFlags,
    seed: options.seed ?? 1,
    ...(options.deviceModel === undefined ? {} : { deviceModel: options.deviceModel }),
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
      const first = steps(report).slice(0, steps(report).indexOf('close'));
      const tried = first.filter((step) => step.startsWith(`ioctl ${code}`));
      expect(tried.map((step) => step.slice(15))).toEqual([
        '',
        'in=00*8 out=8',
        'in=01000000*64 out=256',
        'in=40000000*64 out=256',
        'in=000000000800000074657874206f6e65 out=64',
        'in=0000010008000000746578742074776f out=64',
        'in=00010203*4 out=16',
        'in=01*16 out=16',
        'in=180000000100000002000000030000000000000001000000 out=24',
        'in=noise:256:1 out=256',
        'in=noise:4096:1 out=4096',
      ]);
    }
    expect(report.notes).toContainEqual(
      expect.stringMatching(/the 2 control codes found in the dispatch routine were tried with \d+ requests/),
    );
    expect(steps(run(sample('clean-bringup'), { seed: 9 }))).toContain('ioctl 0x222100 in=noise:256:9 out=256');
  });

  it.each([
    ['dma-leaked-common-buffer', '0x7'],
    ['dma-leaked-scatter-gather', '0xa'],
  ])('reads and writes much, and behind the end: %s', (name, parameter) => {
    const report = run(sample(name), { deviceModel: 'pci-dma-engine' });
    expect(report.bugCheck).toMatchObject({ code: '0xE6', parameters: [parameter, {}, {}, {}].map(anything) });
    for (const request of ['read 70000 at=1', 'read 512 at=0x7fffffff']) {
      expect(steps(report).filter((step) => step.startsWith(request))).not.toEqual([]);
    }
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
      if (calls++ % 256 === 0) snapshots.push(first.snapshot());
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

  it('goes on with other orders, names and files, as the first answers show', () => {
    const all = steps(run(sample('clean-ferry')));
    const code = (step: string): string | undefined => /^ioctl (?:\w+ )?(0x2226c\w)/.exec(step)?.[1];
    expect(all).toContain('n=open \\\\.\\CleanFerry\\name');
    const second = all.indexOf('b=open \\\\.\\CleanFerry');
    expect(all[second - 1]).toBe('a=open \\\\.\\CleanFerry');
    const downwards = all.slice(second + 1, all.indexOf('close a')).map(code);
    expect(downwards.length).toBeGreaterThan(2);
    expect(downwards).toEqual([...downwards].sort().reverse());
    const isTwice = (step: string, index: number): boolean => code(step) !== undefined && all[index + 1] === step;
    expect(all.some((step, index) => isTwice(step, index) && all[index + 2] === 'close')).toBe(true);
    const isAlone = (step: string, index: number): boolean =>
      code(step) !== undefined && all[index - 1]?.startsWith('open') === true && all[index + 1] === 'close';
    expect(all.some(isAlone)).toBe(true);
  });

  it('tries other sequences with another seed, and the same with the same', () => {
    const ofSeed = (seed: number): string => steps(run(sample('clean-watcher'), { seed })).join('\n');
    expect(ofSeed(2)).toBe(ofSeed(2));
    expect(ofSeed(2).replaceAll(':2', ':1')).not.toBe(ofSeed(1));
  });

  it('is no longer for many codes', () => {
    const tour = steps(run(sample('clean-resources')));
    expect(tour.length).toBeLessThan(720);
    expect(new Set(tour.map((step) => /^ioctl (?:[ab] )?(\S+)/.exec(step)?.[1])).size).toBe(20);
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
    expect(steps(report).filter((step) => step === wait).length).toBeGreaterThan(2);
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
    expect(waits.length).toBeGreaterThan(1);
    expect(new Set(waits.map(({ status }) => status))).toEqual(new Set(['0x00000102']));
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
  });
});
