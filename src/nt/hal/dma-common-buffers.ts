/** Common buffers: contiguous memory of the HAL's that driver and device share (wdm.h; nc-wdm-pallocate_common_buffer). */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access, pageSize } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, LARGE_INTEGER, PVOID, ULONG } from '../declare/parameter-types.ts';
import { fits, type PhysicalLimits } from '../mm/contiguous-memory.ts';
import { firstPfn } from '../mm/frames.ts';
import type { Nt } from '../nt.ts';
import type { CommonBuffer, DmaAdapter } from './dma-adapters.ts';
import { holderWith, padapter, withAdapter } from './dma-calls.ts';
import { guardCommonBuffer } from './dma-double-buffers.ts';

/** DOMAIN_COMMON_BUFFER_LARGE_PAGE */
const largePages = 1;
const pagesOfLargePage = 0x200;

interface CommonBufferArguments {
  readonly Length: number;
  readonly LogicalAddress: Va;
  /** For AllocateCommonBufferWithBounds. */
  readonly Flags?: number;
}

const smallerOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** NULL if there is no such memory. Contents are arbitrary. */
function allocate(nt: Nt, adapter: DmaAdapter, args: CommonBufferArguments, bounds: PhysicalLimits, call: Call): Va {
  const { memory, addressSpace, random, dma, events } = nt;
  const holder = holderWith(nt, adapter, call);
  const isGuarded = dma.buffering.isCommonBufferGuarded(adapter, holder);
  const guardPages = isGuarded ? 1 : 0;
  const unit = ((args.Flags ?? 0) & largePages) === 0 ? 1 : pagesOfLargePage;
  const pages = Math.max(1, Math.ceil(args.Length / (unit * pageSize))) * unit + 2 * guardPages;
  if (pages > memory.freeFrameCount) return nullVa;
  const limits = { ...bounds, highest: smallerOf(bounds.highest, adapter.highestAddress) };
  const first = memory.allocateContiguousFrames(pages, (frame) => fits(frame, pages, limits));
  if (first === undefined) return nullVa;
  const region = addressSpace.reserve(AddressMap.systemPtes, pages + 1);
  if (region === undefined) {
    for (let index = 0; index < pages; index++) memory.freeFrame(first + index);
    return nullVa;
  }
  const garbage = 0x81 + (random.u32() % 0x7d);
  for (let index = 0; index < pages; index++) {
    memory.frameBytes(first + index).fill(garbage);
    memory.mapPage(vaAdd(region, index * pageSize), first + index, Access.Read | Access.Write);
  }
  const buffer: CommonBuffer = {
    ...holder,
    adapter: adapter.adapter,
    va: vaAdd(region, guardPages * pageSize),
    logical: BigInt(first + guardPages + firstPfn) * BigInt(pageSize),
    bytes: args.Length,
    region,
    pages,
    isGuarded,
  };
  if (isGuarded) guardCommonBuffer(nt, buffer);
  dma.commonBuffers.set(buffer.va, buffer);
  memory.writeU64(args.LogicalAddress, buffer.logical);
  events.emit('commonBufferAllocated', { buffer });
  return buffer.va;
}

function free(nt: Nt, buffer: CommonBuffer): void {
  const { memory, addressSpace, dma, events } = nt;
  events.emit('commonBufferFreed', { buffer });
  dma.commonBuffers.delete(buffer.va);
  for (let index = 0; index < buffer.pages; index++) {
    const frame = memory.unmapPage(vaAdd(buffer.region, index * pageSize));
    if (frame !== undefined) addressSpace.frames.release(frame);
  }
  addressSpace.release(AddressMap.systemPtes, buffer.region, buffer.pages + 1);
}

/** The addresses that pointers to bounds name; NULL leaves a bound open. */
function boundsOf(nt: Nt, minimum: Va, maximum: Va): PhysicalLimits {
  const at = (pointer: Va, open: bigint): bigint => (pointer === nullVa ? open : nt.memory.readU64(pointer));
  return { lowest: at(minimum, 0n), highest: at(maximum, 0xffff_ffff_ffff_ffffn), boundary: 0n };
}

const anywhere: PhysicalLimits = { lowest: 0n, highest: 0xffff_ffff_ffff_ffffn, boundary: 0n };

export const halDmaCommonBuffers = ntInternals({
  HalAllocateCommonBuffer: ntRoutine({
    doc: 'wdm.h; nc-wdm-pallocate_common_buffer',
    irql: passiveOnly,
    params: { DmaAdapter: padapter, Length: ULONG, LogicalAddress: PVOID, CacheEnabled: BOOLEAN },
    returns: 'PVOID',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) => allocate(nt, adapter, args, anywhere, call)),
  }),
  HalAllocateCommonBufferEx: ntRoutine({
    doc: 'wdm.h; nc-wdm-pallocate_common_buffer_ex',
    irql: passiveOnly,
    params: {
      DmaAdapter: padapter,
      MaximumAddress: PVOID,
      Length: ULONG,
      LogicalAddress: PVOID,
      CacheEnabled: BOOLEAN,
      PreferredNode: ULONG,
    },
    returns: 'PVOID',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) =>
        allocate(nt, adapter, args, boundsOf(nt, nullVa, args.MaximumAddress), call),
      ),
  }),
  HalAllocateCommonBufferWithBounds: ntRoutine({
    doc: 'wdm.h; nc-wdm-pallocate_common_buffer_with_bounds',
    irql: passiveOnly,
    params: {
      DmaAdapter: padapter,
      MinimumAddress: PVOID,
      MaximumAddress: PVOID,
      Length: ULONG,
      Flags: ULONG,
      CacheType: PVOID,
      PreferredNode: ULONG,
      LogicalAddress: PVOID,
    },
    returns: 'PVOID',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) =>
        allocate(nt, adapter, args, boundsOf(nt, args.MinimumAddress, args.MaximumAddress), call),
      ),
  }),
  HalFreeCommonBuffer: ntRoutine({
    doc: 'wdm.h; nc-wdm-pfree_common_buffer',
    irql: passiveOnly,
    params: {
      DmaAdapter: padapter,
      Length: ULONG,
      LogicalAddress: LARGE_INTEGER,
      VirtualAddress: PVOID,
      CacheEnabled: BOOLEAN,
    },
    returns: 'VOID',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (): Outcome => {
        const buffer = nt.dma.commonBuffers.get(args.VirtualAddress);
        if (buffer?.adapter !== args.DmaAdapter) return unsupported('FreeCommonBuffer of what is no common buffer');
        if (buffer.bytes !== args.Length || buffer.logical !== args.LogicalAddress) {
          return unsupported('FreeCommonBuffer with another length or logical address than were allocated');
        }
        free(nt, buffer);
        return undefined;
      }),
  }),
});
