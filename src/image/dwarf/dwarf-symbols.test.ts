import { describe, expect, it } from 'vitest';
import { ByteWriter, type CraftedShape, craftAbbreviations, craftUnit } from '../../../test/crafted-dwarf.ts';
import { PoolproofError } from '../../base/errors.ts';
import { attributeOf as at, formOf as form, tagOf as tag } from './constants.ts';
import type { DwarfSections } from './dwarf-sections.ts';
import { type DwarfSymbolSource, dwarfSymbols } from './dwarf-symbols.ts';

const base = 0x1_4000_0000n;
const va = (rva: number): bigint => base + BigInt(rva);
const cPlusPlus = 0x21;

/** Codes of the abbreviations that these tests write. */
const code = {
  unit: 1,
  fn: 2,
  inlined: 3,
  split: 4,
  abstract: 5,
  copy: 6,
  data: 7,
  array: 8,
  range: 9,
  int: 10,
  space: 11,
  klass: 12,
  method: 13,
  definition: 14,
  bareUnit: 15,
} as const;
const shapes: readonly CraftedShape[] = [
  {
    tag: tag.compileUnit,
    children: true,
    attributes: [
      [at.language, form.data1],
      [at.lowPc, form.addr],
      [at.highPc, form.data8],
    ],
  },
  {
    tag: tag.subprogram,
    children: true,
    attributes: [
      [at.name, form.string],
      [at.lowPc, form.addr],
      [at.highPc, form.data4],
    ],
  },
  {
    tag: tag.inlinedSubroutine,
    children: true,
    attributes: [
      [at.abstractOrigin, form.ref4],
      [at.lowPc, form.addr],
      [at.highPc, form.data1],
      [at.callFile, form.implicitConst, 1],
      [at.callLine, form.data1],
    ],
  },
  {
    tag: tag.subprogram,
    attributes: [
      [at.name, form.string],
      [at.ranges, form.secOffset],
    ],
  },
  { tag: tag.subprogram, attributes: [[at.name, form.string]] },
  {
    tag: tag.subprogram,
    attributes: [
      [at.abstractOrigin, form.refAddr],
      [at.lowPc, form.addr],
      [at.highPc, form.addr],
    ],
  },
  {
    tag: tag.variable,
    attributes: [
      [at.name, form.string],
      [at.type, form.ref4],
      [at.location, form.exprloc],
    ],
  },
  { tag: tag.arrayType, children: true, attributes: [[at.type, form.ref4]] },
  { tag: tag.subrangeType, attributes: [[at.upperBound, form.data1]] },
  { tag: 0x24, attributes: [[at.byteSize, form.data1]] },
  { tag: tag.namespace, children: true, attributes: [[at.name, form.string]] },
  {
    tag: tag.classType,
    children: true,
    attributes: [
      [at.name, form.string],
      [at.byteSize, form.data1],
    ],
  },
  {
    tag: tag.subprogram,
    attributes: [
      [at.name, form.string],
      [at.linkageName, form.string],
    ],
  },
  {
    tag: tag.subprogram,
    attributes: [
      [at.specification, form.ref4],
      [at.lowPc, form.addr],
      [at.highPc, form.data1],
    ],
  },
  { tag: tag.compileUnit, children: true, attributes: [[at.language, form.data1]] },
];

function symbolsOf(info: ByteWriter, more: Partial<DwarfSections> = {}): DwarfSymbolSource {
  return dwarfSymbols({ info: info.done(), abbrev: craftAbbreviations(shapes), ...more }, base);
}

/** A C++ unit of version 4 over [0x1000, 0x2000). Offsets in it count from its start; entries begin at 29. */
function unitOver(info: ByteWriter, write: (entries: ByteWriter) => void): void {
  craftUnit(info, 4, (unit) => {
    unit.uleb(code.unit).u8(cPlusPlus).u64(va(0x1000)).u64(0x1000n);
    write(unit);
    unit.u8(0);
  });
}

const headerBytes = 11;
const firstEntry = headerBytes + 1 + 1 + 8 + 8;

