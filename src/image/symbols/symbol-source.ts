/** What every kind of debug information answers. Addresses are RVAs: offsets from the start of the loaded image. */

export interface SourceLine {
  /** As the compiler recorded it, with its separators. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** One function, physical or inlined, that covers an address. */
export interface SymbolFrame {
  /** Undecorated name, as `ln` shows it: `DriverEntry`. */
  readonly function: string;
  /** Start of the physical function (the same for the frames inlined into it). */
  readonly functionRva: number;
  readonly inlined: boolean;
  /** The line of the call inlined into this frame or, for the innermost frame, of the address itself. */
  readonly source: SourceLine | undefined;
}

export interface NamedAddress {
  readonly name: string;
  readonly rva: number;
  readonly kind: 'function' | 'data';
  /** 0 if not recorded. */
  readonly sizeBytes: number;
}

export interface SymbolSource {
  readonly kind: 'pdb' | 'dwarf' | 'coff' | 'exports';
  /** Frames that cover the address, innermost inlined function first, physical function last; empty if unknown. */
  framesAt(rva: number): readonly SymbolFrame[];
  /** The symbol of that name, matched as written. */
  find(name: string): NamedAddress | undefined;
  /** All named functions and data, ascending by RVA. */
  symbols(): readonly NamedAddress[];
}
