/** DOS, COFF and optional header: what kind of file it is, and whether it is one that we take. */

import type { Va } from '../../base/va.ts';
import { vaFromU64 } from '../../base/va.ts';
import { describeFile, machineName, subsystemName } from './file-kind.ts';
import { hex, malformedHeaders, notADriverFile, truncated, wrongKindOfImage } from './pe-errors.ts';

/** A larger image is not taken for a driver; bounds the memory that one file can ask for. */
export const largestImageBytes = 64 * 1024 * 1024;

/** The Windows loader's limit. */
const mostSections = 96;

const machineAmd64 = 0x8664;
const subsystemNative = 1;
const fileIsExecutable = 0x0002;

/** Indices of IMAGE_OPTIONAL_HEADER64.DataDirectory, winnt.h. */
export const directoryIndex = {
  exports: 0,
  imports: 1,
  functions: 3,
  certificates: 4,
  baseRelocations: 5,
  debug: 6,
  loadConfig: 10,
  delayImports: 13,
  managed: 14,
} as const;

export interface DataDirectory {
  readonly rva: number;
  readonly sizeBytes: number;
}

export interface PeHeaders {
  readonly numberOfSections: number;
  readonly sectionTableOffset: number;
  readonly symbolTableOffset: number;
  readonly numberOfSymbols: number;
  readonly timestamp: number;
  readonly characteristics: number;
  readonly linkerVersion: string;
  readonly entryPointRva: number | undefined;
  readonly preferredBase: Va;
  readonly preferredBaseU64: bigint;
  readonly sectionAlignment: number;
  readonly fileAlignment: number;
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
  readonly checksum: number;
  readonly checksumOffset: number;
  readonly subsystem: number;
  readonly dllCharacteristics: number;
  readonly directories: readonly DataDirectory[];
}

const sectionHeaderBytes = 40;

/** IMAGE_DOS_HEADER, IMAGE_NT_HEADERS64 (winnt.h). Throws PP1001 to PP1004. */
export function readHeaders(bytes: Uint8Array, fileName: string): PeHeaders {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const coff = locateCoffHeader(view, bytes, fileName);
  const machine = view.getUint16(coff, true);
  const optionalBytes = view.getUint16(coff + 16, true);
  const optional = coff + 20;
  if (machine !== machineAmd64) {
    throw wrongKindOfImage(fileName, `an image for ${machineName(machine)}`, 'one for x64 (AMD64)');
  }
  if (optional + optionalBytes > bytes.length) {
    throw truncated(fileName, 'the optional header', optional + optionalBytes, bytes.length);
  }
  const magic = optionalBytes >= 2 ? view.getUint16(optional, true) : 0;
  if (magic !== 0x20b) {
    const found = magic === 0x10b ? 'a PE32 (32-bit) header' : `optional header magic ${hex(magic)}`;
    throw wrongKindOfImage(fileName, found, 'PE32+ (0x20b)');
  }
  if (optionalBytes < 112) {
    throw malformedHeaders(fileName, `an optional header of ${optionalBytes} bytes`, 'at least 112');
  }
  const directories = readDirectories(view, optional, optionalBytes, fileName);
  const preferredBaseU64 = view.getBigUint64(optional + 24, true);
  const headers: PeHeaders = {
    numberOfSections: view.getUint16(coff + 2, true),
    timestamp: view.getUint32(coff + 4, true),
    symbolTableOffset: view.getUint32(coff + 8, true),
    numberOfSymbols: view.getUint32(coff + 12, true),
    characteristics: view.getUint16(coff + 18, true),
    sectionTableOffset: optional + optionalBytes,
    linkerVersion: `${view.getUint8(optional + 2)}.${view.getUint8(optional + 3)}`,
    entryPointRva: view.getUint32(optional + 16, true) || undefined,
    preferredBase: vaFromU64(preferredBaseU64),
    preferredBaseU64,
    sectionAlignment: view.getUint32(optional + 32, true),
    fileAlignment: view.getUint32(optional + 36, true),
    sizeOfImage: view.getUint32(optional + 56, true),
    sizeOfHeaders: view.getUint32(optional + 60, true),
    checksum: view.getUint32(optional + 64, true),
    checksumOffset: optional + 64,
    subsystem: view.getUint16(optional + 68, true),
    dllCharacteristics: view.getUint16(optional + 70, true),
    directories,
  };
  checkKind(headers, fileName);
  checkSizes(headers, bytes.length, fileName);
  return headers;
}

