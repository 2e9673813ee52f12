import type { AbbreviationTable } from './abbreviations.ts';
import { readAbbreviations } from './abbreviations.ts';
import type { AttributeSlot } from './attribute-forms.ts';
import { isAddressIndexForm } from './attribute-forms.ts';
import { formOf, tagOf } from './constants.ts';
import { DebugEntry } from './debug-entry.ts';
import type { DwarfSectionKey, DwarfSections } from './dwarf-sections.ts';
import { dwarfSectionNames, WorkBudget } from './dwarf-sections.ts';
import { danglingDwarf, invalidDwarf } from './errors.ts';
import type { AddressBase } from './section-cursor.ts';
import { addressBase, SectionCursor } from './section-cursor.ts';
import type { DwarfUnit } from './units.ts';
import { readUnits } from './units.ts';

/** What a unit's first entry says about all others. */
export interface UnitRoot {
  readonly compDir: string;
  readonly language: number;
  /** Offset of its line program; -1 if none. */
  readonly stmtList: number;
  readonly lowPc: AttributeSlot;
  readonly highPc: AttributeSlot;
  readonly ranges: AttributeSlot;
}

interface UnitBases {
  strOffsets: number;
  addr: number;
  rnglists: number;
}

/** The sections of one image with what their values refer to: strings, indexed addresses, abbreviations, units. */
export class DwarfFile {
  readonly sections: DwarfSections;
  readonly base: AddressBase;
  readonly budget: WorkBudget;
  readonly units: readonly DwarfUnit[];
  /** One sentence for each kind of unit that was passed over. */
  readonly notes: readonly string[];
  readonly #abbreviations = new Map<number, AbbreviationTable>();
  readonly #roots = new Map<DwarfUnit, UnitRoot>();
  readonly #bases = new Map<DwarfUnit, UnitBases>();

  constructor(sections: DwarfSections, imageBase: bigint | number) {
    this.sections = sections;
    this.base = addressBase(imageBase);
    this.budget = new WorkBudget(sections);
    const { units, notes } = readUnits(sections.info, this.base);
    this.units = units;
    this.notes = notes;
  }

  /** A cursor in a section that a value refers to; PP1303 if the image lacks it or the offset is outside. */
  cursor(key: DwarfSectionKey, offset: number): SectionCursor {
    const bytes = this.sections[key];
    const name = dwarfSectionNames[key];
    if (bytes === undefined) throw danglingDwarf(name, offset);
    return new SectionCursor(bytes, name, offset);
  }

  abbreviations(unit: DwarfUnit): AbbreviationTable {
    let table = this.#abbreviations.get(unit.abbrevOffset);
    if (table === undefined) {
      table = readAbbreviations(this.sections.abbrev, unit.abbrevOffset, this.budget);
      this.#abbreviations.set(unit.abbrevOffset, table);
    }
    return table;
  }

  /** The unit whose entries hold an offset of `.debug_info`. */
  unitAt(offset: number): DwarfUnit {
    let low = 0;
    let high = this.units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.units[middle]?.end ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const unit = this.units[low];
    if (unit === undefined || !(offset >= unit.firstEntry)) throw danglingDwarf('.debug_info', offset);
    return unit;
  }

  /** Reads the entry at an offset of `.debug_info` into `entry`, and returns the cursor behind it. */
  entryAt(unit: DwarfUnit, offset: number, entry: DebugEntry): SectionCursor {
    const cursor = new SectionCursor(this.sections.info, '.debug_info', offset, unit.end);
    const code = cursor.uleb();
    const shape = this.abbreviations(unit).get(code);
    if (shape === undefined) throw invalidDwarf('.debug_info', offset, `abbreviation ${code} is not declared`);
    this.budget.spend(shape.names.length + 1);
    entry.read(offset, shape, cursor, unit);
    return cursor;
  }

  root(unit: DwarfUnit): UnitRoot {
    let root = this.#roots.get(unit);
    if (root === undefined) {
      root = this.#readRoot(unit);
      this.#roots.set(unit, root);
    }
    return root;
  }

