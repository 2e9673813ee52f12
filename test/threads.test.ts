/** Threads, APCs and what outlives a driver, end to end: see test/drivers/threads/threads.c. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/threads/threads.sys', import.meta.url))));

function run(code: string, seed = 1): Report {
  return verify({
    drivers: [{ name: 'threads.sys', path: null, bytes }],
    steps: ['open \\\\.\\Threads', `ioctl ${code}`].map(parseStep),
    flags: defaultFlags,
    seed,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());
const start = ['reinitialized 1', 'reinitialized 2'];
const seeds = [1, 2, 3, 4, 5, 6];

describe('a driver with threads', () => {
  it.each(seeds)('has the requests of a thread that ends cancelled, and the end waits for them: seed %s', (seed) => {
    const report = run('0x222000', seed);
    expect(said(report)).toEqual([...start, 'pends 103', 'cancelled', 'ended, c0000120']);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
  });

  it.each(seeds)('is told of the end of a request when it leaves the guarded region: seed %s', (seed) => {
    const report = run('0x222004', seed);
    expect(said(report)).toEqual([...start, '0, 102, 1']);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
  });

  it('stays in memory while somebody refers to its driver object', () => {
    const { verdict, reasons, leaks } = run('0x222008');
    expect({ verdict, leaks: leaks.map(({ kind }) => kind) }).not.toMatchObject({ verdict: 'clean' });
    expect(reasons.join()).toContain('somebody refers to the driver object');
  });

  it.each(seeds)('stops Windows if a work item that nothing keeps it for goes on after it went: seed %s', (seed) => {
    expect(run('0x22200C', seed)).toMatchObject({ verdict: 'violation' });
    expect(run('0x22200C', seed).bugCheck?.code).toMatch(/^0x(CE|C4)$/);
  });
});
