export { type CodeViewIdentity, matchesImage, openPdb, type PdbFile } from './pdb-file.ts';
export { pdbSymbols } from './pdb-symbols.ts';
export type { SectionRange } from './section-map.ts';
