import type { DwarfFile } from './dwarf-file.ts';
import { invalidDwarf, truncatedDwarf } from './errors.ts';
import type { AddressRange } from './range-lists.ts';

/** Reads `.debug_aranges`: the code of each unit, by the unit's offset in `.debug_info`. DWARF 5, 6.1.2. */
export function readAddressRanges(file: DwarfFile): ReadonlyMap<number, readonly AddressRange[]> {
  const byUnit = new Map<number, AddressRange[]>();
  if (file.sections.aranges === undefined) return byUnit;
  const cursor = file.cursor('aranges', 0);
  const sectionEnd = cursor.end;
  while (sectionEnd - cursor.offset >= 4) {
    const start = cursor.offset;
    const { length, offsetBytes } = cursor.unitLength();
    if (length === 0) continue;
    const end = cursor.offset + length;
    if (end > sectionEnd) throw truncatedDwarf('.debug_aranges', start);
    cursor.end = end;
    cursor.skip(2);
    const unit = cursor.unsigned(offsetBytes);
    const addressBytes = cursor.u8();
    if (addressBytes !== 4 && addressBytes !== 8) {
      throw invalidDwarf('.debug_aranges', start, `addresses of ${addressBytes} bytes`);
    }
    cursor.skip(1);
    // Pairs are aligned to their own size, counted from the header's start.
    const pairBytes = 2 * addressBytes;
    cursor.skip((pairBytes - ((cursor.offset - start) % pairBytes)) % pairBytes);
    const ranges = byUnit.get(unit) ?? [];
    while (end - cursor.offset >= pairBytes) {
      const rva = cursor.address(addressBytes, file.base);
      const bytes = cursor.unsigned(addressBytes);
      if (rva >= 0 && bytes > 0 && rva + bytes <= 0xffff_ffff) ranges.push({ start: rva, end: rva + bytes });
    }
    if (ranges.length > 0) byUnit.set(unit, ranges);
    cursor.offset = end;
    cursor.end = sectionEnd;
  }
  return byUnit;
}
