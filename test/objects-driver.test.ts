/** Sections, callbacks, names and tables end to end: a driver that checks them itself; see test/drivers/objects. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/objects/objects.sys', import.meta.url))));

function run(code: string): Report {
  return verify({
    drivers: [{ name: 'objects.sys', path: null, bytes }],
    steps: ['open \\\\.\\Objects', `ioctl ${code}`].map(parseStep),
    flags: defaultFlags,
    seed: 1,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

describe('objects.sys', () => {
  it.each([
    ['nothing', '0x222000'],
    ["memory of the caller's process, which goes with it", '0x222008'],
  ])('passes its own checks and leaves %s', (_what, code) => {
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
    ['a view', '0x222004', 'mapping', undefined],
    ['a registration with a callback object', '0x22200C', 'callback', 'ExRegisterCallback'],
    ['a reference to a callback object', '0x222010', 'reference', 'Callback \\Callback\\Mine'],
    ['a routine for images', '0x222014', 'callback', 'PsSetLoadImageNotifyRoutine'],
    ['a routine for processes', '0x222018', 'callback', 'PsSetCreateProcessNotifyRoutine'],
    ['a trace provider', '0x22201C', 'callback', 'EtwRegister'],
    ['a routine for NMIs', '0x222020', 'callback', 'KeRegisterNmiCallback'],
    ['a bug check callback', '0x222024', 'callback', 'KeRegisterBugCheckCallback'],
    ['an element of a table', '0x222028', 'pool', undefined],
    ['a handle to a directory', '0x22202C', 'handle', 'Directory \\Left'],
    ['a reference by name', '0x222030', 'reference', 'Driver \\FileSystem\\Ntfs'],
    ['a handle to a section', '0x222034', 'handle', 'Section'],
  ])('is found to leave %s', (_what, code, kind, name) => {
    const { leaks, verdict, debugOutput } = run(code);
    expect(debugOutput).toEqual([]);
    expect(leaks.map((leak) => [leak.kind, leak.name ?? undefined, leak.count])).toEqual([[kind, name, 1]]);
    expect(verdict).toBe('violation');
  });
});
