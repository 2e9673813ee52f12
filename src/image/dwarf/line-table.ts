import type { SourceLine } from '../symbols/symbol-source.ts';
import type { DwarfFile } from './dwarf-file.ts';
import { keptCost } from './dwarf-sections.ts';
import { invalidDwarf } from './errors.ts';
import type { LineHeader } from './line-header.ts';
import { readFileEntry, readLineHeader } from './line-header.ts';
import type { SectionCursor } from './section-cursor.ts';
import { joinPath } from './source-path.ts';
import type { DwarfUnit } from './units.ts';

/** Rows from `first` to before `last` cover [start, end) without a gap. */
interface Sequence {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

const imageLimit = 0xffff_ffff;

/** The line program of one unit, run: which address belongs to which source line. */
export class LineTable {
  readonly #header: LineHeader;
  readonly #compDir: string;
  readonly #sequences: readonly Sequence[];
  readonly #rvas: Uint32Array;
  readonly #files: Uint32Array;
  readonly #lines: Uint32Array;

  constructor(file: DwarfFile, unit: DwarfUnit, offset: number) {
    const { header, program } = readLineHeader(file, unit, offset);
    file.budget.spend(keptCost * (program.end - program.offset));
    const rows = new RowCollector();
    runProgram(header, program, rows);
    this.#header = header;
    this.#compDir = file.root(unit).compDir;
    this.#sequences = rows.sequences.sort((a, b) => a.end - b.end);
    this.#rvas = Uint32Array.from(rows.rvas);
    this.#files = Uint32Array.from(rows.files);
    this.#lines = Uint32Array.from(rows.lines);
  }

  /** The line of the instruction at an address; undefined where the compiler recorded none. */
  at(rva: number): SourceLine | undefined {
    const sequence = this.#sequences[firstWhere(0, this.#sequences.length, (i) => this.#endOf(i) > rva)];
    if (sequence === undefined || rva < sequence.start) return undefined;
    // Of several rows with one address the last counts: the others cover nothing.
    const row = firstWhere(sequence.first, sequence.last, (i) => (this.#rvas[i] ?? 0) > rva) - 1;
    return row < sequence.first ? undefined : this.source(this.#files[row] ?? 0, this.#lines[row] ?? 0);
  }

  /** A line that an entry of this unit refers to by file number. */
  source(fileNumber: number, line: number): SourceLine | undefined {
    const file = line > 0 ? this.path(fileNumber) : undefined;
    return file === undefined ? undefined : { file, line };
  }

  path(fileNumber: number): string | undefined {
    const { files, directories, encoding } = this.#header;
    const file = files[fileNumber];
    if (file === undefined || file.name === '') return undefined;
    const directory = directories[file.directory] ?? '';
    const isOwnRoot = encoding.version >= 5 && file.directory === 0;
    return joinPath(isOwnRoot ? '' : this.#compDir, directory, file.name);
  }

  #endOf(index: number): number {
    return this.#sequences[index]?.end ?? 0;
  }
}

/** Of the ascending indexes in [low, high), the first that satisfies a condition all later ones satisfy; or `high`. */
function firstWhere(low: number, high: number, holds: (index: number) => boolean): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

class RowCollector {
  readonly rvas: number[] = [];
  readonly files: number[] = [];
  readonly lines: number[] = [];
  readonly sequences: Sequence[] = [];
  #first = 0;
  #isUsable = true;

  add(rva: number, file: number, line: number): void {
    if (!(rva >= 0 && rva <= imageLimit)) this.#isUsable = false;
    this.rvas.push(rva);
    this.files.push(file);
    this.lines.push(line);
  }

  /** Keeps the rows since the last end, or drops them if the linker dropped their code. */
  endSequence(end: number): void {
    const first = this.#first;
    const last = this.rvas.length;
    const start = this.rvas[first];
    if (this.#isUsable && start !== undefined && start < end && end <= imageLimit) {
      this.sequences.push({ start, end, first, last });
    } else {
      this.rvas.length = first;
      this.files.length = first;
      this.lines.length = first;
    }
    this.#first = this.rvas.length;
    this.#isUsable = true;
  }
}

const standard = { copy: 1, advancePc: 2, advanceLine: 3, setFile: 4, constAddPc: 8, fixedAdvancePc: 9 } as const;
const extended = { endSequence: 1, setAddress: 2, defineFile: 3 } as const;

/** The state machine. DWARF 5, 6.2.2 and 6.2.5. */
function runProgram(header: LineHeader, cursor: SectionCursor, rows: RowCollector): void {
  const { opcodeBase, lineBase, lineRange, minimalInstructionBytes, operationsPerInstruction, encoding } = header;
  // Before a sequence sets its address it stands for none: such rows are dropped.
  let rva = Number.NEGATIVE_INFINITY;
  let operation = 0;
  let fileNumber = 1;
  let line = 1;
  const advance = (operations: number): void => {
    if (operationsPerInstruction <= 1) rva += operations * minimalInstructionBytes;
    else {
      const total = operation + operations;
      rva += Math.floor(total / operationsPerInstruction) * minimalInstructionBytes;
      operation = total % operationsPerInstruction;
    }
  };
  const adjusted = (opcode: number): number => {
    if (lineRange === 0) throw invalidDwarf('.debug_line', cursor.offset, 'a special opcode with line range 0');
    return opcode - opcodeBase;
  };
  while (!cursor.atEnd) {
    const opcode = cursor.u8();
    if (opcode >= opcodeBase) {
      const special = adjusted(opcode);
      advance(Math.floor(special / lineRange));
      line = (line + lineBase + (special % lineRange)) >>> 0;
      rows.add(rva, fileNumber, line);
      continue;
    }
    switch (opcode) {
      case 0: {
        const bytes = cursor.uleb();
        if (bytes === 0) break;
        const next = cursor.offset + bytes;
        const operandBytes = bytes - 1;
        switch (cursor.u8()) {
          case extended.endSequence:
            rows.endSequence(rva);
            rva = Number.NEGATIVE_INFINITY;
            operation = 0;
            fileNumber = 1;
            line = 1;
            break;
          case extended.setAddress:
            if (operandBytes !== 4 && operandBytes !== 8) {
              throw invalidDwarf('.debug_line', cursor.offset, `an address of ${operandBytes} bytes`);
            }
            rva = cursor.address(operandBytes, encoding.base);
            operation = 0;
            break;
          case extended.defineFile:
            header.files.push(readFileEntry(cursor.string(), cursor));
            break;
        }
        cursor.skip(next - cursor.offset);
        break;
      }
      case standard.copy:
        rows.add(rva, fileNumber, line);
        break;
      case standard.advancePc:
        advance(cursor.uleb());
        break;
      case standard.advanceLine:
        line = (line + cursor.sleb()) >>> 0;
        break;
      case standard.setFile:
        fileNumber = cursor.uleb();
        break;
      case standard.constAddPc:
        advance(Math.floor(adjusted(255) / lineRange));
        break;
      case standard.fixedAdvancePc:
        rva += cursor.u16();
        operation = 0;
        break;
      default:
        for (let left = header.operandCounts[opcode - 1] ?? 0; left > 0; left--) cursor.uleb();
    }
  }
}
