/** Writes DWARF bytes by hand, for tests. */

/** A growing byte stream, little-endian. */
export class ByteWriter {
  readonly bytes: number[] = [];

  u8(...values: readonly number[]): this {
    for (const value of values) this.bytes.push(value & 0xff);
    return this;
  }

  u16(value: number): this {
    return this.u8(value, value >> 8);
  }

  u32(value: number): this {
    return this.u16(value).u16(value >>> 16);
  }

  u64(value: bigint): this {
    return this.u32(Number(value & 0xffffffffn)).u32(Number((value >> 32n) & 0xffffffffn));
  }

  uleb(...values: readonly number[]): this {
    for (const value of values) {
      let left = value;
      for (; left >= 0x80; left = Math.floor(left / 0x80)) this.u8((left & 0x7f) | 0x80);
      this.u8(left);
    }
    return this;
  }

  sleb(value: number): this {
    let left = value;
    for (; left < -0x40 || left > 0x3f; left >>= 7) this.u8((left & 0x7f) | 0x80);
    return this.u8(left & 0x7f);
  }

  text(value: string): this {
    return this.u8(...new TextEncoder().encode(value), 0);
  }

  /** What `write` writes, with its length of 32 bits before it. */
  sized(write: (body: ByteWriter) => void): this {
    const body = new ByteWriter();
    write(body);
    this.u32(body.bytes.length);
    for (const byte of body.bytes) this.bytes.push(byte);
    return this;
  }

  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

/** One abbreviation: tag, whether it has children, then pairs of attribute and form (with a value: implicit_const). */
export interface CraftedShape {
  readonly tag: number;
  readonly children?: boolean;
  readonly attributes: readonly (readonly [number, number] | readonly [number, number, number])[];
}

/** The abbreviation table with codes from 1. */
export function craftAbbreviations(shapes: readonly CraftedShape[]): Uint8Array {
  const writer = new ByteWriter();
  shapes.forEach(({ tag, children, attributes }, i) => {
    writer.uleb(i + 1, tag).u8(children === true ? 1 : 0);
    for (const [name, form, implicit] of attributes) {
      writer.uleb(name, form);
      if (implicit !== undefined) writer.sleb(implicit);
    }
    writer.u8(0, 0);
  });
  return writer.u8(0).done();
}

/** A unit of `.debug_info` with its header; 8-byte addresses, abbreviations at 0. */
export function craftUnit(writer: ByteWriter, version: number, write: (entries: ByteWriter) => void): void {
  writer.sized((body) => {
    body.u16(version);
    if (version >= 5) body.u8(1, 8).u32(0);
    else body.u32(0).u8(8);
    write(body);
  });
}
