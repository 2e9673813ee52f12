/** Counted strings (UNICODE_STRING, ANSI_STRING): copying, appending, comparing. Pure functions over guest memory. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { STATUS_BUFFER_TOO_SMALL, STATUS_NAME_TOO_LONG, STATUS_SUCCESS } from '../ntstatus.ts';
import { STRING, UNICODE_STRING } from '../structures/strings.ts';
import { ansiCodePage } from './code-page.ts';
import { byteLength, readString, readUnicodeString, wideLength } from './guest-text.ts';
import { upcase, upcaseText } from './letter-case.ts';

const maximumUnicodeBytes = 0xfffe;
const maximumBytes = 0xffff;

/** Fills in all three members; STRING and UNICODE_STRING have the same layout. */
export function setString(memory: GuestMemory, string: Va, length: number, maximumLength: number, buffer: Va): void {
  STRING.Length.set(memory, string, length);
  STRING.MaximumLength.set(memory, string, maximumLength);
  STRING.Buffer.set(memory, string, buffer);
}

/** RtlInitUnicodeString: a source longer than a UNICODE_STRING can hold is cut to 65532 bytes. */
export function initUnicodeString(memory: GuestMemory, string: Va, source: Va): void {
  const bytes = source === nullVa ? -2 : wideLength(memory, source, maximumUnicodeBytes / 2) * 2;
  const length = Math.min(bytes, maximumUnicodeBytes - 2);
  setString(memory, string, Math.max(length, 0), length + 2, source);
}

/** RtlInitUnicodeStringEx: refuses what does not fit. */
export function initUnicodeStringEx(memory: GuestMemory, string: Va, source: Va): number {
  const units = source === nullVa ? 0 : wideLength(memory, source, maximumUnicodeBytes / 2);
  if (units * 2 > maximumUnicodeBytes - 2) return STATUS_NAME_TOO_LONG;
  initUnicodeString(memory, string, source);
  return STATUS_SUCCESS;
}

/** RtlInitAnsiString, RtlInitString: a source longer than the structure can hold is cut to 65534 bytes. */
export function initString(memory: GuestMemory, string: Va, source: Va): void {
  const bytes = source === nullVa ? -1 : byteLength(memory, source, maximumBytes);
  const length = Math.min(bytes, maximumBytes - 1);
  setString(memory, string, Math.max(length, 0), length + 1, source);
}

/** RtlInitAnsiStringEx: refuses what does not fit. */
export function initStringEx(memory: GuestMemory, string: Va, source: Va): number {
  const bytes = source === nullVa ? 0 : byteLength(memory, source, maximumBytes);
  if (bytes > maximumBytes - 1) return STATUS_NAME_TOO_LONG;
  initString(memory, string, source);
  return STATUS_SUCCESS;
}

/** RtlCopyUnicodeString: cuts to MaximumLength; a terminator is written if there is room for it. */
export function copyUnicodeString(memory: GuestMemory, destination: Va, source: Va): void {
  if (copyString(memory, destination, source)) terminate(memory, destination);
}

/** RtlCopyString: cuts to MaximumLength, never terminates. @returns false if there was no source. */
export function copyString(memory: GuestMemory, destination: Va, source: Va): boolean {
  if (source === nullVa) {
    STRING.Length.set(memory, destination, 0);
    return false;
  }
  const bytes = Math.min(STRING.Length.get(memory, source), STRING.MaximumLength.get(memory, destination));
  const from = STRING.Buffer.get(memory, source);
  STRING.Length.set(memory, destination, bytes);
  memory.copy(STRING.Buffer.get(memory, destination), from, bytes);
  return true;
}

/** RtlAppendUnicodeToString; `source` is null-terminated or NULL. */
export function appendUnicode(memory: GuestMemory, destination: Va, source: Va): number {
  if (source === nullVa) return STATUS_SUCCESS;
  const bytes = wideLength(memory, source, 0x8000) * 2;
  const status = append(memory, destination, source, bytes);
  if (status === STATUS_SUCCESS) terminate(memory, destination);
  return status;
}

