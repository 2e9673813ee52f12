/**
 * Memory accesses that translated code does not do inline: across pages, outside of system space, to frames that want
 * to know of a change, and those that fault.
 */
import { type Va, vaFromHalves, vaLow } from '../../base/va.ts';
import { loadDevice, storeDevice } from '../memory/device-pages.ts';
import type { GuestMemory, PageMapping } from '../memory/guest-memory.ts';
import { Access, cpuStateOffset, PageFlag, pageMask, pageSize, pageTableHighIrqlOffset } from '../memory/layout.ts';
import { loadScratchOffset, storeScratchOffset } from './emitter.ts';
import { StateOffset } from './state.ts';

/**
 * Why an access failed: an exception, a write to translated code that has to be dropped first, or a device's page, which
 * an instruction that runs alone may touch: only then how many instructions were retired is known, and with it the time.
 */
export type AccessFailure =
  | { readonly kind: 'fault'; readonly vector: 13 | 14; readonly va: Va; readonly access: Access }
  | { readonly kind: 'code-write'; readonly frame: number }
  | { readonly kind: 'device' };

/** In `bytes` of an access to many bytes at once: a device's page answers {@link elementwise} and is not touched. */
export const manyBytes = 0x1_0000;
/** No offset: the elements are to be accessed one by one. */
export const elementwise = 1;

/** What of the frames has been translated. */
export interface CodeFrames {
  hasAnyCode(frame: number): boolean;
  hasCode(frame: number, start: number, bytes: number): boolean;
}

export class SlowAccess {
  private readonly memory: GuestMemory;
  private readonly code: CodeFrames;
  /** Set when one of the functions has returned 0. */
  failure: AccessFailure | undefined;
  private modified: { readonly va: Va; readonly bytes: number } | undefined;

  constructor(memory: GuestMemory, code: CodeFrames) {
    this.memory = memory;
    this.code = code;
  }

  /** Whether the instruction that runs now may touch devices. */
  allowsDevices = false;
  /** Whether it did. */
  touchedDevice = false;

  readonly load = (low: number, high: number, bytes: number): number => {
    const va = vaFromHalves(low, high);
    if (bytes >= manyBytes) return this.manyAt(va, Access.Read, bytes - manyBytes);
    if (!crosses(low, bytes)) {
      const place = this.placeOf(va, Access.Read, bytes);
      if (place >= 0) return place;
      this.loadPart(place, va, loadScratchOffset, bytes);
      return loadScratchOffset;
    }
    const split = pageSize - (low & pageMask);
    const next = (va + split) as Va;
    const first = this.placeOf(va, Access.Read, split);
    const second = first === 0 ? 0 : this.placeOf(next, Access.Read, bytes - split);
    if (second === 0) return 0;
    this.loadPart(first, va, loadScratchOffset, split);
    this.loadPart(second, next, loadScratchOffset + split, bytes - split);
    return loadScratchOffset;
  };

  readonly store = (low: number, high: number, bytes: number): number =>
    this.storeFrom(storeScratchOffset, vaFromHalves(low, high), bytes);

  readonly modify = (low: number, high: number, bytes: number): number => {
    const va = vaFromHalves(low, high);
    if (bytes >= manyBytes) return this.manyAt(va, Access.Write, bytes - manyBytes);
    if (!crosses(low, bytes)) {
      const place = this.placeOf(va, Access.Write, bytes);
      if (place >= 0) return place;
    } else {
      const split = pageSize - (low & pageMask);
      if (this.placeOf(va, Access.Write, split) === 0) return 0;
      if (this.placeOf((va + split) as Va, Access.Write, bytes - split) === 0) return 0;
    }
    this.modified = { va, bytes };
    return this.load(low, high, bytes);
  };

  readonly commit = (): void => {
    if (this.modified) this.storeFrom(loadScratchOffset, this.modified.va, this.modified.bytes);
  };

