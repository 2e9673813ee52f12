/** Deeds that are easy to judge wrongly, as test/drivers/verdicts does them: what leaks is told, what only looks so is not. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { defaultFlags, parseStep, type Report, verify } from '../src/index.ts';

const bytes = new Uint8Array(readFileSync('test/drivers/verdicts/verdicts.sys'));
const source = readFileSync('test/drivers/verdicts/verdicts.c', 'utf8');
const deeds = [...source.matchAll(/^ {4}\{"([a-z-]+)", \w+\},$/gm)].map(([, name]) => name as string);

/** What each deed leaves that is no block of the driver's own tag: kind and count. */
const left: Readonly<Record<string, readonly string[]>> = {
  'leak-registry-string': ['string 1'],
  'leak-token': ['reference 1'],
  'leak-subject': ['reference 1'],
  'leak-list-tail': ['pool 1', 'pool 1'],
  'leak-mdl-of-irp': ['mdl 1'],
  'leak-mdl-chain': ['mdl 1'],
  'leak-asynchronous-buffer': ['irp 1'],
  'leak-unsent': ['irp 1'],
  'leak-counted-work': ['pool 1', 'pool 1'],
  'leak-work-item': ['workitem 1'],
  'leak-cancelled-timer': ['pool 1', 'pool 1'],
  'leak-thread-reference': ['reference 1'],
  'leak-lookaside-list': ['pool 4', 'lookaside 1'],
  'leak-mapping': ['mapping 1'],
  'leak-io-space': ['mapping 1'],
  'leak-mapping-address': ['mapping 1'],
  'leak-contiguous': ['contiguous 1'],
  'leak-key': ['handle 1'],
  'leak-process': ['reference 1'],
  'leak-event-handle': ['handle 1'],
  'leak-image-callback': ['callback 1'],
  'leak-resource': ['resource 1'],
  'leak-bug-check-callback': ['callback 1'],
  'leak-pnp-notification': ['callback 1'],
  'leak-timer': ['timer 1'],
  'leak-handle-in-system': ['handle 1'],
  'leak-device-reference': ['device 1', 'reference 1'],
  'leak-file-reference': ['reference 1'],
  'leak-queue': ['pool 1', 'pool 1', 'pool 1'],
};
const counted = ['pool', 'mdl', 'irp', 'workitem', 'string'];
/** Verdicts that are not said of what the name tells. */
const reasons: Readonly<Record<string, RegExp>> = {
  'leak-pnp-notification': /somebody refers to the driver object/,
  'leak-device-reference': /somebody refers to a device object of the driver that was deleted/,
  'leak-file-reference': /verdicts.sys holds a reference to a file that is open on/,
  'entry-fails-clean': /^DriverEntry failed with 0xC0000182/,
};

function run(name: string, seed: number): Report {
  const isEntry = name.startsWith('entry-');
  const isPending = /-in-cancel$|-inverted$|-queue-/.test(name);
  const input = Buffer.from(name).toString('hex');
  const steps = [
    'open \\\\.\\Verdicts',
    `ioctl 0x222000 in=${input} out=16${isPending ? ' async' : ''}`,
    ...(/-in-cancel$|-queue-cancelled$/.test(name) ? ['cancel'] : []),
    'close',
  ];
  return verify({
    drivers: [{ name: `${isEntry ? name : 'verdicts'}.sys`, path: null, bytes }],
    steps: isEntry ? undefined : steps.map(parseStep),
    flags: defaultFlags,
    seed,
    instructionLimit: 1e8,
    now: () => 0,
  });
}

describe('a deed', () => {
  it.each(deeds)('%s', (name) => {
    const isLeaky = name.startsWith('leak-') || name.endsWith('-leaky');
    for (const seed of [1, 2, 3]) {
      const report = run(name, seed);
      const isIncomplete = !isLeaky && name in reasons;
      expect(report.reasons).toEqual(name in reasons ? [expect.stringMatching(reasons[name] as RegExp)] : []);
      expect(report.verdict).toBe(isLeaky ? 'violation' : isIncomplete ? 'incomplete' : 'clean');
      const leaks = report.leaks.map(({ kind, count }) => `${kind} ${count}`);
      expect(leaks).toEqual(isLeaky ? (left[name] ?? ['pool 1']) : []);
      const isCounted = report.leaks.some(({ kind }) => counted.includes(kind));
      expect(report.bugCheck?.parameters[0]).toBe(isCounted ? '0x62' : undefined);
    }
  });
});
