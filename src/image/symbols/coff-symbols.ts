import { PoolproofError } from '../../base/errors.ts';
import { latin1 } from '../pe/mapped-reader.ts';
import type { PeSection } from '../pe/pe-image.ts';
import type { FunctionRange } from './named-functions.ts';
import { NamedFunctions } from './named-functions.ts';
import type { NamedAddress, SymbolSource } from './symbol-source.ts';

const symbolBytes = 18;
const longestName = 4096;
const storageClass = { external: 2, static: 3 } as const;
/** IMAGE_SYM_DTYPE_FUNCTION in the second nibble of the type. */
const functionType = 0x20;

interface CoffSymbol extends NamedAddress {
  readonly isExternal: boolean;
}

/**
 * Reads the COFF symbol table that GNU and LLVM linkers leave in an image (IMAGE_SYMBOL, winnt.h; "PE Format", COFF
 * Symbol Table); undefined if there is none. `sections` are the image's, in the order of its headers. C++ names stay
 * decorated. A symbol has no size: a function lasts until the next one or the section's end.
 *
 * @throws PoolproofError PP1305 if the table is damaged
 */
export function coffSymbols(file: Uint8Array, sections: readonly PeSection[]): SymbolSource | undefined {
  const found = readSymbols(file, sections);
  if (found.length === 0) return undefined;
  found.sort(byAddressThenRank);
  const symbols = found.map(({ name, rva, kind, sizeBytes }) => ({ name, rva, kind, sizeBytes }));
  return new NamedFunctions('coff', functionRanges(found, sections), symbols);
}

/** Of several names for one address the first is shown: what the source declares, before what the linker adds. */
function byAddressThenRank(a: CoffSymbol, b: CoffSymbol): number {
  return a.rva - b.rva || rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

function rank({ name, isExternal }: CoffSymbol): number {
  return (name.startsWith('__') ? 2 : 0) + (isExternal ? 0 : 1);
}

function functionRanges(found: readonly CoffSymbol[], sections: readonly PeSection[]): FunctionRange[] {
  const starts: CoffSymbol[] = [];
  for (const symbol of found) {
    if (symbol.kind === 'function' && starts[starts.length - 1]?.rva !== symbol.rva) starts.push(symbol);
  }
  return starts.map(({ name, rva }, i) => {
    const section = sections.find((candidate) => rva >= candidate.rva && rva < candidate.rva + candidate.virtualSize);
    const sectionEnd = section === undefined ? rva : section.rva + section.virtualSize;
    return { name, functionRva: rva, start: rva, end: Math.min(starts[i + 1]?.rva ?? sectionEnd, sectionEnd) };
  });
}

function readSymbols(file: Uint8Array, sections: readonly PeSection[]): CoffSymbol[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64) return [];
  const coff = view.getUint32(60, true) + 4;
  if (coff + 20 > file.length) return [];
  const table = view.getUint32(coff + 8, true);
  const count = view.getUint32(coff + 12, true);
  if (table === 0 || count === 0) return [];
  const strings = table + count * symbolBytes;
  if (strings > file.length) throw damagedTable(`${count} symbols at file offset 0x${table.toString(16)}`);
  const names = new NameReader(file, strings);
  const found: CoffSymbol[] = [];
  for (let index = 0; index < count; index++) {
    const at = table + index * symbolBytes;
    index += view.getUint8(at + 17);
    const kind = view.getUint8(at + 16);
    const section = sections[view.getInt16(at + 12, true) - 1];
    const offset = view.getUint32(at + 8, true);
    if (section === undefined || offset >= section.virtualSize) continue;
    if (kind !== storageClass.external && kind !== storageClass.static) continue;
    const name = names.read(at);
    if (isLinkerMark(name)) continue;
    found.push({
      name,
      rva: section.rva + offset,
      // Assembled functions carry no type.
      kind: view.getUint16(at + 14, true) === functionType || section.isExecutable ? 'function' : 'data',
      sizeBytes: 0,
      isExternal: kind === storageClass.external,
    });
  }
  return found;
}

/** Sections' own symbols (`.text`), and the empty lists that GNU's linker script puts into `.text`. */
function isLinkerMark(name: string): boolean {
  return name === '' || name.startsWith('.') || /^_{2,3}[CD]TOR_LIST__$/.test(name);
}

class NameReader {
  readonly #file: Uint8Array;
  readonly #view: DataView;
  readonly #strings: number;
  readonly #end: number;
  #budget: number;

  constructor(file: Uint8Array, strings: number) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    this.#strings = strings;
    const size = strings + 4 <= file.length ? this.#view.getUint32(strings, true) : 0;
    this.#end = Math.min(file.length, strings + size);
    this.#budget = 4 * file.length;
  }

  /** The name of the symbol at a file offset: eight bytes in place, or an offset in the string table. */
  read(at: number): string {
    if (this.#view.getUint32(at, true) !== 0) return this.#text(at, at + 8);
    const start = this.#strings + this.#view.getUint32(at + 4, true);
    if (start < this.#strings + 4 || start >= this.#end) {
      throw damagedTable(`a name at 0x${start.toString(16)}, outside of the string table`);
    }
    return this.#text(start, Math.min(this.#end, start + longestName));
  }

  #text(start: number, limit: number): string {
    const bytes = this.#file.subarray(start, limit);
    const zero = bytes.indexOf(0);
    const text = zero < 0 ? bytes : bytes.subarray(0, zero);
    this.#budget -= text.length;
    if (this.#budget < 0) throw damagedTable('names that overlap many times');
    return latin1(text);
  }
}

function damagedTable(found: string): PoolproofError {
  return new PoolproofError('PP1305', `damaged COFF symbol table: found ${found}, expected it within the file`);
}
