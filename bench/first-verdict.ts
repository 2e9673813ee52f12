/**
 * How long Driver Verifier Manager takes from opening the static page to the first verdict of a sample, in Chromium:
 * `npx tsx bench/first-verdict.ts [--rounds N]`. Median of fresh browsers, and of the page opened again in the last one.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser } from 'playwright-core';
import { buildPage, launchBrowser, openTab, serveStatically, verdictOf } from '../test/manager-page.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;

async function time(browser: Browser, url: string): Promise<number> {
  const began = performance.now();
  const { page } = await openTab(browser, `${url}?sample=leaky-inventory`);
  await verdictOf(page);
  const took = performance.now() - began;
  await page.close();
  return took;
}

const built = buildPage();
const host = await serveStatically(join(built.folder, 'manager'));
const cold: number[] = [];
const again: number[] = [];
try {
  for (let round = 0; round < rounds; round++) {
    const browser = await launchBrowser();
    cold.push(await time(browser, host.url));
    again.push(await time(browser, host.url));
    await browser.close();
  }
} finally {
  host.close();
  built.remove();
}
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
console.log(
  `first verdict, median of ${rounds}: fresh browser ${seconds(median(cold))}, again ${seconds(median(again))}`,
);
