import { assert } from '../../base/errors.ts';
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import { Frames } from './frames.ts';

export interface Region {
  readonly start: Va;
  readonly sizeBytes: number;
}

interface RegionState {
  readonly nextPage: number;
  /** Ranges given back, oldest first; an address is used again as late as possible. */
  readonly free: readonly { readonly page: number; readonly pages: number }[];
}

/** What fills a page that is handed out: zeros, or one byte everywhere. */
export type PageFill = number;

/** Hands out page ranges of the system space's regions, with or without memory behind them. */
export class AddressSpace {
  readonly frames: Frames;
  private readonly nt: Nt;
  private readonly regions: StoreMap<number, RegionState>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.frames = new Frames(nt);
    this.regions = nt.stores.map('mm/regions');
  }

  /** A range of addresses without memory; undefined if the region is used up. */
  reserve(region: Region, pages: number): Va | undefined {
    const state = this.regions.get(region.start) ?? { nextPage: 0, free: [] };
    const limit = region.sizeBytes / pageSize;
    if (state.nextPage + pages <= limit) {
      this.regions.set(region.start, { nextPage: state.nextPage + pages, free: state.free });
      return vaAdd(region.start, state.nextPage * pageSize);
    }
    const index = state.free.findIndex((range) => range.pages >= pages);
    const range = state.free[index];
    if (range === undefined) return undefined;
    const free = state.free.slice();
    if (range.pages === pages) free.splice(index, 1);
    else free[index] = { page: range.page + pages, pages: range.pages - pages };
    this.regions.set(region.start, { nextPage: state.nextPage, free });
    return vaAdd(region.start, range.page * pageSize);
  }

  /** Gives a range back; its pages are unmapped already. */
  release(region: Region, va: Va, pages: number): void {
    const state = this.regions.get(region.start);
    assert(state, 'a range is given back to the region that it came from');
    const page = (va - region.start) / pageSize;
    this.regions.set(region.start, { nextPage: state.nextPage, free: [...state.free, { page, pages }] });
  }

  /** A range with memory, every byte `fill`; undefined if addresses or memory are used up. */
  allocate(region: Region, pages: number, flags: number, fill: PageFill): Va | undefined {
    const { memory } = this.nt;
    if (memory.freeFrameCount < pages) return undefined;
    const va = this.reserve(region, pages);
    if (va === undefined) return undefined;
    for (let index = 0; index < pages; index++) {
      const frame = memory.allocateFrame();
      assert(frame !== undefined, 'frames were counted before');
      memory.frameBytes(frame).fill(fill);
      memory.mapPage(vaAdd(va, index * pageSize), frame, flags);
    }
    return va;
  }

  /** Unmaps what {@link allocate} gave and gives memory and addresses back. */
  free(region: Region, va: Va, pages: number): void {
    for (let index = 0; index < pages; index++) {
      const frame = this.nt.memory.unmapPage(vaAdd(va, index * pageSize));
      if (frame !== undefined) this.frames.release(frame);
    }
    this.release(region, va, pages);
  }
}
