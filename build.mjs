// Builds dist/: the command, the library, and the library's types.
//   node build.mjs                 everything
//   node build.mjs --out DIR       JavaScript only, elsewhere
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const repository = dirname(fileURLToPath(import.meta.url));
const outIndex = process.argv.indexOf('--out');
const out = outIndex < 0 ? join(repository, 'dist') : process.argv[outIndex + 1];
if (out === undefined) throw new Error('--out needs a directory');

/**
 * Loads the decoder by `require`: an `import` of its CommonJS file parses half a megabyte twice, the first time for the
 * names of its exports, which are known here.
 */
const requireDecoder = {
  name: 'require-decoder',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^iced-x86$/ }, ({ path }) => ({ path, namespace: 'require-decoder' }));
    onLoad({ filter: /./, namespace: 'require-decoder' }, ({ path }) => ({
      contents: [
        `import { createRequire } from 'node:module';`,
        `const decoder = createRequire(import.meta.url)('${path}');`,
        ...Object.keys(createRequire(import.meta.url)(path))
          .filter((name) => !name.startsWith('__'))
          .map((name) => `export const ${name} = decoder.${name};`),
      ].join('\n'),
    }));
  },
};

rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: repository,
  entryPoints: { 'cli/poolproof': 'src/cli/poolproof.ts', index: 'src/index.ts' },
  outdir: out,
  bundle: true,
  // What the commands share is one file each, and loaded when it is needed.
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Packages stay packages: iced-x86 reads its WebAssembly from its own folder.
  packages: 'external',
  plugins: [requireDecoder],
  // Less to scan at each start; names stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
});
chmodSync(join(out, 'cli/poolproof.js'), 0o755);

if (outIndex < 0) {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: repository, stdio: 'inherit' });
}
