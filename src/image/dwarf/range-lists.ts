import type { AttributeSlot } from './attribute-forms.ts';
import { isAddressForm } from './attribute-forms.ts';
import { formOf } from './constants.ts';
import type { DwarfFile } from './dwarf-file.ts';
import { keptCost } from './dwarf-sections.ts';
import { invalidDwarf } from './errors.ts';
import { rvaOfZero } from './section-cursor.ts';
import type { DwarfUnit } from './units.ts';

/** Half-open, in RVAs. */
export interface AddressRange {
  readonly start: number;
  readonly end: number;
}

const imageLimit = 0xffff_ffff;

interface PcAttributes {
  readonly lowPc: AttributeSlot;
  readonly highPc: AttributeSlot;
  readonly ranges: AttributeSlot;
}

/** The code of an entry or a unit, in the recorded order; what the linker dropped (outside any image) is left out. */
export function rangesOf(file: DwarfFile, unit: DwarfUnit, { lowPc, highPc, ranges }: PcAttributes): AddressRange[] {
  const found: AddressRange[] = [];
  if (ranges.form !== 0) {
    if (unit.version >= 5) readRnglist(file, unit, ranges, found);
    else readRanges(file, unit, ranges.value, found);
  } else if (lowPc.form !== 0 && highPc.form !== 0) {
    const start = file.address(unit, lowPc.form, lowPc.value);
    const end = isAddressForm(highPc.form) ? file.address(unit, highPc.form, highPc.value) : start + highPc.value;
    add(found, start, end);
  }
  return found;
}

function add(found: AddressRange[], start: number, end: number): void {
  if (start >= 0 && start < end && end <= imageLimit) found.push({ start, end });
}

function unitBase(file: DwarfFile, unit: DwarfUnit): number {
  const { lowPc } = file.root(unit);
  return lowPc.form === 0 ? rvaOfZero(unit.base) : file.address(unit, lowPc.form, lowPc.value);
}

/** `.debug_ranges`: DWARF 4, 2.17.3. */
function readRanges(file: DwarfFile, unit: DwarfUnit, offset: number, found: AddressRange[]): void {
  const cursor = file.cursor('ranges', offset);
  const zero = rvaOfZero(unit.base);
  const size = unit.addressBytes;
  const largest = size === 8 ? 2 ** 64 : 0xffff_ffff;
  let base = unitBase(file, unit);
  for (;;) {
    const at = cursor.offset;
    const start = cursor.unsigned(size);
    const end = cursor.unsigned(size);
    file.budget.spend(keptCost);
    if (start === 0 && end === 0) return;
    cursor.offset = at;
    const startRva = cursor.address(size, unit.base);
    const endRva = cursor.address(size, unit.base);
    if (start === largest) base = endRva;
    // Offsets from address 0 are addresses: as such they lose no bits.
    else if (base === zero) add(found, startRva, endRva);
    else add(found, base + start, base + end);
  }
}

/** `.debug_rnglists`: DWARF 5, 7.25. */
function readRnglist(file: DwarfFile, unit: DwarfUnit, ranges: AttributeSlot, found: AddressRange[]): void {
  let offset = ranges.value;
  if (ranges.form === formOf.rnglistx) {
    const base = file.rnglistsBase(unit);
    offset = base + file.cursor('rnglists', base + ranges.value * unit.offsetBytes).unsigned(unit.offsetBytes);
  }
  const cursor = file.cursor('rnglists', offset);
  const address = (): number => cursor.address(unit.addressBytes, unit.base);
  const indexed = (): number => file.indexedAddress(unit, cursor.uleb());
  let base = unitBase(file, unit);
  for (;;) {
    file.budget.spend(keptCost);
    const kind = cursor.u8();
    switch (kind) {
      case 0: // DW_RLE_end_of_list
        return;
      case 1: // DW_RLE_base_addressx
        base = indexed();
        break;
      case 2: {
        // DW_RLE_startx_endx
        const start = indexed();
        add(found, start, indexed());
        break;
      }
      case 3: {
        // DW_RLE_startx_length
        const start = indexed();
        add(found, start, start + cursor.uleb());
        break;
      }
      case 4: {
        // DW_RLE_offset_pair
        const start = cursor.uleb();
        add(found, base + start, base + cursor.uleb());
        break;
      }
      case 5: // DW_RLE_base_address
        base = address();
        break;
      case 6: {
        // DW_RLE_start_end
        const start = address();
        add(found, start, address());
        break;
      }
      case 7: {
        // DW_RLE_start_length
        const start = address();
        add(found, start, start + cursor.uleb());
        break;
      }
      default:
        throw invalidDwarf('.debug_rnglists', cursor.offset - 1, `range list entry of kind ${kind}`);
    }
  }
}
