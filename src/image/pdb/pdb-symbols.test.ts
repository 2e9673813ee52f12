import { describe, expect, it } from 'vitest';
import { matchesImage, openPdb, pdbSymbols } from './index.ts';
import {
  type Bytes,
  bytes,
  firstType,
  nameOffset,
  pdb,
  subsection,
  symbol,
  type TestPdb,
  testAge,
  testGuid,
} from './testing/pdb-bytes.ts';

const names = ['c:\\src\\a.c', 'c:\\src\\a.h', 'c:\\obj\\b.obj'];
const sections = [
  { rva: 0x1000, virtualSize: 0x1000 },
  { rva: 0x5000, virtualSize: 0x100 },
];
const end = symbol(0x0006, bytes());
const procEnd = symbol(0x114f, bytes());
const siteEnd = symbol(0x114e, bytes());

function procedure(kind: number, name: string, offset: number, size: number): Uint8Array {
  return symbol(kind, bytes().u32(0, 0, 0, size, 0, 0, 0, offset).u16(1).u8(0).text(name));
}

function site(inlinee: number, ...program: readonly number[]): Uint8Array {
  return symbol(
    0x114d,
    bytes()
      .u32(0, 0, inlinee)
      .u8(...program),
  );
}

function separated(section: number, offset: number, size: number, parentOffset: number): Uint8Array {
  return symbol(0x1132, bytes().u32(0, 0, size, 0, offset, parentOffset).u16(section, 1));
}

function lineBlock(section: number, offset: number, size: number, ...files: readonly Bytes[]): Uint8Array {
  const block = bytes().u32(offset).u16(section, 0).u32(size);
  for (const file of files) block.bytes(file.done());
  return subsection(0xf2, block);
}

/** Pairs of code offset and line. */
function linesOf(file: number, ...pairs: readonly (readonly [number, number])[]): Bytes {
  const block = bytes().u32(file, pairs.length, 12 + 8 * pairs.length);
  for (const [offset, line] of pairs) block.u32(offset, line + 0x8000_0000);
  return block;
}

/** Two files: a.c is at 0, a.h at 8. */
const checksums = subsection(
  0xf4,
  bytes()
    .u32(nameOffset(names, names[0] ?? ''))
    .u8(0, 0)
    .align()
    .u32(nameOffset(names, names[1] ?? ''))
    .u8(0, 0)
    .align(),
);

function inlinees(...entries: readonly (readonly [number, number, number])[]): Uint8Array {
  const table = bytes().u32(0);
  for (const entry of entries) table.u32(...entry);
  return subsection(0xf6, table);
}

function functionId(name: string, scope = 0): Uint8Array {
  return symbol(0x1601, bytes().u32(scope, 0).text(name));
}

function symbolsOf(contents: Partial<TestPdb>) {
  const file = pdb({ modules: [], contributions: [[1, 0, 0x1000, 0]], names, sections, ...contents });
  return pdbSymbols(openPdb(file, 'x.pdb'), []);
}

function framesText(source: ReturnType<typeof symbolsOf>, rva: number): string[] {
  return source
    .framesAt(rva)
    .map(
      (frame) =>
        `${frame.inlined ? '(inline) ' : ''}${frame.function} ${frame.source?.file ?? '?'}:${frame.source?.line ?? '?'}`,
    );
}

