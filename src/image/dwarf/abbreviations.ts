import { formOf } from './constants.ts';
import { keptCost, type WorkBudget } from './dwarf-sections.ts';
import { invalidDwarf } from './errors.ts';
import { SectionCursor } from './section-cursor.ts';

/** The shape of one kind of entry: its tag and, index by index, names, forms and implicit values of its attributes. */
export interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  readonly names: readonly number[];
  readonly forms: readonly number[];
  readonly implicits: readonly number[];
}

export type AbbreviationTable = ReadonlyMap<number, Abbreviation>;

/** Reads the table at an offset of `.debug_abbrev`. DWARF 5, 7.5.3. */
export function readAbbreviations(bytes: Uint8Array, offset: number, budget: WorkBudget): AbbreviationTable {
  const cursor = new SectionCursor(bytes, '.debug_abbrev', offset);
  const table = new Map<number, Abbreviation>();
  for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
    const tag = cursor.uleb();
    const hasChildren = cursor.u8() !== 0;
    const names: number[] = [];
    const forms: number[] = [];
    const implicits: number[] = [];
    for (;;) {
      const name = cursor.uleb();
      const form = cursor.uleb();
      if (name === 0 && form === 0) break;
      names.push(name);
      forms.push(form);
      implicits.push(form === formOf.implicitConst ? cursor.sleb() : 0);
    }
    if (table.has(code)) throw invalidDwarf('.debug_abbrev', cursor.offset, `code ${code} is declared twice`);
    table.set(code, { tag, hasChildren, names, forms, implicits });
    // Producers end a table with a 0, but the section's own end does as well.
    if (cursor.atEnd) break;
  }
  budget.spend(keptCost * (cursor.offset - offset));
  return table;
}
