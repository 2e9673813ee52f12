import { nullVa } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { pointerTo, SIZE_T, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';

/** Flags of MmAllocatePagesForMdlEx, wdm.h MM_*. */
const AllocateFlag = {
  DontZero: 0x01,
  FullyRequired: 0x04,
  RequireContiguousChunks: 0x20,
  HotRemove: 0x100,
} as const;
/** Flags that ask for speed or a node, not for another result. */
const hintFlags = 0x02 | 0x08 | 0x10 | 0x40;
const knownFlags = Object.values(AllocateFlag).reduce<number>((all, flag) => all | flag, hintFlags);

const support = { partial: 'SkipBytes; contiguous chunks smaller than the whole; hot removal' } as const;

interface ExtendedRequest {
  readonly LowAddress: bigint;
  readonly HighAddress: bigint;
  readonly SkipBytes: bigint;
  readonly TotalBytes: number;
  readonly Flags: number;
}

function allocateEx(nt: Nt, request: ExtendedRequest, call: Call): Outcome {
  const { LowAddress: lowest, HighAddress: highest, SkipBytes, TotalBytes: bytes, Flags } = request;
  const isContiguous = (Flags & AllocateFlag.RequireContiguousChunks) !== 0;
  if ((Flags & (AllocateFlag.HotRemove | ~knownFlags)) !== 0 || (SkipBytes !== 0n && !isContiguous)) {
    return unsupported(`${call.name} with flags 0x${Flags.toString(16)} and SkipBytes ${SkipBytes}`);
  }
  // With contiguous chunks SkipBytes is the size of a chunk: one chunk for all is allowed where it is as large.
  if (isContiguous && SkipBytes !== BigInt(bytes)) return unsupported(`${call.name} in several chunks`);
  const limits = { lowest, highest, boundary: 0n };
  const isZeroed = (Flags & AllocateFlag.DontZero) === 0;
  const isFullyRequired = (Flags & AllocateFlag.FullyRequired) !== 0;
  return nt.pageAllocations.allocate({ bytes, limits, isZeroed, isFullyRequired, isContiguous }, call) ?? nullVa;
}

export const mmPageAllocations = ntExports('ntoskrnl.exe', {
  /** Zeroed pages; the MDL is pool, freed by ExFreePool after MmFreePagesFromMdl. */
  MmAllocatePagesForMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatepagesformdl',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { LowAddress: ULONG64, HighAddress: ULONG64, SkipBytes: ULONG64, TotalBytes: SIZE_T },
    returns: 'PVOID',
    support,
    body: (nt, { LowAddress: lowest, HighAddress: highest, SkipBytes, TotalBytes: bytes }, call) => {
      if (SkipBytes !== 0n) return unsupported('MmAllocatePagesForMdl with SkipBytes');
      const limits = { lowest, highest, boundary: 0n };
      const request = { bytes, limits, isZeroed: true, isFullyRequired: false, isContiguous: false };
      return nt.pageAllocations.allocate(request, call) ?? nullVa;
    },
  }),
  MmAllocatePagesForMdlEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatepagesformdlex',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      LowAddress: ULONG64,
      HighAddress: ULONG64,
      SkipBytes: ULONG64,
      TotalBytes: SIZE_T,
      CacheType: ULONG,
      Flags: ULONG,
    },
    returns: 'PVOID',
    support,
    body: (nt, args, call) => allocateEx(nt, args, call),
  }),
  /** There is one node. */
  MmAllocateNodePagesForMdlEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmallocatenodepagesformdlex',
    irql: ['PASSIVE', 'DISPATCH'],
    params: {
      LowAddress: ULONG64,
      HighAddress: ULONG64,
      SkipBytes: ULONG64,
      TotalBytes: SIZE_T,
      CacheType: ULONG,
      IdealNode: ULONG,
      Flags: ULONG,
    },
    returns: 'PVOID',
    support,
    body: (nt, args, call) => allocateEx(nt, args, call),
  }),
  MmFreePagesFromMdl: ntRoutine({
    doc: 'wdm.h; nf-wdm-mmfreepagesfrommdl',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { MemoryDescriptorList: pointerTo('MDL') },
    returns: 'VOID',
    body: (nt, { MemoryDescriptorList }) => nt.pageAllocations.free(MemoryDescriptorList),
  }),
});
