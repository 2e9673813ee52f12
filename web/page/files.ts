/** Files that the user drops or chooses: drivers, symbols, sources. */
import { batch } from '@preact/signals';
import type { NamedBytes, SourceInput } from '../worker/messages.ts';
import * as state from './state.ts';

const sourceName = /\.(c|cc|cpp|cxx|c\+\+|h|hh|hpp|hxx|inl|inc|rs|asm|s|idl)$/i;
const mebibyte = 1024 * 1024;
/** The same bounds as on the command line. */
const most = { driver: 64 * mebibyte, symbols: 512 * mebibyte, source: 8 * mebibyte };

/** A file with its path below the folder that was dropped, or its name. */
export interface GivenFile {
  readonly path: string;
  readonly sizeBytes: number;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
}

export interface TakenFiles {
  /** How many are in the lists now. */
  readonly taken: number;
  /** What is not, and why. */
  readonly passedOver: readonly string[];
}

/** Sorts files into drivers, symbols and sources. `isFresh`: in the place of what was there. */
export async function takeFiles(files: readonly GivenFile[], isFresh: boolean): Promise<TakenFiles> {
  const found = { drivers: [] as NamedBytes[], symbols: [] as NamedBytes[], sources: [] as SourceInput[] };
  const passedOver: string[] = [];
  for (const file of files) {
    const name = file.path.split(/[\\/]/).at(-1) ?? file.path;
    const kind = kindOf(name);
    if (kind === undefined) passedOver.push(`${name}: neither a driver (.sys) nor symbols (.pdb) nor source text`);
    else if (file.sizeBytes > most[kind])
      passedOver.push(`${name}: ${file.sizeBytes} bytes, expected at most ${most[kind]}`);
    else if (kind === 'source') {
      found.sources.push({ path: file.path, text: new TextDecoder().decode(await file.bytes()) });
    } else if (kind === 'driver' && isAmong(name, found.drivers)) {
      passedOver.push(`${file.path}: another driver of this name is given too`);
    } else (kind === 'driver' ? found.drivers : found.symbols).push({ name, bytes: await file.bytes() });
  }
  batch(() => {
    const before = isFresh ? [] : state.drivers.value;
    const drivers = found.drivers.map((driver) => ({ ...driver, isVerified: true }));
    state.drivers.value = [...before.filter((old) => !isAmong(old.name, drivers)), ...drivers];
    state.symbolFiles.value = [
      ...(isFresh ? [] : state.symbolFiles.value.filter((old) => !isAmong(old.name, found.symbols))),
      ...found.symbols,
    ];
    state.sources.value = [
      ...(isFresh ? [] : state.sources.value.filter((old) => !found.sources.some(({ path }) => path === old.path))),
      ...found.sources,
    ];
  });
  return { taken: found.drivers.length + found.symbols.length + found.sources.length, passedOver };
}

function kindOf(name: string): keyof typeof most | undefined {
  if (/\.(sys|dll|exe)$/i.test(name)) return 'driver';
  if (/\.(pdb|dbg|debug)$/i.test(name)) return 'symbols';
  return sourceName.test(name) ? 'source' : undefined;
}

function isAmong(name: string, files: readonly { readonly name: string }[]): boolean {
  return files.some((file) => file.name.toLowerCase() === name.toLowerCase());
}

export function givenFile(file: File): GivenFile {
  return {
    path: file.webkitRelativePath || file.name,
    sizeBytes: file.size,
    bytes: async () => new Uint8Array(await file.arrayBuffer()),
  };
}

/** The files of a drop, also those in folders. */
export async function droppedFiles(data: DataTransfer): Promise<readonly GivenFile[]> {
  // To be asked for before the first await: the drop's data go away with its event.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? undefined);
  const files = [...data.files].map(givenFile);
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const found: GivenFile[] = [];
  for (const entry of entries) if (entry) await collect(entry, found);
  return found;
}

/** Files of a folder that are looked at. */
const mostFiles = 5000;

async function collect(entry: FileSystemEntry, found: GivenFile[]): Promise<void> {
  if (found.length >= mostFiles) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    const path = entry.fullPath.replace(/^\//, '');
    if (kindOf(file.name) !== undefined) found.push({ ...givenFile(file), path });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await collect(one, found);
  }
}

/** A file of the page's own server. */
export async function fetchFile(url: string, path: string): Promise<GivenFile> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${path} could not be loaded: ${response.status} ${response.statusText}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { path, sizeBytes: bytes.length, bytes: async () => bytes };
}
