/** The image checksum that the kernel's loader verifies. */

/**
 * What `IMAGE_OPTIONAL_HEADER.CheckSum` of a parsed file should be: the 16-bit one's complement sum of the file, with
 * the field itself as zero, plus the file's length (imagehlp.h: CheckSumMappedFile).
 */
export function imageChecksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = view.getUint32(60, true) + 24 + 64;
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    if (at === field || at === field + 2) continue;
    sum += at + 1 < bytes.length ? view.getUint16(at, true) : view.getUint8(at);
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return sum + bytes.length;
}
