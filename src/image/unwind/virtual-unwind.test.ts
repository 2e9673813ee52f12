import { describe, expect, it } from 'vitest';
import { type BuildFunction, buildPe, unwindInfo } from '../../../test/pe-builder.ts';
import { type Va, vaToU64 } from '../../base/va.ts';
import { type PeImage, parsePe } from '../pe/index.ts';
import {
  frameShape,
  functionRanges,
  lookupFunctionEntry,
  primaryFunction,
  readUnwindInfo,
  virtualUnwind,
} from './index.ts';

const base = -0x7ff0_0000_0000 as Va;
const stack = -0x7000_0000_0000 as Va;
const uwop = {
  push: 0,
  allocLarge: 1,
  allocSmall: 2,
  setFrame: 3,
  save: 4,
  saveFar: 5,
  epilog: 6,
  xmm: 8,
  xmmFar: 9,
  machine: 10,
};
const [rbx, rsp, rbp, r12] = [3, 4, 5, 12];

function imageOf(functions: BuildFunction[], code: readonly number[] = new Array(0x200).fill(0x90)): PeImage {
  return parsePe(buildPe({ code, functions }).bytes, 'x.sys');
}

const textRva = 0x1000;

/** Each stack slot holds 0xABCD0000 plus its offset from rsp. */
function unwindAt(
  pe: PeImage,
  offset: number,
  handlerType: 'none' | 'exception' | 'unwind' = 'none',
  readable = 0x10000,
) {
  const rva = textRva + offset;
  const gpr = BigUint64Array.from({ length: 16 }, (_, register) => BigInt(0x1111 * register));
  gpr[rsp] = vaToU64(stack);
  gpr[rbp] = vaToU64((stack + 0x50) as Va);
  const context = { rip: vaToU64((base + rva) as Va), gpr, xmm: new BigUint64Array(32) };
  const readU64 = (va: Va) => (va >= stack && va < stack + readable ? 0xabcd_0000n + BigInt(va - stack) : undefined);
  const entry = lookupFunctionEntry(pe, rva);
  return virtualUnwind({ pe, imageBase: base, entry, context, memory: { readU64 }, handlerType });
}

const slot = (offset: number): bigint => 0xabcd_0000n + BigInt(offset);

function unwound(result: ReturnType<typeof unwindAt>) {
  if (result.kind !== 'unwound') throw new Error(result.kind);
  const { context, establisherFrame, handler } = result;
  const at = (value: bigint) => Number(BigInt.asIntN(64, value)) - stack;
  return {
    rip: context.rip,
    rspOffset: at(context.gpr[rsp]!),
    frameOffset: at(establisherFrame),
    gpr: context.gpr,
    xmm: context.xmm,
    handler,
  };
}

