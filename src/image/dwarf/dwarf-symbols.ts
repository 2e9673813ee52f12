import { PoolproofError } from '../../base/errors.ts';
import type { NamedAddress, SourceLine, SymbolFrame, SymbolSource } from '../symbols/symbol-source.ts';
import { readAddressRanges } from './address-ranges.ts';
import type { UnitEntries } from './code-entries.ts';
import { readUnitEntries } from './code-entries.ts';
import { DwarfFile } from './dwarf-file.ts';
import type { DwarfSections } from './dwarf-sections.ts';
import { EntryNames, sizeOfVariable } from './entry-names.ts';
import type { Interval } from './interval-map.ts';
import { IntervalMap } from './interval-map.ts';
import { LineTable } from './line-table.ts';
import { rangesOf } from './range-lists.ts';
import type { DwarfUnit } from './units.ts';

/** What DWARF answers beyond other kinds of debug information. */
export interface DwarfSymbolSource extends SymbolSource {
  readonly kind: 'dwarf';
  /** What was passed over, one sentence each. */
  readonly notes: readonly string[];
  /** The line of an address alone, also in code that belongs to no recorded function (assembly). */
  lineAt(rva: number): SourceLine | undefined;
}

/**
 * Opens DWARF 2 to 5 debug information of an image whose preferred base is `imageBase`. Reads unit headers only; a
 * unit's entries and lines are read when an address in it is first asked for, all entries at the first search by name.
 * Malformed information is refused, here or then, with a PoolproofError PP1301 to PP1304.
 */
export function dwarfSymbols(sections: DwarfSections, imageBase: bigint | number): DwarfSymbolSource {
  return new LazyDwarfSymbols(new DwarfFile(sections, imageBase));
}

class LazyDwarfSymbols implements DwarfSymbolSource {
  readonly kind = 'dwarf';
  readonly #file: DwarfFile;
  readonly #names: EntryNames;
  readonly #entries = new Map<DwarfUnit, UnitEntries | PoolproofError>();
  readonly #lineTables = new Map<number, LineTable | PoolproofError>();
  /** One entry: how addresses map to units. */
  readonly #unitMap = new Map<DwarfFile, IntervalMap<DwarfUnit> | PoolproofError>();
  #symbols: readonly NamedAddress[] | undefined;
  #byName: ReadonlyMap<string, NamedAddress> | undefined;

  constructor(file: DwarfFile) {
    this.#file = file;
    this.#names = new EntryNames(file, (unit, entry) => this.#entriesOf(unit).scopes.get(entry));
  }

  get notes(): readonly string[] {
    return this.#file.notes;
  }

  framesAt(rva: number): readonly SymbolFrame[] {
    const unit = this.#unitAt(rva);
    const innermost = unit === undefined ? undefined : this.#entriesOf(unit).code.at(rva);
    if (unit === undefined || innermost === undefined) return [];
    const lines = this.#linesOf(unit);
    const chain = [innermost];
    for (let at = innermost; at.isInlined && at.parent !== undefined; at = at.parent) chain.push(at.parent);
    const functionRva = chain[chain.length - 1]?.entryRva ?? 0;
    return chain.map((code, i) => {
      const inlined = chain[i - 1];
      return {
        function: this.#names.of(unit, code.entry) ?? unnamed,
        functionRva,
        inlined: code.isInlined,
        source: inlined === undefined ? lines?.at(rva) : lines?.source(inlined.callFile, inlined.callLine),
      };
    });
  }

  lineAt(rva: number): SourceLine | undefined {
    const unit = this.#unitAt(rva);
    return unit === undefined ? undefined : this.#linesOf(unit)?.at(rva);
  }

  find(name: string): NamedAddress | undefined {
    if (this.#byName === undefined) {
      const byName = new Map<string, NamedAddress>();
      for (const symbol of this.symbols()) if (!byName.has(symbol.name)) byName.set(symbol.name, symbol);
      this.#byName = byName;
    }
    return this.#byName.get(name);
  }

  symbols(): readonly NamedAddress[] {
    this.#symbols ??= this.#readSymbols();
    return this.#symbols;
  }

  #readSymbols(): readonly NamedAddress[] {
    const found: NamedAddress[] = [];
    const seen = new Set<string>();
    const add = (symbol: NamedAddress): void => {
      const identity = `${symbol.rva} ${symbol.name}`;
      if (seen.has(identity)) return;
      seen.add(identity);
      found.push(symbol);
    };
    for (const unit of this.#file.units) {
      const { functions, data } = this.#entriesOf(unit);
      for (const { entry, entryRva, sizeBytes } of functions) {
        const name = this.#names.of(unit, entry);
        if (name !== undefined) add({ name, rva: entryRva, kind: 'function', sizeBytes });
      }
      for (const { entry, rva } of data) {
        const name = this.#names.of(unit, entry);
        if (name !== undefined) add({ name, rva, kind: 'data', sizeBytes: sizeOfVariable(this.#file, unit, entry) });
      }
    }
    return found.sort((a, b) => a.rva - b.rva);
  }

  #entriesOf(unit: DwarfUnit): UnitEntries {
    return once(this.#entries, unit, () => readUnitEntries(this.#file, unit));
  }

  #linesOf(unit: DwarfUnit): LineTable | undefined {
    const offset = this.#file.root(unit).stmtList;
    if (offset < 0) return undefined;
    return once(this.#lineTables, offset, () => new LineTable(this.#file, unit, offset));
  }

  #unitAt(rva: number): DwarfUnit | undefined {
    return once(this.#unitMap, this.#file, () => this.#mapUnits()).at(rva);
  }

  /** By what the unit's first entry says; failing that `.debug_aranges`; failing that the functions themselves. */
  #mapUnits(): IntervalMap<DwarfUnit> {
    const file = this.#file;
    const intervals: Interval<DwarfUnit>[] = [];
    let listed: ReturnType<typeof readAddressRanges> | undefined;
    file.units.forEach((unit, index) => {
      let ranges = rangesOf(file, unit, file.root(unit));
      if (ranges.length === 0) {
        listed ??= readAddressRanges(file);
        ranges = [...(listed.get(unit.offset) ?? this.#entriesOf(unit).ranges)];
      }
      // Of units that claim the same code (copies that the linker merged) the first was kept.
      for (const { start, end } of ranges) intervals.push({ start, end, rank: -index, value: unit });
    });
    return new IntervalMap(intervals);
  }
}

/** For a function whose entry has no name at all. */
const unnamed = '<unnamed>';

/** What `read` returned or threw the first time: a damaged part is not read again for every address in it. */
function once<Key, Value>(known: Map<Key, Value | PoolproofError>, key: Key, read: () => Value): Value {
  let value = known.get(key);
  if (value === undefined) {
    try {
      value = read();
    } catch (error) {
      if (!(error instanceof PoolproofError)) throw error;
      value = error;
    }
    known.set(key, value);
  }
  if (value instanceof PoolproofError) throw value;
  return value;
}