describe('dwarfSymbols', () => {
  it('nests inlined functions, innermost first', () => {
    const info = new ByteWriter();
    unitOver(info, (unit) => {
      unit.uleb(code.abstract).text('leaf'); // at firstEntry
      unit.uleb(code.abstract).text('twig'); // 6 later
      unit.uleb(code.fn).text('root').u64(va(0x1100)).u32(0x100);
      unit
        .uleb(code.inlined)
        .u32(firstEntry + 6)
        .u64(va(0x1110))
        .u8(0x20)
        .u8(70);
      unit.uleb(code.inlined).u32(firstEntry).u64(va(0x1118)).u8(4).u8(20).u8(0, 0);
      unit.uleb(code.inlined).u32(firstEntry).u64(va(0x1180)).u8(4).u8(90).u8(0, 0);
    });
    const symbols = symbolsOf(info);
    const names = (rva: number): string[] =>
      symbols.framesAt(rva).map((frame) => `${frame.function}${frame.inlined ? ' (inlined)' : ''}`);
    expect(names(0x10ff)).toEqual([]);
    expect(names(0x1100)).toEqual(['root']);
    expect(names(0x1117)).toEqual(['twig (inlined)', 'root']);
    expect(names(0x1118)).toEqual(['leaf (inlined)', 'twig (inlined)', 'root']);
    expect(names(0x111c)).toEqual(['twig (inlined)', 'root']);
    expect(names(0x1130)).toEqual(['root']);
    expect(names(0x1183)).toEqual(['leaf (inlined)', 'root']);
    expect(names(0x1200)).toEqual([]);
    expect(symbols.framesAt(0x1118).map(({ functionRva }) => functionRva)).toEqual([0x1100, 0x1100, 0x1100]);
    expect(symbols.symbols()).toEqual([{ name: 'root', rva: 0x1100, kind: 'function', sizeBytes: 0x100 }]);
  });

  it('joins the parts of a split function, and drops what the linker dropped', () => {
    const ranges = new ByteWriter();
    ranges.u64(0x500n).u64(0x540n).u64(0x100n).u64(0x120n); // from the unit's base
    ranges.u64(0xffff_ffff_ffff_ffffn).u64(va(0x1800)).u64(0n).u64(0x10n);
    ranges.u64(0xffff_ffff_ffff_ffffn).u64(0n).u64(va(0x1900)).u64(va(0x1908)).u64(0x10n).u64(0x20n);
    ranges.u64(0n).u64(0n);
    const info = new ByteWriter();
    unitOver(info, (unit) => unit.uleb(code.split).text('split').u32(0));
    const symbols = symbolsOf(info, { ranges: ranges.done() });
    for (const rva of [0x1500, 0x153f, 0x1100, 0x111f, 0x1800, 0x180f, 0x1900, 0x1907]) {
      expect(symbols.framesAt(rva), rva.toString(16)).toMatchObject([{ function: 'split', functionRva: 0x1500 }]);
    }
    for (const rva of [0x14ff, 0x1540, 0x1120, 0x1810, 0x1908]) expect(symbols.framesAt(rva)).toEqual([]);
    expect(symbols.find('split')).toEqual({ name: 'split', rva: 0x1500, kind: 'function', sizeBytes: 0x40 });
  });

  it('follows origins into other units, and names classes and namespaces', () => {
    const info = new ByteWriter();
    unitOver(info, (unit) => {
      unit.uleb(code.space).text('ns'); // 4 bytes
      unit.uleb(code.klass).text('Box').u8(4); // 6 bytes
      unit.uleb(code.method).text('open').text('_ZN2ns3Box4openEv'); // at firstEntry + 10
      unit.u8(0, 0);
      unit
        .uleb(code.definition)
        .u32(firstEntry + 10)
        .u64(va(0x1000))
        .u8(0x10);
    });
    craftUnit(info, 4, (unit) => {
      unit.uleb(code.unit).u8(cPlusPlus).u64(va(0x3000)).u64(0x100n);
      unit
        .uleb(code.copy)
        .u32(firstEntry + 10)
        .u64(va(0x3000))
        .u64(va(0x3020))
        .u8(0);
    });
    const symbols = symbolsOf(info);
    expect(symbols.framesAt(0x3010)).toMatchObject([{ function: 'ns::Box::open', functionRva: 0x3000 }]);
    expect(symbols.symbols().map(({ name, rva }) => [name, rva])).toEqual([
      ['ns::Box::open', 0x1000],
      ['ns::Box::open', 0x3000],
    ]);
  });

  it('finds data at fixed addresses, with the size of its type', () => {
    const info = new ByteWriter();
    unitOver(info, (unit) => {
      unit.uleb(code.int).u8(4); // 2 bytes
      unit.uleb(code.array).u32(firstEntry).uleb(code.range).u8(2).uleb(code.range).u8(4).u8(0);
      unit
        .uleb(code.data)
        .text('grid')
        .u32(firstEntry + 2)
        .u8(9, 3)
        .u64(va(0x5000));
      unit.uleb(code.data).text('computed').u32(firstEntry).u8(10, 3).u64(va(0x5100)).u8(0x06);
      unit.uleb(code.data).text('dropped').u32(firstEntry).u8(9, 3).u64(0n);
    });
    const symbols = symbolsOf(info);
    expect(symbols.symbols()).toEqual([{ name: 'grid', rva: 0x5000, kind: 'data', sizeBytes: 60 }]);
  });

  it('finds the unit of an address by .debug_aranges, or by its functions', () => {
    const info = new ByteWriter();
    craftUnit(info, 4, (unit) => {
      unit.uleb(code.bareUnit).u8(cPlusPlus).uleb(code.fn).text('f').u64(va(0x1000)).u32(0x10).u8(0, 0);
    });
    expect(symbolsOf(info).framesAt(0x1008)).toMatchObject([{ function: 'f' }]);
    const aranges = new ByteWriter();
    aranges.sized((set) => set.u16(2).u32(0).u8(8, 0).u32(0).u64(va(0x1000)).u64(8n).u64(0n).u64(0n));
    expect(symbolsOf(info, { aranges: aranges.done() }).framesAt(0x1007)).toMatchObject([{ function: 'f' }]);
    expect(symbolsOf(info, { aranges: aranges.done() }).framesAt(0x1008)).toEqual([]);
  });

  it('passes over padding, type units and what it does not read, and says so', () => {
    const info = new ByteWriter();
    info.u32(0);
    info.sized((unit) => unit.u16(7).u32(0));
    info.sized((unit) => unit.u16(5).u8(2, 8).u32(0).u64(1n).u32(24).u8(0));
    info.sized((unit) => unit.u16(5).u8(4, 8).u32(0).u64(1n).u8(0));
    craftUnit(info, 4, (unit) => {
      unit.uleb(code.bareUnit).u8(0x0c).uleb(code.fn).text('f').u64(va(0x1000)).u32(0x10).u8(0, 0);
    });
    const symbols = symbolsOf(info);
    expect(symbols.framesAt(0x1000)).toMatchObject([{ function: 'f' }]);
    expect(symbols.notes).toEqual([
      'debug information of DWARF version 7 is not read',
      'debug information in separate .dwo files is not read',
    ]);
  });

  it('refuses references that lead nowhere or in circles', () => {
    const refused = (write: (unit: ByteWriter) => void, use: (symbols: DwarfSymbolSource) => unknown): void => {
      const info = new ByteWriter();
      unitOver(info, write);
      expect(() => use(symbolsOf(info))).toThrow(PoolproofError);
    };
    refused(
      (unit) => unit.uleb(99),
      (symbols) => symbols.framesAt(0x1000),
    );
    refused(
      (unit) => unit.uleb(code.split).text('f').u32(0),
      (symbols) => symbols.framesAt(0x1000),
    );
    refused(
      (unit) => unit.uleb(code.copy).u32(0x7000).u64(va(0x1000)).u64(va(0x1010)),
      (symbols) => symbols.framesAt(0x1000),
    );
    const circle = new ByteWriter();
    unitOver(circle, (unit) => unit.uleb(code.copy).u32(firstEntry).u64(va(0x1000)).u64(va(0x1010)));
    expect(symbolsOf(circle).framesAt(0x1000)).toMatchObject([{ function: '<unnamed>' }]);
    expect(() =>
      dwarfSymbols({ info: new ByteWriter().u32(100).u16(4).done(), abbrev: new Uint8Array(1) }, base),
    ).toThrow(/cut short/);
  });

  it('does not read one long list over and over', () => {
    const ranges = new ByteWriter();
    for (let i = 0; i < 20_000; i++) ranges.u64(BigInt(i)).u64(BigInt(i + 1));
    ranges.u64(0n).u64(0n);
    const info = new ByteWriter();
    unitOver(info, (unit) => {
      for (let i = 0; i < 20_000; i++)
        unit
          .uleb(code.split)
          .text('f')
          .u32(16 * (i % 1000));
    });
    expect(() => symbolsOf(info, { ranges: ranges.done() }).framesAt(0x1000)).toThrow(/repeats itself/);
  });
});

