/**
 * Memory descriptor lists. What an MDL describes stands in guest memory, where drivers read and change it; who locked
 * or mapped it, in stores. (wdm.h; `using-mdls.md` of the driver docs.)
 */

import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access, PageFlag, pageSize } from '../../engine/memory/layout.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { chain } from '../declare/chain.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { IRP, MDL, MdlFlag } from '../structures/io.ts';
import { PoolType } from '../structures/pool.ts';
import type { Frames } from './frames.ts';
import { type Holder, kernelHolder } from './holder.ts';
import { type Mapping, Mappings } from './mappings.ts';
import {
  allocatedMdl,
  changeMdlFlags,
  hasMdlFlag,
  initialiseMdl,
  mdlFlags,
  mdlPages,
  mdlSizeBytes,
  mdlVirtualAddress,
  pageOf,
  partialFlags,
  pfnAddress,
  readPfn,
  spannedPages,
  writePfn,
} from './mdl-layout.ts';
import { type PageLock, PageLocks } from './page-locks.ts';

const mdlTag = 'Mdl ';
/** IoAllocateMdl refuses longer buffers. */
const longestBuffer = 0x1_0000_0000 - pageSize;

/** How a mapping may be used. */
export interface MappingRights {
  readonly isWritable: boolean;
  readonly isExecutable: boolean;
}

