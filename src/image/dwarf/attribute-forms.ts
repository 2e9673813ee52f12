import { formOf } from './constants.ts';
import { invalidDwarf } from './errors.ts';
import type { AddressBase, SectionCursor } from './section-cursor.ts';

/** How one unit encodes sizes; all that decoding a form needs to know. */
export interface UnitEncoding {
  readonly version: number;
  /** Size of an offset: 4 in 32-bit DWARF, 8 in 64-bit DWARF. */
  readonly offsetBytes: 4 | 8;
  readonly addressBytes: 4 | 8;
  /** Start of the unit's header in its section: unit-relative references count from here. */
  readonly offset: number;
  readonly base: AddressBase;
}

/** One attribute, reused for each: `value` means, by form: number, RVA, absolute offset, index, or start of a block. */
export interface AttributeSlot {
  form: number;
  value: number;
  /** Of a block, in bytes. */
  length: number;
}

/**
 * Reads one attribute's value into `slot`; `implicit` is what the abbreviation holds for DW_FORM_implicit_const.
 * References within the unit become offsets in `.debug_info`. DWARF 5, 7.5.5 and 7.5.6.
 */
export function readForm(
  cursor: SectionCursor,
  form: number,
  implicit: number,
  unit: UnitEncoding,
  slot: AttributeSlot,
): void {
  slot.form = form;
  slot.length = 0;
  slot.value = formValue(cursor, form, implicit, unit, slot);
}

function formValue(
  cursor: SectionCursor,
  form: number,
  implicit: number,
  unit: UnitEncoding,
  slot: AttributeSlot,
): number {
  switch (form) {
    case formOf.addr:
      return cursor.address(unit.addressBytes, unit.base);
    case formOf.data1:
    case formOf.flag:
    case formOf.strx1:
    case formOf.addrx1:
      return cursor.u8();
    case formOf.data2:
    case formOf.strx2:
    case formOf.addrx2:
      return cursor.u16();
    case formOf.strx3:
    case formOf.addrx3:
      return cursor.u24();
    case formOf.data4:
    case formOf.strx4:
    case formOf.addrx4:
    case formOf.refSup4:
      return cursor.u32();
    case formOf.data8:
    case formOf.refSig8:
    case formOf.refSup8:
      return cursor.u64();
    case formOf.ref1:
      return unit.offset + cursor.u8();
    case formOf.ref2:
      return unit.offset + cursor.u16();
    case formOf.ref4:
      return unit.offset + cursor.u32();
    case formOf.ref8:
      return unit.offset + cursor.u64();
    case formOf.refUdata:
      return unit.offset + cursor.uleb();
    case formOf.refAddr:
      return cursor.unsigned(unit.version <= 2 ? unit.addressBytes : unit.offsetBytes);
    case formOf.sdata:
      return cursor.sleb();
    case formOf.udata:
    case formOf.strx:
    case formOf.addrx:
    case formOf.loclistx:
    case formOf.rnglistx:
    case formOf.gnuAddrIndex:
    case formOf.gnuStrIndex:
      return cursor.uleb();
    case formOf.strp:
    case formOf.lineStrp:
    case formOf.secOffset:
    case formOf.strpSup:
    case formOf.gnuRefAlt:
    case formOf.gnuStrpAlt:
      return cursor.unsigned(unit.offsetBytes);
    case formOf.flagPresent:
      return 1;
    case formOf.implicitConst:
      return implicit;
    case formOf.string:
      return cursor.skipString();
    case formOf.block1:
      return block(cursor, cursor.u8(), slot);
    case formOf.block2:
      return block(cursor, cursor.u16(), slot);
    case formOf.block4:
      return block(cursor, cursor.u32(), slot);
    case formOf.block:
    case formOf.exprloc:
      return block(cursor, cursor.uleb(), slot);
    case formOf.data16:
      return block(cursor, 16, slot);
    case formOf.indirect: {
      const actual = cursor.uleb();
      if (actual === formOf.indirect || actual === formOf.implicitConst) break;
      slot.form = actual;
      return formValue(cursor, actual, 0, unit, slot);
    }
  }
  throw invalidDwarf(cursor.section, cursor.offset, `attribute form 0x${form.toString(16)} is not known`);
}

function block(cursor: SectionCursor, length: number, slot: AttributeSlot): number {
  slot.length = length;
  return cursor.skip(length);
}

/** Whether the value is an address or an index of one. */
export function isAddressForm(form: number): boolean {
  return form === formOf.addr || isAddressIndexForm(form);
}

/** Whether the value is an index into `.debug_addr`. */
export function isAddressIndexForm(form: number): boolean {
  return form === formOf.addrx || (form >= formOf.addrx1 && form <= formOf.addrx4) || form === formOf.gnuAddrIndex;
}

/** Whether the value is an offset in `.debug_info` of this file. */
export function isReferenceForm(form: number): boolean {
  return form >= formOf.refAddr && form <= formOf.refUdata;
}

/** Whether the value is a plain number. */
export function isConstantForm(form: number): boolean {
  switch (form) {
    case formOf.data1:
    case formOf.data2:
    case formOf.data4:
    case formOf.data8:
    case formOf.sdata:
    case formOf.udata:
    case formOf.implicitConst:
      return true;
    default:
      return false;
  }
}
