// What the samples are and what running them must show: each file of runs/ describes a pair (or a driver without a twin,
// or a group that shares one clean twin), and its name is the pair's or group's. Leaks are not listed there: build.mjs reads them, with their lines, from the `// leak:`
// comments in the sources, and writes everything to expected.json.
import { readdirSync } from 'node:fs';

const compilerName = (compiler) => (compiler === 'clang' ? 'clang, PDB' : 'gcc');

/** The samples of one file, and their rows of the table in README.md. */
function described(name, { pair, single, group, others }) {
  if (pair !== undefined) {
    const [leaky, clean] = [`leaky-${name}`, `clean-${name}`];
    const { compiler, leaks, seenWith } = pair;
    return {
      samples: [
        { name: leaky, compiler, twin: clean, runs: pair.leaky },
        { name: clean, compiler, twin: leaky, runs: pair.clean },
      ],
      rows: [`| [${name}](leaky-${name}/leaky-${name}.c) (${compilerName(compiler)}) | ${leaks} | ${seenWith} |`],
    };
  }
  if (single !== undefined) {
    const { compiler, about, runs } = single;
    return {
      samples: [{ name, compiler, twin: null, runs }],
      rows: [`| [${name}](${name}/${name}.c) (${compiler}) | ${about} | |`],
    };
  }
  if (group !== undefined) {
    return {
      samples: group.map(({ about, seenWith, ...sample }) => ({ ...sample, group: name })),
      rows: group.map(
        (sample) =>
          `| [${sample.name}](${sample.name}/${sample.name}.c) (${compilerName(sample.compiler)}) | ${sample.about} | ${sample.seenWith} |`,
      ),
    };
  }
  return { samples: others, rows: [] };
}

const folder = new URL('./runs/', import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -'.mjs'.length))
  .sort();
const files = await Promise.all(
  names.map(async (name) => described(name, await import(new URL(`${name}.mjs`, folder).href))),
);

/** All samples, sorted by name. */
export const samples = files.flatMap((file) => file.samples).sort((one, other) => (one.name < other.name ? -1 : 1));

/** Rows of README.md's table. */
export const rows = files.flatMap((file) => file.rows);
