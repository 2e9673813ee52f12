import type { StreamView } from './stream-view.ts';

const headerSize = 56;

/**
 * The records of stream 2 (TPI: types) or 4 (IPI: functions, strings, build information) by index.
 * Record offsets are found once, on first use. Source: https://llvm.org/docs/PDB/TpiStream.html.
 */
export class TypeRecords {
  readonly firstIndex: number;
  readonly count: number;
  readonly #records: StreamView;
  #offsets: Uint32Array | undefined;

  constructor(stream: StreamView) {
    const start = stream.u32(4);
    if (start < headerSize) throw stream.damaged(`header of ${start} bytes`, `${headerSize} bytes or more`);
    this.firstIndex = stream.u32(8);
    this.#records = stream.part(start, stream.u32(16));
    this.count = stream.u32(12) - this.firstIndex;
    if (this.count < 0 || this.count > this.#records.length / 4) {
      throw stream.damaged(`${this.count} records in ${this.#records.length} bytes`, 'at least 4 bytes for each');
    }
  }

  /** The record's leaf kind and contents, or undefined if there is none with that index. */
  record(index: number): { readonly leaf: number; readonly data: StreamView } | undefined {
    const position = index - this.firstIndex;
    if (position < 0 || position >= this.count) return undefined;
    const at = this.#index()[position] ?? 0;
    const size = this.#records.u16(at);
    return { leaf: this.#records.u16(at + 2), data: this.#records.part(at + 4, size - 2) };
  }

  #index(): Uint32Array {
    if (this.#offsets !== undefined) return this.#offsets;
    const offsets = new Uint32Array(this.count);
    let at = 0;
    for (let i = 0; i < offsets.length; i++) {
      offsets[i] = at;
      const size = this.#records.u16(at);
      if (size < 2) throw this.#records.damaged(`record ${i} of ${size} bytes`, '2 bytes or more');
      at += 2 + size;
    }
    this.#offsets = offsets;
    return offsets;
  }
}
