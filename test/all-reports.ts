/** Writes the reports of every run of the sample drivers, one JSON document a line, to the file that is named. */
import { writeFileSync } from 'node:fs';
import { drivers, runExpected } from './end-to-end.ts';

const lines = drivers.flatMap((driver) =>
  driver.runs.map((run) => JSON.stringify({ name: `${driver.name} ${run.name}`, report: runExpected(driver, run) })),
);
writeFileSync(process.argv[2] as string, lines.join('\n'));
