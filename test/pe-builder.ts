/**
 * Makes small valid x64 drivers from code bytes, for tests. Sections: `.idata` (imports) at RVA 0x1000, `.text`, then
 * `.xdata`, `.pdata`, `.edata`, `.reloc` as needed, then the caller's own.
 *
 *     const { bytes, textRva } = buildPe({
 *       imports: { 'ntoskrnl.exe': ['DbgPrint', 7] },
 *       code: (at) => assemble(at.textRva, at.iat('DbgPrint')),
 *     });
 */
import { GrowingBytes } from './growing-bytes.ts';

export interface BuildPe {
  /** Module -> names or ordinals. */
  readonly imports?: Readonly<Record<string, readonly (string | number)[]>>;
  /** The `.text` section; as a function it learns where it and the import slots will be. Default: `xor eax,eax; ret`. */
  readonly code?: Uint8Array | readonly number[] | ((at: Layout) => Uint8Array | readonly number[]);
  /** Offset of the entry point in `.text`; `null` for none. Default 0. */
  readonly entryOffset?: number | null;
  readonly exports?: readonly BuildExport[];
  /** `.pdata` entries, ascending; offsets in `.text`. */
  readonly functions?: readonly BuildFunction[];
  /** RVAs of 64-bit fields that hold addresses. Without any, the image has no `.reloc`. */
  readonly relocations?: readonly number[] | ((at: Layout) => readonly number[]);
  readonly sections?: readonly BuildSection[];
  readonly imageBase?: bigint;
  readonly subsystem?: number;
  readonly machine?: number;
  readonly characteristics?: number;
  readonly sectionAlignment?: number;
  readonly codeView?: { readonly guid: Uint8Array; readonly age: number; readonly path: string };
  /** Fields of the load configuration (0x140 bytes), by offset: 0x58 is SecurityCookie. */
  readonly loadConfig?: (at: Layout) => Readonly<Record<number, bigint>>;
}

export interface Layout {
  readonly imageBase: bigint;
  readonly textRva: number;
  /** RVA of the import address table slot: `iat('DbgPrint')`, `iat(7)`, or with `module!` before it. */
  iat(name: string | number): number;
}

export interface BuildExport {
  readonly name?: string;
  /** Default: the next. */
  readonly ordinal?: number;
  /** Offset in `.text`. */
  readonly offset?: number;
  readonly forwarder?: string;
}

export interface BuildFunction {
  readonly begin: number;
  readonly end: number;
  /** UNWIND_INFO, at most 256 bytes; as a function it learns the RVAs that chains and handlers need. */
  readonly unwind: readonly number[] | ((at: UnwindLayout) => readonly number[]);
}

export interface UnwindLayout extends Layout {
  /** RVA of the UNWIND_INFO of the n-th function. */
  unwindRva(index: number): number;
}

export interface BuildSection {
  readonly name: string;
  readonly data?: Uint8Array | readonly number[];
  readonly virtualSize?: number;
  readonly characteristics?: number;
}

export interface BuiltPe extends UnwindLayout {
  readonly bytes: Uint8Array;
  readonly sectionRva: ReadonlyMap<string, number>;
}

export const sectionFlags = {
  code: 0x6000_0020,
  readOnly: 0x4000_0040,
  data: 0xc000_0040,
  discardableData: 0x4200_0040,
} as const;

const headerBytes = 0x400;
const fileAlignment = 0x200;
const unwindSlotBytes = 256;

