/**
 * Physical frames, the page tables over them, and snapshots of both.
 *
 * A mapping (frame, access bits, flags) is the truth; the entries that translated code reads are derived from it and
 * may withhold the write bit: from a frame that has not changed since the last snapshot (so that the first write is
 * seen) and from a frame whose code was translated.
 */
import { assert } from '../../base/errors.ts';
import { type Va, vaLow } from '../../base/va.ts';
import { type DevicePages, loadDevice, nobody } from './device-pages.ts';
import { GuestFault } from './guest-fault.ts';
import {
  Access,
  cpuStateOffset,
  deviceLoadOffset,
  deviceStoreOffset,
  hostPageTableOffset,
  PageEntry,
  PageFlag,
  pageMask,
  pageShift,
  pageSize,
  pageTableHighIrqlOffset,
  pageTableLowIrqlOffset,
  ramOffset,
  systemSpaceHigh32,
  systemSpaceStart,
} from './layout.ts';

const two32 = 0x1_0000_0000;
const chunkBits = 10;
/** How many of the frames that were freed last are looked through before all are. */
const lastFreed = 256;
const chunkEntries = 1 << chunkBits;
const chunkCount = 1 << (20 - chunkBits);
const allAccess = Access.Read | Access.Write | Access.Execute;

/** Everything that {@link GuestMemory.restore} needs; immutable, and shares what did not change with other snapshots. */
export interface MemorySnapshot {
  readonly frames: readonly (Uint8Array | undefined)[];
  readonly freeFrames: readonly number[];
  readonly nextFrame: number;
  readonly systemSpace: readonly (Uint32Array | undefined)[];
  readonly otherSpace: ReadonlyMap<number, number>;
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

  private systemSpace: (Uint32Array | undefined)[] = new Array(chunkCount).fill(undefined);
  /** 1 if the chunk is also held by a snapshot and must be copied before it changes. */
  private readonly chunkShared = new Uint8Array(chunkCount);
  private otherSpace: ReadonlyMap<number, number> = new Map();
  private otherSpaceShared = false;

  private freeFrames: number[] = [];
  private nextFrame = 0;
  private readonly frameMappings: (number[] | undefined)[];
  /** Contents at the last snapshot, of frames that did not change since. */
  private savedFrames: (Uint8Array | undefined)[] = [];
  private readonly frameIsClean: Uint8Array;
  private readonly frameHasCode: Uint8Array;
  private dirtyFrames: number[] = [];

  constructor(options: GuestMemoryOptions = {}) {
    const ramBytes = options.ramBytes ?? 0x1000_0000;
    assert(ramBytes % 0x1_0000 === 0, 'RAM is a multiple of 64 KB');
    const pages = (ramOffset + ramBytes) / 0x1_0000;
    this.wasm = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.u8 = new Uint8Array(this.wasm.buffer);
    this.i32 = new Int32Array(this.wasm.buffer);
    this.view = new DataView(this.wasm.buffer);
    this.frameCount = ramBytes >> pageShift;
    this.frameMappings = new Array(this.frameCount).fill(undefined);
    this.frameIsClean = new Uint8Array(this.frameCount);
    this.frameHasCode = new Uint8Array(this.frameCount);
  }

  // ---- frames

  /** A frame of physical memory, contents as its last user left them; undefined when RAM is used up. */
  allocateFrame(): number | undefined {
    const frame = this.freeFrames.pop() ?? (this.nextFrame < this.frameCount ? this.nextFrame++ : undefined);
    if (frame !== undefined) this.touchFrame(frame);
    return frame;
  }

  /**
   * `count` frames in a row, the first one's number; undefined if no free run is one that `isAllowed` (called with the
   * first frame) accepts.
   */
  allocateContiguousFrames(count: number, isAllowed: (first: number) => boolean = () => true): number | undefined {
    for (let first = this.nextFrame; first + count <= this.frameCount; first++) {
      if (!isAllowed(first)) continue;
      for (let frame = this.nextFrame; frame < first; frame++) this.freeFrames.push(frame);
      this.nextFrame = first + count;
      for (let frame = first; frame < first + count; frame++) this.touchFrame(frame);
      return first;
    }
    // Who has runs and frees them all the time finds them among the last.
    return (
      this.takeFreedRun(count, isAllowed, this.freeFrames.slice(-lastFreed)) ??
      this.takeFreedRun(count, isAllowed, this.freeFrames)
    );
  }

