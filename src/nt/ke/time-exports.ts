/** The time: since boot, since 1601, in ticks, and of the performance counter. */
import { nullVa } from '../../base/va.ts';
import { AddressMap } from '../address-map.ts';
import { anyIrql } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { KUSER_SHARED_DATA } from '../structures/ke.ts';
import { timeIncrement100ns } from './clock.ts';

/** As on Windows 10 and later: the counter counts 100 ns. */
const performanceFrequency = 10_000_000n;

const interruptTime = (nt: Nt): bigint => BigInt(nt.clock.interruptTime);

const currentTime = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { CurrentTime: pointerTo('LARGE_INTEGER') },
    returns: 'VOID',
    body: (nt, { CurrentTime }) => {
      nt.memory.writeU64(CurrentTime, nt.clock.systemTime);
    },
  });

/** Time since boot with the value of the performance counter at that moment. */
const preciseTime = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { QpcTimeStamp: pointerTo('ULONG64') },
    returns: 'ULONG64',
    body: (nt, { QpcTimeStamp }) => {
      const now = interruptTime(nt);
      nt.memory.writeU64(QpcTimeStamp, now);
      return now;
    },
  });

const plainTime = (doc: string) =>
  ntRoutine({ doc, irql: anyIrql, params: {}, returns: 'ULONG64', body: (nt) => interruptTime(nt) });

const convertTime = (doc: string, sign: bigint) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { From: pointerTo('LARGE_INTEGER'), To: pointerTo('LARGE_INTEGER') },
    returns: 'VOID',
    body: ({ memory }, { From, To }) => {
      const bias = KUSER_SHARED_DATA.TimeZoneBias.get(memory, AddressMap.sharedUserData);
      memory.writeU64(To, BigInt.asUintN(64, memory.readU64(From) + sign * bias));
    },
  });

export const keTime = ntExports('ntoskrnl.exe', {
  KeQuerySystemTime: currentTime('wdm.h; nf-wdm-kequerysystemtime-r1 (inline in x64 headers)'),
  KeQuerySystemTimePrecise: currentTime('wdm.h; nf-wdm-kequerysystemtimeprecise'),
  KeQueryTickCount: ntRoutine({
    doc: 'wdm.h; kequerytickcount (inline in x64 headers)',
    irql: anyIrql,
    params: { CurrentCount: pointerTo('LARGE_INTEGER') },
    returns: 'VOID',
    body: (nt, { CurrentCount }) => {
      nt.memory.writeU64(CurrentCount, BigInt(nt.clock.tickCount));
    },
  }),
  KeQueryInterruptTime: plainTime('wdm.h; nf-wdm-kequeryinterrupttime'),
  KeQueryInterruptTimePrecise: preciseTime('wdm.h; nf-wdm-kequeryinterrupttimeprecise'),
  /** The machine never sleeps, so that the two times are one. */
  KeQueryUnbiasedInterruptTime: plainTime('wdm.h; nf-wdm-kequeryunbiasedinterrupttime'),
  KeQueryUnbiasedInterruptTimePrecise: preciseTime('ntddk.h; as KeQueryInterruptTimePrecise'),
  KeQueryTimeIncrement: ntRoutine({
    doc: 'wdm.h; nf-wdm-kequerytimeincrement',
    irql: anyIrql,
    params: {},
    returns: 'ULONG',
    body: () => timeIncrement100ns,
  }),
  KeQueryPerformanceCounter: ntRoutine({
    doc: 'wdm.h; nf-wdm-kequeryperformancecounter',
    irql: anyIrql,
    params: { PerformanceFrequency: pointerTo('LARGE_INTEGER') },
    returns: 'LONG64',
    body: (nt, { PerformanceFrequency }) => {
      if (PerformanceFrequency !== nullVa) nt.memory.writeU64(PerformanceFrequency, performanceFrequency);
      return interruptTime(nt);
    },
  }),
  KeStallExecutionProcessor: ntRoutine({
    doc: 'wdm.h; nf-wdm-kestallexecutionprocessor',
    irql: anyIrql,
    params: { MicroSeconds: ULONG },
    returns: 'VOID',
    body: (nt, { MicroSeconds }) => {
      nt.clock.skip(MicroSeconds * 10);
    },
  }),
  ExSystemTimeToLocalTime: convertTime('wdm.h; nf-wdm-exsystemtimetolocaltime', -1n),
  ExLocalTimeToSystemTime: convertTime('wdm.h; nf-wdm-exlocaltimetosystemtime', 1n),
  ExQueryTimerResolution: ntRoutine({
    doc: 'wdm.h; nf-wdm-exquerytimerresolution',
    irql: anyIrql,
    params: { Maximum: pointerTo('ULONG'), Minimum: pointerTo('ULONG'), Current: pointerTo('ULONG') },
    returns: 'VOID',
    body: ({ memory }, { Maximum, Minimum, Current }) => {
      for (const at of [Maximum, Minimum, Current]) memory.writeU32(at, timeIncrement100ns);
    },
  }),
});
