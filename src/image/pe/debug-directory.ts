/** Debug directory: IMAGE_DEBUG_DIRECTORY and the CodeView record that names the PDB. */
import type { DataDirectory } from './coff-header.ts';
import { latin1, type MappedReader } from './mapped-reader.ts';
import { hex } from './pe-errors.ts';
import type { CodeViewRecord, PeDebugEntry } from './pe-image.ts';

const mostEntries = 64;
const typeCodeView = 2;

/** Throws PP1005 if the directory is outside of the image. */
export function readDebugDirectory(reader: MappedReader, directory: DataDirectory): PeDebugEntry[] {
  if (directory.rva === 0 || directory.sizeBytes === 0) return [];
  reader.need(directory.rva, directory.sizeBytes, 'the directory');
  const entries: PeDebugEntry[] = [];
  const count = Math.min(mostEntries, Math.floor(directory.sizeBytes / 28));
  for (let index = 0; index < count; index++) {
    const at = directory.rva + index * 28;
    entries.push({
      timestamp: reader.u32(at + 4),
      type: reader.u32(at + 12),
      sizeBytes: reader.u32(at + 16),
      rva: reader.u32(at + 20),
      fileOffset: reader.u32(at + 24),
    });
  }
  return entries;
}

/** The first "RSDS" record. What can't be read is a note: it costs symbols, not the run. */
export function readCodeView(
  bytes: Uint8Array,
  entries: readonly PeDebugEntry[],
  notes: string[],
): CodeViewRecord | undefined {
  for (const entry of entries) {
    if (entry.type !== typeCodeView) continue;
    const end = entry.fileOffset + entry.sizeBytes;
    if (end > bytes.length || entry.sizeBytes < 24) {
      notes.push(`the CodeView record at file offset ${hex(entry.fileOffset)} lies outside of the file`);
      continue;
    }
    const record = bytes.subarray(entry.fileOffset, end);
    const magic = latin1(record.subarray(0, 4));
    if (magic !== 'RSDS') {
      notes.push(`a CodeView record of kind "${magic.replace(/[^ -~]/g, '?')}", which names no PDB 7.0 file`);
      continue;
    }
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    const zero = record.indexOf(0, 24);
    const path = record.subarray(24, Math.min(zero < 0 ? record.length : zero, 24 + 4096));
    return { guid: formatGuid(view), age: view.getUint32(20, true), pdbPath: utf8(path) };
  }
  return undefined;
}

function formatGuid(view: DataView): string {
  const digits = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width, '0');
  const tail = Array.from({ length: 8 }, (_, index) => digits(view.getUint8(12 + index), 2)).join('');
  return [
    digits(view.getUint32(4, true), 8),
    digits(view.getUint16(8, true), 4),
    digits(view.getUint16(10, true), 4),
    tail.slice(0, 4),
    tail.slice(4),
  ].join('-');
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8').decode(bytes);
}
