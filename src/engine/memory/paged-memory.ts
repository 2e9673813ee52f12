/**
 * Physical memory and how it is mapped.
 *
 * A mapping (frame, access bits, flags) is the truth; the entries that translated code reads are derived from it and
 * may withhold the write bit: from a frame that has not changed since the last snapshot (so that the first write is
 * seen) and from a frame whose code was translated.
 */
import { assert } from '../../base/errors.ts';
import { type Va, vaLow } from '../../base/va.ts';
import { type DevicePages, loadDevice, nobody } from './device-pages.ts';
import { FrameContents, type SavedFrames } from './frame-contents.ts';
import { FreeFrames, type FreeFramesSnapshot } from './free-frames.ts';
import { GuestFault } from './guest-fault.ts';
import {
  Access,
  cpuStateOffset,
  deviceLoadOffset,
  deviceStoreOffset,
  hostPageTableOffset,
  PageFlag,
  pageMask,
  pageShift,
  pageSize,
  ramOffset,
  systemSpaceStart,
} from './layout.ts';
import { firstSystemPage, PageMappings, type PageMappingsSnapshot, systemPageCount } from './page-mappings.ts';
import { setPageTables } from './page-tables.ts';

const two32 = 0x1_0000_0000;
const allAccess = Access.Read | Access.Write | Access.Execute;

/** Everything that {@link GuestMemory.restore} needs; immutable, and shares what did not change with other snapshots. */
export interface MemorySnapshot {
  readonly frames: SavedFrames;
  readonly freeFrames: FreeFramesSnapshot;
  readonly mappings: PageMappingsSnapshot;
  readonly cpu: Uint8Array;
}

export interface PageMapping {
  readonly frame: number;
  /** Bits of {@link Access} and {@link PageFlag}. */
  readonly flags: number;
}

export interface GuestMemoryOptions {
  /** Guest RAM; 256 MB unless told. */
  readonly ramBytes?: number;
}

/** Frames, the page tables over them, and snapshots. Access by address: {@link GuestMemory}. */
export class PagedMemory {
  readonly wasm: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly view: DataView;
  readonly frameCount: number;
  /** Called before a frame with translated code changes; the listener drops what it made of it. */
  onCodeChange: (frame: number) => void = () => {};
  /** Called when mappings change, so that cached fetch decisions can be dropped. */
  onMappingChange: (va: Va) => void = () => {};
  /** Whether pageable pages count as paged out at DISPATCH_LEVEL and above (Force IRQL checking). */
  trimsPageable = false;
  /** Whether a page of user space is another process's than the running one's; asked for the guest's own accesses. */
  hidesUserPage: (va: Va) => boolean = () => false;
  /** A page outside of system space whose every load by translated code is told, before it happens. */
  watched: { readonly page: Va; readonly onLoad: () => void } | undefined;
  /** What answers loads and stores of pages that are mapped with `PageFlag.Device`. */
  device: DevicePages = nobody;

  /** Where the store goes whose bytes are about to be put at `deviceStoreOffset`. */
  protected storeTarget: { readonly frame: number; readonly offset: number } | undefined;
  private readonly freeFrames: FreeFrames;
  private readonly mappings: PageMappings;
  private readonly contents: FrameContents;
  private readonly frameHasCode: Uint8Array;

  constructor(options: GuestMemoryOptions = {}) {
    const ramBytes = options.ramBytes ?? 0x1000_0000;
    assert(ramBytes % 0x1_0000 === 0, 'RAM is a multiple of 64 KB');
    const pages = (ramOffset + ramBytes) / 0x1_0000;
    this.wasm = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.u8 = new Uint8Array(this.wasm.buffer);
    this.i32 = new Int32Array(this.wasm.buffer);
    this.view = new DataView(this.wasm.buffer);
    this.frameCount = ramBytes >> pageShift;
    this.freeFrames = new FreeFrames(this.frameCount);
    this.mappings = new PageMappings(this.frameCount);
    this.contents = new FrameContents(this.u8, this.frameCount, (frame) => this.frameOffset(frame));
    this.frameHasCode = new Uint8Array(this.frameCount);
  }

  // ---- frames

  /** A frame of physical memory, contents as its last user left them; undefined when RAM is used up. */
  allocateFrame(): number | undefined {
    const frame = this.freeFrames.take();
    if (frame !== undefined) this.touchFrame(frame);
    return frame;
  }

  /**
   * `count` frames in a row, the first one's number; undefined if no free run is one that `isAllowed` (called with the
   * first frame) accepts.
   */
  allocateContiguousFrames(count: number, isAllowed: (first: number) => boolean = () => true): number | undefined {
    const first = this.freeFrames.takeRun(count, isAllowed);
    if (first === undefined) return undefined;
    for (let frame = first; frame < first + count; frame++) this.touchFrame(frame);
    return first;
  }

