/**
 * Driver Verifier Manager in Chromium: that it can be used by everybody, and that no driver gets at who uses it. Skipped
 * without Chromium, as manager.test.ts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from './end-to-end.ts';
import {
  type BuiltPage,
  buildPage,
  debuggerSays,
  drop,
  executablePath,
  launchBrowser,
  openTab,
  type StaticHost,
  serveStatically,
  showPage,
  situation,
  verdictOf,
} from './manager-page.ts';

const pageNames = ['Select drivers', 'Settings', 'Counters', 'Allocations', 'Result', 'Kernel debugger'];
const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(join(repository, path)));
const axe = readFileSync(join(repository, 'node_modules/axe-core/axe.min.js'), 'utf8');

describe.skipIf(executablePath === undefined)('Driver Verifier Manager', () => {
  let built: BuiltPage;
  let host: StaticHost;
  let browser: Browser;

  beforeAll(async () => {
    built = buildPage();
    host = await serveStatically(join(built.folder, 'manager'));
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    host?.close();
    built?.remove();
  });

  it('is used from the keyboard alone', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    const press = async (...keys: readonly string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key);
    };
    const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.textContent ?? '');
    await page.getByRole('button', { name: 'leaky-inventory' }).focus();
    await press('Enter');
    await situation(page, 'Ready');
    await page.getByRole('tab', { name: 'Select drivers' }).focus();
    await press('ArrowRight', 'ArrowRight', 'ArrowRight');
    expect(await focused()).toBe('Allocations');
    await press('Home', 'ArrowLeft');
    expect(await focused()).toBe('Kernel debugger');
    await press('Tab');
    expect(await focused()).toBe('Run');
    await press('Enter');
    await verdictOf(page);
    await page.getByRole('tab', { selected: true }).focus();
    await press('Home', 'ArrowRight', 'ArrowRight', 'ArrowRight');
    await page.locator('.grid .rows [role=row]').nth(7).waitFor();
    await page.locator('.grid').focus();
    await press('End', 'ArrowUp');
    await page.locator('.detail').getByRole('heading', { name: 'InvE' }).waitFor();
    const active = await page.locator('.grid').getAttribute('aria-activedescendant');
    expect(active).toBe('allocation-6');
    await page.getByRole('tab', { selected: true }).focus();
    await press('End');
    await page.locator('#command').focus();
    await page.keyboard.type('!verifi');
    await press('Tab');
    await expect.poll(() => page.locator('#command').inputValue()).toBe('!verifier ');
    await page.keyboard.type('1');
    await press('Enter');
    await page.getByRole('log').getByText('Driver Verification List').first().waitFor();
    await press('ArrowUp');
    expect(await page.locator('#command').inputValue()).toBe('!verifier 1');
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('keeps the focus while the machine runs and lists change', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.textContent ?? '');
    await drop(
      page,
      ['leaky-filter.sys', 'function.sys'].map((name) => ({ name, bytes: bytesOf(`test/drivers/several/${name}`) })),
    );
    await page.getByRole('button', { name: 'Up function.sys' }).press('Enter');
    expect(await page.getByRole('rowheader').allTextContents()).toEqual(['function.sys', 'leaky-filter.sys']);
    await expect.poll(focused).toBe('Up function.sys');
    const next = page.getByRole('button', { name: 'Next kernel call' });
    await next.focus();
    for (let call = 0; call < 3; call++) {
      await page.keyboard.press('Enter');
      await situation(page, 'Paused');
      await expect.poll(() => next.getAttribute('aria-disabled')).toBe('false');
      expect(await focused()).toBe('Next kernel call');
    }
    await showPage(page, 'Select drivers');
    await page.getByRole('button', { name: 'Remove function.sys' }).press('Enter');
    expect(await focused()).toBe('Remove leaky-filter.sys');
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('Add drivers…');
    await drop(page, [{ name: 'notes.txt', bytes: new Uint8Array(3) }]);
    await page.getByRole('button', { name: 'Close' }).press('Enter');
    expect(await focused()).toBe('Select drivers');
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('shows what a hostile driver says, and does nothing of it', async () => {
    const hostile = bytesOf('drivers/leaky-inventory/leaky-inventory.sys');
    put(hostile, 'inventory: %u parts, %u retired', '<img src=x onerror=alert(1)>\x1b\x9bm');
    put(hostile, 'InventoryAllocateEntry', '<script>\u202ealert(1)//<');
    put(hostile, 'InvE', '<b>\x1b');
    const { page, troubles } = await openTab(browser, host.url);
    await drop(page, [{ name: 'x\u202e<img src=x onerror=alert(2)>.sys', bytes: hostile }]);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await verdictOf(page);
    let text = '';
    for (const name of pageNames) {
      await showPage(page, name);
      if (name === 'Kernel debugger') await debuggerSays(page, '!verifier 3');
      await page.waitForTimeout(400);
      text += await page.locator('#page').innerText();
      expect(await page.locator('#page :is(img, b, script, iframe)').count()).toBe(0);
    }
    expect(text).toContain('<img src=x onerror=alert(1)>\\x1b');
    expect(text).toContain('x\\u202e<img src=x onerror=alert(2)>.sys');
    expect(text).toContain('<script>');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`is accessible on every page, ${colorScheme}`, async () => {
      // Without the page's policy: axe is a script from outside.
      const { page } = await openTab(browser, host.url, { colorScheme, bypassCSP: true });
      await page.getByRole('button', { name: 'leaky-inventory' }).waitFor();
      await page.evaluate(axe);
      await expectAccessible(page, false);
      await showPage(page, 'Select drivers');
      await page.getByRole('button', { name: 'leaky-inventory' }).click();
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await verdictOf(page);
      await expectAccessible(page, true);
      await page.context().close();
    });
  }

  async function expectAccessible(page: Page, hasRun: boolean): Promise<void> {
    for (const name of pageNames) {
      await showPage(page, name);
      if (name === 'Allocations' && hasRun) await page.locator('.grid .rows [role=row]').first().click();
      if (name === 'Kernel debugger' && hasRun) await debuggerSays(page, '!verifier 3');
      const found = await page.evaluate(async () => {
        const { violations } = await (globalThis as unknown as { axe: AxeCore }).axe.run();
        return violations.map(
          ({ id, impact, nodes }) => `${impact}: ${id}: ${nodes.map(({ html }) => html).join(' ')}`,
        );
      });
      expect({ name, found }).toEqual({ name, found: [] });
    }
  }

  it('fits a narrow window', async () => {
    const { page, troubles } = await openTab(browser, `${host.url}?sample=leaky-inventory`, {
      viewport: { width: 360, height: 640 },
    });
    await verdictOf(page);
    for (const name of pageNames) {
      await showPage(page, name);
      const over = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect({ name, over }).toEqual({ name, over: 0 });
    }
    expect(troubles).toEqual([]);
    await page.context().close();
  });
});

interface AxeCore {
  run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>;
}

/** Overwrites text in a driver, wherever it stands; no longer than what was there. */
function put(bytes: Uint8Array, text: string, other: string): void {
  const image = Buffer.from(bytes.buffer);
  const replacement = Buffer.alloc(text.length);
  expect(Buffer.from(other, other.includes('\u202e') ? 'utf8' : 'latin1').copy(replacement)).toBeLessThanOrEqual(
    text.length,
  );
  let found = 0;
  for (let at = image.indexOf(text); at >= 0; at = image.indexOf(text, at + 1), found++) replacement.copy(image, at);
  expect(found).toBeGreaterThan(0);
}