describe('procedures and lines', () => {
  it('reads the record kinds of both linkers', () => {
    const source = symbolsOf({
      modules: [
        {
          name: 'a.obj',
          symbols: [
            procedure(0x1110, 'global', 0, 0x10),
            end,
            symbol(0x1105, bytes().u32(0x50).u16(1).u8(0).text('asmLabel')),
            procedure(0x110f, 'local', 0x10, 0x10),
            end,
            procedure(0x1146, 'localId', 0x20, 0x10),
            symbol(0x1105, bytes().u32(0x24).u16(1).u8(0).text('$LN5')),
            procEnd,
            procedure(0x1147, 'globalId', 0x30, 0x10),
            procEnd,
            symbol(0x1102, bytes().u32(0, 0, 0, 0x40).u16(1, 6).u8(0).text('thunk')),
            end,
          ],
        },
      ],
    });
    const at = (rva: number): string | undefined => source.framesAt(rva)[0]?.function;
    expect([0x1000, 0x100f, 0x1010, 0x102f, 0x1030, 0x1045].map(at)).toEqual([
      'global',
      'global',
      'local',
      'localId',
      'globalId',
      'thunk',
    ]);
    expect(source.framesAt(0x1046)).toEqual([]);
    expect(source.framesAt(0x0fff)).toEqual([]);
    expect(source.symbols().map(({ name }) => name)).toEqual([
      'global',
      'local',
      'localId',
      'globalId',
      'thunk',
      'asmLabel',
    ]);
    expect(source.find('localId')).toEqual({ name: 'localId', rva: 0x1020, kind: 'function', sizeBytes: 0x10 });
  });

  it('takes the line that covers the address, across files, and hides lines that are none', () => {
    const source = symbolsOf({
      modules: [
        {
          name: 'a.obj',
          symbols: [procedure(0x1110, 'f', 0x100, 0x40), end],
          lines: [
            checksums,
            lineBlock(
              1,
              0x100,
              0x40,
              linesOf(0, [0, 10], [8, 11], [0x20, 0xf00f00], [0x28, 14]),
              linesOf(8, [0x10, 3]),
            ),
          ],
        },
      ],
    });
    const at = (offset: number) => framesText(source, 0x1100 + offset)[0];
    expect(at(0)).toBe('f c:\\src\\a.c:10');
    expect(at(7)).toBe('f c:\\src\\a.c:10');
    expect(at(8)).toBe('f c:\\src\\a.c:11');
    expect(at(0x1f)).toBe('f c:\\src\\a.h:3');
    expect(at(0x20)).toBe('f ?:?');
    expect(at(0x3f)).toBe('f c:\\src\\a.c:14');
  });

  it('finds the function of separated code, in another section too', () => {
    const source = symbolsOf({
      contributions: [
        [1, 0, 0x1000, 0],
        [2, 0, 0x100, 0],
      ],
      modules: [
        {
          name: 'a.obj',
          symbols: [
            procedure(0x1110, 'hot', 0x100, 0x20),
            // Code base 1 is the separated part.
            site(firstType, 3, 4, 4, 4, 2, 1, 3, 0x10, 4, 8),
            siteEnd,
            end,
            separated(2, 0x20, 0x30, 0x100),
            end,
          ],
          lines: [checksums, lineBlock(2, 0x20, 0x30, linesOf(0, [0, 99])), inlinees([firstType, 8, 5])],
        },
      ],
      ids: [functionId('cold')],
    });
    expect(framesText(source, 0x5025)).toEqual(['hot c:\\src\\a.c:99']);
    expect(framesText(source, 0x5030)).toEqual(['(inline) cold c:\\src\\a.h:5', 'hot c:\\src\\a.c:99']);
    expect(framesText(source, 0x1104)).toEqual(['(inline) cold c:\\src\\a.h:5', 'hot ?:?']);
    expect(framesText(source, 0x1108)).toEqual(['hot ?:?']);
    expect(source.framesAt(0x5030)[1]?.functionRva).toBe(0x1100);
    expect(source.symbols().filter(({ name }) => name === 'hot').length).toBe(1);
  });
});

