import { describe, expect, it } from 'vitest';
import { buildPe, sectionFlags, unwindInfo } from '../../../test/pe-builder.ts';
import { PoolproofError } from '../../base/errors.ts';
import { type Va, vaFromU64 } from '../../base/va.ts';
import { imageChecksum, layOutImage, type PeImage, parsePe, sectionAt } from './index.ts';

const peAt = 0x80;
const optionalAt = peAt + 24;
const firstSectionAt = optionalAt + 240;

function text(value: string, size = 64): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, value.length));
  for (let index = 0; index < value.length; index++) bytes[index] = value.charCodeAt(index);
  return bytes;
}

/** The error's one line for a file of that content. */
function refusal(bytes: Uint8Array): string {
  try {
    parsePe(bytes, 'x.sys');
  } catch (error) {
    if (!(error instanceof PoolproofError)) throw error;
    expect(error.message).not.toContain('\n');
    return `${error.code} ${error.message}`;
  }
  throw new Error('it was accepted');
}

/** A valid driver with some fields overwritten. */
function patched(patch: (view: DataView) => void, spec: Parameters<typeof buildPe>[0] = {}): Uint8Array {
  const { bytes } = buildPe(spec);
  patch(new DataView(bytes.buffer));
  return bytes;
}

describe('files that are no drivers', () => {
  const expected = 'expected an x64 Windows driver (PE32+, .sys)';
  it.each([
    ['an empty file', new Uint8Array()],
    ['an ELF file (Linux)', text('\x7fELF')],
    ['a Mach-O file (macOS)', text('\xcf\xfa\xed\xfe')],
    ['a zip archive', text('PK\x03\x04')],
    ['a PDB file (debug information)', text('Microsoft C/C++ MSF 7.00\r\n\x1aDS')],
    ['a library (.lib or .a archive)', text('!<arch>\n')],
    ['a COFF object file (not linked)', text('\x64\x86\x05')],
    ['a text file', text('[Version]\r\n', 11)],
    ['a file of zeros', new Uint8Array(300)],
    ['not a PE image: it starts with bytes 01 02 03 04 instead of "MZ"', text('\x01\x02\x03\x04')],
    ['a DOS program (MZ without a PE header)', text('MZ', 200)],
  ])('says %s', (kind, bytes) => {
    expect(refusal(bytes)).toBe(`PP1001 x.sys: ${kind}, ${expected}`);
  });

  it('says that a 16-bit Windows program is one', () => {
    const bytes = patched((view) => view.setUint16(peAt, 0x454e, true));
    expect(refusal(bytes)).toBe(`PP1001 x.sys: a 16-bit Windows program (NE), ${expected}`);
  });
});

describe('images of the wrong kind', () => {
  it.each([
    [0x14c, '32-bit x86 (I386)'],
    [0xaa64, 'ARM64'],
    [0x1c4, '32-bit ARM (Thumb-2)'],
    [0x1234, 'unknown machine 0x1234'],
  ])('names machine %s', (machine, name) => {
    expect(refusal(buildPe({ machine }).bytes)).toBe(
      `PP1002 x.sys: an image for ${name}, expected one for x64 (AMD64)`,
    );
  });

  it('names a PE32 header', () => {
    expect(refusal(patched((view) => view.setUint16(optionalAt, 0x10b, true)))).toBe(
      'PP1002 x.sys: a PE32 (32-bit) header, expected PE32+ (0x20b)',
    );
  });

  it.each([
    [2, 'Windows GUI'],
    [3, 'Windows console'],
    [10, 'EFI application'],
  ])('names subsystem %s', (subsystem, name) => {
    expect(refusal(buildPe({ subsystem }).bytes)).toBe(
      `PP1002 x.sys: subsystem ${subsystem} (${name}), expected subsystem 1 (native), which kernel-mode drivers have`,
    );
  });

  it('refuses managed and unlinked images', () => {
    expect(refusal(patched((view) => view.setUint32(optionalAt + 112 + 14 * 8, 0x1000, true)))).toContain(
      'managed (.NET)',
    );
    expect(refusal(buildPe({ characteristics: 0x20 }).bytes)).toContain('marked as not executable');
  });

  it('refuses ARM64EC, whose machine field says x64', () => {
    const { bytes } = buildPe({ loadConfig: (at) => ({ 200: at.imageBase + 0x1000n }) });
    expect(refusal(bytes)).toContain('PP1002 x.sys: an ARM64EC image');
  });
});

