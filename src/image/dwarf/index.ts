export { type DebugSection, type DwarfSections, dwarfSections } from './dwarf-sections.ts';
export { type DwarfSymbolSource, dwarfSymbols } from './dwarf-symbols.ts';
