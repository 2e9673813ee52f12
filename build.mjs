// Builds dist/: the command, the library for Node and for browsers, the page (Driver Verifier Manager), and the library's types.
//   node build.mjs                 everything
//   node build.mjs --out DIR       JavaScript only, elsewhere
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildPage } from './web/build.mjs';

const repository = dirname(fileURLToPath(import.meta.url));
const outIndex = process.argv.indexOf('--out');
const out = outIndex < 0 ? join(repository, 'dist') : process.argv[outIndex + 1];
if (out === undefined) throw new Error('--out needs a directory');

const require = createRequire(import.meta.url);
/** What the decoder's package exports; asked once, as its file is CommonJS and tells it only when it runs. */
const decoderExports = Object.keys(require('iced-x86')).filter((name) => !name.startsWith('__'));
const decoderFile = require.resolve('iced-x86');
const decoderWasm = join(dirname(decoderFile), 'iced_x86_bg.wasm');

/** A plugin that puts other text in the place of the decoder's package. */
const decoder = (name, contents) => ({
  name,
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^iced-x86$/ }, ({ path }) => ({ path, namespace: name }));
    onLoad({ filter: /./, namespace: name }, () => ({ contents: contents() }));
  },
});

/**
 * Loads the decoder by `require`: an `import` of its CommonJS file parses half a megabyte twice, the first time for the
 * names of its exports, which are known here.
 */
const requireDecoder = decoder('require-decoder', () =>
  [
    `import { createRequire } from 'node:module';`,
    `const decoder = createRequire(import.meta.url)('iced-x86');`,
    ...decoderExports.map((name) => `export const ${name} = decoder.${name};`),
  ].join('\n'),
);

/** The package reads its WebAssembly as a file; here it is a response that is awaited before anything runs. */
const decoderFrom = (response) =>
  decoder('fetch-decoder', () => {
    const text = readFileSync(decoderFile, 'utf8');
    const replaced = [
      ['const { TextDecoder, TextEncoder } = require(`util`);', ''],
      [
        `const path = require('path').join(__dirname, 'iced_x86_bg.wasm');\nconst bytes = require('fs').readFileSync(path);`,
        `const bytes = await (await ${response}).arrayBuffer();`,
      ],
      ['new WebAssembly.Module(bytes)', 'await WebAssembly.compile(bytes)'],
      ['new WebAssembly.Instance(wasmModule, imports)', 'await WebAssembly.instantiate(wasmModule, imports)'],
    ].reduce((rest, [from, to]) => {
      if (rest.split(from).length !== 2) throw new Error(`${decoderFile}: '${from}' was expected once`);
      return rest.replace(from, () => to);
    }, text);
    const names = decoderExports.map((name) => `export const ${name} = module.exports.${name};`);
    // A block, as its classes have the names of the exports.
    return [`const module = { exports: {} };`, '{', replaced, '}', ...names].join('\n');
  });
/** From beside the script. */
const fetchDecoder = decoderFrom(`fetch(new URL('./iced_x86_bg.wasm', import.meta.url))`);

const common = {
  absWorkingDir: repository,
  bundle: true,
  format: 'esm',
  // Less to scan at each start; names stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
};

rmSync(out, { recursive: true, force: true });
await build({
  ...common,
  entryPoints: { 'cli/poolproof': 'src/cli/poolproof.ts', index: 'src/index.ts' },
  outdir: out,
  // What the commands share is one file each, and loaded when it is needed.
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  platform: 'node',
  target: 'node20',
  // Packages stay packages: iced-x86 reads its WebAssembly from its own folder.
  packages: 'external',
  plugins: [requireDecoder],
});
chmodSync(join(out, 'cli/poolproof.js'), 0o755);

await build({
  ...common,
  entryPoints: { index: 'src/index.ts' },
  outdir: join(out, 'browser'),
  platform: 'browser',
  target: ['es2022', 'chrome111', 'firefox114', 'safari16.4'],
  plugins: [fetchDecoder],
});
copyFileSync(decoderWasm, join(out, 'browser/iced_x86_bg.wasm'));

await buildPage({ out: join(out, 'manager'), common, decoderFrom, decoderWasm });

if (outIndex < 0) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: repository, stdio: 'inherit' });
}
