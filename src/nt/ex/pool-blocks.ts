/** The blocks of the pools, found by their address. A block is a row of numbers: there may be millions. */
import type { StoreNumbers } from '../../base/store-numbers.ts';
import type { StoreTable } from '../../base/store-table.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { systemSpaceStart } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import { PoolType } from '../structures/pool.ts';

/**
 * What a block is to the driver: memory, or an object that a kernel routine made of it. A system buffer is the kernel's
 * own, and on a request that a driver may change: it can free it as pool, and put another block in its place.
 */
export type PoolFamily = 'pool' | 'mdl' | 'irp' | 'work-item' | 'string' | 'completion-context' | 'system-buffer';

export interface PoolBlock {
  readonly va: Va;
  /** As requested. */
  readonly bytes: number;
  readonly tag: number;
  /** Base type: PoolType without modifiers. */
  readonly poolType: number;
  readonly kind: number;
  readonly family: PoolFamily;
  /** Behind it is room for a trailer: see `Pool.needsTrailer`. */
  readonly hasTrailer: boolean;
}

const families: readonly PoolFamily[] = [
  'pool',
  'mdl',
  'irp',
  'work-item',
  'string',
  'completion-context',
  'system-buffer',
];
/** The key is the address as an offset in system space. `types`: pool type, kind << 16, whether it has a trailer << 23, family << 24. */
const Word = { bytes: 1, tag: 2, types: 3 } as const;
const words = 4;
const trailerBit = 0x80_0000;

/** Blocks with a tag that were ever allocated. */
export interface TagAllocations {
  readonly tag: number;
  readonly nonPaged: number;
  readonly paged: number;
}

/** The key is the tag. Of tag 0, which is no key, a row of numbers: nonpaged, paged. */
const TagWord = { nonPaged: 1, paged: 2 } as const;
const tagWords = 3;

export class PoolBlocks {
  private readonly table: StoreTable;
  private readonly tags: StoreTable;
  private readonly untagged: StoreNumbers;

  constructor(nt: Nt) {
    this.table = nt.stores.table('ex/pool-blocks', words);
    this.tags = nt.stores.table('ex/pool-tags', tagWords);
    this.untagged = nt.stores.numbers('ex/pool-untagged', 2);
  }

  get size(): number {
    return this.table.size;
  }

  add({ va, bytes, tag, poolType, kind, family, hasTrailer }: PoolBlock): void {
    const { table } = this;
    const row = table.add(va - systemSpaceStart);
    table.set(row, Word.bytes, bytes);
    table.set(row, Word.tag, tag);
    table.set(
      row,
      Word.types,
      poolType | (kind << 16) | (hasTrailer ? trailerBit : 0) | (families.indexOf(family) << 24),
    );
    this.countTag(tag, (poolType & PoolType.PagedPool) !== 0);
  }

  /** Each tag that was ever used, in the order of the first use; 0 first. */
  *tagAllocations(): Generator<TagAllocations> {
    const { tags, untagged } = this;
    const zero = { tag: 0, nonPaged: untagged.at(0), paged: untagged.at(1) };
    if (zero.nonPaged + zero.paged > 0) yield zero;
    for (let row = tags.next(); row >= 0; row = tags.next(row)) {
      yield { tag: tags.get(row, 0), nonPaged: tags.get(row, TagWord.nonPaged), paged: tags.get(row, TagWord.paged) };
    }
  }

  private countTag(tag: number, isPaged: boolean): void {
    const { tags } = this;
    if (tag === 0) {
      this.untagged.add(isPaged ? 1 : 0, 1);
      return;
    }
    const known = tags.find(tag);
    const row = known < 0 ? tags.add(tag) : known;
    const word = isPaged ? TagWord.paged : TagWord.nonPaged;
    tags.set(row, word, tags.get(row, word) + 1);
  }

  /** The block that begins there. */
  get(va: Va): PoolBlock | undefined {
    const row = this.table.find(va - systemSpaceStart);
    return row < 0 ? undefined : this.block(row);
  }

  delete(va: Va): void {
    this.table.remove(va - systemSpaceStart);
  }

  /** All blocks, oldest first. No block may come or go meanwhile. */
  *values(): Generator<PoolBlock> {
    for (let row = this.table.next(); row >= 0; row = this.table.next(row)) yield this.block(row);
  }

  private block(row: number): PoolBlock {
    const { table } = this;
    const types = table.get(row, Word.types);
    return {
      va: vaAdd(systemSpaceStart as Va, table.get(row, 0)),
      bytes: table.get(row, Word.bytes),
      tag: table.get(row, Word.tag),
      poolType: types & 0xffff,
      kind: (types >>> 16) & 0x7f,
      family: families[types >>> 24] as PoolFamily,
      hasTrailer: (types & trailerBit) !== 0,
    };
  }
}
