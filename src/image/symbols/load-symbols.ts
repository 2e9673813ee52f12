import { PoolproofError } from '../../base/errors.ts';
import { type DwarfSymbolSource, dwarfSections, dwarfSymbols } from '../dwarf/index.ts';
import { matchesImage, openPdb, type PdbFile, pdbSymbols } from '../pdb/index.ts';
import { oneLine } from '../pe/pe-errors.ts';
import type { CodeViewRecord, PeImage } from '../pe/pe-image.ts';
import { coffSymbols } from './coff-symbols.ts';
import { exportSymbols } from './export-symbols.ts';
import { LayeredSymbols } from './layered-symbols.ts';
import { NamedFunctions } from './named-functions.ts';
import type { SymbolSource } from './symbol-source.ts';

/** A file that may hold the image's symbols: what lies beside it or in the symbol path. */
export interface SymbolCandidate {
  /** Path or name; only what follows the last separator counts. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Where it was found, for people; undefined: where one expects it, beside the image. */
  readonly place?: string;
}

export interface LoadedSymbols {
  readonly source: SymbolSource;
  /** What the source reads, for people: `leaky.pdb`, `DWARF in leaky.sys`, `exports of leaky.sys`. */
  readonly origin: string;
  /** Why something better was not used, one sentence each; grows when a damaged part is met later. */
  readonly notes: readonly string[];
}

/**
 * Finds the best symbols of an image: a PDB among the candidates that belongs to this very build; else DWARF in the
 * image; else its COFF symbol table; else its exports and `.pdata`. Each fills the gaps of the one before. Never
 * throws for what is wrong with symbols: the notes say it. `places`: what was searched besides the image's folder.
 */
export function loadSymbols(
  pe: PeImage,
  file: Uint8Array,
  candidates: readonly SymbolCandidate[] = [],
  places: readonly string[] = [],
): LoadedSymbols {
  const notes: string[] = [];
  const note = (text: string): void => {
    if (!notes.includes(text)) notes.push(text);
  };
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof PoolproofError)) throw error;
      note(error.message);
      return undefined;
    }
  };
  const over = (upper: SymbolSource, lower: SymbolSource): SymbolSource =>
    new LayeredSymbols(upper, lower, (error) => note(error.message));

  const image = oneLine(baseName(pe.fileName));
  const exports = attempt(() => exportSymbols(pe)) ?? new NamedFunctions('exports', [], []);
  const coff = attempt(() => coffSymbols(file, pe.sections));
  const named = coff === undefined ? exports : over(coff, exports);
  const pdb = choosePdb(pe.codeView, candidates, attempt, note);
  const fromPdb = pdb === undefined ? undefined : attempt(() => pdbSymbols(pdb, pe.sections));
  if (pdb !== undefined && fromPdb !== undefined) {
    return { source: over(fromPdb, named), origin: oneLine(baseName(pdb.fileName)), notes };
  }
  const dwarf = attempt(() => readDwarf(pe, file));
  if (dwarf !== undefined) {
    dwarf.notes.forEach(note);
    return { source: over(dwarf, named), origin: `DWARF in ${image}`, notes };
  }
  const wanted = baseName(pe.codeView?.pdbPath ?? '');
  if (pe.codeView !== undefined && wanted !== '' && !candidates.some(({ name }) => isSameFile(name, wanted))) {
    const searched = ['beside the driver', ...places].map(oneLine).join(', ');
    note(`${oneLine(wanted)} (${identity(pe.codeView)}) was not found; looked for: ${searched}`);
  }
  const origin = coff === undefined ? `exports of ${image}` : `COFF symbols of ${image}`;
  return { source: named, origin, notes };
}

function readDwarf(pe: PeImage, file: Uint8Array): DwarfSymbolSource | undefined {
  const sections = dwarfSections((name) => {
    const section = pe.sections.find((candidate) => candidate.name === name);
    if (section === undefined) return undefined;
    const size = Math.min(section.rawSize, section.virtualSize);
    return { rva: section.rva, bytes: file.subarray(section.rawOffset, section.rawOffset + size) };
  });
  return sections === undefined ? undefined : dwarfSymbols(sections, pe.preferredBaseU64);
}

/** A PDB by the recorded name is asked first, then any other: people rename them. */
function choosePdb(
  codeView: CodeViewRecord | undefined,
  candidates: readonly SymbolCandidate[],
  attempt: (read: () => PdbFile) => PdbFile | undefined,
  note: (text: string) => void,
): PdbFile | undefined {
  const pdbs = candidates.filter(({ name }) => /\.pdb$/i.test(name));
  if (codeView === undefined) {
    for (const { name } of pdbs) note(`${oneLine(baseName(name))} is not used: the image names no PDB`);
    return undefined;
  }
  const wanted = baseName(codeView.pdbPath);
  const isNamed = ({ name }: SymbolCandidate): boolean => isSameFile(name, wanted);
  for (const candidate of [...pdbs.filter(isNamed), ...pdbs.filter((other) => !isNamed(other))]) {
    const name = baseName(candidate.name);
    const pdb = attempt(() => openPdb(candidate.bytes, name));
    if (pdb === undefined) continue;
    if (matchesImage(pdb, codeView)) {
      if (candidate.place !== undefined) note(`symbols from ${oneLine(candidate.name)}${from(candidate)}`);
      return pdb;
    }
    note(
      `${oneLine(name)} is not used: it belongs to another build (it is ${pdb.info.guid} age ${pdb.dbi.age}, the image asks for ${identity(codeView)})`,
    );
  }
  return undefined;
}

/** A server, whose file now lies in a store. */
function from({ place = '' }: SymbolCandidate): string {
  return /^https?:/i.test(place) ? ` (downloaded from ${oneLine(place)})` : '';
}

function identity({ guid, age }: CodeViewRecord): string {
  return `${guid.replaceAll('-', '')} age ${age}`;
}

/** Windows names: case does not matter. */
function isSameFile(path: string, name: string): boolean {
  return baseName(path).toLowerCase() === name.toLowerCase();
}

function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}
