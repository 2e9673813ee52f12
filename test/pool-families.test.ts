/** Every family of what Pool tracking counts, leaked and given back, end to end: see test/drivers/pool-families. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const folder = new URL('drivers/pool-families/', import.meta.url);
const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('pool-families.sys', folder))));
const source = readFileSync(fileURLToPath(new URL('pool-families.c', folder)), 'utf8');
/** The families in the order of their control codes. */
const table = /Families\[\] = \{([^}]*)\}/.exec(source)?.[1] ?? '';
const names = [...table.matchAll(/\w+/g)].map(([name]) => name);

function run(name: string, isClean: boolean, flags = defaultFlags): Report {
  const index = names.indexOf(name);
  if (index < 0) throw new Error(`no family ${name}`);
  // The count of associated requests stands where a buffered request has its buffer.
  const neither = ['LockUserPages', 'Associated'].includes(name) ? 3 : 0;
  const code = 0x22_0000 + (0x800 + 2 * index + (isClean ? 1 : 0)) * 4 + neither;
  return verify({
    drivers: [{ name: 'pool-families.sys', path: null, bytes }],
    steps: ['open \\\\.\\PoolFamilies', `ioctl 0x${code.toString(16)} out=5000`, 'close'].map(parseStep),
    flags,
    seed: 1,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

/** Kind, tag and count of each leak. */
const short = ({ leaks }: Report): unknown[] => leaks.map(({ kind, tag, count }) => [kind, tag, count]);
/** Kinds that 0xC4/0x62 counts. */
const counted = ['pool', 'mdl', 'irp', 'workitem', 'string', 'completion-context'];

type Left = readonly (readonly [kind: string, tag: string | null])[];

/** What each family leaves: with 0xC4/0x62 where Verifier counts it. */
const left: Readonly<Record<string, Left>> = {
  Pool: [['pool', 'Fami']],
  PoolWithQuota: [['pool', 'Fami']],
  Mdl: [['mdl', 'VMdl']],
  Irp: [['irp', 'Irp ']],
  WorkItem: [['workitem', 'Vfwi']],
  AnsiToUnicode: [['string', 'Strg']],
  UnicodeToAnsi: [['string', 'Strg']],
  UnicodeToOem: [['string', 'Strg']],
  Upcase: [['string', 'Strg']],
  Downcase: [['string', 'Strg']],
  Duplicate: [['string', 'Strg']],
  GuidText: [['string', 'Strg']],
  InterfaceList: [['string', 'Strg']],
  CompletionContext: [['completion-context', 'IoUs']],
  DeviceControl: [
    ['irp', 'Irp '],
    ['irp', 'Io  '],
  ],
  DirectControl: [
    ['irp', 'Irp '],
    ['mdl', 'VMdl'],
    ['locked-pages', null],
  ],
  SynchronousRead: [
    ['irp', 'Irp '],
    ['mdl', 'VMdl'],
    ['locked-pages', null],
  ],
  AsynchronousRead: [
    ['mdl', 'VMdl'],
    ['locked-pages', null],
  ],
  Associated: [['irp', 'Irp ']],
  Contiguous: [['contiguous', null]],
  PagesForMdl: [
    ['pool', 'Mmdl'],
    ['locked-pages', null],
  ],
  PagesWithoutMdl: [['pool', 'Mmdl']],
  ErrorLogEntry: [
    ['device', null],
    ['error-log-entry', null],
  ],
  DriverExtension: [],
  Lookaside: [['pool', 'Fami']],
  LockKernelPages: [['locked-pages', null]],
};

/** Calls that stop the machine: code and first parameter. */
const stops: Readonly<Record<string, readonly [string, string]>> = {
  Overrun: ['0xC4', '0x51'],
  FreeMiddle: ['0xC4', '0x13e'],
  FreeIrpAsPool: ['0xC4', '0x105'],
  QuotaInDpc: ['0xC4', '0x10b'],
};

describe('what the driver does not give back', () => {
  it.each(Object.entries(left))('%s', (name, expected) => {
    const report = run(name, false);
    const sorted = (list: readonly unknown[]): unknown[] => list.map((entry) => JSON.stringify(entry)).sort();
    expect(sorted(short(report))).toEqual(sorted(expected.map((entry) => [...entry, 1])));
    const sum = report.leaks.reduce((all, { kind, count }) => all + (counted.includes(kind) ? count : 0), 0);
    if (sum > 0) {
      expect(report.bugCheck).toMatchObject({
        code: '0xC4',
        parameters: ['0x62', /0x/, /0x/, `0x${sum}`].map(matching),
      });
    } else {
      expect(report.bugCheck).toBeNull();
    }
    expect(report.verdict).toBe(expected.length === 0 ? 'clean' : 'violation');
    for (const { site } of report.leaks.filter(({ kind }) => kind !== 'device')) {
      expect(site).toMatchObject({ module: 'pool-families' });
    }
  });

  it('is 0xCB where it is pages of a process that ends, with the driver that locked them', () => {
    const report = run('LockUserPages', false);
    expect(report).toMatchObject({ verdict: 'violation', violations: [], bugCheck: { code: '0xCB' } });
    expect(report.leaks).toMatchObject([{ kind: 'locked-pages', count: 1, site: { module: 'pool-families' } }]);
  });

  it('is 0x76 without Pool tracking', () => {
    const report = run('LockUserPages', false, 0);
    expect(report).toMatchObject({ verdict: 'violation', leaks: [], bugCheck: { code: '0x76' } });
    expect(report.bugCheck?.parameters[0]).toBe('0x0');
    expect(report.violations).toHaveLength(1);
  });
});

it('names the blocks that are leaked and were written past their end', () => {
  const report = run('OverrunAndLeak', false);
  expect(report.bugCheck?.parameters[0]).toBe('0x62');
  expect(short(report)).toEqual([['pool', 'Fami', 1]]);
  expect(report.violations).toMatchObject([
    { kind: 'overrun', bugCheck: null, summary: expect.stringMatching(/40 bytes.*the first byte/) },
  ]);
  expect(report.violations[0]?.site).toMatchObject({ module: 'pool-families' });
});

describe('a call that breaks a rule', () => {
  it.each(Object.entries(stops))('%s', (name, [code, rule]) => {
    const { bugCheck, violations } = run(name, false);
    expect([bugCheck?.code, bugCheck?.parameters[0]]).toEqual([code, rule]);
    expect(violations).toMatchObject([{ site: { module: 'pool-families' } }]);
  });
});

describe('the same, done right', () => {
  it.each(names)('%s', (name) => {
    const { verdict, reasons, leaks, bugCheck, scenario } = run(name, true);
    expect({ verdict, reasons, leaks, bugCheck }).toEqual({ verdict: 'clean', reasons: [], leaks: [], bugCheck: null });
    expect(scenario.steps[1]?.status).toBe('0x00000000');
  });
});

it('knows every family of the driver', () => {
  expect([...Object.keys(left), ...Object.keys(stops), 'LockUserPages', 'OverrunAndLeak'].sort()).toEqual(
    [...names].sort(),
  );
});

function matching(pattern: string | RegExp): unknown {
  return typeof pattern === 'string' ? pattern : expect.stringMatching(pattern);
}
