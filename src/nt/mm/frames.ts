/**
 * Frames of physical memory beyond their bytes: page frame numbers, locks, and giving a frame back once nobody uses it.
 * RAM starts at 1 MB in the physical address space. Every other physical address is a device that nobody built: a page
 * of it exists while it is mapped.
 */
import { assert } from '../../base/errors.ts';
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaLow } from '../../base/va.ts';
import { PageFlag, pageMask, pageSize } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';

/** Page frame number of the first frame of RAM. */
export const firstPfn = 0x100;
/** Physical addresses have 40 bits. */
const pfnLimit = 2 ** 28;
/** What a read finds where no device answers. */
const openBus = 0xff;

interface FrameUse {
  /** How often the frame is locked. */
  readonly locks: number;
  /** Whoever allocated it has given it back; it is free when the last lock and the last mapping are gone. */
  readonly isReleased: boolean;
  /** Where it was pageable before it was locked. */
  readonly pageableAt: readonly Va[];
}

const unused: FrameUse = { locks: 0, isReleased: false, pageableAt: [] };

export class Frames {
  private readonly nt: Nt;
  private readonly uses: StoreMap<number, FrameUse>;
  /** Frames that stand for pages outside of RAM, by page frame number, and back. */
  private readonly deviceFrames: StoreMap<number, number>;
  private readonly devicePfns: StoreMap<number, number>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.uses = nt.stores.map('mm/frame-uses');
    this.deviceFrames = nt.stores.map('mm/device-frames');
    this.devicePfns = nt.stores.map('mm/device-pfns');
  }

  // ---- physical addresses

  pfnOf(frame: number): number {
    return this.devicePfns.get(frame) ?? frame + firstPfn;
  }

  /** The frame of RAM, or of a mapped device page, that a page frame number names. */
  frameOf(pfn: number): number | undefined {
    return this.isRam(pfn) ? pfn - firstPfn : this.deviceFrames.get(pfn);
  }

  isRam(pfn: number): boolean {
    return Number.isInteger(pfn) && pfn >= firstPfn && pfn < firstPfn + this.nt.memory.frameCount;
  }

  /** Whether the processor could address the page at all. */
  isPhysical(pfn: number): boolean {
    return Number.isInteger(pfn) && pfn >= 0 && pfn < pfnLimit;
  }

  /** As {@link frameOf}; makes the page if it lies outside of RAM. Undefined if memory is short. */
  frameForMapping(pfn: number): number | undefined {
    const known = this.frameOf(pfn);
    if (known !== undefined) return known;
    const frame = this.nt.memory.allocateFrame();
    if (frame === undefined) return undefined;
    this.nt.memory.frameBytes(frame).fill(openBus);
    this.deviceFrames.set(pfn, frame);
    this.devicePfns.set(frame, pfn);
    return frame;
  }

  /** A device answers at the page, with registers that keep what is written: zeros at first. False if memory is short. */
  addDevicePage(pfn: number): boolean {
    const frame = this.frameForMapping(pfn);
    if (frame === undefined) return false;
    this.nt.memory.frameBytes(frame).fill(0);
    this.lock(frame);
    return true;
  }

  /** The device is gone; the page stays while it is mapped. */
  removeDevicePage(pfn: number): void {
    const frame = this.deviceFrames.get(pfn);
    if (frame === undefined) return;
    this.unlock(frame);
    this.unmapped(frame);
  }

  /** Physical address behind `va`; undefined if nothing is mapped there. */
  physicalAddress(va: Va): number | undefined {
    const mapping = this.nt.memory.mappingAt(va);
    return mapping === undefined ? undefined : this.pfnOf(mapping.frame) * pageSize + (vaLow(va) & pageMask);
  }

  // ---- locks

  lockCount(frame: number): number {
    return this.uses.get(frame)?.locks ?? 0;
  }

  /** Whether some mapping or lock keeps the frame. */
  isInUse(frame: number): boolean {
    return this.lockCount(frame) > 0 || this.nt.memory.mappingsOfFrame(frame).length > 0;
  }

  /** Keeps the frame in memory: a pageable page is resident under all its addresses until it is unlocked. */
  lock(frame: number): void {
    const use = this.uses.get(frame) ?? unused;
    const { memory } = this.nt;
    const pageableAt = use.pageableAt.slice();
    for (const va of memory.mappingsOfFrame(frame)) {
      const flags = memory.mappingAt(va)?.flags ?? 0;
      if ((flags & PageFlag.Pageable) === 0) continue;
      memory.protectPage(va, flags & ~PageFlag.Pageable);
      pageableAt.push(va);
    }
    this.uses.set(frame, { ...use, locks: use.locks + 1, pageableAt });
  }

  /** Takes one lock back. False: there was none. */
  unlock(frame: number): boolean {
    const use = this.uses.get(frame);
    if (use === undefined || use.locks === 0) return false;
    if (use.locks > 1) {
      this.uses.set(frame, { ...use, locks: use.locks - 1 });
      return true;
    }
    const { memory } = this.nt;
    for (const va of use.pageableAt) {
      const mapping = memory.mappingAt(va);
      if (mapping?.frame === frame) memory.protectPage(va, mapping.flags | PageFlag.Pageable);
    }
    this.uses.set(frame, { ...unused, isReleased: use.isReleased });
    this.settle(frame);
    return true;
  }

  /** Changes whether a mapped page may be paged out; for a locked page, once it is unlocked. */
  setPageable(va: Va, isPageable: boolean): void {
    const mapping = this.nt.memory.mappingAt(va);
    if (mapping === undefined) return;
    const use = this.uses.get(mapping.frame);
    if (use === undefined || use.locks === 0) {
      const flags = mapping.flags & ~PageFlag.Pageable;
      this.nt.memory.protectPage(va, isPageable ? flags | PageFlag.Pageable : flags);
      return;
    }
    const others = use.pageableAt.filter((page) => page !== va);
    this.uses.set(mapping.frame, { ...use, pageableAt: isPageable ? [...others, va] : others });
  }

  // ---- giving back

  /** The owner needs the frame no more. */
  release(frame: number): void {
    this.uses.set(frame, { ...(this.uses.get(frame) ?? unused), isReleased: true });
    this.settle(frame);
  }

  /** A mapping of the frame that its owner did not make is gone. */
  unmapped(frame: number): void {
    const pfn = this.devicePfns.get(frame);
    if (pfn !== undefined && !this.isInUse(frame)) {
      this.devicePfns.delete(frame);
      this.deviceFrames.delete(pfn);
      this.release(frame);
      return;
    }
    this.settle(frame);
  }

  private settle(frame: number): void {
    const use = this.uses.get(frame);
    if (use === undefined || use.locks > 0) return;
    if (!use.isReleased) {
      this.uses.delete(frame);
      return;
    }
    if (this.isInUse(frame)) return;
    assert(!this.devicePfns.has(frame), 'a device page is given back as one');
    this.uses.delete(frame);
    this.nt.memory.freeFrame(frame);
  }
}
