/**
 * Which frame is mapped at which page, in both directions. A page is its number: the address divided by the page size.
 * What snapshots hold is shared with them until it changes.
 */
import { pageMask, pageShift, pageSize, systemSpaceStart } from './layout.ts';

/** Number of the first page of system space. */
export const firstSystemPage = systemSpaceStart / pageSize;
export const systemPageCount = 1 << 20;

const chunkBits = 10;
const chunkEntries = 1 << chunkBits;
const chunkCount = systemPageCount / chunkEntries;

export interface PageMappingsSnapshot {
  readonly systemSpace: readonly (Uint32Array | undefined)[];
  readonly otherSpace: ReadonlyMap<number, number>;
}

export class PageMappings {
  private systemSpace: (Uint32Array | undefined)[] = new Array(chunkCount).fill(undefined);
  /** 1 if the chunk is also held by a snapshot and must be copied before it changes. */
  private readonly chunkShared = new Uint8Array(chunkCount);
  private otherSpace: ReadonlyMap<number, number> = new Map();
  private otherSpaceShared = false;
  private readonly pagesOfFrame: (number[] | undefined)[];

  constructor(frameCount: number) {
    this.pagesOfFrame = new Array(frameCount).fill(undefined);
  }

  /** The frame, shifted by `pageShift`, with the mapping's flags; 0 if nothing is mapped. */
  entry(page: number): number {
    const index = page - firstSystemPage;
    if (index >= 0 && index < systemPageCount) {
      return this.systemSpace[index >>> chunkBits]?.[index & (chunkEntries - 1)] ?? 0;
    }
    return this.otherSpace.get(page) ?? 0;
  }

  /** Every page where a frame is mapped. */
  pagesOf(frame: number): readonly number[] | undefined {
    return this.pagesOfFrame[frame];
  }

  /** In place of what was mapped there. */
  map(page: number, frame: number, flags: number): void {
    this.unmap(page);
    const entry = ((frame << pageShift) | flags) >>> 0;
    this.setEntry(page, entry);
    this.moveReverse(page, 0, entry);
  }

  /** The frame that was mapped; undefined if there was none. */
  unmap(page: number): number | undefined {
    const entry = this.entry(page);
    if (entry === 0) return undefined;
    this.moveReverse(page, entry, 0);
    this.setEntry(page, 0);
    return entry >>> pageShift;
  }

  /** Of a page that is mapped. */
  setFlags(page: number, flags: number): void {
    this.setEntry(page, ((this.entry(page) & ~pageMask) | flags) >>> 0);
  }

  snapshot(): PageMappingsSnapshot {
    this.share();
    return { systemSpace: this.systemSpace.slice(), otherSpace: this.otherSpace };
  }

  /** `changed` is called with each page of system space that may be mapped otherwise now. */
  restore(snapshot: PageMappingsSnapshot, changed: (page: number) => void): void {
    for (let chunk = 0; chunk < chunkCount; chunk++) {
      const now = this.systemSpace[chunk];
      const then = snapshot.systemSpace[chunk];
      if (now === then) continue;
      const first = firstSystemPage + chunk * chunkEntries;
      for (let index = 0; index < chunkEntries; index++) {
        const before = now?.[index] ?? 0;
        const after = then?.[index] ?? 0;
        if (before !== after) this.moveReverse(first + index, before, after);
      }
      this.systemSpace[chunk] = then;
      for (let index = 0; index < chunkEntries; index++) changed(first + index);
    }
    if (this.otherSpace !== snapshot.otherSpace) {
      for (const [page, entry] of this.otherSpace) this.moveReverse(page, entry, 0);
      for (const [page, entry] of snapshot.otherSpace) this.moveReverse(page, 0, entry);
    }
    this.otherSpace = snapshot.otherSpace;
    this.share();
  }

  private share(): void {
    this.chunkShared.fill(1);
    this.otherSpaceShared = true;
  }

  private setEntry(page: number, entry: number): void {
    const index = page - firstSystemPage;
    if (index >= 0 && index < systemPageCount) {
      const chunkIndex = index >>> chunkBits;
      let chunk = this.systemSpace[chunkIndex];
      if (chunk === undefined) {
        chunk = new Uint32Array(chunkEntries);
      } else if (this.chunkShared[chunkIndex] !== 0) {
        chunk = chunk.slice();
      }
      this.systemSpace[chunkIndex] = chunk;
      this.chunkShared[chunkIndex] = 0;
      chunk[index & (chunkEntries - 1)] = entry;
      return;
    }
    const own = this.otherSpaceShared ? new Map(this.otherSpace) : (this.otherSpace as Map<number, number>);
    this.otherSpaceShared = false;
    this.otherSpace = own;
    if (entry === 0) own.delete(page);
    else own.set(page, entry);
  }

  private moveReverse(page: number, before: number, after: number): void {
    if (before !== 0) removeFrom(this.pagesOfFrame[before >>> pageShift], page);
    if (after !== 0) {
      const frame = after >>> pageShift;
      const pages = this.pagesOfFrame[frame];
      if (pages) pages.push(page);
      else this.pagesOfFrame[frame] = [page];
    }
  }
}

function removeFrom(list: number[] | undefined, page: number): void {
  const index = list?.indexOf(page) ?? -1;
  if (index >= 0) list?.splice(index, 1);
}
