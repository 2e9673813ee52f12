/** Little-endian fields of the records that the file system tells. */
export class RecordBytes {
  readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
  }

  u8(offset: number, value: number): this {
    this.view.setUint8(offset, value);
    return this;
  }

  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  i64(offset: number, value: number): this {
    this.view.setBigInt64(offset, BigInt(value), true);
    return this;
  }

  text(offset: number, text: string): this {
    for (let index = 0; index < text.length && offset + index * 2 + 1 < this.bytes.length; index++) {
      this.view.setUint16(offset + index * 2, text.charCodeAt(index), true);
    }
    return this;
  }
}
