/**
 * Pool Tracking (flag 0x8, rule class 4): every allocation of a verified driver is recorded with its stack; when the
 * driver is unloaded, one that remains is bug check 0xC4 with parameter 1 0x62 (pool-tracking.md of the WDK docs).
 */
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import { type PoolBlock, tagOf } from '../../nt/ex/pool.ts';
import type { ContiguousBlock } from '../../nt/mm/contiguous-memory.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { AllocationLog } from './allocation-log.ts';
import { BlockTrailers } from './block-trailers.ts';
import { LockedPages } from './locked-pages.ts';
import { type AllocationKind, type TrackedAllocation, TrackedAllocations } from './tracked-allocations.ts';

/** Tags that Verifier records where it allocates in the driver's place. */
const substitutedTags: { readonly [K in AllocationKind]?: number } = { mdl: tagOf('VMdl'), workitem: tagOf('Vfwi') };
const noTag = tagOf('None');
/** Stands for Windows' internal record of a verified driver: {name: UNICODE_STRING, then its characters and a NUL}. */
const driverRecordBytes = 0x40;

export class PoolTracking {
  readonly allocations: TrackedAllocations;
  readonly log: AllocationLog;
  readonly lockedPages: LockedPages;
  readonly trailers: BlockTrailers;
  private readonly nt: Nt;
  private readonly isVerified: (image: KernelImage) => boolean;
  /** Address of a driver's verifier record in guest memory, by image index. */
  private readonly records: StoreMap<number, Va>;

  constructor(nt: Nt, isVerified: (image: KernelImage) => boolean) {
    this.nt = nt;
    this.isVerified = isVerified;
    this.allocations = new TrackedAllocations(nt);
    this.log = new AllocationLog(nt, this.allocations.stacks);
    this.lockedPages = new LockedPages(nt);
    this.trailers = new BlockTrailers(nt);
    nt.pool.needsTrailer = ({ image }) => image !== undefined && isVerified(image);
    this.records = nt.stores.map('verifier/driver-records');
    nt.events.on('imageLoaded', ({ image }) => this.addRecord(image));
    nt.events.on('poolAllocated', ({ block, caller }) => this.allocated(block, caller.image));
    nt.events.on('poolAllocationFailed', ({ caller }) => this.failed(caller.image));
    nt.events.on('poolFreed', ({ block }) => this.freed(block));
    nt.events.on('contiguousAllocated', ({ block }) => this.countContiguous(block, 1));
    nt.events.on('contiguousFreed', ({ block }) => this.countContiguous(block, -1));
    nt.events.on('driverUnloaded', ({ image }) => this.checkUnload(image));
  }

  private addRecord(image: KernelImage): void {
    if (!this.isVerified(image)) return;
    const { memory, pool } = this.nt;
    const record = pool.allocateKernel(driverRecordBytes + image.fileName.length * 2 + 2, 'Vfdr');
    memory.writeU16(record, image.fileName.length * 2);
    memory.writeU16(vaAdd(record, 2), image.fileName.length * 2 + 2);
    memory.writeVa(vaAdd(record, 8), vaAdd(record, driverRecordBytes));
    for (let index = 0; index < image.fileName.length; index++) {
      memory.writeU16(vaAdd(record, driverRecordBytes + index * 2), image.fileName.charCodeAt(index));
    }
    this.records.set(image.index, record);
  }

  /** Verifier's record of a driver, as 0xC4/0x62 gives it; undefined if the image is no verified driver's. */
  recordOf(image: KernelImage): Va | undefined {
    return this.records.get(image.index);
  }

  private allocated(block: PoolBlock, image: KernelImage | undefined): void {
    if (image === undefined || !this.isVerified(image)) return;
    const kind = kindOfFamily(block);
    const stack = this.allocations.add(
      {
        va: block.va,
        bytes: block.bytes,
        tag: substitutedTags[kind] ?? block.tag,
        poolType: block.poolType,
        kind,
        imageIndex: image.index,
      },
      kind === 'pool' && block.tag === noTag,
    );
    if (block.hasTrailer) this.trailers.write(block);
    this.log.add('allocate', block.va, block.bytes, stack);
  }

  private failed(image: KernelImage | undefined): void {
    if (image === undefined || !this.isVerified(image)) return;
    this.allocations.addFailed();
  }

  private freed(block: PoolBlock): void {
    const damage = block.hasTrailer ? this.trailers.firstDamage(block) : undefined;
    if (damage !== undefined) throw this.trailers.bugCheck(block, damage);
    if (!this.allocations.remove(block.va)) return;
    this.log.add('free', block.va, block.bytes, this.allocations.stacks.intern(this.nt.currentStack()));
  }

  private countContiguous({ imageIndex, purpose, bytes }: ContiguousBlock, sign: 1 | -1): void {
    const image = this.nt.images.byIndex(imageIndex);
    if (purpose !== 'contiguous' || image === undefined || !this.isVerified(image)) return;
    this.allocations.addContiguous(imageIndex, sign * bytes);
  }

  /** Blocks that the driver still has and wrote past the end of, oldest first. */
  *overrunBlocks(image: KernelImage): Generator<{ allocation: TrackedAllocation; firstDamage: Va }> {
    for (const allocation of this.allocations.ofImage(image.index)) {
      const block = this.nt.pool.driverBlockAt(allocation.va);
      const firstDamage = block?.hasTrailer === true ? this.trailers.firstDamage(block) : undefined;
      if (firstDamage !== undefined) yield { allocation, firstDamage };
    }
  }

  /** The driver is gone; whatever it still holds is leaked. */
  private checkUnload(image: KernelImage): void {
    if (!this.isVerified(image)) return;
    const { paged, nonPaged } = this.allocations.countersOf(image.index);
    const left = paged.currentAllocations + nonPaged.currentAllocations;
    if (left === 0) return;
    const record = this.records.get(image.index) ?? 0;
    throw new BugCheck(
      0xc4,
      [0x62, record === 0 ? 0 : vaAdd(record as Va, driverRecordBytes), record, left],
      `${image.fileName} was unloaded without freeing its pool allocations (${left} left)`,
    );
  }
}

function kindOfFamily({ family }: PoolBlock): AllocationKind {
  if (family === 'work-item') return 'workitem';
  // System buffers are allocated in nobody's name.
  return family === 'system-buffer' ? 'pool' : family;
}
