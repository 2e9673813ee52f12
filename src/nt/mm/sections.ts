/** Section objects, their views, and memory of processes that is nobody's file. */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { Access, PageFlag, pageSize } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_COMMITMENT_LIMIT,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_VIEW_SIZE,
  STATUS_MAPPED_ALIGNMENT,
  STATUS_NOT_MAPPED_VIEW,
  STATUS_SECTION_PROTECTION,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import type { Holder } from './holder.ts';
import type { MappingPurpose } from './mappings.ts';

export interface Section {
  readonly body: Va;
  readonly sizeBytes: number;
  /** `Access` bits that a view may have. */
  readonly access: number;
  /** Its pages in order; undefined for `\Device\PhysicalMemory`, where a page's number is its place. */
  readonly pfns: readonly number[] | undefined;
}

/** A mapping of a section, or private memory: of one process, or of system space. */
export interface View {
  readonly va: Va;
  /** Null: system space. */
  readonly process: Va;
  readonly sizeBytes: number;
  /** Whether a section is behind it. */
  readonly isSection: boolean;
}

export interface ViewRequest {
  readonly section: Va;
  readonly process: Va;
  readonly offset: number;
  /** 0: to the section's end. */
  readonly sizeBytes: number;
  readonly access: number;
  readonly holder: Holder;
}

export const physicalMemoryName = '\\Device\\PhysicalMemory';
const sectionBodyBytes = 0x40;
const allocationGranularity = 0x1_0000;
const physicalBytes = 2 ** 40;

