/** Load configuration: IMAGE_LOAD_CONFIG_DIRECTORY64, winnt.h. */
import type { DataDirectory } from './coff-header.ts';
import type { MappedReader } from './mapped-reader.ts';
import { wrongKindOfImage } from './pe-errors.ts';
import type { PeLoadConfig } from './pe-image.ts';

/** Throws PP1005 for an address outside of the image, PP1002 for an ARM64EC image (whose machine says x64). */
export function readLoadConfig(
  reader: MappedReader,
  directory: DataDirectory,
  imageBase: bigint,
  fileName: string,
): PeLoadConfig | undefined {
  if (directory.rva === 0) return undefined;
  const ownSize = reader.u32(directory.rva);
  // Old linkers wrote a directory size of 0x40 whatever the structure's own size; the structure's is the one that counts.
  const sizeBytes = ownSize || directory.sizeBytes;
  reader.need(directory.rva, sizeBytes, 'the structure');
  const value = (offset: number): bigint => (offset + 8 <= sizeBytes ? reader.u64(directory.rva + offset) : 0n);
  const field32 = (offset: number): number => (offset + 4 <= sizeBytes ? reader.u32(directory.rva + offset) : 0);
  const address = (offset: number, what: string): number | undefined => {
    const va = value(offset);
    if (va === 0n) return undefined;
    const rva = va - imageBase;
    if (rva < 0n || rva + 8n > BigInt(reader.sizeBytes)) {
      throw reader.error(`${what} at address 0x${va.toString(16)}`, 'an address in the image');
    }
    return Number(rva);
  };
  if (value(0xc8) !== 0n) throw wrongKindOfImage(fileName, 'an ARM64EC image', 'one for x64 (AMD64)');
  return {
    sizeBytes,
    securityCookieRva: address(0x58, 'SecurityCookie'),
    guardCfCheckFunctionPointerRva: address(0x70, 'GuardCFCheckFunctionPointer'),
    guardCfDispatchFunctionPointerRva: address(0x78, 'GuardCFDispatchFunctionPointer'),
    guardCfFunctionTableRva: address(0x80, 'GuardCFFunctionTable'),
    guardCfFunctionCount: Number(BigInt.asUintN(32, value(0x88))),
    guardFlags: field32(0x90),
    guardXfgCheckFunctionPointerRva: address(0x118, 'GuardXFGCheckFunctionPointer'),
    guardXfgDispatchFunctionPointerRva: address(0x120, 'GuardXFGDispatchFunctionPointer'),
    guardXfgTableDispatchFunctionPointerRva: address(0x128, 'GuardXFGTableDispatchFunctionPointer'),
    castGuardOsDeterminedFailureModeRva: address(0x130, 'CastGuardOsDeterminedFailureMode'),
    guardMemcpyFunctionPointerRva: address(0x138, 'GuardMemcpyFunctionPointer'),
  };
}
