/** Symbol paths with a real driver and its PDB: stores, servers, what is met on the way and can't be used. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../src/cli/main.ts';
import { parsePe } from '../src/image/pe/index.ts';
import { storeIdentity } from '../src/image/symbols/symbol-path.ts';
import type { Report } from '../src/index.ts';
import { plainStyle } from '../src/run/report/text.ts';
import { repository } from './end-to-end.ts';

const folderOfSample = join(repository, 'drivers/leaky-lookaside');
const pdb = join(folderOfSample, 'leaky-lookaside.pdb');
const otherPdb = join(repository, 'drivers/clean-lookaside/clean-lookaside.pdb');
const bytes = new Uint8Array(readFileSync(join(folderOfSample, 'leaky-lookaside.sys')));
const codeView = parsePe(bytes, 'leaky-lookaside.sys').codeView;
const identity = storeIdentity(codeView as NonNullable<typeof codeView>);

let root = '';
let driver = '';
let server: Server;
let url = '';
const asked: string[] = [];

function put(path: string, from = pdb): string {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  copyFileSync(from, join(root, path));
  return path;
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'poolproof-symbols-'));
  driver = join(root, 'bin/leaky-lookaside.sys');
  mkdirSync(dirname(driver));
  writeFileSync(driver, bytes);
  put('flat/leaky-lookaside.pdb');
  put(`store/leaky-lookaside.pdb/${identity}/leaky-lookaside.pdb`);
  put(`tiered/le/Leaky-Lookaside.pdb/${identity.toLowerCase()}/leaky-lookaside.pdb`);
  put(`compressed/leaky-lookaside.pdb/${identity}/leaky-lookaside.pd_`);
  put(`pointer/leaky-lookaside.pdb/${identity}/file.ptr`);
  put('wrong/leaky-lookaside.pdb', otherPdb);
  mkdirSync(join(root, 'empty'));
  server = createServer(({ url: path = '' }, response) => {
    asked.push(path);
    if (path === `/symbols/leaky-lookaside.pdb/${identity}/leaky-lookaside.pdb`) response.end(readFileSync(pdb));
    else if (path.startsWith('/broken')) response.writeHead(503).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await new Promise((resolve) => server.close(resolve));
});
afterEach(() => {
  delete process.env._NT_SYMBOL_PATH;
  asked.length = 0;
});

async function run(...args: readonly string[]): Promise<{ report: Report | undefined; err: string }> {
  let [out, err] = ['', ''];
  const terminal = {
    out: (text: string): void => {
      out += text;
    },
    err: (text: string): void => {
      err += text;
    },
    style: plainStyle,
  };
  await runCommandLine([driver, '--json', '-', ...args], terminal, '1');
  return { report: out === '' ? undefined : (JSON.parse(out) as Report), err };
}

/** Where the symbols came from and what the notes say, with paths below the test's folder. */
async function symbolsOf(...args: readonly string[]): Promise<{ origin: string | undefined; notes: string }> {
  const { report } = await run(...args);
  const notes = (report?.notes ?? []).filter((note) => !note.startsWith('no steps')).join('\n');
  return { origin: report?.driver.symbols, notes: notes.replaceAll(root, '').replaceAll(url, 'URL') };
}

const inRoot = (path: string): string => path.replaceAll('%', `${root}/`);
const found = (path: string) => ({ origin: 'leaky-lookaside.pdb', notes: `symbols from /${path}` });
const stored = `store/leaky-lookaside.pdb/${identity}/leaky-lookaside.pdb`;

