/** The registry end to end: a driver that checks it itself and leaves three things behind; see test/drivers/registry. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, type Leak, type Report, verify } from '../src/index.ts';

const folder = new URL('drivers/registry/', import.meta.url);
const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('registry.sys', folder))));
const source = readFileSync(fileURLToPath(new URL('registry.c', folder)), 'utf8').split('\n');
const options = {
  drivers: [{ name: 'registry.sys', path: null, bytes }],
  steps: undefined,
  flags: defaultFlags,
  seed: 1,
  instructionLimit: 1e8,
};

/** The line of DriverEntry that has the text, as the finding's stack must name it. */
function lineWith(text: string): number {
  const line = source.findIndex((candidate) => candidate.includes(text)) + 1;
  expect(line).toBeGreaterThan(0);
  return line;
}

const inEntry = ({ stack }: Leak): number | undefined => stack.find((site) => site.function === 'DriverEntry')?.line;

describe('registry.sys', () => {
  const report: Report = verify({ ...options, now: () => 0 });

  it('passes its own checks', () => {
    expect(report.debugOutput).toEqual([]);
    expect(report.driverEntryStatus).toBe('0x00000000');
    expect(report.unsupported).toEqual([]);
  });

  it('is found to leave a string, a key handle and a callback', () => {
    const found = report.leaks.map((leak) => [leak.kind, leak.name, leak.bytes, inEntry(leak)]);
    expect(found).toEqual([
      ['string', undefined, 18, lineWith('the string')],
      ['handle', 'Key \\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft', 0, lineWith('/* the handle */')],
      ['registry-callback', '380010', 0, lineWith('/* the callback */')],
    ]);
    expect(report.leaks[1]?.site).toMatchObject({ function: 'Open', line: lineWith('ZwOpenKey(&handle, KEY_ALL') });
  });
});