  /** The text of a string attribute; undefined if it has none, if it is empty, or if it lies in another file. */
  string(unit: DwarfUnit, slot: AttributeSlot): string | undefined {
    const at = this.#stringCursor(unit, slot);
    if (at === undefined) return undefined;
    const start = at.offset;
    const text = at.string();
    this.budget.spend(at.offset - start);
    return text === '' ? undefined : text;
  }

  #stringCursor(unit: DwarfUnit, { form, value }: AttributeSlot): SectionCursor | undefined {
    switch (form) {
      case formOf.string:
        return this.cursor('info', value);
      case formOf.strp:
        return this.cursor('str', value);
      case formOf.lineStrp:
        return this.cursor('lineStr', this.#lineStringOffset(value));
      case formOf.strx:
      case formOf.strx1:
      case formOf.strx2:
      case formOf.strx3:
      case formOf.strx4:
      case formOf.gnuStrIndex: {
        const entry = this.cursor('strOffsets', this.#basesOf(unit).strOffsets + value * unit.offsetBytes);
        return this.cursor('str', entry.unsigned(unit.offsetBytes));
      }
      default:
        return undefined;
    }
  }

  /** LLVM up to about version 18 writes the string's address (32 bits of it) where its offset belongs. */
  #lineStringOffset(value: number): number {
    const { lineStr, lineStrRva } = this.sections;
    if (lineStr === undefined || lineStrRva === undefined || value < lineStr.length) return value;
    const offset = (value - this.base.low - lineStrRva) >>> 0;
    return offset < lineStr.length ? offset : value;
  }

  /** The RVA that an address attribute holds, directly or by index. */
  address(unit: DwarfUnit, form: number, value: number): number {
    return isAddressIndexForm(form) ? this.indexedAddress(unit, value) : value;
  }

  /** The RVA in the unit's part of `.debug_addr`. */
  indexedAddress(unit: DwarfUnit, index: number): number {
    return this.cursor('addr', this.#basesOf(unit).addr + index * unit.addressBytes).address(
      unit.addressBytes,
      this.base,
    );
  }

  /** Start of the unit's table of range lists in `.debug_rnglists`. */
  rnglistsBase(unit: DwarfUnit): number {
    return this.#basesOf(unit).rnglists;
  }

  #basesOf(unit: DwarfUnit): UnitBases {
    let bases = this.#bases.get(unit);
    if (bases === undefined) {
      const entry = new DebugEntry();
      this.entryAt(unit, unit.firstEntry, entry);
      bases = basesFrom(unit, entry);
      this.#bases.set(unit, bases);
    }
    return bases;
  }

  #readRoot(unit: DwarfUnit): UnitRoot {
    const entry = new DebugEntry();
    this.entryAt(unit, unit.firstEntry, entry);
    // First, for the unit's own strings may need them.
    this.#bases.set(unit, basesFrom(unit, entry));
    return {
      compDir: this.string(unit, entry.compDir) ?? '',
      language: entry.language,
      stmtList: entry.tag === tagOf.compileUnit ? entry.stmtList : -1,
      lowPc: entry.lowPc,
      highPc: entry.highPc,
      ranges: entry.ranges,
    };
  }
}

/** Without an attribute: behind the header of the section's only part (8 bytes with a rnglists header of 12). */
function basesFrom(unit: DwarfUnit, root: DebugEntry): UnitBases {
  const lengthBytes = unit.offsetBytes === 8 ? 12 : 4;
  const isIndexed = unit.version >= 5;
  return {
    strOffsets: root.strOffsetsBase >= 0 ? root.strOffsetsBase : isIndexed ? lengthBytes + 4 : 0,
    addr: root.addrBase >= 0 ? root.addrBase : isIndexed ? lengthBytes + 4 : 0,
    rnglists: root.rnglistsBase >= 0 ? root.rnglistsBase : lengthBytes + 8,
  };
}
