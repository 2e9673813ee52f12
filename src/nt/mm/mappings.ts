/**
 * Mappings of frames that exist already: MDLs, device memory and reserved addresses. An unmapped page stands behind
 * each, so that an overrun faults.
 */
import { assert } from '../../base/errors.ts';
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access, PageFlag, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import type { Nt } from '../nt.ts';
import type { Region } from './address-space.ts';
import type { Frames } from './frames.ts';
import type { Holder } from './holder.ts';

export type MappingPurpose = 'mdl' | 'user-mdl' | 'io-space' | 'system-view' | 'user-view' | 'system-process-view';

export interface Mapping extends Holder {
  /** Of the first page. */
  readonly va: Va;
  readonly pages: number;
  readonly purpose: MappingPurpose;
  /** The MDL that was mapped; null for device memory. */
  readonly mdl: Va;
  /** The addresses stay somebody's when the mapping goes: {@link MappingAddresses}. */
  readonly isReserved: boolean;
}

export interface MappingRequest extends Holder {
  readonly purpose: MappingPurpose;
  readonly mdl: Va;
  readonly pfns: readonly number[];
  /** Bits of `Access` and `PageFlag`. */
  readonly flags: number;
}

export class Mappings {
  private readonly nt: Nt;
  private readonly frames: Frames;
  private readonly mappings: StoreMap<number, Mapping>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.frames = nt.addressSpace.frames;
    this.mappings = nt.stores.map('mm/mappings');
  }

  /** What is mapped now. */
  outstanding(): IterableIterator<Mapping> {
    return this.mappings.values();
  }

  /** By its first page. */
  at(va: Va): Mapping | undefined {
    return this.mappings.get(va);
  }

  /** The mapping that the address lies in. */
  containing(va: Va): Mapping | undefined {
    for (const mapping of this.mappings.values()) {
      if (va >= mapping.va && va < mapping.va + mapping.pages * pageSize) return mapping;
    }
    return undefined;
  }

  /** Maps the pages; undefined if addresses or (for device pages) memory are used up. `at`: where, if not anywhere. */
  map({ pfns, flags, purpose, mdl, ...holder }: MappingRequest, at = nullVa): Va | undefined {
    const frames = this.framesOf(pfns);
    if (frames === undefined) return undefined;
    const va = at === nullVa ? this.nt.addressSpace.reserve(regionOf(purpose), pfns.length + 1) : at;
    if (va === undefined) {
      for (const frame of frames) this.frames.unmapped(frame);
      return undefined;
    }
    for (const [index, frame] of frames.entries()) {
      this.nt.memory.mapPage(vaAdd(va, index * pageSize), frame, this.flagsOf(pfns[index] as number, flags));
    }
    this.mappings.set(va, { va, pages: pfns.length, purpose, mdl, isReserved: at !== nullVa, ...holder });
    return va;
  }

  /** Takes a mapping away. The addresses are given back unless they were reserved by somebody. */
  unmap(va: Va): void {
    const mapping = this.mappings.get(va);
    assert(mapping, 'a mapping is taken away once');
    for (let index = 0; index < mapping.pages; index++) {
      const frame = this.nt.memory.unmapPage(vaAdd(va, index * pageSize));
      if (frame !== undefined) this.frames.unmapped(frame);
    }
    this.mappings.delete(va);
    if (!mapping.isReserved) this.nt.addressSpace.release(regionOf(mapping.purpose), va, mapping.pages + 1);
  }

  /** Changes the access of a mapping's pages; false if there is none at the address. */
  protect(va: Va, flags: number): boolean {
    const mapping = this.mappings.get(va);
    if (mapping === undefined) return false;
    for (let index = 0; index < mapping.pages; index++) {
      const page = vaAdd(va, index * pageSize);
      const device = (this.nt.memory.mappingAt(page)?.flags ?? 0) & PageFlag.Device;
      this.nt.memory.protectPage(page, flags | device);
    }
    return true;
  }

  /** Pages of a device with a model are not memory, and no code. */
  private flagsOf(pfn: number, flags: number): number {
    return this.nt.io.hardware.hasPage(pfn) ? (flags & ~Access.Execute) | PageFlag.Device : flags;
  }

  private framesOf(pfns: readonly number[]): number[] | undefined {
    const frames: number[] = [];
    for (const pfn of pfns) {
      const frame = this.frames.frameForMapping(pfn);
      if (frame === undefined) {
        for (const taken of frames) this.frames.unmapped(taken);
        return undefined;
      }
      frames.push(frame);
    }
    return frames;
  }
}

function regionOf(purpose: MappingPurpose): Region {
  if (purpose === 'system-process-view') return AddressMap.systemProcessUser;
  return purpose === 'user-mdl' || purpose === 'user-view' ? AddressMap.user : AddressMap.systemPtes;
}
