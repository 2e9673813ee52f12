import type { AttributeSlot, UnitEncoding } from './attribute-forms.ts';
import { readForm } from './attribute-forms.ts';
import { formOf } from './constants.ts';
import type { DwarfFile } from './dwarf-file.ts';
import { keptCost } from './dwarf-sections.ts';
import { invalidDwarf, truncatedDwarf } from './errors.ts';
import { SectionCursor } from './section-cursor.ts';
import type { DwarfUnit } from './units.ts';

export interface LineFile {
  readonly name: string;
  readonly directory: number;
}

/** What the state machine of one line program starts from. */
export interface LineHeader {
  readonly encoding: UnitEncoding;
  readonly minimalInstructionBytes: number;
  readonly operationsPerInstruction: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** Operand count of each standard opcode, from opcode 1. */
  readonly operandCounts: readonly number[];
  /** Version 5: from the compilation directory, 0; before: from 1. */
  readonly directories: readonly string[];
  readonly files: LineFile[];
}

const contentType = { path: 1, directoryIndex: 2 } as const;

/**
 * Reads the header of the line program of a unit; the returned cursor stands at its first opcode and ends with it.
 * DWARF 4, 6.2.4; DWARF 5, 6.2.4.
 */
export function readLineHeader(
  file: DwarfFile,
  unit: DwarfUnit,
  offset: number,
): { readonly header: LineHeader; readonly program: SectionCursor } {
  const cursor = file.cursor('line', offset);
  const { length, offsetBytes } = cursor.unitLength();
  const end = cursor.offset + length;
  if (end > cursor.end) throw truncatedDwarf('.debug_line', offset);
  cursor.end = end;
  const version = cursor.u16();
  if (version < 2 || version > 5) throw invalidDwarf('.debug_line', offset, `version ${version} is not known`);
  let { addressBytes } = unit;
  if (version >= 5) {
    const size = cursor.u8();
    if (size !== 4 && size !== 8) throw invalidDwarf('.debug_line', offset, `addresses of ${size} bytes`);
    addressBytes = size;
    cursor.skip(1);
  }
  const headerBytes = cursor.unsigned(offsetBytes);
  const start = cursor.offset + headerBytes;
  const encoding: UnitEncoding = { version, offsetBytes, addressBytes, offset: unit.offset, base: unit.base };
  const minimalInstructionBytes = cursor.u8();
  const operationsPerInstruction = version >= 4 ? cursor.u8() : 1;
  cursor.skip(1);
  const lineBase = cursor.i8();
  const lineRange = cursor.u8();
  const opcodeBase = cursor.u8();
  const operandCounts: number[] = [];
  for (let opcode = 1; opcode < opcodeBase; opcode++) operandCounts.push(cursor.u8());
  const tables = version >= 5 ? tablesOf5(file, unit, encoding, cursor) : tablesBefore5(cursor);
  file.budget.spend(keptCost * (cursor.offset - offset));
  const program = new SectionCursor(cursor.bytes, '.debug_line', start, end);
  return {
    program,
    header: {
      encoding,
      minimalInstructionBytes,
      operationsPerInstruction,
      lineBase,
      lineRange,
      opcodeBase,
      operandCounts,
      ...tables,
    },
  };
}

interface Tables {
  readonly directories: readonly string[];
  readonly files: LineFile[];
}

function tablesBefore5(cursor: SectionCursor): Tables {
  // Entry 0 stands for the compilation directory, which only the unit names.
  const directories = [''];
  for (let name = cursor.string(); name !== ''; name = cursor.string()) directories.push(name);
  const files: LineFile[] = [{ name: '', directory: 0 }];
  for (let name = cursor.string(); name !== ''; name = cursor.string()) files.push(readFileEntry(name, cursor));
  return { directories, files };
}

/** The rest of a file entry as versions 2 to 4 write it: directory, time, size. */
export function readFileEntry(name: string, cursor: SectionCursor): LineFile {
  const directory = cursor.uleb();
  cursor.uleb();
  cursor.uleb();
  return { name, directory };
}

function tablesOf5(file: DwarfFile, unit: DwarfUnit, encoding: UnitEncoding, cursor: SectionCursor): Tables {
  const directories = entriesOf5(file, unit, encoding, cursor).map(({ name }) => name);
  return { directories, files: entriesOf5(file, unit, encoding, cursor) };
}

function entriesOf5(file: DwarfFile, unit: DwarfUnit, encoding: UnitEncoding, cursor: SectionCursor): LineFile[] {
  const format: { readonly content: number; readonly form: number }[] = [];
  for (let left = cursor.u8(); left > 0; left--) format.push({ content: cursor.uleb(), form: cursor.uleb() });
  const entries: LineFile[] = [];
  const slot: AttributeSlot = { form: 0, value: 0, length: 0 };
  for (let left = cursor.uleb(); left > 0; left--) {
    file.budget.spend(keptCost + format.length);
    let name = '';
    let directory = 0;
    for (const { content, form } of format) {
      readForm(cursor, form, 0, encoding, slot);
      if (content === contentType.directoryIndex) directory = slot.value;
      else if (content === contentType.path) name = pathOf(file, unit, encoding, cursor, slot);
    }
    entries.push({ name, directory });
  }
  return entries;
}

function pathOf(
  file: DwarfFile,
  unit: DwarfUnit,
  encoding: UnitEncoding,
  cursor: SectionCursor,
  slot: AttributeSlot,
): string {
  if (slot.form !== formOf.string) return file.string({ ...unit, offsetBytes: encoding.offsetBytes }, slot) ?? '';
  return new SectionCursor(cursor.bytes, cursor.section, slot.value, cursor.end).string();
}
