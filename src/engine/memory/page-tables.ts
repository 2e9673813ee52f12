/**
 * The page tables of system space, derived from mappings: one for the host, and for translated code one below
 * DISPATCH_LEVEL and one for it and above, laid out for one comparison an access.
 */
import {
  Access,
  hostPageTableOffset,
  PageEntry,
  pageMask,
  pageShift,
  pageTableHighIrqlOffset,
  pageTableLowIrqlOffset,
  systemSpaceHigh32,
} from './layout.ts';

/**
 * Sets the entries of the page with that index in system space. `derived`: offset of its frame with the {@link Access}
 * that needs no look first. One that is paged out at DISPATCH_LEVEL has no entry there.
 */
export function setPageTables(i32: Int32Array, index: number, derived: number, isPagedOut: boolean): void {
  i32[(hostPageTableOffset >> 2) + index] = derived;
  setPageEntry(i32, pageTableLowIrqlOffset, index, derived);
  setPageEntry(i32, pageTableHighIrqlOffset, index, isPagedOut ? 0 : derived);
}

function setPageEntry(i32: Int32Array, table: number, index: number, derived: number): void {
  const at = (table + (index << PageEntry.SizeShift)) >> 2;
  const lastByte = (index << pageShift) | pageMask;
  const isReadable = (derived & Access.Read) !== 0;
  const isWritable = (derived & Access.Write) !== 0;
  i32[at] = isReadable ? lastByte : 0;
  i32[at + 1] = isReadable ? systemSpaceHigh32 : 0;
  i32[at + 2] = isWritable ? lastByte : 0;
  i32[at + 3] = isWritable ? systemSpaceHigh32 : 0;
  i32[at + (PageEntry.Delta >> 2)] = (derived & ~pageMask) - (index << pageShift);
}
