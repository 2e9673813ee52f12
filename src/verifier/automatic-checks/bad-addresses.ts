import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd, vaInRange, vaLow } from '../../base/va.ts';
import { Access, pageMask } from '../../engine/memory/layout.ts';
import { AddressMap } from '../../nt/address-map.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { PoolBlock } from '../../nt/ex/pool.ts';
import type { Nt } from '../../nt/nt.ts';
import { POOL_HEADER } from '../../nt/structures/pool.ts';
import { trackedAddressOf } from '../pool-tracking/block-trailers.ts';

const alignment = 16;
/** Freed blocks of a page and more that are still known as such. */
const rememberedBlocks = 1024;

/** Tells what is wrong with an address that is freed and is no block: freed before, inside a block, or nothing at all. */
export class BadAddresses {
  private readonly nt: Nt;
  private readonly hasPoolTracking: boolean;
  /** Blocks of a page and more have no header that says that they were freed. Latest last. */
  private readonly freedPages: StoreMap<number, true>;

  /** With Pool tracking the block that an address lies in is known by its trailer. */
  constructor(nt: Nt, hasPoolTracking: boolean) {
    this.nt = nt;
    this.hasPoolTracking = hasPoolTracking;
    this.freedPages = nt.stores.map('verifier/freed-pages');
    nt.events.on('poolAllocated', ({ block: { va } }) => {
      if (isPageAligned(va)) this.freedPages.delete(va);
    });
    nt.events.on('poolFreed', ({ block: { va } }) => {
      if (isPageAligned(va)) this.remember(va);
    });
  }

  /** The bug check for a free of an address that is no driver's block. */
  freed(va: Va): BugCheck {
    const { nonPagedPool, pagedPool } = AddressMap;
    if (![nonPagedPool, pagedPool].some(({ start, sizeBytes }) => vaInRange(va, start, sizeBytes))) {
      return new BugCheck(0xc4, [0x10, va, 0, 0], 'the driver freed an address that no pool allocation returned');
    }
    if (vaLow(va) % alignment !== 0) {
      return new BugCheck(0xc4, [0x16, 0, va, 0], 'the driver freed an address in pool at which no block can begin');
    }
    const around = this.blockAround(va);
    if (around !== undefined) {
      const summary = 'the driver freed an address in the middle of a pool block';
      if (!this.hasPoolTracking || !around.hasTrailer) return new BugCheck(0xc4, [0x16, 0, va, 0], summary);
      return new BugCheck(0xc4, [0x13e, va, around.va, trackedAddressOf(around)], summary);
    }
    return (
      this.freedTwice(va) ??
      new BugCheck(0xc4, [0x10, va, 0, 0], 'the driver freed an address that was never allocated')
    );
  }

  private freedTwice(va: Va): BugCheck | undefined {
    const summary = 'the driver freed a pool block that it had freed already';
    if (isPageAligned(va)) return this.freedPages.has(va) ? new BugCheck(0xc4, [0x13, va, 0, 0], summary) : undefined;
    const { memory } = this.nt;
    const header = vaAdd(va, -POOL_HEADER.sizeBytes);
    if (!memory.isAccessible(header, POOL_HEADER.sizeBytes, Access.Read)) return undefined;
    // A free block's header has a size and no type; one that was never handed out has no tag either.
    const sizeAndType = POOL_HEADER.Ulong1High.get(memory, header);
    const isFreeBlock = sizeAndType > 0 && sizeAndType <= 0xff;
    if (!isFreeBlock || POOL_HEADER.PoolTag.get(memory, header) === 0) return undefined;
    return new BugCheck(0xc4, [0x13, va, header, memory.readU64(header)], summary);
  }

  private blockAround(va: Va): PoolBlock | undefined {
    for (const block of this.nt.pool.driverBlocks()) if (va > block.va && va < block.va + block.bytes) return block;
    return undefined;
  }

  private remember(va: Va): void {
    this.freedPages.set(va, true);
    if (this.freedPages.size <= rememberedBlocks) return;
    for (const oldest of this.freedPages.keys()) {
      this.freedPages.delete(oldest);
      return;
    }
  }
}

function isPageAligned(va: Va): boolean {
  return (vaLow(va) & pageMask) === 0;
}
