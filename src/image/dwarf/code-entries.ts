import { cLanguages, formOf, opOf, tagOf } from './constants.ts';
import { DebugEntry, skipEntry } from './debug-entry.ts';
import type { DwarfFile } from './dwarf-file.ts';
import { invalidDwarf } from './errors.ts';
import type { Interval } from './interval-map.ts';
import { IntervalMap } from './interval-map.ts';
import type { AddressRange } from './range-lists.ts';
import { rangesOf } from './range-lists.ts';
import { SectionCursor } from './section-cursor.ts';
import type { DwarfUnit } from './units.ts';

/** One function, or one inlined copy of one, that has code. */
export interface CodeEntry {
  /** Offset of its entry in `.debug_info`: what names are found by. */
  readonly entry: number;
  readonly isInlined: boolean;
  /** The entry that this one stands in. */
  readonly parent: CodeEntry | undefined;
  /** Of an inlined copy: where the call stands; -1 if not recorded. */
  readonly callFile: number;
  readonly callLine: number;
  /** Where it is entered, and how far its code goes on from there; 0 and 0 without code. */
  readonly entryRva: number;
  readonly sizeBytes: number;
}

/** A variable at a fixed address. */
export interface DataEntry {
  readonly entry: number;
  readonly rva: number;
}

/** What one unit's tree of entries says about addresses. */
export interface UnitEntries {
  readonly functions: readonly CodeEntry[];
  readonly data: readonly DataEntry[];
  readonly code: IntervalMap<CodeEntry>;
  readonly ranges: readonly AddressRange[];
  /** From an entry to the namespace or class that it stands in. */
  readonly scopes: ReadonlyMap<number, number>;
}

const scopeTags: ReadonlySet<number> = new Set([
  tagOf.namespace,
  tagOf.classType,
  tagOf.structureType,
  tagOf.unionType,
]);

interface Level {
  readonly code: CodeEntry | undefined;
  /** Offset of the namespace or class around; -1 if none. */
  readonly scope: number;
}

/** Reads all entries of a unit, once and in order; nothing recurses. */
export function readUnitEntries(file: DwarfFile, unit: DwarfUnit): UnitEntries {
  const shapes = file.abbreviations(unit);
  const cursor = new SectionCursor(file.sections.info, '.debug_info', unit.firstEntry, unit.end);
  const hasScopes = !cLanguages.has(file.root(unit).language);
  const entry = new DebugEntry();
  const functions: CodeEntry[] = [];
  const data: DataEntry[] = [];
  const scopes = new Map<number, number>();
  const intervals: Interval<CodeEntry>[] = [];
  const outer: Level[] = [];
  let level: Level = { code: undefined, scope: -1 };
  while (!cursor.atEnd) {
    const offset = cursor.offset;
    const abbreviation = cursor.uleb();
    if (abbreviation === 0) {
      const above = outer.pop();
      if (above === undefined) break;
      level = above;
      continue;
    }
    const shape = shapes.get(abbreviation);
    if (shape === undefined) throw invalidDwarf('.debug_info', offset, `abbreviation ${abbreviation} is not declared`);
    file.budget.spend(shape.names.length);
    let inner = level;
    switch (shape.tag) {
      case tagOf.subprogram:
      case tagOf.inlinedSubroutine: {
        entry.read(offset, shape, cursor, unit);
        if (level.scope >= 0) scopes.set(offset, level.scope);
        const ranges = rangesOf(file, unit, entry);
        const code = codeEntry(file, unit, entry, ranges, level.code);
        // Entries come parents first, so a later one is the more deeply inlined.
        for (const { start, end } of ranges) intervals.push({ start, end, rank: intervals.length, value: code });
        if (!code.isInlined && ranges.length > 0) functions.push(code);
        inner = { code, scope: -1 };
        break;
      }
      case tagOf.variable: {
        entry.read(offset, shape, cursor, unit);
        if (level.scope >= 0) scopes.set(offset, level.scope);
        const rva = fixedAddress(file, unit, entry);
        if (rva !== undefined) data.push({ entry: offset, rva });
        break;
      }
      default:
        skipEntry(shape, cursor, unit);
        if (!hasScopes) break;
        if (level.scope >= 0 && (shape.tag === tagOf.member || scopeTags.has(shape.tag)))
          scopes.set(offset, level.scope);
        if (scopeTags.has(shape.tag)) inner = { code: level.code, scope: offset };
    }
    if (shape.hasChildren) {
      outer.push(level);
      level = inner;
    }
  }
  return { functions, data, code: new IntervalMap(intervals), ranges: intervals, scopes };
}

function codeEntry(
  file: DwarfFile,
  unit: DwarfUnit,
  entry: DebugEntry,
  ranges: readonly AddressRange[],
  parent: CodeEntry | undefined,
): CodeEntry {
  const { lowPc } = entry;
  // Of a function in several parts the first is the entered one; the cold part may lie below it.
  const entryRva = lowPc.form === 0 ? (ranges[0]?.start ?? 0) : file.address(unit, lowPc.form, lowPc.value);
  const entered = ranges.find(({ start, end }) => start <= entryRva && entryRva < end);
  return {
    entry: entry.offset,
    isInlined: entry.tag === tagOf.inlinedSubroutine,
    parent,
    callFile: entry.callFile,
    callLine: entry.callLine,
    entryRva: entered === undefined ? (ranges[0]?.start ?? 0) : entryRva,
    sizeBytes: entered === undefined ? 0 : entered.end - entryRva,
  };
}

/** The RVA of a variable whose location is one fixed address, and nothing that is computed from it. */
function fixedAddress(file: DwarfFile, unit: DwarfUnit, { location }: DebugEntry): number | undefined {
  if (location.length === 0 || location.form === formOf.data16) return undefined;
  const end = location.value + location.length;
  const cursor = new SectionCursor(file.sections.info, '.debug_info', location.value, end);
  const operation = cursor.u8();
  let rva: number;
  if (operation === opOf.addr && location.length === 1 + unit.addressBytes) {
    rva = cursor.address(unit.addressBytes, unit.base);
  } else if (operation === opOf.addrx || operation === opOf.gnuAddrIndex) {
    const index = cursor.uleb();
    if (!cursor.atEnd) return undefined;
    rva = file.indexedAddress(unit, index);
  } else {
    return undefined;
  }
  return rva > 0 && rva <= 0xffff_ffff ? rva : undefined;
}