describe('virtualUnwind', () => {
  it('takes a function without an entry for a leaf', () => {
    const result = unwound(unwindAt(imageOf([]), 0));
    expect(result).toMatchObject({ rip: slot(0), rspOffset: 8, frameOffset: 0 });
  });

  const plain = imageOf([
    {
      begin: 0,
      end: 0x40,
      unwind: unwindInfo({
        prolog: 6,
        codes: [
          [6, uwop.allocSmall, 4],
          [2, uwop.push, rbx],
          [1, uwop.push, r12],
        ],
      }),
    },
  ]);

  it.each([
    [0, 8, undefined, undefined],
    [1, 0x10, undefined, 0],
    [2, 0x18, 0, 8],
    [5, 0x18, 0, 8],
    [6, 0x40, 0x28, 0x30],
    [0x20, 0x40, 0x28, 0x30],
  ])('undoes what of the prolog ran at offset %s', (offset, rspOffset, rbxAt, r12At) => {
    const result = unwound(unwindAt(plain, offset));
    expect(result).toMatchObject({ rspOffset, rip: slot(rspOffset - 8) });
    expect(result.gpr[rbx]).toBe(rbxAt === undefined ? 0x3333n : slot(rbxAt));
    expect(result.gpr[r12]).toBe(r12At === undefined ? BigInt(0x1111 * 12) : slot(r12At));
  });

  it('reads all sizes of allocations and saves', () => {
    const pe = imageOf([
      {
        begin: 0,
        end: 0x40,
        unwind: unwindInfo({
          prolog: 8,
          codes: [
            [8, uwop.xmmFar, 7],
            0x2340,
            0,
            [7, uwop.xmm, 6],
            4,
            [6, uwop.saveFar, r12],
            0x8008,
            0,
            [5, uwop.save, rbx],
            5,
            [4, uwop.allocLarge, 1],
            0x0010,
            1,
            [3, uwop.allocLarge, 0],
            0x10,
          ],
        }),
      },
    ]);
    const result = unwound(unwindAt(pe, 0x20, 'none', 0x20000));
    expect(result.rspOffset).toBe(0x10010 + 0x80 + 8);
    expect(result.gpr[rbx]).toBe(slot(0x28));
    expect(result.gpr[r12]).toBe(slot(0x8008));
    expect([...result.xmm.slice(12, 16)]).toEqual([slot(0x40), slot(0x48), slot(0x2340), slot(0x2348)]);
  });

  it('counts from the frame register once it is set', () => {
    const codes = [
      [9, uwop.setFrame, 0],
      [4, uwop.allocSmall, 3],
      [1, uwop.push, rbp],
    ] as const;
    const pe = imageOf([
      { begin: 0, end: 0x40, unwind: unwindInfo({ prolog: 9, frameRegister: rbp, frameOffset: 2, codes }) },
    ]);
    expect(unwound(unwindAt(pe, 4))).toMatchObject({ frameOffset: 0, rspOffset: 0x30 });
    const body = unwound(unwindAt(pe, 9));
    expect(body).toMatchObject({ frameOffset: 0x30, rspOffset: 0x30 + 0x20 + 0x10, rip: slot(0x58) });
    expect(body.gpr[rbp]).toBe(slot(0x50));
    expect(frameShape(pe, textRva + 9)).toEqual({
      kind: 'frame-register',
      register: rbp,
      frameSizeBytes: 8,
      saved: [{ register: rbp, offsetBytes: 0 }],
    });
  });

  it.each([
    [0, 0],
    [1, 8],
  ])('leaves through a machine frame with error code %s', (info, skip) => {
    const pe = imageOf([
      {
        begin: 0,
        end: 0x40,
        unwind: unwindInfo({
          codes: [
            [0, uwop.allocSmall, 1],
            [0, uwop.machine, info],
          ],
        }),
      },
    ]);
    const result = unwound(unwindAt(pe, 0x20));
    expect(result.rip).toBe(slot(0x10 + skip));
    expect(result.gpr[rsp]).toBe(slot(0x10 + skip + 24));
    expect(frameShape(pe, textRva + 0x20)).toBeUndefined();
  });

  it('says what it could not read', () => {
    expect(unwindAt(plain, 0x20, 'none', 0x30)).toEqual({ kind: 'unreadable', va: stack + 0x30 });
    expect(unwindAt(plain, 0x20, 'none', 0x38)).toEqual({ kind: 'unreadable', va: stack + 0x38 });
  });

  describe('handlers', () => {
    const withHandler = (flags: number) =>
      imageOf(
        [
          {
            begin: 0,
            end: 0x40,
            unwind: unwindInfo({ flags, prolog: 4, codes: [[4, uwop.allocSmall, 4]], tail: [0x1100, 99] }),
          },
        ],
        [...new Array(0x20).fill(0x90), 0x48, 0x83, 0xc4, 0x28, 0xc3, ...new Array(0x100).fill(0x90)],
      );
    it.each([
      [1, 'exception', true],
      [1, 'unwind', false],
      [2, 'unwind', true],
      [2, 'exception', false],
      [3, 'unwind', true],
      [3, 'none', false],
    ] as const)('flags %s asked for %s', (flags, type, isFound) => {
      const pe = withHandler(flags);
      const dataRva = pe.functions[0]!.unwindInfoRva + 12;
      expect(unwound(unwindAt(pe, 4, type)).handler).toEqual(isFound ? { rva: 0x1100, dataRva } : undefined);
      expect(unwound(unwindAt(pe, 2, type)).handler).toBeUndefined();
      expect(unwound(unwindAt(pe, 0x20, type)).handler).toBeUndefined();
    });

    it('belong to the primary part', () => {
      const primary = unwindInfo({ flags: 1, prolog: 4, codes: [[4, uwop.allocSmall, 4]], tail: [0x1100, 99] });
      const pe = imageOf([
        { begin: 0, end: 0x20, unwind: primary },
        {
          begin: 0x80,
          end: 0xa0,
          unwind: (at) => unwindInfo({ flags: 4, tail: [textRva, textRva + 0x20, at.unwindRva(0)] }),
        },
      ]);
      expect(unwound(unwindAt(pe, 0x90, 'exception'))).toMatchObject({ handler: { rva: 0x1100 }, rspOffset: 0x30 });
    });
  });

  describe('epilogs of version 1', () => {
    const info = unwindInfo({
      prolog: 6,
      codes: [
        [6, uwop.allocSmall, 4],
        [2, uwop.push, rbx],
        [1, uwop.push, r12],
      ],
    });
    const pops = [0x5b, 0x41, 0x5c];
    const at = (bytes: number[], offset = 0x10) => {
      const code = new Array(0x100).fill(0x90);
      bytes.forEach((byte, index) => {
        code[0x10 + index] = byte;
      });
      const other = { begin: 0x60, end: 0x80, unwind: unwindInfo({}) };
      const pe = imageOf([{ begin: 0, end: 0x40, unwind: info }, other], code);
      const result = unwound(unwindAt(pe, offset));
      const shape = frameShape(pe, textRva + offset);
      expect(shape?.frameSizeBytes).toBe(result.rspOffset - 8);
      return result.rspOffset;
    };
    it.each([
      ['add rsp, imm8; pops; ret', [0x48, 0x83, 0xc4, 0x28, ...pops, 0xc3], 0x40],
      ['add rsp, imm32', [0x48, 0x81, 0xc4, 0x28, 0, 0, 0, ...pops, 0xc3], 0x40],
      ['a shorter add than the prolog (still an epilog)', [0x48, 0x83, 0xc4, 0x08, ...pops, 0xc3], 0x20],
      ['ret imm16', [...pops, 0xc2, 8, 0], 0x18],
      ['rep ret', [...pops, 0xf3, 0xc3], 0x18],
      ['bnd ret', [...pops, 0xf2, 0xc3], 0x18],
      ['jmp [rip + disp]', [...pops, 0xff, 0x25, 0, 0, 0, 0], 0x18],
      ['rex.w jmp rax', [...pops, 0x48, 0xff, 0xe0], 0x18],
      ['jmp rax (a jump table)', [...pops, 0xff, 0xe0], 0x40],
      ['jmp rel8 to another function', [...pops, 0xeb, 0x4b], 0x18],
      ['jmp rel8 out of all functions', [...pops, 0xeb, 0x6b], 0x18],
      ['jmp rel8 within', [...pops, 0xeb, 0x0b], 0x40],
      ['jmp rel8 to its own start', [...pops, 0xeb, 0xeb], 0x18],
      ['jmp rel32 to another function', [...pops, 0xe9, 0x48, 0, 0, 0], 0x18],
      ['jmp rel32 within', [...pops, 0xe9, 0x08, 0, 0, 0], 0x40],
      ['lea rsp, [rbp] without a frame register', [0x48, 0x8d, 0x65, 0x10, 0xc3], 0x40],
      ['sub rsp', [0x48, 0x83, 0xec, 0x28, 0xc3], 0x40],
    ])('%s', (_, bytes, rspOffset) => {
      expect(at(bytes)).toBe(rspOffset);
    });

    it('continue in the middle', () => {
      expect(at([0x48, 0x83, 0xc4, 0x28, ...pops, 0xc3], 0x14)).toBe(0x18);
      expect(at([0x48, 0x83, 0xc4, 0x28, ...pops, 0xc3], 0x15)).toBe(0x10);
      expect(at([0x48, 0x83, 0xc4, 0x28, ...pops, 0xc3], 0x17)).toBe(8);
    });

    it.each([0xe9, 0xeb, 0x48, 0x41, 0xf3, 0xff])('may be cut off by the end of the image after byte %s', (byte) => {
      const last = new Uint8Array(0x1000).fill(0x90, 0, 0xfff);
      last[0xfff] = byte;
      const functions = [{ begin: 0x3000, end: 0x4000, unwind: info }];
      const pe = parsePe(buildPe({ functions, sections: [{ name: 'last', data: last }] }).bytes, 'x.sys');
      expect(pe.sizeOfImage).toBe(0x5000);
      expect(frameShape(pe, 0x4fff)?.frameSizeBytes).toBe(byte === 0xe9 || byte === 0xeb ? 0 : 0x38);
    });
  });

  describe('epilogs of version 2', () => {
    // Two epilogs of 4 bytes (pop rbx; pop r12; ret): at the end and 0x20 bytes before it; then a padding pair.
    const codes = [
      [4, uwop.epilog, 1],
      [0x20, uwop.epilog, 0],
      [0x18, uwop.epilog, 0],
      [0, uwop.epilog, 0],
      [6, uwop.allocSmall, 4],
      [2, uwop.push, rbx],
      [1, uwop.push, r12],
    ] as const;
    const pe = imageOf([{ begin: 0, end: 0x40, unwind: unwindInfo({ version: 2, prolog: 6, codes }) }]);
    it.each([
      [0x1f, 0x40],
      [0x20, 0x18],
      [0x21, 0x10],
      [0x23, 8],
      [0x24, 0x40],
      [0x28, 0x18],
      [0x3b, 0x40],
      [0x3c, 0x18],
      [0x3d, 0x10],
      [0x3f, 8],
      [2, 0x18],
    ])('at offset %s', (offset, rspOffset) => {
      expect(unwound(unwindAt(pe, offset)).rspOffset).toBe(rspOffset);
      expect(frameShape(pe, textRva + offset)?.frameSizeBytes).toBe(rspOffset - 8);
    });

    it('are not guessed from instructions', () => {
      const code = new Array(0x80).fill(0xc3);
      const image = imageOf(
        [{ begin: 0, end: 0x40, unwind: unwindInfo({ version: 2, prolog: 4, codes: [[4, uwop.allocSmall, 4]] }) }],
        code,
      );
      expect(unwound(unwindAt(image, 0x20)).rspOffset).toBe(0x30);
    });
  });
});

