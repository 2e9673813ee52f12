/** Which Windows is played, and every routine and variable that says so. */
import { nullVa } from '../../base/va.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, UCHAR, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { STATUS_INVALID_PARAMETER, STATUS_REVISION_MISMATCH, STATUS_SUCCESS } from '../ntstatus.ts';
import { RTL_OSVERSIONINFOEXW } from '../structures/run-time-library.ts';
import { setString } from './counted-strings.ts';

/** Windows 11, version 24H2, a workstation without service pack. */
export const playedWindows = {
  majorVersion: 10,
  minorVersion: 0,
  buildNumber: 26_100,
  platformId: 2,
  servicePackMajor: 0,
  servicePackMinor: 0,
  /** VER_SUITE_SINGLEUSERTS */
  suiteMask: 0x100,
  /** VER_NT_WORKSTATION */
  productType: 1,
} as const;

/** High digits of NtBuildNumber: a free (not checked) build. */
const freeBuild = 0xf000_0000;
const extendedSize = 284;

/** Bits of a type mask (VER_*), and the field that each one tests, in the order of their three-bit conditions. */
const versionTests = [
  { bit: 0x01, field: 'dwMinorVersion', actual: playedWindows.minorVersion },
  { bit: 0x02, field: 'dwMajorVersion', actual: playedWindows.majorVersion },
  { bit: 0x04, field: 'dwBuildNumber', actual: playedWindows.buildNumber },
  { bit: 0x08, field: 'dwPlatformId', actual: playedWindows.platformId },
  { bit: 0x10, field: 'wServicePackMinor', actual: playedWindows.servicePackMinor },
  { bit: 0x20, field: 'wServicePackMajor', actual: playedWindows.servicePackMajor },
  { bit: 0x40, field: 'wSuiteMask', actual: playedWindows.suiteMask },
  { bit: 0x80, field: 'wProductType', actual: playedWindows.productType },
] as const;
/** Tested one after the other: a later one only counts while the earlier ones are equal. */
const sequentialTests = [1, 0, 5, 4] as const;

/** VER_EQUAL 1, VER_GREATER 2, VER_GREATER_EQUAL 3, VER_LESS 4, VER_LESS_EQUAL 5; VER_AND 6 and VER_OR 7 for suites. */
function holds(condition: number, actual: number, asked: number): boolean | undefined {
  switch (condition) {
    case 1:
      return actual === asked;
    case 2:
      return actual > asked;
    case 3:
      return actual >= asked;
    case 4:
      return actual < asked;
    case 5:
      return actual <= asked;
    default:
      return undefined;
  }
}

/** RtlVerifyVersionInfo: `asked` gives the value of a field of the structure. */
export function verifyVersion(typeMask: number, conditions: bigint, asked: (field: VersionField) => number): number {
  if (typeMask === 0 || conditions === 0n) return STATUS_INVALID_PARAMETER;
  const conditionOf = (index: number): number => Number((conditions >> BigInt(index * 3)) & 7n);
  for (const index of [2, 3, 7] as const) {
    const test = versionTests[index];
    if ((typeMask & test.bit) === 0) continue;
    const result = holds(conditionOf(index), test.actual, asked(test.field));
    if (result !== true) return result === undefined ? STATUS_INVALID_PARAMETER : STATUS_REVISION_MISMATCH;
  }
  if ((typeMask & versionTests[6].bit) !== 0) {
    const wanted = asked('wSuiteMask');
    const common = wanted & playedWindows.suiteMask;
    const condition = conditionOf(6);
    if (condition !== 6 && condition !== 7) return STATUS_INVALID_PARAMETER;
    if (condition === 6 ? common !== wanted : common === 0 && wanted !== 0) return STATUS_REVISION_MISMATCH;
  }
  return verifySequence(typeMask, conditionOf, asked);
}

type VersionField = (typeof versionTests)[number]['field'];

function verifySequence(
  typeMask: number,
  conditionOf: (index: number) => number,
  asked: (field: VersionField) => number,
): number {
  // Windows applies the condition of the first tested field to the ones behind it.
  let condition = 0;
  let last: boolean | undefined = true;
  for (const index of sequentialTests) {
    const test = versionTests[index];
    if ((typeMask & test.bit) === 0) continue;
    if (condition === 0) condition = conditionOf(index);
    const value = asked(test.field);
    last = holds(condition, test.actual, value);
    if (last === undefined) return STATUS_INVALID_PARAMETER;
    if (test.actual !== value) break;
  }
  return last ? STATUS_SUCCESS : STATUS_REVISION_MISMATCH;
}

const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];

