/**
 * Memory that was not initialised or is freed already: nothing that works by luck on Windows works here. The uses stand
 * in test/drivers/uninitialized/uninitialized.c, which does what its service name says.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Report } from '../src/run/report/report.ts';
import { reportText } from '../src/run/report/text.ts';
import { parseStep } from '../src/run/scenario/step.ts';
import { verify } from '../src/run/verify.ts';
import { defaultFlags } from '../src/verifier/core/options.ts';

const bytes = new Uint8Array(readFileSync('test/drivers/uninitialized/uninitialized.sys'));
const request = ['open \\\\.\\Uninitialized', 'ioctl 0x222000 in=01 out=64', 'close'];

function run(name: string, { steps = [] as string[], flags = defaultFlags, seed = 1 } = {}): Report {
  return verify({
    drivers: [{ name: `${name}.sys`, path: null, bytes }],
    steps: steps.map(parseStep),
    flags,
    seed,
    instructionLimit: 10e6,
    now: () => performance.now(),
  });
}

const functions = (stack: readonly { readonly function?: string }[] | undefined): (string | undefined)[] =>
  (stack ?? []).map((site) => site.function);

describe('what is read', () => {
  it.each([
    ['read-fresh', '0x7E', 'ReadFresh'],
    ['read-freed', '0x7E', 'ReadFreed'],
    ['read-freed-pages', '0x50', 'ReadFreedPages'],
    ['read-freed-mdl', '0x7E', 'ReadFreedMdl'],
    ['read-deleted-extension', '0x7E', 'ReadDeletedExtension'],
    ['read-completed', '0x3B', 'ReadAfterCompletion'],
  ])('%s: bug check %s in %s, whatever the seed', (name, code, at) => {
    for (const seed of [1, 2, 3]) {
      const { verdict, bugCheck, violations } = run(name, { seed, steps: name === 'read-completed' ? request : [] });
      expect({ verdict, code: bugCheck?.code, at: violations[0]?.site?.function }).toEqual({
        verdict: 'violation',
        code,
        at,
      });
    }
  });
});

describe('what is written to a free block', () => {
  it.each([
    ['write-freed', 25, 'WriteFreed'],
    ['write-freed-early', 25, 'WriteFreed'],
    ['unlink-freed', 1, 'UnlinkFreed'],
  ])('%s is a violation that names block, byte and who had it', (name, byte, owner) => {
    const report = run(name);
    const { verdict, bugCheck, leaks, violations } = report;
    expect({ verdict, bugCheck, leaks }).toEqual({ verdict: 'violation', bugCheck: null, leaks: [] });
    const [violation, ...others] = violations;
    expect(others).toEqual([]);
    expect(violation).toMatchObject({ kind: 'use-after-free', bugCheck: null, site: { function: 'FreeNode' } });
    expect(violation?.summary).toContain(
      `a pool block of 32 bytes (tag Unit) was written to after it was freed, at byte ${byte}; `,
    );
    expect(functions(violation?.stack)).toEqual(expect.arrayContaining(['ExFreePoolWithTag', 'FreeNode', owner]));
    const makers = ['ExAllocatePoolWithTag', 'AllocateNode', owner];
    expect(functions(violation?.allocationStack)).toEqual(expect.arrayContaining(makers));
    expect(reportText(report)).toMatch(/\n {4}freed at [^\n]*FreeNode[\s\S]*\n {4}allocated by\n[\s\S]*AllocateNode/);
  });

  it('is found without Pool tracking, which alone knows who had the block', () => {
    const [violation] = run('write-freed', { flags: 0 }).violations;
    expect(violation).toMatchObject({ kind: 'use-after-free', site: null, stack: [] });
    expect(violation?.summary).toBe('a pool block (tag Unit) was written to after it was freed, at byte 25');
  });

  it('is found in a request that was completed', () => {
    const { verdict, violations } = run('write-completed', { steps: request });
    expect(verdict).toBe('violation');
    expect(violations).toMatchObject([{ kind: 'use-after-free', bugCheck: null }]);
    expect(violations[0]?.summary).toMatch(/tag Irp /);
  });
});

it('a block is freed twice, with other allocations in between', () => {
  const { bugCheck } = run('free-twice-later');
  expect([bugCheck?.code, bugCheck?.parameters[0]]).toEqual(['0xC4', '0x13']);
});

it.each([1, 2, 3])('each kind of memory begins with what is documented: garbage or zeros (seed %i)', (seed) => {
  const { verdict, leaks, driverEntryStatus } = run('check-contents', { steps: request, seed });
  // A leak there says which line found something else.
  expect({ verdict, leaks, driverEntryStatus }).toEqual({
    verdict: 'clean',
    leaks: [],
    driverEntryStatus: expect.stringMatching(/^0x00000000/),
  });
});

it('has every use of the driver', () => {
  const source = readFileSync('test/drivers/uninitialized/uninitialized.c', 'utf8');
  const names = [...source.matchAll(/^ {4}\{L"([a-z-]+)"/gm)].map(([, name]) => name as string);
  const tests = readFileSync('test/uninitialized.test.ts', 'utf8');
  expect(names).toHaveLength(12);
  expect(names.filter((name) => !tests.includes(`'${name}'`))).toEqual([]);
});
