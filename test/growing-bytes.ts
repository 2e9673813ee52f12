/** A growing little-endian buffer. */
export class GrowingBytes {
  #data: number[] = [];

  get length(): number {
    return this.#data.length;
  }

  u8(value: number): this {
    this.#data.push(value & 0xff);
    return this;
  }

  u16(value: number): this {
    return this.u8(value).u8(value >>> 8);
  }

  u32(value: number): this {
    return this.u16(value).u16(value >>> 16);
  }

  u64(value: bigint): this {
    return this.u32(Number(value & 0xffff_ffffn)).u32(Number((value >> 32n) & 0xffff_ffffn));
  }

  text(value: string): this {
    for (const character of value) this.u8(character.charCodeAt(0));
    return this;
  }

  bytes(values: Iterable<number>): this {
    for (const value of values) this.u8(value);
    return this;
  }

  /** Zeros up to that length. */
  fill(length: number): this {
    while (this.length < length) this.u8(0);
    return this;
  }

  setU16(at: number, value: number): void {
    this.#data[at] = value & 0xff;
    this.#data[at + 1] = (value >>> 8) & 0xff;
  }

  setU32(at: number, value: number): void {
    this.setU16(at, value);
    this.setU16(at + 2, value >>> 16);
  }

  setU64(at: number, value: bigint): void {
    this.setU32(at, Number(value & 0xffff_ffffn));
    this.setU32(at + 4, Number((value >> 32n) & 0xffff_ffffn));
  }

  done(): Uint8Array {
    return Uint8Array.from(this.#data);
  }
}
