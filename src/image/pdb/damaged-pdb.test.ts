import { describe, expect, it } from 'vitest';
import { PoolproofError } from '../../base/errors.ts';
import { openPdb, pdbSymbols } from './index.ts';
import { bytes, firstType, msf, pdb, subsection, symbol } from './testing/pdb-bytes.ts';

const sections = [{ rva: 0x1000, virtualSize: 0x400 }];

/** A small PDB with every kind of record that is read. */
function sample(): Uint8Array {
  const end = symbol(0x0006, bytes());
  const proc = symbol(0x1147, bytes().u32(0, 0, 0, 0x80, 0, 0, 0, 0).u16(1).u8(0).text('f'));
  const program = [6, 2, 3, 0x10, 11, (4 << 4) | 8, 5, 8, 3, 0x10, 4, 8, 1, 0x40, 2, 1, 12, 4, 2, 8, 0, 9, 1];
  const site = symbol(
    0x114d,
    bytes()
      .u32(0, 0, firstType)
      .u8(...program),
  );
  const site2 = symbol(0x115d, bytes().u32(0, 0, 0x8000_0000, 1).u8(12, 8, 0x20));
  const separated = symbol(0x1132, bytes().u32(0, 0, 0x20, 0, 0x200, 0).u16(1, 1));
  const lines = bytes().u32(0).u16(1, 0).u32(0x80).u32(0, 2, 28).u32(0, 1, 0x10, 2);
  return pdb({
    modules: [
      {
        name: 'a.obj',
        symbols: [
          proc,
          symbol(0x1103, bytes().u32(0, 0, 4, 8).u16(1).text('')),
          site,
          site2,
          end,
          end,
          end,
          end,
          separated,
          end,
        ],
        lines: [
          subsection(0xf4, bytes().u32(1).u8(0, 0).align().u32(3).u8(4, 1, 1, 2, 3, 4).align()),
          subsection(0xf2, lines),
          subsection(0xf6, bytes().u32(1, firstType, 0, 7, 1, 8)),
          subsection(0xf7, bytes().u32(5, 1, 0x99)),
        ],
      },
      {
        name: 'b',
        symbols: [
          symbol(0x112c, bytes().u16(0, 5).u32(0x305, 0).u16(1, 1)),
          symbol(0x1105, bytes().u32(0x310).u16(1).u8(0).text('label')),
          symbol(0x1102, bytes().u32(0, 0, 0, 0x320).u16(1, 6).u8(0).text('thunk')),
          end,
        ],
        lines: [subsection(0xf8, bytes().u32(0x99, firstType + 1))],
      },
    ],
    contributions: [
      [1, 0, 0x300, 0],
      [1, 0x300, 0x100, 1],
    ],
    names: ['a', 'b', 'b'],
    publics: [symbol(0x110e, bytes().u32(2, 0x380).u16(1).text('?x@y@@YAXXZ'))],
    globals: [symbol(0x110d, bytes().u32(0, 0x3f0).u16(1).text('g'))],
    thunkTable: [2, 5, 1, 0x300],
    types: [symbol(0x1505, bytes().u16(0, 0).u32(0, 0, 0).u16(8).text('S'))],
    ids: [symbol(0x1601, bytes().u32(0, 0).text('i')), symbol(0x1602, bytes().u32(firstType, 0).text('m'))],
    sections,
  });
}

/** Asks everything; answers what was found, or the error's code. */
function ask(file: Uint8Array): string {
  try {
    const opened = openPdb(file, 'x.pdb');
    const source = pdbSymbols(opened, []);
    let frames = 0;
    for (let rva = 0xff0; rva < 0x1410; rva += 4) frames += source.framesAt(rva).length;
    opened.dbi.sourceFiles(0);
    return `${frames} ${source.symbols().length} ${source.find('f')?.rva}`;
  } catch (error) {
    if (error instanceof PoolproofError && !error.message.includes('\n')) return error.code;
    throw error;
  }
}

/** xorshift32 */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function errorOf(file: Uint8Array): string {
  try {
    openPdb(file, 'x.pdb');
  } catch (error) {
    return error instanceof PoolproofError ? `${error.code} ${error.message}` : String(error);
  }
  return 'no error';
}

