/** str*, wcs*, characters and atoi. */
import { nullVa, type Va } from '../../base/va.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { LONG, PVOID, SIZE_T, UCHAR, WCHAR } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { asciiLower, asciiUpper, type CharacterKind, CStrings, narrowCharacters, wideCharacters } from './c-strings.ts';
import { readAnsiZ } from './guest-text.ts';
import { downcase, upcase } from './letter-case.ts';

const doc = 'string.h; kernel CRT';
const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];
const narrow = narrowCharacters;
const wide = wideCharacters;

function length(kind: CharacterKind) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String: PVOID },
    returns: 'SIZE_T',
    body: (nt, { String: string }) => kind.length(nt.memory, string),
  });
}

function limitedLength(kind: CharacterKind) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String: PVOID, Limit: SIZE_T },
    returns: 'SIZE_T',
    body: (nt, { String: string, Limit }) => kind.length(nt.memory, string, Limit),
  });
}

function compare(kind: CharacterKind, fold?: (character: number) => number) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String1: PVOID, String2: PVOID },
    returns: 'LONG',
    body: (nt, { String1, String2 }) => new CStrings(nt.memory, kind).compare(String1, String2, undefined, fold),
  });
}

function compareLimited(kind: CharacterKind, fold?: (character: number) => number) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String1: PVOID, String2: PVOID, Count: SIZE_T },
    returns: 'LONG',
    body: (nt, args) => new CStrings(nt.memory, kind).compare(args.String1, args.String2, args.Count, fold),
  });
}

/** strcpy, strcat, strstr: two strings, an address comes back. */
function twoStrings(kind: CharacterKind, body: (strings: CStrings, left: Va, right: Va) => Va | undefined) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String1: PVOID, String2: PVOID },
    returns: 'PVOID',
    body: (nt, { String1, String2 }) => body(new CStrings(nt.memory, kind), String1, String2) ?? 0,
  });
}

function twoStringsLimited(kind: CharacterKind, body: (strings: CStrings, left: Va, right: Va, count: number) => Va) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String1: PVOID, String2: PVOID, Count: SIZE_T },
    returns: 'PVOID',
    body: (nt, { String1, String2, Count }) => body(new CStrings(nt.memory, kind), String1, String2, Count),
  });
}

function find(kind: CharacterKind, body: (strings: CStrings, string: Va, character: number) => Va | undefined) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String: PVOID, Character: kind === narrow ? UCHAR : WCHAR },
    returns: 'PVOID',
    body: (nt, { String: string, Character }) => body(new CStrings(nt.memory, kind), string, Character) ?? 0,
  });
}

function span(kind: CharacterKind) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String: PVOID, Set: PVOID },
    returns: 'SIZE_T',
    body: (nt, { String: string, Set: set }) => new CStrings(nt.memory, kind).span(string, set),
  });
}

function changeCase(kind: CharacterKind, map: (character: number) => number) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { String: PVOID },
    returns: 'PVOID',
    body: (nt, { String: string }) => new CStrings(nt.memory, kind).change(string, map),
  });
}

const noHandler = { partial: 'what the invalid parameter handler does' };
const everything = Number.MAX_SAFE_INTEGER;
const truncate = 2 ** 64;
/** `STRUNCATE` of errno.h. */
const truncated = 80;

function putSecure(nt: Nt, kind: CharacterKind, name: string, to: Va, size: number, from: Va, count: number): Outcome {
  const strings = new CStrings(nt.memory, kind);
  const isAppending = name.endsWith('cat_s');
  if (to === nullVa || from === nullVa || size === 0) return unsupported(`${name} with a null argument`);
  const offset = isAppending ? strings.length(to, size) : 0;
  const isCut = count === truncate && offset < size && strings.length(from, size - offset) >= size - offset;
  if (!strings.putSecure(to, size, offset, from, count)) return unsupported(`${name} with a buffer that is too small`);
  return isCut ? truncated : 0;
}

function secure(kind: CharacterKind) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Destination: PVOID, Size: SIZE_T, Source: PVOID },
    returns: 'LONG',
    support: noHandler,
    body: (nt, args, call) => putSecure(nt, kind, call.name, args.Destination, args.Size, args.Source, everything),
  });
}

function secureLimited(kind: CharacterKind) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Destination: PVOID, Size: SIZE_T, Source: PVOID, Count: SIZE_T },
    returns: 'LONG',
    support: noHandler,
    body: (nt, args, call) => putSecure(nt, kind, call.name, args.Destination, args.Size, args.Source, args.Count),
  });
}

