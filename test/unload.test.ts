/** What a driver leaves behind when it is unloaded, and what is gone when it is used, end to end: see test/drivers/unload/unload.c. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/unload/unload.sys', import.meta.url))));

function run(code: string): Report {
  return verify({
    drivers: [{ name: 'unload.sys', path: null, bytes }],
    steps: ['open \\\\.\\Unload', `ioctl ${code}`].map(parseStep),
    flags: defaultFlags,
    seed: 1,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

const kinds = ({ leaks }: Report): string[] => leaks.map(({ kind }) => kind);

describe('what a driver leaves behind at unload', () => {
  it('stops Windows when a thread goes on in the image that went', () => {
    expect(run('0x222000')).toMatchObject({ verdict: 'violation', bugCheck: { code: '0xCE' } });
  });

  it('is a leak if it is a thread that waits', () => {
    const report = run('0x222004');
    expect(report).toMatchObject({ verdict: 'violation', bugCheck: null });
    expect(kinds(report)).toEqual(['thread']);
  });

  it('stops Windows at once if it is a timer in the image, or a DPC with its routine there', () => {
    expect(run('0x222008').bugCheck).toMatchObject({ code: '0xC7', parameters: ['0x0', /./, /./, /./].map(anyOf) });
    expect(run('0x22200C').bugCheck).toMatchObject({ code: '0xC7', parameters: ['0x2', /./, /./, /./].map(anyOf) });
  });

  it('is nothing if it is a work item that ends: the image stays as long as its device', () => {
    const report = run('0x222010');
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
    expect(report.debugOutput).toEqual(['work item ends\n']);
  });

  it.each([
    ['0x222014', 'reference', 'Process'],
    ['0x222018', 'reference', 'Thread'],
    ['0x22201C', 'handle', 'Event'],
    ['0x222020', 'handle', 'Event \\BaseNamedObjects\\Unload'],
  ])('is a leak if it is a reference or a handle: %s', (code, kind, name) => {
    const { leaks, verdict } = run(code);
    expect(verdict).toBe('violation');
    expect(leaks).toMatchObject([{ kind, name, count: 1 }]);
  });

  it('is none if it is a handle of the requesting process, with which it went, so that DriverUnload fails to close it', () => {
    const { leaks, verdict } = run('0x222044');
    expect({ leaks, verdict }).toEqual({ leaks: [], verdict: 'clean' });
  });

  it('keeps the driver from being unloaded if it is a reference to an open file, which is named', () => {
    const { verdict, reasons, leaks, bugCheck } = run('0x222024');
    expect({ verdict, bugCheck }).toEqual({ verdict: 'violation', bugCheck: null });
    expect(leaks).toMatchObject([{ kind: 'reference', name: 'File', count: 1, site: { module: 'unload' } }]);
    expect(reasons).toEqual([expect.stringContaining('DriverUnload was not called')]);
    expect(reasons.join()).toContain('unload.sys holds a reference to a file that is open on \\Device\\Unload');
  });
});

describe('what is gone when it is used', () => {
  it.each([
    ['a DPC that is nowhere', '0x222028', '0xA'],
    ['a device that was deleted', '0x22202C', '0x18'],
    ['a file whose references were dropped', '0x222030', '0x18'],
  ])('stops Windows: %s', (_what, code, expected) => {
    expect(run(code)).toMatchObject({ verdict: 'violation', bugCheck: { code: expected } });
  });

  // A worker thread runs in the System process, where the user's addresses are nobody's.
  it.each([
    ['written by a worker thread', '0x222037', '0x7E'],
    ['copied to by a worker thread', '0x22203B', '0x7E'],
    ['locked by a worker thread', '0x22203F', '0x7E'],
    ['written by a DPC that interrupts nobody', '0x222043', '0xD1'],
  ])("stops Windows: the user's buffer, %s", (_what, code, expected) => {
    expect(run(`${code} out=8`)).toMatchObject({ verdict: 'violation', bugCheck: { code: expected } });
  });
});

function anyOf(text: string | RegExp): unknown {
  return typeof text === 'string' ? text : expect.stringMatching(text);
}
