/** The built page in Chromium, from a server that sends nothing but files; for tests. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Report } from '../src/run/report/report.ts';
import { repository } from './end-to-end.ts';

export const executablePath =
  process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export interface BuiltPage {
  /** The build's folder; the page is in `manager` below. */
  readonly folder: string;
  remove(): void;
}

export function buildPage(): BuiltPage {
  const folder = mkdtempSync(join(tmpdir(), 'poolproof-manager-'));
  execFileSync(process.execPath, [join(repository, 'build.mjs'), '--out', folder]);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface StaticHost {
  readonly url: string;
  /** Paths that were asked for. */
  readonly asked: string[];
  close(): void;
}

export async function serveStatically(folder: string): Promise<StaticHost> {
  const asked: string[] = [];
  const server = createServer(({ url = '/' }, response) => {
    const path = normalize(new URL(url, 'http://localhost').pathname);
    asked.push(path);
    const file = join(folder, path === '/' ? 'index.html' : path);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream').end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, asked, close: () => server.close() };
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ ...(executablePath ? { executablePath } : {}), args: ['--no-sandbox'] });
}

/** A tab, and what went wrong in it: exceptions, errors on its console, dialogs. */
export interface Tab {
  readonly page: Page;
  readonly troubles: string[];
}

export async function openTab(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const troubles: string[] = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') troubles.push(message.text());
  });
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (!['blob:', 'data:'].includes(protocol) && origin !== new URL(url).origin)
      troubles.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  return { page, troubles };
}

export const showPage = (page: Page, name: string): Promise<void> =>
  page.getByRole('tab', { name, exact: true }).click();

/** The verdict, in capitals. */
export async function verdictOf(page: Page): Promise<string> {
  const status = page.locator('[role=status].verdict');
  await status.waitFor({ timeout: 30_000 });
  return (await status.textContent()) ?? '';
}

/** Drops files on the page as a user would. */
export async function drop(
  page: Page,
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
): Promise<void> {
  const given = files.map(({ name, bytes }) => ({ name, base64: Buffer.from(bytes).toString('base64') }));
  const data = await page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of all) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name));
    }
    return transfer;
  }, given);
  await page.dispatchEvent('.drop-zone', 'dragover', { dataTransfer: data });
  await page.dispatchEvent('.drop-zone', 'drop', { dataTransfer: data });
}

/** A counter's cells. */
export async function counter(page: Page, name: string): Promise<readonly number[]> {
  const cells = page
    .locator('table.counters tr', { has: page.getByRole('rowheader', { name, exact: true }) })
    .locator('td');
  return (await cells.allTextContents()).map((text) => Number(text.replaceAll(',', '')));
}

/** Types a line in the debugger; what it printed. */
export async function debuggerSays(page: Page, line: string): Promise<string> {
  await showPage(page, 'Kernel debugger');
  const log = page.getByRole('log');
  const before = ((await log.textContent()) ?? '').length;
  await page.locator('#command').fill(line);
  await page.locator('#command').press('Enter');
  await page.locator('label[for=command]', { hasText: 'kd>' }).waitFor({ timeout: 30_000 });
  return ((await log.textContent()) ?? '').slice(before);
}

/** The report that the page saves. */
export async function savedReport(page: Page): Promise<Report> {
  await showPage(page, 'Result');
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save the report (JSON)' }).click();
  return JSON.parse(readFileSync(await (await saved).path(), 'utf8'));
}

/** What `!verifier 3` lists of pool, in bytes by tag. */
export function listedPool(text: string): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  for (const [, bytes, tag = ''] of text.matchAll(/^\s+0x[0-9a-f]{16}\s+0x([0-9a-f]{8})\s+(\S{4})\s/gim)) {
    found.set(tag, [...(found.get(tag) ?? []), Number.parseInt(bytes ?? '', 16)]);
  }
  return found;
}

/** Waits until the page says that of the machine: `Ready`, `Running`, `Paused`. */
export const situation = (page: Page, text: string): Promise<void> =>
  page.getByRole('status').getByText(text, { exact: true }).waitFor();
