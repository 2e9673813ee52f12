/** wdm.h: lookaside lists. */
import { bytes, pointer, struct, u16, u32 } from '../declare/struct.ts';
import { LIST_ENTRY } from './ke.ts';

/**
 * GENERAL_LOOKASIDE_LAYOUT: `L` of a LOOKASIDE_LIST_EX, and the start of an NPAGED_LOOKASIDE_LIST and a
 * PAGED_LOOKASIDE_LIST, which are 0x80 bytes for the cache line's sake.
 */
export const GENERAL_LOOKASIDE = struct('_GENERAL_LOOKASIDE_POOL', {
  ListHead: bytes(16, 16),
  Depth: u16,
  MaximumDepth: u16,
  TotalAllocates: u32,
  AllocateMisses: u32,
  TotalFrees: u32,
  FreeMisses: u32,
  Type: u32,
  Tag: u32,
  Size: u32,
  Allocate: pointer,
  Free: pointer,
  ListEntry: bytes(LIST_ENTRY.sizeBytes, 8),
  LastTotalAllocates: u32,
  LastAllocateMisses: u32,
  Future: bytes(8, 4),
});