export class Mdls {
  readonly locks: PageLocks;
  readonly mappings: Mappings;
  private readonly nt: Nt;
  private readonly frames: Frames;
  /** MDLs that the kernel allocated for itself. */
  private readonly kernelMdls: StoreMap<number, true>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.frames = nt.addressSpace.frames;
    this.locks = new PageLocks(nt);
    this.mappings = new Mappings(nt);
    this.kernelMdls = nt.stores.map('mm/kernel-mdls');
  }

  /** Pages that MDLs keep locked. */
  outstandingLocks(): Iterable<PageLock> {
    return this.locks.outstanding();
  }

  /** MDLs and device memory that are mapped. */
  outstandingMappings(): Iterable<Mapping> {
    return this.mappings.outstanding();
  }

  // ---- the I/O manager's

  /** A kernel-owned MDL over a requester's buffer, probed and locked; undefined if the buffer does not allow it. */
  createLocked(buffer: Va, bytes: number, isWrite: boolean, previousMode = this.nt.previousMode): Va | undefined {
    const { sizeBytes, flags } = allocatedMdl(buffer, bytes);
    const mdl = this.nt.pool.allocateKernel(sizeBytes, mdlTag, 'mdl');
    initialiseMdl(this.nt.memory, mdl, buffer, bytes, flags);
    const mode = previousMode === 1 ? 'user' : 'kernel';
    if (this.locks.lock(mdl, mode, isWrite, kernelHolder) !== STATUS_SUCCESS) {
      this.nt.pool.freeKernel(mdl);
      return undefined;
    }
    this.kernelMdls.set(mdl, true);
    return mdl;
  }

  /** The request that the MDL belongs to is complete: its mapping goes, its pages are unlocked, and it is freed. */
  release(mdl: Va): void {
    const { memory } = this.nt;
    if (hasMdlFlag(memory, mdl, MdlFlag.PagesLocked)) this.unlock(mdl);
    this.free(mdl, undefined);
  }

  // ---- making and freeing

  /** IoAllocateMdl. `irp`: null, or the request that the MDL becomes the first or (`isSecondary`) last one of. */
  allocate(va: Va, bytes: number, irp: Va, isSecondary: boolean, call: Call): Va | undefined {
    if (bytes > longestBuffer) return undefined;
    const { memory } = this.nt;
    const { sizeBytes, flags } = allocatedMdl(va, bytes);
    const request = { poolType: PoolType.NonPagedPoolNx, bytes: sizeBytes, tag: tagOf(mdlTag), family: 'mdl' } as const;
    const mdl = this.nt.pool.allocate(request, call);
    if (mdl === undefined) return undefined;
    initialiseMdl(memory, mdl, va, bytes, flags);
    if (irp !== nullVa) {
      if (isSecondary) MDL.Next.set(memory, this.last(IRP.MdlAddress.get(memory, irp)), mdl);
      else IRP.MdlAddress.set(memory, irp, mdl);
    }
    return mdl;
  }

  /** IoFreeMdl: a partial MDL loses its mapping; other mappings and locks stay and nobody can undo them any more. */
  free(mdl: Va, caller: Call | ResumedCall | undefined): undefined {
    this.prepareForReuse(mdl);
    this.locks.abandon(mdl);
    if (this.kernelMdls.delete(mdl)) this.nt.pool.freeKernel(mdl);
    else this.nt.pool.free(mdl, 0, caller);
  }

  /** MmPrepareMdlForReuse */
  prepareForReuse(mdl: Va): void {
    const { memory } = this.nt;
    if (!hasMdlFlag(memory, mdl, MdlFlag.PartialHasBeenMapped)) return;
    this.unmap(MDL.MappedSystemVa.get(memory, mdl), mdl);
  }

  /** MmBuildMdlForNonPagedPool. Memory that is not mapped faults. */
  buildForNonPagedPool(mdl: Va): undefined {
    const { memory } = this.nt;
    const start = MDL.StartVa.get(memory, mdl);
    for (let index = 0; index < mdlPages(memory, mdl); index++) {
      const page = vaAdd(start, index * pageSize);
      const frame = memory.mappingAt(page)?.frame;
      // Reads the byte only to fault as the processor would.
      if (frame === undefined) memory.readU8(page);
      else writePfn(memory, mdl, index, this.frames.pfnOf(frame));
    }
    MDL.Process.set(memory, mdl, nullVa);
    MDL.MappedSystemVa.set(memory, mdl, mdlVirtualAddress(memory, mdl));
    changeMdlFlags(memory, mdl, 0, MdlFlag.SourceIsNonPagedPool);
  }

  /** IoBuildPartialMdl. `bytes` 0: to the end of the source. */
  buildPartial(source: Va, target: Va, va: Va, bytes: number): undefined {
    const { memory } = this.nt;
    const offset = va - mdlVirtualAddress(memory, source);
    const length = bytes === 0 ? MDL.ByteCount.get(memory, source) - offset : bytes;
    const pages = spannedPages(va, length);
    if (mdlSizeBytes(va, length) > this.roomOf(target)) {
      throw new BugCheck(0x49, [0, 0, 0, 0], 'a partial MDL is too small for the pages that it shall describe');
    }
    const first = (pageOf(va) - MDL.StartVa.get(memory, source)) / pageSize;
    const flags = partialFlags(mdlFlags(memory, target), mdlFlags(memory, source));
    MDL.MdlFlags.set(memory, target, flags);
    MDL.Process.set(memory, target, MDL.Process.get(memory, source));
    MDL.StartVa.set(memory, target, pageOf(va));
    MDL.ByteOffset.set(memory, target, va - pageOf(va));
    MDL.ByteCount.set(memory, target, length);
    MDL.MappedSystemVa.set(memory, target, vaAdd(MDL.MappedSystemVa.get(memory, source), offset));
    for (let index = 0; index < pages; index++) {
      memory.writeU64(pfnAddress(target, index), memory.readU64(pfnAddress(source, first + index)));
    }
  }

  // ---- mapping

  /** MmUnlockPages: a mapping into system space goes first. */
  unlock(mdl: Va): undefined {
    const { memory } = this.nt;
    if (hasMdlFlag(memory, mdl, MdlFlag.MappedToSystemVa)) this.unmap(MDL.MappedSystemVa.get(memory, mdl), mdl);
    this.locks.unlock(mdl);
  }

  /** Maps into system space (`at`: addresses that are reserved) and says so in the MDL; undefined if they are used up. */
  mapToSystem(mdl: Va, rights: MappingRights, holder: Holder, at = nullVa): Va | undefined {
    const { memory } = this.nt;
    const request = { purpose: 'mdl', mdl, pfns: this.pfnsOf(mdl), flags: accessOf(rights), ...holder } as const;
    const page = this.mappings.map(request, at);
    if (page === undefined) return undefined;
    const va = vaAdd(page, MDL.ByteOffset.get(memory, mdl));
    MDL.MappedSystemVa.set(memory, mdl, va);
    const isPartial = hasMdlFlag(memory, mdl, MdlFlag.Partial);
    changeMdlFlags(memory, mdl, 0, MdlFlag.MappedToSystemVa | (isPartial ? MdlFlag.PartialHasBeenMapped : 0));
    return va;
  }

  /** Maps into the requesting process. */
  mapToUser(mdl: Va, rights: MappingRights, holder: Holder): Va | undefined {
    const flags = accessOf(rights) | PageFlag.User;
    const page = this.mappings.map({ purpose: 'user-mdl', mdl, pfns: this.pfnsOf(mdl), flags, ...holder });
    return page === undefined ? undefined : vaAdd(page, MDL.ByteOffset.get(this.nt.memory, mdl));
  }

  /** MmUnmapLockedPages. What is not mapped there is bug check 0xDA. */
  unmap(va: Va, mdl: Va): undefined {
    const { memory } = this.nt;
    const page = pageOf(va);
    const mapping = this.mappings.at(page);
    const pages = mdlPages(memory, mdl);
    if (mapping === undefined) throw this.notMapped(va, pages);
    if (mapping.pages !== pages) {
      throw new BugCheck(0xda, [0x305, page, pages, mapping.pages], 'a mapping was removed with another page count');
    }
    this.mappings.unmap(page);
    if (va >= 0) return;
    changeMdlFlags(memory, mdl, MdlFlag.MappedToSystemVa | MdlFlag.PartialHasBeenMapped, 0);
  }

  private notMapped(va: Va, pages: number): BugCheck {
    const inside = this.mappings.containing(va);
    return inside === undefined
      ? new BugCheck(0xda, [0x302, va, 0, 0], 'an address was unmapped where nothing is mapped')
      : new BugCheck(0xda, [0x304, va, pages, 0], 'an address in the middle of a mapping was unmapped');
  }

  /** Page frame numbers of an MDL that is about to be mapped: each must name a page that somebody holds. */
  private pfnsOf(mdl: Va): number[] {
    const { memory } = this.nt;
    const pfns: number[] = [];
    for (let index = 0; index < mdlPages(memory, mdl); index++) {
      const pfn = readPfn(memory, mdl, index);
      const isHeld = this.frames.isRam(pfn) ? this.isHeld(pfn) : this.frames.isPhysical(pfn);
      if (!isHeld) {
        const at = pfnAddress(mdl, index);
        throw new BugCheck(
          0x1a,
          [0x1236, mdl, at, memory.readU64(at)],
          'an MDL was mapped whose pages are not locked or do not exist',
        );
      }
      pfns.push(pfn);
    }
    return pfns;
  }

  private isHeld(pfn: number): boolean {
    const frame = this.frames.frameOf(pfn);
    return frame !== undefined && this.frames.isInUse(frame);
  }

  /** Bytes that an MDL has: as allocated, or as its Size says. */
  private roomOf(mdl: Va): number {
    return this.nt.pool.blockAt(mdl)?.bytes ?? MDL.Size.get(this.nt.memory, mdl);
  }

  private last(first: Va): Va {
    let last = first;
    for (const mdl of chain(first, nullVa, (at) => MDL.Next.get(this.nt.memory, at), "an IRP's MDLs")) last = mdl;
    return last;
  }
}

function accessOf({ isWritable, isExecutable }: MappingRights): number {
  return Access.Read | (isWritable ? Access.Write : 0) | (isExecutable ? Access.Execute : 0);
}
