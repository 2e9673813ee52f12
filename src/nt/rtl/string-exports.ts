/** Counted strings: RtlInit*, RtlCopy*, RtlAppend*, RtlCompare*, RtlEqual*, RtlPrefix*, RtlHash*, letter case. */
import { nullVa } from '../../base/va.ts';
import { anyIrql, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, pointerTo, UCHAR, ULONG, WCHAR } from '../declare/parameter-types.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { STRING, UNICODE_STRING } from '../structures/strings.ts';
import { ansiCodePage } from './code-page.ts';
import {
  append,
  appendUnicode,
  appendUnicodeString,
  compareStrings,
  compareUnicodeStrings,
  copyString,
  copyUnicodeString,
  hashText,
  initString,
  initStringEx,
  initUnicodeString,
  initUnicodeStringEx,
  isPrefix,
  isUnicodePrefix,
  upcaseAnsi,
} from './counted-strings.ts';
import { byteLength, readString, readUnicodeString } from './guest-text.ts';
import { downcase, upcase } from './letter-case.ts';

const PUNICODE_STRING = pointerTo('UNICODE_STRING');
const PSTRING = pointerTo('STRING');

const initialise = { DestinationString: PSTRING, SourceString: PVOID };
const initialiseUnicode = { DestinationString: PUNICODE_STRING, SourceString: PVOID };
const twoStrings = { String1: PSTRING, String2: PSTRING, CaseInSensitive: BOOLEAN };
const twoUnicodeStrings = { String1: PUNICODE_STRING, String2: PUNICODE_STRING, CaseInSensitive: BOOLEAN };

