/** Memory in consecutive frames and noncached memory: what drivers get for devices to read and write. */
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { firstPfn } from './frames.ts';
import type { Holder } from './holder.ts';

/** Which physical addresses will do. */
export interface PhysicalLimits {
  /** Lowest and highest address, inclusive. */
  readonly lowest: bigint;
  readonly highest: bigint;
  /** A power of two whose multiples the memory may not cross; 0 for none. */
  readonly boundary: bigint;
}

export const anyPhysicalAddress: PhysicalLimits = { lowest: 0n, highest: 0xffff_ffff_ffff_ffffn, boundary: 0n };

export interface ContiguousBlock extends Holder {
  readonly va: Va;
  /** As requested. */
  readonly bytes: number;
  readonly purpose: 'contiguous' | 'non-cached';
}

export class ContiguousMemory {
  private readonly nt: Nt;
  private readonly blocks: StoreMap<number, ContiguousBlock>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.blocks = nt.stores.map('mm/contiguous-memory');
  }

  /** Blocks that have not been freed. */
  outstanding(): IterableIterator<ContiguousBlock> {
    return this.blocks.values();
  }

  /** Whole pages, contents arbitrary; undefined if there is no such memory. `flags`: `Access` bits. */
  allocate(
    { bytes, purpose, imageIndex, stack, activity }: Omit<ContiguousBlock, 'va'>,
    flags: number,
    limits: PhysicalLimits = anyPhysicalAddress,
  ): Va | undefined {
    const { memory, addressSpace, random } = this.nt;
    const pages = Math.ceil(bytes / pageSize);
    if (pages === 0 || pages > memory.freeFrameCount) return undefined;
    const first = memory.allocateContiguousFrames(pages, (frame) => fits(frame, pages, limits));
    if (first === undefined) return undefined;
    const va = addressSpace.reserve(AddressMap.systemPtes, pages + 1);
    if (va === undefined) {
      for (let index = 0; index < pages; index++) memory.freeFrame(first + index);
      return undefined;
    }
    const garbage = 0x81 + (random.u32() % 0x7d);
    for (let index = 0; index < pages; index++) {
      memory.frameBytes(first + index).fill(garbage);
      memory.mapPage(vaAdd(va, index * pageSize), first + index, flags);
    }
    const block = { va, bytes, purpose, imageIndex, stack, activity };
    this.blocks.set(va, block);
    this.nt.events.emit('contiguousAllocated', { block });
    return va;
  }

  /** An address that is none of this memory's is bug check 0xC2. */
  free(va: Va, purpose: ContiguousBlock['purpose']): undefined {
    const block = this.blocks.get(va);
    if (block === undefined || block.purpose !== purpose) {
      throw new BugCheck(0xc2, [0x60, va, 0, 0], `an address was freed as ${purpose} memory that is none`);
    }
    this.nt.events.emit('contiguousFreed', { block });
    this.blocks.delete(va);
    const { memory, addressSpace } = this.nt;
    const pages = Math.ceil(block.bytes / pageSize);
    for (let index = 0; index < pages; index++) {
      const frame = memory.unmapPage(vaAdd(va, index * pageSize));
      if (frame !== undefined) addressSpace.frames.release(frame);
    }
    addressSpace.release(AddressMap.systemPtes, va, pages + 1);
  }
}

/** Whether `pages` frames from `frame` on lie within the limits. */
export function fits(frame: number, pages: number, { lowest, highest, boundary }: PhysicalLimits): boolean {
  const start = BigInt(frame + firstPfn) * BigInt(pageSize);
  const last = start + BigInt(pages * pageSize - 1);
  return start >= lowest && last <= highest && (boundary === 0n || start / boundary === last / boundary);
}