export function buildPe(spec: BuildPe = {}): BuiltPe {
  const imageBase = spec.imageBase ?? 0x1_4000_0000n;
  const alignment = spec.sectionAlignment ?? 0x1000;
  const placed: { section: BuildSection; rva: number; data: Uint8Array }[] = [];
  const directories: [number, number][] = Array.from({ length: 16 }, () => [0, 0]);
  let nextRva = Math.max(alignment, roundUp(headerBytes, alignment));
  const place = (section: BuildSection): number => {
    const rva = nextRva;
    const data = Uint8Array.from(section.data ?? []);
    placed.push({ section, rva, data });
    nextRva = roundUp(rva + Math.max(section.virtualSize ?? data.length, 1), alignment);
    return rva;
  };

  const slots = new Map<string, number>();
  if (spec.imports !== undefined) {
    const data = importSection(spec.imports, nextRva, slots);
    directories[1] = [nextRva, data.length];
    place({ name: '.idata', data, characteristics: sectionFlags.data });
  }
  const textRva = nextRva;
  const layout: Layout = {
    imageBase,
    textRva,
    iat(name) {
      const rva = slots.get(String(name));
      if (rva === undefined) throw new Error(`${name} is not imported`);
      return rva;
    },
  };
  const code = typeof spec.code === 'function' ? spec.code(layout) : (spec.code ?? [0x31, 0xc0, 0xc3]);
  place({ name: '.text', data: Uint8Array.from(code), characteristics: sectionFlags.code });

  const unwindStart = nextRva;
  const withUnwind: UnwindLayout = { ...layout, unwindRva: (index) => unwindStart + index * unwindSlotBytes };
  if (spec.functions !== undefined) {
    place({ name: '.xdata', data: unwindSection(spec.functions, withUnwind), characteristics: sectionFlags.readOnly });
    const table = new GrowingBytes();
    spec.functions.forEach(({ begin, end }, index) => {
      table
        .u32(textRva + begin)
        .u32(textRva + end)
        .u32(withUnwind.unwindRva(index));
    });
    directories[3] = [nextRva, table.length];
    place({ name: '.pdata', data: table.done(), characteristics: sectionFlags.readOnly });
  }
  if (spec.exports !== undefined) {
    const data = exportSection(spec.exports, nextRva, textRva);
    directories[0] = [nextRva, data.length];
    place({ name: '.edata', data, characteristics: sectionFlags.readOnly });
  }
  if (spec.loadConfig !== undefined) {
    const data = new GrowingBytes().u32(0x140).fill(0x140);
    for (const [offset, value] of Object.entries(spec.loadConfig(layout))) data.setU64(Number(offset), value);
    directories[10] = [nextRva, 0x140];
    place({ name: '.ldcfg', data: data.done(), characteristics: sectionFlags.readOnly });
  }
  let codeViewAt: { rva: number; size: number } | undefined;
  if (spec.codeView !== undefined) {
    const { guid, age, path } = spec.codeView;
    const record = new GrowingBytes()
      .text('RSDS')
      .bytes(guid)
      .u32(age)
      .text(path)
      .fill(25 + path.length);
    codeViewAt = { rva: nextRva + 28, size: record.length };
    directories[6] = [nextRva, 28];
    const entry = new GrowingBytes().fill(12).u32(2).u32(record.length).u32(codeViewAt.rva).u32(0).bytes(record.done());
    place({ name: '.debugd', data: entry.done(), characteristics: sectionFlags.readOnly });
  }
  const relocations = typeof spec.relocations === 'function' ? spec.relocations(layout) : (spec.relocations ?? []);
  if (relocations.length > 0) {
    const data = relocationSection(relocations);
    directories[5] = [nextRva, data.length];
    place({ name: '.reloc', data, characteristics: sectionFlags.discardableData });
  }
  const sectionRva = new Map<string, number>();
  for (const section of spec.sections ?? []) place(section);
  for (const { section, rva } of placed) sectionRva.set(section.name, rva);

  const bytes = writeFile(spec, placed, directories, nextRva, { imageBase, textRva, alignment });
  if (codeViewAt !== undefined) {
    const raw = new DataView(bytes.buffer);
    const debugRva = directories[6]?.[0] ?? 0;
    const fileOffset = rawOffsetOf(placed, debugRva);
    raw.setUint32(fileOffset + 24, fileOffset + 28, true);
  }
  return { ...withUnwind, bytes, sectionRva };
}