describe('DWARF 5 indexes', () => {
  const indexed: readonly CraftedShape[] = [
    {
      tag: tag.compileUnit,
      children: true,
      attributes: [
        [at.name, form.strx1],
        [at.strOffsetsBase, form.secOffset],
        [at.addrBase, form.secOffset],
        [at.rnglistsBase, form.secOffset],
        [at.lowPc, form.addrx],
        [at.ranges, form.rnglistx],
      ],
    },
    {
      tag: tag.subprogram,
      attributes: [
        [at.name, form.strx2],
        [at.lowPc, form.addrx1],
        [at.highPc, form.udata],
      ],
    },
    {
      tag: tag.subprogram,
      attributes: [
        [at.name, form.strx3],
        [at.ranges, form.rnglistx],
      ],
    },
    {
      tag: tag.variable,
      attributes: [
        [at.name, form.strx4],
        [at.location, form.exprloc],
      ],
    },
  ];

  it('resolves strx, addrx and rnglistx through the bases of the unit', () => {
    const info = new ByteWriter();
    craftUnit(info, 5, (unit) => {
      unit.uleb(1).u8(0).u32(12).u32(16).u32(12).uleb(0).uleb(0);
      unit.uleb(2).u16(1).u8(1).uleb(0x20);
      unit.uleb(3).u8(2, 0, 0).uleb(1);
      unit.uleb(4).u32(3).u8(2, 0xa1).uleb(2);
      unit.u8(0);
    });
    const str = new ByteWriter().text('x.c').text('plain').text('ranged').text('datum').done();
    const strOffsets = new ByteWriter().u32(0xbad).u32(20).u16(5).u16(0).u32(0).u32(4).u32(10).u32(17).done();
    const addr = new ByteWriter().u64(0xbadn).u32(44).u16(5).u8(8, 0);
    addr.u64(va(0x1000)).u64(va(0x1100)).u64(va(0x4000)).u64(va(0x1400)).u64(va(0x1410));
    const lists = new ByteWriter();
    lists.u8(5).u64(va(0x1000)).u8(4).uleb(0, 0x1000).u8(0); // list 0: the unit
    const second = lists.bytes.length;
    lists.u8(4).uleb(0x200, 0x210); // offset pair from the unit's base
    lists.u8(1).uleb(1).u8(4).uleb(0x200, 0x210); // base_addressx
    lists.u8(2).uleb(3, 4).u8(3).uleb(2, 0x10); // startx_endx, startx_length
    lists.u8(6).u64(va(0x1f00)).u64(va(0x1f10)).u8(7).u64(va(0x1f20)).uleb(8).u8(0);
    const rnglists = new ByteWriter()
      .u32(0)
      .u16(5)
      .u8(8, 0)
      .u32(2)
      .u32(8)
      .u32(8 + second)
      .u8(...lists.bytes);
    const symbols = dwarfSymbols(
      {
        info: info.done(),
        abbrev: craftAbbreviations(indexed),
        str,
        strOffsets,
        addr: addr.done(),
        rnglists: rnglists.done(),
      },
      base,
    );
    expect(symbols.framesAt(0x1100)).toMatchObject([{ function: 'plain', functionRva: 0x1100 }]);
    for (const rva of [0x1200, 0x120f, 0x1300, 0x130f, 0x1400, 0x1f00, 0x1f27]) {
      expect(symbols.framesAt(rva), rva.toString(16)).toMatchObject([{ function: 'ranged', functionRva: 0x1200 }]);
    }
    for (const rva of [0x11ff, 0x1210, 0x1310, 0x13ff, 0x1410, 0x1f10, 0x1f28])
      expect(symbols.framesAt(rva)).toEqual([]);
    expect(symbols.find('datum')).toEqual({ name: 'datum', rva: 0x4000, kind: 'data', sizeBytes: 0 });
  });
});