  private storeFrom(source: number, va: Va, bytes: number): number {
    const split = Number.isNaN(va) ? bytes : Math.min(bytes, pageSize - (vaLow(va) & pageMask));
    const first = this.placeOf(va, Access.Write, split);
    if (first === 0) return 0;
    if (bytes <= split) {
      this.storePart(first, va, source, bytes);
      return 1;
    }
    const next = (va + split) as Va;
    const second = this.placeOf(next, Access.Write, bytes - split);
    if (second === 0) return 0;
    this.storePart(first, va, source, split);
    this.storePart(second, next, source + split, bytes - split);
    return 1;
  }

  /** As {@link placeOf}, of bytes that the instruction accesses element by element where they are a device's. */
  private manyAt(va: Va, access: Access, bytes: number): number {
    const flags = this.memory.mappingAt(va)?.flags ?? 0;
    if ((flags & PageFlag.Device) !== 0) return elementwise;
    return this.placeOf(va, access, bytes);
  }

  private loadPart(place: number, va: Va, to: number, bytes: number): void {
    const { u8, device } = this.memory;
    if (place > 0) u8.copyWithin(to, place, place + bytes);
    else loadDevice(device, ~place, vaLow(va) & pageMask, u8.subarray(to, to + bytes));
  }

  private storePart(place: number, va: Va, from: number, bytes: number): void {
    const { u8, device } = this.memory;
    if (place > 0) u8.copyWithin(place, from, from + bytes);
    else storeDevice(device, ~place, vaLow(va) & pageMask, u8.slice(from, from + bytes));
  }

  /**
   * Offset of bytes that lie in one page; 0 and {@link failure} if the access fails. Of a device's page the complement
   * of its frame's number, which is negative.
   */
  private placeOf(va: Va, access: Access, bytes: number): number {
    const { memory } = this;
    const { watched } = memory;
    if (watched !== undefined && access === Access.Read && va >= watched.page && va < watched.page + pageSize) {
      watched.onLoad();
    }
    const mapping = memory.mappingAt(va);
    const isHidden = mapping !== undefined && (mapping.flags & PageFlag.User) !== 0 && memory.hidesUserPage(va);
    if (mapping !== undefined && !isHidden && !this.isPagedOut(mapping.flags)) {
      const place =
        (mapping.flags & PageFlag.Device) === 0
          ? this.ramAt(va, mapping, access, bytes)
          : this.deviceAt(mapping, access);
      if (place !== 0 || this.failure !== undefined) return place;
    }
    this.failure = { kind: 'fault', vector: Number.isNaN(va) ? 13 : 14, va, access };
    return 0;
  }

  private ramAt(va: Va, { frame, flags }: PageMapping, access: Access, bytes: number): number {
    const isBesideCode = access === Access.Write && this.code.hasAnyCode(frame);
    if (isBesideCode && (flags & Access.Write) !== 0 && this.code.hasCode(frame, vaLow(va) & pageMask, bytes)) {
      this.failure = { kind: 'code-write', frame };
      return 0;
    }
    return isBesideCode ? this.memory.tryDataOffsetOf(va) : this.memory.tryOffsetOf(va, access);
  }

  private deviceAt({ frame, flags }: PageMapping, access: Access): number {
    if ((flags & access) === 0) return 0;
    if (!this.allowsDevices) {
      this.failure = { kind: 'device' };
      return 0;
    }
    this.touchedDevice = true;
    return ~frame;
  }

  /** Whether a page with these flags is paged out at the current IRQL. */
  isPagedOut(flags: number): boolean {
    if (!this.memory.trimsPageable || (flags & PageFlag.Pageable) === 0) return false;
    return this.memory.view.getInt32(cpuStateOffset + StateOffset.PageTable, true) === pageTableHighIrqlOffset;
  }
}

function crosses(low: number, bytes: number): boolean {
  return (low & pageMask) > pageSize - bytes;
}
