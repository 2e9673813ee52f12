import { beforeEach, describe, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { STATUS_INVALID_PARAMETER, STATUS_REVISION_MISMATCH, STATUS_SUCCESS } from '../ntstatus.ts';
import { RTL_OSVERSIONINFOEXW as info } from '../structures/run-time-library.ts';
import { rtlArithmetic } from './arithmetic.ts';
import { rtlVersion } from './version.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof rtlVersion.routines, ...args: (number | bigint)[]) =>
  guest.call(name, rtlVersion.routines[name], ...args);

describe('RtlGetVersion', () => {
  it('fills as much as the caller’s structure has', () => {
    expect(info.sizeBytes).toBe(284);
    const short = guest.allocate(288);
    info.dwOSVersionInfoSize.set(guest.memory, short, 276);
    expect(call('RtlGetVersion', short)).toBe(STATUS_SUCCESS);
    expect([4, 8, 12, 16, 20, 276].map((offset) => guest.memory.readU32((short + offset) as typeof short))).toEqual([
      10, 0, 26_100, 2, 0, 0xcccccccc,
    ]);
    info.dwOSVersionInfoSize.set(guest.memory, short, 284);
    call('RtlGetVersion', short);
    expect(info.wProductType.get(guest.memory, short)).toBe(1);
    expect(guest.memory.readU32((short + 284) as typeof short)).toBe(0xcccccccc);
  });
});

it('PsGetVersion answers FALSE: a free build', () => {
  const values = guest.allocate(12);
  expect(call('PsGetVersion', values, 0, values + 8, 0)).toBe(false);
  expect([guest.memory.readU32(values), guest.memory.readU32((values + 8) as typeof values)]).toEqual([10, 26_100]);
});

describe('RtlVerifyVersionInfo', () => {
  const minor = 1;
  const major = 2;
  const build = 4;
  const verify = (
    asked: Partial<Record<'dwMajorVersion' | 'dwMinorVersion' | 'dwBuildNumber', number>>,
    mask: number,
    condition: number,
  ) => {
    const structure = guest.allocate(info.sizeBytes);
    for (const name of ['dwMajorVersion', 'dwMinorVersion', 'dwBuildNumber'] as const) {
      info[name].set(guest.memory, structure, asked[name] ?? 0);
    }
    const conditions = call('VerSetConditionMask', 0, mask, condition) as bigint;
    return call('RtlVerifyVersionInfo', structure, mask, conditions);
  };
  const greaterOrEqual = 3;

  it('looks at the minor version only where the major one is equal', () => {
    expect(verify({ dwMajorVersion: 6, dwMinorVersion: 3 }, major | minor, greaterOrEqual)).toBe(STATUS_SUCCESS);
    expect(verify({ dwMajorVersion: 10, dwMinorVersion: 0 }, major | minor, greaterOrEqual)).toBe(STATUS_SUCCESS);
    expect(verify({ dwMajorVersion: 10, dwMinorVersion: 1 }, major | minor, greaterOrEqual)).toBe(
      STATUS_REVISION_MISMATCH,
    );
    expect(verify({ dwMajorVersion: 11 }, major | minor, greaterOrEqual)).toBe(STATUS_REVISION_MISMATCH);
  });

  it('compares builds by themselves', () => {
    expect(verify({ dwBuildNumber: 22_000 }, build, greaterOrEqual)).toBe(STATUS_SUCCESS);
    expect(verify({ dwBuildNumber: 30_000 }, build, greaterOrEqual)).toBe(STATUS_REVISION_MISMATCH);
    expect(verify({ dwBuildNumber: 26_100 }, build, 1)).toBe(STATUS_SUCCESS);
  });

  it('refuses to test nothing', () => {
    expect(verify({}, 0, greaterOrEqual)).toBe(STATUS_INVALID_PARAMETER);
    expect(verify({}, major, 0)).toBe(STATUS_INVALID_PARAMETER);
  });
});

it('RtlIsNtDdiVersionAvailable knows whole versions', () => {
  expect(call('RtlIsNtDdiVersionAvailable', 0x0a00_0000)).toBe(true);
  expect(call('RtlIsNtDdiVersionAvailable', 0x0601_0000)).toBe(true);
  expect(call('RtlIsNtDdiVersionAvailable', 0x0501_0200)).toBe(false);
  expect(call('RtlIsNtDdiVersionAvailable', 0x0b00_0000)).toBe(false);
});

it('byte order and random numbers', () => {
  const swap = (name: 'RtlUshortByteSwap' | 'RtlUlongByteSwap' | 'RtlUlonglongByteSwap', value: bigint) =>
    guest.call(name, rtlArithmetic.routines[name], value);
  expect(swap('RtlUshortByteSwap', 0xffff_1234n)).toBe(0x3412n);
  expect(swap('RtlUlongByteSwap', 0x1234_5678n)).toBe(0x7856_3412n);
  expect(swap('RtlUlonglongByteSwap', 0x0102_0304_0506_0708n)).toBe(0x0807_0605_0403_0201n);
  const seed = guest.bytes([1, 0, 0, 0]);
  const draw = () => guest.call('RtlRandomEx', rtlArithmetic.routines.RtlRandomEx, seed) as number;
  const values = Array.from({ length: 100 }, draw);
  expect(new Set(values).size).toBe(100);
  expect(values.every((value) => value >= 0 && value < 0x7fff_ffff)).toBe(true);
});
