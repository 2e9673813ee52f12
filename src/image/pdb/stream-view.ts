import { damagedPdb } from './pdb-error.ts';

const utf8 = new TextDecoder();
/** Names are in records of at most 64 KB. */
const maxTextBytes = 0xffff;

/** Bounds-checked little-endian reads over one stream (or a part of it); every read outside throws PP1203. */
export class StreamView {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly where: string;
  readonly fileName: string;
  readonly #view: DataView;

  /** `where` names the stream in error messages. */
  constructor(bytes: Uint8Array, where: string, fileName: string) {
    this.bytes = bytes;
    this.length = bytes.length;
    this.where = where;
    this.fileName = fileName;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    this.#check(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    this.#check(at, 2);
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    this.#check(at, 4);
    return this.#view.getUint32(at, true);
  }

  /** The zero-terminated UTF-8 text at `at` that must end before `end`. */
  text(at: number, end: number = this.length): string {
    const terminator = this.textEnd(at, end);
    return utf8.decode(this.bytes.subarray(at, terminator));
  }

  /** Offset of the terminating zero of the text at `at`. */
  textEnd(at: number, end: number = this.length): number {
    this.#check(at, 1);
    const terminator = this.bytes.indexOf(0, at);
    if (terminator < 0 || terminator >= end || terminator - at > maxTextBytes) {
      throw this.damaged(`text at offset ${at} without end`, 'a terminating zero');
    }
    return terminator;
  }

  part(at: number, sizeBytes: number, where: string = this.where): StreamView {
    this.#check(at, sizeBytes);
    return new StreamView(this.bytes.subarray(at, at + sizeBytes), where, this.fileName);
  }

  damaged(found: string, expected: string): Error {
    return damagedPdb(this.fileName, this.where, found, expected);
  }

  #check(at: number, sizeBytes: number): void {
    if (at < 0 || sizeBytes < 0 || at + sizeBytes > this.length) {
      throw this.damaged(`${this.length} bytes`, `${sizeBytes} bytes at offset ${at}`);
    }
  }
}
