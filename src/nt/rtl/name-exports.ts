/** File names: patterns, parts, what DOS allows; and random numbers of the run-time library. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { anyIrql, passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import type { Outcome } from '../declare/outcome.ts';
import { BOOLEAN, NTSTATUS, PVOID, pointerTo, ULONG64 } from '../declare/parameter-types.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, STATUS_ILLEGAL_INSTRUCTION } from '../ntstatus.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { setString } from './counted-strings.ts';
import { readUnicodeString } from './guest-text.ts';
import { upcaseText } from './letter-case.ts';
import { isNameInExpression, wildcards } from './name-expression.ts';

const pstring = pointerTo('UNICODE_STRING');
const longestBase = 8;
const longestExtension = 3;
const illegalInDos = /["*+,/:;<=>?[\\\]|]/;

/** RtlIsNameLegalDOS8Dot3 for names of the ANSI code page. */
export function isLegal8Dot3(name: string): { readonly isLegal: boolean; readonly hasSpaces: boolean } {
  const refused = { isLegal: false, hasSpaces: false };
  if (name === '.' || name === '..') return { isLegal: true, hasSpaces: false };
  if (name.length > longestBase + 1 + longestExtension || name.length === 0) return refused;
  const parts = name.split('.');
  const [base = '', extension] = parts;
  if (parts.length > 2 || base.length === 0 || base.length > longestBase) return refused;
  if (extension !== undefined && (extension.length === 0 || extension.length > longestExtension)) return refused;
  const isPlain = [...name].every((letter) => letter >= ' ' && letter < '\u0100' && upcaseText(letter) === letter);
  if (!isPlain || illegalInDos.test(name) || base.endsWith(' ') || extension?.endsWith(' ') === true) return refused;
  return { isLegal: true, hasSpaces: name.includes(' ') };
}

/** Part of a string that lies in its buffer. */
function slice(memory: GuestMemory, string: Va, source: Va, start: number, units: number): void {
  const buffer = units === 0 ? nullVa : vaAdd(UNICODE_STRING.Buffer.get(memory, source), start * 2);
  setString(memory, string, units * 2, units * 2, buffer);
}

/** Statuses that a file system may meet in an exception filter; all others are bugs. */
const unexpected: readonly number[] = [
  STATUS_DATATYPE_MISALIGNMENT,
  STATUS_ACCESS_VIOLATION,
  STATUS_ILLEGAL_INSTRUCTION,
  0xc000_00aa,
];

export const rtlNames = ntExports('ntoskrnl.exe', {
  FsRtlIsNameInExpression: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-fsrtlisnameinexpression: the expression is in upper case already',
    irql: passiveOnly,
    params: { Expression: pstring, Name: pstring, IgnoreCase: BOOLEAN, UpcaseTable: PVOID },
    returns: 'BOOLEAN',
    support: { partial: 'an upcase table of the driver is not used' },
    body: ({ memory }, { Expression, Name, IgnoreCase }) => {
      const name = readUnicodeString(memory, Name);
      return isNameInExpression(readUnicodeString(memory, Expression), IgnoreCase ? upcaseText(name) : name);
    },
  }),
  FsRtlDoesNameContainWildCards: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-fsrtldoesnamecontainwildcards',
    irql: passiveOnly,
    params: { Name: pstring },
    returns: 'BOOLEAN',
    body: ({ memory }, { Name }) => wildcards.test(readUnicodeString(memory, Name).split('\\').at(-1) ?? ''),
  }),
  FsRtlAreNamesEqual: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-fsrtlarenamesequal',
    irql: passiveOnly,
    params: { Name1: pstring, Name2: pstring, IgnoreCase: BOOLEAN, UpcaseTable: PVOID },
    returns: 'BOOLEAN',
    support: { partial: 'an upcase table of the driver is not used' },
    body: ({ memory }, { Name1, Name2, IgnoreCase }) => {
      const [first, second] = [readUnicodeString(memory, Name1), readUnicodeString(memory, Name2)];
      return IgnoreCase ? upcaseText(first) === upcaseText(second) : first === second;
    },
  }),
  FsRtlDissectName: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-fsrtldissectname',
    irql: anyIrql,
    params: { Path: ULONG64, FirstName: pstring, RemainingName: pstring },
    returns: 'VOID',
    body: ({ memory }, { Path, FirstName, RemainingName }) => {
      // A UNICODE_STRING by value: the caller passes its address.
      const path = Number(BigInt.asIntN(64, Path)) as Va;
      const text = readUnicodeString(memory, path);
      const start = text.startsWith('\\') ? 1 : 0;
      const end = text.indexOf('\\', start);
      const stop = end < 0 ? text.length : end;
      slice(memory, FirstName, path, start, stop - start);
      slice(memory, RemainingName, path, stop + 1, Math.max(0, text.length - stop - 1));
    },
  }),
  FsRtlIsNtstatusExpected: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-fsrtlisntstatusexpected',
    irql: anyIrql,
    params: { Exception: NTSTATUS },
    returns: 'BOOLEAN',
    body: (_nt, { Exception }) => !unexpected.includes(Exception),
  }),
  FsRtlNormalizeNtstatus: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-fsrtlnormalizentstatus',
    irql: anyIrql,
    params: { Exception: NTSTATUS, GenericException: NTSTATUS },
    returns: 'NTSTATUS',
    body: (_nt, { Exception, GenericException }) => (unexpected.includes(Exception) ? GenericException : Exception),
  }),
  RtlIsNameLegalDOS8Dot3: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlisnamelegaldos8dot3',
    irql: passiveOnly,
    params: { Name: pstring, OemName: PVOID, NameContainsSpaces: PVOID },
    returns: 'BOOLEAN',
    support: { partial: 'the name in the OEM code page is not given out' },
    body: ({ memory }, { Name, OemName, NameContainsSpaces }): Outcome => {
      if (OemName !== nullVa)
        return { action: 'unsupported', what: 'RtlIsNameLegalDOS8Dot3 with a buffer for the name' };
      const { isLegal, hasSpaces } = isLegal8Dot3(upcaseText(readUnicodeString(memory, Name)));
      if (isLegal && NameContainsSpaces !== nullVa) memory.writeU8(NameContainsSpaces, hasSpaces ? 1 : 0);
      return isLegal;
    },
  }),
});
