/** Headers of an x64 image, as whoever hears of it may look at them. */

const sizeBytes = 0x1000;

/** One page: a PE32+ image of nothing but its headers (PE format: DOS header, COFF header, optional header). */
export function headersOfImage(isDll: boolean): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  const [pe, optional] = [0x40, 0x58];
  view.setUint16(0, 0x5a4d, true);
  view.setUint32(0x3c, pe, true);
  view.setUint32(pe, 0x4550, true);
  // IMAGE_FILE_MACHINE_AMD64; EXECUTABLE_IMAGE, LARGE_ADDRESS_AWARE, DLL
  view.setUint16(pe + 4, 0x8664, true);
  view.setUint16(pe + 20, 0xf0, true);
  view.setUint16(pe + 22, isDll ? 0x2022 : 0x22, true);
  view.setUint16(optional, 0x20b, true);
  // SectionAlignment, FileAlignment, SizeOfImage, SizeOfHeaders
  view.setUint32(optional + 32, 0x1000, true);
  view.setUint32(optional + 36, 0x200, true);
  view.setUint32(optional + 56, sizeBytes, true);
  view.setUint32(optional + 60, 0x200, true);
  // Subsystem: IMAGE_SUBSYSTEM_WINDOWS_CUI; NumberOfRvaAndSizes
  view.setUint16(optional + 68, 3, true);
  view.setUint32(optional + 108, 16, true);
  return bytes;
}
