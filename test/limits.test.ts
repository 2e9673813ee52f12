/**
 * Drivers that misbehave: each must end with a finding and its place, or say what keeps it from one. The misdeeds stand
 * in drivers/limits/limits.c, which does what its service name says; spin and recurse are drivers of their own.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Report, Site } from '../src/run/report/report.ts';
import { parseStep } from '../src/run/scenario/step.ts';
import { verify } from '../src/run/verify.ts';
import { defaultFlags } from '../src/verifier/core/options.ts';

interface Expected {
  readonly verdict: 'clean' | 'violation' | 'incomplete';
  /** Code and the parameters that are told; others may be anything. */
  readonly bugCheck?: readonly (string | undefined)[];
  /** Function of the finding's site; null where no place is known. */
  readonly at?: string | null;
  readonly reason?: RegExp;
  /** A function on some thread's stack, for lives that could not go on. */
  readonly thread?: string;
  readonly steps?: readonly string[];
  readonly instructionLimit?: number;
}

const clean: Expected = { verdict: 'clean' };
const endless = /instructions .* without coming to rest/;
const request = ['open \\\\.\\Limits', 'ioctl 0x222000', 'close'];
const accessViolation = '0xffffffffc0000005';

const misdeeds: Readonly<Record<string, Expected>> = {
  // IRQL and APC state
  'raise-irql': { verdict: 'violation', bugCheck: ['0xE1', undefined, '0x2'], at: 'DriverEntry' },
  'unload-raises': { verdict: 'violation', bugCheck: ['0xE1', undefined, '0x2'], at: 'Unload' },
  'dispatch-raises': { verdict: 'violation', bugCheck: ['0x4A', undefined, '0x2'], at: null, steps: request },
  'keep-critical-region': {
    verdict: 'violation',
    bugCheck: ['0x1', undefined, '0x0', '0xffff', '0x1'],
    at: 'DriverEntry',
  },
  'lock-twice': { verdict: 'violation', bugCheck: ['0x133', '0x1'], at: 'LockTwice' },
  // pool
  'free-garbage': { verdict: 'violation', bugCheck: ['0xC4', '0x13e'], at: 'FreeGarbage' },
  'free-user-address': { verdict: 'violation', bugCheck: ['0xC4', '0x10', '0x12340'], at: 'FreeUserAddress' },
  'free-non-canonical': { verdict: 'violation', bugCheck: ['0xC4', '0x10'], at: 'FreeNonCanonical' },
  'free-twice': { verdict: 'violation', bugCheck: ['0xC4', '0x13'], at: 'FreeTwice' },
  'write-behind-block': { verdict: 'violation', bugCheck: ['0xC4', '0x51'], at: 'WriteBehindBlock' },
  'exhaust-pool': clean,
  'leak-all': { verdict: 'violation', bugCheck: ['0xC4', '0x62'], at: 'LeakAll', instructionLimit: 100e6 },
  starve: {
    verdict: 'incomplete',
    reason: /^no memory is left/,
    instructionLimit: 100e6,
    steps: ['open \\\\.\\Limits', 'ioctl 0x222000 out=1048576'],
  },
  // stack and control flow
  'smash-return': {
    verdict: 'violation',
    bugCheck: ['0x1E', accessViolation, '0x4141414141414141', '0x0', '0xffffffffffffffff'],
    at: null,
  },
  'smash-kernel-frame': { verdict: 'violation', bugCheck: ['0xF7', '0x42424242'], at: null },
  'call-null': { verdict: 'violation', bugCheck: ['0x7E', accessViolation, '0x0'], at: 'CallNull' },
  'call-non-canonical': {
    verdict: 'violation',
    bugCheck: ['0x7E', accessViolation, '0x4141414141414141'],
    at: 'CallNonCanonical',
  },
  'call-pool': { verdict: 'violation', bugCheck: ['0xFC'], at: 'CallPool' },
  // code that changes
  'patch-code': { verdict: 'violation', bugCheck: ['0xBE'], at: 'PatchCode' },
  'patch-writable': clean,
  'patch-pool': clean,
  // the kernel's structures
  'change-driver-object': clean,
  'change-registry-path': clean,
  'loop-devices': { verdict: 'incomplete', reason: /device objects of the driver remain/ },
  // time
  'poll-interrupt-time': clean,
  'poll-tick-count': { ...clean, instructionLimit: 40e6 },
  'poll-time-stamp': clean,
  'poll-timer-flag': clean,
  'dpc-spins': { verdict: 'incomplete', reason: endless, thread: 'SpinInDpc' },
  'dpc-requeues': { verdict: 'incomplete', reason: endless, instructionLimit: 2e6 },
  'wait-forever': { verdict: 'incomplete', reason: /^DriverEntry /, thread: 'WaitForever' },
  // requests
  'twice-completed': { verdict: 'violation', bugCheck: ['0x44'], at: 'Complete', steps: request },
  'garbage-completed': { verdict: 'violation', bugCheck: ['0x44'], at: 'CompleteGarbage', steps: request },
  'never-completed': { verdict: 'incomplete', reason: /^the step 'ioctl 0x222000' /, steps: request },
  // the end
  'no-unload': { verdict: 'incomplete', reason: /no DriverUnload/ },
  'keep-timer': { verdict: 'violation', bugCheck: ['0xC7', '0x0'], at: null },
  'free-timer': { verdict: 'violation', bugCheck: ['0xC4', '0x15'], at: 'FreeBlock' },
  'keep-timer-in-pool': { verdict: 'violation', bugCheck: ['0xC4', '0x62'], at: 'FreeTimer' },
  'keep-timer-dpc': { verdict: 'violation', bugCheck: ['0xC7', '0x2'], at: null },
  'keep-work': { verdict: 'violation', bugCheck: ['0xCE'], at: null },
  'keep-thread': { verdict: 'violation', at: 'StartThread' },
  'keep-sleeping-thread': { verdict: 'violation', bugCheck: ['0xCE', undefined, '0x8'], at: 'ThreadSleeps' },
  'keep-spinning-thread': { verdict: 'violation', bugCheck: ['0xCE', undefined, '0x8'], at: 'ThreadSpins' },
};

