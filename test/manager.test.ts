/**
 * Driver Verifier Manager, the page, in Chromium: from a static host and from `poolproof manager`. Without Chromium
 * (`chromium` of the system's packages, or CHROMIUM=/path) the tests are skipped.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { servePage } from '../src/cli/page-server.ts';
import { repository } from './end-to-end.ts';
import {
  type BuiltPage,
  buildPage,
  counter,
  debuggerSays,
  drop,
  executablePath,
  launchBrowser,
  listedPool,
  openTab,
  type StaticHost,
  savedReport,
  serveStatically,
  showPage,
  situation,
  verdictOf,
} from './manager-page.ts';

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(join(repository, path)));

describe.skipIf(executablePath === undefined)('Driver Verifier Manager in Chromium', () => {
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

  /** Of a leaky-inventory that has run. */
  async function expectInventory(page: Page): Promise<void> {
    expect(await verdictOf(page)).toBe('VIOLATION');
    const result = page.getByRole('tabpanel');
    expect(await result.textContent()).toContain('Stop code: DRIVER_VERIFIER_DETECTED_VIOLATION (0xC4)');
    expect(await result.textContent()).toContain('Arg4: 0000000000000008, allocations that are left');
    const leaks = await result.locator('.leak').allTextContents();
    expect(leaks).toHaveLength(2);
    expect(leaks[0]).toMatch(/leaky-inventory\.c @ 95\].*InvE.*Bytes384.*Count4.*NonPagedPoolNx/s);
    expect(leaks[1]).toMatch(/leaky-inventory\.c @ 100\].*InvL.*Bytes102.*Count4.*PagedPool/s);
    expect(leaks[0]).toMatch(/> +95 +entry = ExAllocatePoolWithTag/);

    await showPage(page, 'Counters');
    expect(await counter(page, 'Pool Allocations Succeeded')).toEqual([27]);
    expect(await counter(page, 'Current Number of Allocations')).toEqual([4, 4]);
    expect(await counter(page, 'Current Bytes Allocated')).toEqual([102, 384]);
    expect(await counter(page, 'Peak Number of Allocations')).toEqual([13, 14]);
    expect(await page.getByRole('tabpanel').textContent()).toMatch(/leaky-inventory\.sysUnloaded/);
    const chart = page.locator('.chart [role=img]');
    expect(Number(await chart.getAttribute('data-points'))).toBeGreaterThan(20);
    expect(await chart.getAttribute('aria-label')).toMatch(/^486 bytes in 8 allocations after .*at most 1656 bytes$/);

    await showPage(page, 'Allocations');
    const rows = page.locator('.grid .rows [role=row]');
    await rows.nth(7).waitFor();
    expect(await rows.count()).toBe(8);
    await page.getByText('InventoryAllocateEntry, leaky-inventory.c:95').first().click();
    const detail = page.locator('.detail');
    await detail.getByText('DriverEntry+').waitFor();
    expect(await detail.textContent()).toMatch(
      /InvE.*96 bytes of NonPagedPoolNx.*DriverEntry.*nt!ExAllocatePoolWithTag/s,
    );

    const listed = await debuggerSays(page, '!verifier 3');
    expect(listed).toContain('Current Pool Allocations: ( 0x00000004 / 0x00000004 )');
    const report = await savedReport(page);
    const inVerdict = report.leaks.map(({ tag, count, bytes }) => ({ tag, count, bytes }));
    expect(inVerdict).toHaveLength(2);
    const inDebugger = [...listedPool(listed)].map(([tag, sizes]) => {
      return { tag, count: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
    });
    expect(inDebugger).toEqual(inVerdict);
  }

  it('runs the sample that its address names, and shows what leaked', async () => {
    const { page, troubles } = await openTab(browser, `${host.url}?sample=leaky-inventory`);
    expect(await verdictOf(page)).toBe('VIOLATION');
    await expectInventory(page);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('asks for a sample only when it is chosen', async () => {
    host.asked.length = 0;
    const { page, troubles } = await openTab(browser, host.url);
    await page.getByRole('button', { name: 'leaky-channel' }).waitFor();
    expect(host.asked.filter((path) => path.includes('/drivers/'))).toEqual([]);
    await page.getByRole('button', { name: 'leaky-channel' }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    expect(await verdictOf(page)).toBe('VIOLATION');
    expect(host.asked.filter((path) => path.includes('/drivers/')).sort()).toEqual(
      ['c', 'pdb', 'sys'].map((end) => `/drivers/leaky-channel/leaky-channel.${end}`),
    );
    expect(await page.locator('.leak').first().textContent()).toMatch(/leaky-channel\.c @ \d+\]/);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('takes a driver that is dropped with its symbols, and steps of the user', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await drop(page, [
      { name: 'leaky-channel.sys', bytes: bytesOf('drivers/leaky-channel/leaky-channel.sys') },
      { name: 'leaky-channel.pdb', bytes: bytesOf('drivers/leaky-channel/leaky-channel.pdb') },
      { name: 'leaky-channel.c', bytes: bytesOf('drivers/leaky-channel/leaky-channel.c') },
    ]);
    await page.getByRole('rowheader', { name: 'leaky-channel.sys' }).waitFor();
    expect(await page.getByText('1 symbol file, 1 source file').count()).toBe(1);
    await showPage(page, 'Settings');
    await page.getByRole('radio', { name: /^Steps of my own/ }).check();
    await page
      .getByRole('textbox', { name: 'Steps' })
      .fill('open \\\\.\\LeakyChannel\nioctl 0x2220C0 in=00010000\nioctl 0x2220C5 in=00 out=32\nclose\n');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    expect(await verdictOf(page)).toBe('VIOLATION');
    const leaks = await page.locator('.leak').allTextContents();
    expect(leaks).toHaveLength(1);
    expect(await page.getByRole('tabpanel').textContent()).toMatch(
      /symbols of leaky-channel\.sys: .*leaky-channel\.pdb/,
    );
    expect(leaks[0]).toMatch(/leaky-channel\.c @ \d+\].*ChRg/s);
    expect(leaks[0]).toMatch(/>\s+\d+\s+.*Allocate/);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('takes several drivers, in order, verified or not', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await drop(
      page,
      ['leaky-filter.sys', 'function.sys'].map((name) => ({ name, bytes: bytesOf(`test/drivers/several/${name}`) })),
    );
    await page.getByRole('button', { name: 'Up function.sys' }).click();
    expect(await page.getByRole('rowheader').allTextContents()).toEqual(['function.sys', 'leaky-filter.sys']);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    expect(await verdictOf(page)).toBe('VIOLATION');
    expect(await page.locator('.leak').first().textContent()).toContain('Driverleaky-filter.sys');
    await showPage(page, 'Counters');
    await page
      .getByRole('region', { name: 'Driver specific counters' })
      .locator('select')
      .selectOption('leaky-filter.sys');
    expect((await counter(page, 'Current Number of Allocations'))[1]).toBeGreaterThan(0);

    await showPage(page, 'Select drivers');
    await page.getByRole('checkbox', { name: 'Verify leaky-filter.sys' }).uncheck();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await verdictOf(page);
    expect(await page.locator('.leak').count()).toBe(0);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('says what is no step, and what is no driver', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await drop(page, [{ name: 'broken.sys', bytes: new Uint8Array(100) }]);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('alert').getByText('broken.sys').waitFor();
    // Back where it can be mended.
    await page.getByRole('button', { name: 'Remove broken.sys' }).click();
    await page.getByRole('button', { name: 'leaky-inventory' }).click();
    await showPage(page, 'Settings');
    await page.getByRole('radio', { name: /^Steps of my own/ }).check();
    await page.getByRole('textbox', { name: 'Steps' }).fill('jump');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('alert').getByText('jump').waitFor();
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('is paused, held back, and goes on by calls of the kernel and by steps, to the same end', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await page.getByRole('button', { name: 'leaky-inventory' }).click();
    await page.getByRole('button', { name: 'Next kernel call' }).click();
    await situation(page, 'Paused');
    const calls = async (): Promise<number> => (await counter(page, 'Pool Allocations Attempted'))[0] ?? -1;
    for (let call = 0; call < 40 && (await calls()) < 3; call++) {
      await page.getByRole('button', { name: 'Next kernel call' }).click();
      await page.waitForTimeout(30);
    }
    expect(await calls()).toBe(3);

    await page.getByLabel('Pace').selectOption('30');
    await page.getByRole('button', { name: 'Continue' }).click();
    await situation(page, 'Running');
    const first = await calls();
    await expect.poll(calls, { interval: 20 }).toBeGreaterThan(first);
    const second = await calls();
    await expect.poll(calls, { interval: 20 }).toBeGreaterThan(second);
    await situation(page, 'Running');
    await page.getByRole('button', { name: 'Pause' }).click();
    await situation(page, 'Paused');
    const paused = await calls();
    expect(paused).toBeGreaterThan(second);
    expect(paused).toBeLessThan(27);
    await page.waitForTimeout(300);
    expect(await calls()).toBe(paused);

    await page.getByRole('button', { name: 'Next step' }).click();
    await page.getByText('step 1: ').waitFor();
    expect(await calls()).toBe(27);

    await page.getByLabel('Pace').selectOption('full speed');
    await page.getByRole('button', { name: 'Continue' }).click();
    await verdictOf(page);
    await showPage(page, 'Result');
    await expectInventory(page);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('keeps a machine that goes on after a pause', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await page.clock.install();
    await page.getByRole('button', { name: 'leaky-inventory' }).click();
    await page.getByLabel('Pace').selectOption('3');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await situation(page, 'Running');
    await page.getByRole('button', { name: 'Pause' }).click();
    await situation(page, 'Paused');
    await page.getByRole('button', { name: 'Continue' }).click();
    await situation(page, 'Running');
    // Longer than a machine that does not pause is waited for.
    await page.clock.runFor(6000);
    await situation(page, 'Running');
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('says what it does not do now, and why', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await showPage(page, 'Kernel debugger');
    await page.getByText('There is no machine without a driver').waitFor();
    await showPage(page, 'Select drivers');
    await page.getByRole('button', { name: 'leaky-inventory' }).click();
    await page.getByLabel('Pace').selectOption('3');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await showPage(page, 'Kernel debugger');
    await page.getByText('The machine runs. Break stops it').waitFor();
    await page.locator('#command').fill('k');
    await page.locator('#command').press('Enter');
    expect(await page.getByRole('log').textContent()).toBe('');

    // What is of no use does not end the run.
    await showPage(page, 'Select drivers');
    await drop(page, [{ name: 'notes.txt', bytes: new Uint8Array(3) }]);
    await page.getByRole('alert').getByText('notes.txt: neither a driver').waitFor();
    await situation(page, 'Running');

    const bytes = bytesOf('drivers/clean-channel/clean-channel.sys');
    await drop(
      page,
      ['one.sys', 'ONE.SYS'].map((name) => ({ name, bytes })),
    );
    await page.getByRole('alert').getByText('ONE.SYS: another driver of this name is given too').waitFor();
    expect(await page.getByRole('rowheader').allTextContents()).toEqual(['leaky-inventory.sys', 'one.sys']);
    await situation(page, 'Ready');
    for (const name of ['leaky-inventory.sys', 'one.sys']) await page.getByLabel(`Verify ${name}`).uncheck();
    await situation(page, 'No driver in the list is to be verified');

    await page.getByLabel('Verify one.sys').check();
    await debuggerSays(page, 'bp one!DriverEntry');
    expect(await debuggerSays(page, 'q')).toContain('the debugger is detached, without breakpoints');
    await page.getByLabel('Pace').selectOption('full speed');
    await page.getByRole('button', { name: 'Continue' }).click();
    expect(await verdictOf(page)).toBe('CLEAN');
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('begins with the run of a sample that shows what is said of it, and forgets it with the sample', async () => {
    const { page, troubles } = await openTab(browser, `${host.url}?sample=leaky-mirror`);
    expect(await verdictOf(page)).toBe('VIOLATION');
    await showPage(page, 'Select drivers');
    await page.getByText("Scenario: 12 steps, the sample's “broken”").waitFor();
    for (const title of ['Drivers that leak', 'Drivers with DMA', 'Drivers without a fault']) {
      expect(await page.getByRole('list', { name: title }).getByRole('button').count()).toBeGreaterThan(5);
    }
    await page.getByRole('button', { name: 'Remove leaky-mirror.sys' }).click();
    await drop(page, [{ name: 'mine.sys', bytes: bytesOf('drivers/leaky-inventory/leaky-inventory.sys') }]);
    await page.getByText('Scenario: tour').waitFor();

    await page.getByRole('button', { name: 'dma-missing-flush' }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    expect(await verdictOf(page)).toBe('VIOLATION');
    expect((await savedReport(page)).bugCheck).toMatchObject({ code: '0xE6' });
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('lets nothing in from elsewhere', async () => {
    const { page } = await openTab(browser, host.url);
    const got = await page.evaluate(async () => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.hasRun = true';
      const image = document.createElement('div');
      image.innerHTML = '<img src="x:" onerror="globalThis.hasRun = true"><style>body { color: rgb(1, 2, 3) }</style>';
      document.body.append(script, image);
      const reached = await fetch('http://127.0.0.1:9/').catch((error: unknown) => String(error));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { hasRun: 'hasRun' in globalThis, reached, colour: getComputedStyle(document.body).color };
    });
    expect(got).toMatchObject({ hasRun: false, reached: expect.stringContaining('Failed to fetch') });
    expect(got.colour).not.toBe('rgb(1, 2, 3)');
    await page.context().close();
  });

  it('pauses a run that is long, and shows a million allocations by the rows in view', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await drop(page, [{ name: 'million.sys', bytes: bytesOf('test/drivers/million/million.sys') }]);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await showPage(page, 'Counters');
    await page.waitForFunction(() => /Attempted[1-9]/.test(document.querySelector('#panel')?.textContent ?? ''));
    await page.getByRole('button', { name: 'Pause' }).click();
    await situation(page, 'Paused');
    const [held = 0] = (await counter(page, 'Current Number of Allocations')).filter((count) => count > 0);
    expect(held).toBeGreaterThan(0);
    await showPage(page, 'Allocations');
    await page.locator('.grid .rows [role=row]').first().waitFor();
    const total = Number(await page.locator('.grid').getAttribute('aria-rowcount')) - 1;
    expect(total).toBe(held);
    expect(await page.locator('.grid .rows [role=row]').count()).toBeLessThan(60);
    await page.locator('.grid').press('End');
    await page
      .locator(`#allocation-${total - 1}`)
      .getByText('0xffff')
      .waitFor();
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('stays at hand while a driver spins', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await drop(page, [{ name: 'spin.sys', bytes: bytesOf('test/drivers/spin/spin.sys') }]);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await situation(page, 'Running');
    await page.waitForTimeout(500);
    await page.getByRole('button', { name: 'Pause' }).click();
    await situation(page, 'Paused');
    expect(await debuggerSays(page, 'k')).toContain('spin!DriverEntry');
    // At full speed its instruction limit may come before the click.
    await page.getByLabel('Pace').selectOption('30');
    await page.locator('#command').fill('g');
    await page.locator('#command').press('Enter');
    await situation(page, 'Running');
    await page.getByRole('button', { name: 'Break', exact: true }).click();
    await page.getByRole('log').getByText('Break-in').waitFor();
    await page.getByRole('button', { name: 'Reset' }).click();
    await situation(page, 'Ready');
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('gives a driver of a device its model', async () => {
    const { page, troubles } = await openTab(browser, `${host.url}?sample=clean-mover`);
    await verdictOf(page);
    await showPage(page, 'Settings');
    expect(await page.getByLabel('Device model').inputValue()).toBe('pci-dma-engine');
    await showPage(page, 'Kernel debugger');
    expect(await debuggerSays(page, '!dma')).not.toMatch(/couldn't/i);
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('stops at a breakpoint of the debugger, and goes on', async () => {
    const { page, troubles } = await openTab(browser, host.url);
    await page.getByRole('button', { name: 'leaky-inventory' }).click();
    expect(await debuggerSays(page, 'bp leaky_inventory!DriverEntry')).not.toMatch(/error|couldn't/i);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('log').getByText('Breakpoint 0 hit').waitFor();
    await situation(page, 'Paused');
    expect(await debuggerSays(page, 'k')).toMatch(/leaky.inventory!DriverEntry/);
    expect(await debuggerSays(page, 'bc 0')).not.toMatch(/error/i);
    expect(await debuggerSays(page, 'bp nt!ExFreePoolWithTag')).not.toMatch(/error|couldn't/i);
    expect(await debuggerSays(page, 'g')).toContain('Breakpoint 0 hit');
    await showPage(page, 'Counters');
    expect(await counter(page, 'Pool Allocations Succeeded')).toEqual([27]);
    await showPage(page, 'Kernel debugger');
    expect(await debuggerSays(page, 'bc 0')).not.toMatch(/error/i);
    await page.locator('#command').fill('g');
    await page.locator('#command').press('Enter');
    expect(await verdictOf(page)).toBe('VIOLATION');
    await showPage(page, 'Result');
    await expectInventory(page);

    // Another machine with the same driver: the debugger's breakpoints are still there.
    expect(await debuggerSays(page, 'bp leaky_inventory!DriverEntry')).not.toMatch(/error|couldn't/i);
    await page.getByRole('button', { name: 'Run again' }).click();
    await situation(page, 'Paused');
    expect(await debuggerSays(page, 'k')).toMatch(/leaky.inventory!DriverEntry/);
    expect(await page.getByRole('log').textContent()).toContain('(the machine starts again)');
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  it('served by poolproof manager: the same page, with the drivers of the command line', async () => {
    const driver = 'drivers/leaky-inventory/leaky-inventory';
    const server = await servePage({
      folder: join(built.folder, 'manager'),
      token: 'a-token',
      port: 0,
      offered: [
        {
          name: 'leaky-inventory.sys',
          files: ['sys', 'c'].map((end) => ({
            name: `leaky-inventory.${end}`,
            path: join(repository, `${driver}.${end}`),
            mostBytes: 1e6,
          })),
        },
      ],
    });
    const { page, troubles } = await openTab(browser, server.url);
    await page.getByRole('button', { name: 'leaky-inventory.sys' }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await expectInventory(page);
    expect(troubles).toEqual([]);
    await page.context().close();
    await server.close();
  });
});
