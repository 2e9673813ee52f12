/**
 * The one printf of the kernel: DbgPrint, sprintf, _vsnwprintf and the rest. Follows Microsoft's CRT: in wide formats
 * `%s` is wide and `%S` narrow, `l` is 32 bits, `%p` is sixteen capital digits, `%Z` and `%wZ` take counted strings.
 *
 * @see https://learn.microsoft.com/cpp/c-runtime-library/format-specification-syntax-printf-and-wprintf-functions
 */
import { nullVa, type Va, vaFromU64 } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { STRING } from '../structures/strings.ts';
import { ansiCodePage } from './code-page.ts';
import { readAnsiZ, readString, readUnicodeString, readWideZ } from './guest-text.ts';

/** Gives the next argument's 64-bit slot. */
export type NextArgument = () => bigint;

export interface FormatRequest {
  readonly memory: GuestMemory;
  readonly format: string;
  readonly next: NextArgument;
  /** The format is one of wide characters (`swprintf`): `%s` and `%c` are wide. */
  readonly isWide: boolean;
  /**
   * What a floating-point conversion does: DbgPrint documents that it has none, so the specification is printed as it
   * stands and its argument skipped; elsewhere it is {@link Formatted.unsupported}.
   */
  readonly floating: 'verbatim' | 'unsupported';
}

export interface Formatted {
  readonly text: string;
  /** The conversion that stopped the formatting: `%n`, `%f`. */
  readonly unsupported?: string;
}

interface Specification {
  readonly text: string;
  readonly flags: string;
  readonly width: number;
  /** -1: none given. */
  readonly precision: number;
  readonly size: string;
  readonly conversion: string;
}

const specification = /%([-+ #0]*)(\*|\d*)(?:\.(\*|\d*))?(I64|I32|hh|ll|[hlIwLzjtT])?([\s\S])?/y;
/** Longest field that is built: a driver's garbage width must not take the host's memory. */
const maximumField = 0x1_0000;

export function formatText(request: FormatRequest): Formatted {
  const { format } = request;
  let text = '';
  for (let at = 0; at < format.length; ) {
    const percent = format.indexOf('%', at);
    if (percent < 0) return { text: text + format.slice(at) };
    text += format.slice(at, percent);
    specification.lastIndex = percent;
    const match = specification.exec(format);
    if (match === null) return { text };
    at = specification.lastIndex;
    const converted = convert(request, readSpecification(match, request.next));
    if (converted === undefined) return { text, unsupported: match[0] };
    text += converted;
  }
  return { text };
}

function readSpecification(match: RegExpExecArray, next: NextArgument): Specification {
  let flags = match[1] as string;
  let width = match[2] === '*' ? Number(BigInt.asIntN(32, next())) : Number(match[2]);
  if (width < 0) {
    flags += '-';
    width = -width;
  }
  const dot = match[3];
  const precision = dot === undefined ? -1 : dot === '*' ? Number(BigInt.asIntN(32, next())) : Number(dot);
  return {
    text: match[0],
    flags,
    width: Math.min(width, maximumField),
    precision: Math.max(Math.min(precision, maximumField), -1),
    size: match[4] ?? '',
    conversion: match[5] ?? '',
  };
}

function convert(request: FormatRequest, spec: Specification): string | undefined {
  switch (spec.conversion) {
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
      return integer(spec, request.next());
    case 'p':
      return integer({ ...spec, conversion: 'X', size: 'I64', precision: 16 }, request.next());
    case 'c':
    case 'C':
      return pad(spec, character(Number(request.next() & 0xffffn), isWideText(request, spec)));
    case 's':
    case 'S':
      return pad(spec, string(request, spec, vaFromU64(request.next())));
    case 'Z':
      return pad(spec, countedString(request, spec, vaFromU64(request.next())));
    case 'n':
      return undefined;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
      if (request.floating === 'unsupported') return undefined;
      request.next();
      return spec.text;
    default:
      // "If the percent sign is followed by a character that has no meaning, the character is copied."
      return spec.conversion;
  }
}

function bitsOf(size: string): 8 | 16 | 32 | 64 {
  switch (size) {
    case 'hh':
      return 8;
    case 'h':
      return 16;
    case 'I64':
    case 'I':
    case 'll':
    case 'L':
    case 'z':
    case 'j':
    case 't':
      return 64;
    default:
      return 32;
  }
}

function integer(spec: Specification, slot: bigint): string {
  const { flags, conversion, precision } = spec;
  const isSigned = conversion === 'd' || conversion === 'i';
  const bits = bitsOf(spec.size);
  const value = isSigned ? BigInt.asIntN(bits, slot) : BigInt.asUintN(bits, slot);
  const magnitude = value < 0n ? -value : value;
  const radix = conversion === 'o' ? 8 : conversion === 'x' || conversion === 'X' ? 16 : 10;
  let digits = precision === 0 && value === 0n ? '' : magnitude.toString(radix);
  if (conversion === 'X') digits = digits.toUpperCase();
  digits = digits.padStart(precision, '0');
  let prefix = '';
  if (isSigned) prefix = value < 0n ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  if (flags.includes('#')) {
    if (radix === 8 && !digits.startsWith('0')) digits = `0${digits}`;
    if (radix === 16 && value !== 0n) prefix = `0${conversion}`;
  }
  if (flags.includes('0') && !flags.includes('-') && precision < 0) {
    digits = digits.padStart(spec.width - prefix.length, '0');
  }
  return pad({ ...spec, flags: flags.replaceAll('0', '') }, prefix + digits);
}

/** The zero flag pads text with zeros, as Microsoft's CRT does. */
function pad({ flags, width }: Specification, text: string): string {
  if (text.length >= width) return text;
  return flags.includes('-') ? text.padEnd(width) : text.padStart(width, flags.includes('0') ? '0' : ' ');
}

/** Whether a `c` or `s` conversion takes wide characters: the size says so, or the format's kind, or its opposite. */
function isWideText(request: FormatRequest, { size, conversion }: Specification): boolean {
  if (size === 'h' || size === 'hh') return false;
  if (size === 'l' || size === 'w' || size === 'll') return true;
  const isLowerCase = conversion === 's' || conversion === 'c';
  return isLowerCase === request.isWide;
}

function character(code: number, isWide: boolean): string {
  return isWide ? String.fromCharCode(code) : ansiCodePage.decode(Uint8Array.of(code & 0xff));
}

function string(request: FormatRequest, spec: Specification, va: Va): string {
  const limit = spec.precision < 0 ? undefined : spec.precision;
  if (va === nullVa) return '(null)'.slice(0, limit);
  return isWideText(request, spec) ? readWideZ(request.memory, va, limit) : readAnsiZ(request.memory, va, limit);
}

/** Precision does not cut counted strings. */
function countedString({ memory }: FormatRequest, spec: Specification, va: Va): string {
  if (va === nullVa || STRING.Buffer.get(memory, va) === nullVa) return '(null)';
  const isWide = spec.size === 'w' || spec.size === 'l';
  return isWide ? readUnicodeString(memory, va) : readString(memory, va);
}
