/** `--scenario FILE`, with the command as it is shipped, on Node alone: examples/scenario and modules that are wrong. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LifeEnded, Machine, type Report } from '../src/index.ts';
import { drivers, repository, runSample } from './end-to-end.ts';

const sys = 'drivers/leaky-mailbox/leaky-mailbox.sys';
// In the repository, where the packages are found.
const cache = join(repository, 'node_modules/.cache');
let folder = '';

beforeAll(() => {
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(join(cache, 'scenario-'));
  execFileSync(process.execPath, ['build.mjs', '--out', join(folder, 'dist')], { cwd: repository });
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function poolproof(...args: string[]): { readonly status: number | null; readonly out: string; readonly err: string } {
  const command = [join(folder, 'dist/cli/poolproof.js'), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: repository, encoding: 'utf8' });
  return { status, out: stdout, err: stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('a scenario module', () => {
  it('drives the machine, and its steps repeat the run', () => {
    const { status, out, err } = poolproof(sys, '--scenario', 'examples/scenario/mailbox.ts', '--json', '-');
    expect({ status, err }).toEqual({ status: 1, err: '' });
    const report = JSON.parse(out) as Report;
    expect(report).toMatchObject({ verdict: 'violation', leaks: [{ tag: 'Mail', count: 1, site: { line: 57 } }] });
    const sample = drivers.find(({ name }) => name === 'leaky-mailbox');
    if (sample === undefined) throw new Error('there is a leaky mailbox');
    const steps = report.scenario.steps.map(({ step }) => step);
    expect(runSample(sample, steps).scenario).toEqual(report.scenario);
  });

  it('may import other modules with types, and be JavaScript', () => {
    file('names.ts', 'export const device: string = String.raw`\\\\.\\LeakyMailbox`;');
    const typed = file(
      'imports.mts',
      "import { device } from './names.ts';\nexport default async (machine: { open(path: string): { status: number } }): Promise<void> => {\n  if (machine.open(device).status !== 0) throw new Error('not opened');\n};",
    );
    expect(poolproof(sys, '--scenario', typed)).toMatchObject({ status: 0, err: '' });
    const plain = file('plain.mjs', 'export default (machine) => { machine.wait("1s"); machine.unload(); };');
    expect(poolproof(sys, '--scenario', plain).out).toMatch(/wait 1s .*\n.* unload /);
  });

  it.each([
    ['is not there', 'none.ts', undefined, /none\.ts: no such file/],
    ['is no module', 'a.txt', '', /a\.txt: expected a \.ts, \.mts, \.js or \.mjs file/],
    ['has no default export', 'b.ts', 'export const a: number = 1;', /b\.ts: has no function as its default export/],
    ['is broken', 'c.ts', 'let x: = 1;', /c\.ts: SyntaxError/],
    ['throws when it is loaded', 'd.ts', 'throw new Error("early");', /d\.ts: Error: early/],
    ['throws', 'e.ts', 'export default () => { throw new Error("late"); };', /e\.ts: threw Error: late/],
    [
      'does a step that is none',
      'f.ts',
      'export default (m: any) => m.step("jump");',
      /f\.ts: threw .*'jump' is no step/,
    ],
  ])('that %s is refused in one line', (_what, name, text, message) => {
    const path = text === undefined ? join(folder, name) : file(name, text);
    const { status, out, err } = poolproof(sys, '--scenario', path);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(message);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('a machine driven by calls', () => {
  const path = join(repository, 'drivers/clean-mailbox/clean-mailbox.sys');
  const mailbox = { name: 'clean-mailbox.sys', bytes: new Uint8Array(readFileSync(path)) };

  it('goes on from a snapshot between two steps', () => {
    const machine = (): Machine => new Machine({ drivers: [mailbox] });
    const first = machine();
    const device = first.open('\\\\.\\CleanMailbox');
    device.ioctl(0x222088, { out: 8, async: true });
    const snapshot = first.snapshot();
    const second = machine();
    second.restore(snapshot);
    for (const one of [first, second]) one.step('cancel f1');
    expect(second.report()).toEqual(first.report());
    expect(first.report().scenario.steps[1]?.status).toBe('0xC0000120');
  });

  it('says when no step can follow', () => {
    const machine = new Machine({ drivers: [mailbox] });
    machine.report();
    expect(() => machine.wait('1s')).toThrow(LifeEnded);
  });
});
