import { describe, expect, it } from 'vitest';
import type { Leak, Report, Site } from './report.ts';
import { siteText } from './site-text.ts';
import { plainStyle, reportText } from './text.ts';

const site = (name: string, line?: number, more: Partial<Site> = {}): Site => ({
  module: 'leaky',
  function: name,
  offset: '0x1f',
  ...(line === undefined ? {} : { file: 'c:\\src\\leaky.c', line }),
  ...more,
});

const noCounters = { currentAllocations: 0, currentBytes: 0, peakAllocations: 0, peakBytes: 0 };

const clean: Report = {
  schema: 1,
  driver: { name: 'leaky.sys', path: 'out/leaky.sys', sha256: '00', symbols: 'leaky.pdb' },
  options: { flags: '0x8', active: ['Pool tracking'], notImplemented: [] },
  verdict: 'clean',
  reasons: [],
  notes: [],
  driverEntryStatus: '0x00000000',
  bugCheck: null,
  leaks: [],
  violations: [],
  counters: {
    irqlRaises: 2,
    spinLocksAcquired: 5,
    executionsSynchronized: 0,
    trims: 0,
    faultsInjected: 0,
    poolAllocationsAttempted: 3,
    poolAllocationsSucceeded: 3,
    poolAllocationsFailed: 0,
    poolAllocationsSucceededInSpecialPool: 0,
    poolAllocationsWithoutTag: 1,
    poolAllocationsNotTracked: 0,
    drivers: [
      {
        name: 'leaky.sys',
        pagedPool: { ...noCounters, peakAllocations: 1, peakBytes: 640 },
        nonPagedPool: { ...noCounters, peakAllocations: 2, peakBytes: 192 },
        contiguousMemoryBytes: 0,
        peakContiguousMemoryBytes: 0,
      },
    ],
  },
  coverage: null,
  unsupported: [],
  threads: [],
  campaign: null,
  scenario: { steps: [], seed: 1 },
  debugOutput: [],
  host: { durationMs: 41 },
};

const leak: Leak = {
  kind: 'pool',
  tag: 'Leak',
  bytes: 192,
  count: 2,
  poolType: 'NonPagedPoolNx',
  address: '0xfffff80040000010',
  site: site('DriverEntry', 42),
  source: null,
  allocator: 'ExAllocatePool2',
  sinceStep: { step: null, name: 'DriverEntry', count: 2 },
  steps: [{ step: null, name: 'DriverEntry', count: 2 }],
  stack: [site('ExAllocatePool2', undefined, { module: 'nt', offset: '0x0' }), site('DriverEntry', 42)],
  fault: null,
};

const reports: Readonly<Record<string, Report>> = {
  clean: {
    ...clean,
    notes: ['leaky.pdb belongs to another build'],
    scenario: {
      seed: 7,
      steps: [
        { step: 'open \\\\.\\Leaky', status: '0x00000000', information: 0, output: '' },
        { step: 'ioctl 0x222000 in=00 out=8', status: '0xC0000010', information: 0, output: '' },
        { step: `write ${'00'.repeat(64)}`, status: '0x00000000', information: 64, output: '' },
        { step: 'read 100', status: '0x00000000', information: 100, output: 'ab'.repeat(100) },
        { step: 'ioctl 0x222004 async', status: '0x00000103', information: 0, output: '' },
        { step: 'close', status: '0xC0123456', information: 1, output: '07' },
      ],
    },
  },
  violation: {
    ...clean,
    verdict: 'violation',
    driverEntryStatus: '0xC0000182',
    bugCheck: {
      code: '0xC4',
      name: 'DRIVER_VERIFIER_DETECTED_VIOLATION',
      parameters: ['0x62', '0xfffff800c0007050', '0xfffff800c0007010', '0x3'],
      summary: 'leaky.sys was unloaded without freeing its pool allocations (3 left)',
    },
    leaks: [
      leak,
      {
        ...leak,
        kind: 'string',
        allocator: 'RtlAnsiStringToUnicodeString',
        sinceStep: { step: 2, name: 'ioctl 0x222040 in=00', count: 1 },
        steps: [2, 3, 5].map((step) => ({ step, name: 'ioctl 0x222040 in=00', count: 1 })),
        source: { path: 'leaky.c', line: 9, firstLine: 8, lines: ['{', '    \u001b[31mreturn Inner();', '}'] },
        tag: 'Strg',
        bytes: 1,
        count: 1,
        poolType: 'PagedPool',
        site: site('Inner', 7, { inlined: true }),
        stack: [site('Inner', 7, { inlined: true }), site('DriverEntry', 50)],
      },
    ],
    debugOutput: ['leaky: hello\n', 'leaky: two\r\nlines'],
  },
  'violation-without-bug-check': {
    ...clean,
    verdict: 'violation',
    reasons: ['the image was not unloaded: device objects of the driver remain, and Windows waits for them to go'],
    leaks: [
      {
        ...leak,
        kind: 'device',
        tag: null,
        poolType: null,
        bytes: 0,
        count: 1,
        name: '\\Device\\Leaky',
        site: { module: 'leaky', offset: '0x1234' },
        stack: Array.from({ length: 40 }, (_, index) => ({ module: 'leaky', offset: `0x${index.toString(16)}` })),
      },
    ],
  },
  'violation-resources': {
    ...clean,
    verdict: 'violation',
    leaks: [
      leak,
      {
        ...leak,
        kind: 'handle',
        tag: null,
        poolType: null,
        bytes: 0,
        count: 3,
        address: '0x80000004',
        name: '\\Device\\A',
      },
      {
        ...leak,
        kind: 'symbolic-link',
        tag: null,
        poolType: null,
        bytes: 0,
        count: 1,
        address: '0x0',
        name: '\\??\\A',
        allocator: 'IoCreateSymbolicLink',
        sinceStep: null,
        steps: [],
      },
      { ...leak, kind: 'locked-pages', tag: null, poolType: null, bytes: 8192, count: 1 },
    ],
  },
  'violation-irql': {
    ...clean,
    verdict: 'violation',
    bugCheck: {
      code: '0xD1',
      name: 'DRIVER_IRQL_NOT_LESS_OR_EQUAL',
      parameters: ['non-canonical', '0x2', '0x1', '0xfffff80000001234'],
      summary: 'the driver wrote an address that is not resident, at IRQL 2',
    },
    violations: [
      {
        kind: 'bug-check',
        bugCheck: {
          code: '0xD1',
          name: 'DRIVER_IRQL_NOT_LESS_OR_EQUAL',
          parameters: ['non-canonical', '0x2', '0x1', '0xfffff80000001234'],
          summary: 'the driver wrote an address that is not resident, at IRQL 2',
        },
        summary: 'the driver wrote an address that is not resident, at IRQL 2',
        site: site('Dpc', 9),
        stack: [site('Dpc', 9)],
      },
    ],
  },
  incomplete: {
    ...clean,
    verdict: 'incomplete',
    options: { flags: '0x209BB', active: ['Pool tracking', 'DMA checking'], notImplemented: ['Special pool'] },
    reasons: [
      'the driver calls ntoskrnl.exe!Foo, which is not supported',
      "the option 'Special pool' was asked for and is not supported yet",
    ],
    unsupported: [
      { kind: 'export', name: 'ntoskrnl.exe!Foo', calls: 1, site: site('DriverEntry', 12) },
      { kind: 'instruction', name: 'vmcall', calls: 3, site: null },
    ],
    threads: [{ id: 4, state: 'waits for an event', stack: [site('Worker', 3)] }],
  },
  hostile: {
    ...clean,
    verdict: 'violation',
    driver: { ...clean.driver, name: 'a\u001b]0;owned\u0007.sys', symbols: 'DWARF in \u202egnp.sys' },
    leaks: [{ ...leak, tag: 'a\u001b[2', site: site('x\u009b31m', 1, { file: '/a\nb\r.c' }) }],
    notes: ['a note with \u001b[2J in it'],
    debugOutput: ['\u001b[31mred\n\tindented\u0000'],
    counters: {
      ...clean.counters,
      drivers: [
        {
          name: 'a\u001b.sys',
          pagedPool: noCounters,
          nonPagedPool: noCounters,
          contiguousMemoryBytes: 4096,
          peakContiguousMemoryBytes: 8192,
        },
      ],
    },
  },
};

