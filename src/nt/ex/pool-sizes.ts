/** How large pool blocks are in memory, and what their headers say of it. */
import { vaLow } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import { POOL_HEADER } from '../structures/pool.ts';
import type { PoolBlock } from './pool-blocks.ts';

/** Sizes and places are multiples of it. */
export const granule = 16;
/** In front of each small block. */
export const headerBytes = POOL_HEADER.sizeBytes;
/** Room that a trailer has. */
export const trailerBytes = 16;

/** A block on pages of its own, without a header. */
export function isLarge({ va }: PoolBlock): boolean {
  return (vaLow(va) & pageMask) === 0;
}

/** Units of a small block, header included. */
export function granulesOf(bytes: number, hasTrailer: boolean): number {
  const behind = hasTrailer ? trailerBytes : 0;
  return Math.max(2, Math.ceil((Math.max(bytes, 1) + headerBytes + behind) / granule));
}

/** A small block stays small; a large one has what its last page leaves. */
export function hasTrailerRoom(bytes: number, isSmall: boolean): boolean {
  if (isSmall) return granulesOf(bytes, true) < pageSize / granule;
  return bytes % pageSize !== 0 && pageSize - (bytes % pageSize) >= trailerBytes;
}

/** What the pool has given for a block, header and padding included. */
export function chargedBytes(block: PoolBlock): number {
  const { bytes, hasTrailer } = block;
  return isLarge(block) ? Math.ceil(bytes / pageSize) * pageSize : granulesOf(bytes, hasTrailer) * granule;
}

/**
 * What a small block's header begins with: BlockSize in bits 16-23, pool type plus one in bits 24-31 (0: free), as in
 * _POOL_HEADER. PreviousSize and PoolIndex are 0, as in the pools of current Windows.
 */
export function headerWord(kind: number, granules: number, isAllocated: boolean): number {
  return ((isAllocated ? (kind + 1) << 24 : 0) | (granules << 16)) >>> 0;
}