/** RtlAppendUnicodeStringToString. */
export function appendUnicodeString(memory: GuestMemory, destination: Va, source: Va): number {
  const bytes = UNICODE_STRING.Length.get(memory, source);
  if (bytes === 0) return STATUS_SUCCESS;
  const status = append(memory, destination, UNICODE_STRING.Buffer.get(memory, source), bytes);
  if (status === STATUS_SUCCESS) terminate(memory, destination);
  return status;
}

/** RtlAppendStringToString and the core of the others: all or nothing, no terminator. */
export function append(memory: GuestMemory, destination: Va, from: Va, bytes: number): number {
  const length = STRING.Length.get(memory, destination);
  if (length + bytes > STRING.MaximumLength.get(memory, destination)) return STATUS_BUFFER_TOO_SMALL;
  memory.copy(vaAdd(STRING.Buffer.get(memory, destination), length), from, bytes);
  STRING.Length.set(memory, destination, length + bytes);
  return STATUS_SUCCESS;
}

/** Writes the UTF-16 terminator behind a string, if it fits. */
function terminate(memory: GuestMemory, string: Va): void {
  const length = UNICODE_STRING.Length.get(memory, string);
  if (length + 2 > UNICODE_STRING.MaximumLength.get(memory, string)) return;
  memory.writeU16(vaAdd(UNICODE_STRING.Buffer.get(memory, string), length), 0);
}

/** Negative, 0 or positive: the first different code units (upper case if `ignoreCase`), then the lengths. */
export function compareText(left: string, right: string, ignoreCase: boolean): number {
  const common = Math.min(left.length, right.length);
  for (let index = 0; index < common; index++) {
    let a = left.charCodeAt(index);
    let b = right.charCodeAt(index);
    if (a === b) continue;
    if (ignoreCase) {
      a = upcase(a);
      b = upcase(b);
    }
    if (a !== b) return a - b;
  }
  return left.length - right.length;
}

/** RtlCompareUnicodeString. */
export function compareUnicodeStrings(memory: GuestMemory, left: Va, right: Va, ignoreCase: boolean): number {
  return compareText(readUnicodeString(memory, left), readUnicodeString(memory, right), ignoreCase);
}

/** RtlCompareString: by byte values, after upper-casing in the ANSI code page if `ignoreCase`. */
export function compareStrings(memory: GuestMemory, left: Va, right: Va, ignoreCase: boolean): number {
  return compareText(byteText(memory, left, ignoreCase), byteText(memory, right, ignoreCase), false);
}

/** RtlPrefixUnicodeString: whether `prefix` begins `string`. */
export function isUnicodePrefix(memory: GuestMemory, prefix: Va, string: Va, ignoreCase: boolean): boolean {
  const start = readUnicodeString(memory, prefix);
  return compareText(start, readUnicodeString(memory, string).slice(0, start.length), ignoreCase) === 0;
}

/** RtlPrefixString. */
export function isPrefix(memory: GuestMemory, prefix: Va, string: Va, ignoreCase: boolean): boolean {
  return byteText(memory, string, ignoreCase).startsWith(byteText(memory, prefix, ignoreCase));
}

/** The string's bytes as code units, so that they compare as bytes. */
function byteText(memory: GuestMemory, string: Va, ignoreCase: boolean): string {
  const text = readString(memory, string);
  return String.fromCharCode(...ansiCodePage.encode(ignoreCase ? upcaseAnsi(text) : text));
}

/** Upper case as far as the ANSI code page has it: `ÿ` becomes `Ÿ`, letters whose capital it lacks stay. */
export function upcaseAnsi(text: string): string {
  const raised = upcaseText(text);
  let result = '';
  for (let index = 0; index < text.length; index++) {
    const unit = raised[index] as string;
    const isKept = unit !== '?' && ansiCodePage.encode(unit)[0] === 0x3f;
    result += isKept ? (text[index] as string) : unit;
  }
  return result;
}

/** HASH_STRING_ALGORITHM_X65599 of RtlHashUnicodeString. */
export function hashText(text: string, ignoreCase: boolean): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = (Math.imul(hash, 65599) + (ignoreCase ? upcase(unit) : unit)) >>> 0;
  }
  return hash;
}
