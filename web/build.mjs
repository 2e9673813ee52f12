// Builds the page: one folder of static files that any web server can serve, samples included.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const web = dirname(fileURLToPath(import.meta.url));
const drivers = join(web, '../drivers');

/** `common`: esbuild's options of the whole build; `decoderFrom`: the decoder's package with its file out of a response. */
export async function buildPage({ out, common, decoderFrom, decoderWasm }) {
  mkdirSync(out, { recursive: true });
  const bundles = {
    ...common,
    minify: true,
    platform: 'browser',
    target: ['es2022', 'chrome111', 'firefox114', 'safari16.4'],
  };
  await Promise.all([
    build({
      ...bundles,
      // Named for stack traces: what fails here is reported with them.
      keepNames: false,
      minifyIdentifiers: false,
      entryPoints: { worker: join(web, 'worker/worker.ts') },
      outdir: out,
      splitting: true,
      chunkNames: '[name]-[hash]',
      plugins: [decoderFrom('globalThis.decoderFile')],
    }),
    build({
      ...bundles,
      entryPoints: { page: join(web, 'page/main.tsx') },
      outdir: out,
      jsx: 'automatic',
      jsxImportSource: 'preact',
    }),
  ]);
  for (const file of ['index.html', 'icon.svg']) copyFileSync(join(web, file), join(out, file));
  copyFileSync(decoderWasm, join(out, 'iced_x86_bg.wasm'));
  writeFileSync(join(out, 'samples.json'), JSON.stringify(await copySamples(out)));
}

/** The sample drivers with what belongs to them: symbols, sources, steps. */
async function copySamples(out) {
  const { samples } = await import('../drivers/samples.mjs');
  const about = await descriptions();
  const { drivers: expected } = JSON.parse(readFileSync(join(drivers, 'expected.json'), 'utf8'));
  return samples
    .filter(({ name }) => existsSync(join(drivers, name, `${name}.sys`)))
    .map(({ name, runs, shared = [] }) => {
      const own = filesIn(name).filter((file) => /\.(sys|pdb|c|h)$/.test(file));
      const included = shared.flatMap((one) =>
        filesIn('include').filter((file) => /^(.*)\.[ch]$/.exec(file)?.[1] === one),
      );
      const files = [...own.map((file) => `${name}/${file}`), ...included.map((file) => `include/${file}`)];
      for (const file of files) {
        mkdirSync(dirname(join(out, 'drivers', file)), { recursive: true });
        copyFileSync(join(drivers, file), join(out, 'drivers', file));
      }
      const deviceModel = runs.find((run) => run.deviceModel !== undefined)?.deviceModel;
      return {
        name,
        about: about.get(name) ?? '',
        files: files.map((file) => `drivers/${file}`),
        ...shownBy(expected.find((driver) => driver.name === name)?.runs ?? [], deviceModel),
        runs: runs.map((run) => ({ name: run.name, steps: run.steps.map(({ step }) => step) })),
        ...(deviceModel === undefined ? {} : { deviceModel }),
      };
    });
}

/** What its runs find: the list that it stands in, and the run to begin with if a tour finds nothing. */
function shownBy(runs, deviceModel) {
  const faulty = runs.filter(({ verdict }) => verdict === 'violation');
  const isTourEnough = faulty.length === 0 || faulty.some(({ steps }) => steps.length === 0);
  const group = faulty.length === 0 ? 'clean' : 'leaky';
  return {
    group: deviceModel === undefined ? group : 'dma',
    ...(isTourEnough ? {} : { described: faulty[0].name }),
  };
}

const filesIn = (folder) => readdirSync(join(drivers, folder));

/** One line for each sample, out of the descriptions that the drivers' README has too. */
async function descriptions() {
  const about = new Map();
  for (const file of filesIn('runs').filter((name) => name.endsWith('.mjs'))) {
    const { pair, single, group = [] } = await import(`../drivers/runs/${file}`);
    const name = file.slice(0, -'.mjs'.length);
    if (pair !== undefined) {
      about.set(`leaky-${name}`, plain(pair.leaks));
      about.set(`clean-${name}`, `leaks nothing: leaky-${name} corrected`);
    }
    if (single !== undefined) about.set(name, plain(single.about));
    for (const one of group) about.set(one.name, plain(one.about));
  }
  return about;
}

/** Markdown's marks are not for this page. */
const plain = (text = '') => text.replaceAll('`', '');