/** tolower and its like: an `int` in, an `int` out. */
function character(map: (code: number) => number) {
  return ntRoutine({
    doc: 'ctype.h; kernel CRT',
    irql: anyIrql,
    params: { Character: LONG },
    returns: 'LONG',
    body: (_nt, { Character }) => map(Character),
  });
}

function isCharacter(pattern: RegExp) {
  return character((code) => (code >= 0 && code < 0x80 && pattern.test(String.fromCharCode(code)) ? 1 : 0));
}

/** atoi: digits beyond 32 bits are cut to the largest or smallest LONG. */
export function parseDecimal(text: string): number {
  const digits = /^[\t-\r ]*([+-]?\d+)/.exec(text)?.[1];
  return digits === undefined ? 0 : Math.max(Math.min(Number(digits), 0x7fff_ffff), -0x8000_0000);
}

const toLong = ntRoutine({
  doc: 'stdlib.h; kernel CRT',
  irql: anyIrql,
  params: { String: PVOID },
  returns: 'LONG',
  body: (nt, { String: string }) => parseDecimal(readAnsiZ(nt.memory, string)),
});

export const crtStrings = ntExports('ntoskrnl.exe', {
  strlen: length(narrow),
  wcslen: length(wide),
  strnlen: limitedLength(narrow),
  wcsnlen: limitedLength(wide),
  strcmp: compare(narrow),
  wcscmp: compare(wide),
  strncmp: compareLimited(narrow),
  wcsncmp: compareLimited(wide),
  _stricmp: compare(narrow, asciiLower),
  _wcsicmp: compare(wide, asciiLower),
  _strnicmp: compareLimited(narrow, asciiLower),
  _wcsnicmp: compareLimited(wide, asciiLower),
  strcpy: twoStrings(narrow, (strings, to, from) => strings.copy(to, from)),
  wcscpy: twoStrings(wide, (strings, to, from) => strings.copy(to, from)),
  strcat: twoStrings(narrow, (strings, to, from) => strings.append(to, from)),
  wcscat: twoStrings(wide, (strings, to, from) => strings.append(to, from)),
  strncpy: twoStringsLimited(narrow, (strings, to, from, count) => strings.copyLimited(to, from, count)),
  wcsncpy: twoStringsLimited(wide, (strings, to, from, count) => strings.copyLimited(to, from, count)),
  strncat: twoStringsLimited(narrow, (strings, to, from, count) => strings.appendLimited(to, from, count)),
  wcsncat: twoStringsLimited(wide, (strings, to, from, count) => strings.appendLimited(to, from, count)),
  strchr: find(narrow, (strings, string, wanted) => strings.find(string, wanted)),
  wcschr: find(wide, (strings, string, wanted) => strings.find(string, wanted)),
  strrchr: find(narrow, (strings, string, wanted) => strings.findLast(string, wanted)),
  wcsrchr: find(wide, (strings, string, wanted) => strings.findLast(string, wanted)),
  strstr: twoStrings(narrow, (strings, string, text) => strings.findText(string, text)),
  wcsstr: twoStrings(wide, (strings, string, text) => strings.findText(string, text)),
  strspn: span(narrow),
  wcsspn: span(wide),
  _strupr: changeCase(narrow, asciiUpper),
  _strlwr: changeCase(narrow, asciiLower),
  _wcsupr: changeCase(wide, asciiUpper),
  _wcslwr: changeCase(wide, asciiLower),
  strcpy_s: secure(narrow),
  wcscpy_s: secure(wide),
  strcat_s: secure(narrow),
  wcscat_s: secure(wide),
  strncpy_s: secureLimited(narrow),
  wcsncpy_s: secureLimited(wide),
  strncat_s: secureLimited(narrow),
  wcsncat_s: secureLimited(wide),
  tolower: character(asciiLower),
  toupper: character(asciiUpper),
  towlower: character((code) => downcase(code)),
  towupper: character((code) => upcase(code)),
  isdigit: isCharacter(/\d/),
  islower: isCharacter(/[a-z]/),
  isupper: isCharacter(/[A-Z]/),
  isspace: isCharacter(/[\t-\r ]/),
  isxdigit: isCharacter(/[\da-fA-F]/),
  isprint: isCharacter(/[ -~]/),
  atoi: toLong,
  atol: toLong,
});
