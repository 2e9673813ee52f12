import { describe, expect, it } from 'vitest';
import { ByteWriter, craftAbbreviations, craftUnit } from '../../../test/crafted-dwarf.ts';
import { formOf } from './constants.ts';
import type { DwarfSections } from './dwarf-sections.ts';
import { type DwarfSymbolSource, dwarfSymbols } from './dwarf-symbols.ts';

const base = 0x1_4000_0000n;

/** A unit that claims [0x1000, 0x3000), compiled in /src, with nothing but lines. */
function withLines(line: Uint8Array, more: Partial<DwarfSections> = {}): DwarfSymbolSource {
  const abbrev = craftAbbreviations([
    {
      tag: 0x11,
      attributes: [
        [0x10, formOf.data4],
        [0x1b, formOf.string],
        [0x11, formOf.addr],
        [0x12, formOf.addr],
      ],
    },
  ]);
  const info = new ByteWriter();
  craftUnit(info, 4, (unit) =>
    unit
      .uleb(1)
      .u32(0)
      .text('/src')
      .u64(base + 0x1000n)
      .u64(base + 0x3000n),
  );
  return dwarfSymbols({ info: info.done(), abbrev, line, ...more }, base);
}

const lineBase = -3;
const lineRange = 12;
const standardOperands = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];

interface Program {
  readonly version: number;
  readonly minimal?: number;
  readonly opcodes?: readonly number[];
  readonly range?: number;
  readonly tables: (writer: ByteWriter) => void;
  readonly run: (writer: ByteWriter) => void;
}

function craftLines({
  version,
  minimal = 1,
  opcodes = standardOperands,
  range = lineRange,
  tables,
  run,
}: Program): Uint8Array {
  return new ByteWriter()
    .sized((body) => {
      body.u16(version);
      if (version >= 5) body.u8(8, 0);
      body.sized((header) => {
        header.u8(minimal);
        if (version >= 4) header.u8(1);
        header.u8(1, lineBase, range, opcodes.length + 1, ...opcodes);
        tables(header);
      });
      run(body);
    })
    .done();
}

/** Include directory 1 is `inc`, 2 is absolute; files: a.c, inc/b.h, /abs/c.h. */
function oldTables(writer: ByteWriter): void {
  writer.text('inc').text('/abs').u8(0);
  writer.text('a.c').u8(0, 0, 0).text('b.h').u8(1, 0, 0).text('c.h').u8(2, 0, 0).u8(0);
}

const setAddress = (writer: ByteWriter, rva: number): ByteWriter => writer.u8(0, 9, 2).u64(base + BigInt(rva));
const endSequence = (writer: ByteWriter): ByteWriter => writer.u8(0, 1, 1);
const special = (address: number, line: number): number => 13 + (line - lineBase) + lineRange * address;

