/** MmProbeAndLockPages and MmUnlockPages: what keeps the pages of an MDL in memory, and who wanted it. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import { Access, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ACCESS_VIOLATION, STATUS_SUCCESS } from '../ntstatus.ts';
import { MDL, MdlFlag } from '../structures/io.ts';
import type { Frames } from './frames.ts';
import type { Holder } from './holder.ts';
import {
  changeMdlFlags,
  hasMdlFlag,
  mdlPages,
  mdlVirtualAddress,
  pfnAddress,
  readPfn,
  writePfn,
} from './mdl-layout.ts';

/** Pages that an MDL locks. */
export interface PageLock extends Holder {
  readonly mdl: Va;
  readonly pages: number;
  /** EPROCESS whose memory it is; null for system memory. */
  readonly process: Va;
  readonly isWrite: boolean;
}

export type ProbeMode = 'kernel' | 'user';

export class PageLocks {
  private readonly nt: Nt;
  private readonly frames: Frames;
  private readonly locks: StoreMap<number, PageLock>;
  /** Locks whose MDL was freed or used again: nobody can undo them. By a running number. */
  private readonly abandoned: StoreMap<number, PageLock>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.frames = nt.addressSpace.frames;
    this.locks = nt.stores.map('mm/page-locks');
    this.abandoned = nt.stores.map('mm/abandoned-page-locks');
  }

  /** Locks that hold now, those that nobody can undo included. */
  *outstanding(): Generator<PageLock> {
    yield* this.locks.values();
    yield* this.abandoned.values();
  }

  of(mdl: Va): PageLock | undefined {
    return this.locks.get(mdl);
  }

  /**
   * Probes the buffer for the access and locks its pages; fills in page frame numbers, flags and process.
   * @returns a status to raise, or STATUS_SUCCESS. An invalid system address faults, as on Windows.
   */
  lock(mdl: Va, mode: ProbeMode, isWrite: boolean, holder: Holder): number {
    const { memory } = this.nt;
    const start = MDL.StartVa.get(memory, mdl);
    const pages = mdlPages(memory, mdl);
    const status = this.probe(mdl, mode, isWrite);
    if (status !== STATUS_SUCCESS) return status;
    this.abandon(mdl);
    for (let index = 0; index < pages; index++) {
      const frame = memory.mappingAt(vaAdd(start, index * pageSize))?.frame as number;
      this.frames.lock(frame);
      writePfn(memory, mdl, index, this.frames.pfnOf(frame));
    }
    const process = start < 0 ? nullVa : this.nt.processor.requesterProcess;
    MDL.Process.set(memory, mdl, process);
    const cleared = MdlFlag.WriteOperation | MdlFlag.MappedToSystemVa | MdlFlag.SourceIsNonPagedPool;
    changeMdlFlags(memory, mdl, cleared, MdlFlag.PagesLocked | (isWrite ? MdlFlag.WriteOperation : 0));
    this.locks.set(mdl, { mdl, pages, process, isWrite, ...holder });
    return STATUS_SUCCESS;
  }

  /** Takes the locks back. A page that is not locked is a bug check. */
  unlock(mdl: Va): void {
    const { memory } = this.nt;
    const pages = mdlPages(memory, mdl);
    if (!hasMdlFlag(memory, mdl, MdlFlag.PagesLocked)) throw this.notLocked(mdl, 0);
    for (let index = 0; index < pages; index++) {
      const frame = this.frames.frameOf(readPfn(memory, mdl, index));
      if (frame === undefined || !this.frames.unlock(frame)) throw this.notLocked(mdl, index);
    }
    this.locks.delete(mdl);
    changeMdlFlags(memory, mdl, MdlFlag.PagesLocked | MdlFlag.IoSpace, 0);
  }

  /** The MDL is freed, or describes something else from now on. */
  abandon(mdl: Va): void {
    const lock = this.locks.get(mdl);
    if (lock === undefined) return;
    this.locks.delete(mdl);
    let number = 0;
    for (const used of this.abandoned.keys()) number = Math.max(number, used);
    this.abandoned.set(number + 1, lock);
  }

  private probe(mdl: Va, mode: ProbeMode, isWrite: boolean): number {
    const { memory } = this.nt;
    const va = mdlVirtualAddress(memory, mdl);
    const bytes = MDL.ByteCount.get(memory, mdl);
    if (Number.isNaN(va)) return STATUS_ACCESS_VIOLATION;
    if (mode === 'user' && (va < 0 || va + bytes > AddressMap.userEnd)) return STATUS_ACCESS_VIOLATION;
    const start = MDL.StartVa.get(memory, mdl);
    for (let index = 0; index < mdlPages(memory, mdl); index++) {
      const page = vaAdd(start, index * pageSize);
      const access = memory.hidesUserPage(page) ? 0 : (memory.mappingAt(page)?.flags ?? 0);
      if ((access & Access.Read) === 0) {
        if (page >= 0) return STATUS_ACCESS_VIOLATION;
        throw new GuestFault(index === 0 ? va : page, Access.Read, 'not-mapped');
      }
      if (isWrite && (access & Access.Write) === 0) return STATUS_ACCESS_VIOLATION;
    }
    return STATUS_SUCCESS;
  }

  private notLocked(mdl: Va, index: number): BugCheck {
    const { memory } = this.nt;
    const process = MDL.Process.get(memory, mdl);
    if (hasMdlFlag(memory, mdl, MdlFlag.PagesLocked) || !(mdlVirtualAddress(memory, mdl) >= 0)) {
      const pfn = memory.readU64(pfnAddress(mdl, index));
      return new BugCheck(0x4e, [7, pfn, 0, 0], 'a driver unlocked a page more often than it had locked it');
    }
    let left = 0;
    for (const lock of this.outstanding()) if (lock.process === process) left += lock.pages;
    return new BugCheck(0x76, [1, mdl, left, 0], 'pages of a process were unlocked that are not locked');
  }
}
