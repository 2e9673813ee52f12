/** The section table: IMAGE_SECTION_HEADER, winnt.h; "PE Format", Section Table. */
import type { PeHeaders } from './coff-header.ts';
import { latin1 } from './mapped-reader.ts';
import { hex, malformedHeaders, oneLine, truncated } from './pe-errors.ts';
import type { PeSection } from './pe-image.ts';

const pageBytes = 0x1000;
const memDiscardable = 0x0200_0000;
const memNotPaged = 0x0800_0000;
const memExecute = 0x2000_0000;
const memRead = 0x4000_0000;
const memWrite = 0x8000_0000;

/** Throws PP1003 and PP1004; odd but harmless findings go to `notes`. */
export function readSections(bytes: Uint8Array, headers: PeHeaders, fileName: string, notes: string[]): PeSection[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sections: PeSection[] = [];
  let nextRva = headers.sizeOfHeaders;
  for (let index = 0; index < headers.numberOfSections; index++) {
    const section = readSection(bytes, view, headers, headers.sectionTableOffset + index * 40);
    checkSection(section, headers, nextRva, bytes.length, fileName);
    const expectedRva = roundUp(nextRva, headers.sectionAlignment);
    if (section.rva > expectedRva) {
      notes.push(`a gap of ${hex(section.rva - expectedRva)} bytes before section ${oneLine(section.name)}`);
    }
    nextRva = section.rva + section.virtualSize;
    sections.push(section);
  }
  return sections;
}

/** Bytes of the file that the section brings into memory: the loader maps whole pages, up to the raw size. */
export function mappedRawBytes(section: PeSection, headers: PeHeaders): number {
  const unit = Math.min(headers.sectionAlignment, pageBytes);
  return Math.min(section.rawSize, roundUp(section.virtualSize, unit), headers.sizeOfImage - section.rva);
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function readSection(bytes: Uint8Array, view: DataView, headers: PeHeaders, at: number): PeSection {
  const rawSize = view.getUint32(at + 16, true);
  const characteristics = view.getUint32(at + 36, true);
  const name = sectionName(bytes, view, headers, at);
  return {
    name,
    virtualSize: view.getUint32(at + 8, true) || rawSize,
    rva: view.getUint32(at + 12, true),
    rawSize,
    rawOffset: view.getUint32(at + 20, true),
    characteristics,
    isReadable: (characteristics & memRead) !== 0,
    isWritable: (characteristics & memWrite) !== 0,
    isExecutable: (characteristics & memExecute) !== 0,
    isDiscardable: (characteristics & memDiscardable) !== 0,
    isPageable: name.startsWith('PAGE') && (characteristics & memNotPaged) === 0,
  };
}

/** `/123` is a decimal, `//AAAAAA` a base-64 offset into the string table; the short name stays if that leads nowhere. */
function sectionName(bytes: Uint8Array, view: DataView, headers: PeHeaders, at: number): string {
  const shortName = untilZero(bytes.subarray(at, at + 8));
  const offset = longNameOffset(shortName);
  if (offset === undefined || headers.symbolTableOffset === 0) return shortName;
  const table = headers.symbolTableOffset + headers.numberOfSymbols * 18;
  if (table + 4 > bytes.length) return shortName;
  const tableEnd = Math.min(bytes.length, table + view.getUint32(table, true));
  if (offset < 4 || table + offset >= tableEnd) return shortName;
  return untilZero(bytes.subarray(table + offset, Math.min(tableEnd, table + offset + 256))) || shortName;
}

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function longNameOffset(name: string): number | undefined {
  if (/^\/\d{1,7}$/.test(name)) return Number(name.slice(1));
  if (!/^\/\/[A-Za-z0-9+/]{6}$/.test(name)) return undefined;
  return [...name.slice(2)].reduce((sum, digit) => sum * 64 + base64Digits.indexOf(digit), 0);
}

function untilZero(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return latin1(end < 0 ? bytes : bytes.subarray(0, end));
}

function checkSection(
  section: PeSection,
  headers: PeHeaders,
  lowestRva: number,
  fileBytes: number,
  fileName: string,
): void {
  const name = `section ${oneLine(section.name) || '(no name)'}`;
  const malformed = (found: string, expected: string): Error =>
    malformedHeaders(fileName, `${name} ${found}`, expected);
  if (section.rva < lowestRva) {
    throw malformed(`at RVA ${hex(section.rva)} overlaps what stands before it`, `an RVA from ${hex(lowestRva)} up`);
  }
  if (section.rva % headers.sectionAlignment !== 0) {
    throw malformed(`at RVA ${hex(section.rva)}`, `a multiple of ${hex(headers.sectionAlignment)}`);
  }
  if (section.rva + section.virtualSize > headers.sizeOfImage) {
    throw malformed(
      `ends at RVA ${hex(section.rva + section.virtualSize)}`,
      `an end within SizeOfImage ${hex(headers.sizeOfImage)}`,
    );
  }
  if (section.rawSize === 0) return;
  if (section.rawOffset % Math.min(headers.fileAlignment, 512) !== 0) {
    throw malformed(`at file offset ${hex(section.rawOffset)}`, `a multiple of ${hex(headers.fileAlignment)}`);
  }
  if (section.rawOffset + section.rawSize > fileBytes) {
    throw truncated(fileName, `the data of ${name}`, section.rawOffset + section.rawSize, fileBytes);
  }
}
