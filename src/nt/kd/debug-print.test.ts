import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { NtEvents } from '../events.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { kdBugCheck } from './bug-check-exports.ts';
import { kdDebugPrint } from './debug-print.ts';

let guest: GuestFixture;
let printed: NtEvents['debugPrint'][];
beforeEach(() => {
  guest = new GuestFixture();
  printed = [];
  guest.nt.events.on('debugPrint', (event) => printed.push(event));
});

const call = (name: keyof typeof kdDebugPrint.routines, ...args: (number | bigint)[]) =>
  guest.call(name, kdDebugPrint.routines[name], ...args);

describe('DbgPrint', () => {
  it('tells the listeners, as component DEFAULT at level INFO', () => {
    const name = guest.unicodeString('\\Driver\\Leaky');
    expect(call('DbgPrint', guest.ansi('%wZ: %d %x %c %p\n'), name, -1, 255, 0x41, 1)).toBe(STATUS_SUCCESS);
    expect(printed).toEqual([{ text: '\\Driver\\Leaky: -1 ff A 0000000000000001\n', componentId: 101, level: 3 }]);
  });

  it('transmits 512 bytes at most', () => {
    call('DbgPrint', guest.ansi('%s'), guest.ansi('x'.repeat(512)));
    call('DbgPrint', guest.ansi('%s'), guest.ansi('x'.repeat(513)));
    expect(printed.map(({ text }) => [text.length, text.at(-1)])).toEqual([
      [512, 'x'],
      [512, '\n'],
    ]);
  });

  it('prints floating-point specifications as they stand', () => {
    call('DbgPrint', guest.ansi('%d %5.1f %d'), 1, 2, 3);
    expect(printed[0]?.text).toBe('1 %5.1f 3');
  });
});

describe('the other forms', () => {
  it('name component and level', () => {
    call('DbgPrintEx', 77, 0, guest.ansi('%s %d'), guest.ansi('on the stack:'), 5);
    const list = guest.bytes([7, 0, 0, 0, 0, 0, 0, 0]);
    call('vDbgPrintEx', 77, 1, guest.ansi('%u'), list);
    call('vDbgPrintExWithPrefix', guest.ansi('leaky: '), 77, 2, guest.ansi('%u'), list);
    expect(printed).toEqual([
      { text: 'on the stack: 5', componentId: 77, level: 0 },
      { text: '7', componentId: 77, level: 1 },
      { text: 'leaky: 7', componentId: 77, level: 2 },
    ]);
  });

  it('break for the debugger, and go on', () => {
    const addresses: number[] = [];
    guest.nt.events.on('breakpoint', ({ address }) => addresses.push(address));
    expect(call('DbgBreakPoint')).toBeUndefined();
    expect(call('DbgBreakPointWithStatus', 5)).toBeUndefined();
    expect(call('RtlAssert', guest.ansi('Count == 0'), guest.ansi('leaky.c'), 42, 0)).toBeUndefined();
    expect(addresses).toHaveLength(3);
    expect(printed[0]?.text).toContain('*** Assertion failed: Count == 0\n***   Source File: leaky.c, line 42');
  });
});

describe('KeBugCheckEx', () => {
  it('ends the life with its code and parameters', () => {
    const { KeBugCheckEx } = kdBugCheck.routines;
    const parameters = [1n, 0xffff_f800_0000_0000n, 0n, 4n];
    let thrown: unknown;
    try {
      guest.call('KeBugCheckEx', KeBugCheckEx, 0xdead_dead, ...parameters);
    } catch (bugCheck) {
      thrown = bugCheck;
    }
    expect(thrown).toBeInstanceOf(BugCheck);
    expect(thrown).toMatchObject({ code: 0xdead_dead, parameters });
    expect(() => guest.call('KeBugCheck', kdBugCheck.routines.KeBugCheck, 0xe2)).toThrow(BugCheck);
  });
});