describe('reportText', () => {
  it.each(Object.keys(reports))('%s', async (name) => {
    await expect(reportText(reports[name] as Report)).toMatchFileSnapshot(`./golden/${name}.txt`);
  });

  it('lets no control character of a driver through', () => {
    const text = reportText(reports.hostile as Report);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });

  it('shows a long scenario in short: its ends, and the steps in which leaks began', () => {
    const step = (index: number) => ({ step: `read ${index}`, status: '0x00000103', information: 0, output: '' });
    const began = { step: 40, name: 'read 40', count: 2 };
    const text = reportText({
      ...clean,
      leaks: [{ ...leak, sinceStep: began, steps: [began] }],
      scenario: { seed: 1, steps: Array.from({ length: 100 }, (_, index) => step(index + 1)) },
    });
    const numbers = text.split('\n').flatMap((line) => /^ +(\d+) {2}read /.exec(line)?.[1] ?? []);
    expect(numbers.map(Number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 40, 97, 98, 99, 100]);
    expect(text).toContain('… 27 steps');
    expect(text).toContain('0x00000103 STATUS_PENDING');
  });

  it('says what allocations that are not tracked are', () => {
    const counters = { ...clean.counters, poolAllocationsNotTracked: 2 };
    expect(reportText({ ...clean, counters })).toContain('not tracked are blocks of a page or more');
    expect(reportText(clean)).not.toContain('not tracked are');
  });

  it.each([
    ['0xCB', '0x1', 'pages that are still locked'],
    ['0x76', '0x0', 'its pages that are still locked'],
    ['0xC8', '0x20001', 'current and expected IRQL'],
  ])('has words for the arguments of %s', (code, parameter, words) => {
    const bugCheck = {
      code,
      name: 'NAME',
      parameters: [parameter, '0x0', '0x2', '0x3'] as const,
      summary: 'it stopped',
    };
    expect(reportText({ ...clean, verdict: 'violation', bugCheck })).toContain(words);
  });

  it('says the same with emphasis as without', () => {
    const marked = reportText(reports.violation as Report, {
      verdict: (verdict, text) => `<${verdict}>${text}</>`,
      strong: (text) => `<b>${text}</>`,
      faint: (text) => `<i>${text}</>`,
    });
    expect(marked).toContain('<violation>VIOLATION</>');
    expect(marked.replace(/<\/?\w*>/g, '')).toBe(reportText(reports.violation as Report, plainStyle));
  });
});

describe('siteText', () => {
  it.each([
    [site('DriverEntry', 42), 'leaky!DriverEntry+0x1f [c:\\src\\leaky.c @ 42]'],
    [site('DriverEntry'), 'leaky!DriverEntry+0x1f'],
    [site('DriverEntry', undefined, { offset: '0x0' }), 'leaky!DriverEntry'],
    [{ module: 'leaky', offset: '0x1040' }, 'leaky+0x1040'],
    [site('Inner', 7, { inlined: true }), 'leaky!Inner [c:\\src\\leaky.c @ 7] (inlined)'],
  ])('%o', (place, text) => {
    expect(siteText(place)).toBe(text);
  });
});