describe('function lookup', () => {
  const chained = imageOf([
    { begin: 0, end: 0x20, unwind: unwindInfo({}) },
    { begin: 0x20, end: 0x30, unwind: unwindInfo({}) },
    {
      begin: 0x80,
      end: 0xa0,
      unwind: (at) => unwindInfo({ flags: 4, tail: [textRva, textRva + 0x20, at.unwindRva(0)] }),
    },
  ]);

  it('finds entries at their bounds', () => {
    expect(lookupFunctionEntry(chained, textRva)?.beginRva).toBe(textRva);
    expect(lookupFunctionEntry(chained, textRva + 0x1f)?.beginRva).toBe(textRva);
    expect(lookupFunctionEntry(chained, textRva + 0x20)?.beginRva).toBe(textRva + 0x20);
    expect(lookupFunctionEntry(chained, textRva + 0x30)).toBeUndefined();
    expect(lookupFunctionEntry(chained, 0)).toBeUndefined();
    expect(lookupFunctionEntry(chained, textRva + 0xa0)).toBeUndefined();
  });

  it('joins the parts of a function', () => {
    expect(
      functionRanges(chained).map(({ ranges }) => ranges.map(({ beginRva, endRva }) => [beginRva, endRva])),
    ).toEqual([
      [
        [0x1000, 0x1020],
        [0x1080, 0x10a0],
      ],
      [[0x1020, 0x1030]],
    ]);
  });

  it('follows an indirect entry', () => {
    const { bytes, unwindRva, sectionRva } = buildPe({
      code: new Array(0x100).fill(0x90),
      functions: [
        { begin: 0, end: 0x20, unwind: unwindInfo({ prolog: 4, codes: [[4, uwop.allocSmall, 4]] }) },
        { begin: 0x80, end: 0xa0, unwind: [] },
      ],
    });
    const pdata = parsePe(bytes, 'x').sections.find(({ name }) => name === '.pdata')!;
    new DataView(bytes.buffer).setUint32(pdata.rawOffset + 20, (sectionRva.get('.pdata') ?? 0) | 1, true);
    const pe = parsePe(bytes, 'x.sys');
    expect(lookupFunctionEntry(pe, textRva + 0x90)).toEqual({
      beginRva: textRva,
      endRva: textRva + 0x20,
      unwindInfoRva: unwindRva(0),
    });
    expect(unwound(unwindAt(pe, 0x90)).rspOffset).toBe(0x30);
  });

  it('refuses a chain that bites its tail', () => {
    const pe = imageOf([
      {
        begin: 0,
        end: 0x20,
        unwind: (at) => unwindInfo({ flags: 4, tail: [textRva, textRva + 0x20, at.unwindRva(0)] }),
      },
    ]);
    const entry = pe.functions[0]!;
    expect(() => primaryFunction(pe, entry)).toThrow('an endless chain, expected at most 32 parts');
    expect(() => unwindAt(pe, 4)).toThrow('an endless chain');
  });

  it.each([
    ['version 3', unwindInfo({ version: 3 }), 'version 3, expected version 1 or 2'],
    ['code 7', unwindInfo({ codes: [[0, 7, 0], 0, 0] }), 'code SPARE_CODE, expected a documented UWOP code'],
    ['code 11', unwindInfo({ codes: [[0, 11, 0]] }), 'code 11'],
    ['a cut off code', unwindInfo({ codes: [[0, uwop.allocLarge, 1], 1] }), 'ALLOC_LARGE cut off, expected 3 slots'],
    [
      'a frame without a register',
      unwindInfo({ codes: [[0, uwop.setFrame, 0]] }),
      'SET_FPREG without a frame register',
    ],
    ['unknown flags', unwindInfo({ flags: 8 }), 'flags 0x8'],
    ['a handler in a chained part', unwindInfo({ flags: 5 }), 'a handler in a chained part'],
    ['a handler outside', unwindInfo({ flags: 1, tail: [0x7fff_ffff] }), 'its handler outside of the image'],
  ])('refuses %s', (_, unwind, message) => {
    const pe = imageOf([{ begin: 0, end: 0x20, unwind }]);
    expect(() => readUnwindInfo(pe, pe.functions[0]!.unwindInfoRva)).toThrow(message);
  });
});