export const rtlVersion = ntExports(
  'ntoskrnl.exe',
  {
    RtlGetVersion: ntRoutine({
      doc: 'wdm.h; nf-wdm-rtlgetversion',
      irql: ['PASSIVE', 'PASSIVE'],
      params: { VersionInformation: pointerTo('RTL_OSVERSIONINFOW') },
      returns: 'NTSTATUS',
      body: ({ memory }, { VersionInformation: info }) => {
        RTL_OSVERSIONINFOEXW.dwMajorVersion.set(memory, info, playedWindows.majorVersion);
        RTL_OSVERSIONINFOEXW.dwMinorVersion.set(memory, info, playedWindows.minorVersion);
        RTL_OSVERSIONINFOEXW.dwBuildNumber.set(memory, info, playedWindows.buildNumber);
        RTL_OSVERSIONINFOEXW.dwPlatformId.set(memory, info, playedWindows.platformId);
        memory.fill(RTL_OSVERSIONINFOEXW.szCSDVersion.at(info), RTL_OSVERSIONINFOEXW.szCSDVersion.size, 0);
        if (RTL_OSVERSIONINFOEXW.dwOSVersionInfoSize.get(memory, info) !== extendedSize) return STATUS_SUCCESS;
        RTL_OSVERSIONINFOEXW.wServicePackMajor.set(memory, info, playedWindows.servicePackMajor);
        RTL_OSVERSIONINFOEXW.wServicePackMinor.set(memory, info, playedWindows.servicePackMinor);
        RTL_OSVERSIONINFOEXW.wSuiteMask.set(memory, info, playedWindows.suiteMask);
        RTL_OSVERSIONINFOEXW.wProductType.set(memory, info, playedWindows.productType);
        RTL_OSVERSIONINFOEXW.wReserved.set(memory, info, 0);
        return STATUS_SUCCESS;
      },
    }),
    RtlVerifyVersionInfo: ntRoutine({
      doc: 'wdm.h; nf-wdm-rtlverifyversioninfo',
      irql: ['PASSIVE', 'PASSIVE'],
      params: { VersionInfo: pointerTo('RTL_OSVERSIONINFOEXW'), TypeMask: ULONG, ConditionMask: ULONG64 },
      returns: 'NTSTATUS',
      body: ({ memory }, { VersionInfo, TypeMask, ConditionMask }) =>
        verifyVersion(TypeMask, ConditionMask, (field) => RTL_OSVERSIONINFOEXW[field].get(memory, VersionInfo)),
    }),
    VerSetConditionMask: ntRoutine({
      doc: 'wdm.h; nf-wdm-versetconditionmask',
      irql: anyIrql,
      params: { ConditionMask: ULONG64, TypeMask: ULONG, Condition: UCHAR },
      returns: 'ULONG64',
      body: (_nt, { ConditionMask, TypeMask, Condition }) => {
        let mask = ConditionMask;
        for (const [index, { bit }] of versionTests.entries()) {
          if ((TypeMask & bit) !== 0) mask |= BigInt(Condition & 7) << BigInt(index * 3);
        }
        return mask;
      },
    }),
    /** Knows whole versions only, as documented: what asks for a service pack or update is refused. */
    RtlIsNtDdiVersionAvailable: ntRoutine({
      doc: 'wdm.h; nf-wdm-rtlisntddiversionavailable',
      irql: ['PASSIVE', 'PASSIVE'],
      params: { Version: ULONG },
      returns: 'BOOLEAN',
      body: (_nt, { Version }) =>
        (Version & 0xffff) === 0 &&
        Version <= ((playedWindows.majorVersion << 24) | (playedWindows.minorVersion << 16)) >>> 0,
    }),
    PsGetVersion: ntRoutine({
      doc: 'wdm.h; nf-wdm-psgetversion',
      irql: ['PASSIVE', 'PASSIVE'],
      params: { MajorVersion: PVOID, MinorVersion: PVOID, BuildNumber: PVOID, CSDVersion: PVOID },
      returns: 'BOOLEAN',
      body: ({ memory }, { MajorVersion, MinorVersion, BuildNumber, CSDVersion }) => {
        if (MajorVersion !== nullVa) memory.writeU32(MajorVersion, playedWindows.majorVersion);
        if (MinorVersion !== nullVa) memory.writeU32(MinorVersion, playedWindows.minorVersion);
        if (BuildNumber !== nullVa) memory.writeU32(BuildNumber, playedWindows.buildNumber);
        if (CSDVersion !== nullVa) setString(memory, CSDVersion, 0, 0, nullVa);
        return false;
      },
    }),
  },
  {
    NtBuildNumber: {
      doc: 'ntifs.h; low half the build, high half 0xF000 for a free build',
      sizeBytes: 4,
      initialise: (nt, va) => nt.memory.writeU32(va, (freeBuild | playedWindows.buildNumber) >>> 0),
    },
    InitSafeBootMode: {
      doc: 'ntddk.h; 0: not started in safe mode',
      sizeBytes: 4,
      initialise: (nt, va) => nt.memory.writeU32(va, 0),
    },
  },
);