export const rtlStrings = ntExports('ntoskrnl.exe', {
  RtlInitUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlinitunicodestring',
    irql: ['PASSIVE', 'DISPATCH'],
    params: initialiseUnicode,
    returns: 'VOID',
    body: (nt, args) => {
      initUnicodeString(nt.memory, args.DestinationString, args.SourceString);
    },
  }),
  RtlInitUnicodeStringEx: ntRoutine({
    doc: 'ntifs.h; nf-wdmsec-wdmlibrtlinitunicodestringex',
    irql: ['PASSIVE', 'DISPATCH'],
    params: initialiseUnicode,
    returns: 'NTSTATUS',
    body: (nt, args) => initUnicodeStringEx(nt.memory, args.DestinationString, args.SourceString),
  }),
  RtlInitAnsiString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlinitansistring',
    irql: anyIrql,
    params: initialise,
    returns: 'VOID',
    body: (nt, args) => {
      initString(nt.memory, args.DestinationString, args.SourceString);
    },
  }),
  RtlInitString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlinitstring',
    irql: ['PASSIVE', 'DISPATCH'],
    params: initialise,
    returns: 'VOID',
    body: (nt, args) => {
      initString(nt.memory, args.DestinationString, args.SourceString);
    },
  }),
  RtlInitAnsiStringEx: ntRoutine({
    doc: 'ntifs.h; as RtlInitUnicodeStringEx',
    irql: ['PASSIVE', 'DISPATCH'],
    params: initialise,
    returns: 'NTSTATUS',
    body: (nt, args) => initStringEx(nt.memory, args.DestinationString, args.SourceString),
  }),
  RtlCopyUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlcopyunicodestring',
    irql: ['PASSIVE', 'HIGH'],
    params: { DestinationString: PUNICODE_STRING, SourceString: PUNICODE_STRING },
    returns: 'VOID',
    body: (nt, args) => {
      copyUnicodeString(nt.memory, args.DestinationString, args.SourceString);
    },
  }),
  RtlCopyString: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlcopystring',
    irql: ['PASSIVE', 'HIGH'],
    params: { DestinationString: PSTRING, SourceString: PSTRING },
    returns: 'VOID',
    body: (nt, args) => {
      copyString(nt.memory, args.DestinationString, args.SourceString);
    },
  }),
  RtlAppendUnicodeToString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlappendunicodetostring',
    irql: ['PASSIVE', 'HIGH'],
    params: { Destination: PUNICODE_STRING, Source: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Destination, Source }) => appendUnicode(nt.memory, Destination, Source),
  }),
  RtlAppendUnicodeStringToString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlappendunicodestringtostring',
    irql: ['PASSIVE', 'HIGH'],
    params: { Destination: PUNICODE_STRING, Source: PUNICODE_STRING },
    returns: 'NTSTATUS',
    body: (nt, { Destination, Source }) => appendUnicodeString(nt.memory, Destination, Source),
  }),
  RtlAppendStringToString: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlappendstringtostring',
    irql: ['PASSIVE', 'APC'],
    params: { Destination: PSTRING, Source: PSTRING },
    returns: 'NTSTATUS',
    body: ({ memory }, { Destination, Source }) =>
      append(memory, Destination, STRING.Buffer.get(memory, Source), STRING.Length.get(memory, Source)),
  }),
  RtlAppendAsciizToString: ntRoutine({
    doc: 'ntrtl.h; as RtlAppendStringToString, from a null-terminated string',
    irql: ['PASSIVE', 'APC'],
    params: { Destination: PSTRING, Source: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { Destination, Source }) =>
      Source === nullVa ? STATUS_SUCCESS : append(memory, Destination, Source, byteLength(memory, Source, 0x1_0000)),
  }),
  RtlCompareUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlcompareunicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: twoUnicodeStrings,
    returns: 'LONG',
    body: (nt, args) => compareUnicodeStrings(nt.memory, args.String1, args.String2, args.CaseInSensitive),
  }),
  RtlEqualUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlequalunicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: twoUnicodeStrings,
    returns: 'BOOLEAN',
    body: ({ memory }, { String1, String2, CaseInSensitive }) =>
      UNICODE_STRING.Length.get(memory, String1) === UNICODE_STRING.Length.get(memory, String2) &&
      compareUnicodeStrings(memory, String1, String2, CaseInSensitive) === 0,
  }),
  RtlPrefixUnicodeString: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlprefixunicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: twoUnicodeStrings,
    returns: 'BOOLEAN',
    body: (nt, args) => isUnicodePrefix(nt.memory, args.String1, args.String2, args.CaseInSensitive),
  }),
  RtlCompareString: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlcomparestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: twoStrings,
    returns: 'LONG',
    body: (nt, args) => compareStrings(nt.memory, args.String1, args.String2, args.CaseInSensitive),
  }),
  RtlEqualString: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlequalstring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: twoStrings,
    returns: 'BOOLEAN',
    body: ({ memory }, { String1, String2, CaseInSensitive }) =>
      STRING.Length.get(memory, String1) === STRING.Length.get(memory, String2) &&
      compareStrings(memory, String1, String2, CaseInSensitive) === 0,
  }),
  RtlPrefixString: ntRoutine({
    doc: 'ntifs.h; as RtlPrefixUnicodeString',
    irql: ['PASSIVE', 'PASSIVE'],
    params: twoStrings,
    returns: 'BOOLEAN',
    body: (nt, args) => isPrefix(nt.memory, args.String1, args.String2, args.CaseInSensitive),
  }),
  RtlHashUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlhashunicodestring',
    irql: upToApc,
    params: { String: PUNICODE_STRING, CaseInSensitive: BOOLEAN, HashAlgorithm: ULONG, HashValue: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { String: string, CaseInSensitive, HashAlgorithm, HashValue }) => {
      // 0 is HASH_STRING_ALGORITHM_DEFAULT, 1 HASH_STRING_ALGORITHM_X65599: the same today.
      if (string === nullVa || HashValue === nullVa || HashAlgorithm > 1) return STATUS_INVALID_PARAMETER;
      memory.writeU32(HashValue, hashText(readUnicodeString(memory, string), CaseInSensitive));
      return STATUS_SUCCESS;
    },
  }),
  RtlUpcaseUnicodeChar: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlupcaseunicodechar',
    irql: ['PASSIVE', 'APC'],
    params: { SourceCharacter: WCHAR },
    returns: 'ULONG',
    body: (_nt, { SourceCharacter }) => upcase(SourceCharacter),
  }),
  RtlDowncaseUnicodeChar: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtldowncaseunicodechar',
    irql: ['PASSIVE', 'APC'],
    params: { SourceCharacter: WCHAR },
    returns: 'ULONG',
    body: (_nt, { SourceCharacter }) => downcase(SourceCharacter),
  }),
  RtlUpperChar: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlupperchar',
    irql: ['PASSIVE', 'APC'],
    params: { Character: UCHAR },
    returns: 'ULONG',
    body: (_nt, { Character }) =>
      ansiCodePage.encode(upcaseAnsi(ansiCodePage.decode(Uint8Array.of(Character))))[0] as number,
  }),
  RtlUpperString: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlupperstring',
    irql: ['PASSIVE', 'APC'],
    params: { DestinationString: PSTRING, SourceString: PSTRING },
    returns: 'VOID',
    body: ({ memory }, { DestinationString, SourceString }) => {
      const room = STRING.MaximumLength.get(memory, DestinationString);
      const bytes = ansiCodePage.encode(upcaseAnsi(readString(memory, SourceString))).subarray(0, room);
      memory.writeBytes(STRING.Buffer.get(memory, DestinationString), bytes);
      STRING.Length.set(memory, DestinationString, bytes.length);
    },
  }),
});
