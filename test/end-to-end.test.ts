import { describe, expect, it } from 'vitest';
import type { Leak, Report } from '../src/index.ts';
import {
  drivers,
  type ExpectedLeak,
  type ExpectedRun,
  type ExpectedStep,
  runExpected,
  runSample,
} from './end-to-end.ts';

/** What Verifier counts as the driver's pool allocations. */
const countedKinds = ['pool', 'mdl', 'irp', 'workitem', 'string', 'completion-context'];

const nothing = { bugCheck: null, leaks: [], driverEntryStatus: '0x00000000' };

/** What expected.json says, in the shape in which {@link found} tells it. Null there: not checked. */
function wanted(run: ExpectedRun): unknown {
  return {
    verdict: run.verdict,
    driverEntryStatus: run.driverEntryStatus,
    bugCheck: run.bugCheck,
    leaks: run.leaks.map(expectedFacts),
    steps: answered(run),
  };
}

function answered(run: ExpectedRun): readonly ExpectedStep[] {
  return run.steps
    .filter(({ status }) => status !== null)
    .map((step) => ({ ...step, output: step.output === null ? null : digitsOf(step.output) }));
}

function digitsOf(output: string): string {
  if (!output.includes('*')) return output;
  const parts = output.split(',').map((part) => part.split('*') as [string, string]);
  return parts.map(([byte, count]) => byte.repeat(Number(count))).join('');
}

function found(report: Report, run: ExpectedRun): unknown {
  const { bugCheck } = report;
  return {
    verdict: report.verdict,
    driverEntryStatus: run.driverEntryStatus === null ? null : report.driverEntryStatus,
    bugCheck: bugCheck && {
      code: bugCheck.code,
      parameter1: run.bugCheck?.parameter1 === null ? null : bugCheck.parameters[0],
      allocations: run.bugCheck?.allocations === null ? null : Number(bugCheck.parameters[3]),
      ...(run.bugCheck?.parameters === undefined
        ? {}
        : {
            parameters: run.bugCheck.parameters.map((value, index) =>
              value === null ? null : bugCheck.parameters[index],
            ),
          }),
      ...(run.bugCheck?.function === undefined ? {} : { function: stoppedIn(report, run.bugCheck.function) }),
    },
    leaks: pairedWith(run.leaks, byLine(report.leaks.map(leakFacts))),
    // The tour takes steps of its own.
    steps: answered(run).map((step, index) => onlyWhere(step, report.scenario.steps[index])),
  };
}

function expectedFacts(leak: ExpectedLeak): LeakFacts {
  const { kind, tag, name, bytes, count, poolType, file, line } = leak;
  return { kind, tag, name, bytes, count, poolType, function: leak.function, file, line };
}

function leakFacts({ kind, tag, name, bytes, count, poolType, site }: Leak): LeakFacts {
  const file = site?.file?.split(/[\\/]/).at(-1);
  return { kind, tag, name: name ?? null, bytes, count, poolType, function: site?.function, file, line: site?.line };
}

/** `name` if the driver's code at the top of the stack is that function's, be it inlined; else what is there. */
function stoppedIn(report: Report, name: string): unknown {
  const { site, stack = [] } = report.violations[0] ?? {};
  const first = stack.findIndex((frame) => frame === site || (frame.line === site?.line && frame.file === site?.file));
  const functions = [];
  for (const frame of stack.slice(first)) {
    functions.push(frame.function);
    if (frame.inlined !== true) break;
  }
  return functions.includes(name) ? name : functions;
}

interface LeakFacts {
  readonly kind: string;
  readonly tag: string | null;
  readonly name: string | null;
  readonly bytes: number | null;
  /** Null: not checked. */
  readonly count: number | null;
  readonly poolType: string | null;
  readonly function: string | undefined;
  readonly file: string | undefined;
  readonly line: number | undefined;
}

/** Leaks of one line that differ in how it was reached, or in the object's name, as one. */
function byLine(leaks: readonly LeakFacts[]): readonly LeakFacts[] {
  const lines = new Map<string, LeakFacts>();
  for (const leak of leaks) {
    const key = JSON.stringify({ ...leak, name: null, bytes: 0, count: 0 });
    const { bytes, count } = lines.get(key) ?? { bytes: 0, count: 0 };
    lines.set(key, { ...leak, bytes: (bytes ?? 0) + (leak.bytes ?? 0), count: (count ?? 0) + (leak.count ?? 0) });
  }
  return [...lines.values()];
}

