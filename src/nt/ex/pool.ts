/**
 * The pool allocator. Small blocks (header included less than a page) are cut from pages of one size and kind; larger
 * ones get pages of their own. Windows' placement rules hold: 16-byte alignment, small blocks never cross a page, a
 * request of a page or more is page aligned. Friendly behaviour is avoided: memory is filled with seeded garbage, a
 * freed block is used again as late as possible, and freed large blocks are unmapped. A free block that somebody wrote to
 * (`free-blocks.ts`) is never used again.
 */
import { assert } from '../../base/errors.ts';
import type { StoreQueue } from '../../base/store-queue.ts';
import { type Va, vaAdd, vaInRange, vaLow } from '../../base/va.ts';
import { Access, PageFlag, pageMask, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { Region } from '../mm/address-space.ts';
import type { Nt } from '../nt.ts';
import { PoolType, PoolTypeModifier } from '../structures/pool.ts';
import { type DamagedBlock, damageOf, noteFill, takeFree } from './free-blocks.ts';
import { type PoolBlock, PoolBlocks, type PoolFamily, type TagAllocations } from './pool-blocks.ts';
import { granule, granulesOf, hasTrailerRoom, headerBytes, headerWord } from './pool-sizes.ts';

export interface PoolRequest {
  /** POOL_TYPE with its modifiers. */
  readonly poolType: number;
  readonly bytes: number;
  /** 0 for the forms without a tag. */
  readonly tag: number;
  readonly isZeroed?: boolean;
  /** `pool` unless told. */
  readonly family?: PoolFamily;
}

export type { PoolBlock, PoolFamily } from './pool-blocks.ts';

/** A small block that nobody has. */
export interface FreeSmallBlock {
  readonly header: Va;
  readonly kind: number;
  /** With its header. */
  readonly bytes: number;
}

/** Whoever asks for memory in a driver's name. */
type Caller = Call | ResumedCall;

/** May this request succeed? All policies must agree. */
export type AllocationPolicy = (request: PoolRequest, caller: Caller) => boolean;

/** Blocks of one size that stay unused after they were freed. */
const quarantineBlocks = 32;
/** Blocks that can be allocated at a time; more is failed as lack of memory. */
const maximumBlocks = 2_000_000;
const readWrite = Access.Read | Access.Write;

interface PoolKind {
  readonly name: string;
  readonly region: Region;
  readonly pageFlags: number;
}

const kinds: readonly PoolKind[] = [
  { name: 'nonpaged', region: AddressMap.nonPagedPool, pageFlags: readWrite | Access.Execute },
  { name: 'nonpaged-nx', region: AddressMap.nonPagedPool, pageFlags: readWrite },
  { name: 'paged', region: AddressMap.pagedPool, pageFlags: readWrite | PageFlag.Pageable },
  { name: 'kernel', region: AddressMap.kernelHeap, pageFlags: readWrite },
];
const kernelKind = 3;
/** In all the POOL_TYPEs whose names say so. */
const cacheAlignedBit = 4;

export class Pool {
  /** May be added to by verifier options and fault injection. */
  readonly policies: AllocationPolicy[] = [];
  /**
   * Set by the verifier option that keeps a trailer of {@link trailerBytes} behind blocks. It gets the room wherever that
   * does not make the block one of a page or more; the bytes behind the requested ones are then its own.
   */
  needsTrailer: (caller: Caller) => boolean = () => false;
  private readonly nt: Nt;
  private readonly blocks: PoolBlocks;
  private readonly freeBlocks: (StoreQueue | undefined)[] = [];
  /** Those that were taken out of {@link freeBlocks}, by their size and kind, because they are damaged. */
  private readonly damagedBlocks: (StoreQueue | undefined)[] = [];

  constructor(nt: Nt) {
    this.nt = nt;
    this.blocks = new PoolBlocks(nt);
    for (let kind = 0; kind < kinds.length; kind++) {
      for (let granules = 2; granules < pageSize / granule; granules++) {
        this.freeBlocks[kind * 256 + granules] = nt.stores.queue(`ex/pool-free-${kind}-${granules}`);
        this.damagedBlocks[kind * 256 + granules] = nt.stores.queue(`ex/pool-damaged-${kind}-${granules}`);
      }
    }
  }

  /**
   * Allocates in a driver's name and tells the listeners.
   * @returns undefined when memory is short or a policy refuses.
   */
  allocate(request: PoolRequest, caller: Caller): Va | undefined {
    for (const policy of this.policies) {
      if (!policy(request, caller)) {
        this.nt.events.emit('poolAllocationFailed', { request, caller });
        return undefined;
      }
    }
    const baseType = basePoolType(request.poolType);
    const family = request.family ?? 'pool';
    const needsTrailer = this.needsTrailer(caller);
    const block = this.place(kindOf(baseType), baseType, request.bytes, request.tag, family, needsTrailer);
    if (block === undefined) {
      this.nt.events.emit('poolAllocationFailed', { request, caller });
      return undefined;
    }
    if (request.isZeroed === true || (request.poolType & PoolTypeModifier.ZeroAllocation) !== 0) {
      this.nt.memory.fill(block.va, request.bytes, 0);
    }
    this.nt.events.emit('poolAllocated', { block, caller });
    return block.va;
  }

  /**
   * Frees what a driver was given. Bug check 0xC2 as Windows raises it for bad addresses and tags. `tag` 0: any.
   * No caller: the kernel frees what a driver handed over to it.
   */
  free(va: Va, tag: number, caller: Caller | undefined): undefined {
    const block = this.driverBlockAt(va);
    if (block === undefined) throw this.badFree(va);
    if (tag !== 0 && block.tag !== 0 && (tag & 0x7fff_ffff) !== (block.tag & 0x7fff_ffff)) {
      throw new BugCheck(
        0xc2,
        [0x0a, va, block.tag, tag],
        'a pool block was freed with another tag than it was allocated with',
      );
    }
    this.nt.poolQuota.giveBack(va);
    this.nt.events.emit('poolFreed', { block, caller });
    this.remove(block);
  }

  /** Memory for the kernel itself; never counted as a driver's. Zeroed, but for what a driver gets to see as it is: MDLs, system buffers. */
  allocateKernel(bytes: number, tagName: string, family: PoolFamily = 'pool'): Va {
    const block = this.place(kernelKind, PoolType.NonPagedPoolNx, bytes, tagOf(tagName), family);
    if (block === undefined) throw new BugCheck(0x4d, [0, 0, 0, 0], 'the emulated machine has no memory left');
    if (family === 'pool') this.nt.memory.fill(block.va, bytes, 0);
    return block.va;
  }

  freeKernel(va: Va): void {
    const block = this.blocks.get(va);
    assert(block?.kind === kernelKind, 'the kernel frees what it allocated');
    this.remove(block);
  }

  /** Frees what the kernel allocated itself, or what a driver handed over to it (a buffer on an IRP). */
  freeAny(va: Va): void {
    if (this.blocks.get(va)?.kind === kernelKind) this.freeKernel(va);
    else this.free(va, 0, undefined);
  }

  blockAt(va: Va): PoolBlock | undefined {
    return this.blocks.get(va);
  }

  /** As {@link blockAt}; undefined for the kernel's own memory, which drivers cannot free. */
  driverBlockAt(va: Va): PoolBlock | undefined {
    const block = this.blocks.get(va);
    return block?.kind === kernelKind && block.family !== 'system-buffer' ? undefined : block;
  }

  /** All blocks of the pools that drivers use. */
  *driverBlocks(): Generator<PoolBlock> {
    for (const block of this.blocks.values()) if (block.kind !== kernelKind) yield block;
  }

  /** All blocks, those of the kernel's own memory too, oldest first. */
  allBlocks(): Generator<PoolBlock> {
    return this.blocks.values();
  }

  /** How many blocks were ever allocated with each tag, the kernel's own too. */
  tagAllocations(): Generator<TagAllocations> {
    return this.blocks.tagAllocations();
  }

  /** Small blocks that are free, in no order. Nothing may be allocated or freed meanwhile. */
  *freeSmallBlocks(): Generator<FreeSmallBlock> {
    for (const queues of [this.freeBlocks, this.damagedBlocks]) {
      for (const [index, queue] of queues.entries()) {
        for (const header of queue?.values() ?? []) {
          yield { header: header as Va, kind: index >>> 8, bytes: (index % 256) * granule };
        }
      }
    }
  }

  /** Small blocks, also of the kernel's own memory, that were written to after they were freed, or before they were handed out. */
  *damagedFreeBlocks(): Generator<DamagedBlock> {
    for (const queues of [this.damagedBlocks, this.freeBlocks]) {
      for (const [index, queue] of queues.entries()) {
        const granules = index % 256;
        const word = headerWord(index >>> 8, granules, false);
        for (const header of queue?.values() ?? []) {
          const damage = damageOf(this.nt, header as Va, word, granules * granule);
          if (damage !== undefined) yield damage;
        }
      }
    }
  }

  /** The emulated machine's limit, besides its RAM: records of blocks cost the host memory. */
  private get isFull(): boolean {
    return this.blocks.size >= maximumBlocks;
  }

  private place(
    kind: number,
    poolType: number,
    bytes: number,
    tag: number,
    family: PoolFamily,
    needsTrailer = false,
  ): PoolBlock | undefined {
    if (this.isFull && kind !== kernelKind) return undefined;
    // A block that is to begin a cache line gets a page of its own.
    const isAligned = (poolType & cacheAlignedBit) !== 0 && bytes > 0;
    const isSmall = !isAligned && granulesOf(bytes, false) < pageSize / granule;
    const hasTrailer = needsTrailer && hasTrailerRoom(bytes, isSmall);
    const va = isSmall ? this.placeSmall(kind, granulesOf(bytes, hasTrailer), tag) : this.placeLarge(kind, bytes);
    if (va === undefined) return undefined;
    const block = { va, bytes, tag, poolType, kind, family, hasTrailer };
    this.blocks.add(block);
    return block;
  }

  private placeSmall(kind: number, granules: number, tag: number): Va | undefined {
    const queue = this.queue(kind, granules);
    const take = (): Va | undefined => this.takeSmall(kind, granules);
    const header = (queue.length > quarantineBlocks ? take() : this.cutPage(kind, granules)) ?? take();
    if (header === undefined) return undefined;
    this.writeHeader(header, kind, granules, tag, true);
    const va = vaAdd(header, headerBytes);
    this.nt.memory.fill(va, granules * granule - headerBytes, this.garbage());
    return va;
  }

  private takeSmall(kind: number, granules: number): Va | undefined {
    const damaged = this.damagedBlocks[kind * 256 + granules];
    assert(damaged, 'every block size has its queue');
    const block = { word: headerWord(kind, granules, false), bytes: granules * granule };
    return takeFree(this.nt, this.queue(kind, granules), damaged, block);
  }

  /** A fresh page cut into blocks: the first is returned, the others wait. */
  private cutPage(kind: number, granules: number): Va | undefined {
    const { region, pageFlags } = kinds[kind] as PoolKind;
    const fill = this.garbage();
    const page = this.nt.addressSpace.allocate(region, 1, pageFlags, fill);
    if (page === undefined) return undefined;
    const queue = this.queue(kind, granules);
    const bytes = granules * granule;
    for (let offset = bytes; offset + bytes <= pageSize; offset += bytes) {
      this.writeHeader(vaAdd(page, offset), kind, granules, 0, false, fill);
      queue.push(page + offset);
    }
    return page;
  }

  private placeLarge(kind: number, bytes: number): Va | undefined {
    const { region, pageFlags } = kinds[kind] as PoolKind;
    if (bytes > region.sizeBytes) return undefined;
    return this.nt.addressSpace.allocate(region, Math.ceil(bytes / pageSize), pageFlags, this.garbage());
  }

  private remove(block: PoolBlock): void {
    this.blocks.delete(block.va);
    const { region } = kinds[block.kind] as PoolKind;
    if ((vaLow(block.va) & pageMask) === 0) {
      this.nt.addressSpace.free(region, block.va, Math.ceil(block.bytes / pageSize));
      return;
    }
    const granules = granulesOf(block.bytes, block.hasTrailer);
    const header = vaAdd(block.va, -headerBytes);
    this.checkHeader(header, granules, block);
    this.checkNeighbour(header, granules, block);
    const fill = this.garbage();
    this.writeHeader(header, block.kind, granules, block.tag, false, fill);
    this.nt.memory.fill(block.va, granules * granule - headerBytes, fill);
    this.queue(block.kind, granules).push(header);
  }

  private queue(kind: number, granules: number): StoreQueue {
    const queue = this.freeBlocks[kind * 256 + granules];
    assert(queue, 'every block size has its queue');
    return queue;
  }

  private writeHeader(header: Va, kind: number, granules: number, tag: number, isAllocated: boolean, fill = 0): void {
    const { view } = this.nt.memory;
    const offset = this.nt.memory.offsetOf(header, Access.Write);
    view.setUint32(offset, headerWord(kind, granules, isAllocated), true);
    view.setUint32(offset + 4, tag, true);
    view.setUint32(offset + 8, 0, true);
    view.setUint32(offset + 12, 0, true);
    if (!isAllocated) noteFill(this.nt, offset, fill);
  }

  private checkHeader(header: Va, granules: number, block: PoolBlock): void {
    const found = this.nt.memory.readU32(header);
    if (found === headerWord(block.kind, granules, true) && this.nt.memory.readU32(vaAdd(header, 4)) === block.tag)
      return;
    throw new BugCheck(
      0x19,
      [0x20, header, vaAdd(header, granules * granule), found],
      'the header of a pool block was overwritten; found when the block was freed',
    );
  }

  /** The block behind it on the same page: its header is what an overrun hits first. */
  private checkNeighbour(header: Va, granules: number, block: PoolBlock): void {
    const bytes = granules * granule;
    const next = vaAdd(header, bytes);
    if ((vaLow(header) & pageMask) + 2 * bytes > pageSize) return;
    const found = this.nt.memory.readU32(next);
    if (found === headerWord(block.kind, granules, true) || found === headerWord(block.kind, granules, false)) return;
    throw new BugCheck(
      0x19,
      [0x20, header, next, this.nt.memory.readU32(header)],
      'the driver wrote behind the end of a pool block, over the header of the next one; found when the block was freed',
    );
  }

  private badFree(va: Va): BugCheck {
    const inPool = vaInRange(va, AddressMap.nonPagedPool.start, AddressMap.nonPagedPool.sizeBytes)
      ? 'nonpaged'
      : vaInRange(va, AddressMap.pagedPool.start, AddressMap.pagedPool.sizeBytes)
        ? 'paged'
        : undefined;
    if (!(va < 0)) {
      return new BugCheck(0xc2, [0x40, va, AddressMap.host.start, 0], 'a user-mode address was freed to kernel pool');
    }
    if (inPool === undefined)
      return new BugCheck(0xc2, [0x46, va, 0, 0], 'an address that is no pool address was freed');
    if (vaLow(va) % granule === 0 && (vaLow(va) & pageMask) !== 0) {
      const header = vaAdd(va, -headerBytes);
      if (this.nt.memory.isAccessible(header, headerBytes, Access.Read)) {
        const word = this.nt.memory.readU32(header);
        if (((word >>> 24) & 0xff) === 0 && ((word >>> 16) & 0xff) !== 0) {
          return new BugCheck(0xc2, [0x07, 0, word, va], 'a pool block was freed that is free already');
        }
      }
    }
    return inPool === 'nonpaged'
      ? new BugCheck(0xc2, [0x44, va, 0, 0], 'an address in nonpaged pool was freed that is not allocated')
      : new BugCheck(0xc2, [0x48, va, 0, 0], 'an address in paged pool was freed that is not allocated');
  }

  /** One byte whose repetition is no canonical address and no small number. */
  private garbage(): number {
    return 0x81 + (this.nt.random.u32() % 0x7d);
  }
}

function kindOf(baseType: number): number {
  if ((baseType & 1) !== 0) return 2;
  return (baseType & PoolType.NonPagedPoolNx) !== 0 ? 1 : 0;
}

export function basePoolType(poolType: number): number {
  return poolType & (1 | 2 | 4 | PoolType.NonPagedPoolNx);
}

export function isPagedPoolType(poolType: number): boolean {
  return (poolType & PoolType.PagedPool) !== 0;
}

/** The ULONG whose bytes in memory are the four characters. */
export function tagOf(text: string): number {
  let tag = 0;
  for (let index = 3; index >= 0; index--)
    tag = ((tag << 8) | (index < text.length ? text.charCodeAt(index) : 0x20)) >>> 0;
  return tag;
}
