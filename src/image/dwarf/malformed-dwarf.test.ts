import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter, craftAbbreviations, craftUnit } from '../../../test/crafted-dwarf.ts';
import { PoolproofError } from '../../base/errors.ts';
import { attributeOf as at, formOf as form, tagOf as tag } from './constants.ts';
import type { DwarfSectionKey, DwarfSections } from './dwarf-sections.ts';
import { dwarfSymbols } from './dwarf-symbols.ts';

const base = 0x1_4000_0000n;
const va = (rva: number): bigint => base + BigInt(rva);

/** A small image with some of everything: indexed strings and addresses, lists of ranges, lines, inlined copies. */
function craftImage(): DwarfSections {
  const abbrev = craftAbbreviations([
    {
      tag: tag.compileUnit,
      children: true,
      attributes: [
        [at.stmtList, form.secOffset],
        [at.strOffsetsBase, form.secOffset],
        [at.addrBase, form.secOffset],
        [at.rnglistsBase, form.secOffset],
        [at.compDir, form.lineStrp],
        [at.lowPc, form.addr],
        [at.ranges, form.rnglistx],
      ],
    },
    { tag: tag.subprogram, attributes: [[at.name, form.strp]] },
    {
      tag: tag.subprogram,
      children: true,
      attributes: [
        [at.name, form.strx1],
        [at.lowPc, form.addrx],
        [at.highPc, form.udata],
        [at.type, form.ref4],
      ],
    },
    {
      tag: tag.inlinedSubroutine,
      attributes: [
        [at.abstractOrigin, form.refUdata],
        [at.ranges, form.rnglistx],
        [at.callFile, form.implicitConst, 0],
        [at.callLine, form.data2],
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
    { tag: tag.subrangeType, attributes: [[at.count, form.sdata]] },
    { tag: tag.namespace, children: true, attributes: [[at.name, form.string]] },
    { tag: 0x24, attributes: [[at.byteSize, form.indirect]] },
  ]);
  const info = new ByteWriter();
  craftUnit(info, 5, (unit) => {
    unit.uleb(1).u32(0).u32(8).u32(8).u32(12).u32(0).u64(va(0x1000)).uleb(0);
    // Offsets count from the unit's length field, which is written later.
    const here = (): number => 4 + unit.bytes.length;
    const leaf = here();
    unit.uleb(2).u32(0);
    const int = here();
    unit.uleb(9).uleb(form.data1).u8(4);
    const array = here();
    unit.uleb(6).u32(int).uleb(7).sleb(9).u8(0);
    unit.uleb(3).u8(1).uleb(0).uleb(0x80).u32(int);
    unit.uleb(4).uleb(leaf).uleb(1).u16(77).u8(0);
    unit.uleb(8).text('ab');
    unit.uleb(5).text('datum').u32(array).u8(9, 3).u64(va(0x4000)).u8(0, 0);
  });
  const rnglists = new ByteWriter().u32(60).u16(5).u8(8, 0).u32(2).u32(8).u32(14);
  rnglists.u8(4).uleb(0, 0x1000).u8(0, 0).u8(1).uleb(1).u8(4).uleb(0x10, 0x20).u8(7).u64(va(0x1050)).uleb(8).u8(0);
  const line = new ByteWriter().sized((body) => {
    body.u16(5).u8(8, 0);
    body.sized((header) => {
      header.u8(1, 1, 1, -3, 12, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1);
      header.u8(1).uleb(1, form.lineStrp).uleb(1).u32(0);
      header.u8(2).uleb(1, form.lineStrp, 2, form.udata).uleb(1).u32(5).uleb(0);
    });
    body.u8(0, 9, 2).u64(va(0x1000)).u8(4).uleb(0);
    for (let i = 0; i < 40; i++) body.u8(20 + i * 4);
    body.u8(0, 2, 4, 9).u8(8, 9).u16(16).u8(2).uleb(9).u8(3).sleb(-20).u8(1, 0, 1, 1);
  });
  return {
    info: info.done(),
    abbrev,
    line: line.done(),
    lineStr: new ByteWriter().text('/src').text('a.c').done(),
    str: new ByteWriter().text('leaf').text('root').done(),
    strOffsets: new ByteWriter().u32(12).u16(5).u16(0).u32(0).u32(5).done(),
    addr: new ByteWriter().u32(20).u16(5).u8(8, 0).u64(va(0x1000)).u64(va(0x1000)).done(),
    rnglists: rnglists.done(),
    aranges: new ByteWriter().sized((set) => set.u16(2).u32(0).u8(8, 0).u32(0).u64(va(0)).u64(1n)).done(),
  };
}

/** Asks for everything; counts answers. Whatever is wrong has to be said by a PoolproofError of one line. */
function useAll(sections: DwarfSections): number {
  let answers = 0;
  const attempt = (use: () => unknown): void => {
    try {
      use();
      answers++;
    } catch (error) {
      if (!(error instanceof PoolproofError)) throw error;
      expect(error.code).toMatch(/^PP13\d\d$/);
      expect(error.message).not.toMatch(/\n/);
    }
  };
  attempt(() => {
    const symbols = dwarfSymbols(sections, base);
    for (let rva = 0x0ff0; rva < 0x10a0; rva += 8) attempt(() => symbols.framesAt(rva));
    attempt(() => symbols.lineAt(0x1010));
    attempt(() => symbols.symbols());
    attempt(() => symbols.find('root'));
  });
  return answers;
}

describe('malformed DWARF', () => {
  it('starts from an image that is well formed', () => {
    const symbols = dwarfSymbols(craftImage(), base);
    expect(symbols.framesAt(0x1012)).toMatchObject([
      { function: 'leaf', inlined: true, source: { file: '/src/a.c' } },
      { function: 'root', source: { file: '/src/a.c', line: 77 } },
    ]);
    expect(symbols.framesAt(0x1050)).toHaveLength(2);
    expect(symbols.framesAt(0x1058)).toHaveLength(1);
    expect(symbols.symbols().map(({ name }) => name)).toEqual(['root', 'ab::datum']);
    expect(symbols.find('ab::datum')).toMatchObject({ rva: 0x4000, sizeBytes: 36 });
    expect(useAll(craftImage())).toBe(26);
  });

  it('survives every single byte set to every extreme', () => {
    const image = craftImage();
    for (const [key, bytes] of Object.entries(image) as [DwarfSectionKey, Uint8Array][]) {
      for (let i = 0; i < bytes.length; i++) {
        for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
          const changed = Uint8Array.from(bytes);
          changed[i] = value;
          useAll({ ...image, [key]: changed });
        }
      }
    }
  });

  it('survives cuts and random changes', () => {
    const image = craftImage();
    const keys = Object.keys(image) as DwarfSectionKey[];
    const change = fc.record({
      key: fc.constantFrom(...keys),
      place: fc.nat(400),
      value: fc.nat(255),
      cut: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const changed = { ...image };
        for (const { key, place, value, cut } of changes) {
          const bytes = Uint8Array.from(changed[key] ?? []);
          if (bytes.length === 0) continue;
          bytes[place % bytes.length] = value;
          changed[key] = cut === 0 ? bytes.subarray(0, place % bytes.length) : bytes;
        }
        useAll(changed);
      }),
      { seed: 20260, numRuns: 3000 },
    );
  });
});
