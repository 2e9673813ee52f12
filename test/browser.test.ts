/**
 * The library in a browser: the same driver, steps and seed give the same report, to the byte, as in Node. Needs
 * Chromium (`chromium` of the system's packages, or CHROMIUM=/path); without it the tests are skipped.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultFlags, type Report } from '../src/index.ts';
import { defaultInstructionLimit } from '../src/run/machine-options.ts';
import { drivers, type ExpectedDriver, repository, runSample } from './end-to-end.ts';

const executablePath =
  process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

/** The page's script: a worker that runs one driver for each message. */
const worker = `
import { parseStep, verify } from '/browser/index.js';
const read = async (path) => new Uint8Array(await (await fetch('/' + path)).arrayBuffer());
onmessage = async ({ data: { sys, pdb, name, steps, flags, seed, instructionLimit } }) => {
  try {
    const report = verify({
      drivers: [
        {
          name,
          path: sys,
          bytes: await read(sys),
          symbolFiles: pdb === null ? [] : [{ name: pdb, bytes: await read(pdb) }],
        },
      ],
      steps: steps.length === 0 ? undefined : steps.map(parseStep),
      flags, seed, instructionLimit,
      now: () => performance.now(),
    });
    postMessage({ report: JSON.stringify({ ...report, host: undefined }) });
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
};
postMessage({ ready: true });
`;
const page = `<!doctype html><title>poolproof</title><script type="module">
const worker = new Worker('/worker.js', { type: 'module' });
const next = () => new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
const ready = next();
worker.onerror = (event) => { globalThis.failure = event.message; };
globalThis.run = async (options) => { await ready; const answer = next(); worker.postMessage(options); return answer; };
</script>`;

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

describe.skipIf(executablePath === undefined)('in Chromium', () => {
  let built = '';
  let server: Server;
  let browser: Browser;
  let tab: Page;

  beforeAll(async () => {
    built = mkdtempSync(join(tmpdir(), 'poolproof-browser-'));
    execFileSync(process.execPath, [join(repository, 'build.mjs'), '--out', built]);
    server = createServer(({ url = '/' }, response) => {
      const path = normalize(url);
      if (path === '/') response.setHeader('content-type', 'text/html').end(page);
      else if (path === '/worker.js') response.setHeader('content-type', 'text/javascript').end(worker);
      else {
        const file = path.startsWith('/browser/') ? join(built, path) : join(repository, path);
        response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
        if (existsSync(file)) response.end(readFileSync(file));
        else response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({ ...(executablePath ? { executablePath } : {}), args: ['--no-sandbox'] });
    tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(built, { recursive: true, force: true });
  });

  async function inBrowser(driver: ExpectedDriver, steps: readonly string[], seed: number): Promise<string> {
    const options = {
      sys: driver.sys,
      pdb: driver.pdb,
      name: `${driver.name}.sys`,
      steps,
      flags: defaultFlags,
      seed,
      instructionLimit: defaultInstructionLimit,
    };
    const answer = await tab.evaluate(`Promise.race([globalThis.run(${JSON.stringify(options)}),
      new Promise((resolve) => setTimeout(() => resolve({ error: globalThis.failure ?? 'no answer' }), 50000))])`);
    const { report, error } = answer as { report?: string; error?: string };
    expect(error).toBeUndefined();
    return report ?? '';
  }

  const inNode = (report: Report): string => JSON.stringify({ ...report, host: undefined });

  for (const driver of drivers) {
    const runs = [[], ...driver.runs.slice(0, 2).map(({ steps }) => steps.map(({ step }) => step))];
    it(`gives the report of ${driver.name} that Node gives`, async () => {
      for (const [index, steps] of runs.entries()) {
        const seed = index + 1;
        expect(await inBrowser(driver, steps, seed)).toBe(inNode(runSample(driver, steps, seed)));
      }
    });
  }
});
