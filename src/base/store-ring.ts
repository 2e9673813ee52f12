/**
 * The latest rows of four 32-bit numbers, the oldest overwritten; part of snapshots. A snapshot shares all chunks of rows
 * that are not written to afterwards.
 */
import { assert } from './errors.ts';

const chunkBits = 10;
const chunkRows = 1 << chunkBits;
const chunkMask = chunkRows - 1;

interface Saved {
  readonly chunks: readonly (Uint32Array | undefined)[];
  readonly count: number;
}

/** Numbers of a row. */
const words = 4;

export class StoreRing {
  readonly capacity: number;
  private chunks: (Uint32Array | undefined)[] = [];
  /** Chunks that a snapshot shares. */
  private isShared: boolean[] = [];
  private count_ = 0;

  /** `capacity`: rows that are kept, a power of two of at least 1024. */
  constructor(capacity: number) {
    assert(capacity >= chunkRows && Number.isInteger(Math.log2(capacity)), 'a ring holds a power of two of rows');
    this.capacity = capacity;
  }

  /** Rows that were added since the start, those that are overwritten included. */
  get count(): number {
    return this.count_;
  }

  /** Adds a row of four numbers. */
  push(first: number, second: number, third: number, fourth: number): void {
    const row = this.count_ & (this.capacity - 1);
    const at = (row & chunkMask) * words;
    if (at === 0 || this.isShared[row >>> chunkBits] === true) this.own(row >>> chunkBits);
    const chunk = this.chunks[row >>> chunkBits] as Uint32Array;
    chunk[at] = first;
    chunk[at + 1] = second;
    chunk[at + 2] = third;
    chunk[at + 3] = fourth;
    this.count_++;
  }

  /** A number of the row that was added `age` rows before the latest one; less than both capacity and count. */
  get(age: number, word: 0 | 1 | 2 | 3): number {
    assert(age >= 0 && age < this.capacity && age < this.count_, `row ${age} of a ring of ${this.count_}`);
    const row = (this.count_ - 1 - age) & (this.capacity - 1);
    return (this.chunks[row >>> chunkBits] as Uint32Array)[(row & chunkMask) * words + word] as number;
  }

  save(): unknown {
    this.isShared = this.chunks.map(() => true);
    return { chunks: this.chunks.slice(), count: this.count_ } satisfies Saved;
  }

  load(saved: unknown): void {
    const { chunks, count } = saved as Saved;
    this.chunks = chunks.slice();
    this.isShared = chunks.map(() => true);
    this.count_ = count;
  }

  private own(chunk: number): void {
    const rows = this.chunks[chunk];
    if (rows === undefined) this.chunks[chunk] = new Uint32Array(chunkRows * words);
    else if (this.isShared[chunk] === true) this.chunks[chunk] = rows.slice();
    this.isShared[chunk] = false;
  }
}
