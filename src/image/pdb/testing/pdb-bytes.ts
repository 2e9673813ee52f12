/** Builds PDB files byte by byte, for tests: what no compiler at hand writes, and what none should. */

const utf8 = new TextEncoder();

/** Appends little-endian values. */
export class Bytes {
  readonly #values: number[] = [];

  get length(): number {
    return this.#values.length;
  }

  u8(...values: readonly number[]): this {
    for (const value of values) this.#values.push(value & 0xff);
    return this;
  }

  u16(...values: readonly number[]): this {
    for (const value of values) this.u8(value, value >>> 8);
    return this;
  }

  u32(...values: readonly number[]): this {
    for (const value of values) this.u16(value, value >>> 16);
    return this;
  }

  /** Zero-terminated. */
  text(value: string): this {
    return this.u8(...utf8.encode(value), 0);
  }

  bytes(value: Uint8Array): this {
    for (const byte of value) this.#values.push(byte);
    return this;
  }

  align(unit = 4): this {
    while (this.length % unit !== 0) this.u8(0);
    return this;
  }

  done(): Uint8Array {
    return Uint8Array.from(this.#values);
  }
}

export function bytes(): Bytes {
  return new Bytes();
}

/** One CodeView record: length, kind, contents padded to four bytes. */
export function symbol(kind: number, contents: Bytes): Uint8Array {
  const data = bytes().u16(kind).bytes(contents.done());
  while ((data.length + 2) % 4 !== 0) data.u8(0);
  return bytes().u16(data.length).bytes(data.done()).done();
}

/** One subsection of C13 line information. */
export function subsection(kind: number, contents: Bytes): Uint8Array {
  return bytes().u32(kind, contents.length).bytes(contents.done()).align().done();
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = bytes();
  for (const part of parts) all.bytes(part);
  return all.done();
}

/** An MSF file; streams' blocks are interleaved in reverse, so that no longer stream is contiguous. */
export function msf(streams: readonly Uint8Array[], blockSize = 512): Uint8Array {
  const counts = streams.map((stream) => Math.ceil(stream.length / blockSize));
  const lists: number[][] = streams.map(() => []);
  const content: Uint8Array[] = [];
  let next = 3;
  for (let round = 0; round < Math.max(...counts); round++) {
    streams.forEach((stream, i) => {
      const part = round < (counts[i] ?? 0) ? stream.subarray(round * blockSize, (round + 1) * blockSize) : undefined;
      if (part === undefined) return;
      lists[i]?.push(next++);
      content.push(part);
    });
  }
  const directory = bytes().u32(streams.length, ...streams.map(({ length }) => length));
  for (const list of lists) directory.u32(...list);
  const directoryBlocks = Math.ceil(directory.length / blockSize);
  const mapBlocks = Math.ceil((4 * directoryBlocks) / blockSize);
  const directoryAt = next + mapBlocks;
  const file = bytes();
  const header = 'Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0';
  for (const character of header) file.u8(character.charCodeAt(0));
  file.u32(blockSize, 1, directoryAt + directoryBlocks, directory.length, 0);
  file.u32(...Array.from({ length: mapBlocks }, (_, i) => next + i)).align(blockSize);
  while (file.length < 3 * blockSize) file.u8(0);
  for (const part of content) file.bytes(part).align(blockSize);
  file.u32(...Array.from({ length: directoryBlocks }, (_, i) => directoryAt + i)).align(blockSize);
  return file.bytes(directory.done()).align(blockSize).done();
}

export interface TestModule {
  readonly name: string;
  readonly symbols?: readonly Uint8Array[];
  readonly lines?: readonly Uint8Array[];
}

export interface TestPdb {
  readonly modules: readonly TestModule[];
  /** section, offset, size, module */
  readonly contributions: readonly (readonly [number, number, number, number])[];
  /** Texts of /names; offsets as {@link nameOffset} says. */
  readonly names?: readonly string[];
  readonly publics?: readonly Uint8Array[];
  /** What the address map lists, if not each public once. */
  readonly publicOffsets?: readonly number[];
  readonly globals?: readonly Uint8Array[];
  /** thunks, bytes each, section, offset */
  readonly thunkTable?: readonly [number, number, number, number];
  readonly types?: readonly Uint8Array[];
  readonly ids?: readonly Uint8Array[];
  readonly sections?: readonly { readonly rva: number; readonly virtualSize: number }[];
}

/** First index of type and ID records. */
export const firstType = 0x1000;
export const testAge = 7;
export const testGuid = '00112233-4455-6677-8899-AABBCCDDEEFF';

/** Where a text stands in /names: the empty one is at 0. */
export function nameOffset(names: readonly string[], name: string): number {
  return names.slice(0, names.indexOf(name)).reduce((at, text) => at + utf8.encode(text).length + 1, 1);
}

/** Streams 0 to 4 as always; then /names, symbol records, publics, globals, section headers, one for each module. */
export function pdb(contents: TestPdb): Uint8Array {
  const firstModule = 10;
  const publics = contents.publics ?? [];
  const globals = contents.globals ?? [];
  const records = join(...publics, ...globals);
  const offsets = [...publics, ...globals].map((_, i, all) => join(...all.slice(0, i)).length);
  const moduleStreams = contents.modules.map(({ symbols = [], lines = [] }) =>
    bytes()
      .u32(4)
      .bytes(join(...symbols))
      .bytes(join(...lines))
      .u32(0)
      .done(),
  );
  return msf([
    new Uint8Array(0),
    infoStream(),
    typeStream(contents.types ?? []),
    dbiStream(contents, firstModule),
    typeStream(contents.ids ?? []),
    nameStream(contents.names ?? []),
    records,
    publicsStream(contents.publicOffsets ?? offsets.slice(0, publics.length), contents.thunkTable ?? [0, 0, 0, 0]),
    hashTable(offsets.slice(publics.length)).done(),
    sectionHeaders(contents.sections ?? []),
    ...moduleStreams,
  ]);
}

function infoStream(): Uint8Array {
  const guid = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
  const info = bytes()
    .u32(20000404, 0, testAge + 1)
    .u8(...guid);
  info.u32(7).text('/names').u32(1, 2, 1, 0b01, 0, 0, 5, 0);
  return info.u32(20140508).done();
}

function dbiStream({ modules, contributions }: TestPdb, firstModule: number): Uint8Array {
  const list = bytes();
  modules.forEach(({ name, symbols, lines = [] }, i) => {
    list
      .u32(0)
      .bytes(new Uint8Array(28))
      .u16(0, symbols === undefined ? 0xffff : firstModule + i);
    list.u32(symbols === undefined ? 0 : 4 + join(...symbols).length, 0, join(...lines).length);
    list.u16(0, 0).u32(0, 0, 0).text(name).text(name).align();
  });
  const table = bytes().u32(0xeffe0000 + 19970605);
  for (const [section, offset, size, module] of contributions) {
    table.u16(section, 0).u32(offset, size, 0x60000020).u16(module, 0).u32(0, 0);
  }
  const files = bytes().u16(0, 0);
  const debug = bytes().u16(0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 9);
  const header = bytes().u32(0xffffffff, 19990903, testAge).u16(8, 0, 7, 0, 6, 0);
  header.u32(list.length, table.length, 0, files.length, 0, 0, debug.length, 0).u16(0, 0x8664).u32(0);
  return join(header.done(), list.done(), table.done(), files.done(), debug.done());
}

function nameStream(names: readonly string[]): Uint8Array {
  const texts = bytes().u8(0);
  for (const name of names) texts.text(name);
  return bytes().u32(0xeffeeffe, 1, texts.length).bytes(texts.done()).align().u32(0, 0).done();
}

function typeStream(records: readonly Uint8Array[]): Uint8Array {
  const all = join(...records);
  const header = bytes().u32(20040203, 56, firstType, firstType + records.length, all.length);
  return join(header.bytes(new Uint8Array(36)).done(), all);
}

function hashTable(offsets: readonly number[]): Bytes {
  const table = bytes().u32(0xffffffff, 0xeffe0000 + 19990810, 8 * offsets.length, 0);
  for (const offset of offsets) table.u32(offset + 1, 1);
  return table;
}

function publicsStream(offsets: readonly number[], thunkTable: readonly [number, number, number, number]): Uint8Array {
  const hash = hashTable(offsets);
  const [thunks, size, section, offset] = thunkTable;
  const header = bytes()
    .u32(hash.length, 4 * offsets.length, thunks, size)
    .u16(section, 0)
    .u32(offset, 0);
  return header
    .bytes(hash.done())
    .u32(...offsets)
    .done();
}

function sectionHeaders(sections: readonly { readonly rva: number; readonly virtualSize: number }[]): Uint8Array {
  const headers = bytes();
  for (const { rva, virtualSize } of sections) headers.u32(0, 0, virtualSize, rva).bytes(new Uint8Array(24));
  return headers.done();
}
