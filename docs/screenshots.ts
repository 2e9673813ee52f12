/**
 * Makes the pictures of walk-through.md from the built page in Chromium: `npx tsx docs/screenshots.ts`. They are looked at
 * by people, and by no test: fonts differ between machines.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  buildPage,
  debuggerSays,
  launchBrowser,
  openTab,
  serveStatically,
  showPage,
  verdictOf,
} from '../test/manager-page.ts';
import { mailboxSteps } from './walk-through.ts';

const images = fileURLToPath(new URL('images', import.meta.url));

const built = buildPage();
const host = await serveStatically(join(built.folder, 'manager'));
const browser = await launchBrowser();
try {
  const { page } = await openTab(browser, `${host.url}?sample=leaky-mailbox`, { colorScheme: 'light' });
  const shoot = (name: string): Promise<Buffer> => page.screenshot({ path: join(images, `${name}.png`) });
  await verdictOf(page);
  await showPage(page, 'Settings');
  await page.getByRole('radio', { name: 'Steps of my own' }).check();
  await page.getByRole('textbox', { name: 'Steps' }).fill(mailboxSteps.join('\n'));
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await verdictOf(page);
  await shoot('manager-result');
  await showPage(page, 'Counters');
  await page.locator('.chart [role=img]').scrollIntoViewIfNeeded();
  await shoot('manager-counters');
  await showPage(page, 'Allocations');
  await page.locator('.grid .rows [role=row]').first().click();
  await page.locator('.detail').waitFor();
  await shoot('manager-allocations');
  await debuggerSays(page, '!verifier 3');
  await shoot('manager-debugger');
} finally {
  await browser.close();
  host.close();
  built.remove();
}
