/**
 * Rows of 32-bit numbers, found by the first of them; part of snapshots. Built for millions of rows: a row is a few
 * words of a typed array and no object, a snapshot shares all chunks of rows that are not written to afterwards.
 */
import { assert } from './errors.ts';

const chunkBits = 12;
const chunkRows = 1 << chunkBits;
const chunkMask = chunkRows - 1;
const smallestIndexBits = 6;
/** Most keys are addresses of blocks: multiples of 16, many of them in the same page of 4 KB. */
const granuleBits = 4;
const granuleBytes = 1 << granuleBits;
const pageBits = 12;
const granuleMask = (1 << (pageBits - granuleBits)) - 1;
/** Rows that are gone may take this much room before the others are moved together. */
const mostGoneRows = 1024;

type Words = Uint32Array<ArrayBuffer>;

interface Saved {
  readonly chunks: readonly Words[];
  readonly end: number;
  readonly size: number;
  readonly index: Words;
}

/**
 * A row has a number, by which its words are read and written. It holds until the next {@link StoreTable.add},
 * {@link StoreTable.remove} or restored snapshot.
 */
export class StoreTable {
  private readonly words: number;
  /** Rows in the order in which they were added; a key of 0 marks one that is gone. Past `end` is anything. */
  private chunks: Words[] = [];
  /** Chunks that a snapshot shares. */
  private isSharedChunk: boolean[] = [];
  /** Rows up to here are in use or gone. */
  private end = 0;
  private size_ = 0;
  /** An open-addressing hash table of row numbers plus one; 0 is free. A quarter full at most: chains stay short. */
  private index: Words = new Uint32Array(1 << smallestIndexBits);
  private indexShift = 32 - smallestIndexBits;
  private isIndexShared = false;

  /** `words`: numbers of a row, its key included. */
  constructor(words: number) {
    assert(words >= 1, 'a row has a key');
    this.words = words;
  }

  get size(): number {
    return this.size_;
  }

  /** The row with that key, or -1. */
  find(key: number): number {
    const { index } = this;
    const mask = index.length - 1;
    for (let slot = this.slotOf(key); ; slot = (slot + 1) & mask) {
      const row = (index[slot] as number) - 1;
      if (row < 0 || this.get(row, 0) === key) return row;
    }
  }

  /** A new row, all zeros but its key: an unsigned 32-bit number, not 0, that no row has. */
  add(key: number): number {
    assert(key > 0 && key >>> 0 === key, 'a key is an unsigned 32-bit number that is not 0');
    if (this.end - this.size_ > mostGoneRows && this.end > 2 * this.size_) this.compact();
    if (4 * (this.size_ + 1) > this.index.length) this.rebuildIndex(33 - this.indexShift);
    const row = this.end;
    const chunk = row >>> chunkBits;
    if (chunk === this.chunks.length) {
      this.chunks.push(new Uint32Array(chunkRows * this.words));
      this.isSharedChunk.push(false);
    }
    this.end = row + 1;
    const words = this.isSharedChunk[chunk] === true ? this.ownChunk(chunk) : (this.chunks[chunk] as Words);
    const first = (row & chunkMask) * this.words;
    words[first] = key;
    for (let word = first + 1; word < first + this.words; word++) words[word] = 0;
    this.ownIndex();
    this.enter(key, row);
    this.size_++;
    return row;
  }

  /** The row that was there, whose other words can be read until the next {@link StoreTable.add}; -1 if there was none. */
  remove(key: number): number {
    const { index } = this;
    const mask = index.length - 1;
    let slot = this.slotOf(key);
    let row: number;
    for (; ; slot = (slot + 1) & mask) {
      row = (index[slot] as number) - 1;
      if (row < 0) return -1;
      if (this.get(row, 0) === key) break;
    }
    this.set(row, 0, 0);
    this.ownIndex();
    this.vacate(slot);
    this.size_--;
    // Short-lived rows take turns in the same place.
    while (this.end > 0 && this.get(this.end - 1, 0) === 0) this.end--;
    return row;
  }