  /** As {@link allocateContiguousFrames}, among those free frames: all, or the last ones. */
  private takeFreedRun(
    count: number,
    isAllowed: (first: number) => boolean,
    among: readonly number[],
  ): number | undefined {
    const free = among.toSorted((a, b) => a - b);
    for (let start = 0; start + count <= free.length; start++) {
      const first = free[start] as number;
      if (free[start + count - 1] !== first + count - 1 || !isAllowed(first)) continue;
      const kept = among.filter((frame) => frame < first || frame >= first + count);
      this.freeFrames.length -= among.length;
      for (const frame of kept) this.freeFrames.push(frame);
      for (let frame = first; frame < first + count; frame++) this.touchFrame(frame);
      return first;
    }
    return undefined;
  }

  freeFrame(frame: number): void {
    assert((this.frameMappings[frame]?.length ?? 0) === 0, `frame ${frame} is freed while mapped`);
    this.freeFrames.push(frame);
  }

  /** Frames that {@link allocateFrame} can still give. */
  get freeFrameCount(): number {
    return this.freeFrames.length + this.frameCount - this.nextFrame;
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
    this.dropMapping(page);
    this.setEntry(page, ((frame << pageShift) | flags) >>> 0);
    const mappings = this.frameMappings[frame];
    if (mappings) mappings.push(page);
    else this.frameMappings[frame] = [page];
    this.refreshEntry(page);
    this.onMappingChange(va);
  }

  /** Removes a mapping and returns its frame; undefined if there was none. */
  unmapPage(va: Va): number | undefined {
    const frame = this.dropMapping(pageNumber(va));
    if (frame !== undefined) this.onMappingChange(va);
    return frame;
  }

  /** Changes the flags of a mapped page. */
  protectPage(va: Va, flags: number): void {
    const page = pageNumber(va);
    const entry = this.entry(page);
    assert(entry !== 0, 'only a mapped page can be protected');
    this.setEntry(page, ((entry & ~pageMask) | flags) >>> 0);
    this.refreshEntry(page);
    this.onMappingChange(va);
  }

  mappingAt(va: Va): PageMapping | undefined {
    const entry = Number.isNaN(va) ? 0 : this.entry(pageNumber(va));
    return entry === 0 ? undefined : { frame: entry >>> pageShift, flags: entry & pageMask };
  }

  /** Whether [va, va + bytes) is mapped for the access. */
  isAccessible(va: Va, bytes: number, access: Access): boolean {
    for (let at = va - (vaLow(va) & pageMask); at < va + bytes; at += pageSize) {
      if ((this.entry(pageNumber(at as Va)) & access) === 0) return false;
    }
    return !Number.isNaN(va);
  }

  /** Other places where the same frame is mapped are included. */
  mappingsOfFrame(frame: number): readonly Va[] {
    return (this.frameMappings[frame] ?? []).map((page) => (page * pageSize) as Va);
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
    const entry = this.entry(page);
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
    const entry = Number.isNaN(va) ? 0 : this.entry(pageNumber(va));
    if ((entry & Access.Write) === 0) return 0;
    const frame = entry >>> pageShift;
    this.markDirty(frame);
    return this.frameOffset(frame) | (vaLow(va) & pageMask);
  }

  /** Why the access faults. */
  faultReason(va: Va, access: Access): FaultReasonOf {
    if (Number.isNaN(va)) return 'non-canonical';
    const entry = this.entry(pageNumber(va));
    if (entry === 0) return 'not-mapped';
    return (entry & access) === 0 ? 'protection' : 'pageable';
  }

  // ---- snapshots

  snapshot(): MemorySnapshot {
    for (const frame of this.dirtyFrames) {
      const offset = this.frameOffset(frame);
      this.savedFrames[frame] = this.u8.slice(offset, offset + pageSize);
      this.frameIsClean[frame] = 1;
      this.refreshFrame(frame);
    }
    this.dirtyFrames = [];
    this.chunkShared.fill(1);
    this.otherSpaceShared = true;
    return {
      frames: this.savedFrames.slice(),
      freeFrames: this.freeFrames.slice(),
      nextFrame: this.nextFrame,
      systemSpace: this.systemSpace.slice(),
      otherSpace: this.otherSpace,
      cpu: this.u8.slice(cpuStateOffset, cpuStateOffset + pageSize),
    };
  }