/** UNWIND_INFO bytes: `unwindInfo({ prolog: 4, codes: [[4, 2, 4]] })` is `sub rsp, 0x28` after 4 bytes. */
export function unwindInfo(info: {
  readonly version?: number;
  readonly flags?: number;
  readonly prolog?: number;
  readonly frameRegister?: number;
  readonly frameOffset?: number;
  /** [code offset, UWOP, info] or a raw 16-bit slot. */
  readonly codes?: readonly (readonly [number, number, number] | number)[];
  /** After the codes: a handler's RVA and data, or the three fields of a chained entry. */
  readonly tail?: readonly number[];
}): number[] {
  const codes = info.codes ?? [];
  const bytes = new GrowingBytes();
  bytes
    .u8((info.version ?? 1) | ((info.flags ?? 0) << 3))
    .u8(info.prolog ?? 0)
    .u8(codes.length);
  bytes.u8((info.frameRegister ?? 0) | ((info.frameOffset ?? 0) << 4));
  for (const code of codes) {
    if (typeof code === 'number') bytes.u16(code);
    else bytes.u8(code[0]).u8(code[1] | (code[2] << 4));
  }
  if (codes.length % 2 !== 0) bytes.u16(0);
  for (const word of info.tail ?? []) bytes.u32(word);
  return [...bytes.done()];
}

function writeFile(
  spec: BuildPe,
  placed: readonly { section: BuildSection; rva: number; data: Uint8Array }[],
  directories: readonly [number, number][],
  sizeOfImage: number,
  at: { imageBase: bigint; textRva: number; alignment: number },
): Uint8Array {
  const file = new GrowingBytes().text('MZ').fill(60).u32(0x80).fill(0x80).text('PE').u16(0);
  file
    .u16(spec.machine ?? 0x8664)
    .u16(placed.length)
    .u32(0)
    .u32(0)
    .u32(0)
    .u16(240)
    .u16(spec.characteristics ?? 0x22);
  file.u16(0x20b).u8(14).u8(0).u32(0).u32(0).u32(0);
  file.u32(spec.entryOffset === null ? 0 : at.textRva + (spec.entryOffset ?? 0)).u32(at.textRva);
  file.u64(at.imageBase).u32(at.alignment).u32(fileAlignment);
  file.u16(10).u16(0).u16(10).u16(0).u16(10).u16(0).u32(0).u32(sizeOfImage).u32(headerBytes).u32(0);
  file
    .u16(spec.subsystem ?? 1)
    .u16(0x4160)
    .u64(0x100000n)
    .u64(0x1000n)
    .u64(0x100000n)
    .u64(0x1000n)
    .u32(0)
    .u32(16);
  for (const [rva, size] of directories) file.u32(rva).u32(size);
  let rawOffset = headerBytes;
  for (const { section, rva, data } of placed) {
    const name = section.name.slice(0, 8);
    const start = file.length;
    file.text(name).fill(start + 8);
    const rawSize = roundUp(data.length, fileAlignment);
    file
      .u32(section.virtualSize ?? data.length)
      .u32(rva)
      .u32(rawSize)
      .u32(rawSize === 0 ? 0 : rawOffset);
    file
      .u32(0)
      .u32(0)
      .u32(0)
      .u32(section.characteristics ?? sectionFlags.data);
    rawOffset += rawSize;
  }
  if (file.length > headerBytes) throw new Error('too many sections for the header');
  file.fill(headerBytes);
  for (const { data } of placed) file.bytes(data).fill(roundUp(file.length, fileAlignment));
  return file.done();
}

function rawOffsetOf(placed: readonly { rva: number; data: Uint8Array }[], rva: number): number {
  let rawOffset = headerBytes;
  for (const section of placed) {
    if (rva >= section.rva && rva < section.rva + section.data.length) return rawOffset + rva - section.rva;
    rawOffset += roundUp(section.data.length, fileAlignment);
  }
  throw new Error('not in a section');
}

