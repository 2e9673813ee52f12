/** Scenario modules: a file whose default export drives a machine. Types are stripped when it is loaded. */
import { createRequire, register } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PoolproofError } from '../base/errors.ts';
import type { Machine } from '../run/machine.ts';
import { readInputFile } from './input-files.ts';

export type Scenario = (machine: Machine) => unknown;

/** Strips the types of what is imported from now on; Node 20 does not by itself. Runs in Node's thread for such hooks. */
const stripTypes = `
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
let stripper;
export function initialize(path) { stripper = createRequire(path)(path); }
export async function load(url, context, next) {
  if (!/^file:.*[.]m?ts$/.test(url)) return next(url, context);
  const text = await readFile(new URL(url), 'utf8');
  try {
    return { format: 'module', shortCircuit: true, source: stripper.transformSync(text, { mode: 'strip-only', filename: url }).code };
  } catch (error) {
    throw new SyntaxError(error.message ?? String(error));
  }
}`;

/** The module's default export. Throws PP6001 for a file that is not there, PP6003 for one that is no scenario. */
export async function loadScenario(path: string): Promise<Scenario> {
  readInputFile(path);
  if (!/\.(ts|mts|js|mjs)$/.test(path)) throw scenarioError(path, 'expected a .ts, .mts, .js or .mjs file');
  register(`data:text/javascript,${encodeURIComponent(stripTypes)}`, {
    parentURL: import.meta.url,
    data: createRequire(import.meta.url).resolve('@swc/wasm-typescript'),
  });
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(pathToFileURL(resolve(path)).href)) as typeof loaded;
  } catch (error) {
    throw scenarioError(path, messageOf(error), error);
  }
  const scenario = loaded.default;
  if (typeof scenario !== 'function') throw scenarioError(path, 'has no function as its default export');
  return async (machine) => {
    try {
      await (scenario as Scenario)(machine);
    } catch (error) {
      if (error instanceof Error && error.name === 'LifeEnded') throw error;
      throw scenarioError(path, `threw ${messageOf(error)}`, error);
    }
  };
}

function scenarioError(path: string, problem: string, cause?: unknown): PoolproofError {
  return new PoolproofError('PP6003', `${path}: ${problem}`, { cause });
}

function messageOf(error: unknown): string {
  return String(error).split('\n')[0] ?? '';
}