describe('malformed headers', () => {
  it('says what is missing wherever the file is cut', () => {
    const { bytes } = buildPe({ imports: { 'ntoskrnl.exe': ['DbgPrint'] } });
    for (let size = 1; size < bytes.length; size += 7) {
      expect(refusal(bytes.subarray(0, size))).toMatch(/^PP100[13] x\.sys: /);
    }
    expect(refusal(bytes.subarray(0, bytes.length - 1))).toBe(
      "PP1003 x.sys: truncated: the data of section .text ends at file offset 0x800, expected within the file's 0x7ff bytes",
    );
  });

  const optional = (offset: number, value: number) =>
    patched((view) => view.setUint32(optionalAt + offset, value, true));
  const section = (offset: number, value: number) =>
    patched((view) => view.setUint32(firstSectionAt + offset, value, true), { sections: [{ name: 'two', data: [1] }] });

  it.each([
    ['an absurd SizeOfImage', optional(56, 0xffff_f000), 'SizeOfImage 0xfffff000, expected 1 to 0x4000000 (64 MB)'],
    ['SizeOfHeaders past the image', optional(60, 0x7fff_ffff), 'truncated: the headers (SizeOfHeaders)'],
    [
      'SizeOfHeaders before the table',
      optional(60, 0x10),
      "SizeOfHeaders 0x10, expected 0x1b0 (the section table's end)",
    ],
    ['an odd section alignment', optional(32, 0x1001), 'section alignment 0x1001, expected a power of two'],
    ['an odd file alignment', optional(36, 0x201), 'file alignment 0x201, expected a power of two up to 0x10000'],
    ['an entry point outside', optional(16, 0x9000_0000), 'entry point 0x90000000, expected an RVA below SizeOfImage'],
    ['a non-canonical base', optional(28, 0x8000), 'image base 0x800040000000, expected a canonical address'],
    ['a misaligned base', optional(24, 0x4000_1000), 'image base 0x140001000, expected a canonical address'],
    ['no sections', patched((view) => view.setUint16(peAt + 6, 0, true)), '0 sections, expected 1 to 96'],
    ['too many sections', patched((view) => view.setUint16(peAt + 6, 97, true)), '97 sections, expected 1 to 96'],
    ['too many directories', optional(108, 0x7fff_ffff), undefined],
    [
      'a small optional header',
      patched((view) => view.setUint16(peAt + 20, 100, true)),
      'an optional header of 100 bytes',
    ],
    [
      'directories past it',
      patched((view) => view.setUint16(peAt + 20, 200, true)),
      '16 data directories in an optional',
    ],
    ['a section over the headers', section(12, 0), 'section .text at RVA 0x0 overlaps what stands before it'],
    ['overlapping sections', section(8, 0x1001), 'section two at RVA 0x2000 overlaps what stands before it'],
    ['a section at an odd place', section(12, 0x1200), 'section .text at RVA 0x1200, expected a multiple of 0x1000'],
    ['a huge section', section(8, 0xffff_ffff), 'section .text ends at RVA 0x100000fff, expected an end within'],
    ['raw data past the end', section(20, 0x7fff_fe00), 'truncated: the data of section .text ends at file offset'],
    [
      'raw data at an odd offset',
      section(20, 0x401),
      'section .text at file offset 0x401, expected a multiple of 0x200',
    ],
  ])('names %s', (_, bytes, message) => {
    if (message === undefined) expect(parsePe(bytes, 'x.sys').notes).toEqual([]);
    else expect(refusal(bytes)).toContain(message);
  });

  it('notes a gap between sections and goes on', () => {
    const { bytes } = buildPe({
      sections: [
        { name: 'a', virtualSize: 0x3000 },
        { name: 'b', data: [1] },
      ],
    });
    new DataView(bytes.buffer).setUint32(firstSectionAt + 40 + 8, 0x1000, true);
    expect(parsePe(bytes, 'x.sys').notes).toEqual(['a gap of 0x2000 bytes before section b']);
  });
});

