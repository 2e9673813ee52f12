/** Several drivers in one machine, end to end: see test/drivers/several. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Machine, type MachineOptions, type MachineSnapshot, parseStep, type Report, verify } from '../src/index.ts';
import { buildReport } from '../src/run/report/build.ts';

const file = (name: string) => ({
  name: `${name}.sys`,
  bytes: new Uint8Array(readFileSync(fileURLToPath(new URL(`drivers/several/${name}.sys`, import.meta.url)))),
});

interface Given {
  readonly companions?: readonly string[];
  /** Undefined: the tour. */
  readonly steps?: readonly string[];
}

function optionsOf(drivers: readonly string[], { companions = [], steps }: Given = {}): MachineOptions {
  return {
    drivers: drivers.map(file),
    companions: companions.map(file),
    steps: steps?.map(parseStep),
    instructionLimit: 1e8,
  };
}

const run = (drivers: readonly string[], given?: Given): Report => verify(optionsOf(drivers, given));
const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());

const interfacePath = '\\\\.\\ROOT#POOLPROOF#0000#{3f2b9c11-7a55-4d0e-9112-6c0e442a9d31}';
const [succeed, fail] = ['ioctl 0x222400', 'ioctl 0x222404'];

describe('a function driver with an upper filter', () => {
  it('is one stack, built from the bottom up and unloaded from the top down', () => {
    const report = run(['function', 'clean-filter'], { steps: [`open ${interfacePath}`, succeed, fail] });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [], bugCheck: null });
    expect(said(report)).toEqual([
      'function: \\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\function',
      'filter: \\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\clean-filter',
      'function: AddDevice',
      'filter: AddDevice',
      'filter: unload',
      'function: unload',
    ]);
    expect(report.scenario.steps.map(({ status }) => status)).toEqual([
      '0x00000000',
      '0x00000000',
      '0xC00000A3',
      '0x00000000',
    ]);
    expect(report.counters.drivers).toMatchObject([
      { name: 'function.sys', nonPagedPool: { peakAllocations: 0 } },
      { name: 'clean-filter.sys', nonPagedPool: { peakAllocations: 1, currentAllocations: 0 } },
    ]);
  });

  it('names the filter when it leaks, and the driver that was not checked', () => {
    const report = run(['function', 'leaky-filter'], { steps: [`open ${interfacePath}`, succeed, fail, fail] });
    expect(report).toMatchObject({
      verdict: 'violation',
      bugCheck: { code: '0xC4', parameters: ['0x62', /./, /./, '0x2'].map(anyOf) },
      leaks: [{ driver: 'leaky-filter.sys', tag: 'Filt', count: 2, site: { module: 'leaky-filter' } }],
    });
    expect(report.bugCheck?.summary).toContain('leaky-filter.sys was unloaded');
    expect(report.notes).toContain('the machine stopped before the check at unload of function.sys');
    expect(said(report)).not.toContain('function: unload');
  });

  it('is toured with the control codes of both', () => {
    const report = run(['function', 'leaky-filter']);
    expect(report).toMatchObject({ verdict: 'violation', leaks: [{ driver: 'leaky-filter.sys', tag: 'Filt' }] });
    const texts = report.scenario.steps.map(({ step }) => step);
    expect(texts).toContain(`open ${interfacePath}`);
    expect(texts).toContain(fail);
  });

  it('goes on from snapshots', () => {
    const options = optionsOf(['function', 'leaky-filter'], {
      steps: [`open ${interfacePath}`, succeed, fail, 'stop', 'start'],
    });
    const first = new Machine(options);
    const snapshots: MachineSnapshot[] = [];
    let calls = 0;
    first.nt.events.on('exportCalled', () => {
      if (calls++ % 7 === 0) snapshots.push(first.snapshot());
    });
    first.run();
    const report = buildReport(first);
    expect(report.verdict).toBe('violation');
    expect(snapshots.length).toBeGreaterThan(5);
    for (const snapshot of snapshots) {
      const second = new Machine(options);
      second.restore(snapshot);
      second.run();
      expect(buildReport(second)).toEqual(report);
    }
  });
});

