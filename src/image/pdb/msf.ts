import { damagedPdb, notAPdb, unsupportedPdb } from './pdb-error.ts';
import { StreamView } from './stream-view.ts';

const magic = 'Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0';
const oldMagic = 'Microsoft C/C++ program database 2.00';
const portableMagic = 'BSJB';
const nilStreamSize = 0xffff_ffff;
/** Stream numbers are 16 bits; this one says "no stream". */
export const nilStream = 0xffff;

interface SuperBlock {
  readonly blockSize: number;
  readonly blockCount: number;
  readonly directorySize: number;
}

/**
 * The MSF 7.0 container: a file system of numbered streams in fixed-size blocks.
 * Source: https://llvm.org/docs/PDB/MsfFile.html; microsoft-pdb, PDB/msf/msf.cpp (BIGMSF_HDR).
 */
export class MsfFile {
  readonly fileName: string;
  readonly streamCount: number;
  readonly #bytes: Uint8Array;
  readonly #superBlock: SuperBlock;
  readonly #directory: StreamView;
  /** Where the block list of each stream starts in the directory. */
  readonly #blockLists: Uint32Array;
  readonly #streams = new Map<number, StreamView>();

  constructor(bytes: Uint8Array, fileName: string) {
    this.fileName = fileName;
    this.#bytes = bytes;
    const file = new StreamView(bytes, 'file header', fileName);
    checkMagic(bytes, fileName);
    const superBlock = readSuperBlock(file);
    this.#superBlock = superBlock;
    this.#directory = this.#readDirectory(file, superBlock.directorySize);
    this.streamCount = this.#directory.u32(0);
    this.#blockLists = this.#indexDirectory();
  }

  hasStream(index: number): boolean {
    return index < this.streamCount && this.#sizeOf(index) > 0;
  }

  /** The whole stream, assembled on first use; empty if the directory says that it is nil. */
  stream(index: number, where: string): StreamView {
    const known = this.#streams.get(index);
    if (known !== undefined) return known;
    if (index >= this.streamCount) {
      throw damagedPdb(this.fileName, where, `stream number ${index}`, `less than ${this.streamCount}`);
    }
    const size = this.#sizeOf(index);
    const list = this.#blockLists[index] ?? 0;
    const bytes = this.#assemble((i) => this.#directory.u32(list + 4 * i), size, where);
    const view = new StreamView(bytes, where, this.fileName);
    this.#streams.set(index, view);
    return view;
  }

  #sizeOf(index: number): number {
    const size = this.#directory.u32(4 + 4 * index);
    return size === nilStreamSize ? 0 : size;
  }

  #readDirectory(file: StreamView, size: number): StreamView {
    const where = 'stream directory';
    const { blockSize } = this.#superBlock;
    if (size < 4 || size > this.#bytes.length) {
      throw damagedPdb(this.fileName, where, `${size} bytes`, `4 to the file's ${this.#bytes.length}`);
    }
    const blocks = Math.ceil(size / blockSize);
    // The list of the directory's blocks is itself in blocks; the header continues with their numbers.
    const map = this.#assemble((i) => file.u32(52 + 4 * i), blocks * 4, 'block map of the stream directory');
    const mapView = new StreamView(map, 'block map of the stream directory', this.fileName);
    return new StreamView(
      this.#assemble((i) => mapView.u32(4 * i), size, where),
      where,
      this.fileName,
    );
  }

  #indexDirectory(): Uint32Array {
    const directory = this.#directory;
    if (this.streamCount > (directory.length - 4) / 4) {
      throw directory.damaged(`${this.streamCount} streams`, `at most ${(directory.length - 4) >>> 2}`);
    }
    const lists = new Uint32Array(this.streamCount);
    let at = 4 + 4 * this.streamCount;
    for (let index = 0; index < lists.length; index++) {
      lists[index] = at;
      at += 4 * Math.ceil(this.#sizeOf(index) / this.#superBlock.blockSize);
      if (at > directory.length) {
        throw directory.damaged(`stream ${index} of ${this.#sizeOf(index)} bytes`, 'its block list in the directory');
      }
    }
    // Streams own their blocks, except that the old directory in stream 0 may name blocks that were used again.
    const listed = (at - 4 - 4 * this.streamCount) / 4;
    const most = 2 * Math.ceil(this.#bytes.length / this.#superBlock.blockSize);
    if (listed > most) throw directory.damaged(`${listed} blocks in streams`, `at most ${most}`);
    return lists;
  }

  #assemble(blockAt: (index: number) => number, size: number, where: string): Uint8Array {
    const { blockSize } = this.#superBlock;
    const count = Math.ceil(size / blockSize);
    const first = count === 0 ? 0 : this.#blockOffset(blockAt(0), Math.min(size, blockSize), where);
    let isContiguous = true;
    for (let i = 1; i < count && isContiguous; i++) {
      isContiguous = blockAt(i) * blockSize === first + i * blockSize;
    }
    if (isContiguous && first + size <= this.#bytes.length) return this.#bytes.subarray(first, first + size);
    const result = new Uint8Array(size);
    for (let i = 0; i < count; i++) {
      const length = Math.min(blockSize, size - i * blockSize);
      const offset = this.#blockOffset(blockAt(i), length, where);
      result.set(this.#bytes.subarray(offset, offset + length), i * blockSize);
    }
    return result;
  }

  #blockOffset(block: number, length: number, where: string): number {
    const offset = block * this.#superBlock.blockSize;
    if (block >= this.#superBlock.blockCount || offset + length > this.#bytes.length) {
      throw damagedPdb(
        this.fileName,
        where,
        `block ${block}`,
        `one of ${this.#superBlock.blockCount} blocks in a file of ${this.#bytes.length} bytes`,
      );
    }
    return offset;
  }
}

function checkMagic(bytes: Uint8Array, fileName: string): void {
  if (startsWith(bytes, magic)) return;
  if (startsWith(bytes, oldMagic)) throw unsupportedPdb(fileName, 'format 2.00 (Visual C++ 6 or older)', 'format 7.00');
  if (startsWith(bytes, portableMagic)) throw unsupportedPdb(fileName, 'a portable PDB of .NET', 'a native PDB');
  throw notAPdb(fileName, describeStart(bytes));
}

function readSuperBlock(file: StreamView): SuperBlock {
  const blockSize = file.u32(32);
  if (blockSize < 512 || blockSize > 0x10000 || (blockSize & (blockSize - 1)) !== 0) {
    throw file.damaged(`block size ${blockSize}`, 'a power of two from 512 to 65536');
  }
  return { blockSize, blockCount: file.u32(40), directorySize: file.u32(44) };
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  if (bytes.length < text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  const digits = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0'));
  return `bytes ${digits.join(' ')}`;
}
