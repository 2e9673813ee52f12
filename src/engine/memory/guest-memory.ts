import { type Va, vaFromHalves, vaHigh, vaLow, vaToU64 } from '../../base/va.ts';
import { peekDevice, storeDevice } from './device-pages.ts';
import { GuestFault } from './guest-fault.ts';
import { Access, deviceStoreOffset, pageMask, pageSize } from './layout.ts';

import { PagedMemory } from './paged-memory.ts';

const largeRead = 0x10_0000;

/** Guest memory as the host reads and writes it, by guest address. */
export class GuestMemory extends PagedMemory {
  readU8(va: Va): number {
    return this.u8[this.offsetOf(va, Access.Read, 1)] as number;
  }

  readU16(va: Va): number {
    return crosses(va, 2)
      ? Number(this.readCrossing(va, 2))
      : this.view.getUint16(this.offsetOf(va, Access.Read, 2), true);
  }

  readU32(va: Va): number {
    return crosses(va, 4)
      ? Number(this.readCrossing(va, 4))
      : this.view.getUint32(this.offsetOf(va, Access.Read, 4), true);
  }

  readI32(va: Va): number {
    return this.readU32(va) | 0;
  }

  readU64(va: Va): bigint {
    return crosses(va, 8) ? this.readCrossing(va, 8) : this.view.getBigUint64(this.offsetOf(va, Access.Read, 8), true);
  }

  /** A 64-bit pointer; non-canonical values become `nonCanonicalVa`. */
  readVa(va: Va): Va {
    if (crosses(va, 8)) {
      const value = this.readCrossing(va, 8);
      return vaFromHalves(Number(value & 0xffff_ffffn), Number(value >> 32n));
    }
    const offset = this.offsetOf(va, Access.Read, 8);
    return vaFromHalves(this.view.getUint32(offset, true), this.view.getUint32(offset + 4, true));
  }

  /** A 64-bit value as a number: exact up to 2^53, which callers know or check. Signed. */
  readI64AsNumber(va: Va): number {
    return Number(BigInt.asIntN(64, this.readU64(va)));
  }

  writeU8(va: Va, value: number): void {
    const offset = this.offsetOf(va, Access.Write, 1);
    this.u8[offset] = value;
    this.stored(offset, 1);
  }

  writeU16(va: Va, value: number): void {
    if (crosses(va, 2)) {
      this.writeCrossing(va, 2, BigInt(value & 0xffff));
      return;
    }
    const offset = this.offsetOf(va, Access.Write, 2);
    this.view.setUint16(offset, value, true);
    this.stored(offset, 2);
  }

  writeU32(va: Va, value: number): void {
    if (crosses(va, 4)) {
      this.writeCrossing(va, 4, BigInt(value >>> 0));
      return;
    }
    const offset = this.offsetOf(va, Access.Write, 4);
    this.view.setUint32(offset, value, true);
    this.stored(offset, 4);
  }

  writeU64(va: Va, value: bigint): void {
    if (crosses(va, 8)) {
      this.writeCrossing(va, 8, BigInt.asUintN(64, value));
      return;
    }
    const offset = this.offsetOf(va, Access.Write, 8);
    this.view.setBigUint64(offset, value, true);
    this.stored(offset, 8);
  }

  writeVa(va: Va, value: Va): void {
    if (crosses(va, 8)) {
      this.writeCrossing(va, 8, vaToU64(value));
      return;
    }
    const offset = this.offsetOf(va, Access.Write, 8);
    this.view.setUint32(offset, vaLow(value), true);
    this.view.setInt32(offset + 4, vaHigh(value), true);
    this.stored(offset, 8);
  }

