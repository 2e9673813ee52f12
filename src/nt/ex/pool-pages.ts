/**
 * What lies on a page of pool, for whoever looks at it from outside. The pool's own tables say it, not the headers in
 * guest memory, which a driver may have overwritten: {@link headerDamage} compares the two.
 */
import { type Va, vaAdd, vaInRange, vaLow } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import type { Nt } from '../nt.ts';
import { damageOf } from './free-blocks.ts';
import type { PoolBlock } from './pool-blocks.ts';
import { chargedBytes, granule, headerBytes, headerWord, isLarge } from './pool-sizes.ts';

/** A small block with its header, or what a page has left behind the last one. */
export interface PagePiece {
  readonly header: Va;
  /** With the header. */
  readonly bytes: number;
  /** Of the piece in front of it; 0 for the first of the page. */
  readonly previousBytes: number;
  readonly state: 'allocated' | 'free' | 'unused';
  /** Of an allocated block as it was allocated, of a free one what was there last (0: nothing was). */
  readonly tag: number;
  readonly kind: number;
  /** Undefined unless allocated. */
  readonly block: PoolBlock | undefined;
}

export type PoolPlace =
  /** Small blocks, all of one size. */
  | { readonly kind: 'small'; readonly page: Va; readonly pieces: readonly PagePiece[] }
  /** One block on pages of its own. */
  | { readonly kind: 'large'; readonly block: PoolBlock }
  /** Pool that nobody has: never used, or given back. */
  | { readonly kind: 'unmapped' }
  | { readonly kind: 'none' };

export type PoolRegion = 'nonpaged' | 'paged';

const tagOffset = 4;

/** The pool that an address would belong to; the kernel's own memory is nonpaged pool. */
export function poolRegionAt(va: Va): PoolRegion | undefined {
  const { nonPagedPool, pagedPool, kernelHeap } = AddressMap;
  if (vaInRange(va, pagedPool.start, pagedPool.sizeBytes)) return 'paged';
  const isNonPaged = [nonPagedPool, kernelHeap].some(({ start, sizeBytes }) => vaInRange(va, start, sizeBytes));
  return isNonPaged ? 'nonpaged' : undefined;
}

export function poolPlaceAt(nt: Nt, va: Va): PoolPlace {
  if (poolRegionAt(va) === undefined) return { kind: 'none' };
  const large = largeBlockAt(nt, va);
  if (large !== undefined) return { kind: 'large', block: large };
  const page = vaAdd(va, -(vaLow(va) & pageMask));
  const cut = cutOf(nt, page);
  return cut === undefined ? { kind: 'unmapped' } : { kind: 'small', page, pieces: piecesOf(nt, page, cut) };
}

/**
 * The first byte of a small block's header that is not what the pool wrote there; undefined if all of it is. Of a free
 * block also of its contents, which nobody may write to.
 */
export function headerDamage(nt: Nt, piece: PagePiece): Va | undefined {
  if (piece.state === 'unused') return undefined;
  const word = headerWord(piece.kind, piece.bytes / granule, piece.state === 'allocated');
  if (piece.state === 'free') return damageOf(nt, piece.header, word, piece.bytes)?.firstDamage;
  const found = peek(nt, piece.header, 2 * tagOffset);
  if (found === undefined) return undefined;
  const expected = [word, piece.tag];
  for (const [index, byte] of found.entries()) {
    const wanted = ((expected[index >> 2] as number) >>> ((index & 3) * 8)) & 0xff;
    if (byte !== wanted) return vaAdd(piece.header, index);
  }
  return undefined;
}

/** The tag in a small block's header as it stands in memory. */
export function tagInHeader(nt: Nt, header: Va): number {
  const [a = 0, b = 0, c = 0, d = 0] = peek(nt, vaAdd(header, tagOffset), 4) ?? [];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

function largeBlockAt(nt: Nt, va: Va): PoolBlock | undefined {
  const own = nt.pool.blockAt(vaAdd(va, -(vaLow(va) & pageMask)));
  if (own !== undefined) return own;
  for (const block of nt.pool.allBlocks()) {
    if (isLarge(block) && vaInRange(va, block.va, chargedBytes(block))) return block;
  }
  return undefined;
}

interface Cut {
  readonly bytes: number;
  readonly kind: number;
}

/** How a page was cut into blocks: by one that is allocated there, or by one that is free. */
function cutOf(nt: Nt, page: Va): Cut | undefined {
  for (let offset = headerBytes; offset < pageSize; offset += granule) {
    const block = nt.pool.blockAt(vaAdd(page, offset));
    if (block !== undefined) return { bytes: chargedBytes(block), kind: block.kind };
  }
  for (const { header, bytes, kind } of nt.pool.freeSmallBlocks()) {
    if (vaInRange(header, page, pageSize)) return { bytes, kind };
  }
  return undefined;
}

function piecesOf(nt: Nt, page: Va, { bytes, kind }: Cut): PagePiece[] {
  const pieces: PagePiece[] = [];
  let offset = 0;
  for (; offset + bytes <= pageSize; offset += bytes) {
    const header = vaAdd(page, offset);
    const block = nt.pool.blockAt(vaAdd(header, headerBytes));
    pieces.push({
      header,
      bytes,
      previousBytes: offset === 0 ? 0 : bytes,
      state: block === undefined ? 'free' : 'allocated',
      tag: block?.tag ?? tagInHeader(nt, header),
      kind,
      block,
    });
  }
  if (offset < pageSize) {
    const rest = { header: vaAdd(page, offset), bytes: pageSize - offset, previousBytes: bytes };
    pieces.push({ ...rest, state: 'unused', tag: 0, kind, block: undefined });
  }
  return pieces;
}

/** Bytes of one page whatever the IRQL: paged pool is looked at from anywhere. */
function peek(nt: Nt, va: Va, bytes: number): Uint8Array | undefined {
  const mapping = nt.memory.mappingAt(va);
  const offset = vaLow(va) & pageMask;
  return mapping && nt.memory.frameBytes(mapping.frame).subarray(offset, offset + bytes);
}
