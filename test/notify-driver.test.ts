/** Notifications of processes, threads and images end to end: see test/drivers/notify. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type Report, verify } from '../src/index.ts';

const file = (path: string) => ({
  name: path.replace(/.*\//, ''),
  bytes: new Uint8Array(readFileSync(fileURLToPath(new URL(`drivers/${path}`, import.meta.url)))),
});

const run = (name: string, ...companions: readonly string[]): Report =>
  verify({ drivers: [file(`notify/${name}.sys`), ...companions.map(file)], steps: [], instructionLimit: 1e8 });

const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());
const program = '\\Windows\\System32\\poolproof.exe';

it('hears of the requesting process, and of one that is there at the unload', () => {
  const report = run('clean');
  expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [], unsupported: [] });
  expect(said(report)).toEqual([
    'process 2000 of 4: 1 in 4, IRQL 0, APCs off',
    `ex 2000: \\??\\C:${program}, file ${program}, by 4, itself`,
    'thread of 2000: 1 in 4',
    `image \\Device\\HarddiskVolume1${program} of 2000: user, 5a4d`,
    'image \\Device\\HarddiskVolume1\\Windows\\System32\\ntdll.dll of 2000: user, 5a4d',
    'thread of 2000: 0 in 2000',
    'process 2000 of 4: 0 in 2000, IRQL 0, APCs off',
    'ex 2000 ends',
    'process 2240 of 4: 1 in 4, IRQL 0, APCs off',
    'ex 2240: \\??\\C:\\Windows\\System32\\services.exe, file \\Windows\\System32\\services.exe, by 4, itself',
    'thread of 2240: 1 in 4',
  ]);
});

it('hears of drivers that are loaded later', () => {
  const lines = said(run('clean', 'several/base.sys'));
  expect(lines.filter((line) => line.includes('image \\SystemRoot'))).toEqual([
    'image \\SystemRoot\\System32\\drivers\\base.sys of 0: system, 5a4d',
  ]);
});

it('is found to leak what it makes for processes', () => {
  const report = run('leaky');
  expect(report).toMatchObject({ verdict: 'violation', reasons: [] });
  expect(report.leaks.map(({ kind, count, bytes, steps }) => [kind, count, bytes, steps?.[0]?.name])).toEqual([
    ['pool', 1, 100, 'the end of the process'],
    ['pool', 1, 24, 'another process that starts before the unload'],
  ]);
});

it('may refuse the creation of the requesting process: then nothing is requested', () => {
  const report = run('deny');
  expect(report).toMatchObject({
    verdict: 'incomplete',
    reasons: ['a driver refused the creation of the requesting process (0xC0000022)'],
  });
  expect(said(report).filter((line) => line.startsWith('thread'))).toEqual([]);
});
