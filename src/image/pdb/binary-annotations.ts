import type { StreamView } from './stream-view.ts';

/** Opcodes of an inline site's line program. Source: cvinfo.h, BinaryAnnotationOpcode. */
const opcode = {
  invalid: 0,
  codeOffset: 1,
  changeCodeOffsetBase: 2,
  changeCodeOffset: 3,
  changeCodeLength: 4,
  changeFile: 5,
  changeLineOffset: 6,
  changeRangeKind: 8,
  changeCodeOffsetAndLineOffset: 11,
  changeCodeLengthAndCodeOffset: 12,
  changeColumnEnd: 13,
} as const;

/** One stretch of code that came from an inlined function. Start and end (exclusive) are RVAs. */
export interface InlineRange {
  readonly start: number;
  readonly end: number;
  readonly line: number;
  /** Offset in the module's file checksums. */
  readonly file: number;
}

interface OpenRange {
  readonly start: number;
  readonly line: number;
  readonly file: number;
  readonly chunk: number;
}

/**
 * Runs the line program in [at, end) of `stream`. `chunkRvas` are the starts of the function's code: its main part,
 * then what the compiler separated from it; `line` and `file` are those of the inlined function's declaration.
 * A range whose end the program never says covers nothing.
 */
export function readInlineRanges(
  stream: StreamView,
  at: number,
  end: number,
  chunkRvas: readonly number[],
  line: number,
  file: number,
): InlineRange[] {
  const ranges: InlineRange[] = [];
  const position = { at, end };
  let chunk = 0;
  let offset = 0;
  let currentLine = line;
  let currentFile = file;
  let isStatement = true;
  let open: OpenRange | undefined;

  const close = (rangeEnd: number): void => {
    if (open !== undefined && rangeEnd > open.start) ranges.push({ ...open, end: rangeEnd });
    open = undefined;
  };
  const begin = (length?: number): void => {
    const base = chunkRvas[chunk];
    if (base === undefined || !isStatement) return;
    const start = base + offset;
    if (open?.chunk === chunk) close(start);
    open = { start, line: currentLine, file: currentFile, chunk };
    if (length !== undefined) close(start + length);
  };

  while (position.at < end) {
    const code = readCompressed(stream, position);
    // Padding to the record's end.
    if (code === opcode.invalid) break;
    if (code > opcode.changeColumnEnd) throw stream.damaged(`inline site opcode ${code}`, '1 to 13');
    const operand = readCompressed(stream, position);
    switch (code) {
      case opcode.codeOffset:
        offset = operand;
        break;
      case opcode.changeCodeOffsetBase:
        chunk = operand;
        offset = 0;
        break;
      case opcode.changeCodeOffset:
        offset += operand;
        begin();
        break;
      case opcode.changeCodeLength:
        if (open !== undefined) close(open.start + operand);
        offset += operand;
        break;
      case opcode.changeFile:
        currentFile = operand;
        break;
      case opcode.changeLineOffset:
        currentLine += signed(operand);
        break;
      case opcode.changeRangeKind:
        isStatement = operand !== 0;
        break;
      case opcode.changeCodeOffsetAndLineOffset:
        offset += operand & 0xf;
        currentLine += signed(operand >>> 4);
        begin();
        break;
      case opcode.changeCodeLengthAndCodeOffset:
        offset += readCompressed(stream, position);
        begin(operand);
        break;
      default:
        // Columns and the ends of statements are not kept.
        break;
    }
  }
  return ranges;
}

/** Numbers of 7, 14 or 29 bits in 1, 2 or 4 bytes, big end first. */
function readCompressed(stream: StreamView, position: { at: number; readonly end: number }): number {
  const first = stream.u8(position.at);
  const size = first < 0x80 ? 1 : first < 0xc0 ? 2 : 4;
  if (first >= 0xe0 || position.at + size > position.end) {
    throw stream.damaged(`inline site number starting with 0x${first.toString(16)}`, 'a compressed number');
  }
  let value = size === 1 ? first : size === 2 ? first & 0x3f : first & 0x1f;
  for (let i = 1; i < size; i++) value = value * 256 + stream.u8(position.at + i);
  position.at += size;
  return value;
}

/** The sign is in bit 0. */
function signed(value: number): number {
  return (value & 1) === 0 ? value >>> 1 : -(value >>> 1);
}