  freeFrame(frame: number): void {
    assert((this.mappings.pagesOf(frame)?.length ?? 0) === 0, `frame ${frame} is freed while mapped`);
    this.freeFrames.give(frame);
  }

  /** Frames that {@link allocateFrame} can still give. */
  get freeFrameCount(): number {
    return this.freeFrames.count;
  }

  /** Offset of a frame in the wasm memory. */
  frameOffset(frame: number): number {
    return ramOffset + (frame << pageShift);
  }

  /** A frame's bytes for writing by the host, whatever its mappings allow. */
  frameBytes(frame: number): Uint8Array {
    this.touchFrame(frame);
    const offset = this.frameOffset(frame);
    return this.u8.subarray(offset, offset + pageSize);
  }

  // ---- mappings

  /** Maps the page at `va` (page aligned) to a frame. `flags`: {@link Access} and {@link PageFlag} bits. */
  mapPage(va: Va, frame: number, flags: number): void {
    const page = pageNumber(va);
    this.mappings.map(page, frame, flags);
    this.refreshEntry(page);
    this.onMappingChange(va);
  }

  /** Removes a mapping and returns its frame; undefined if there was none. */
  unmapPage(va: Va): number | undefined {
    const page = pageNumber(va);
    const frame = this.mappings.unmap(page);
    if (frame === undefined) return undefined;
    this.refreshEntry(page);
    this.onMappingChange(va);
    return frame;
  }

  /** Changes the flags of a mapped page. */
  protectPage(va: Va, flags: number): void {
    const page = pageNumber(va);
    assert(this.mappings.entry(page) !== 0, 'only a mapped page can be protected');
    this.mappings.setFlags(page, flags);
    this.refreshEntry(page);
    this.onMappingChange(va);
  }

  mappingAt(va: Va): PageMapping | undefined {
    const entry = Number.isNaN(va) ? 0 : this.mappings.entry(pageNumber(va));
    return entry === 0 ? undefined : { frame: entry >>> pageShift, flags: entry & pageMask };
  }

  /** Whether [va, va + bytes) is mapped for the access. */
  isAccessible(va: Va, bytes: number, access: Access): boolean {
    for (let at = va - (vaLow(va) & pageMask); at < va + bytes; at += pageSize) {
      if ((this.mappings.entry(pageNumber(at as Va)) & access) === 0) return false;
    }
    return !Number.isNaN(va);
  }

  /** Other places where the same frame is mapped are included. */
  mappingsOfFrame(frame: number): readonly Va[] {
    return (this.mappings.pagesOf(frame) ?? []).map((page) => (page * pageSize) as Va);
  }

  // ---- translated code

  /** From now on a write to the frame calls {@link onCodeChange} first. */
  markCode(frame: number): void {
    if (this.frameHasCode[frame] !== 0) return;
    this.frameHasCode[frame] = 1;
    this.refreshFrame(frame);
  }

  // ---- places

  /**
   * Offset in the wasm memory of one byte (and of what follows in its page), ready for the access: a frame that must
   * be noted as changed is noted. Of a device's page: where `bytes` that were loaded stand (the rest of the page unless
   * told), or where {@link storeDevice} takes them from.
   */
  offsetOf(va: Va, access: Access, bytes?: number): number {
    const inWindow = va - systemSpaceStart;
    if (inWindow >= 0 && inWindow < two32) {
      const low = inWindow >>> 0;
      const entry = this.i32[(hostPageTableOffset >> 2) + (low >>> pageShift)] as number;
      if ((entry & access) !== 0) return (entry & ~pageMask) | (low & pageMask);
    }
    return this.slowOffsetOf(va, access, bytes);
  }

  /** As {@link offsetOf} but 0 where it throws; for the translator's slow path. */
  tryOffsetOf(va: Va, access: Access): number {
    if (Number.isNaN(va)) return 0;
    const page = pageNumber(va);
    const entry = this.mappings.entry(page);
    if ((entry & access) === 0) return 0;
    const frame = entry >>> pageShift;
    if (access === Access.Write) {
      this.touchFrame(frame);
      this.refreshEntry(page);
    }
    return this.frameOffset(frame) | (vaLow(va) & pageMask);
  }

  /**
   * As {@link tryOffsetOf} for writing, for bytes of a frame with translated code that are not code themselves: the
   * frame is noted as changed, the code stays.
   */
  tryDataOffsetOf(va: Va): number {
    const entry = Number.isNaN(va) ? 0 : this.mappings.entry(pageNumber(va));
    if ((entry & Access.Write) === 0) return 0;
    const frame = entry >>> pageShift;
    this.markDirty(frame);
    return this.frameOffset(frame) | (vaLow(va) & pageMask);
  }

