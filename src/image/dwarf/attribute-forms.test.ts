import { describe, expect, it } from 'vitest';
import { type AttributeSlot, readForm, type UnitEncoding } from './attribute-forms.ts';
import { formOf } from './constants.ts';
import { addressBase, SectionCursor } from './section-cursor.ts';

const unit: UnitEncoding = { version: 5, offsetBytes: 4, addressBytes: 8, offset: 0x100, base: addressBase(0x10000) };

function read(form: number, bytes: readonly number[], encoding = unit, implicit = 0): AttributeSlot & { size: number } {
  const cursor = new SectionCursor(Uint8Array.from([...bytes, 0xee, 0xee, 0xee]), '.debug_info');
  const slot: AttributeSlot = { form: 0, value: 0, length: 0 };
  readForm(cursor, form, implicit, encoding, slot);
  return { ...slot, size: cursor.offset };
}

type Case = readonly [keyof typeof formOf, readonly number[], number];
const cases: readonly Case[] = [
  ['addr', [0x34, 0x12, 0x01, 0, 0, 0, 0, 0], 0x1234],
  ['data1', [0xfe], 0xfe],
  ['data2', [1, 2], 0x201],
  ['data4', [1, 2, 3, 0x84], 0x84030201],
  ['data8', [1, 0, 0, 0, 2, 0, 0, 0], 0x2_0000_0001],
  ['flag', [1], 1],
  ['flagPresent', [], 1],
  ['sdata', [0x7e], -2],
  ['udata', [0x80, 0x01], 128],
  ['strp', [4, 0, 0, 0], 4],
  ['lineStrp', [4, 0, 0, 0], 4],
  ['secOffset', [4, 0, 0, 0], 4],
  ['refAddr', [4, 0, 0, 0], 4],
  ['ref1', [4], 0x104],
  ['ref2', [4, 1], 0x204],
  ['ref4', [4, 0, 0, 0], 0x104],
  ['ref8', [4, 0, 0, 0, 0, 0, 0, 0], 0x104],
  ['refUdata', [0x84, 0x01], 0x184],
  ['refSig8', [1, 0, 0, 0, 0, 0, 0, 0], 1],
  ['refSup4', [1, 0, 0, 0], 1],
  ['refSup8', [1, 0, 0, 0, 0, 0, 0, 0], 1],
  ['strpSup', [1, 0, 0, 0], 1],
  ['strx', [0x81, 0x01], 129],
  ['strx1', [9], 9],
  ['strx2', [9, 1], 0x109],
  ['strx3', [9, 1, 2], 0x20109],
  ['strx4', [9, 0, 0, 1], 0x1000009],
  ['addrx', [0x81, 0x01], 129],
  ['addrx1', [9], 9],
  ['addrx2', [9, 1], 0x109],
  ['addrx3', [9, 1, 2], 0x20109],
  ['addrx4', [9, 0, 0, 1], 0x1000009],
  ['loclistx', [3], 3],
  ['rnglistx', [3], 3],
  ['gnuAddrIndex', [3], 3],
  ['gnuStrIndex', [3], 3],
  ['gnuRefAlt', [3, 0, 0, 0], 3],
  ['gnuStrpAlt', [3, 0, 0, 0], 3],
];

describe('readForm', () => {
  it.each(cases)('reads DW_FORM %s', (form, bytes, value) => {
    expect(read(formOf[form], bytes)).toEqual({ form: formOf[form], value, length: 0, size: bytes.length });
  });

  it.each([
    ['block1', [2, 7, 7], 1, 2],
    ['block2', [2, 0, 7, 7], 2, 2],
    ['block4', [2, 0, 0, 0, 7, 7], 4, 2],
    ['block', [2, 7, 7], 1, 2],
    ['exprloc', [2, 7, 7], 1, 2],
    ['data16', Array.from({ length: 16 }, () => 7), 0, 16],
  ] as const)('finds the block of DW_FORM %s', (form, bytes, value, length) => {
    expect(read(formOf[form], bytes)).toEqual({ form: formOf[form], value, length, size: bytes.length });
  });

  it('knows every form', () => {
    const other = ['block1', 'block2', 'block4', 'block', 'exprloc', 'data16', 'string', 'indirect', 'implicitConst'];
    expect([...cases.map(([form]) => form), ...other].sort()).toEqual(Object.keys(formOf).sort());
    expect(() => read(0x77, [0])).toThrow(/attribute form 0x77 is not known/);
  });

  it('takes values from the abbreviation, from the entry, or through another form', () => {
    expect(read(formOf.implicitConst, [], unit, -5)).toMatchObject({ value: -5, size: 0 });
    expect(read(formOf.string, [0x61, 0x62, 0])).toMatchObject({ value: 0, size: 3 });
    expect(read(formOf.indirect, [formOf.data2, 1, 2])).toMatchObject({ form: formOf.data2, value: 0x201, size: 3 });
    expect(() => read(formOf.indirect, [formOf.indirect, formOf.data1, 1])).toThrow(/not known/);
  });

  it('follows the sizes of the unit', () => {
    const long: UnitEncoding = { ...unit, offsetBytes: 8 };
    expect(read(formOf.strp, [4, 0, 0, 0, 0, 0, 0, 0], long)).toMatchObject({ value: 4, size: 8 });
    const old: UnitEncoding = { ...unit, version: 2 };
    expect(read(formOf.refAddr, [4, 0, 0, 0, 0, 0, 0, 0], old)).toMatchObject({ value: 4, size: 8 });
  });
});
