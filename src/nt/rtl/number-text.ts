/** Numbers in strings and back: RtlUnicodeStringToInteger, RtlIntegerToUnicodeString and their relatives. */
import { nullVa, type Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { readAnsiZ, readUnicodeString, utf16OfText } from './guest-text.ts';
import { putString } from './string-conversion.ts';

const prefixes: Readonly<Record<string, number>> = { '0x': 16, '0o': 8, '0b': 2 };

/**
 * The number at the start of a text as an unsigned 32-bit value (digits beyond that wrap); undefined for a base that
 * is none of 0, 2, 8, 10, 16. White space is everything up to and including the space character.
 */
export function parseInteger(text: string, base: number): number | undefined {
  if (![0, 2, 8, 10, 16].includes(base)) return undefined;
  let at = 0;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  const isNegative = text[at] === '-';
  if (isNegative || text[at] === '+') at++;
  let radix = base;
  if (base === 0) {
    radix = prefixes[text.slice(at, at + 2)] ?? 10;
    if (radix !== 10) at += 2;
  }
  let value = 0;
  for (; at < text.length; at++) {
    const digit = digitOf(text.charCodeAt(at));
    if (digit >= radix) break;
    value = (Math.imul(value, radix) + digit) >>> 0;
  }
  return isNegative ? -value >>> 0 : value;
}

function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 && code < 0x80 ? letter - 0x61 + 10 : Number.POSITIVE_INFINITY;
}

/** Writes the number, null-terminated; STATUS_BUFFER_OVERFLOW if it does not fit. Hexadecimal digits are capitals. */
export function putNumber(memory: GuestMemory, value: number | bigint, base: number, string: Va): number {
  if (![0, 2, 8, 10, 16].includes(base)) return STATUS_INVALID_PARAMETER;
  const content = utf16OfText(value.toString(base === 0 ? 10 : base).toUpperCase());
  return putString(memory, { destination: string, content, terminatorBytes: 2, whenTooSmall: 'nothing' });
}

const PUNICODE_STRING = pointerTo('UNICODE_STRING');

export const rtlNumberText = ntExports('ntoskrnl.exe', {
  RtlUnicodeStringToInteger: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlunicodestringtointeger',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { String: PUNICODE_STRING, Base: ULONG, Value: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { String: string, Base, Value }) => {
      const text = readUnicodeString(memory, string);
      const value = text === '' ? undefined : parseInteger(text, Base);
      if (value === undefined) return STATUS_INVALID_PARAMETER;
      if (Value === nullVa) return STATUS_ACCESS_VIOLATION;
      memory.writeU32(Value, value);
      return STATUS_SUCCESS;
    },
  }),
  RtlCharToInteger: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-rtlchartointeger',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { String: PVOID, Base: ULONG, Value: PVOID },
    returns: 'NTSTATUS',
    body: ({ memory }, { String: string, Base, Value }) => {
      const value = parseInteger(readAnsiZ(memory, string), Base);
      if (value === undefined) return STATUS_INVALID_PARAMETER;
      if (Value === nullVa) return STATUS_ACCESS_VIOLATION;
      memory.writeU32(Value, value);
      return STATUS_SUCCESS;
    },
  }),
  RtlIntegerToUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlintegertounicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Value: ULONG, Base: ULONG, String: PUNICODE_STRING },
    returns: 'NTSTATUS',
    body: ({ memory }, { Value, Base, String: string }) => putNumber(memory, Value, Base, string),
  }),
  RtlInt64ToUnicodeString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlint64tounicodestring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Value: ULONG64, Base: ULONG, String: PUNICODE_STRING },
    returns: 'NTSTATUS',
    body: ({ memory }, { Value, Base, String: string }) => putNumber(memory, Value, Base, string),
  }),
});
