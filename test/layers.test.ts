/** Layers: a file imports from its own layer and those below, and nothing of Node below the surfaces. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const source = fileURLToPath(new URL('../src', import.meta.url));

/** What each layer may import besides itself. `.` is src/index.ts, a surface like cli. */
const below: Readonly<Record<string, readonly string[]>> = {
  base: [],
  engine: ['base'],
  image: ['base'],
  hardware: ['base'],
  nt: ['base', 'engine', 'image', 'hardware'],
  verifier: ['base', 'engine', 'image', 'hardware', 'nt'],
  debugger: ['base', 'engine', 'image', 'hardware', 'nt', 'verifier'],
  run: ['base', 'engine', 'image', 'hardware', 'nt', 'verifier', 'debugger'],
  cli: ['base', 'engine', 'image', 'hardware', 'nt', 'verifier', 'debugger', 'run'],
  '.': ['base', 'engine', 'image', 'hardware', 'nt', 'verifier', 'debugger', 'run'],
};
const surfaces = ['cli', '.'];
/** Packages by the layer that may use them; commander and the like belong to cli. */
const packages: Readonly<Record<string, readonly string[]>> = {
  engine: ['iced-x86'],
  cli: ['@hono/node-server', '@swc/wasm-typescript', 'commander', 'hono', 'picocolors'],
};

const files = (readdirSync(source, { recursive: true }) as string[])
  .map((path) => path.split(sep).join('/'))
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.includes('/testing/'));

function layerOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] as string) : '.';
}

/** Modules that a file imports, re-exports or loads later. */
function importsOf(text: string): string[] {
  const statements = /(?:^|[\n;}])\s*(?:import|export)\s+(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/g;
  const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;
  return [...text.matchAll(statements), ...text.matchAll(dynamic)].map((match) => match[1] as string);
}

function problemsOf(path: string): string[] {
  const layer = layerOf(path);
  const allowed = below[layer];
  if (allowed === undefined) return [`${path}: src/${layer} is no layer`];
  return importsOf(readFileSync(join(source, path), 'utf8')).flatMap((imported) => {
    if (imported.startsWith('node:')) {
      return surfaces.includes(layer) ? [] : [`${path} imports ${imported}`];
    }
    if (!imported.startsWith('.')) {
      return packages[layer]?.includes(imported) ? [] : [`${path} imports the package ${imported}`];
    }
    const target = relative(source, join(dirname(join(source, path)), imported))
      .split(sep)
      .join('/');
    const targetLayer = layerOf(target);
    return targetLayer === layer || allowed.includes(targetLayer) ? [] : [`${path} imports ${target}`];
  });
}

it('finds imports of every form', () => {
  const text = [
    "import './a.ts';",
    "import { b } from './b.ts';",
    'import type {\n  C,\n} from "./c.ts";',
    "export * from './d.ts';",
    "const e = await import('./e.ts');",
    "export { type F } from './f.ts';",
  ].join('\n');
  expect(importsOf(text).sort()).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts']);
});

it('imports point down', () => {
  expect(files.length).toBeGreaterThan(100);
  expect(files.flatMap(problemsOf)).toEqual([]);
});

it('the page imports from src, and packages that are bundled with it', () => {
  const web = fileURLToPath(new URL('../web', import.meta.url));
  const bundled = [
    '@preact/signals',
    '@tanstack/virtual-core',
    'preact',
    'preact/hooks',
    'uplot',
    'uplot/dist/uPlot.min.css',
  ];
  const pages = (readdirSync(web, { recursive: true }) as string[]).filter((path) => /\.tsx?$/.test(path));
  expect(pages.length).toBeGreaterThan(15);
  const imported = pages.flatMap((path) =>
    importsOf(readFileSync(join(web, path), 'utf8')).map((name) => ({ path, name })),
  );
  const isAllowed = (path: string, name: string): boolean => {
    if (!name.startsWith('.')) return bundled.includes(name);
    const layer = relative(source, join(dirname(join(web, path)), name)).split(sep)[0] ?? '';
    return layer === '..' || (layer in below && !surfaces.includes(layer));
  };
  expect(imported.filter(({ path, name }) => !isAllowed(path, name))).toEqual([]);
});

/** Not by import, but by name. */
it('below the surfaces nothing of Node and no clock', () => {
  const uses = files
    .filter((path) => !surfaces.includes(layerOf(path)))
    .flatMap((path) =>
      readFileSync(join(source, path), 'utf8')
        .split('\n')
        .filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line))
        .filter((line) =>
          /(?<![.\w])(process\.\w|Buffer\.|__dirname|require\(|Date\.now|performance\.now|Math\.random|setTimeout\()/.test(
            line,
          ),
        )
        .map((line) => `${path}: ${line.trim()}`),
    );
  expect(uses).toEqual([]);
});
