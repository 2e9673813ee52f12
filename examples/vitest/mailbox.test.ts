// A driver's test: npx vitest run mailbox.test.ts
import { readFileSync } from 'node:fs';
import { Machine, type Report } from 'poolproof';
import { expect, it } from 'vitest';

const CRC_ERROR = 0xc000003f;

/** Sends a letter with a wrong checksum, and takes the driver to its unload. */
function sendSpoiltLetter(driver: 'leaky-mailbox' | 'clean-mailbox', device: string): Report {
  const bytes = new Uint8Array(readFileSync(new URL(`../../drivers/${driver}/${driver}.sys`, import.meta.url)));
  const machine = new Machine({ drivers: [{ name: `${driver}.sys`, bytes }] });
  const mailbox = machine.open(`\\\\.\\${device}`);
  const kindLengthChecksum = '01000000' + '05000000' + 'ffffffff';
  expect(mailbox.ioctl(0x222080, { in: `${kindLengthChecksum}68656c6c6f` }).status).toBe(CRC_ERROR);
  mailbox.close();
  return machine.report();
}

it('the mailbox forgets a letter whose checksum is wrong', () => {
  const report = sendSpoiltLetter('leaky-mailbox', 'LeakyMailbox');
  expect(report.verdict).toBe('violation');
  expect(report.bugCheck).toMatchObject({ code: '0xC4', parameters: ['0x62', {}, {}, '0x1'].map(anything) });
  expect(report.leaks).toMatchObject([{ tag: 'Mail', count: 1, site: { file: expect.stringMatching(/mailbox\.c$/) } }]);
  expect(report.leaks[0]?.site?.line).toBe(57);
});

it('the mended mailbox does not', () => {
  const report = sendSpoiltLetter('clean-mailbox', 'CleanMailbox');
  expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
});

const anything = (value: unknown): unknown => (typeof value === 'string' ? value : expect.any(String));
