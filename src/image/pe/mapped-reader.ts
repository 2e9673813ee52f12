/**
 * Reads little-endian data of one directory by RVA from the mapped image. Every read is range-checked: what lies outside
 * of the image is a {@link malformedDirectory} error that names the directory.
 */
import { hex, malformedDirectory } from './pe-errors.ts';

/** Names of imports, exports and sections longer than this are taken for garbage. */
const longestNameBytes = 4096;

/** All names of one image together: keeps a file whose tables all point at one long string from filling the memory. */
const nameBudgetBytes = 16 * 1024 * 1024;

export class NameBudget {
  #left = nameBudgetBytes;

  take(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }
}

export class MappedReader {
  readonly sizeBytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileName: string;
  readonly #directory: string;
  readonly #names: NameBudget;

  constructor(bytes: Uint8Array, fileName: string, directory: string, names: NameBudget) {
    this.sizeBytes = bytes.length;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileName = fileName;
    this.#directory = directory;
    this.#names = names;
  }

  /** The same image, with errors that name another directory. */
  forDirectory(directory: string): MappedReader {
    return new MappedReader(this.#bytes, this.#fileName, directory, this.#names);
  }

  u8(rva: number): number {
    this.need(rva, 1, 'a byte');
    return this.#view.getUint8(rva);
  }

  u16(rva: number): number {
    this.need(rva, 2, 'a 16-bit field');
    return this.#view.getUint16(rva, true);
  }

  u32(rva: number): number {
    this.need(rva, 4, 'a 32-bit field');
    return this.#view.getUint32(rva, true);
  }

  u64(rva: number): bigint {
    this.need(rva, 8, 'a 64-bit field');
    return this.#view.getBigUint64(rva, true);
  }

  bytes(rva: number, sizeBytes: number, what: string): Uint8Array {
    this.need(rva, sizeBytes, what);
    return this.#bytes.subarray(rva, rva + sizeBytes);
  }

  /** A zero-terminated string, one character per byte. */
  name(rva: number, what: string): string {
    this.need(rva, 1, what);
    const limit = Math.min(this.#bytes.length, rva + longestNameBytes + 1);
    let end = rva;
    while (end < limit && this.#bytes[end] !== 0) end++;
    if (end === limit)
      throw this.error(`${what} at RVA ${hex(rva)} does not end`, `a zero byte within ${longestNameBytes}`);
    if (!this.#names.take(end - rva)) throw this.error('more than 16 MB of names', 'a driver of ordinary size');
    return latin1(this.#bytes.subarray(rva, end));
  }

  /** Throws unless [rva, rva + sizeBytes) lies in the image. */
  need(rva: number, sizeBytes: number, what: string): void {
    if (rva >= 0 && sizeBytes >= 0 && rva + sizeBytes <= this.sizeBytes) return;
    throw this.error(
      `${what} at RVA ${hex(rva)} (${hex(sizeBytes)} bytes) lies outside of the image`,
      `an RVA below SizeOfImage ${hex(this.sizeBytes)}`,
    );
  }

  error(found: string, expected: string): Error {
    return malformedDirectory(this.#fileName, this.#directory, found, expected);
  }
}

/** One character per byte. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
