/**
 * Memory accesses that translated code does not do inline: across pages, outside of system space, to frames that want
 * to know of a change, and those that fault.
 */
import { type Va, vaFromHalves, vaLow } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, cpuStateOffset, PageFlag, pageMask, pageSize, pageTableHighIrqlOffset } from '../memory/layout.ts';
import { loadScratchOffset, storeScratchOffset } from './emitter.ts';
import { StateOffset } from './state.ts';

/** Why an access failed: an exception, or a write to translated code that has to be dropped first. */
export type AccessFailure =
  | { readonly kind: 'fault'; readonly vector: 13 | 14; readonly va: Va; readonly access: Access }
  | { readonly kind: 'code-write'; readonly frame: number };

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

  readonly load = (low: number, high: number, bytes: number): number => {
    const va = vaFromHalves(low, high);
    if (!crosses(low, bytes)) return this.offsetOf(va, Access.Read, bytes);
    const split = pageSize - (low & pageMask);
    const first = this.offsetOf(va, Access.Read, split);
    const second = first === 0 ? 0 : this.offsetOf((va + split) as Va, Access.Read, bytes - split);
    if (second === 0) return 0;
    const { u8 } = this.memory;
    u8.copyWithin(loadScratchOffset, first, first + split);
    u8.copyWithin(loadScratchOffset + split, second, second + bytes - split);
    return loadScratchOffset;
  };

  readonly store = (low: number, high: number, bytes: number): number =>
    this.storeFrom(storeScratchOffset, vaFromHalves(low, high), bytes);

  readonly modify = (low: number, high: number, bytes: number): number => {
    const va = vaFromHalves(low, high);
    if (!crosses(low, bytes)) return this.offsetOf(va, Access.Write, bytes);
    const split = pageSize - (low & pageMask);
    if (this.offsetOf(va, Access.Write, split) === 0) return 0;
    if (this.offsetOf((va + split) as Va, Access.Write, bytes - split) === 0) return 0;
    this.modified = { va, bytes };
    return this.load(low, high, bytes);
  };

  readonly commit = (): void => {
    if (this.modified) this.storeFrom(loadScratchOffset, this.modified.va, this.modified.bytes);
  };

  private storeFrom(source: number, va: Va, bytes: number): number {
    const split = Number.isNaN(va) ? bytes : pageSize - (vaLow(va) & pageMask);
    const first = this.offsetOf(va, Access.Write, Math.min(bytes, split));
    if (first === 0) return 0;
    const { u8 } = this.memory;
    if (bytes <= split) {
      u8.copyWithin(first, source, source + bytes);
      return 1;
    }
    const second = this.offsetOf((va + split) as Va, Access.Write, bytes - split);
    if (second === 0) return 0;
    u8.copyWithin(first, source, source + split);
    u8.copyWithin(second, source + split, source + bytes);
    return 1;
  }

  /** Offset of bytes that lie in one page; 0 and {@link failure} if the access fails. */
  private offsetOf(va: Va, access: Access, bytes: number): number {
    const { memory } = this;
    const { watched } = memory;
    if (watched !== undefined && access === Access.Read && va >= watched.page && va < watched.page + pageSize) {
      watched.onLoad();
    }
    const mapping = memory.mappingAt(va);
    const isHidden = mapping !== undefined && (mapping.flags & PageFlag.User) !== 0 && memory.hidesUserPage(va);
    if (mapping !== undefined && !isHidden && !this.isPagedOut(mapping.flags)) {
      const { frame } = mapping;
      const isBesideCode = access === Access.Write && this.code.hasAnyCode(frame);
      if (
        isBesideCode &&
        (mapping.flags & Access.Write) !== 0 &&
        this.code.hasCode(frame, vaLow(va) & pageMask, bytes)
      ) {
        this.failure = { kind: 'code-write', frame };
        return 0;
      }
      const offset = isBesideCode ? memory.tryDataOffsetOf(va) : memory.tryOffsetOf(va, access);
      if (offset !== 0) return offset;
    }
    this.failure = { kind: 'fault', vector: Number.isNaN(va) ? 13 : 14, va, access };
    return 0;
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