  /** Why the access faults. */
  faultReason(va: Va, access: Access): FaultReasonOf {
    if (Number.isNaN(va)) return 'non-canonical';
    const entry = this.mappings.entry(pageNumber(va));
    if (entry === 0) return 'not-mapped';
    return (entry & access) === 0 ? 'protection' : 'pageable';
  }

  // ---- snapshots

  snapshot(): MemorySnapshot {
    const { saved, cleaned } = this.contents.snapshot();
    for (const frame of cleaned) this.refreshFrame(frame);
    return {
      frames: saved,
      freeFrames: this.freeFrames.snapshot(),
      mappings: this.mappings.snapshot(),
      cpu: this.u8.slice(cpuStateOffset, cpuStateOffset + pageSize),
    };
  }

  /** Brings all memory, mappings and the CPU state back. Costs what changed since, or everything in a new machine. */
  restore(snapshot: MemorySnapshot): void {
    const { firstUnused } = this.freeFrames;
    const changed = this.contents.restore(snapshot.frames, firstUnused, snapshot.freeFrames.firstUnused, (frame) => {
      if (this.frameHasCode[frame] !== 0) this.dropCode(frame);
    });
    this.freeFrames.restore(snapshot.freeFrames);
    this.mappings.restore(snapshot.mappings, (page) => this.refreshEntry(page));
    this.onMappingChange(Number.NaN as Va);
    for (const frame of changed) this.refreshFrame(frame);
    this.u8.set(snapshot.cpu, cpuStateOffset);
  }

  // ---- devices

  /** Whether the address lies in a page that is mapped with `PageFlag.Device`. */
  isDevice(va: Va): boolean {
    return !Number.isNaN(va) && (this.mappings.entry(pageNumber(va)) & PageFlag.Device) !== 0;
  }

  private deviceOffsetOf(va: Va, entry: number, access: Access, bytes: number | undefined): number {
    const frame = entry >>> pageShift;
    const offset = vaLow(va) & pageMask;
    if (access === Access.Write) {
      assert(bytes !== undefined, 'a store to a device says how many bytes it has');
      this.storeTarget = { frame, offset };
      return deviceStoreOffset + offset;
    }
    const at = deviceLoadOffset + offset;
    const end = bytes === undefined ? deviceLoadOffset + pageSize : at + bytes;
    loadDevice(this.device, frame, offset, this.u8.subarray(at, end));
    return at;
  }

  // ---- entries

  /** Derives what translated code sees of a page of system space. */
  private refreshEntry(page: number): void {
    const index = page - firstSystemPage;
    if (index < 0 || index >= systemPageCount) return;
    const entry = this.mappings.entry(page);
    let derived = 0;
    if (entry !== 0 && (entry & PageFlag.Device) === 0) {
      const frame = entry >>> pageShift;
      let access = entry & allAccess;
      if (this.contents.isClean(frame) || this.frameHasCode[frame] !== 0) access &= ~Access.Write;
      derived = this.frameOffset(frame) | access;
    }
    const isPagedOut = this.trimsPageable && (entry & PageFlag.Pageable) !== 0;
    setPageTables(this.i32, index, derived, isPagedOut);
  }

  private refreshFrame(frame: number): void {
    const pages = this.mappings.pagesOf(frame);
    if (pages) for (const page of pages) this.refreshEntry(page);
  }

  /** Notes that a frame is about to change. */
  private touchFrame(frame: number): void {
    if (this.frameHasCode[frame] !== 0) this.dropCode(frame);
    this.markDirty(frame);
  }

  private markDirty(frame: number): void {
    if (this.contents.markDirty(frame)) this.refreshFrame(frame);
  }

  private dropCode(frame: number): void {
    this.frameHasCode[frame] = 0;
    this.onCodeChange(frame);
    this.refreshFrame(frame);
  }

  private slowOffsetOf(va: Va, access: Access, bytes?: number): number {
    const entry = Number.isNaN(va) ? 0 : this.mappings.entry(pageNumber(va));
    if ((entry & PageFlag.Device) !== 0 && (entry & access) !== 0) return this.deviceOffsetOf(va, entry, access, bytes);
    const offset = this.tryOffsetOf(va, access);
    if (offset === 0) throw new GuestFault(va, access, this.faultReason(va, access));
    return offset;
  }
}

type FaultReasonOf = GuestFault['reason'];

function pageNumber(va: Va): number {
  return Math.floor(va / pageSize);
}