describe('line programs', () => {
  it.each([2, 3, 4])('runs version %i', (version) => {
    const lines = withLines(
      craftLines({
        version,
        tables: oldTables,
        run: (w) => {
          setAddress(w, 0x1000).u8(special(0, 4)); // a.c:5 at 0x1000
          w.u8(special(3, 8)); // a.c:13 at 0x1003
          w.u8(4).uleb(2).u8(2).uleb(0x81).u8(3).sleb(200).u8(1); // b.h:213 at 0x1084
          w.u8(8).u8(3).sleb(-100).u8(5).uleb(3).u8(6, 7, 10, 11).u8(12).uleb(0); // const_add_pc: +20
          w.u8(0, 2, 4, 9).u8(0, 3, 0x80, 1, 2).u8(1); // discriminator, unknown extended; b.h:113 at 0x1098
          w.u8(9).u16(0x100).u8(4).uleb(3).u8(1); // c.h:113 at 0x1198
          w.u8(2).uleb(8);
          endSequence(w);
          setAddress(w, 0x2000).u8(special(0, 0));
          w.u8(2).uleb(1);
          endSequence(w);
        },
      }),
    );
    expect(lines.lineAt(0x0fff)).toBeUndefined();
    expect(lines.lineAt(0x1000)).toEqual({ file: '/src/a.c', line: 5 });
    expect(lines.lineAt(0x1002)).toEqual({ file: '/src/a.c', line: 5 });
    expect(lines.lineAt(0x1083)).toEqual({ file: '/src/a.c', line: 13 });
    expect(lines.lineAt(0x1084)).toEqual({ file: '/src/inc/b.h', line: 213 });
    expect(lines.lineAt(0x1098)).toEqual({ file: '/src/inc/b.h', line: 113 });
    expect(lines.lineAt(0x119f)).toEqual({ file: '/abs/c.h', line: 113 });
    expect(lines.lineAt(0x11a0)).toBeUndefined();
    expect(lines.lineAt(0x2000)).toEqual({ file: '/src/a.c', line: 1 });
    expect(lines.lineAt(0x2001)).toBeUndefined();
  });

  it('runs version 5, with line strings, checksums and directory 0', () => {
    const lineStr = new ByteWriter().text('/made').text('sub').text('a.c').text('b.h').done();
    const lines = withLines(
      craftLines({
        version: 5,
        tables: (w) => {
          w.u8(1).uleb(1, formOf.lineStrp).uleb(2).u32(0).u32(6);
          w.u8(4).uleb(1, formOf.lineStrp, 2, formOf.udata, 5, formOf.data16, 0x2001, formOf.string).uleb(2);
          w.u32(10)
            .uleb(0)
            .u8(...Array.from({ length: 16 }, () => 0xaa))
            .text('embedded source');
          w.u32(14)
            .uleb(1)
            .u8(...Array.from({ length: 16 }, () => 0xbb))
            .text('');
        },
        run: (w) => {
          setAddress(w, 0x1000).u8(4).uleb(0).u8(special(0, 2));
          w.u8(4).uleb(1).u8(special(1, 0)).u8(2).uleb(1);
          endSequence(w);
        },
      }),
      { lineStr },
    );
    expect(lines.lineAt(0x1000)).toEqual({ file: '/made/a.c', line: 3 });
    expect(lines.lineAt(0x1001)).toEqual({ file: '/src/sub/b.h', line: 3 });
  });

  it('takes a string’s address for its offset where it cannot be an offset', () => {
    const lineStr = new ByteWriter().text('/made').text('a.c').done();
    const tables = (w: ByteWriter): void => {
      w.u8(1).uleb(1, formOf.lineStrp).uleb(1).u32(0x4000_9000);
      w.u8(2).uleb(1, formOf.lineStrp, 2, formOf.udata).uleb(1).u32(0x4000_9006).uleb(0);
    };
    const run = (w: ByteWriter): void => {
      setAddress(w, 0x1000).u8(4).uleb(0).u8(special(0, 0)).u8(2).uleb(4);
      endSequence(w);
    };
    const line = craftLines({ version: 5, tables, run });
    expect(withLines(line, { lineStr, lineStrRva: 0x9000 }).lineAt(0x1001)).toEqual({ file: '/made/a.c', line: 1 });
    expect(() => withLines(line, { lineStr }).lineAt(0x1001)).toThrow(/nothing in .debug_line_str at 0x40009000/);
  });

  it('counts in instructions of the given size, and skips standard opcodes that it does not know', () => {
    const lines = withLines(
      craftLines({
        version: 4,
        minimal: 4,
        opcodes: [...standardOperands, 3],
        tables: oldTables,
        run: (w) => {
          setAddress(w, 0x1000).u8(1);
          w.u8(13).uleb(1000, 2, 3);
          w.u8(2).uleb(2).u8(3).sleb(1).u8(1).u8(2).uleb(1);
          endSequence(w);
        },
      }),
    );
    expect(lines.lineAt(0x1007)).toEqual({ file: '/src/a.c', line: 1 });
    expect(lines.lineAt(0x1008)).toEqual({ file: '/src/a.c', line: 2 });
    expect(lines.lineAt(0x100c)).toBeUndefined();
  });

  it('leaves out code that the linker dropped, line 0, and unknown files', () => {
    const lines = withLines(
      craftLines({
        version: 4,
        tables: oldTables,
        run: (w) => {
          w.u8(0, 9, 2).u64(0n).u8(special(0, 0)).u8(2).uleb(0x2000);
          endSequence(w);
          setAddress(w, 0x1000).u8(special(0, -1)).u8(special(4, 5));
          w.u8(4).uleb(77).u8(special(4, 0)).u8(2).uleb(4);
          endSequence(w);
          // No end of the sequence: its rows count for nothing.
          setAddress(w, 0x2000).u8(special(0, 0));
        },
      }),
    );
    expect(lines.lineAt(0x1000)).toBeUndefined();
    expect(lines.lineAt(0x1004)).toEqual({ file: '/src/a.c', line: 5 });
    expect(lines.lineAt(0x1008)).toBeUndefined();
    expect(lines.lineAt(0x2000)).toBeUndefined();
  });

  it('refuses what no compiler writes', () => {
    const run = (w: ByteWriter): void => {
      setAddress(w, 0x1000).u8(200);
    };
    const failing = (line: Uint8Array) => (): unknown => withLines(line).lineAt(0x1000);
    expect(failing(craftLines({ version: 4, range: 0, tables: oldTables, run }))).toThrow(/line range 0/);
    expect(failing(craftLines({ version: 6, tables: oldTables, run }))).toThrow(/version 6 is not known/);
    expect(failing(craftLines({ version: 4, tables: oldTables, run }).subarray(0, 50))).toThrow(/cut short/);
    // Entries of no bytes, 2^42 of them.
    const endless = (w: ByteWriter): void => {
      w.u8(0).uleb(2 ** 42);
    };
    expect(failing(craftLines({ version: 5, tables: endless, run }))).toThrow(/repeats itself/);
  });
});
