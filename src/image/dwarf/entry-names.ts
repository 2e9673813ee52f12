import { cLanguages, tagOf } from './constants.ts';
import { DebugEntry } from './debug-entry.ts';
import type { DwarfFile } from './dwarf-file.ts';
import type { DwarfUnit } from './units.ts';

/** Longest chain of origins, enclosing scopes or types that is followed: an honest one is a few long. */
const maximalChain = 32;

/** Where an entry's enclosing scope is looked up: for entries of any unit, as link-time optimization refers across. */
export type ScopeOf = (unit: DwarfUnit, entry: number) => number | undefined;

/** Names of functions and variables, as a debugger shows them; each is resolved once. */
export class EntryNames {
  readonly #file: DwarfFile;
  readonly #scopeOf: ScopeOf;
  readonly #names = new Map<number, string | undefined>();

  constructor(file: DwarfFile, scopeOf: ScopeOf) {
    this.#file = file;
    this.#scopeOf = scopeOf;
  }

  /** The name with its namespaces and classes, `a::B::c`; undefined if none is recorded. */
  of(unit: DwarfUnit, entry: number): string | undefined {
    if (!this.#names.has(entry)) this.#names.set(entry, this.#resolve(unit, entry));
    return this.#names.get(entry);
  }

  #resolve(startUnit: DwarfUnit, start: number): string | undefined {
    const file = this.#file;
    const entry = new DebugEntry();
    let unit = startUnit;
    let offset = start;
    let linkageName: string | undefined;
    let name: string | undefined;
    for (let step = 0; step < maximalChain; step++) {
      file.entryAt(unit, offset, entry);
      name ??= file.string(unit, entry.name);
      linkageName ??= file.string(unit, entry.linkageName);
      // The declaration is the last of the chain, and the one that stands in its class.
      if (entry.origin < 0) break;
      offset = entry.origin;
      unit = file.unitAt(offset);
    }
    if (name === undefined) return linkageName;
    return this.#scopePrefix(unit, offset) + name;
  }

  #scopePrefix(unit: DwarfUnit, entry: number): string {
    const file = this.#file;
    if (cLanguages.has(file.root(unit).language)) return '';
    const scope = new DebugEntry();
    let prefix = '';
    let offset = this.#scopeOf(unit, entry);
    for (let step = 0; offset !== undefined && step < maximalChain; step++) {
      file.entryAt(unit, offset, scope);
      const unnamed = scope.tag === tagOf.namespace ? "`anonymous namespace'" : '<unnamed-tag>';
      prefix = `${file.string(unit, scope.name) ?? unnamed}::${prefix}`;
      offset = this.#scopeOf(unit, offset);
    }
    return prefix;
  }
}

/** Size of a variable's type in bytes; 0 if not recorded. */
export function sizeOfVariable(file: DwarfFile, startUnit: DwarfUnit, variable: number): number {
  const entry = new DebugEntry();
  let unit = startUnit;
  let offset = variable;
  let copies = 1;
  for (let step = 0; step < maximalChain; step++) {
    const cursor = file.entryAt(unit, offset, entry);
    if (entry.byteSize >= 0) return sizeOrNothing(copies * entry.byteSize);
    const { tag, type, origin } = entry;
    if (tag === tagOf.pointerType) return sizeOrNothing(copies * unit.addressBytes);
    if (tag === tagOf.arrayType && entry.hasChildren) copies *= countElements(file, unit, cursor.offset);
    // A definition may leave its type to the declaration.
    const next = type >= 0 ? type : tag === tagOf.variable || tag === tagOf.member ? origin : -1;
    if (next < 0) return 0;
    offset = next;
    unit = file.unitAt(offset);
  }
  return 0;
}

function sizeOrNothing(bytes: number): number {
  return bytes <= 0xffff_ffff ? bytes : 0;
}

/** The product of an array's dimensions; 0 if one is open. */
function countElements(file: DwarfFile, unit: DwarfUnit, firstChild: number): number {
  const entry = new DebugEntry();
  let offset = firstChild;
  let count = 1;
  for (let dimension = 0; dimension < maximalChain && file.sections.info[offset] !== 0; dimension++) {
    const cursor = file.entryAt(unit, offset, entry);
    if (entry.tag !== tagOf.subrangeType || entry.hasChildren) break;
    count *= entry.count >= 0 ? entry.count : entry.upperBound + 1;
    offset = cursor.offset;
  }
  return count;
}