const limits = new Uint8Array(readFileSync('test/drivers/limits/limits.sys'));

function run(name: string, bytes: Uint8Array, { steps, instructionLimit }: Expected): Report {
  return verify({
    drivers: [{ name: `${name}.sys`, path: null, bytes }],
    steps: steps?.map(parseStep),
    flags: defaultFlags,
    seed: 1,
    instructionLimit: instructionLimit ?? 10e6,
    now: () => performance.now(),
  });
}

function check(report: Report, expected: Expected): void {
  const { verdict, bugCheck, leaks, violations, reasons, threads } = report;
  expect({ verdict, reasons }).toEqual({
    verdict: expected.verdict,
    reasons: expected.reason === undefined ? [] : [expect.stringMatching(expected.reason)],
  });
  const [code, ...parameters] = expected.bugCheck ?? [];
  expect(bugCheck?.code).toBe(code);
  for (const [index, parameter] of parameters.entries()) {
    if (parameter !== undefined) expect(bugCheck?.parameters[index]).toBe(parameter);
  }
  if (expected.at !== undefined) {
    const site: Site | null = [...violations, ...leaks][0]?.site ?? null;
    expect(site?.function ?? null).toBe(expected.at);
    if (site !== null) expect(site.line).toBeGreaterThan(0);
  }
  if (expected.thread !== undefined) {
    expect(threads.flatMap(({ stack }) => stack.map((site) => site.function))).toContain(expected.thread);
  }
}

describe('a driver that misbehaves', () => {
  it.each(Object.entries(misdeeds))('%s', (name, expected) => {
    const started = performance.now();
    check(run(name, limits, expected), expected);
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it('has every misdeed of the driver in the table', () => {
    const source = readFileSync('test/drivers/limits/limits.c', 'utf8');
    const names = [...source.matchAll(/^ {4}\{L"([a-z-]+)"/gm)].map(([, name]) => name);
    expect(Object.keys(misdeeds).sort()).toEqual(names.sort());
  });

  it('spins in DriverEntry', () => {
    const expected: Expected = { verdict: 'incomplete', reason: endless, thread: 'DriverEntry' };
    const report = run('spin', new Uint8Array(readFileSync('test/drivers/spin/spin.sys')), expected);
    check(report, expected);
    const [site] = report.threads.find(({ state }) => state === 'running')?.stack ?? [];
    expect(site).toMatchObject({ module: 'spin', function: 'DriverEntry', file: 'test/drivers/spin/spin.c' });
  });

  it('recurses until the stack is used up', () => {
    const expected: Expected = { verdict: 'violation', bugCheck: ['0x7F', '0x8'], at: 'Descend' };
    check(run('recurse', new Uint8Array(readFileSync('test/drivers/recurse/recurse.sys')), expected), expected);
  });

  it('gives the same report again', () => {
    const again = (name: string): Report => ({
      ...run(name, limits, misdeeds[name] as Expected),
      host: { durationMs: 0 },
    });
    for (const name of ['smash-kernel-frame', 'poll-timer-flag', 'keep-sleeping-thread']) {
      expect(again(name)).toEqual(again(name));
    }
  });
});
