import type { NamedAddress, SymbolFrame, SymbolSource } from './symbol-source.ts';

/** A stretch of code that belongs to one function; half-open, in RVAs. */
export interface FunctionRange {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Where the function that the stretch is a part of starts. */
  readonly functionRva: number;
}

/** Answers from names and ranges alone: no lines, nothing inlined. */
export class NamedFunctions implements SymbolSource {
  readonly kind: 'coff' | 'exports';
  readonly #ranges: readonly FunctionRange[];
  readonly #symbols: readonly NamedAddress[];
  readonly #byName = new Map<string, NamedAddress>();

  /** `ranges` don't overlap. Of symbols with one name the first counts. */
  constructor(kind: 'coff' | 'exports', ranges: readonly FunctionRange[], symbols: readonly NamedAddress[]) {
    this.kind = kind;
    this.#ranges = [...ranges].sort((a, b) => a.start - b.start);
    this.#symbols = [...symbols].sort((a, b) => a.rva - b.rva);
    for (const symbol of symbols) if (!this.#byName.has(symbol.name)) this.#byName.set(symbol.name, symbol);
  }

  framesAt(rva: number): readonly SymbolFrame[] {
    const ranges = this.#ranges;
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle]?.start ?? 0) <= rva) low = middle + 1;
      else high = middle;
    }
    const range = ranges[low - 1];
    if (range === undefined || rva >= range.end) return [];
    return [{ function: range.name, functionRva: range.functionRva, inlined: false, source: undefined }];
  }

  find(name: string): NamedAddress | undefined {
    return this.#byName.get(name);
  }

  symbols(): readonly NamedAddress[] {
    return this.#symbols;
  }
}
