/** Contiguous and noncached memory. Caching has no effect here; nodes are one. */
import { nullVa, type Va } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, SIZE_T, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import type { ContiguousBlock, PhysicalLimits } from './contiguous-memory.ts';
import { holderOf } from './holder.ts';
import { accessOfProtection } from './page-protection.ts';

const readWriteExecute = Access.Read | Access.Write | Access.Execute;

function allocate(
  nt: Nt,
  bytes: number,
  purpose: ContiguousBlock['purpose'],
  flags: number,
  call: Call,
  limits?: PhysicalLimits,
): Va {
  return nt.contiguous.allocate({ bytes, purpose, ...holderOf(nt, call) }, flags, limits) ?? nullVa;
}

export const mmContiguousMemory = ntExports('ntoskrnl.exe', {
  MmAllocateContiguousMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatecontiguousmemory',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { NumberOfBytes: SIZE_T, HighestAcceptableAddress: ULONG64 },
    returns: 'PVOID',
    body: (nt, { NumberOfBytes, HighestAcceptableAddress: highest }, call) =>
      allocate(nt, NumberOfBytes, 'contiguous', readWriteExecute, call, { lowest: 0n, highest, boundary: 0n }),
  }),
  MmAllocateContiguousMemorySpecifyCache: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatecontiguousmemoryspecifycache',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      NumberOfBytes: SIZE_T,
      LowestAcceptableAddress: ULONG64,
      HighestAcceptableAddress: ULONG64,
      BoundaryAddressMultiple: ULONG64,
      CacheType: ULONG,
    },
    returns: 'PVOID',
    body: (nt, { NumberOfBytes, LowestAcceptableAddress, HighestAcceptableAddress, BoundaryAddressMultiple }, call) =>
      allocate(nt, NumberOfBytes, 'contiguous', readWriteExecute, call, {
        lowest: LowestAcceptableAddress,
        highest: HighestAcceptableAddress,
        boundary: BoundaryAddressMultiple,
      }),
  }),
  MmAllocateContiguousMemorySpecifyCacheNode: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatecontiguousmemoryspecifycachenode',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      NumberOfBytes: SIZE_T,
      LowestAcceptableAddress: ULONG64,
      HighestAcceptableAddress: ULONG64,
      BoundaryAddressMultiple: ULONG64,
      CacheType: ULONG,
      PreferredNode: ULONG,
    },
    returns: 'PVOID',
    body: (nt, { NumberOfBytes, LowestAcceptableAddress, HighestAcceptableAddress, BoundaryAddressMultiple }, call) =>
      allocate(nt, NumberOfBytes, 'contiguous', readWriteExecute, call, {
        lowest: LowestAcceptableAddress,
        highest: HighestAcceptableAddress,
        boundary: BoundaryAddressMultiple,
      }),
  }),
  /** PAGE_READWRITE or PAGE_EXECUTE_READWRITE, with PAGE_NOCACHE or PAGE_WRITECOMBINE; NULL for others. */
  MmAllocateContiguousNodeMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatecontiguousnodememory',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      NumberOfBytes: SIZE_T,
      LowestAcceptableAddress: ULONG64,
      HighestAcceptableAddress: ULONG64,
      BoundaryAddressMultiple: ULONG64,
      Protect: ULONG,
      PreferredNode: ULONG,
    },
    returns: 'PVOID',
    body: (nt, args, call) => {
      const flags = accessOfProtection(args.Protect) ?? 0;
      if ((flags & Access.Write) === 0) return nullVa;
      return allocate(nt, args.NumberOfBytes, 'contiguous', flags, call, {
        lowest: args.LowestAcceptableAddress,
        highest: args.HighestAcceptableAddress,
        boundary: args.BoundaryAddressMultiple,
      });
    },
  }),
  MmFreeContiguousMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmfreecontiguousmemory',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { BaseAddress: PVOID },
    returns: 'VOID',
    body: (nt, { BaseAddress }) => nt.contiguous.free(BaseAddress, 'contiguous'),
  }),
  MmFreeContiguousMemorySpecifyCache: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmfreecontiguousmemoryspecifycache',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { BaseAddress: PVOID, NumberOfBytes: SIZE_T, CacheType: ULONG },
    returns: 'VOID',
    body: (nt, { BaseAddress }) => nt.contiguous.free(BaseAddress, 'contiguous'),
  }),
  MmAllocateNonCachedMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatenoncachedmemory',
    irql: ['PASSIVE', 'APC'],
    params: { NumberOfBytes: SIZE_T },
    returns: 'PVOID',
    body: (nt, { NumberOfBytes }, call) => allocate(nt, NumberOfBytes, 'non-cached', Access.Read | Access.Write, call),
  }),
  MmFreeNonCachedMemory: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmfreenoncachedmemory',
    irql: ['PASSIVE', 'APC'],
    params: { BaseAddress: PVOID, NumberOfBytes: SIZE_T },
    returns: 'VOID',
    body: (nt, { BaseAddress }) => nt.contiguous.free(BaseAddress, 'non-cached'),
  }),
});