describe('malformed directories', () => {
  const directory = (index: number, rva: number, size: number) =>
    patched(
      (view) => {
        view.setUint32(optionalAt + 112 + index * 8, rva, true);
        view.setUint32(optionalAt + 116 + index * 8, size, true);
      },
      { imports: { 'ntoskrnl.exe': ['DbgPrint'] } },
    );
  it.each([
    [0, 'export table'],
    [1, 'import table'],
    [3, 'function table (.pdata)'],
    [5, 'base relocations'],
    [6, 'debug directory'],
    [10, 'load configuration'],
    [13, 'delay import table'],
  ])('names directory %s outside of the image', (index, name) => {
    for (const rva of [0x2fff, 0x3000, 0x7fff_fff0, 0xffff_fffc]) {
      const message = refusal(directory(index, rva, 48));
      expect(message).toContain(`PP1005 x.sys: malformed ${name}: `);
    }
  });

  it('names a signature that was cut off', () => {
    expect(refusal(directory(4, 0x700, 0x200))).toContain('truncated: the signature (certificate table)');
    expect(parsePe(directory(4, 0x400, 0x20), 'x.sys').certificates).toEqual({ fileOffset: 0x400, sizeBytes: 0x20 });
  });

  it.each([
    ['HIGHADJ', 0x4008, 'relocation type 4 (HIGHADJ) for RVA 0x1008, expected DIR64, HIGHLOW or ABSOLUTE'],
    ['11', 0xb008, 'relocation type 11 (not defined) for RVA 0x1008'],
  ])('names relocation type %s', (_, entry, message) => {
    const built = buildPe({ relocations: [0x1008] });
    const raw = 0x600;
    new DataView(built.bytes.buffer).setUint16(raw + 8, entry, true);
    expect(refusal(built.bytes)).toContain(message);
  });

  it('names relocation blocks of size 0, too long ones and fields outside of the image', () => {
    const block = (offset: number, value: number) => {
      const built = buildPe({ relocations: [0x1008] });
      new DataView(built.bytes.buffer).setUint32(0x600 + offset, value, true);
      return refusal(built.bytes);
    };
    expect(block(4, 0)).toContain('a block of 0x0 bytes at RVA 0x2000, expected 8 to 0xc');
    expect(block(4, 0x100)).toContain('a block of 0x100 bytes');
    expect(block(0, 0xffff_f000)).toContain('a relocated field at RVA 0xfffff008 (0x8 bytes) lies outside');
  });

  it('names functions out of order', () => {
    const unwind = unwindInfo({});
    const { bytes } = buildPe({
      code: new Uint8Array(64).fill(0xc3),
      functions: [
        { begin: 16, end: 32, unwind },
        { begin: 8, end: 40, unwind },
      ],
    });
    expect(refusal(bytes)).toContain('function 0x1008 to 0x1028 in entry 1, expected a range from 0x1020 up');
  });

  it('stops at import tables without an end', () => {
    const data = new Uint8Array(0x2000).fill(0x11);
    const { bytes, sectionRva } = buildPe({ sections: [{ name: 'x', data }] });
    const view = new DataView(bytes.buffer);
    view.setUint32(optionalAt + 120, sectionRva.get('x') ?? 0, true);
    view.setUint32(optionalAt + 124, 40, true);
    expect(refusal(bytes)).toContain('malformed import table');
  });
});

