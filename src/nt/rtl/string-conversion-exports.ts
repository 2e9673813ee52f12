/** Strings between UTF-16 and code pages, in upper and lower case, and the strings that the kernel allocates. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { STRING, UNICODE_STRING } from '../structures/strings.ts';
import { ansiCodePage, type CodePage, oemCodePage } from './code-page.ts';
import { setString } from './counted-strings.ts';
import { readString, readUnicodeString, readWideZ, utf16OfText } from './guest-text.ts';
import { downcaseText, upcaseText } from './letter-case.ts';
import { createString, freeString } from './string-buffers.ts';
import { convertString } from './string-conversion.ts';

const PUNICODE_STRING = pointerTo('UNICODE_STRING');
const PSTRING = pointerTo('STRING');

const noLookAlikes = { partial: "characters that the code page lacks become '?', never a look-alike" };

/** Code page to UTF-16: RtlAnsiStringToUnicodeString and its OEM and counted forms. */
function toUnicode(page: CodePage, doc: string, terminatorBytes: 0 | 2 = 2) {
  return ntRoutine({
    doc,
    irql: page === oemCodePage ? upToApc : passiveOnly,
    params: { DestinationString: PUNICODE_STRING, SourceString: PSTRING, AllocateDestinationString: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { DestinationString, SourceString, AllocateDestinationString }, call) => {
      const content = utf16OfText(readString(nt.memory, SourceString, page));
      const allocates = AllocateDestinationString;
      const conversion = { destination: DestinationString, content, terminatorBytes, allocates } as const;
      return convertString(nt, { ...conversion, whenTooSmall: 'nothing' }, call);
    },
  });
}

/** UTF-16 to a code page: RtlUnicodeStringToAnsiString and its OEM, counted and upper-case forms. */
function fromUnicode(page: CodePage, doc: string, map: (text: string) => string, terminatorBytes: 0 | 1 = 1) {
  return ntRoutine({
    doc,
    irql: page === oemCodePage ? upToApc : passiveOnly,
    params: { DestinationString: PSTRING, SourceString: PUNICODE_STRING, AllocateDestinationString: BOOLEAN },
    returns: 'NTSTATUS',
    support: noLookAlikes,
    body: (nt, { DestinationString, SourceString, AllocateDestinationString }, call) => {
      const content = page.encode(map(readUnicodeString(nt.memory, SourceString)));
      const allocates = AllocateDestinationString;
      const conversion = { destination: DestinationString, content, terminatorBytes, allocates } as const;
      return convertString(nt, { ...conversion, whenTooSmall: 'truncated' }, call);
    },
  });
}

/** RtlUpcaseUnicodeString, RtlDowncaseUnicodeString: no terminator. */
function unicodeCase(doc: string, map: (text: string) => string) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'APC'],
    params: { DestinationString: PUNICODE_STRING, SourceString: PUNICODE_STRING, AllocateDestinationString: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { DestinationString, SourceString, AllocateDestinationString }, call) => {
      const content = utf16OfText(map(readUnicodeString(nt.memory, SourceString)));
      const allocates = AllocateDestinationString;
      const conversion = { destination: DestinationString, content, terminatorBytes: 0, allocates } as const;
      return convertString(nt, { ...conversion, whenTooSmall: 'nothing' }, call);
    },
  });
}

export function freeRoutine(doc: string) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'APC'],
    params: { String: PSTRING },
    returns: 'VOID',
    body: (nt, { String: string }, call) => {
      freeString(nt, string, call);
    },
  });
}

function sizeRoutine(doc: string, bytes: (length: number) => number) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'PASSIVE'],
    params: { String: PSTRING },
    returns: 'ULONG',
    body: ({ memory }, { String: string }) => bytes(STRING.Length.get(memory, string)),
  });
}

const sameCase = (text: string): string => text;

const nullTerminate = 1;
const allocateNullString = 2;

function duplicate(nt: Nt, flags: number, source: Va, destination: Va, call: Call): number {
  if (source === nullVa || destination === nullVa) return STATUS_INVALID_PARAMETER;
  if (flags > (nullTerminate | allocateNullString) || flags === allocateNullString) return STATUS_INVALID_PARAMETER;
  const length = UNICODE_STRING.Length.get(nt.memory, source);
  const maximumLength = UNICODE_STRING.MaximumLength.get(nt.memory, source);
  if (length % 2 !== 0 || maximumLength % 2 !== 0 || length > maximumLength) return STATUS_INVALID_PARAMETER;
  if (length === 0 && (flags & allocateNullString) === 0) {
    setString(nt.memory, destination, 0, 0, nullVa);
    return STATUS_SUCCESS;
  }
  const content = utf16OfText(readUnicodeString(nt.memory, source));
  return createString(nt, destination, content, (flags & nullTerminate) * 2, call);
}

