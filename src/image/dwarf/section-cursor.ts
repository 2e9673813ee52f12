import { danglingDwarf, invalidDwarf, truncatedDwarf } from './errors.ts';

const two32 = 0x1_0000_0000;
const maximalStringBytes = 0x1_0000;
const utf8 = new TextDecoder();

/** The preferred base address in two halves: addresses become RVAs while they are read, so that none loses bits. */
export interface AddressBase {
  readonly low: number;
  readonly high: number;
}

export function addressBase(imageBase: bigint | number): AddressBase {
  const base = BigInt.asUintN(64, BigInt(imageBase));
  return { low: Number(base & 0xffffffffn), high: Number(base >> 32n) };
}

/** The RVA that stands for address 0: the linkers' mark for code that they dropped. */
export function rvaOfZero(base: AddressBase): number {
  return (0 - base.high) * two32 + (0 - base.low);
}

/** Reads little-endian values one after the other; refuses to read past `end` (PP1301). */
export class SectionCursor {
  readonly bytes: Uint8Array;
  readonly section: string;
  offset: number;
  end: number;
  readonly #view: DataView;

  /** `section` is for messages; `offset` outside [0, end] is refused (PP1303). */
  constructor(bytes: Uint8Array, section: string, offset = 0, end = bytes.length) {
    if (!(offset >= 0 && offset <= end && end <= bytes.length)) throw danglingDwarf(section, offset);
    this.bytes = bytes;
    this.section = section;
    this.offset = offset;
    this.end = end;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.offset >= this.end;
  }

  /** Moves on and returns where it stood. */
  skip(count: number): number {
    const start = this.offset;
    if (!(count >= 0 && count <= this.end - start)) throw truncatedDwarf(this.section, start);
    this.offset = start + count;
    return start;
  }

  u8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  i8(): number {
    return this.#view.getInt8(this.skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  u24(): number {
    const start = this.skip(3);
    return this.#view.getUint16(start, true) + this.#view.getUint8(start + 2) * 0x1_0000;
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** Above 2^53 rounded: such values are never sizes or offsets of use. */
  u64(): number {
    const start = this.skip(8);
    return this.#view.getUint32(start, true) + this.#view.getUint32(start + 4, true) * two32;
  }

  unsigned(sizeBytes: number): number {
    switch (sizeBytes) {
      case 1:
        return this.u8();
      case 2:
        return this.u16();
      case 4:
        return this.u32();
      case 8:
        return this.u64();
      default:
        throw invalidDwarf(this.section, this.offset, `a number of ${sizeBytes} bytes`);
    }
  }

  /** An address of 4 or 8 bytes, as RVA; exact within 2^53 of the base. */
  address(sizeBytes: number, base: AddressBase): number {
    const start = this.skip(sizeBytes);
    const high = sizeBytes === 8 ? this.#view.getUint32(start + 4, true) : 0;
    return (high - base.high) * two32 + (this.#view.getUint32(start, true) - base.low);
  }

  uleb(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let scale = 0x80; ; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (scale > two32 * two32) throw invalidDwarf(this.section, this.offset, 'a LEB128 number beyond 64 bits');
    }
  }

  sleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - scale * 0x80;
      if (scale > two32 * two32) throw invalidDwarf(this.section, this.offset, 'a LEB128 number beyond 64 bits');
    }
  }

  /** Skips a string and its terminator; returns where it starts. */
  skipString(): number {
    const start = this.offset;
    const terminator = this.bytes.indexOf(0, start);
    if (terminator < 0 || terminator >= this.end) throw truncatedDwarf(this.section, start);
    this.offset = terminator + 1;
    return start;
  }

  string(): string {
    const start = this.skipString();
    if (this.offset - start > maximalStringBytes) throw invalidDwarf(this.section, start, 'a string above 64 KB');
    return utf8.decode(this.bytes.subarray(start, this.offset - 1));
  }

  /** The length that starts a unit, and with it the DWARF format: offsets of 4 or of 8 bytes. */
  unitLength(): { readonly length: number; readonly offsetBytes: 4 | 8 } {
    const start = this.offset;
    const length = this.u32();
    if (length < 0xfffffff0) return { length, offsetBytes: 4 };
    if (length === 0xffffffff) return { length: this.u64(), offsetBytes: 8 };
    throw invalidDwarf(this.section, start, 'a reserved unit length');
  }
}
