/**
 * Damages driver images and requires that each is either read, laid out and unwound, or refused with a PoolproofError,
 * in bounded time. Run on files of your own: `npx tsx fuzz/pe-mutations.ts COUNT SEED FILE…`
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { PoolproofError } from '../src/base/errors.ts';
import { type Va, vaToU64 } from '../src/base/va.ts';
import { layOutImage, type PeImage, parsePe } from '../src/image/pe/index.ts';
import { exportSymbols } from '../src/image/symbols/export-symbols.ts';
import {
  frameShape,
  functionRanges,
  lookupFunctionEntry,
  parseScopeTable,
  readUnwindInfo,
  virtualUnwind,
} from '../src/image/unwind/index.ts';

/** mulberry32: 32 bits per call, the same sequence for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

interface Region {
  readonly start: number;
  readonly end: number;
}

/** Where damage goes: file offsets of headers, and of what the directories lead to. */
interface Regions {
  readonly headers: Region;
  readonly tables: readonly Region[];
}

function regionsOf(bytes: Uint8Array): Regions {
  const pe = parsePe(bytes, 'seed');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directories = view.getUint32(60, true) + 24 + 112;
  const inFile = (rva: number, size: number): Region[] => {
    const section = pe.sections.find((each) => rva >= each.rva && rva < each.rva + each.rawSize);
    if (section === undefined || size === 0) return [];
    const start = section.rawOffset + rva - section.rva;
    return [{ start, end: Math.min(start + size, bytes.length) }];
  };
  const tables = Array.from({ length: 16 }, (_, index) => directories + index * 8).flatMap((at) =>
    inFile(view.getUint32(at, true), view.getUint32(at + 4, true)),
  );
  for (const { unwindInfoRva } of pe.functions) {
    const codes = 4 + (pe.mapped[unwindInfoRva + 2] ?? 0) * 2;
    const { handlerDataRva } = readUnwindInfo(pe, unwindInfoRva);
    tables.push(...inFile(unwindInfoRva, codes + (handlerDataRva === undefined ? 12 : 28)));
  }
  return { headers: { start: 0, end: pe.sizeOfHeaders }, tables };
}

const interesting = [
  0, 1, 2, 4, 7, 8, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x7fff, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000,
];

/** One damaged copy; every second one has its headers intact, so that the damage reaches the tables. */
function mutate(original: Uint8Array, regions: Regions, random: Random, keepsHeaders: boolean): Uint8Array {
  const bytes = original.slice();
  const places = keepsHeaders && regions.tables.length > 0 ? regions.tables : [regions.headers];
  for (let count = 1 + random.below(4); count > 0; count--) {
    const region = random.pick(places);
    const at = region.start + random.below(Math.max(1, region.end - region.start));
    damage(bytes, at, random);
  }
  const isCut = !keepsHeaders && random.below(16) === 0;
  return isCut ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

function damage(bytes: Uint8Array, at: number, random: Random): void {
  const view = new DataView(bytes.buffer);
  const field = at & ~3;
  const fits = field + 4 <= bytes.length;
  switch (random.below(6)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      break;
    case 1:
      bytes[at] = random.below(256);
      break;
    case 2:
      if (fits) view.setUint32(field, random.pick(interesting), true);
      break;
    case 3:
      if (fits) view.setUint32(field, -random.pick(interesting) >>> 0, true);
      break;
    case 4:
      if (fits) view.setUint32(field, view.getUint32(field, true) + random.below(33) - 16, true);
      break;
    default:
      bytes.copyWithin(at, random.below(bytes.length), Math.min(bytes.length, random.below(bytes.length) + 16));
  }
}

const base = -0x7ff0_0000_0000 as Va;

/** Everything that is done with a driver image. */
function exercise(bytes: Uint8Array): void {
  const pe = parsePe(bytes, 'mutant.sys');
  attempt(() => layOutImage(pe, base));
  attempt(() => functionRanges(pe));
  attempt(() => exportSymbols(pe));
  for (const entry of pe.functions.slice(0, 200)) {
    attempt(() => {
      const info = readUnwindInfo(pe, entry.unwindInfoRva & ~1);
      if (info.handlerDataRva !== undefined) parseScopeTable(pe, info.handlerDataRva);
    });
    const last = Math.min(entry.endRva, entry.beginRva + 64);
    for (let rva = entry.beginRva; rva < last; rva++) attempt(() => unwindFrom(pe, rva));
    attempt(() => unwindFrom(pe, entry.endRva - 1));
  }
}

function unwindFrom(pe: PeImage, rva: number): void {
  frameShape(pe, rva);
  const gpr = BigUint64Array.from({ length: 16 }, (_, register) => BigInt(register) << 40n);
  const context = { rip: vaToU64((base + rva) as Va), gpr, xmm: new BigUint64Array(32) };
  const memory = { readU64: (va: Va) => (Math.abs(va) % 3 === 0 ? undefined : BigInt.asUintN(64, BigInt(va) * 7n)) };
  virtualUnwind({
    pe,
    imageBase: base,
    entry: lookupFunctionEntry(pe, rva),
    context,
    memory,
    handlerType: 'exception',
  });
}

/** A refusal of one part is an answer too, and the other parts are still tried. */
function attempt(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof PoolproofError)) throw error;
    requireOneLine(error);
  }
}

function requireOneLine(error: PoolproofError): void {
  if (/[\r\n]/.test(error.message) || error.message.length > 6000) throw new Error(`not one line: ${error.message}`);
}

export interface MutationResult {
  readonly accepted: number;
  readonly refused: number;
  /** How often each error code was given. */
  readonly codes: ReadonlyMap<string, number>;
  readonly slowestMs: number;
}

/** Throws, naming seed and number of the mutant, when one is answered with anything but a result or a PoolproofError. */
export function runMutations(originals: readonly Uint8Array[], count: number, seed: number): MutationResult {
  const prepared = originals.map((bytes) => ({ bytes, regions: regionsOf(bytes) }));
  const codes = new Map<string, number>();
  let accepted = 0;
  let slowestMs = 0;
  for (let number = 0; number < count; number++) {
    const random = new Random(seed + number * 7919);
    const { bytes, regions } = random.pick(prepared);
    const mutant = mutate(bytes, regions, random, number % 2 === 0);
    const start = performance.now();
    try {
      exercise(mutant);
      accepted++;
    } catch (error) {
      if (!(error instanceof PoolproofError)) throw new Error(`mutant ${number} of seed ${seed}`, { cause: error });
      requireOneLine(error);
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
  }
  return { accepted, refused: count - accepted, codes, slowestMs };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [count = '10000', seed = '1', ...files] = process.argv.slice(2);
  console.log(
    runMutations(
      files.map((file) => new Uint8Array(readFileSync(file))),
      Number(count),
      Number(seed),
    ),
  );
}
