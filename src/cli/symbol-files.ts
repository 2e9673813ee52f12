/** Finding the files that may hold a driver's symbols: beside it, and along a symbol path. */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { PeImage } from '../image/pe/index.ts';
import type { SymbolCandidate } from '../image/symbols/index.ts';
import {
  compressedName,
  parseSymbolPath,
  type SymbolPlace,
  storeFolders,
  storeIdentity,
} from '../image/symbols/symbol-path.ts';
import { systemProblem } from './errors.ts';
import { readInputFile } from './input-files.ts';

export const mostSymbolBytes = 512 * 1024 * 1024;
const serverPatienceMs = 60_000;

export interface SymbolSearch {
  readonly candidates: readonly SymbolCandidate[];
  /** What was searched besides the driver's own folder, for people. */
  readonly places: readonly string[];
  /** What was met and can't be used, one sentence each. */
  readonly notes: readonly string[];
}

export interface SymbolChoice {
  /** Symbol paths, or files and directories. One that is named and not there is an error. */
  readonly paths: readonly string[];
  /** `_NT_SYMBOL_PATH`, which is used without `paths`; what it names may be missing. */
  readonly fallback: string | undefined;
  /** Whether servers are asked for what no folder has. */
  readonly isDownloadWanted: boolean;
}

/** Throws PP6001 for a path that was given and is not there. */
export async function findSymbols(imagePath: string, pe: PeImage, choice: SymbolChoice): Promise<SymbolSearch> {
  const search = new Search(imagePath, pe);
  search.look(dirname(imagePath), undefined);
  const isGiven = choice.paths.length > 0;
  // A path that is there is meant, whatever characters it has.
  const given = choice.paths.flatMap((path): SymbolPlace[] =>
    isThere(path) ? [{ kind: 'local', path }] : parseSymbolPath(path),
  );
  const places = isGiven ? given : parseSymbolPath(choice.fallback ?? '');
  let cache: string | undefined;
  for (const place of places) {
    if (place.kind === 'local') {
      search.lookLocal(place.path, isGiven);
      continue;
    }
    const folders = place.kind === 'cache' ? [place.path] : place.folders;
    for (const folder of folders) search.look(folder, folder);
    if (place.kind === 'cache') cache ??= place.path;
    else for (const server of place.servers) await search.ask(server, place.folders[0] ?? cache, choice);
  }
  return search;
}

class Search implements SymbolSearch {
  readonly notes: string[] = [];
  readonly places: string[] = [];
  private readonly found = new Map<string, SymbolCandidate>();
  /** The PDB's name as the image records it; undefined if it records none that a file could have. */
  private readonly recorded: string | undefined;
  /** Names in lower case. */
  private readonly names: readonly string[];
  private readonly identity: string | undefined;
  private isInStore = false;

  constructor(imagePath: string, pe: PeImage) {
    const recorded = pe.codeView?.pdbPath.split(/[\\/]/).at(-1) ?? '';
    const own = basename(imagePath).replace(/\.[^.]*$/, '.pdb');
    this.recorded = isFileName(recorded) ? recorded : undefined;
    this.names = [...new Set([recorded, own].filter(isFileName).map((name) => name.toLowerCase()))];
    this.identity = pe.codeView === undefined ? undefined : storeIdentity(pe.codeView);
  }

  get candidates(): readonly SymbolCandidate[] {
    return [...this.found.values()];
  }

  lookLocal(path: string, isGiven: boolean): void {
    if (isDirectory(path)) this.look(path, path);
    else if (isGiven || isThere(path)) this.add(path, path, isGiven);
    else this.places.push(`${path} (not there)`);
  }

  /** A directory: by the file's name, and as a store. `place` is how the report calls it. */
  look(directory: string, place: string | undefined): void {
    if (place !== undefined) this.places.push(isDirectory(directory) ? place : `${place} (not there)`);
    for (const entry of namesIn(directory)) {
      const path = join(directory, entry);
      if (this.names.includes(entry.toLowerCase()) && !isDirectory(path)) this.add(path, place, false);
    }
    for (const name of this.identity === undefined ? [] : this.names) {
      for (const parts of storeFolders(name, this.identity as string)) {
        const folder = folderOf(directory, parts);
        if (folder !== undefined) this.lookInStore(folder, name, place);
      }
    }
  }

  private lookInStore(folder: string, name: string, place: string | undefined): void {
    for (const entry of namesIn(folder)) {
      const path = join(folder, entry);
      const lower = entry.toLowerCase();
      if (lower === name) {
        this.add(path, place ?? folder, false);
        this.isInStore = true;
      } else if (lower === compressedName(name)) {
        this.notes.push(`${path} is not used: compressed symbol files are not supported (expand it with: expand)`);
      } else if (lower === 'file.ptr') {
        this.notes.push(`${path} is not used: pointers to symbol files elsewhere are not supported`);
      }
    }
  }

  /** A server, for what no folder before it has. */
  async ask(server: string, keptIn: string | undefined, { isDownloadWanted }: SymbolChoice): Promise<void> {
    const { recorded, identity } = this;
    if (this.isInStore || recorded === undefined || identity === undefined) return;
    if (!isDownloadWanted) {
      this.places.push(`not on ${server} (--download-symbols)`);
      return;
    }
    this.places.push(server);
    if (keptIn === undefined) {
      this.notes.push(`${server} was not asked for symbols: the symbol path has no directory to keep them in`);
      return;
    }
    const url = [server, recorded, identity, recorded].map((part, at) => (at === 0 ? part : encodeURIComponent(part)));
    try {
      const bytes = await download(url.join('/'));
      if (bytes === undefined) return;
      const target = join(keptIn, recorded, identity, recorded);
      keep(target, bytes);
      this.found.set(target, { name: target, bytes, place: server });
      this.isInStore = true;
    } catch (error) {
      this.notes.push(`${server} gave no symbols: ${problemOf(error)}`);
    }
  }

  private add(path: string, place: string | undefined, isNamed: boolean): void {
    if (this.found.has(path)) return;
    try {
      const bytes = readInputFile(path, mostSymbolBytes);
      this.found.set(path, { name: path, bytes, ...(place === undefined ? {} : { place }) });
    } catch (error) {
      if (isNamed || !(error instanceof Error)) throw error;
      this.notes.push(error.message);
    }
  }
}

/** The bytes, or undefined if the server has no such file. */
async function download(url: string): Promise<Uint8Array | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(serverPatienceMs) });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`it answered ${response.status} ${response.statusText}`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > mostSymbolBytes) throw new Error(`more than ${mostSymbolBytes} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Written whole or not at all: others may use the same store. */
function keep(target: string, bytes: Uint8Array): void {
  mkdirSync(dirname(target), { recursive: true });
  const unfinished = `${target}.${process.pid}.part`;
  try {
    writeFileSync(unfinished, bytes);
    renameSync(unfinished, target);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function problemOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return systemProblem(cause);
}

/** What the image records may be anything; a file's name leads nowhere else. */
function isFileName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return /[^.\s]/.test(name) && !/[\u0000-\u001f<>:"|?*\\/]/.test(name);
}

/** The folder below `directory`, whatever the case of its names. */
function folderOf(directory: string, parts: readonly string[]): string | undefined {
  let at = directory;
  for (const part of parts) {
    const entry = namesIn(at).find((name) => name.toLowerCase() === part.toLowerCase() && isDirectory(join(at, name)));
    if (entry === undefined) return undefined;
    at = join(at, entry);
  }
  return at;
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    // A part of the path is no directory, or can't be passed.
    return false;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    // A directory that can't be listed holds nothing for us; the image itself was read by its path.
    return [];
  }
}