/** The leaks in the order of the expected ones, which stand on lines of their own; then those that nobody expects. */
function pairedWith(expected: readonly ExpectedLeak[], leaks: readonly LeakFacts[]): unknown[] {
  const partner = (leak: LeakFacts): number =>
    expected.findIndex(
      ({ kind, line, function: name }) => kind === leak.kind && line === leak.line && name === leak.function,
    );
  return [
    ...expected.map((leak, index) =>
      onlyWhere(
        expectedFacts(leak),
        leaks.find((other) => partner(other) === index),
      ),
    ),
    ...leaks.filter(
      (leak, index) => partner(leak) < 0 || leaks.slice(0, index).some((other) => partner(other) === partner(leak)),
    ),
  ];
}

/** The fields of `pattern` as `value` has them; null where the pattern does not care. */
function onlyWhere<T extends object>(pattern: T, value: Partial<Record<keyof T, unknown>> | undefined): object {
  return Object.fromEntries(
    Object.entries(pattern).map(([key, wantedValue]) => [key, wantedValue === null ? null : value?.[key as keyof T]]),
  );
}

describe.each(drivers)('$name', (driver) => {
  it.each(driver.runs)('$name', (run) => {
    const report = runExpected(driver, run);
    expect(found(report, run), report.reasons.join('; ')).toEqual(wanted(run));
    if (run.steps.length > 0) expect(report.scenario.steps).toHaveLength(answered(run).length);
    if (run.verdict === 'clean')
      expect(report).toMatchObject({ ...nothing, unsupported: [], reasons: [], violations: [] });
  });
});

describe('every leak', () => {
  const leaky = drivers.flatMap((driver) =>
    driver.runs
      .filter(({ leaks }) => leaks.length > 0)
      .map((run) => ({ driver, run, name: `${driver.name} ${run.name}` })),
  );
  it.each(leaky)('$name: stands at a frame of its stack, and the counts add up', ({ driver, run }) => {
    const report = runExpected(driver, run);
    for (const leak of report.leaks) {
      expect(leak.stack).toContainEqual(leak.site);
      expect(leak.stack[0]).toMatchObject({
        module: 'nt',
        function: expect.stringMatching(/^(Ex|Hal|Io|Mm|Ob|Ps|Rtl|Zw)\w+$/),
      });
      for (const { step, name } of leak.steps) {
        if (/^(open|read|write|ioctl) /.test(name)) expect(step, name).not.toBeNull();
        if (step !== null) expect(report.scenario.steps[step - 1]?.step).toBe(name);
      }
    }
    const inPool = report.leaks.filter(({ kind }) => countedKinds.includes(kind));
    const counted = inPool.reduce((sum, { count }) => sum + count, 0);
    // A device that stays keeps the driver loaded, and Verifier from counting; so does another bug check.
    const isLoaded = report.leaks.some(({ kind }) => kind === 'device');
    if (isLoaded) expect(report.bugCheck).toBeNull();
    else if (report.bugCheck !== null && report.bugCheck.code !== '0xC4') expect(counted).toBe(0);
    else expect(counted).toBe(Number(report.bugCheck?.parameters[3] ?? 0));
    if (report.bugCheck !== null && report.bugCheck.code !== '0xC4') return;
    const bytes = (kind: 'pagedPool' | 'nonPagedPool'): number =>
      report.counters.drivers[0]?.[kind].currentBytes ?? Number.NaN;
    expect(inPool.reduce((sum, leak) => sum + leak.bytes, 0)).toBe(bytes('pagedPool') + bytes('nonPagedPool'));
  });
});

describe('a run', () => {
  const [driver] = drivers.filter(({ name }) => name === 'leaky-inventory');
  const facts = (report: Report): unknown => ({ ...report, host: undefined });

  it('repeats to the last byte of its report', () => {
    expect(driver).toBeDefined();
    expect(facts(runSample(driver!, []))).toEqual(facts(runSample(driver!, [])));
  });

  it('finds the same leaks with another seed', () => {
    const leaks = (seed: number): unknown => runSample(driver!, [], seed).leaks.map(leakFacts);
    expect(leaks(2)).toEqual(leaks(1));
  });
});
