import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ipv4Text, ipv6Text } from './address-text.ts';

const bytesOf = (groups: readonly number[]): Uint8Array =>
  Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));

it('writes IPv4 addresses in decimal', () => {
  expect(ipv4Text(Uint8Array.of(192, 168, 0, 1))).toBe('192.168.0.1');
});

it.each([
  [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], '2001:db8::1'],
  [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
  [[0x2001, 0, 0, 1, 0, 0, 0, 1], '2001:0:0:1::1'],
  [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
  [[0, 0, 0, 0, 0, 0, 0, 1], '::1'],
  [[0xfe80, 0, 0, 0, 0, 0, 0, 0], 'fe80::'],
  [[0, 0, 0, 0, 0, 0xffff, 0xc0a8, 1], '::ffff:192.168.0.1'],
])('writes %j as %s', (groups, text) => {
  expect(ipv6Text(bytesOf(groups))).toBe(text);
});

/** The browser's parser and ours agree on what an address means. */
it('writes what parses back', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0, 1, 0xabcd, 0xffff), { minLength: 8, maxLength: 8 }), (groups) => {
      const text = ipv6Text(bytesOf(groups));
      expect(isIPv6(text)).toBe(true);
      const canonical = (address: string): string => new URL(`http://[${address}]/`).hostname;
      expect(canonical(text)).toBe(canonical(groups.map((group) => group.toString(16)).join(':')));
    }),
    { numRuns: 200, seed: 3 },
  );
});
