/** The drivers of a machine: which files there are, what each is, and in which order they are loaded. */
import { PoolproofError } from '../base/errors.ts';
import { type PeImage, parsePe } from '../image/pe/index.ts';
import { looksLikeLibrary } from '../nt/io/library-loading.ts';
import { importsFrom } from '../nt/mm/driver-exports.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt } from '../nt/nt.ts';
import type { DriverFile, MachineOptions } from './machine-options.ts';

export interface LoadedDriver {
  readonly file: DriverFile;
  readonly image: KernelImage;
  /** False for companions. */
  readonly isVerified: boolean;
  /** A kernel-mode DLL: DllInitialize and DllUnload instead of DriverEntry and DriverUnload. */
  readonly isLibrary: boolean;
}

export interface ParsedDriver {
  readonly file: DriverFile;
  readonly pe: PeImage;
  readonly isVerified: boolean;
  readonly isLibrary: boolean;
}

/** Reads the files, in the order in which they start. Throws PoolproofError for what cannot be loaded. */
export function parseDrivers({ drivers, companions = [] }: MachineOptions): readonly ParsedDriver[] {
  if (drivers.length === 0) throw new PoolproofError('PP5004', 'no driver was given to verify');
  const files = [...companions, ...drivers];
  for (const [index, { name }] of files.entries()) {
    const same = files.findIndex((file) => moduleName(file.name) === moduleName(name));
    if (same !== index) throw new PoolproofError('PP5004', `${name}: another driver of this name is given too`);
  }
  const parsed = files.map((file, index) => {
    const pe = parsePe(file.bytes, file.name);
    return { file, pe, isVerified: index >= companions.length };
  });
  const all = parsed.map((one) => {
    const isImported = parsed.some(({ pe }) => pe !== one.pe && importsFrom(pe, one.file.name));
    if (one.pe.entryPointRva === undefined && !isImported) {
      throw new PoolproofError(
        'PP5002',
        `${one.file.name}: an export driver without an entry point; there is nothing to start`,
      );
    }
    return { ...one, isLibrary: isImported && looksLikeLibrary(one) };
  });
  return [...inOrderOfImports(all.filter(({ isLibrary }) => isLibrary)), ...all.filter(({ isLibrary }) => !isLibrary)];
}

/** Maps the images. */
export function mapDrivers(nt: Nt, parsed: readonly ParsedDriver[]): readonly LoadedDriver[] {
  const images = nt.images.loadAll(parsed.map(({ pe, file }) => ({ pe, fileName: file.name })));
  return images.map((image, index) => {
    const { file, isVerified, isLibrary } = parsed[index] as ParsedDriver;
    return { file, image, isVerified, isLibrary };
  });
}

/** The name that modules are told apart by: `leaky` of `Leaky.sys`. */
export const moduleName = (fileName: string): string => fileName.replace(/\.[^.]*$/, '').toLowerCase();

/** What is imported from comes first; of a circle, what was given first. */
function inOrderOfImports(libraries: readonly ParsedDriver[]): readonly ParsedDriver[] {
  const ordered: ParsedDriver[] = [];
  const visited = new Set<ParsedDriver>();
  const visit = (library: ParsedDriver): void => {
    if (visited.has(library)) return;
    visited.add(library);
    for (const other of libraries) if (importsFrom(library.pe, other.file.name)) visit(other);
    ordered.push(library);
  };
  for (const library of libraries) visit(library);
  return ordered;
}
