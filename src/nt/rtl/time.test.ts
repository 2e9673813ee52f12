import { beforeEach, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { TIME_FIELDS } from '../structures/run-time-library.ts';
import { fieldsToTime, rtlTime, timeToFields } from './time.ts';

let guest: GuestFixture;
beforeEach(() => {
  guest = new GuestFixture();
});

const call = (name: keyof typeof rtlTime.routines, ...args: (number | bigint)[]) =>
  guest.call(name, rtlTime.routines[name], ...args);

it('starts on Monday, 1 January 1601', () => {
  expect(timeToFields(0n)).toEqual({
    year: 1601,
    month: 1,
    day: 1,
    hour: 0,
    minute: 0,
    second: 0,
    milliseconds: 0,
    weekday: 1,
  });
});

it('converts there and back through guest memory', () => {
  const time = guest.allocate(8);
  const fields = guest.allocate(16);
  // 2000-02-29 23:59:58.997 UTC, from the seconds that `date -u +%s` gives.
  const moment = (951_868_798n + 11_644_473_600n) * 10_000_000n + 9_970_000n;
  guest.memory.writeU64(time, moment + 9_999n);
  call('RtlTimeToTimeFields', time, fields);
  const names = ['Year', 'Month', 'Day', 'Hour', 'Minute', 'Second', 'Milliseconds', 'Weekday'] as const;
  expect(names.map((name) => TIME_FIELDS[name].get(guest.memory, fields))).toEqual([2000, 2, 29, 23, 59, 58, 997, 2]);
  expect(call('RtlTimeFieldsToTime', fields, time)).toBe(true);
  expect(guest.memory.readU64(time)).toBe(moment);
  TIME_FIELDS.Year.set(guest.memory, fields, 2001);
  expect(call('RtlTimeFieldsToTime', fields, time)).toBe(false);
});

it('refuses fields that are no moment', () => {
  const good = { year: 2024, month: 12, day: 31, hour: 23, minute: 59, second: 59, milliseconds: 999 };
  expect(fieldsToTime(good)).toBeTypeOf('bigint');
  const wrong = [
    { year: 1600 },
    { month: 0 },
    { month: 13 },
    { day: 32 },
    { hour: 24 },
    { minute: -1 },
    { milliseconds: 1000 },
  ];
  for (const field of wrong) expect(fieldsToTime({ ...good, ...field }), JSON.stringify(field)).toBeUndefined();
});

it('counts seconds since 1970 and 1980', () => {
  const time = guest.allocate(8);
  const seconds = guest.allocate(4);
  call('RtlSecondsSince1970ToTime', 0, time);
  expect(guest.memory.readU64(time)).toBe(116_444_736_000_000_000n);
  expect(call('RtlTimeToSecondsSince1970', time, seconds)).toBe(true);
  expect(guest.memory.readU32(seconds)).toBe(0);
  expect(call('RtlTimeToSecondsSince1980', time, seconds)).toBe(false);
  call('RtlSecondsSince1980ToTime', 0, time);
  call('RtlTimeToSecondsSince1970', time, seconds);
  expect(guest.memory.readU32(seconds)).toBe(Date.UTC(1980, 0, 1) / 1000);
});
