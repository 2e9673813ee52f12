/** RTL_BITMAP: searching and changing runs of bits. Bit 0 is the lowest bit of the first byte. */
import type { Va } from '../../base/va.ts';
import { vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { RTL_BITMAP } from '../structures/run-time-library.ts';

export interface BitRun {
  readonly start: number;
  readonly length: number;
}

/** A bitmap's bits, read once. */
export class Bits {
  readonly size: number;
  private readonly bytes: Uint8Array;

  constructor(size: number, bytes: Uint8Array) {
    this.size = size;
    this.bytes = bytes;
  }

  static read(memory: GuestMemory, header: Va): Bits {
    const size = RTL_BITMAP.SizeOfBitMap.get(memory, header);
    return new Bits(size, memory.readBytes(RTL_BITMAP.Buffer.get(memory, header), Math.ceil(size / 8)));
  }

  isSet(index: number): boolean {
    return (((this.bytes[index >>> 3] as number) >>> (index & 7)) & 1) !== 0;
  }

  count(isSet: boolean): number {
    let count = 0;
    for (let index = 0; index < this.size; index++) if (this.isSet(index) === isSet) count++;
    return count;
  }

  /** False for an empty range and for one that leaves the bitmap, as documented. */
  areAll(isSet: boolean, start: number, length: number): boolean {
    if (length === 0 || start + length > this.size) return false;
    for (let index = start; index < start + length; index++) if (this.isSet(index) !== isSet) return false;
    return true;
  }

  /** The next run of equal bits at or after `from`. */
  nextRun(isSet: boolean, from: number): BitRun | undefined {
    let start = from;
    while (start < this.size && this.isSet(start) !== isSet) start++;
    if (start >= this.size) return undefined;
    let end = start;
    while (end < this.size && this.isSet(end) === isSet) end++;
    return { start, length: end - start };
  }

  /** The run of equal bits that ends at or before `from`. */
  lastRun(isSet: boolean, from: number): BitRun | undefined {
    let end = Math.min(from, this.size - 1);
    while (end >= 0 && this.isSet(end) !== isSet) end--;
    if (end < 0) return undefined;
    let start = end;
    while (start > 0 && this.isSet(start - 1) === isSet) start--;
    return { start, length: end - start + 1 };
  }

  longestRun(isSet: boolean): BitRun | undefined {
    let longest: BitRun | undefined;
    for (let run = this.nextRun(isSet, 0); run !== undefined; run = this.nextRun(isSet, run.start + run.length)) {
      if (longest === undefined || run.length > longest.length) longest = run;
    }
    return longest;
  }

  /** From the hint to the end, then from the start; undefined if there is no such run. */
  find(isSet: boolean, length: number, hint: number): number | undefined {
    const first = hint < this.size ? hint : 0;
    if (length === 0) return first - (first % 8);
    if (length > this.size) return undefined;
    return this.findBetween(isSet, length, first, this.size) ?? this.findBetween(isSet, length, 0, first + length - 1);
  }

  private findBetween(isSet: boolean, length: number, from: number, to: number): number | undefined {
    const end = Math.min(to, this.size);
    let run = 0;
    for (let index = from; index < end; index++) {
      run = this.isSet(index) === isSet ? run + 1 : 0;
      if (run === length) return index - length + 1;
    }
    return undefined;
  }
}

/** Sets or clears `length` bits from `start` on, touching no other byte. */
export function changeBits(memory: GuestMemory, header: Va, start: number, length: number, isSet: boolean): void {
  if (length === 0) return;
  const buffer = RTL_BITMAP.Buffer.get(memory, header);
  const firstByte = Math.floor(start / 8);
  const lastByte = Math.floor((start + length - 1) / 8);
  for (let byte = firstByte; byte <= lastByte; byte++) {
    const low = Math.max(start - byte * 8, 0);
    const high = Math.min(start + length - byte * 8, 8);
    const mask = (0xff << low) & (0xff >> (8 - high));
    const va = vaAdd(buffer, byte);
    const before = mask === 0xff ? 0 : memory.readU8(va);
    memory.writeU8(va, isSet ? before | mask : before & ~mask & 0xff);
  }
}

/** RtlSetAllBits, RtlClearAllBits: whole ULONGs, as the buffer is one of ULONGs. */
export function changeAllBits(memory: GuestMemory, header: Va, isSet: boolean): void {
  const words = Math.ceil(RTL_BITMAP.SizeOfBitMap.get(memory, header) / 32);
  memory.fill(RTL_BITMAP.Buffer.get(memory, header), words * 4, isSet ? 0xff : 0);
}