export const rtlStringConversion = ntExports('ntoskrnl.exe', {
  RtlAnsiStringToUnicodeString: toUnicode(ansiCodePage, 'wdm.h; nf-wdm-rtlansistringtounicodestring'),
  RtlOemStringToUnicodeString: toUnicode(oemCodePage, 'ntifs.h; nf-ntifs-rtloemstringtounicodestring'),
  RtlOemStringToCountedUnicodeString: toUnicode(oemCodePage, 'ntifs.h; nf-ntifs-rtloemstringtocountedunicodestring', 0),
  RtlUnicodeStringToAnsiString: fromUnicode(ansiCodePage, 'wdm.h; nf-wdm-rtlunicodestringtoansistring', sameCase),
  RtlUnicodeStringToOemString: fromUnicode(oemCodePage, 'ntifs.h; nf-ntifs-rtlunicodestringtooemstring', sameCase),
  RtlUnicodeStringToCountedOemString: fromUnicode(
    oemCodePage,
    'ntifs.h; nf-ntifs-rtlunicodestringtocountedoemstring',
    sameCase,
    0,
  ),
  RtlUpcaseUnicodeStringToOemString: fromUnicode(
    oemCodePage,
    'ntifs.h; nf-ntifs-rtlupcaseunicodestringtooemstring',
    upcaseText,
  ),
  RtlUpcaseUnicodeStringToCountedOemString: fromUnicode(
    oemCodePage,
    'ntifs.h; nf-ntifs-rtlupcaseunicodestringtocountedoemstring',
    upcaseText,
    0,
  ),
  RtlUpcaseUnicodeString: unicodeCase('ntddk.h; nf-ntddk-rtlupcaseunicodestring', upcaseText),
  RtlDowncaseUnicodeString: unicodeCase('ntifs.h; nf-ntifs-rtldowncaseunicodestring', downcaseText),
  RtlFreeUnicodeString: freeRoutine('wdm.h; nf-wdm-rtlfreeunicodestring'),
  RtlFreeAnsiString: freeRoutine('wdm.h; nf-wdm-rtlfreeansistring'),
  RtlFreeOemString: freeRoutine('ntifs.h; nf-ntifs-rtlfreeoemstring'),
  RtlxAnsiStringToUnicodeSize: sizeRoutine('wdm.h; nf-wdm-rtlxansistringtounicodesize', (length) => (length + 1) * 2),
  RtlxOemStringToUnicodeSize: sizeRoutine('ntifs.h; nf-ntifs-rtlxoemstringtounicodesize', (length) => (length + 1) * 2),
  RtlxUnicodeStringToAnsiSize: sizeRoutine(
    'wdm.h; nf-wdm-rtlxunicodestringtoansisize',
    (length) => Math.floor(length / 2) + 1,
  ),
  RtlxUnicodeStringToOemSize: sizeRoutine(
    'ntifs.h; nf-ntifs-rtlxunicodestringtooemsize',
    (length) => Math.floor(length / 2) + 1,
  ),
  RtlCreateUnicodeString: ntRoutine({
    doc: 'ntifs.h; nf-ntifs-rtlcreateunicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { DestinationString: PUNICODE_STRING, SourceString: PVOID },
    returns: 'BOOLEAN',
    body: (nt, { DestinationString, SourceString }, call) => {
      const content = utf16OfText(readWideZ(nt.memory, SourceString, 0x8000));
      return content.length + 2 <= 0xfffe && createString(nt, DestinationString, content, 2, call) === STATUS_SUCCESS;
    },
  }),
  RtlDuplicateUnicodeString: ntRoutine({
    doc: 'ntifs.h; flags RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE 1, _ALLOCATE_NULL_STRING 2',
    irql: ['PASSIVE', 'APC'],
    params: { Flags: ULONG, StringIn: PUNICODE_STRING, StringOut: PUNICODE_STRING },
    returns: 'NTSTATUS',
    body: (nt, { Flags, StringIn, StringOut }, call) => duplicate(nt, Flags, StringIn, StringOut, call),
  }),
});
