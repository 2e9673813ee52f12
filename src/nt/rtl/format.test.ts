import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { type Formatted, formatText } from './format.ts';

const guest = new GuestFixture();

function run(format: string, args: readonly (number | bigint)[], options: { isWide?: boolean; kernel?: boolean } = {}) {
  const slots = args.map((value) => BigInt.asUintN(64, BigInt(value)));
  const next = (): bigint => slots.shift() ?? 0xdead_dead_dead_deadn;
  const floating = options.kernel === true ? 'verbatim' : 'unsupported';
  const formatted: Formatted = formatText({
    memory: guest.memory,
    format,
    next,
    isWide: options.isWide ?? false,
    floating,
  });
  return { ...formatted, left: slots.length };
}

const text = (format: string, ...args: readonly (number | bigint)[]): string => run(format, args).text;
const wideText = (format: string, ...args: readonly (number | bigint)[]): string =>
  run(format, args, { isWide: true }).text;

describe('formatText', () => {
  it('agrees with the C library where ISO C and Windows agree', () => {
    const lines = readFileSync(new URL('../../../test/printf/expected.tsv', import.meta.url), 'utf8').split('\n');
    const strings = new Map<string, number>();
    let compared = 0;
    for (const line of lines) {
      const [format, argument, expected] = line.split('\t');
      if (format === undefined || argument === undefined || expected === undefined) continue;
      if (argument.startsWith(':') && !strings.has(argument)) strings.set(argument, guest.ansi(argument.slice(1)));
      const slot = strings.get(argument) ?? BigInt(argument);
      expect(text(format, slot), `${format} of ${argument}`).toBe(expected);
      compared++;
    }
    expect(compared).toBeGreaterThan(3000);
  });

  it('knows the sizes of LLP64 Windows', () => {
    expect(text('%ld %lu %lx', -1, -1, -1)).toBe('-1 4294967295 ffffffff');
    expect(text('%ld', 0x1_0000_0005n)).toBe('5');
    expect(text('%I64d %I64u %I64x', -2, -2, -2)).toBe('-2 18446744073709551614 fffffffffffffffe');
    expect(text('%Id %Ix %I32d', -3, 0x1_0000_0000n, 0x1_0000_0007n)).toBe('-3 100000000 7');
    expect(text('%p|%#p|%20p', 0xffff_f800_1a2b_3c40n, 1, 0)).toBe(
      'FFFFF8001A2B3C40|0X0000000000000001|    0000000000000000',
    );
  });

  it('takes narrow and wide text as the format and the size say', () => {
    const narrow = guest.ansi('narrow');
    const wide = guest.wide('wide Ω');
    expect(text('%s %S %ws %ls %hs %hS', narrow, wide, wide, wide, narrow, narrow)).toBe(
      'narrow wide Ω wide Ω wide Ω narrow narrow',
    );
    expect(wideText('%s %S %ws %ls %hs', wide, narrow, wide, wide, narrow)).toBe('wide Ω narrow wide Ω wide Ω narrow');
    expect(text('%c%C%hc%lc', 0x141, 0x41, 0x42, 0x3a9)).toBe('AABΩ');
    expect(wideText('%c%C', 0x3a9, 0x141)).toBe('ΩA');
    expect(text('%s', guest.bytes([0x80, 0]))).toBe('€');
  });

  it('reads counted strings, whole even with a precision', () => {
    const unicode = guest.unicodeString('\\Device\\Leaky');
    const ansi = guest.ansiString('ansi');
    expect(text('%wZ|%Z|%20wZ|%-6Z|%.3wZ', unicode, ansi, unicode, ansi, unicode)).toBe(
      '\\Device\\Leaky|ansi|       \\Device\\Leaky|ansi  |\\Device\\Leaky',
    );
    const empty = guest.bytes(new Uint8Array(16));
    expect(text('%wZ %Z %wZ', 0, 0, empty)).toBe('(null) (null) (null)');
  });

  it('prints (null) for null strings, cut by the precision', () => {
    expect(text('%s|%ws|%.3s|%8s', 0, 0, 0, 0)).toBe('(null)|(null)|(nu|  (null)');
  });

  it('never reads behind the precision', () => {
    const last = (guest.dataEnd - 3) as typeof guest.dataEnd;
    guest.memory.writeBytes(last, Uint8Array.of(0x61, 0x62, 0x63));
    expect(text('%.3s', last)).toBe('abc');
    expect(() => text('%s', last)).toThrow();
    expect(() => text('%s', 0x8000_0000_0000_0000n)).toThrow();
  });

  it('takes width and precision from arguments', () => {
    expect(text('%*d|%-*d|%*d|%.*d|%.*d', 5, 1, 5, 2, -5, 3, 3, 4, -1, 0)).toBe('    1|2    |3    |004|0');
  });

  it('copies what is no conversion', () => {
    expect(text('100%% %y done%')).toBe('100% y done');
    expect(text('no conversion')).toBe('no conversion');
  });

  it('refuses %n and, outside the debugger, floating point', () => {
    expect(run('a%nb', [1])).toMatchObject({ text: 'a', unsupported: '%n' });
    expect(run('%d %6.2f', [1, 2])).toMatchObject({ text: '1 ', unsupported: '%6.2f' });
    expect(run('%d %f %d', [1, 2, 3], { kernel: true })).toEqual({ text: '1 %f 3', left: 0 });
  });
});
