/** MmAllocatePagesForMdl and its kin: physical pages without an address, described by an MDL that the driver frees. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call } from '../declare/call.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { MDL, MdlFlag } from '../structures/io.ts';
import { PoolType } from '../structures/pool.ts';
import { anyPhysicalAddress, fits, type PhysicalLimits } from './contiguous-memory.ts';
import { type Holder, holderOf } from './holder.ts';
import { changeMdlFlags, initialiseMdl, mdlSizeBytes, writePfn } from './mdl-layout.ts';

const pagesMdlTag = 'Mmdl';

export interface PageAllocation extends Holder {
  readonly mdl: Va;
  readonly frames: readonly number[];
}

export interface PageRequest {
  readonly bytes: number;
  readonly limits: PhysicalLimits;
  readonly isZeroed: boolean;
  /** All pages or none. */
  readonly isFullyRequired: boolean;
  /** All pages in a row or none. */
  readonly isContiguous: boolean;
}

export class PageAllocations {
  private readonly nt: Nt;
  private readonly allocations: StoreMap<number, PageAllocation>;
  /** Pages whose MDL was freed before they were: nobody can free them. By a running number. */
  private readonly abandoned: StoreMap<number, PageAllocation>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.allocations = nt.stores.map('mm/page-allocations');
    this.abandoned = nt.stores.map('mm/abandoned-page-allocations');
  }

  /** Pages that have not been freed, those that nobody can free included. */
  *outstanding(): Generator<PageAllocation> {
    yield* this.allocations.values();
    yield* this.abandoned.values();
  }

  /** Fewer pages than asked for may come. Undefined: none, or no memory for the MDL. */
  allocate(request: PageRequest, call: Call): Va | undefined {
    const { memory, pool, addressSpace } = this.nt;
    const wanted = Math.ceil(request.bytes / pageSize);
    if (wanted === 0) return undefined;
    const frames = this.takeFrames(wanted, request);
    if (frames === undefined) return undefined;
    const bytes = frames.length * pageSize;
    const tag = tagOf(pagesMdlTag);
    const sizeBytes = mdlSizeBytes(nullVa, bytes);
    const mdl = pool.allocate({ poolType: PoolType.NonPagedPoolNx, bytes: sizeBytes, tag }, call);
    if (mdl === undefined) {
      for (const frame of frames) memory.freeFrame(frame);
      return undefined;
    }
    const fill = request.isZeroed ? 0 : 0x81 + (this.nt.random.u32() % 0x7d);
    initialiseMdl(memory, mdl, nullVa, bytes, MdlFlag.PagesLocked);
    MDL.Process.set(memory, mdl, nullVa);
    for (const [index, frame] of frames.entries()) {
      memory.frameBytes(frame).fill(fill);
      addressSpace.frames.lock(frame);
      writePfn(memory, mdl, index, addressSpace.frames.pfnOf(frame));
    }
    // The address is used again: the MDL that described those pages was freed without them.
    const before = this.allocations.get(mdl);
    if (before !== undefined) this.abandoned.set(this.abandoned.size + 1, before);
    this.allocations.set(mdl, { mdl, frames, ...holderOf(this.nt, call) });
    return mdl;
  }

  /** MmFreePagesFromMdl: the pages; the MDL stays. Pages that are still mapped live until they are not. */
  free(mdl: Va): undefined {
    const allocation = this.allocations.get(mdl);
    if (allocation === undefined) {
      throw new BugCheck(0x4e, [7, 0, 0, 0], 'pages of an MDL were freed that were not allocated for it');
    }
    const { frames } = this.nt.addressSpace;
    this.allocations.delete(mdl);
    changeMdlFlags(this.nt.memory, mdl, MdlFlag.PagesLocked, 0);
    for (const frame of allocation.frames) {
      frames.release(frame);
      frames.unlock(frame);
    }
  }

  private takeFrames(wanted: number, request: PageRequest): number[] | undefined {
    const { memory } = this.nt;
    const { limits } = request;
    if (request.isContiguous) {
      const first = memory.allocateContiguousFrames(wanted, (frame) => fits(frame, wanted, limits));
      return first === undefined ? undefined : Array.from({ length: wanted }, (_, index) => first + index);
    }
    const isAnywhere = limits.lowest === 0n && limits.highest >= anyPhysicalAddress.highest >> 1n;
    const frames: number[] = [];
    while (frames.length < wanted) {
      const frame = isAnywhere
        ? memory.allocateFrame()
        : memory.allocateContiguousFrames(1, (candidate) => fits(candidate, 1, limits));
      if (frame === undefined) break;
      frames.push(frame);
    }
    if (frames.length === wanted || (frames.length > 0 && !request.isFullyRequired)) return frames;
    for (const frame of frames) memory.freeFrame(frame);
    return undefined;
  }
}