describe('a driver', () => {
  const code = new Uint8Array(64);
  code.set([0x31, 0xc0, 0xc3]);
  new DataView(code.buffer).setBigUint64(16, 0x1_4000_1234n, true);
  const built = buildPe({
    code,
    imports: { 'ntoskrnl.exe': ['DbgPrint', 7, 'ExFreePool'], 'hal.dll': ['KeStallExecutionProcessor'] },
    exports: [
      { name: 'zeta', offset: 0 },
      { name: 'alpha', ordinal: 5, forwarder: 'ntoskrnl.DbgPrint' },
      { offset: 2 },
    ],
    functions: [{ begin: 0, end: 3, unwind: unwindInfo({}) }],
    relocations: (at) => [at.textRva + 16],
    sections: [
      { name: 'PAGE', virtualSize: 0x2345, characteristics: sectionFlags.code },
      { name: 'PAGElk', data: [1], characteristics: 0x6800_0020 },
      { name: 'INIT', data: [1], characteristics: 0x6200_0020 },
    ],
    codeView: { guid: Uint8Array.from({ length: 16 }, (_, index) => index), age: 3, path: 'c:\\out\\x.pdb' },
    loadConfig: (at) => ({
      88: at.imageBase + 0x1010n,
      112: at.imageBase + 0x1020n,
      120: at.imageBase + 0x1028n,
    }),
  });
  const pe: PeImage = parsePe(built.bytes, 'x.sys');

  it('has its imports by name and ordinal', () => {
    expect(pe.imports).toEqual([
      {
        module: 'ntoskrnl.exe',
        imports: [
          { name: 'DbgPrint', ordinal: undefined, iatRva: built.iat('DbgPrint') },
          { name: undefined, ordinal: 7, iatRva: built.iat(7) },
          { name: 'ExFreePool', ordinal: undefined, iatRva: built.iat('ExFreePool') },
        ],
      },
      {
        module: 'hal.dll',
        imports: [
          { name: 'KeStallExecutionProcessor', ordinal: undefined, iatRva: built.iat('KeStallExecutionProcessor') },
        ],
      },
    ]);
  });

  it('has its exports, forwarders and nameless ones among them', () => {
    const [zeta, alpha, third] = pe.exports;
    expect(zeta).toEqual({ name: 'zeta', ordinal: 1, rva: built.textRva, forwarder: undefined });
    expect(alpha).toMatchObject({ name: 'alpha', ordinal: 5, forwarder: 'ntoskrnl.DbgPrint' });
    expect(third).toEqual({ name: undefined, ordinal: 6, rva: built.textRva + 2, forwarder: undefined });
    expect(pe.exportedModuleName).toBe('built.sys');
  });

  it('has section properties', () => {
    const properties = (name: string) => pe.sections.find((section) => section.name === name);
    expect(properties('.text')).toMatchObject({ isExecutable: true, isWritable: false, isPageable: false });
    expect(properties('.idata')).toMatchObject({ isExecutable: false, isWritable: true, isReadable: true });
    expect(properties('PAGE')).toMatchObject({ isPageable: true, isDiscardable: false, virtualSize: 0x2345 });
    expect(properties('PAGElk')).toMatchObject({ isPageable: false });
    expect(properties('INIT')).toMatchObject({ isDiscardable: true });
    expect(sectionAt(pe, built.textRva + 5)?.name).toBe('.text');
    expect(sectionAt(pe, 0)).toBeUndefined();
  });

  it('has debug, load configuration and functions', () => {
    expect(pe.codeView).toEqual({ guid: '03020100-0504-0706-0809-0A0B0C0D0E0F', age: 3, pdbPath: 'c:\\out\\x.pdb' });
    expect(pe.loadConfig).toMatchObject({
      securityCookieRva: 0x1010,
      guardCfCheckFunctionPointerRva: 0x1020,
      guardCfDispatchFunctionPointerRva: 0x1028,
      guardXfgCheckFunctionPointerRva: undefined,
    });
    expect(pe.functions).toEqual([
      { beginRva: built.textRva, endRva: built.textRva + 3, unwindInfoRva: built.unwindRva(0) },
    ]);
    expect(pe.entryPointRva).toBe(built.textRva);
  });

  it('moves to another base', () => {
    const base = vaFromU64(0xffff_f801_2345_0000n);
    const image = layOutImage(pe, base);
    expect(image.length).toBe(pe.sizeOfImage);
    const view = new DataView(image.buffer);
    expect(view.getBigUint64(built.textRva + 16, true)).toBe(0xffff_f801_2345_1234n);
    expect(new DataView(layOutImage(pe, pe.preferredBase).buffer).getBigUint64(built.textRva + 16, true)).toBe(
      0x1_4000_1234n,
    );
    expect(pe.mapped[built.textRva + 17]).toBe(0x12);
  });

  it('applies HIGHLOW to 32 bits, wrapping', () => {
    const { bytes, textRva } = buildPe({ code: [0, 0, 0, 0xf0, 9], relocations: (at) => [at.textRva] });
    new DataView(bytes.buffer).setUint16(0x600 + 8, 0x3000, true);
    const image = layOutImage(parsePe(bytes, 'x.sys'), 0x1_5555_0000 as Va);
    expect([...image.subarray(textRva, textRva + 5)]).toEqual([0, 0, 0x55, 0x05, 9]);
  });

  it('stays at its base without relocations', () => {
    const stripped = parsePe(buildPe({ characteristics: 0x23 }).bytes, 'x.sys');
    expect(layOutImage(stripped, stripped.preferredBase).length).toBe(stripped.sizeOfImage);
    expect(() => layOutImage(stripped, 0x10000 as Va)).toThrow("x.sys: can't be relocated");
  });

  it('may have no entry point', () => {
    expect(parsePe(buildPe({ entryOffset: null }).bytes, 'x.sys').entryPointRva).toBeUndefined();
  });

  it('may have sections closer than pages', () => {
    const small = parsePe(buildPe({ sectionAlignment: 0x200, sections: [{ name: 'b', data: [7] }] }).bytes, 'x.sys');
    expect(small.sections.map(({ rva }) => rva)).toEqual([0x400, 0x600]);
    expect(small.mapped[0x600]).toBe(7);
  });

  it('has a checksum that ignores the field itself', () => {
    const sum = imageChecksum(built.bytes);
    const copy = built.bytes.slice();
    new DataView(copy.buffer).setUint32(optionalAt + 64, sum, true);
    expect(imageChecksum(copy)).toBe(sum);
    copy[copy.length - 1] = 1;
    expect(imageChecksum(copy)).not.toBe(sum);
  });
});
