import type { NamedAddress, SymbolFrame, SymbolSource } from '../symbols/symbol-source.ts';
import { type PublicSymbol, readGlobalData, readPublics, readThunkTableRva } from './global-symbols.ts';
import { PdbModuleCode } from './module-code.ts';
import { unsupportedPdb } from './pdb-error.ts';
import type { PdbFile } from './pdb-file.ts';
import { isDecorated, undecorated } from './public-names.ts';
import { lastAtOrBefore, RangeIndex, type RvaRange } from './range-index.ts';
import { SectionMap, type SectionRange } from './section-map.ts';

/**
 * What a PDB says of an image's addresses. `sections` are those of the image's headers; empty means "as in the PDB".
 * A module's symbols and lines are read when an address in it is first looked up.
 *
 * @throws PoolproofError PP1202 if a tool rearranged the image after linking (OMAP)
 */
export function pdbSymbols(pdb: PdbFile, sections: readonly SectionRange[]): SymbolSource {
  if (pdb.isRearranged) throw unsupportedPdb(pdb.fileName, 'an image rearranged after linking (OMAP)', 'as linked');
  return new PdbSymbols(pdb, new SectionMap(sections.length === 0 ? pdb.sections : sections));
}

interface Contribution extends RvaRange {
  readonly module: number;
}

class PdbSymbols implements SymbolSource {
  readonly kind = 'pdb';
  readonly #pdb: PdbFile;
  readonly #sections: SectionMap;
  readonly #contributions: RangeIndex<Contribution>;
  readonly #modules = new Map<number, PdbModuleCode>();
  /** By lower-case name: MSVC's references do not keep the case. */
  readonly #moduleByName = new Map<string, number>();
  #publics: readonly PublicSymbol[] | undefined;
  #codePublics: readonly PublicSymbol[] | undefined;
  #symbols: readonly NamedAddress[] | undefined;
  #byName: ReadonlyMap<string, NamedAddress> | undefined;

  constructor(pdb: PdbFile, sections: SectionMap) {
    this.#pdb = pdb;
    this.#sections = sections;
    const contributions: Contribution[] = [];
    for (const { section, offset, sizeBytes, module } of pdb.dbi.contributions) {
      const rva = sections.rva(section, offset);
      if (rva !== undefined) contributions.push({ rva, sizeBytes, module });
    }
    this.#contributions = new RangeIndex(contributions);
    pdb.dbi.modules.forEach(({ name }, i) => {
      this.#moduleByName.set(name.toLowerCase(), i);
    });
  }