export class Sections {
  private readonly nt: Nt;
  private readonly sections: StoreMap<number, Section>;
  private readonly views: StoreMap<number, View>;
  private readonly physical: StoreCell<Va>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.sections = nt.stores.map('mm/sections');
    this.views = nt.stores.map('mm/views');
    this.physical = nt.stores.cell('mm/physical-memory-section', nullVa);
  }

  // ---- section objects

  /** Pages of zeros behind a new section object, with one reference of its creator. */
  create(sizeBytes: number, access: number, name: string | undefined): { readonly status: number; readonly body: Va } {
    const pfns = this.zeroedPages(Math.ceil(sizeBytes / pageSize));
    if (pfns === undefined) return { status: STATUS_COMMITMENT_LIMIT, body: nullVa };
    const made = this.add(sizeBytes, access, pfns, name);
    if (made.status !== STATUS_SUCCESS) this.releasePages(pfns);
    return made;
  }

  private add(
    sizeBytes: number,
    access: number,
    pfns: readonly number[] | undefined,
    name: string | undefined,
  ): { readonly status: number; readonly body: Va } {
    const body = this.nt.pool.allocateKernel(sectionBodyBytes, 'Sect');
    const status = this.nt.objects.create(body, 'Section', name);
    if (status !== STATUS_SUCCESS) {
      this.nt.pool.freeKernel(body);
      return { status, body: nullVa };
    }
    this.sections.set(body, { body, sizeBytes, access, pfns });
    return { status, body };
  }

  /** `\Device\PhysicalMemory`, made when somebody first opens it. */
  physicalMemory(): Va {
    if (this.physical.value === nullVa) {
      const access = Access.Read | Access.Write;
      this.physical.value = this.add(physicalBytes, access, undefined, physicalMemoryName).body;
    }
    return this.physical.value;
  }

  get(body: Va): Section | undefined {
    return this.sections.get(body);
  }

  /** The last reference went; views that are left keep their pages. */
  freeBody(body: Va): void {
    this.releasePages(this.sections.get(body)?.pfns ?? []);
    this.sections.delete(body);
    this.nt.pool.freeKernel(body);
  }

  // ---- views

  map(request: ViewRequest): { readonly status: number; readonly va: Va; readonly sizeBytes: number } {
    const refuse = (status: number) => ({ status, va: nullVa, sizeBytes: 0 });
    const section = this.sections.get(request.section);
    if (section === undefined) return refuse(STATUS_NOT_MAPPED_VIEW);
    if (request.offset % (section.pfns === undefined ? pageSize : allocationGranularity) !== 0) {
      return refuse(STATUS_MAPPED_ALIGNMENT);
    }
    if ((request.access & ~section.access & ~Access.Execute) !== 0) return refuse(STATUS_SECTION_PROTECTION);
    const sizeBytes = request.sizeBytes === 0 ? section.sizeBytes - request.offset : request.sizeBytes;
    if (sizeBytes <= 0 || request.offset + sizeBytes > Math.ceil(section.sizeBytes / pageSize) * pageSize) {
      return refuse(STATUS_INVALID_VIEW_SIZE);
    }
    const first = request.offset / pageSize;
    const pages = Math.ceil(sizeBytes / pageSize);
    if (pages > this.nt.memory.frameCount) return refuse(STATUS_INSUFFICIENT_RESOURCES);
    const pfns =
      section.pfns?.slice(first, first + pages) ?? Array.from({ length: pages }, (_, index) => first + index);
    return this.mapPages(pfns, request.process, request.access, request.holder, true);
  }

  /** Private pages of a process, zeroed. */
  allocate(
    process: Va,
    bytes: number,
    access: number,
    holder: Holder,
  ): { readonly status: number; readonly va: Va; readonly sizeBytes: number } {
    const pfns = this.zeroedPages(Math.ceil(bytes / pageSize));
    if (pfns === undefined) return { status: STATUS_COMMITMENT_LIMIT, va: nullVa, sizeBytes: 0 };
    const mapped = this.mapPages(pfns, process, access, holder, false);
    // The mapping keeps them from now on.
    this.releasePages(pfns);
    return mapped;
  }

  private mapPages(pfns: readonly number[], process: Va, access: number, holder: Holder, isSection: boolean) {
    const purpose = this.purposeOf(process);
    const flags = process === nullVa ? access : access | PageFlag.User;
    const va = this.nt.mdls.mappings.map({ purpose, mdl: nullVa, pfns, flags, ...holder });
    if (va === undefined) return { status: STATUS_INSUFFICIENT_RESOURCES, va: nullVa, sizeBytes: 0 };
    const sizeBytes = pfns.length * pageSize;
    this.views.set(va, { va, process, sizeBytes, isSection });
    return { status: STATUS_SUCCESS, va, sizeBytes };
  }

  private purposeOf(process: Va): MappingPurpose {
    if (process === nullVa) return 'system-view';
    return process === this.nt.processor.requesterProcess ? 'user-view' : 'system-process-view';
  }

  /** The view of that process that the address lies in. */
  containing(va: Va, process: Va, isSection: boolean): View | undefined {
    for (const view of this.views.values()) {
      const isIn = view.process === process && view.isSection === isSection;
      if (isIn && va >= view.va && va < view.va + view.sizeBytes) return view;
    }
    return undefined;
  }

  unmap(view: View): void {
    this.views.delete(view.va);
    this.nt.mdls.mappings.unmap(view.va);
  }

  /** A process goes, and with it what it had mapped. */
  endProcess(process: Va): void {
    for (const view of [...this.views.values()]) if (view.process === process) this.unmap(view);
  }

  // ---- pages

  private zeroedPages(count: number): number[] | undefined {
    const { memory, addressSpace } = this.nt;
    if (memory.freeFrameCount < count) return undefined;
    const pfns: number[] = [];
    for (let index = 0; index < count; index++) {
      const frame = memory.allocateFrame();
      if (frame === undefined) return undefined;
      memory.frameBytes(frame).fill(0);
      pfns.push(addressSpace.frames.pfnOf(frame));
    }
    return pfns;
  }

  private releasePages(pfns: readonly number[]): void {
    const { frames } = this.nt.addressSpace;
    for (const pfn of pfns) {
      const frame = frames.frameOf(pfn);
      if (frame !== undefined) frames.release(frame);
    }
  }
}
