/** RegistryCallback routines end to end: see test/drivers/registry-filter. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Report, verify } from '../src/index.ts';

const file = (name: string) => ({
  name: `${name}.sys`,
  bytes: new Uint8Array(readFileSync(fileURLToPath(new URL(`drivers/registry-filter/${name}.sys`, import.meta.url)))),
});
const options = (name: string) => ({ drivers: [file(name)], steps: [], instructionLimit: 1e8 });
const run = (name: string): Report => verify(options(name));
const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());

/** What is said of the program's first use of the registry. */
const programPath = '\\REGISTRY\\MACHINE\\SOFTWARE\\Poolproof';
const aroundLower = (before: number, after: number): string[] => [`  lower ${before}`, `  lower ${after}`];
const around = (before: number, after: number, words = '', status = ''): string[] => [
  `${before}${words}`,
  ...aroundLower(before, after),
  `${after}${status}`,
];
const firstUse = [
  ...around(28, 29, ` ${programPath}`, ' c0000034'),
  ...around(26, 27, ` ${programPath}`, ' 00000000'),
  `key ${programPath} in mode 1`,
  ...around(1, 16, ' Value type 4 size 4 context 1', ' 00000000'),
  ...around(8, 23),
  ...around(6, 21),
  ...around(5, 20),
  ...around(7, 22),
  ...around(14, 25),
  '40 context 1',
  ...around(28, 29, ` ${programPath}`, ' 00000000'),
  `key ${programPath} in mode 1`,
  ...around(30, 31),
  ...around(2, 17),
  ...around(0, 15),
  ...around(14, 25),
  '40 context 1',
];

describe('registry callbacks', () => {
  it('hear of operations before and after them, by altitude, and keep contexts', () => {
    const report = run('clean');
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [], unsupported: [] });
    expect(said(report).slice(0, firstUse.length)).toEqual(firstUse);
    expect(said(report).slice(firstUse.length, 2 * firstUse.length)).toEqual(firstUse);
  });

  it('are found to leak what they keep with operations and with keys', () => {
    const report = run('leaky');
    expect(report.verdict).toBe('violation');
    expect(report.leaks.map(({ kind, count, bytes }) => [kind, count, bytes])).toEqual([
      ['pool', 2, 64],
      ['pool', 2, 96],
      ['pool', 2, 96],
      ['pool', 1, 48],
    ]);
    expect(report.leaks[0]?.steps?.[0]?.name).toBe('what the process does in the registry');
  });

  it('block operations, answer for the system, and change results', () => {
    const report = run('block');
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [], unsupported: [] });
    const lines = said(report).slice(-16);
    expect(lines).toEqual([
      ...around(26, 27, ' \\Registry\\Machine\\Software\\Mine', ' 00000000').slice(-3),
      'key \\REGISTRY\\MACHINE\\SOFTWARE\\Mine in mode 0',
      '1 Mine type 4 size 4 context 1',
      'set: c0000022',
      '8',
      ...aroundLower(8, 23),
      'query: c0000225',
      'delete: 00000000',
      ...around(14, 25),
      '40 context 1',
    ]);
  });
});