  framesAt(rva: number): readonly SymbolFrame[] {
    const contribution = this.#contributions.at(rva);
    const code = contribution === undefined ? undefined : this.#module(contribution.module);
    if (code !== undefined) {
      const frames = code.framesAt(rva);
      if (frames.length > 0) return frames;
      const thunk = code.trampolines.at(rva);
      if (thunk !== undefined) return [frame(this.#thunkName(thunk.rva, thunk.targetRva), thunk.rva)];
    }
    // Behind a procedure of the module no public in front of it counts: a jump table, what fills up.
    const lowest = contribution?.rva ?? 0;
    const before = code?.before(rva);
    return this.#publicFrame(rva, Math.max(lowest, before?.rva ?? 0));
  }

  find(name: string): NamedAddress | undefined {
    if (this.#byName === undefined) {
      const byName = new Map<string, NamedAddress>();
      for (const symbol of this.symbols()) if (!byName.has(symbol.name)) byName.set(symbol.name, symbol);
      for (const { name: decorated, rva, isCode } of this.#allPublics()) {
        if (!byName.has(decorated)) byName.set(decorated, named(decorated, rva, isCode ? 'function' : 'data', 0));
      }
      this.#byName = byName;
    }
    return this.#byName.get(name);
  }

  symbols(): readonly NamedAddress[] {
    this.#symbols ??= this.#collect();
    return this.#symbols;
  }

  #collect(): readonly NamedAddress[] {
    const list = new SymbolList();
    const { dbi } = this.#pdb;
    for (let i = 0; i < dbi.modules.length; i++) {
      const { symbols } = this.#module(i) ?? { symbols: undefined };
      if (symbols === undefined) continue;
      for (const { procedure, rva } of symbols.chunks) {
        if (rva === procedure.rva) list.add(named(procedure.name, rva, 'function', procedure.sizeBytes));
      }
      for (const { name, rva } of symbols.data) list.add(named(name, rva, 'data', 0));
      for (const { name, rva } of symbols.labels) list.add(named(name, rva, 'function', 0));
    }
    const records = this.#pdb.stream(dbi.symbolRecordsStream, 'symbol records');
    const globals = this.#pdb.stream(dbi.globalsStream, 'globals stream');
    for (const { name, rva } of readGlobalData(globals, records, this.#sections)) list.add(named(name, rva, 'data', 0));
    for (const { name, rva, isCode } of this.#allPublics()) {
      // The procedure record has the full qualified name; a decorated one would only say it again.
      if (isDecorated(name) && list.hasAt(rva)) continue;
      list.add(named(undecorated(name), rva, isCode ? 'function' : 'data', 0));
    }
    return list.symbols.sort((a, b) => a.rva - b.rva);
  }

  #module(index: number): PdbModuleCode | undefined {
    const known = this.#modules.get(index);
    if (known !== undefined) return known;
    const module = this.#pdb.dbi.modules[index];
    if (module === undefined) return undefined;
    const code = new PdbModuleCode(this.#pdb, module, this.#sections, (name) => {
      const imported = this.#moduleByName.get(name.toLowerCase());
      return imported === undefined ? undefined : this.#module(imported);
    });
    this.#modules.set(index, code);
    return code;
  }

  #allPublics(): readonly PublicSymbol[] {
    if (this.#publics === undefined) {
      const { publicsStream, symbolRecordsStream } = this.#pdb.dbi;
      const records = this.#pdb.stream(symbolRecordsStream, 'symbol records');
      this.#publics = readPublics(this.#pdb.stream(publicsStream, 'publics stream'), records, this.#sections);
    }
    return this.#publics;
  }

  /** The nearest public function before the address, not before `lowest`, in the same section. */
  #publicFrame(rva: number, lowest: number): readonly SymbolFrame[] {
    this.#codePublics ??= this.#allPublics().filter(({ isCode }) => isCode);
    const nearest = this.#codePublics[lastAtOrBefore(this.#codePublics, rva)];
    if (nearest === undefined || nearest.rva < lowest) return [];
    const section = this.#sections.sectionAt(rva);
    if (section === 0 || this.#sections.sectionAt(nearest.rva) !== section) return [];
    return [frame(undecorated(nearest.name), nearest.rva)];
  }

  /** As the debugger names an incremental link's jumps. */
  #thunkName(rva: number, targetRva: number | undefined): string {
    const table = readThunkTableRva(this.#pdb.stream(this.#pdb.dbi.publicsStream, 'publics stream'), this.#sections);
    const contribution = targetRva === undefined ? undefined : this.#contributions.at(targetRva);
    const code = contribution === undefined ? undefined : this.#module(contribution.module);
    const target =
      targetRva === undefined ? undefined : (code?.framesAt(targetRva).at(-1) ?? this.#publicFrame(targetRva, 0)[0]);
    return `ILT+${rva - (table ?? rva)}(${target?.function ?? ''})`;
  }
}

/** Symbols without repeats: publics and globals say again what modules said. */
class SymbolList {
  readonly symbols: NamedAddress[] = [];
  readonly #namesByRva = new Map<number, Set<string>>();

  add(symbol: NamedAddress): void {
    let names = this.#namesByRva.get(symbol.rva);
    if (names === undefined) {
      names = new Set();
      this.#namesByRva.set(symbol.rva, names);
    }
    if (names.has(symbol.name)) return;
    names.add(symbol.name);
    this.symbols.push(symbol);
  }

  hasAt(rva: number): boolean {
    return this.#namesByRva.has(rva);
  }
}

function named(name: string, rva: number, kind: NamedAddress['kind'], sizeBytes: number): NamedAddress {
  return { name, rva, kind, sizeBytes };
}

function frame(name: string, rva: number): SymbolFrame {
  return { function: name, functionRva: rva, inlined: false, source: undefined };
}