describe('--symbols', () => {
  it.each([
    ['%flat', 'flat/leaky-lookaside.pdb'],
    ['%flat/leaky-lookaside.pdb', 'flat/leaky-lookaside.pdb'],
    ['%store', stored],
    ['srv*%store', stored],
    ['SRV*%empty*%store*https://symbols.example/none', stored],
    ['cache*%store', stored],
    ['%empty;srv*%missing;cache*%store', stored],
    ['symsrv*symsrv.dll*%tiered', `tiered/le/Leaky-Lookaside.pdb/${identity.toLowerCase()}/leaky-lookaside.pdb`],
  ])('%s', async (path, file) => expect(await symbolsOf('--symbols', inRoot(path))).toEqual(found(file)));

  it('says where it looked when nothing was found', async () => {
    const path = inRoot('%empty;srv*%missing*https://symbols.example');
    expect(await symbolsOf('--symbols', path)).toEqual({
      origin: 'exports of leaky-lookaside.sys',
      notes: `leaky-lookaside.pdb (${identity.slice(0, 32)} age 1) was not found; looked for: beside the driver, /empty, /missing (not there), not on https://symbols.example (--download-symbols)`,
    });
  });

  it('says what it does not use, and why', async () => {
    const { notes: compressed } = await symbolsOf('--symbols', inRoot('srv*%compressed'));
    expect(compressed).toMatch(/leaky-lookaside\.pd_ is not used: compressed symbol files are not supported/);
    const { notes: pointer } = await symbolsOf('--symbols', inRoot('srv*%pointer'));
    expect(pointer).toMatch(/file\.ptr is not used/);
    const { origin, notes: wrong } = await symbolsOf('--symbols', inRoot('%wrong'));
    expect(origin).toBe('exports of leaky-lookaside.sys');
    expect(wrong).toMatch(
      new RegExp(
        `^leaky-lookaside\\.pdb is not used: .*it is [0-9A-F]{32} age 1, the image asks for ${identity.slice(0, 32)} age 1`,
      ),
    );
    expect(wrong).not.toContain(`it is ${identity.slice(0, 32)}`);
  });

  it('refuses a directory that is not there', async () => {
    const { report, err } = await run('--symbols', inRoot('%missing'));
    expect([report, err]).toEqual([undefined, expect.stringMatching(/missing: no such file/)]);
  });
});

describe('_NT_SYMBOL_PATH', () => {
  it('is used without --symbols, and may name what is not there', async () => {
    process.env._NT_SYMBOL_PATH = inRoot('%missing;srv*%store*https://symbols.example');
    expect(await symbolsOf()).toEqual(found(stored));
    expect(await symbolsOf('--symbols', inRoot('%flat'))).toEqual(found('flat/leaky-lookaside.pdb'));
  });
});

describe('a symbol server', () => {
  const kept = (folder: string): string => `${folder}/leaky-lookaside.pdb/${identity}/leaky-lookaside.pdb`;

  it('is asked only with --download-symbols, once; what it has is kept', async () => {
    const path = inRoot(`srv*%new*${url}/nothing*${url}/symbols/`);
    expect((await symbolsOf('--symbols', path)).origin).toBe('exports of leaky-lookaside.sys');
    expect(asked).toEqual([]);
    expect(await symbolsOf('--symbols', path, '--download-symbols')).toEqual({
      origin: 'leaky-lookaside.pdb',
      notes: `symbols from /${kept('new')} (downloaded from URL/symbols)`,
    });
    expect(asked).toEqual(['nothing', 'symbols'].map((name) => `/${kept(name)}`));
    expect(readFileSync(join(root, kept('new')))).toEqual(readFileSync(pdb));
    expect(await symbolsOf('--symbols', path, '--download-symbols')).toEqual(found(kept('new')));
    expect(asked).toHaveLength(2);
  });

  it('keeps in the cache element, and is not asked without a directory', async () => {
    const path = inRoot(`cache*%cache;srv*${url}/symbols`);
    expect((await symbolsOf('--symbols', path, '--download-symbols')).origin).toBe('leaky-lookaside.pdb');
    expect(existsSync(join(root, kept('cache')))).toBe(true);
    const { notes } = await symbolsOf('--symbols', `srv*${url}/symbols`, '--download-symbols');
    expect(notes).toMatch(/^URL\/symbols was not asked for symbols: .* no directory to keep them in/);
    expect(asked).toHaveLength(1);
  });

  it('that fails is a note', async () => {
    const path = inRoot(`srv*%c1*${url}/broken;srv*%c2*http://127.0.0.1:1`);
    const { origin, notes } = await symbolsOf('--symbols', path, '--download-symbols');
    expect(origin).toBe('exports of leaky-lookaside.sys');
    expect(notes).toMatch(/URL\/broken gave no symbols: it answered 503/);
    expect(notes).toMatch(/http:\/\/127\.0\.0\.1:1 gave no symbols: /);
  });
});
