/** From the bytes of a file to a checked driver image. */

import { readBaseRelocations } from './base-relocations.ts';
import { type DataDirectory, directoryIndex, type PeHeaders, readHeaders } from './coff-header.ts';
import { readCodeView, readDebugDirectory } from './debug-directory.ts';
import { readExports } from './export-table.ts';
import { readFunctionTable } from './function-table.ts';
import { readDelayImports, readImports } from './import-tables.ts';
import { readLoadConfig } from './load-config.ts';
import { MappedReader, NameBudget } from './mapped-reader.ts';
import { truncated } from './pe-errors.ts';
import type { PeImage, PeSection } from './pe-image.ts';
import { mappedRawBytes, readSections } from './section-table.ts';

const fileRelocationsStripped = 0x0001;

/**
 * Reads a PE32+ x64 native image ("PE Format", Microsoft Learn; winnt.h). Export drivers (without an entry point) are
 * legal images. Throws `PoolproofError` PP1001 to PP1005 with one line that names the file; never anything else,
 * whatever the bytes are.
 */
export function parsePe(bytes: Uint8Array, fileName: string): PeImage {
  const notes: string[] = [];
  const headers = readHeaders(bytes, fileName);
  const sections = readSections(bytes, headers, fileName, notes);
  const mapped = mapSections(bytes, headers, sections);
  const names = new NameBudget();
  const reader = (directory: string): MappedReader => new MappedReader(mapped, fileName, directory, names);
  const directory = (index: number): DataDirectory => headers.directories[index] ?? { rva: 0, sizeBytes: 0 };
  const exported = readExports(reader('export table'), directory(directoryIndex.exports));
  const debugEntries = readDebugDirectory(reader('debug directory'), directory(directoryIndex.debug));
  return {
    fileName,
    fileSizeBytes: bytes.length,
    preferredBase: headers.preferredBase,
    preferredBaseU64: headers.preferredBaseU64,
    sizeOfImage: headers.sizeOfImage,
    sizeOfHeaders: headers.sizeOfHeaders,
    sectionAlignment: headers.sectionAlignment,
    fileAlignment: headers.fileAlignment,
    entryPointRva: headers.entryPointRva,
    timestamp: headers.timestamp,
    checksum: headers.checksum,
    characteristics: headers.characteristics,
    dllCharacteristics: headers.dllCharacteristics,
    subsystem: headers.subsystem,
    linkerVersion: headers.linkerVersion,
    sections,
    imports: readImports(reader('import table'), directory(directoryIndex.imports)),
    delayImports: readDelayImports(reader('delay import table'), directory(directoryIndex.delayImports)),
    exportedModuleName: exported.moduleName,
    exports: exported.exports,
    debugEntries,
    codeView: readCodeView(bytes, debugEntries, notes),
    loadConfig: readLoadConfig(
      reader('load configuration'),
      directory(directoryIndex.loadConfig),
      headers.preferredBaseU64,
      fileName,
    ),
    baseRelocations: readBaseRelocations(reader('base relocations'), directory(directoryIndex.baseRelocations)),
    areRelocationsStripped: (headers.characteristics & fileRelocationsStripped) !== 0,
    functions: readFunctionTable(reader('function table (.pdata)'), directory(directoryIndex.functions)),
    certificates: locateCertificates(directory(directoryIndex.certificates), bytes.length, fileName),
    notes,
    mapped,
  };
}

function mapSections(bytes: Uint8Array, headers: PeHeaders, sections: readonly PeSection[]): Uint8Array {
  const mapped = new Uint8Array(headers.sizeOfImage);
  mapped.set(bytes.subarray(0, headers.sizeOfHeaders));
  for (const section of sections) {
    const size = mappedRawBytes(section, headers);
    mapped.set(bytes.subarray(section.rawOffset, section.rawOffset + size), section.rva);
  }
  return mapped;
}

/** The one directory whose "RVA" is a file offset: signatures are not mapped. */
function locateCertificates(
  directory: DataDirectory,
  fileBytes: number,
  fileName: string,
): { fileOffset: number; sizeBytes: number } | undefined {
  if (directory.rva === 0 || directory.sizeBytes === 0) return undefined;
  const end = directory.rva + directory.sizeBytes;
  if (end > fileBytes) throw truncated(fileName, 'the signature (certificate table)', end, fileBytes);
  return { fileOffset: directory.rva, sizeBytes: directory.sizeBytes };
}