describe('files that are no usable PDB', () => {
  it.each([
    ['empty', new Uint8Array(0), 'PP1201 x.pdb: not a PDB file: found an empty file'],
    ['an executable', bytes().text('MZ').align(64).done(), 'PP1201 x.pdb: not a PDB file: found bytes 4d 5a 00'],
    ['.NET', bytes().text('BSJB').align(64).done(), 'PP1202 x.pdb: PDB not supported: found a portable PDB'],
    ['cut off', sample().subarray(0, 40), 'PP1203 x.pdb: damaged PDB: file header: found 40 bytes'],
    ['cut short', sample().subarray(0, 2000), 'PP1203 x.pdb: damaged PDB'],
    [
      'of a compiler',
      msf([new Uint8Array(4), infoOf(sample())]),
      'PP1202 x.pdb: PDB not supported: found a PDB without DBI',
    ],
  ])('%s', (_, file, message) => {
    expect(errorOf(file)).toContain(message);
  });

  it('says what is wrong with the container', () => {
    const file = sample();
    const view = new DataView(file.buffer);
    view.setUint32(32, 513, true);
    expect(errorOf(file)).toBe(
      'PP1203 x.pdb: damaged PDB: file header: found block size 513, expected a power of two from 512 to 65536',
    );
    view.setUint32(32, 512, true);
    view.setUint32(44, 0xffff_fff0, true);
    expect(errorOf(file)).toContain('stream directory: found 4294967280 bytes');
  });

  it('does not unfold a small file into a large one', () => {
    // 40 streams of 100 blocks, each of which is block 3.
    const directory = bytes()
      .u32(40, ...Array(40).fill(51200), ...Array(4000).fill(3))
      .align(512);
    const blocks = directory.length / 512;
    const map = bytes()
      .u32(...Array.from({ length: blocks }, (_, i) => 4 + i))
      .align(512);
    const file = bytes()
      .bytes(msf([]).subarray(0, 3 * 512))
      .bytes(map.done())
      .bytes(directory.done())
      .done();
    const view = new DataView(file.buffer);
    view.setUint32(40, 4 + blocks, true);
    view.setUint32(44, 4 + 40 * 4 + 4000 * 4, true);
    view.setUint32(52, 3, true);
    expect(errorOf(file)).toBe(
      'PP1203 x.pdb: damaged PDB: stream directory: found 4000 blocks in streams, expected at most 72',
    );
  });
});

it('reads no listed record twice', () => {
  const record = symbol(0x110e, bytes().u32(2, 0).u16(1).text('p'));
  expect(ask(pdb({ modules: [], contributions: [], sections, publics: [record, record] }))).toMatch(
    /^\d+ 1 undefined$/,
  );
  const repeated = pdb({
    modules: [],
    contributions: [],
    sections,
    publics: [record, record],
    publicOffsets: [0, 0, 0],
  });
  expect(ask(repeated)).toBe('PP1203');
});

describe('damaged files', () => {
  it('answers or reports, whatever bytes are changed', () => {
    const good = sample();
    const healthy = ask(good);
    expect(healthy).toMatch(/^\d+ \d+ 4096$/);
    const outcomes = new Map<string, number>();
    for (let seed = 1; seed <= 2000; seed++) {
      const next = random(seed * 2654435761);
      const file = good.slice(0, next(20) === 0 ? next(good.length) : good.length);
      for (let change = next(6); change >= 0 && file.length > 0; change--) {
        const at = next(4) === 0 ? next(Math.min(file.length, 128)) : next(file.length);
        const values = [0, 0xff, 0x80, 1, next(256), next(256)];
        const width = next(3) === 0 ? 4 : 1;
        file.fill(values[next(values.length)] ?? 0, at, at + width);
      }
      const outcome = ask(file);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // Both must happen, else the changes miss.
    expect(outcomes.get(healthy)).toBeGreaterThan(50);
    expect(outcomes.get('PP1203')).toBeGreaterThan(50);
  });

  it('survives every single byte being 0xff', () => {
    const good = sample();
    for (let at = 0; at < good.length; at++) {
      if (good[at] === 0 && at % 3 !== 0) continue;
      const file = good.slice();
      file[at] = 0xff;
      ask(file);
    }
  });
});

/** The info stream of a sample: its first blocks hold streams in reverse order of their numbers, so it is searched. */
function infoOf(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer);
  for (let at = 0; at + 512 <= file.length; at += 512) {
    if (view.getUint32(at, true) === 20000404) return file.slice(at, at + 128);
  }
  throw new Error('no info stream');
}
