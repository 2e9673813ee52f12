import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import type { Va } from '../../base/va.ts';
import { crtPrintf } from './printf.ts';

let guest: GuestFixture;
let buffer: Va;
beforeEach(() => {
  guest = new GuestFixture();
  buffer = guest.allocate(64);
});

const call = (name: keyof typeof crtPrintf.routines, ...args: (number | bigint)[]) =>
  guest.call(name, crtPrintf.routines[name], ...args);

/** A `va_list`. */
function list(...slots: bigint[]): Va {
  const va = guest.allocate(slots.length * 8);
  for (const [index, slot] of slots.entries()) guest.memory.writeU64((va + index * 8) as Va, slot);
  return va;
}

const byteAt = (index: number): number => guest.memory.readU8((buffer + index) as Va);

describe('sprintf', () => {
  it('takes arguments from registers and the stack', () => {
    expect(call('sprintf', buffer, guest.ansi('%d %d %d %d %s'), 1, 2, 3, 4, guest.ansi('five'))).toBe(12);
    expect(guest.ansiAt(buffer)).toBe('1 2 3 4 five');
    expect(call('swprintf', buffer, guest.wide('%s-%u'), guest.wide('Ω'), 7)).toBe(3);
    expect(guest.wideAt(buffer)).toBe('Ω-7');
  });

  it('takes them from a va_list', () => {
    expect(call('vsprintf', buffer, guest.ansi('%I64x/%d'), list(0x1_2345_6789n, 5n))).toBe(11);
    expect(guest.ansiAt(buffer)).toBe('123456789/5');
    const arguments_ = list(1n, 2n);
    expect(call('_vsnwprintf', buffer, 20, guest.wide('%d,%d'), arguments_)).toBe(3);
    expect(guest.wideAt(buffer)).toBe('1,2');
  });
});

describe('_snprintf', () => {
  it('terminates only where there is room', () => {
    expect(call('_snprintf', buffer, 5, guest.ansi('%s'), guest.ansi('leak'))).toBe(4);
    expect(byteAt(4)).toBe(0);
    expect(call('_snprintf', buffer, 4, guest.ansi('%s'), guest.ansi('LEAK'))).toBe(4);
    expect(guest.ansiAt(buffer)).toBe('LEAK');
    guest.memory.fill(buffer, 64, 0xcc);
    expect(call('_snprintf', buffer, 4, guest.ansi('%s'), guest.ansi('LEAK'))).toBe(4);
    expect(byteAt(4)).toBe(0xcc);
  });

  it('fills the buffer and answers -1 where the text does not fit', () => {
    expect(call('_snprintf', buffer, 3, guest.ansi('%s'), guest.ansi('leaky'))).toBe(-1);
    expect([byteAt(0), byteAt(2), byteAt(3)]).toEqual([0x6c, 0x61, 0xcc]);
    expect(call('_snwprintf', buffer, 2, guest.wide('%d'), 123)).toBe(-1);
    expect([byteAt(0), byteAt(2), byteAt(4)]).toEqual([0x31, 0x32, 0xcc]);
    expect(call('_vsnprintf', 0, 0, guest.ansi('%d'), list(12345n))).toBe(5);
  });
});

describe('the secure forms', () => {
  it('always terminate', () => {
    expect(call('sprintf_s', buffer, 5, guest.ansi('%s'), guest.ansi('leak'))).toBe(4);
    expect(call('_snprintf_s', buffer, 5, 3, guest.ansi('%s'), guest.ansi('LEAK'))).toBe(-1);
    expect(guest.ansiAt(buffer)).toBe('LEA');
    expect(call('_vsnprintf_s', buffer, 4, -1, guest.ansi('%s'), list(BigInt(guest.ansi('truncated'))))).toBe(-1);
    expect(guest.ansiAt(buffer)).toBe('tru');
    expect(call('_snwprintf_s', buffer, 9, 8, guest.wide('%x'), 0xabc)).toBe(3);
    expect(guest.wideAt(buffer)).toBe('abc');
  });

  it('stop where the invalid parameter handler would be called', () => {
    expect(call('sprintf_s', buffer, 4, guest.ansi('leak'))).toMatchObject({ action: 'unsupported' });
    expect(call('vsprintf_s', 0, 4, guest.ansi('x'), 0)).toMatchObject({ action: 'unsupported' });
    expect(call('_snprintf_s', buffer, 4, 9, guest.ansi('leak'))).toMatchObject({ action: 'unsupported' });
  });
});

it('floating point and %n are named, and nothing is written', () => {
  expect(call('sprintf', buffer, guest.ansi('%d %.2f'), 1, 2)).toEqual({
    action: 'unsupported',
    what: 'sprintf with %.2f',
  });
  expect(call('swprintf', buffer, guest.wide('%n'), buffer)).toEqual({
    action: 'unsupported',
    what: 'swprintf with %n',
  });
  expect(byteAt(0)).toBe(0xcc);
});
