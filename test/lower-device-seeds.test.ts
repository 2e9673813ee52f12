/** What the bus below decides by seed changes no verdict: clean drivers stay clean, and leaky ones leak where they leak. */
import { describe, expect, it } from 'vitest';
import { drivers, runSample } from './end-to-end.ts';

const seeds = [2, 7, 13, 19];
const names = ['antenna', 'beacon', 'doze', 'hub'];

const sample = (name: string) => {
  const found = drivers.find((driver) => driver.name === name);
  if (found === undefined) throw new Error(`no sample ${name}`);
  return found;
};

describe.each(names)('%s in a tour', (name) => {
  it.each(seeds)('clean: seed %i', (seed) => {
    const report = runSample(sample(`clean-${name}`), [], seed);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
  });

  it.each(seeds)('leaky: seed %i', (seed) => {
    const driver = sample(`leaky-${name}`);
    const known = driver.runs.flatMap(({ leaks }) => leaks.map(({ file, line }) => `${file}:${line}`));
    const report = runSample(driver, [], seed);
    // That driver leaks when it refuses to sleep, as it does while its device is busy.
    const isAwake = report.scenario.steps.some(({ step, status }) => step === 'suspend' && Number(status) !== 0);
    const leaks = name !== 'doze' || isAwake;
    expect(report).toMatchObject(leaks ? { verdict: 'violation', bugCheck: { code: '0xC4' } } : { verdict: 'clean' });
    for (const { site } of report.leaks) expect(known).toContain(`${site?.file?.split(/[\\/]/).at(-1)}:${site?.line}`);
  });
});