function importSection(
  imports: Readonly<Record<string, readonly (string | number)[]>>,
  rva: number,
  slots: Map<string, number>,
): Uint8Array {
  const modules = Object.entries(imports);
  const thunkCount = modules.reduce((sum, [, names]) => sum + names.length + 1, 0);
  const lookup = roundUp((modules.length + 1) * 20, 8);
  const table = lookup + thunkCount * 8;
  const names = new GrowingBytes();
  const namesAt = table + thunkCount * 8;
  const section = new GrowingBytes().fill(namesAt);
  let thunk = 0;
  modules.forEach(([module, imported], index) => {
    section.setU32(index * 20, rva + lookup + thunk * 8);
    section.setU32(index * 20 + 12, rva + namesAt + names.length);
    section.setU32(index * 20 + 16, rva + table + thunk * 8);
    names.text(module).u8(0);
    for (const name of imported) {
      let entry = 0x8000_0000_0000_0000n | BigInt(typeof name === 'number' ? name : 0);
      if (typeof name === 'string') {
        if (names.length % 2 !== 0) names.u8(0);
        entry = BigInt(rva + namesAt + names.length);
        names.u16(0).text(name).u8(0);
      }
      section.setU64(lookup + thunk * 8, entry);
      section.setU64(table + thunk * 8, entry);
      slots.set(String(name), rva + table + thunk * 8).set(`${module}!${name}`, rva + table + thunk * 8);
      thunk++;
    }
    thunk++;
  });
  return section.bytes(names.done()).done();
}

function exportSection(exports: readonly BuildExport[], rva: number, textRva: number): Uint8Array {
  let next = 1;
  const numbered = exports.map((entry) => {
    const ordinal = entry.ordinal ?? next;
    next = ordinal + 1;
    return { ...entry, ordinal };
  });
  const base = Math.min(...numbered.map(({ ordinal }) => ordinal));
  const count = Math.max(...numbered.map(({ ordinal }) => ordinal)) - base + 1;
  const named = numbered
    .filter(({ name }) => name !== undefined)
    .sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1));
  const functionsAt = 40;
  const namesAt = functionsAt + count * 4;
  const ordinalsAt = namesAt + named.length * 4;
  const textAt = ordinalsAt + roundUp(named.length * 2, 4);
  const text = new GrowingBytes();
  const put = (value: string): number => {
    const at = rva + textAt + text.length;
    text.text(value).u8(0);
    return at;
  };
  const section = new GrowingBytes().fill(textAt);
  section.setU32(12, put('built.sys'));
  section.setU32(16, base);
  section.setU32(20, count);
  section.setU32(24, named.length);
  section.setU32(28, rva + functionsAt);
  section.setU32(32, rva + namesAt);
  section.setU32(36, rva + ordinalsAt);
  for (const { ordinal, offset, forwarder } of numbered) {
    const target = forwarder === undefined ? textRva + (offset ?? 0) : put(forwarder);
    section.setU32(functionsAt + (ordinal - base) * 4, target);
  }
  named.forEach(({ name, ordinal }, index) => {
    section.setU32(namesAt + index * 4, put(name ?? ''));
    section.setU16(ordinalsAt + index * 2, ordinal - base);
  });
  return section.bytes(text.done()).done();
}

function unwindSection(functions: readonly BuildFunction[], layout: UnwindLayout): Uint8Array {
  const section = new GrowingBytes();
  functions.forEach(({ unwind }, index) => {
    const data = typeof unwind === 'function' ? unwind(layout) : unwind;
    if (data.length > unwindSlotBytes) throw new Error(`unwind data ${index} has ${data.length} bytes`);
    section.bytes(data).fill((index + 1) * unwindSlotBytes);
  });
  return section.done();
}

function relocationSection(rvas: readonly number[]): Uint8Array {
  const pages = new Map<number, number[]>();
  for (const rva of [...rvas].sort((a, b) => a - b)) {
    const page = rva & ~0xfff;
    pages.set(page, [...(pages.get(page) ?? []), 0xa000 | (rva & 0xfff)]);
  }
  const section = new GrowingBytes();
  for (const [page, entries] of pages) {
    if (entries.length % 2 !== 0) entries.push(0);
    section.u32(page).u32(8 + entries.length * 2);
    for (const entry of entries) section.u16(entry);
  }
  return section.done();
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
