/** A leak of a million blocks: what it costs follows from rows of numbers, not from an object for each block. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { Report } from '../src/index.ts';
import { repository } from './end-to-end.ts';

describe('a million leaked blocks', () => {
  it('are reported by a process that has no memory for a million objects', () => {
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [
        '--max-old-space-size=96',
        ...['--import', 'tsx', 'src/cli/poolproof.ts', 'test/drivers/million/million.sys', '--json', '-'],
      ],
      { cwd: repository, encoding: 'utf8', maxBuffer: 1e8 },
    );
    expect({ status, signal, stderr }).toEqual({ status: 1, signal: null, stderr: '' });
    const { leaks, counters, bugCheck } = JSON.parse(stdout) as Report;
    expect(leaks.map(({ count, bytes, site }) => [count, bytes, site?.function])).toEqual([
      [1_000_000, 24_000_000, 'DriverEntry'],
    ]);
    expect(bugCheck?.parameters[3]).toBe('0xf4240');
    expect(counters.poolAllocationsSucceeded).toBe(1_100_000);
  });
});