function locateCoffHeader(view: DataView, bytes: Uint8Array, fileName: string): number {
  if (bytes.length === 0) throw notADriverFile(fileName, 'an empty file');
  if (bytes.length < 2 || view.getUint16(0, true) !== 0x5a4d) throw notADriverFile(fileName, describeFile(bytes));
  if (bytes.length < 64) throw truncated(fileName, 'the DOS header', 64, bytes.length);
  const peOffset = view.getUint32(60, true);
  if (peOffset < 4) throw notADriverFile(fileName, 'a DOS program (MZ without a PE header)');
  if (peOffset + 24 > bytes.length) {
    if (bytes.length < 0x200 && peOffset < 0x400) {
      throw truncated(fileName, 'the PE header', peOffset + 24, bytes.length);
    }
    throw notADriverFile(
      fileName,
      `a DOS program or a truncated image (its PE header would be at ${hex(peOffset)} of ${hex(bytes.length)} bytes)`,
    );
  }
  const signature = view.getUint32(peOffset, true);
  if ((signature & 0xffff) === 0x454e) throw notADriverFile(fileName, 'a 16-bit Windows program (NE)');
  if ((signature & 0xffff) === 0x454c) throw notADriverFile(fileName, 'an OS/2 or Windows 9x driver (LE)');
  if (signature !== 0x4550) {
    throw notADriverFile(fileName, `MZ without a PE header (signature ${hex(signature)} at ${hex(peOffset)})`);
  }
  return peOffset + 4;
}

function readDirectories(view: DataView, optional: number, optionalBytes: number, fileName: string): DataDirectory[] {
  const count = view.getUint32(optional + 108, true);
  const present = Math.min(count, 16);
  if (112 + present * 8 > optionalBytes) {
    throw malformedHeaders(
      fileName,
      `${count} data directories in an optional header of ${optionalBytes} bytes`,
      `${112 + present * 8} bytes for that many`,
    );
  }
  return Array.from({ length: 16 }, (_, index) => {
    if (index >= present) return { rva: 0, sizeBytes: 0 };
    const at = optional + 112 + index * 8;
    return { rva: view.getUint32(at, true), sizeBytes: view.getUint32(at + 4, true) };
  });
}

function checkKind(headers: PeHeaders, fileName: string): void {
  if ((headers.characteristics & fileIsExecutable) === 0) {
    throw wrongKindOfImage(fileName, 'an image that the linker marked as not executable', 'a linked driver');
  }
  if (headers.directories[directoryIndex.managed]?.rva) {
    throw wrongKindOfImage(fileName, 'a managed (.NET) image', 'a native driver');
  }
  if (headers.subsystem !== subsystemNative) {
    throw wrongKindOfImage(
      fileName,
      `subsystem ${headers.subsystem} (${subsystemName(headers.subsystem)})`,
      'subsystem 1 (native), which kernel-mode drivers have',
    );
  }
}

function isPowerOfTwo(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0;
}

function checkSizes(headers: PeHeaders, fileBytes: number, fileName: string): void {
  const { sectionAlignment, fileAlignment, sizeOfImage, sizeOfHeaders, preferredBaseU64 } = headers;
  const malformed = (found: string, expected: string): Error => malformedHeaders(fileName, found, expected);
  if (Number.isNaN(headers.preferredBase) || (preferredBaseU64 & 0xffffn) !== 0n) {
    throw malformed(`image base 0x${preferredBaseU64.toString(16)}`, 'a canonical address, multiple of 0x10000');
  }
  if (!isPowerOfTwo(fileAlignment) || fileAlignment > 0x10000) {
    throw malformed(`file alignment ${hex(fileAlignment)}`, 'a power of two up to 0x10000');
  }
  if (!isPowerOfTwo(sectionAlignment) || sectionAlignment < fileAlignment) {
    throw malformed(`section alignment ${hex(sectionAlignment)}`, `a power of two, at least ${hex(fileAlignment)}`);
  }
  if (sizeOfImage === 0 || sizeOfImage > largestImageBytes) {
    throw malformed(`SizeOfImage ${hex(sizeOfImage)}`, `1 to ${hex(largestImageBytes)} (64 MB)`);
  }
  if (headers.numberOfSections === 0 || headers.numberOfSections > mostSections) {
    throw malformed(`${headers.numberOfSections} sections`, `1 to ${mostSections}`);
  }
  const tableEnd = headers.sectionTableOffset + headers.numberOfSections * sectionHeaderBytes;
  if (tableEnd > fileBytes) throw truncated(fileName, 'the section table', tableEnd, fileBytes);
  if (sizeOfHeaders > fileBytes) throw truncated(fileName, 'the headers (SizeOfHeaders)', sizeOfHeaders, fileBytes);
  if (sizeOfHeaders < tableEnd || sizeOfHeaders > sizeOfImage) {
    throw malformed(
      `SizeOfHeaders ${hex(sizeOfHeaders)}`,
      `${hex(tableEnd)} (the section table's end) to SizeOfImage ${hex(sizeOfImage)}`,
    );
  }
  if (headers.entryPointRva !== undefined && headers.entryPointRva >= sizeOfImage) {
    throw malformed(`entry point ${hex(headers.entryPointRva)}`, `an RVA below SizeOfImage ${hex(sizeOfImage)}`);
  }
}
