/** The printf family of the kernel's CRT: what each form does with the text that {@link formatText} made. */
import { nullVa, type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import type { Call } from '../declare/call.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, SIZE_T } from '../declare/parameter-types.ts';
import { ansiCodePage } from './code-page.ts';
import { formatText, type NextArgument } from './format.ts';
import { readAnsiZ, readWideZ, utf16OfText } from './guest-text.ts';

/** `_TRUNCATE`, (size_t)-1, as a SIZE_T parameter reads it. */
const truncate = 2 ** 64;

/** Arguments behind the named ones of a variadic call. */
export function variadicArguments(call: Call, firstIndex: number): NextArgument {
  let index = firstIndex;
  return () => call.raw(index++);
}

/** Arguments of a `va_list`: eight bytes each. */
export function listArguments(memory: GuestMemory, list: Va): NextArgument {
  let at = list;
  return () => {
    const slot = memory.readU64(at);
    at = vaAdd(at, 8);
    return slot;
  };
}

/** Writes `text` and, with `isTerminated`, a zero. */
export function putText(memory: GuestMemory, buffer: Va, text: string, isWide: boolean, isTerminated: boolean): void {
  const whole = isTerminated ? `${text}\0` : text;
  memory.writeBytes(buffer, isWide ? utf16OfText(whole) : ansiCodePage.encode(whole));
}

/** `_snprintf`: no terminator if the text just fills the buffer; -1 and a full buffer if it does not fit. */
export function putCounted(memory: GuestMemory, buffer: Va, count: number, text: string, isWide: boolean): number {
  if (text.length <= count) {
    putText(memory, buffer, text, isWide, text.length < count);
    return text.length;
  }
  if (buffer === nullVa && count === 0) return text.length;
  putText(memory, buffer, text.slice(0, count), isWide, false);
  return -1;
}

/** The forms with `_s`; undefined where the CRT's invalid parameter handler would be called. */
export function putSecure(
  memory: GuestMemory,
  buffer: Va,
  size: number,
  count: number,
  text: string,
  isWide: boolean,
): number | undefined {
  if (buffer === nullVa || size === 0) return undefined;
  const kept = Math.min(text.length, count === truncate ? size - 1 : count);
  if (kept >= size) return undefined;
  putText(memory, buffer, text.slice(0, kept), isWide, true);
  return kept === text.length ? kept : -1;
}

interface Form {
  readonly isWide: boolean;
  /** The arguments come as a `va_list` behind the named parameters. */
  readonly isList: boolean;
}

type Put = (memory: GuestMemory, text: string) => number | undefined;

/** `formatIndex`: place of the format among the parameters; the arguments follow it. */
function print(call: Call, form: Form, format: Va, formatIndex: number, put: Put): Outcome {
  const { memory } = call.nt;
  const slots = variadicArguments(call, formatIndex + 1);
  const next = form.isList ? listArguments(memory, vaFromU64(slots())) : slots;
  const text = form.isWide ? readWideZ(memory, format) : readAnsiZ(memory, format);
  const formatted = formatText({ memory, format: text, next, isWide: form.isWide, floating: 'unsupported' });
  if (formatted.unsupported !== undefined) return unsupported(`${call.name} with ${formatted.unsupported}`);
  return put(memory, formatted.text) ?? unsupported(`${call.name} with a buffer that is too small`);
}

const doc = 'stdio.h; kernel CRT, learn: printf format specification';
const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];
const noFloating = { partial: 'floating-point conversions, %n, and what the invalid parameter handler does' };
const narrow = { isWide: false, isList: false };
const narrowList = { isWide: false, isList: true };
const wide = { isWide: true, isList: false };
const wideList = { isWide: true, isList: true };

function unbounded(form: Form) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Buffer: PVOID, Format: PVOID },
    isVariadic: true,
    returns: 'LONG',
    support: noFloating,
    body: (_nt, { Buffer, Format }, call) =>
      print(call, form, Format, 1, (memory, text) => {
        putText(memory, Buffer, text, form.isWide, true);
        return text.length;
      }),
  });
}

function counted(form: Form) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Buffer: PVOID, Count: SIZE_T, Format: PVOID },
    isVariadic: true,
    returns: 'LONG',
    support: noFloating,
    body: (_nt, { Buffer, Count, Format }, call) =>
      print(call, form, Format, 2, (memory, text) => putCounted(memory, Buffer, Count, text, form.isWide)),
  });
}

function secure(form: Form) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Buffer: PVOID, SizeOfBuffer: SIZE_T, Format: PVOID },
    isVariadic: true,
    returns: 'LONG',
    support: noFloating,
    body: (_nt, { Buffer, SizeOfBuffer, Format }, call) =>
      print(call, form, Format, 2, (memory, text) =>
        putSecure(memory, Buffer, SizeOfBuffer, text.length, text, form.isWide),
      ),
  });
}

function secureCounted(form: Form) {
  return ntRoutine({
    doc,
    irql: anyIrql,
    params: { Buffer: PVOID, SizeOfBuffer: SIZE_T, Count: SIZE_T, Format: PVOID },
    isVariadic: true,
    returns: 'LONG',
    support: noFloating,
    body: (_nt, { Buffer, SizeOfBuffer, Count, Format }, call) =>
      print(call, form, Format, 3, (memory, text) => putSecure(memory, Buffer, SizeOfBuffer, Count, text, form.isWide)),
  });
}

export const crtPrintf = ntExports('ntoskrnl.exe', {
  sprintf: unbounded(narrow),
  vsprintf: unbounded(narrowList),
  swprintf: unbounded(wide),
  _snprintf: counted(narrow),
  _vsnprintf: counted(narrowList),
  _snwprintf: counted(wide),
  _vsnwprintf: counted(wideList),
  sprintf_s: secure(narrow),
  vsprintf_s: secure(narrowList),
  swprintf_s: secure(wide),
  vswprintf_s: secure(wideList),
  _snprintf_s: secureCounted(narrow),
  _vsnprintf_s: secureCounted(narrowList),
  _snwprintf_s: secureCounted(wide),
  _vsnwprintf_s: secureCounted(wideList),
});