describe('companions', () => {
  it('run and are not verified', () => {
    const report = run(['function'], { companions: ['leaky-filter'], steps: [`open ${interfacePath}`, fail] });
    expect(report).toMatchObject({ verdict: 'clean', leaks: [], counters: { drivers: [{ name: 'function.sys' }] } });
    expect(report.drivers?.map(({ name, role }) => [name, role])).toEqual([
      ['leaky-filter.sys', 'companion'],
      ['function.sys', 'verified'],
    ]);
    // The companion was loaded first, so it stands below.
    expect(said(report).slice(2, 4)).toEqual(['filter: AddDevice', 'function: AddDevice']);
  });

  it('are opened by the tour where a verified driver filters them', () => {
    const report = run(['attached'], { companions: ['base'], steps: ['open \\\\.\\Base', succeed] });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    expect(run(['attached'], { companions: ['base'] }).scenario.steps[0]?.step).toBe('open \\\\.\\Base');
  });
});

describe('a kernel-mode DLL', () => {
  it.each([
    [['user'], ['library']],
    [['user', 'library'], []],
  ])('%j with %j: gives routines and data, and is unloaded after its importer', (drivers, companions) => {
    const report = run(drivers, { companions, steps: [] });
    expect(said(report).slice(0, 2)).toEqual([
      'library: \\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\library',
      'user: library 7, blocks',
    ]);
    expect(report).toMatchObject({ verdict: 'violation', leaks: [{ driver: 'user.sys', tag: 'User', count: 1 }] });
  });

  it('is checked at its own unload if it is verified', () => {
    const report = run(['library'], { companions: ['user'], steps: [] });
    expect(said(report).slice(-2)).toEqual(['user: unload', 'library: unload']);
    expect(report).toMatchObject({ verdict: 'clean', leaks: [], reasons: [] });
    expect(report.counters.drivers).toMatchObject([{ name: 'library.sys', pagedPool: { peakAllocations: 2 } }]);
  });

  it('that is not there is named', () => {
    const report = run(['user'], { steps: [] });
    expect(report.verdict).toBe('incomplete');
    expect(report.unsupported).toMatchObject([{ name: 'library.sys!LibraryAllocate' }]);
  });

  it('alone has nothing to start', () => {
    expect(() => run(['library'])).toThrow(expect.objectContaining({ code: 'PP5002' }));
  });
});

describe('unload', () => {
  const open = 'open \\\\.\\Base';

  it('takes the filter off first', () => {
    const report = run(['base', 'attached'], { steps: [open, succeed] });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    expect(said(report)).toEqual(['attached: unload', 'base: unload']);
  });

  it('of a driver that is filtered waits for the filter', () => {
    const report = run(['base', 'attached'], { steps: ['unload base', 'unload attached', open] });
    expect(said(report)).toEqual(['attached: unload', 'base: unload']);
    expect(report.scenario.steps.map(({ status }) => status)).toEqual(['0x00000000', '0x00000000', '0xC0000034']);
  });

  it('of a filter leaves the driver below to be used', () => {
    const report = run(['base', 'attached'], { steps: ['unload attached.sys', open, succeed] });
    expect(report.scenario.steps.slice(0, 3).map(({ status }) => status)).toEqual([
      '0x00000000',
      '0x00000000',
      '0x00000000',
    ]);
    expect(said(report)).toEqual(['attached: unload', 'base: unload']);
  });

  it('of a plug-and-play driver that has its device is refused', () => {
    const { scenario } = run(['function', 'clean-filter'], { steps: ['unload clean-filter', `open ${interfacePath}`] });
    expect(scenario.steps[0]?.status).toBe('0xC0000010');
  });

  it('is kept off by a reference that another driver forgot: both are named', () => {
    const report = run(['base', 'holder'], { steps: [open, succeed] });
    expect(report.verdict).toBe('violation');
    expect(report.leaks).toMatchObject([
      { driver: 'holder.sys', kind: 'reference', name: 'File', site: { module: 'holder' } },
    ]);
    expect(report.reasons).toEqual([
      expect.stringMatching(
        /^DriverUnload of base\.sys was not called: .*holder\.sys holds a reference to a file that is open on \\Device\\Base/,
      ),
    ]);
    expect(said(report)).toEqual(['holder: unload']);
  });
});

it('two drivers of one name are refused', () => {
  expect(() => run(['base', 'base'])).toThrow(expect.objectContaining({ code: 'PP5004' }));
});

function anyOf(text: string | RegExp): unknown {
  return typeof text === 'string' ? text : expect.stringMatching(text);
}
