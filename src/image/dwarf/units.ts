import type { UnitEncoding } from './attribute-forms.ts';
import { truncatedDwarf } from './errors.ts';
import type { AddressBase } from './section-cursor.ts';
import { SectionCursor } from './section-cursor.ts';

/** One compilation unit of `.debug_info`. Offsets count from the section's start. */
export interface DwarfUnit extends UnitEncoding {
  readonly abbrevOffset: number;
  readonly firstEntry: number;
  readonly end: number;
}

const unitType = { compile: 1, type: 2, partial: 3, skeleton: 4, splitCompile: 5, splitType: 6 } as const;

/** Reads all unit headers; units of unknown kinds are passed over and named in `notes`. DWARF 5, 7.5.1. */
export function readUnits(
  info: Uint8Array,
  base: AddressBase,
): { readonly units: readonly DwarfUnit[]; readonly notes: readonly string[] } {
  const units: DwarfUnit[] = [];
  const notes = new Set<string>();
  const cursor = new SectionCursor(info, '.debug_info');
  while (cursor.end - cursor.offset >= 4) {
    const offset = cursor.offset;
    const { length, offsetBytes } = cursor.unitLength();
    // Linkers pad between object files with zeros.
    if (length === 0) continue;
    const end = cursor.offset + length;
    if (end > info.length) throw truncatedDwarf('.debug_info', offset);
    const unit = readHeader(new SectionCursor(info, '.debug_info', cursor.offset, end), offset, offsetBytes, base);
    if (typeof unit === 'string') notes.add(unit);
    else if (unit !== undefined) units.push(unit);
    cursor.offset = end;
  }
  return { units, notes: [...notes] };
}

function readHeader(
  cursor: SectionCursor,
  offset: number,
  offsetBytes: 4 | 8,
  base: AddressBase,
): DwarfUnit | string | undefined {
  const version = cursor.u16();
  if (version < 2 || version > 5) return `debug information of DWARF version ${version} is not read`;
  const type = version >= 5 ? cursor.u8() : unitType.compile;
  let addressBytes = version >= 5 ? cursor.u8() : 0;
  const abbrevOffset = cursor.unsigned(offsetBytes);
  if (version < 5) addressBytes = cursor.u8();
  if (addressBytes !== 4 && addressBytes !== 8)
    return `debug information with ${addressBytes}-byte addresses is not read`;
  switch (type) {
    case unitType.skeleton:
    case unitType.splitCompile:
      return 'debug information in separate .dwo files is not read';
    case unitType.type:
    case unitType.splitType:
      return undefined;
    case unitType.compile:
    case unitType.partial:
      if (cursor.atEnd) return undefined;
      return {
        version,
        offsetBytes,
        addressBytes,
        offset,
        base,
        abbrevOffset,
        firstEntry: cursor.offset,
        end: cursor.end,
      };
    default:
      return `debug information units of type ${type} are not read`;
  }
}
