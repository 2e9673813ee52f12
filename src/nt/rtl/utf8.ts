/** UTF-16 and UTF-8: counted strings, and RtlUnicodeToUTF8N and its opposite. What is malformed becomes U+FFFD. */
import { nullVa, type Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_4,
  STATUS_INVALID_PARAMETER_5,
  STATUS_SOME_NOT_MAPPED,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString, stringBytes, textOfUtf16, utf16OfText } from './guest-text.ts';
import { convertString } from './string-conversion.ts';
import { freeRoutine } from './string-conversion-exports.ts';

const encoder = new TextEncoder();

export function utf8OfText(text: string): Uint8Array {
  return encoder.encode(text);
}

export function textOfUtf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

function isWellFormedUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Where the result goes; `destination` may be NULL to ask for the size, `count` may be NULL. */
interface Target {
  readonly destination: Va;
  readonly room: number;
  readonly count: Va;
}

/** Writes as many whole characters as fit. */
function putCharacters(
  memory: GuestMemory,
  { destination, room, count }: Target,
  text: string,
  encode: (text: string) => Uint8Array,
  isExact: boolean,
): number {
  const whole = encode(text);
  let written = whole;
  if (destination !== nullVa) {
    if (whole.length > room) written = encode(prefixThatFits(text, room, encode));
    memory.writeBytes(destination, written);
  }
  if (count !== nullVa) memory.writeU32(count, written.length);
  if (written.length < whole.length) return STATUS_BUFFER_TOO_SMALL;
  return isExact ? STATUS_SUCCESS : STATUS_SOME_NOT_MAPPED;
}

function prefixThatFits(text: string, room: number, encode: (text: string) => Uint8Array): string {
  let used = 0;
  let kept = '';
  for (const character of text) {
    used += encode(character).length;
    if (used > room) break;
    kept += character;
  }
  return kept;
}

function sourceParameters() {
  return { Destination: PVOID, MaxByteCount: ULONG, ActualByteCount: PVOID, Source: PVOID, ByteCount: ULONG };
}

export const rtlUtf8 = ntExports('ntoskrnl.exe', {
  RtlUnicodeToUTF8N: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlunicodetoutf8n',
    irql: ['PASSIVE', 'PASSIVE'],
    params: sourceParameters(),
    returns: 'NTSTATUS',
    body: ({ memory }, { Destination, MaxByteCount, ActualByteCount, Source, ByteCount }) => {
      if (Source === nullVa) return STATUS_INVALID_PARAMETER_4;
      if (Destination === nullVa && ActualByteCount === nullVa) return STATUS_INVALID_PARAMETER;
      if (ByteCount % 2 !== 0) return STATUS_INVALID_PARAMETER_5;
      const text = textOfUtf16(memory.readBytes(Source, ByteCount));
      const target = { destination: Destination, room: MaxByteCount, count: ActualByteCount };
      return putCharacters(memory, target, text, utf8OfText, isWellFormed(text));
    },
  }),
  RtlUTF8ToUnicodeN: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlutf8tounicoden',
    irql: ['PASSIVE', 'PASSIVE'],
    params: sourceParameters(),
    returns: 'NTSTATUS',
    body: ({ memory }, { Destination, MaxByteCount, ActualByteCount, Source, ByteCount }) => {
      if (Source === nullVa) return STATUS_INVALID_PARAMETER_4;
      if (Destination === nullVa && ActualByteCount === nullVa) return STATUS_INVALID_PARAMETER;
      const bytes = memory.readBytes(Source, ByteCount);
      const target = { destination: Destination, room: MaxByteCount, count: ActualByteCount };
      return putCharacters(memory, target, textOfUtf8(bytes), utf16OfText, isWellFormedUtf8(bytes));
    },
  }),
  RtlUnicodeStringToUTF8String: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlunicodestringtoutf8string',
    irql: ['PASSIVE', 'PASSIVE'],
    since: 19_041,
    params: {
      DestinationString: pointerTo('UTF8_STRING'),
      SourceString: pointerTo('UNICODE_STRING'),
      AllocateDestinationString: BOOLEAN,
    },
    returns: 'NTSTATUS',
    body: (nt, { DestinationString, SourceString, AllocateDestinationString }, call) => {
      const content = utf8OfText(readUnicodeString(nt.memory, SourceString));
      const conversion = { destination: DestinationString, content, terminatorBytes: 1 } as const;
      const allocates = AllocateDestinationString;
      return convertString(nt, { ...conversion, allocates, whenTooSmall: 'nothing' }, call);
    },
  }),
  RtlUTF8StringToUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlutf8stringtounicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    since: 19_041,
    params: {
      DestinationString: pointerTo('UNICODE_STRING'),
      SourceString: pointerTo('UTF8_STRING'),
      AllocateDestinationString: BOOLEAN,
    },
    returns: 'NTSTATUS',
    body: (nt, { DestinationString, SourceString, AllocateDestinationString }, call) => {
      const content = utf16OfText(textOfUtf8(stringBytes(nt.memory, SourceString)));
      const conversion = { destination: DestinationString, content, terminatorBytes: 2 } as const;
      const allocates = AllocateDestinationString;
      return convertString(nt, { ...conversion, allocates, whenTooSmall: 'nothing' }, call);
    },
  }),
  RtlFreeUTF8String: freeRoutine('wdm.h; nf-wdm-rtlfreeutf8string'),
});
