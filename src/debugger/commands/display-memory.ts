/** `d` and its family: memory as bytes, numbers, text, and pointers with their symbols. */
import { type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import { builtinAddress, symbolAt } from '../addresses.ts';
import { CommandError, type DebuggerCommand, terminating } from '../command.ts';
import { readMemory } from '../memory.ts';
import { parseRange } from '../ranges.ts';
import type { Session } from '../session.ts';

type Byte = number | undefined;

interface Format {
  readonly name: string;
  readonly elementBytes: 1 | 2 | 4 | 8;
  /** Elements of a line, and how many are shown unless told. */
  readonly columns: number;
  readonly count: number;
  readonly summary: string;
  /** What stands behind the address. */
  line(session: Session, bytes: readonly Byte[]): string;
}

/** Digits of one little-endian element; quadwords with their backtick; `?` for each digit that can't be read. */
function element(bytes: readonly Byte[]): string {
  const isKnown = bytes.every((byte) => byte !== undefined);
  const digits = bytes.map((byte) => (isKnown ? (byte ?? 0).toString(16).padStart(2, '0') : '??'));
  const text = digits.reverse().join('');
  return bytes.length === 8 ? `${text.slice(0, 8)}\`${text.slice(8)}` : text;
}

function elements(bytes: readonly Byte[], size: number): readonly string[] {
  const result: string[] = [];
  for (let at = 0; at < bytes.length; at += size) result.push(element(bytes.slice(at, at + size)));
  return result;
}

const isPlain = (byte: number): boolean => byte >= 0x20 && byte < 0x7f;

/** One character for each byte: what prints, `.` for the rest, `?` for what can't be read. */
export function asciiOf(bytes: readonly Byte[]): string {
  return bytes.map((byte) => (byte === undefined ? '?' : isPlain(byte) ? String.fromCharCode(byte) : '.')).join('');
}

function bytesWithText(bytes: readonly Byte[]): string {
  const digits = elements(bytes, 1).reduce(
    (text, one, at) => `${text}${at === 0 ? '' : at === 8 ? '-' : ' '}${one}`,
    '',
  );
  return `${digits.padEnd(47)}  ${asciiOf(bytes)}`;
}

const numbers =
  (size: number) =>
  (_: Session, bytes: readonly Byte[]): string =>
    elements(bytes, size).join(' ');

const numbersWithText =
  (size: number, width: number) =>
  (_: Session, bytes: readonly Byte[]): string =>
    `${elements(bytes, size).join(' ').padEnd(width)}  ${asciiOf(bytes)}`;

/** Each byte as its eight bits, then the bytes in hexadecimal. */
function bitsOfBytes(_: Session, bytes: readonly Byte[]): string {
  const bits = bytes.map((byte) => (byte === undefined ? '????????' : byte.toString(2).padStart(8, '0')));
  return `${bits.join(' ').padEnd(35)}  ${elements(bytes, 1).join(' ')}`;
}

function bitsOfDwords(_: Session, bytes: readonly Byte[]): string {
  const [digits = ''] = elements(bytes, 4);
  const bits = digits.startsWith('?') ? '?'.repeat(32) : Number.parseInt(digits, 16).toString(2).padStart(32, '0');
  return `${bits.replace(/.{8}(?=.)/g, '$& ')}  ${digits}`;
}

/** A pointer and the symbol that it leads to. */
function pointer(session: Session, bytes: readonly Byte[]): string {
  const text = element(bytes);
  if (text.includes('?')) return text;
  const va = vaFromU64(BigInt(`0x${text.replace('`', '')}`));
  const symbol = bytes.length === 8 ? symbolAt(session, va) : undefined;
  return symbol === undefined ? text : `${text} ${symbol}`;
}

const formats: readonly Format[] = [
  {
    name: 'db',
    elementBytes: 1,
    columns: 16,
    count: 128,
    summary: 'displays memory as bytes and characters',
    line: (_, bytes) => bytesWithText(bytes),
  },
  { name: 'dw', elementBytes: 2, columns: 8, count: 64, summary: 'displays memory as words', line: numbers(2) },
  {
    name: 'dW',
    elementBytes: 2,
    columns: 8,
    count: 64,
    summary: 'displays memory as words and characters',
    line: numbersWithText(2, 39),
  },
  { name: 'dd', elementBytes: 4, columns: 4, count: 32, summary: 'displays memory as doublewords', line: numbers(4) },
  {
    name: 'dc',
    elementBytes: 4,
    columns: 4,
    count: 32,
    summary: 'displays memory as doublewords and characters',
    line: numbersWithText(4, 35),
  },
  { name: 'dq', elementBytes: 8, columns: 2, count: 16, summary: 'displays memory as quadwords', line: numbers(8) },
  { name: 'dp', elementBytes: 8, columns: 2, count: 16, summary: 'displays memory as pointers', line: numbers(8) },
  { name: 'dyb', elementBytes: 1, columns: 4, count: 32, summary: 'displays bytes in binary', line: bitsOfBytes },
  { name: 'dyd', elementBytes: 4, columns: 1, count: 8, summary: 'displays doublewords in binary', line: bitsOfDwords },
  {
    name: 'dps',
    elementBytes: 8,
    columns: 1,
    count: 16,
    summary: 'displays pointers, and the symbols that they lead to',
    line: pointer,
  },
  {
    name: 'dqs',
    elementBytes: 8,
    columns: 1,
    count: 16,
    summary: 'displays quadwords, and the symbols that they lead to',
    line: pointer,
  },
];

/** Lines between two looks at the host. */
const linesPerSlice = 1024;

/** Characters of text in a line, and how many are shown where no zero ends them. */
const textColumns = 48;
const textLimit = 0x180;

const rangeDetails = [
  'Range is an address, `address L8` (a number of elements), or `start end`. Without one the display goes on',
  'where the last one ended. What cannot be read is shown as ?.',
  'A range has at most 1 MB, or 16 MB as `address L?100000`.',
];

/** Lines of one element have a form that is no other's. */
const hasWidth = ({ columns }: Format): boolean => columns > 1;

const numberCommands = formats.map(
  (format): DebuggerCommand => ({
    name: format.name,
    usage: [`${format.name}${hasWidth(format) ? ' [/cWidth]' : ''} [Range]`],
    summary: format.summary,
    details: [
      ...rangeDetails,
      `Shows ${format.count} elements unless told${hasWidth(format) ? '; /cWidth of them in a line' : ', one in a line'}.`,
    ],
    completes: ['address'],
    repeat: 'continues',
    run: (session, text) => {
      session.displayFormat = format.name;
      return showNumbers(session, format, text);
    },
  }),
);

const textCommands = (['da', 'du'] as const).map(
  (name): DebuggerCommand => ({
    name,
    usage: [`${name} [Range]`],
    summary: name === 'da' ? 'displays text of one-byte characters' : 'displays text of two-byte characters',
    details: ['Stops at the first zero.', ...rangeDetails],
    completes: ['address'],
    repeat: 'continues',
    run: (session, text) => {
      session.displayFormat = name;
      showText(session, name === 'da' ? 1 : 2, text);
    },
  }),
);

const again: DebuggerCommand = {
  name: 'd',
  usage: ['d [Range]'],
  summary: 'displays memory in the format of the last command of the family, first as db',
  details: rangeDetails,
  completes: ['address'],
  repeat: 'continues',
  run: (session, text) =>
    [...numberCommands, ...textCommands].find(({ name }) => name === session.displayFormat)?.run(session, text),
};

export const displayCommands: readonly DebuggerCommand[] = [again, ...numberCommands, ...textCommands];

function rangeOf(
  session: Session,
  text: string,
  bytes: number,
): { readonly start: Va; readonly count: number | undefined } {
  const typed = parseRange(session, text, bytes);
  return typed ?? { start: session.displayNext ?? session.target.nt.cpu.state.rip, count: undefined };
}

async function showNumbers(session: Session, format: Format, text: string): Promise<void> {
  const [, width, rest = text] = /^\/c([0-9a-f]+)\s*(.*)$/i.exec(text) ?? [];
  if (width !== undefined && !hasWidth(format)) {
    throw new CommandError(`${format.name} shows one element in a line: it has no /c`);
  }
  const columns = width === undefined ? format.columns : Math.max(1, Math.min(0x100, Number.parseInt(width, 16)));
  const { elementBytes } = format;
  const { start, count = format.count } = rangeOf(session, rest, elementBytes);
  let lines = 0;
  for (let at = 0; at < count; at += columns) {
    if (++lines % linesPerSlice === 0 && !(await session.breathe())) throw new CommandError(terminating);
    const va = vaAdd(start, at * elementBytes);
    const bytes = readMemory(session.target.nt, va, Math.min(columns, count - at) * elementBytes);
    session.print(`${builtinAddress(va)}  ${format.line(session, bytes)}`);
  }
  session.displayNext = vaAdd(start, count * elementBytes);
}

function showText(session: Session, characterBytes: 1 | 2, text: string): void {
  const { start, count = textLimit } = rangeOf(session, text, characterBytes);
  let at = 0;
  for (let isOver = false; at < count && !isOver; ) {
    const va = vaAdd(start, at * characterBytes);
    const characters = Math.min(textColumns, count - at);
    const bytes = readMemory(session.target.nt, va, characters * characterBytes);
    let line = '';
    for (let index = 0; index < characters && !isOver; index++) {
      const low = bytes[index * characterBytes];
      const high = characterBytes === 1 ? 0 : bytes[index * 2 + 1];
      at++;
      if (low === 0 && high === 0) isOver = true;
      else
        line +=
          low === undefined || high === undefined ? '?' : high === 0 && isPlain(low) ? String.fromCharCode(low) : '.';
    }
    // Where nothing can be read no zero will come.
    if (bytes.every((byte) => byte === undefined)) isOver = true;
    session.print(`${builtinAddress(va)}  "${line}"`);
  }
  session.displayNext = vaAdd(start, at * characterBytes);
}
