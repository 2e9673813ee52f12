/** A block of bytes, zeros at first; part of snapshots, which share with it what is not written to afterwards. */
import { assert } from './errors.ts';

const chunkBytes = 0x1000;

/** Undefined stands for a chunk of zeros. */
type Chunks = readonly (Uint8Array | undefined)[];

export class StoreBytes {
  readonly size: number;
  private chunks: (Uint8Array | undefined)[];
  /** Chunks that a snapshot shares. */
  private isShared: boolean[] = [];

  constructor(size: number) {
    assert(Number.isInteger(size) && size > 0, 'a block has a size');
    this.size = size;
    this.chunks = new Array(Math.ceil(size / chunkBytes)).fill(undefined);
  }

  /** Fills `into` with what stands at `offset`. */
  read(offset: number, into: Uint8Array): void {
    this.check(offset, into.length);
    for (let done = 0; done < into.length; ) {
      const [chunk, at] = placeOf(offset + done);
      const part = Math.min(into.length - done, chunkBytes - at);
      const bytes = this.chunks[chunk];
      if (bytes === undefined) into.fill(0, done, done + part);
      else into.set(bytes.subarray(at, at + part), done);
      done += part;
    }
  }

  /** One byte. */
  at(offset: number): number {
    this.check(offset, 1);
    return this.chunks[Math.floor(offset / chunkBytes)]?.[offset % chunkBytes] ?? 0;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.check(offset, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const [chunk, at] = placeOf(offset + done);
      const part = Math.min(bytes.length - done, chunkBytes - at);
      this.own(chunk).set(bytes.subarray(done, done + part), at);
      done += part;
    }
  }

  /** All zeros again. */
  clear(): void {
    this.chunks.fill(undefined);
  }

  save(): unknown {
    this.isShared = this.chunks.map(() => true);
    return this.chunks.slice() satisfies Chunks;
  }

  load(saved: unknown): void {
    this.chunks = (saved as Chunks).slice();
    this.isShared = this.chunks.map(() => true);
  }

  private own(chunk: number): Uint8Array {
    const bytes = this.chunks[chunk];
    if (bytes !== undefined && this.isShared[chunk] !== true) return bytes;
    const own = bytes?.slice() ?? new Uint8Array(chunkBytes);
    this.chunks[chunk] = own;
    this.isShared[chunk] = false;
    return own;
  }

  private check(offset: number, bytes: number): void {
    const isInside = Number.isInteger(offset) && offset >= 0 && offset + bytes <= this.size;
    assert(isInside, `${bytes} bytes at ${offset} of a block of ${this.size}`);
  }
}

const placeOf = (offset: number): [chunk: number, at: number] => [Math.floor(offset / chunkBytes), offset % chunkBytes];
