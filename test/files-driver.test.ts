/** Files end to end: a driver that checks them itself; see test/drivers/files. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/files/files.sys', import.meta.url))));

function run(code: string): Report {
  return verify({
    drivers: [{ name: 'files.sys', path: null, bytes }],
    steps: ['open \\\\.\\Files', `ioctl ${code}`].map(parseStep),
    flags: defaultFlags,
    seed: 1,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

describe('files.sys', () => {
  it.each(['0x222000', '0x22200C'])('passes its own checks and leaves nothing: %s', (code) => {
    const { debugOutput, unsupported, reasons, leaks, verdict, scenario } = run(code);
    expect({ debugOutput, unsupported, reasons, leaks, verdict }).toEqual({
      debugOutput: [],
      unsupported: [],
      reasons: [],
      leaks: [],
      verdict: 'clean',
    });
    expect(scenario.steps[1]?.status).toBe('0x00000000');
  });

  it.each([
    ['a file that is open', '0x222004', 'handle', 'File'],
    ['a reference to a file object', '0x222008', 'reference', 'File'],
  ])('is found to leave %s', (_what, code, kind, name) => {
    const { leaks, verdict } = run(code);
    expect(verdict).toBe('violation');
    expect(leaks.map((leak) => [leak.kind, leak.name, leak.count])).toEqual([[kind, name, 1]]);
  });
});