  /** Brings all memory, mappings and the CPU state back. Costs what changed since, or everything in a new machine. */
  restore(snapshot: MemorySnapshot): void {
    const changed: number[] = [];
    const limit = Math.max(this.nextFrame, snapshot.nextFrame);
    for (let frame = 0; frame < limit; frame++) {
      const saved = snapshot.frames[frame];
      const isSame = this.frameIsClean[frame] !== 0 && this.savedFrames[frame] === saved;
      if (isSame || (saved === undefined && this.frameIsClean[frame] === 0 && frame >= this.nextFrame)) continue;
      if (this.frameHasCode[frame] !== 0) this.dropCode(frame);
      const offset = this.frameOffset(frame);
      if (saved) this.u8.set(saved, offset);
      else this.u8.fill(0, offset, offset + pageSize);
      changed.push(frame);
    }
    this.savedFrames = snapshot.frames.slice();
    this.frameIsClean.fill(0);
    for (let frame = 0; frame < snapshot.nextFrame; frame++) {
      if (this.savedFrames[frame] !== undefined) this.frameIsClean[frame] = 1;
    }
    this.dirtyFrames = [];
    this.freeFrames = snapshot.freeFrames.slice();
    this.nextFrame = snapshot.nextFrame;
    this.restoreMappings(snapshot);
    for (const frame of changed) this.refreshFrame(frame);
    this.u8.set(snapshot.cpu, cpuStateOffset);
  }

  // ---- devices

  /** What answers loads and stores of pages that are mapped with `PageFlag.Device`. */
  device: DevicePages = nobody;
  /** Where the store goes whose bytes are about to be put at `deviceStoreOffset`. */
  protected storeTarget: { readonly frame: number; readonly offset: number } | undefined;