  /** A copy of [va, va + bytes). */
  readBytes(va: Va, bytes: number): Uint8Array {
    // A length that is garbage faults before the host allocates it.
    if (bytes > largeRead) this.requireReadable(va, bytes);
    const result = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const at = (va + done) as Va;
      const part = Math.min(bytes - done, leftInPage(at));
      const offset = this.offsetOf(at, Access.Read, part);
      result.set(this.u8.subarray(offset, offset + part), done);
      done += part;
    }
    return result;
  }

  /** Writes page by page: like the processor, what lies before a fault has been written when it throws. */
  writeBytes(va: Va, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = (va + done) as Va;
      const part = Math.min(bytes.length - done, leftInPage(at));
      const offset = this.offsetOf(at, Access.Write, part);
      this.u8.set(bytes.subarray(done, done + part), offset);
      this.stored(offset, part);
      done += part;
    }
  }

  /**
   * Copies [source, source + bytes) to `dest`, right where the two overlap. Page by page: what was copied before a
   * fault has been written when it throws.
   */
  copy(dest: Va, source: Va, bytes: number): void {
    if (dest > source && dest < source + bytes) {
      if (this.touchesDevice(source, dest + bytes - source)) {
        this.writeBytes(dest, this.readBytes(source, bytes));
        return;
      }
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
      const part = Math.min(bytes - done, leftInPage((source + done) as Va), leftInPage((dest + done) as Va));
      const from = this.offsetOf((source + done) as Va, Access.Read, part);
      const to = this.offsetOf((dest + done) as Va, Access.Write, part);
      this.u8.copyWithin(to, from, from + part);
      this.stored(to, part);
      done += part;
    }
  }

  fill(va: Va, bytes: number, value: number): void {
    for (let done = 0; done < bytes; ) {
      const at = (va + done) as Va;
      const part = Math.min(bytes - done, leftInPage(at));
      const offset = this.offsetOf(at, Access.Write, part);
      this.u8.fill(value, offset, offset + part);
      this.stored(offset, part);
      done += part;
    }
  }

  /**
   * What stands at [va, va + bytes), for looking at: nothing of the machine changes, and a device does not notice.
   * Undefined if some of it is not mapped for reading, or is a device's that can't be asked without effect.
   */
  peekBytes(va: Va, bytes: number): Uint8Array | undefined {
    if (Number.isNaN(va) || !this.isAccessible(va, bytes, Access.Read)) return undefined;
    const result = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const at = (va + done) as Va;
      const part = Math.min(bytes - done, leftInPage(at));
      const offset = vaLow(at) & pageMask;
      const frame = this.mappingAt(at)?.frame;
      if (frame === undefined) return undefined;
      const into = result.subarray(done, done + part);
      if (!this.isDevice(at)) {
        const start = this.frameOffset(frame) + offset;
        into.set(this.u8.subarray(start, start + part));
      } else if (!peekDevice(this.device, frame, offset, into)) return undefined;
      done += part;
    }
    return result;
  }

  /** A device gets what was put where {@link offsetOf} said. */
  private stored(offset: number, bytes: number): void {
    if (offset < deviceStoreOffset || offset >= deviceStoreOffset + pageSize || this.storeTarget === undefined) return;
    const { frame, offset: inPage } = this.storeTarget;
    this.storeTarget = undefined;
    storeDevice(this.device, frame, inPage, this.u8.slice(offset, offset + bytes));
  }

  private requireReadable(va: Va, bytes: number): void {
    for (let done = 0; done < bytes; done += pageSize) {
      const at = (va + done) as Va;
      if (this.isAccessible(at, 1, Access.Read)) continue;
      throw new GuestFault(at, Access.Read, this.faultReason(at, Access.Read));
    }
  }

  private touchesDevice(va: Va, bytes: number): boolean {
    for (let at = va - (vaLow(va) & pageMask); at < va + bytes; at += pageSize) {
      if (this.isDevice(at as Va)) return true;
    }
    return false;
  }

  private readCrossing(va: Va, bytes: number): bigint {
    const parts = this.readBytes(va, bytes);
    let value = 0n;
    for (let index = bytes - 1; index >= 0; index--) value = (value << 8n) | BigInt(parts[index] as number);
    return value;
  }

  private writeCrossing(va: Va, bytes: number, value: bigint): void {
    // Both pages are asked first: the processor writes nothing if either faults.
    this.offsetOf(va, Access.Write, 1);
    this.offsetOf((va + bytes - 1) as Va, Access.Write, 1);
    for (let index = 0; index < bytes; index++) {
      this.writeU8((va + index) as Va, Number((value >> BigInt(index * 8)) & 0xffn));
    }
  }
}

const leftInPage = (va: Va): number => pageSize - (vaLow(va) & pageMask);

function crosses(va: Va, bytes: number): boolean {
  return (vaLow(va) & pageMask) > pageSize - bytes;
}

export type { GuestMemoryOptions, MemorySnapshot, PageMapping } from './paged-memory.ts';