describe('inlined calls', () => {
  it('reads ranges with lengths as MSVC writes them', () => {
    // A line program of a released program's PDB: two ranges, 2 bytes at 0x3f and 3 bytes at 0x48.
    const source = symbolsOf({
      modules: [
        {
          name: 'a.obj',
          symbols: [procedure(0x1110, 'f', 0x120, 0x54), site(firstType, 12, 2, 0x3f, 12, 3, 9, 0, 0), siteEnd, end],
          lines: [checksums, inlinees([firstType, 0, 341])],
        },
      ],
      ids: [functionId('g')],
    });
    const covered = Array.from({ length: 0x54 }, (_, i) => i).filter((i) => source.framesAt(0x1120 + i).length === 2);
    expect(covered).toEqual([0x3f, 0x40, 0x48, 0x49, 0x4a]);
    expect(framesText(source, 0x1120 + 0x48)[0]).toBe('(inline) g c:\\src\\a.c:341');
  });

  it('nests, with the line of each call', () => {
    const [outer, inner] = [firstType, firstType + 1];
    const source = symbolsOf({
      modules: [
        {
          name: 'a.obj',
          symbols: [
            procedure(0x1147, 'f', 0, 0x80),
            // Line +1 from offset 0x10; line +2 more from 0x18 (the call); back by 1 from 0x28 for 8 bytes.
            site(outer, 6, 2, 3, 0x10, 11, (4 << 4) | 8, 6, 3, 3, 0x10, 4, 8),
            symbol(0x115d, bytes().u32(0, 0, inner, 1).u8(5, 8, 3, 0x18, 4, 0x10)),
            siteEnd,
            siteEnd,
            procEnd,
          ],
          lines: [
            checksums,
            inlinees([outer, 0, 20], [inner, 0, 50]),
            lineBlock(1, 0, 0x80, linesOf(0, [0, 1], [0x10, 7], [0x30, 8])),
          ],
        },
      ],
      ids: [functionId('outer'), functionId('inner')],
    });
    expect(framesText(source, 0x100f)).toEqual(['f c:\\src\\a.c:1']);
    expect(framesText(source, 0x1010)).toEqual(['(inline) outer c:\\src\\a.c:21', 'f c:\\src\\a.c:7']);
    expect(framesText(source, 0x1018)).toEqual([
      '(inline) inner c:\\src\\a.h:50',
      '(inline) outer c:\\src\\a.c:23',
      'f c:\\src\\a.c:7',
    ]);
    expect(framesText(source, 0x1028)).toEqual(['(inline) outer c:\\src\\a.c:22', 'f c:\\src\\a.c:7']);
    expect(framesText(source, 0x1030)).toEqual(['f c:\\src\\a.c:8']);
  });

  it('names members, scopes, what another module declared, and what has no name', () => {
    const structure = symbol(0x1505, bytes().u16(0, 0).u32(0, 0, 0).u16(0x8004).u32(70000).text('ns::Box'));
    const crossScope = 0x8000_0000;
    const unknown = firstType + 77;
    const source = symbolsOf({
      modules: [
        {
          name: 'a.obj',
          symbols: [
            procedure(0x1110, 'f', 0, 0x40),
            site(firstType, 12, 1, 0),
            siteEnd,
            site(firstType + 2, 12, 1, 1),
            siteEnd,
            site(crossScope, 12, 1, 2),
            siteEnd,
            site(unknown, 12, 1, 3),
            siteEnd,
            end,
          ],
          lines: [subsection(0xf7, bytes().u32(nameOffset(names, 'c:\\obj\\b.obj'), 1, 0x1234))],
        },
        { name: 'C:\\Obj\\b.obj', symbols: [], lines: [subsection(0xf8, bytes().u32(0x1234, firstType + 3))] },
      ],
      types: [structure],
      ids: [
        symbol(0x1602, bytes().u32(firstType, 0).text('get')),
        symbol(0x1605, bytes().u32(0).text('ns')),
        functionId('twice', firstType + 1),
        functionId('elsewhere'),
      ],
    });
    const at = (rva: number): string | undefined => source.framesAt(rva)[0]?.function;
    expect([0x1000, 0x1001, 0x1002, 0x1003].map(at)).toEqual([
      'ns::Box::get',
      'ns::twice',
      'elsewhere',
      '<inlined function 0x104d>',
    ]);
  });

  it('skips the extra files of a declaration', () => {
    const table = bytes()
      .u32(1)
      .u32(firstType, 8, 30, 2, 0, 0)
      .u32(firstType + 1, 0, 40, 0);
    const source = symbolsOf({
      modules: [
        {
          name: 'a.obj',
          symbols: [procedure(0x1110, 'f', 0, 0x40), site(firstType + 1, 12, 1, 0), siteEnd, end],
          lines: [checksums, subsection(0xf6, table)],
        },
      ],
      ids: [functionId('x'), functionId('y')],
    });
    expect(framesText(source, 0x1000)[0]).toBe('(inline) y c:\\src\\a.c:40');
  });
});

