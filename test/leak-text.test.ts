/** What the report says of a leak: source line, routine, and the steps that it came in. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SourceFiles } from '../src/cli/source-files.ts';
import { parseStep, type Report, verify } from '../src/index.ts';
import { reportText } from '../src/run/report/text.ts';
import { drivers, type ExpectedDriver, repository } from './end-to-end.ts';

const chosen = [
  ['leaky-inventory', 'load'],
  ['leaky-lookaside', 'early-close'],
  ['leaky-beacon', 'surprise'],
  ['leaky-canvas', 'clipped'],
  ['leaky-resources', 'mdl'],
] as const;

function run(name: string, runName: string): Report {
  const driver = drivers.find((one) => one.name === name) as ExpectedDriver;
  const steps = driver.runs.find((one) => one.name === runName)?.steps.map(({ step }) => parseStep(step));
  const read = (path: string): Uint8Array => new Uint8Array(readFileSync(join(repository, path)));
  // As the command does, but for its paths, which are those of this machine.
  const sources = new SourceFiles([join(repository, driver.sys)], []);
  return verify({
    drivers: [
      {
        name: basename(driver.sys),
        path: driver.sys,
        bytes: read(driver.sys),
        symbolFiles: driver.pdb === null ? [] : [{ name: driver.pdb, bytes: read(driver.pdb) }],
      },
    ],
    steps: steps === undefined || steps.length === 0 ? undefined : steps,
    readSource: (file) => sources.find(file),
  });
}

describe('the leaks of', () => {
  it.each(chosen)('%s %s', async (name, runName) => {
    const report = run(name, runName);
    for (const { source, site, steps, sinceStep, count } of report.leaks) {
      expect(source?.line).toBe(site?.line);
      expect(sinceStep).toEqual(steps[0]);
      expect(steps.reduce((sum, step) => sum + step.count, 0)).toBe(count);
      for (const { step, name: text } of steps) {
        if (step !== null) expect(report.scenario.steps[step - 1]?.step).toBe(text);
      }
    }
    const text = reportText(report);
    const first = text.indexOf('Leaked:');
    // Where a block lies, and how the kernel came to call the driver, is no matter of this test.
    const leaks = text
      .slice(first, text.indexOf('\n\n', first))
      .replace(/0x[0-9a-f]{16}/g, '0xfffff800`…')
      .replace(/(\n {6}nt!\w+\+0x.*)+/g, '\n      nt!…');
    await expect(`${leaks}\n`).toMatchFileSnapshot(`./leak-text/${name}-${runName}.txt`);
  });
});
