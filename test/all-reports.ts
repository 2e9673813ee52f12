/** Writes the reports of every run of the sample drivers, one JSON document a line, to the file that is named. */
import { writeFileSync } from 'node:fs';
import { drivers, runSample } from './end-to-end.ts';

const lines = drivers.flatMap((driver) =>
  driver.runs.map((run) => {
    const steps = run.steps.map(({ step }) => step);
    return JSON.stringify({ name: `${driver.name} ${run.name}`, report: runSample(driver, steps) });
  }),
);
writeFileSync(process.argv[2] as string, lines.join('\n'));