describe('without module symbols', () => {
  const publicSymbol = (name: string, offset: number, flags = 2, section = 1): Uint8Array =>
    symbol(0x110e, bytes().u32(flags, offset).u16(section).text(name));
  const publics = [
    publicSymbol('?run@Box@ns@@QEAAXXZ', 0x20),
    publicSymbol('_start', 0),
    publicSymbol('table', 0x30, 0),
    publicSymbol('??$f@H@@YAHH@Z', 0x40),
    publicSymbol('absolute', 0, 0, 9),
  ];

  it('falls back to the nearest public function of the contribution', () => {
    const source = symbolsOf({
      modules: [{ name: 'a.obj' }],
      publics,
      contributions: [
        [1, 0, 0x18, 0],
        [1, 0x18, 0x100, 0],
      ],
    });
    const at = (rva: number): string | undefined => source.framesAt(rva)[0]?.function;
    expect([0x1000, 0x1017, 0x1018, 0x1020, 0x1035, 0x1045].map(at)).toEqual([
      '_start',
      '_start',
      undefined,
      'ns::Box::run',
      'ns::Box::run',
      '??$f@H@@YAHH@Z',
    ]);
    expect(source.framesAt(0x5000)).toEqual([]);
    expect(source.find('table')).toEqual({ name: 'table', rva: 0x1030, kind: 'data', sizeBytes: 0 });
    expect(source.find('?run@Box@ns@@QEAAXXZ')?.rva).toBe(0x1020);
    expect(source.find('absolute')).toBeUndefined();
  });

  it('says a C++ name once where there is a procedure, and keeps C aliases', () => {
    const source = symbolsOf({
      modules: [{ name: 'a.obj', symbols: [procedure(0x1110, 'ns::Box::run', 0x20, 0x10), end] }],
      publics: [publicSymbol('?run@Box@ns@@QEAAXXZ', 0x20), publicSymbol('alias', 0x20), publicSymbol('_Zx', 0x20)],
    });
    expect(source.symbols().map(({ name }) => name)).toEqual(['ns::Box::run', 'alias']);
    expect(source.find('_Zx')?.rva).toBe(0x1020);
  });

  it('leaves out what lies outside of its section', () => {
    const source = symbolsOf({
      modules: [{ name: 'a.obj', symbols: [procedure(0x1110, 'far', 0x1001, 0x10), end] }],
      publics: [publicSymbol('end', 0x1000), publicSymbol('beyond', 0x1001)],
    });
    expect(source.symbols().map(({ name }) => name)).toEqual(['end']);
  });

  it('names the jumps of an incremental link', () => {
    const trampoline = symbol(0x112c, bytes().u16(0, 5).u32(0x105, 0x200).u16(1, 1));
    const source = symbolsOf({
      modules: [
        { name: 'a.obj', symbols: [procedure(0x1110, 'f', 0x200, 0x10), end] },
        { name: '* Linker *', symbols: [trampoline] },
      ],
      contributions: [
        [1, 0x100, 0x20, 1],
        [1, 0x200, 0x10, 0],
      ],
      thunkTable: [2, 5, 1, 0x100],
    });
    expect(source.framesAt(0x1107)).toEqual([
      { function: 'ILT+5(f)', functionRva: 0x1105, inlined: false, source: undefined },
    ]);
  });

  it('lists variables of the globals stream by address', () => {
    const data = (name: string, offset: number): Uint8Array => symbol(0x110c, bytes().u32(0, offset).u16(2).text(name));
    const source = symbolsOf({ modules: [], globals: [data('s_Count', 4), data('g_Head', 0)] });
    expect(source.symbols()).toEqual([
      { name: 'g_Head', rva: 0x5000, kind: 'data', sizeBytes: 0 },
      { name: 's_Count', rva: 0x5004, kind: 'data', sizeBytes: 0 },
    ]);
  });
});

describe('identity', () => {
  const file = openPdb(pdb({ modules: [], contributions: [], sections }), 'x.pdb');

  it('matches by GUID and by the age of the DBI stream', () => {
    expect(file.info.age).toBe(testAge + 1);
    expect(matchesImage(file, { guid: testGuid, age: testAge })).toBe(true);
    expect(matchesImage(file, { guid: `{${testGuid.toLowerCase()}}`, age: testAge })).toBe(true);
    expect(matchesImage(file, { guid: testGuid, age: testAge + 1 })).toBe(false);
    expect(matchesImage(file, { guid: testGuid.replace('0', '1'), age: testAge })).toBe(false);
  });

  it('knows the sections', () => {
    expect(file.sections).toEqual(sections);
  });
});
