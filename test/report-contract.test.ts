/** What is promised of the JSON report: its schema, and that a run gives it again to the last byte. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../src/index.ts';
import { drivers, repository } from './end-to-end.ts';

interface Named {
  readonly name: string;
  readonly report: Report;
}

let folder = '';
const runs: (readonly Named[])[] = [];

/** All reports, from a process of their own, whose surroundings differ from the other's. */
async function reportsOf(file: string, environment: Readonly<Record<string, string>>): Promise<readonly Named[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'test/all-reports.ts', file], {
    cwd: repository,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  expect(status).toBe(0);
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => JSON.parse(line) as Named);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'poolproof-reports-'));
  const here = reportsOf(join(folder, 'one'), { TZ: 'UTC', LANG: 'C' });
  const there = reportsOf(join(folder, 'other'), { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', TMPDIR: folder });
  runs.push(...(await Promise.all([here, there])));
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const names = drivers.flatMap((driver) => driver.runs.map((run) => `${driver.name} ${run.name}`));

describe('the reports of the sample drivers', () => {
  it('are those of all runs', () => expect(runs.map((run) => run.map(({ name }) => name))).toEqual([names, names]));

  it.each(names)('%s: is the same from another process', (name) => {
    const [one, other] = runs.map((run) => {
      const report = run.find((candidate) => candidate.name === name)?.report;
      return JSON.stringify({ ...report, host: undefined });
    });
    expect(other).toBe(one);
  });

  it('are valid by docs/report.schema.json', () => {
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(
      JSON.parse(readFileSync(join(repository, 'docs/report.schema.json'), 'utf8')) as object,
    );
    for (const { name, report } of runs[0] as readonly Named[]) {
      expect(validate(report), `${name}: ${JSON.stringify(validate.errors)}`).toBe(true);
      // What the schema does not know, or misses, it refuses.
      expect(validate({ ...report, unknown: 1 })).toBe(false);
      expect(validate({ ...report, leaks: report.leaks.map((leak) => ({ ...leak, count: undefined })) })).toBe(
        report.leaks.length === 0,
      );
    }
  });
});
