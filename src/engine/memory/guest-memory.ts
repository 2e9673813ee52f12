import { type Va, vaFromHalves, vaHigh, vaLow, vaToU64 } from '../../base/va.ts';
import { Access, pageMask, pageSize } from './layout.ts';

import { PagedMemory } from './paged-memory.ts';

const largeRead = 0x10_0000;

/** Guest memory as the host reads and writes it, by guest address. */
export class GuestMemory extends PagedMemory {
  readU8(va: Va): number {
    return this.u8[this.offsetOf(va, Access.Read)] as number;
  }

  readU16(va: Va): number {
    return crosses(va, 2)
      ? Number(this.readCrossing(va, 2))
      : this.view.getUint16(this.offsetOf(va, Access.Read), true);
  }

  readU32(va: Va): number {
    return crosses(va, 4)
      ? Number(this.readCrossing(va, 4))
      : this.view.getUint32(this.offsetOf(va, Access.Read), true);
  }

  readI32(va: Va): number {
    return this.readU32(va) | 0;
  }

  readU64(va: Va): bigint {
    return crosses(va, 8) ? this.readCrossing(va, 8) : this.view.getBigUint64(this.offsetOf(va, Access.Read), true);
  }

  /** A 64-bit pointer; non-canonical values become `nonCanonicalVa`. */
  readVa(va: Va): Va {
    if (crosses(va, 8)) {
      const value = this.readCrossing(va, 8);
      return vaFromHalves(Number(value & 0xffff_ffffn), Number(value >> 32n));
    }
    const offset = this.offsetOf(va, Access.Read);
    return vaFromHalves(this.view.getUint32(offset, true), this.view.getUint32(offset + 4, true));
  }

  /** A 64-bit value as a number: exact up to 2^53, which callers know or check. Signed. */
  readI64AsNumber(va: Va): number {
    return Number(BigInt.asIntN(64, this.readU64(va)));
  }

  writeU8(va: Va, value: number): void {
    this.u8[this.offsetOf(va, Access.Write)] = value;
  }

  writeU16(va: Va, value: number): void {
    if (crosses(va, 2)) this.writeCrossing(va, 2, BigInt(value & 0xffff));
    else this.view.setUint16(this.offsetOf(va, Access.Write), value, true);
  }

  writeU32(va: Va, value: number): void {
    if (crosses(va, 4)) this.writeCrossing(va, 4, BigInt(value >>> 0));
    else this.view.setUint32(this.offsetOf(va, Access.Write), value, true);
  }

  writeU64(va: Va, value: bigint): void {
    if (crosses(va, 8)) this.writeCrossing(va, 8, BigInt.asUintN(64, value));
    else this.view.setBigUint64(this.offsetOf(va, Access.Write), value, true);
  }

  writeVa(va: Va, value: Va): void {
    if (crosses(va, 8)) {
      this.writeCrossing(va, 8, vaToU64(value));
      return;
    }
    const offset = this.offsetOf(va, Access.Write);
    this.view.setUint32(offset, vaLow(value), true);
    this.view.setInt32(offset + 4, vaHigh(value), true);
  }

  /** A copy of [va, va + bytes). */
  readBytes(va: Va, bytes: number): Uint8Array {
    // A length that is garbage faults before the host allocates it.
    if (bytes > largeRead)
      for (let done = 0; done < bytes; done += pageSize) this.offsetOf((va + done) as Va, Access.Read);
    const result = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const at = (va + done) as Va;
      const offset = this.offsetOf(at, Access.Read);
      const part = Math.min(bytes - done, pageSize - (offset & pageMask));
      result.set(this.u8.subarray(offset, offset + part), done);
      done += part;
    }
    return result;
  }

  /** Writes page by page: like the processor, what lies before a fault has been written when it throws. */
  writeBytes(va: Va, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = (va + done) as Va;
      const offset = this.offsetOf(at, Access.Write);
      const part = Math.min(bytes.length - done, pageSize - (offset & pageMask));
      this.u8.set(bytes.subarray(done, done + part), offset);
      done += part;
    }
  }

  /**
   * Copies [source, source + bytes) to `dest`, right where the two overlap. Page by page: what was copied before a
   * fault has been written when it throws.
   */
  copy(dest: Va, source: Va, bytes: number): void {
    if (dest > source && dest < source + bytes) {
      for (let left = bytes; left > 0; ) {
        const from = this.offsetOf((source + left - 1) as Va, Access.Read);
        const to = this.offsetOf((dest + left - 1) as Va, Access.Write);
        const part = Math.min(left, (from & pageMask) + 1, (to & pageMask) + 1);
        this.u8.copyWithin(to - part + 1, from - part + 1, from + 1);
        left -= part;
      }
      return;
    }
    for (let done = 0; done < bytes; ) {
      const from = this.offsetOf((source + done) as Va, Access.Read);
      const to = this.offsetOf((dest + done) as Va, Access.Write);
      const part = Math.min(bytes - done, pageSize - (from & pageMask), pageSize - (to & pageMask));
      this.u8.copyWithin(to, from, from + part);
      done += part;
    }
  }

  fill(va: Va, bytes: number, value: number): void {
    for (let done = 0; done < bytes; ) {
      const at = (va + done) as Va;
      const offset = this.offsetOf(at, Access.Write);
      const part = Math.min(bytes - done, pageSize - (offset & pageMask));
      this.u8.fill(value, offset, offset + part);
      done += part;
    }
  }

  private readCrossing(va: Va, bytes: number): bigint {
    const parts = this.readBytes(va, bytes);
    let value = 0n;
    for (let index = bytes - 1; index >= 0; index--) value = (value << 8n) | BigInt(parts[index] as number);
    return value;
  }

  private writeCrossing(va: Va, bytes: number, value: bigint): void {
    // Both pages are asked first: the processor writes nothing if either faults.
    this.offsetOf(va, Access.Write);
    this.offsetOf((va + bytes - 1) as Va, Access.Write);
    for (let index = 0; index < bytes; index++) {
      this.writeU8((va + index) as Va, Number((value >> BigInt(index * 8)) & 0xffn));
    }
  }
}

function crosses(va: Va, bytes: number): boolean {
  return (vaLow(va) & pageMask) > pageSize - bytes;
}

export type { GuestMemoryOptions, MemorySnapshot, PageMapping } from './paged-memory.ts';
