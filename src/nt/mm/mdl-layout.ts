/** What an MDL says: the pages that a buffer spans and the page frame numbers that follow the header. */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import { MDL, MdlFlag } from '../structures/io.ts';

const pfnBytes = 8;
/** IoAllocateMdl takes MDLs up to this many pages from a list of equal ones. */
const fixedSizePages = 23;
/** MDL_ALLOCATED_FIXED_SIZE is the only flag that belongs to the MDL itself and not to what it describes. */
const ownFlags = MdlFlag.AllocatedFixedSize;

/** ADDRESS_AND_SIZE_TO_SPAN_PAGES */
export function spannedPages(va: Va, bytes: number): number {
  return Math.ceil(((vaLow(va) & pageMask) + bytes) / pageSize);
}

export function pageOf(va: Va): Va {
  return vaAdd(va, -(vaLow(va) & pageMask));
}

/** MmSizeOfMdl: header and page frame numbers. */
export function mdlSizeBytes(va: Va, bytes: number): number {
  return MDL.sizeBytes + spannedPages(va, bytes) * pfnBytes;
}

/** Bytes that IoAllocateMdl allocates, and the flags that say so. */
export function allocatedMdl(va: Va, bytes: number): { readonly sizeBytes: number; readonly flags: number } {
  const isFixed = spannedPages(va, bytes) <= fixedSizePages;
  return isFixed
    ? { sizeBytes: MDL.sizeBytes + fixedSizePages * pfnBytes, flags: MdlFlag.AllocatedFixedSize }
    : { sizeBytes: mdlSizeBytes(va, bytes), flags: 0 };
}

/** MmInitializeMdl. */
export function initialiseMdl(memory: GuestMemory, mdl: Va, va: Va, bytes: number, flags: number): void {
  MDL.Next.set(memory, mdl, 0 as Va);
  // A CSHORT: the size of a very long MDL is cut, as on Windows.
  MDL.Size.set(memory, mdl, mdlSizeBytes(va, bytes) & 0xffff);
  MDL.MdlFlags.set(memory, mdl, flags);
  MDL.StartVa.set(memory, mdl, pageOf(va));
  MDL.ByteOffset.set(memory, mdl, vaLow(va) & pageMask);
  MDL.ByteCount.set(memory, mdl, bytes);
}

/** MmGetMdlVirtualAddress */
export function mdlVirtualAddress(memory: GuestMemory, mdl: Va): Va {
  return vaAdd(MDL.StartVa.get(memory, mdl), MDL.ByteOffset.get(memory, mdl));
}

export function mdlPages(memory: GuestMemory, mdl: Va): number {
  return Math.ceil((MDL.ByteOffset.get(memory, mdl) + MDL.ByteCount.get(memory, mdl)) / pageSize);
}

/** Address of a page frame number in the array. */
export function pfnAddress(mdl: Va, index: number): Va {
  return vaAdd(mdl, MDL.sizeBytes + index * pfnBytes);
}

export function readPfn(memory: GuestMemory, mdl: Va, index: number): number {
  return Number(memory.readU64(pfnAddress(mdl, index)));
}

export function writePfn(memory: GuestMemory, mdl: Va, index: number, pfn: number): void {
  memory.writeU64(pfnAddress(mdl, index), BigInt(pfn));
}

export function mdlFlags(memory: GuestMemory, mdl: Va): number {
  return MDL.MdlFlags.get(memory, mdl);
}

export function hasMdlFlag(memory: GuestMemory, mdl: Va, flag: number): boolean {
  return (mdlFlags(memory, mdl) & flag) !== 0;
}

export function changeMdlFlags(memory: GuestMemory, mdl: Va, clear: number, set: number): void {
  MDL.MdlFlags.set(memory, mdl, (mdlFlags(memory, mdl) & ~clear) | set);
}

/** Flags of a partial MDL over `source`. */
export function partialFlags(target: number, source: number): number {
  const inherited = MdlFlag.SourceIsNonPagedPool | MdlFlag.MappedToSystemVa | MdlFlag.IoSpace;
  return (target & ownFlags) | (source & inherited) | MdlFlag.Partial;
}