  /** Whether the address lies in a page that is mapped with `PageFlag.Device`. */
  isDevice(va: Va): boolean {
    return !Number.isNaN(va) && (this.entry(pageNumber(va)) & PageFlag.Device) !== 0;
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

  private restoreMappings(snapshot: MemorySnapshot): void {
    for (let chunk = 0; chunk < chunkCount; chunk++) {
      const now = this.systemSpace[chunk];
      const then = snapshot.systemSpace[chunk];
      if (now === then) continue;
      const first = systemSpaceStart / pageSize + chunk * chunkEntries;
      for (let index = 0; index < chunkEntries; index++) {
        const before = now?.[index] ?? 0;
        const after = then?.[index] ?? 0;
        if (before !== after) this.moveReverse(first + index, before, after);
      }
      this.systemSpace[chunk] = then;
      for (let index = 0; index < chunkEntries; index++) this.refreshEntry(first + index);
    }
    if (this.otherSpace !== snapshot.otherSpace) {
      for (const [page, entry] of this.otherSpace) this.moveReverse(page, entry, 0);
      for (const [page, entry] of snapshot.otherSpace) this.moveReverse(page, 0, entry);
    }
    this.otherSpace = snapshot.otherSpace;
    this.otherSpaceShared = true;
    this.chunkShared.fill(1);
    this.onMappingChange(Number.NaN as Va);
  }

  private moveReverse(page: number, before: number, after: number): void {
    if (before !== 0) removeFrom(this.frameMappings[before >>> pageShift], page);
    if (after !== 0) {
      const frame = after >>> pageShift;
      const mappings = this.frameMappings[frame];
      if (mappings) mappings.push(page);
      else this.frameMappings[frame] = [page];
    }
  }

  // ---- entries

  private entry(page: number): number {
    const index = page - systemSpaceStart / pageSize;
    if (index >= 0 && index < 1 << 20) {
      return this.systemSpace[index >>> chunkBits]?.[index & (chunkEntries - 1)] ?? 0;
    }
    return this.otherSpace.get(page) ?? 0;
  }

  private setEntry(page: number, entry: number): void {
    const index = page - systemSpaceStart / pageSize;
    if (index >= 0 && index < 1 << 20) {
      const chunkIndex = index >>> chunkBits;
      let chunk = this.systemSpace[chunkIndex];
      if (chunk === undefined) {
        chunk = new Uint32Array(chunkEntries);
      } else if (this.chunkShared[chunkIndex] !== 0) {
        chunk = chunk.slice();
      }
      this.systemSpace[chunkIndex] = chunk;
      this.chunkShared[chunkIndex] = 0;
      chunk[index & (chunkEntries - 1)] = entry;
      return;
    }
    const own = this.otherSpaceShared ? new Map(this.otherSpace) : (this.otherSpace as Map<number, number>);
    this.otherSpaceShared = false;
    this.otherSpace = own;
    if (entry === 0) own.delete(page);
    else own.set(page, entry);
  }

  private dropMapping(page: number): number | undefined {
    const entry = this.entry(page);
    if (entry === 0) return undefined;
    const frame = entry >>> pageShift;
    removeFrom(this.frameMappings[frame], page);
    this.setEntry(page, 0);
    this.refreshEntry(page);
    return frame;
  }

  /** Derives what translated code sees of a page of system space. */
  private refreshEntry(page: number): void {
    const index = page - systemSpaceStart / pageSize;
    if (index < 0 || index >= 1 << 20) return;
    const entry = this.entry(page);
    let derived = 0;
    if (entry !== 0 && (entry & PageFlag.Device) === 0) {
      const frame = entry >>> pageShift;
      let access = entry & allAccess;
      if (this.frameIsClean[frame] !== 0 || this.frameHasCode[frame] !== 0) access &= ~Access.Write;
      derived = this.frameOffset(frame) | access;
    }
    this.i32[(hostPageTableOffset >> 2) + index] = derived;
    this.setPageEntry(pageTableLowIrqlOffset, index, derived);
    const isPagedOut = this.trimsPageable && (entry & PageFlag.Pageable) !== 0;
    this.setPageEntry(pageTableHighIrqlOffset, index, isPagedOut ? 0 : derived);
  }

  private setPageEntry(table: number, index: number, derived: number): void {
    const at = (table + (index << PageEntry.SizeShift)) >> 2;
    const { i32 } = this;
    const lastByte = (index << pageShift) | pageMask;
    const isReadable = (derived & Access.Read) !== 0;
    const isWritable = (derived & Access.Write) !== 0;
    i32[at] = isReadable ? lastByte : 0;
    i32[at + 1] = isReadable ? systemSpaceHigh32 : 0;
    i32[at + 2] = isWritable ? lastByte : 0;
    i32[at + 3] = isWritable ? systemSpaceHigh32 : 0;
    i32[at + (PageEntry.Delta >> 2)] = (derived & ~pageMask) - (index << pageShift);
  }

  /** Whether pageable pages count as paged out at DISPATCH_LEVEL and above (Force IRQL checking). */
  trimsPageable = false;

  /** Whether a page of user space is another process's than the running one's; asked for the guest's own accesses. */
  hidesUserPage: (va: Va) => boolean = () => false;

  /** A page outside of system space whose every load by translated code is told, before it happens. */
  watched: { readonly page: Va; readonly onLoad: () => void } | undefined;

  private refreshFrame(frame: number): void {
    const mappings = this.frameMappings[frame];
    if (mappings) for (const page of mappings) this.refreshEntry(page);
  }

  /** Notes that a frame is about to change. */
  private touchFrame(frame: number): void {
    if (this.frameHasCode[frame] !== 0) this.dropCode(frame);
    this.markDirty(frame);
  }

  private markDirty(frame: number): void {
    if (this.savedFrames[frame] === dirtyMark) return;
    this.savedFrames[frame] = dirtyMark;
    this.frameIsClean[frame] = 0;
    this.dirtyFrames.push(frame);
    this.refreshFrame(frame);
  }

  private dropCode(frame: number): void {
    this.frameHasCode[frame] = 0;
    this.onCodeChange(frame);
    this.refreshFrame(frame);
  }

  private slowOffsetOf(va: Va, access: Access, bytes?: number): number {
    const entry = Number.isNaN(va) ? 0 : this.entry(pageNumber(va));
    if ((entry & PageFlag.Device) !== 0 && (entry & access) !== 0) return this.deviceOffsetOf(va, entry, access, bytes);
    const offset = this.tryOffsetOf(va, access);
    if (offset === 0) throw new GuestFault(va, access, this.faultReason(va, access));
    return offset;
  }
}

type FaultReasonOf = GuestFault['reason'];

/** Stands in `savedFrames` for a frame that changed since the last snapshot. */
const dirtyMark = new Uint8Array(0);

function pageNumber(va: Va): number {
  return Math.floor(va / pageSize);
}

function removeFrom(list: number[] | undefined, page: number): void {
  const index = list?.indexOf(page) ?? -1;
  if (index >= 0) list?.splice(index, 1);
}
