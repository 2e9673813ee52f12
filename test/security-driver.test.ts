/** Tokens, descriptors and access checks end to end: a driver that checks them itself; see test/drivers/security. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/security/security.sys', import.meta.url))));

/** A driver whose name ends in `m` keeps its device for SYSTEM. */
function run(code: string, name = 'security.sys'): Report {
  return verify({
    drivers: [{ name, bytes }],
    steps: ['open \\\\.\\Security', `ioctl ${code}`].map(parseStep),
    flags: defaultFlags,
    seed: 1,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

describe('security.sys', () => {
  it('passes its own checks and leaves nothing', () => {
    const { debugOutput, unsupported, reasons, leaks, verdict } = run('0x222000');
    expect({ debugOutput, unsupported, reasons, leaks, verdict }).toEqual({
      debugOutput: [],
      unsupported: [],
      reasons: [],
      leaks: [],
      verdict: 'clean',
    });
  });

  it.each([
    ['a reference to a token', '0x222004', 'reference', 'Token'],
    ['a subject context', '0x222008', 'reference', 'Token'],
    ['what SeQueryInformationToken gave', '0x22200C', 'pool', undefined],
    ['a captured descriptor', '0x222010', 'pool', undefined],
    ['a handle to a token', '0x222014', 'handle', 'Token'],
    ['what ObGetObjectSecurity gave', '0x222018', 'pool', undefined],
    ['the text of a SID', '0x22201C', 'string', undefined],
    ['a routine for logon sessions', '0x222020', 'callback', 'SeRegisterLogonSessionTerminatedRoutine'],
    ['a client context', '0x222024', 'reference', 'Token'],
  ])('is found to leave %s', (_what, code, kind, name) => {
    const { leaks, verdict, debugOutput } = run(code);
    expect(debugOutput).toEqual([]);
    expect(verdict).toBe('violation');
    expect(leaks.map((leak) => [leak.kind, leak.name ?? undefined, leak.count])).toEqual([[kind, name, 1]]);
  });

  it('may be opened by those only whom the list of its device names', () => {
    const { scenario, verdict, debugOutput } = run('0x222000', 'system.sys');
    expect(debugOutput).toEqual([]);
    expect(scenario.steps[0]).toMatchObject({ status: '0xC0000022' });
    expect(verdict).not.toBe('clean');
  });
});
