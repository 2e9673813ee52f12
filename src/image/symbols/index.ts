export { coffSymbols } from './coff-symbols.ts';
export { exportSymbols } from './export-symbols.ts';
export { LayeredSymbols } from './layered-symbols.ts';
export { type LoadedSymbols, loadSymbols, type SymbolCandidate } from './load-symbols.ts';
export type { NamedAddress, SourceLine, SymbolFrame, SymbolSource } from './symbol-source.ts';
