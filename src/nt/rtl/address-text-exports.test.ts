import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { rtlAddressTexts } from './address-text-exports.ts';

const invalidParameter = 0xc000_000d;

let guest: GuestFixture;
let text: Va;
beforeEach(() => {
  guest = new GuestFixture();
  text = guest.allocate(0x100);
});

const call = (name: string, ...args: number[]) =>
  guest.call(name, rtlAddressTexts.routines[name as keyof typeof rtlAddressTexts.routines], ...args);
const v4 = (): Va => guest.bytes(Uint8Array.of(10, 0, 0, 1));
const v6 = (): Va => guest.bytes(Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0)));
const read = (isWide: boolean): string => (isWide ? guest.wideAt(text) : guest.ansiAt(text));

describe.each([
  { suffix: 'A', isWide: false },
  { suffix: 'W', isWide: true },
])('in form $suffix', ({ suffix, isWide }) => {
  it.each([
    ['RtlIpv4AddressToString', v4, '10.0.0.1'],
    ['RtlIpv6AddressToString', v6, '::1'],
  ] as const)('%s gives where the NUL is', (name, address, expected) => {
    expect(call(name + suffix, address(), text)).toBe(vaAdd(text, expected.length * (isWide ? 2 : 1)));
    expect(read(isWide)).toBe(expected);
  });

  it.each([
    ['RtlIpv4AddressToStringEx', v4, [0], '10.0.0.1'],
    ['RtlIpv4AddressToStringEx', v4, [0x5000], '10.0.0.1:80'],
    ['RtlIpv6AddressToStringEx', v6, [0, 0], '::1'],
    ['RtlIpv6AddressToStringEx', v6, [3, 0], '::1%3'],
    ['RtlIpv6AddressToStringEx', v6, [3, 0xbb01], '[::1%3]:443'],
  ] as const)('%s counts the characters', (name, address, between, expected) => {
    const length = guest.allocate(4);
    guest.memory.writeU32(length, expected.length);
    const write = (to: Va, lengthAt: Va): number =>
      Number(call(name + suffix, address(), ...between, to, lengthAt)) >>> 0;
    expect(write(text, length)).toBe(invalidParameter);
    expect(guest.memory.readU32(length)).toBe(expected.length + 1);
    expect(write(nullVa, length)).toBe(invalidParameter);
    expect(write(text, nullVa)).toBe(invalidParameter);
    expect(write(text, length)).toBe(0);
    expect(read(isWide)).toBe(expected);
    guest.memory.writeU32(length, 0x40);
    expect(write(text, length)).toBe(0);
    expect(guest.memory.readU32(length)).toBe(expected.length + 1);
  });
});
