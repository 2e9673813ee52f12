import { excessiveDwarf } from './errors.ts';

/** The debug sections of one image, without file padding at their ends; an absent one is left out. */
export interface DwarfSections {
  readonly info: Uint8Array;
  readonly abbrev: Uint8Array;
  readonly line?: Uint8Array;
  readonly lineStr?: Uint8Array;
  readonly str?: Uint8Array;
  readonly strOffsets?: Uint8Array;
  readonly addr?: Uint8Array;
  readonly ranges?: Uint8Array;
  readonly rnglists?: Uint8Array;
  readonly aranges?: Uint8Array;
  /** Where the linker put `.debug_line_str`, if that is known: undoes a compiler's error. */
  readonly lineStrRva?: number;
}

export type DwarfSectionKey = Exclude<keyof DwarfSections, 'lineStrRva'>;

/** One section of an image file: its bytes without padding, and its place in memory. */
export interface DebugSection {
  readonly bytes: Uint8Array;
  readonly rva: number;
}

/** Section names as the object file formats write them. */
export const dwarfSectionNames: { readonly [Key in DwarfSectionKey]: string } = {
  info: '.debug_info',
  abbrev: '.debug_abbrev',
  line: '.debug_line',
  lineStr: '.debug_line_str',
  str: '.debug_str',
  strOffsets: '.debug_str_offsets',
  addr: '.debug_addr',
  ranges: '.debug_ranges',
  rnglists: '.debug_rnglists',
  aranges: '.debug_aranges',
};

/** Picks the debug sections by name; undefined if the image has no `.debug_info` or no `.debug_abbrev`. */
export function dwarfSections(section: (name: string) => DebugSection | undefined): DwarfSections | undefined {
  const found: { -readonly [Key in keyof DwarfSections]?: DwarfSections[Key] } = {};
  for (const [key, name] of Object.entries(dwarfSectionNames)) {
    const { bytes, rva } = section(name) ?? {};
    if (bytes === undefined || bytes.length === 0) continue;
    found[key as DwarfSectionKey] = bytes;
    if (key === 'lineStr' && rva !== undefined) found.lineStrRva = rva;
  }
  const { info, abbrev } = found;
  return info === undefined || abbrev === undefined ? undefined : { ...found, info, abbrev };
}

/** What one row, range or table entry costs: about what it takes in memory. */
export const keptCost = 32;

/**
 * Bounds the work that one image may cause. Honest debug information is read in time proportional to its size; tables
 * that overlap or refer to each other many times are not, and are refused (PP1304).
 */
export class WorkBudget {
  #left: number;

  constructor(sections: DwarfSections) {
    let bytes = 0;
    for (const key of Object.keys(dwarfSectionNames)) bytes += sections[key as DwarfSectionKey]?.length ?? 0;
    this.#left = 64 * bytes + 100_000;
  }

  /** A unit is a byte read; what is kept in memory costs {@link keptCost} for each piece. */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) throw excessiveDwarf();
  }
}
