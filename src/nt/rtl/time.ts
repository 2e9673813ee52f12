/** System time (100 ns since 1601) in calendar fields and in seconds since 1970 and 1980. */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { TIME_FIELDS } from '../structures/run-time-library.ts';

const ticksPerMillisecond = 10_000n;
const ticksPerSecond = 10_000_000n;
const millisecondsFrom1601To1970 = 11_644_473_600_000;
const secondsFrom1601To1970 = 11_644_473_600n;
const secondsFrom1601To1980 = 11_960_006_400n;

export interface TimeFields {
  readonly year: number;
  /** 1 to 12 */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly milliseconds: number;
  /** 0 is Sunday. */
  readonly weekday: number;
}

export function timeToFields(time: bigint): TimeFields {
  const date = new Date(Number(time / ticksPerMillisecond) - millisecondsFrom1601To1970);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    milliseconds: date.getUTCMilliseconds(),
    weekday: date.getUTCDay(),
  };
}

/** Undefined for fields that name no moment from 1601 to 30827. */
export function fieldsToTime(fields: Omit<TimeFields, 'weekday'>): bigint | undefined {
  const { year, month, day, hour, minute, second, milliseconds } = fields;
  const isInRange =
    year >= 1601 &&
    year <= 30_827 &&
    hour >= 0 &&
    hour < 24 &&
    minute >= 0 &&
    minute < 60 &&
    second >= 0 &&
    second < 60;
  if (!isInRange || milliseconds < 0 || milliseconds > 999) return undefined;
  const moment = Date.UTC(year, month - 1, day, hour, minute, second, milliseconds);
  const date = new Date(moment);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return BigInt(moment + millisecondsFrom1601To1970) * ticksPerMillisecond;
}

function writeFields(memory: GuestMemory, at: Va, fields: TimeFields): void {
  TIME_FIELDS.Year.set(memory, at, fields.year);
  TIME_FIELDS.Month.set(memory, at, fields.month);
  TIME_FIELDS.Day.set(memory, at, fields.day);
  TIME_FIELDS.Hour.set(memory, at, fields.hour);
  TIME_FIELDS.Minute.set(memory, at, fields.minute);
  TIME_FIELDS.Second.set(memory, at, fields.second);
  TIME_FIELDS.Milliseconds.set(memory, at, fields.milliseconds);
  TIME_FIELDS.Weekday.set(memory, at, fields.weekday);
}

function readFields(memory: GuestMemory, at: Va): Omit<TimeFields, 'weekday'> {
  return {
    year: TIME_FIELDS.Year.get(memory, at),
    month: TIME_FIELDS.Month.get(memory, at),
    day: TIME_FIELDS.Day.get(memory, at),
    hour: TIME_FIELDS.Hour.get(memory, at),
    minute: TIME_FIELDS.Minute.get(memory, at),
    second: TIME_FIELDS.Second.get(memory, at),
    milliseconds: TIME_FIELDS.Milliseconds.get(memory, at),
  };
}

const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];

function timeToSeconds(doc: string, epoch: bigint) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Time: PVOID, ElapsedSeconds: PVOID },
    returns: 'BOOLEAN',
    body: ({ memory }, { Time, ElapsedSeconds }) => {
      const seconds = BigInt.asIntN(64, memory.readU64(Time)) / ticksPerSecond - epoch;
      if (seconds < 0n || seconds > 0xffff_ffffn) return false;
      memory.writeU32(ElapsedSeconds, Number(seconds));
      return true;
    },
  });
}

function secondsToTime(doc: string, epoch: bigint) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { ElapsedSeconds: ULONG, Time: PVOID },
    returns: 'VOID',
    body: ({ memory }, { ElapsedSeconds, Time }) => {
      memory.writeU64(Time, (BigInt(ElapsedSeconds) + epoch) * ticksPerSecond);
    },
  });
}

export const rtlTime = ntExports('ntoskrnl.exe', {
  RtlTimeToTimeFields: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtltimetotimefields',
    irql: anyIrql,
    params: { Time: PVOID, TimeFields: pointerTo('TIME_FIELDS') },
    returns: 'VOID',
    body: ({ memory }, { Time, TimeFields }) => {
      // The sign bit is not part of a time.
      writeFields(memory, TimeFields, timeToFields(BigInt.asUintN(63, memory.readU64(Time))));
    },
  }),
  RtlTimeFieldsToTime: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtltimefieldstotime',
    irql: anyIrql,
    params: { TimeFields: pointerTo('TIME_FIELDS'), Time: PVOID },
    returns: 'BOOLEAN',
    body: ({ memory }, { TimeFields, Time }) => {
      const time = fieldsToTime(readFields(memory, TimeFields));
      if (time === undefined) return false;
      memory.writeU64(Time, time);
      return true;
    },
  }),
  RtlTimeToSecondsSince1970: timeToSeconds('ntifs.h; nf-ntifs-rtltimetosecondssince1970', secondsFrom1601To1970),
  RtlTimeToSecondsSince1980: timeToSeconds('ntifs.h; nf-ntifs-rtltimetosecondssince1980', secondsFrom1601To1980),
  RtlSecondsSince1970ToTime: secondsToTime('ntifs.h; nf-ntifs-rtlsecondssince1970totime', secondsFrom1601To1970),
  RtlSecondsSince1980ToTime: secondsToTime('ntifs.h; nf-ntifs-rtlsecondssince1980totime', secondsFrom1601To1980),
});
