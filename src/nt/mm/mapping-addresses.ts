/** MmAllocateMappingAddress: system addresses that a driver keeps so that it can map an MDL when memory is short. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { POOL_TAG, PVOID, pointerTo, SIZE_T, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { type Holder, holderOf } from './holder.ts';
import { mdlPages, pageOf } from './mdl-layout.ts';

export interface ReservedAddresses extends Holder {
  readonly va: Va;
  readonly pages: number;
  readonly tag: number;
}

export class MappingAddresses {
  private readonly nt: Nt;
  private readonly reserved: StoreMap<number, ReservedAddresses>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.reserved = nt.stores.map('mm/reserved-addresses');
  }

  /** Ranges that have not been freed. */
  outstanding(): IterableIterator<ReservedAddresses> {
    return this.reserved.values();
  }

  reserve(bytes: number, tag: number, holder: Holder): Va {
    const pages = Math.ceil(bytes / pageSize);
    if (pages === 0) throw new BugCheck(0xda, [0x100, 0, tag, 0], 'mapping addresses of 0 bytes were asked for');
    const va = pages * pageSize > AddressMap.systemPtes.sizeBytes ? undefined : this.take(pages);
    if (va === undefined) return nullVa;
    this.reserved.set(va, { va, pages, tag, ...holder });
    return va;
  }

  free(va: Va, tag: number): undefined {
    const range = this.owned(va, tag, 0x101, 0x102);
    if (this.nt.mdls.mappings.at(va) !== undefined) {
      throw new BugCheck(
        0xda,
        [0x103, va, tag, range.pages],
        'mapping addresses were freed while an MDL is mapped there',
      );
    }
    this.reserved.delete(va);
    this.nt.addressSpace.release(AddressMap.systemPtes, va, range.pages + 1);
  }

  /** Undefined if the MDL has more pages than the range. */
  map(va: Va, tag: number, mdl: Va, holder: Holder): Va | undefined {
    const range = this.owned(va, tag, 0x104, 0x105);
    if (this.nt.mdls.mappings.at(va) !== undefined) {
      throw new BugCheck(
        0xda,
        [0x107, va, va, range.pages],
        'mapping addresses were used again while an MDL is mapped there',
      );
    }
    if (mdlPages(this.nt.memory, mdl) > range.pages) return undefined;
    return this.nt.mdls.mapToSystem(mdl, { isWritable: true, isExecutable: true }, holder, va);
  }

  unmap(va: Va, tag: number, mdl: Va): undefined {
    const page = pageOf(va);
    this.owned(page, tag, 0x108, 0x109);
    this.nt.mdls.unmap(va, mdl);
  }

  private take(pages: number): Va | undefined {
    return this.nt.addressSpace.reserve(AddressMap.systemPtes, pages + 1);
  }

  private owned(va: Va, tag: number, otherOwner: number, noRange: number): ReservedAddresses {
    const range = this.reserved.get(va);
    if (range === undefined) throw new BugCheck(0xda, [noRange, va, tag, 0], 'these are no reserved mapping addresses');
    if (range.tag === tag) return range;
    throw new BugCheck(
      0xda,
      [otherOwner, va, tag, range.tag],
      'mapping addresses were used with the tag of another owner',
    );
  }
}

export const mmMappingAddresses = ntExports('ntoskrnl.exe', {
  MmAllocateMappingAddress: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatemappingaddress',
    irql: ['PASSIVE', 'APC'],
    params: { NumberOfBytes: SIZE_T, PoolTag: POOL_TAG },
    returns: 'PVOID',
    body: (nt, { NumberOfBytes, PoolTag }, call) =>
      nt.mappingAddresses.reserve(NumberOfBytes, PoolTag, holderOf(nt, call)),
  }),
  MmFreeMappingAddress: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmfreemappingaddress',
    irql: ['PASSIVE', 'APC'],
    params: { BaseAddress: PVOID, PoolTag: POOL_TAG },
    returns: 'VOID',
    body: (nt, { BaseAddress, PoolTag }) => nt.mappingAddresses.free(BaseAddress, PoolTag),
  }),
  /** NULL if the MDL needs more pages than were reserved. */
  MmMapLockedPagesWithReservedMapping: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmmaplockedpageswithreservedmapping',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MappingAddress: PVOID, PoolTag: POOL_TAG, MemoryDescriptorList: pointerTo('MDL'), CacheType: ULONG },
    returns: 'PVOID',
    body: (nt, { MappingAddress, PoolTag, MemoryDescriptorList }, call) =>
      nt.mappingAddresses.map(MappingAddress, PoolTag, MemoryDescriptorList, holderOf(nt, call)) ?? nullVa,
  }),
  MmUnmapReservedMapping: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmunmapreservedmapping',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { BaseAddress: PVOID, PoolTag: POOL_TAG, MemoryDescriptorList: pointerTo('MDL') },
    returns: 'VOID',
    body: (nt, { BaseAddress, PoolTag, MemoryDescriptorList }) =>
      nt.mappingAddresses.unmap(BaseAddress, PoolTag, MemoryDescriptorList),
  }),
});
