/** Which parts of a driver may be paged out: MmLockPagable*, MmPageEntireDriver, MmResetDriverPaging. */
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { PeSection } from '../../image/pe/pe-image.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import type { Holder } from './holder.ts';
import type { KernelImage } from './kernel-image.ts';

/** Offsets in PE headers. */
const peHeaderOffset = 0x3c;
const optionalHeaderBytesOffset = 20;
const optionalHeaderOffset = 24;
const sectionHeaderBytes = 40;

export interface LockedSection extends Holder {
  /** Address of the section's header: what drivers hold as the handle. */
  readonly handle: Va;
  readonly name: string;
  readonly count: number;
  readonly frames: readonly number[];
}

export class DriverPaging {
  private readonly nt: Nt;
  private readonly locked: StoreMap<number, LockedSection>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.locked = nt.stores.map('mm/locked-sections');
  }

  /** Sections that are locked now. */
  outstanding(): IterableIterator<LockedSection> {
    return this.locked.values();
  }

  /** MmLockPagableDataSection: locks the section that holds the address and returns its handle. */
  lockContaining(address: Va, holder: Holder): Va {
    const image = this.nt.images.containing(address);
    const rva = address - (image?.base ?? address);
    const sections = image?.pe?.sections ?? [];
    const index = sections.findIndex((section) => rva >= section.rva && rva < section.rva + section.virtualSize);
    const section = sections[index];
    if (image === undefined || section === undefined) {
      throw new BugCheck(0x1a, [0x1234, address, 0, 0], 'a section of a driver was locked that does not exist');
    }
    const handle = vaAdd(this.firstSectionHeader(image), index * sectionHeaderBytes);
    this.lock(handle, image, section, holder);
    return handle;
  }

  /** MmLockPagableSectionByHandle */
  lockHandle(handle: Va, holder: Holder): undefined {
    const image = this.nt.images.containing(handle);
    const offset = image === undefined ? -1 : handle - this.firstSectionHeader(image);
    const section = offset % sectionHeaderBytes === 0 ? image?.pe?.sections[offset / sectionHeaderBytes] : undefined;
    if (image === undefined || section === undefined) {
      throw new BugCheck(0x1a, [0x1234, handle, 0, 0], 'a section of a driver was locked by a handle that is none');
    }
    this.lock(handle, image, section, holder);
  }

  /** MmUnlockPagableImageSection */
  unlock(handle: Va): undefined {
    const section = this.locked.get(handle);
    if (section === undefined) {
      throw new BugCheck(0x1a, [0x1010, handle, 0, 0], 'a pageable section was unlocked that is not locked');
    }
    for (const frame of section.frames) this.nt.addressSpace.frames.unlock(frame);
    if (section.count === 1) this.locked.delete(handle);
    else this.locked.set(handle, { ...section, count: section.count - 1 });
  }

  /** MmPageEntireDriver: every page becomes pageable, whatever its section says. Undefined: no driver is there. */
  pageAll(address: Va): Va | undefined {
    return this.setPageable(address, () => true);
  }

  /** MmResetDriverPaging: as the sections say. */
  reset(address: Va): Va | undefined {
    return this.setPageable(address, (image, rva) => isPageable(image, rva));
  }

  private lock(handle: Va, image: KernelImage, section: PeSection, holder: Holder): void {
    const before = this.locked.get(handle);
    const frames = before?.frames ?? this.framesOf(image, section);
    for (const frame of frames) this.nt.addressSpace.frames.lock(frame);
    const { name } = section;
    this.locked.set(handle, { handle, name, frames, ...holder, count: (before?.count ?? 0) + 1 });
  }

  private framesOf(image: KernelImage, section: PeSection): number[] {
    const frames: number[] = [];
    const first = Math.floor(section.rva / pageSize) * pageSize;
    for (let rva = first; rva < section.rva + section.virtualSize; rva += pageSize) {
      const frame = this.nt.memory.mappingAt(vaAdd(image.base, rva))?.frame;
      if (frame !== undefined) frames.push(frame);
    }
    return frames;
  }

  private setPageable(address: Va, decide: (image: KernelImage, rva: number) => boolean): Va | undefined {
    const image = this.nt.images.containing(address);
    if (image?.pe === undefined) return undefined;
    for (let rva = 0; rva < image.sizeBytes; rva += pageSize) {
      this.nt.addressSpace.frames.setPageable(vaAdd(image.base, rva), decide(image, rva));
    }
    return image.base;
  }

  private firstSectionHeader({ base }: KernelImage): Va {
    const { memory } = this.nt;
    const headers = vaAdd(base, memory.readU32(vaAdd(base, peHeaderOffset)));
    return vaAdd(headers, optionalHeaderOffset + memory.readU16(vaAdd(headers, optionalHeaderBytesOffset)));
  }
}

/** Whether a section that touches the page is pageable; headers are not. */
function isPageable({ pe }: KernelImage, rva: number): boolean {
  const sections = pe?.sections ?? [];
  return sections.some((s) => s.isPageable && s.rva < rva + pageSize && s.rva + s.virtualSize > rva);
}