  get(row: number, word: number): number {
    return (this.chunks[row >>> chunkBits] as Words)[(row & chunkMask) * this.words + word] as number;
  }

  /** Not for the key, word 0. The value is taken modulo 2^32. */
  set(row: number, word: number, value: number): void {
    const chunk = row >>> chunkBits;
    const words = this.isSharedChunk[chunk] === true ? this.ownChunk(chunk) : (this.chunks[chunk] as Words);
    words[(row & chunkMask) * this.words + word] = value;
  }

  /** The oldest row, or the first one younger than `row`; -1 at the end. */
  next(row = -1): number {
    for (let at = row + 1; at < this.end; at++) if (this.get(at, 0) !== 0) return at;
    return -1;
  }

  save(): unknown {
    this.isSharedChunk.fill(true);
    this.isIndexShared = true;
    const saved: Saved = { chunks: this.chunks.slice(), end: this.end, size: this.size_, index: this.index };
    return saved;
  }

  load(saved: unknown): void {
    const { chunks, end, size, index } = saved as Saved;
    this.chunks = chunks.slice();
    this.isSharedChunk = chunks.map(() => true);
    this.end = end;
    this.size_ = size;
    this.index = index;
    this.indexShift = 32 - Math.log2(index.length);
    this.isIndexShared = true;
  }

  // ---- the index

  /** Keys of one page stand close together, as they are used one after the other; pages lie anywhere. */
  private slotOf(key: number): number {
    const page = Math.imul(key >>> pageBits, 0x9e37_79b1) ^ Math.imul(key & (granuleBytes - 1), 0x85eb_ca6b);
    return ((page >>> this.indexShift) + ((key >>> granuleBits) & granuleMask)) & (this.index.length - 1);
  }

  private enter(key: number, row: number): void {
    const { index } = this;
    const mask = index.length - 1;
    let slot = this.slotOf(key);
    while (index[slot] !== 0) slot = (slot + 1) & mask;
    index[slot] = row + 1;
  }

  /** Empties a slot; entries behind it that were turned away from it move up. */
  private vacate(slot: number): void {
    const { index } = this;
    const mask = index.length - 1;
    let free = slot;
    for (let at = (slot + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const wanted = this.slotOf(this.get((index[at] as number) - 1, 0));
      if (((at - wanted) & mask) < ((at - free) & mask)) continue;
      index[free] = index[at] as number;
      free = at;
    }
    index[free] = 0;
  }

  private rebuildIndex(bits: number): void {
    if (this.isIndexShared || this.index.length !== 1 << bits) this.index = new Uint32Array(1 << bits);
    else this.index.fill(0);
    this.indexShift = 32 - bits;
    this.isIndexShared = false;
    for (let row = this.next(); row >= 0; row = this.next(row)) this.enter(this.get(row, 0), row);
  }

  private ownIndex(): void {
    if (!this.isIndexShared) return;
    this.index = this.index.slice();
    this.isIndexShared = false;
  }

  // ---- the rows

  private ownChunk(chunk: number): Words {
    if (this.isSharedChunk[chunk] === true) {
      this.chunks[chunk] = (this.chunks[chunk] as Words).slice();
      this.isSharedChunk[chunk] = false;
    }
    return this.chunks[chunk] as Words;
  }

  /** Moves the rows together, in their order. */
  private compact(): void {
    let to = 0;
    for (let row = this.next(); row >= 0; row = this.next(row), to++) {
      if (row === to) continue;
      const words = this.ownChunk(to >>> chunkBits);
      const from = this.chunks[row >>> chunkBits] as Words;
      const source = (row & chunkMask) * this.words;
      const target = (to & chunkMask) * this.words;
      for (let word = 0; word < this.words; word++) words[target + word] = from[source + word] as number;
    }
    this.end = to;
    this.chunks.length = Math.max(1, Math.ceil(to / chunkRows));
    this.isSharedChunk.length = this.chunks.length;
    this.rebuildIndex(Math.max(smallestIndexBits, Math.ceil(Math.log2(4 * this.size_ + 4))));
  }
}
