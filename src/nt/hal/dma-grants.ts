/**
 * An adapter has one channel. Who asks for it, or for a scatter/gather list, gets it at once or waits, first come first
 * served, until it and enough map registers are free; then AdapterControl or AdapterListControl runs.
 */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { ResumedCall } from '../declare/call.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { raiseToDispatch } from '../ke/spin-locks.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS } from '../ntstatus.ts';
import {
  AllocationAction,
  DMA_TRANSFER_CONTEXT,
  SCATTER_GATHER_ELEMENT,
  SCATTER_GATHER_LIST,
  TransferContext,
  WAIT_CONTEXT_BLOCK,
} from '../structures/dma.ts';
import { DEVICE_OBJECT } from '../structures/io.ts';
import type { DmaAdapter, MappedTransfer, MapRegisterFile } from './dma-adapters.ts';
import { allocateFile, freeFile, hasRegisters } from './dma-map-registers.ts';
import type { ChannelRequest, ListRequest } from './dma-requests.ts';
import { mapChain, type NotMapped } from './dma-transfers.ts';

const listTag = 'Hal ';
/** What a routine that grants answers in the end: a status, or nothing. */
const noResult = -1;

/** Bytes of a SCATTER_GATHER_LIST of so many elements. */
export function listBytes(elements: number): number {
  return SCATTER_GATHER_LIST.Elements.offset + elements * SCATTER_GATHER_ELEMENT.sizeBytes;
}

/** What became of a request that is granted: what its routine is given. */
interface Granted {
  readonly channel: number;
  readonly file: MapRegisterFile;
  /** Null without a list. */
  readonly list: Va;
}

/** Why it was not: it has to wait, memory is short, or it can't be done here. */
type NotGranted = 'memory' | { readonly gap: string };

function canGrant(nt: Nt, adapter: DmaAdapter, request: ChannelRequest): boolean {
  return !nt.dma.channels.has(adapter.adapter) && hasRegisters(nt, adapter, request.registers);
}

/**
 * Grants the request now or (unless it `mustNotWait`) has it wait. With `resultAt`, the base or the list is written there.
 * Only a request that does not wait can do without a routine.
 */
export function submit(
  nt: Nt,
  adapter: DmaAdapter,
  request: ChannelRequest,
  { mustNotWait = false, resultAt = nullVa }: { readonly mustNotWait?: boolean; readonly resultAt?: Va } = {},
): Outcome {
  const isFirst = !nt.dma.waiting.value.some((waiting) => waiting.adapter === adapter.adapter);
  if (!isFirst || !canGrant(nt, adapter, request)) {
    if (mustNotWait) return STATUS_INSUFFICIENT_RESOURCES;
    nt.dma.waiting.value = [...nt.dma.waiting.value, request];
    return STATUS_SUCCESS;
  }
  const granted = grant(nt, adapter, request);
  if (granted === 'memory') return STATUS_INSUFFICIENT_RESOURCES;
  if ('gap' in granted) return unsupported(granted.gap);
  if (resultAt !== nullVa) nt.memory.writeVa(resultAt, request.kind === 'list' ? granted.list : granted.file.base);
  if (request.routine === nullVa && mustNotWait) {
    keepChannel(nt, adapter.adapter);
    return STATUS_SUCCESS;
  }
  return callRoutine(request, granted, raiseToDispatch(nt), STATUS_SUCCESS);
}

/** No routine's end frees it: the driver has it until FreeAdapterObject, that of a list, too. */
function keepChannel(nt: Nt, adapter: Va): void {
  const taken = nt.dma.channels.get(adapter);
  if (taken?.purpose !== 'scatter-gather') return;
  const channel = { ...taken, purpose: 'channel' } as const;
  nt.dma.channels.set(adapter, channel);
  nt.events.emit('adapterChannelAllocated', { channel });
}

/** The channel and the registers are the driver's from here on; a list is built. */
function grant(nt: Nt, adapter: DmaAdapter, request: ChannelRequest): Granted | NotGranted {
  const { imageIndex, stack, activity, context, device } = request;
  const holder = { imageIndex, stack, activity };
  const purpose = request.kind === 'list' ? 'scatter-gather' : 'channel';
  const file = allocateFile(nt, adapter, { ...holder, count: request.registers, purpose, context });
  if (file === undefined) return 'memory';
  const id = nt.dma.newId();
  const channel = { ...holder, id, adapter: adapter.adapter, purpose, device, base: file.base, context } as const;
  nt.dma.channels.set(adapter.adapter, channel);
  if (context !== nullVa) DMA_TRANSFER_CONTEXT.DmaState.set(nt.memory, context, TransferContext.Granted);
  if (request.kind === 'list') {
    const list = buildList(nt, adapter, request, file);
    return typeof list === 'string' ? { gap: gapText(list) } : { channel: id, file, list };
  }
  nt.events.emit('adapterChannelAllocated', { channel });
  return { channel: id, file, list: nullVa };
}

/** What can't be mapped, as the end of the run says it. */
export function gapText(reason: NotMapped): string {
  switch (reason) {
    case 'no-registers':
      return 'DMA of more than the map registers that were allocated hold';
    case 'no-memory':
      return 'DMA with an MDL whose pages are not memory';
    case 'out-of-reach':
      return "DMA to a device's memory that the other device does not reach";
  }
}

function buildList(nt: Nt, adapter: DmaAdapter, request: ListRequest, file: MapRegisterFile): Va | NotMapped {
  const { mdl, va, offset, bytes, isWriteToDevice, buffer, imageIndex, stack, activity } = request;
  const mapping = { file, adapter, chain: mdl, isWriteToDevice, origin: request };
  const transfers = mapChain(nt, mapping, offset, bytes, Number.POSITIVE_INFINITY);
  if (typeof transfers === 'string') return transfers;
  const isInDriverBuffer = buffer !== nullVa;
  const list = isInDriverBuffer ? buffer : nt.pool.allocateKernel(listBytes(request.registers), listTag);
  const elements = writeList(nt, list, transfers);
  const base = { list, adapter: adapter.adapter, base: file.base, mdl, va, offset, bytes, elements };
  const record = {
    ...base,
    isWriteToDevice,
    isInDriverBuffer,
    builtMdl: nullVa,
    ownMdls: [],
    imageIndex,
    stack,
    activity,
  };
  // A list that was built over another one, which was not put: nobody can put that any more, and it is outstanding.
  const lost = nt.dma.lists.get(list);
  if (lost !== undefined) nt.dma.lists.set(lost.base, lost);
  nt.dma.lists.set(list, record);
  nt.events.emit('scatterGatherListBuilt', { list: record });
  return list;
}

/** Fragments that follow each other for the device too are one element. How many elements there are. */
export function writeList({ memory }: Nt, list: Va, transfers: readonly MappedTransfer[]): number {
  let elements = 0;
  let end = -1n;
  let length = 0;
  let at = SCATTER_GATHER_LIST.Elements.at(list);
  for (const { logical, bytes, isBuffered } of transfers) {
    if (logical === end && !isBuffered) {
      length += bytes;
      SCATTER_GATHER_ELEMENT.Length.set(memory, vaAdd(at, -SCATTER_GATHER_ELEMENT.sizeBytes), length);
    } else {
      SCATTER_GATHER_ELEMENT.Address.set(memory, at, logical);
      SCATTER_GATHER_ELEMENT.Length.set(memory, at, bytes);
      SCATTER_GATHER_ELEMENT.Reserved.set(memory, at, 0n);
      length = bytes;
      at = vaAdd(at, SCATTER_GATHER_ELEMENT.sizeBytes);
      elements++;
    }
    end = logical + BigInt(bytes);
  }
  SCATTER_GATHER_LIST.NumberOfElements.set(memory, list, elements);
  SCATTER_GATHER_LIST.Reserved.set(memory, list, 0n);
  return elements;
}

/** Record: [adapter, is a list, channel, IRQL before, result]. */
function callRoutine(request: ChannelRequest, granted: Granted, irql: number, result: number): Outcome {
  const { adapter, device, irp, routine, routineContext } = request;
  const isList = request.kind === 'list';
  const given = isList ? granted.list : granted.file.base;
  const record = [adapter, isList ? 1 : 0, granted.channel, irql, result];
  return callGuest(routine, [device, irp, given, routineContext], 'granted', record);
}

function granted(nt: Nt, call: ResumedCall): Outcome {
  const [adapter, isList, channel, irql, result] = call.record as [Va, number, number, number, number];
  if (nt.dma.channels.get(adapter)?.id === channel) {
    const action = isList === 1 ? AllocationAction.DeallocateObjectKeepRegisters : call.status;
    if (action !== AllocationAction.KeepObject) freeChannel(nt, adapter, action === AllocationAction.DeallocateObject);
  }
  return grantWaiting(nt, adapter, irql, result);
}

/** What every routine that {@link submit}s or {@link grantNext}s goes on at. */
export const grantResume = { granted } as const;

/** The channel is free again; with its map registers if the driver does not keep them. */
export function freeChannel(nt: Nt, adapter: Va, isWithRegisters: boolean): void {
  const channel = nt.dma.channels.get(adapter);
  if (channel === undefined) return;
  if (channel.purpose === 'channel') nt.events.emit('adapterChannelFreed', { channel });
  nt.dma.channels.delete(adapter);
  const file = nt.dma.files.get(channel.base);
  if (isWithRegisters && file !== undefined) freeFile(nt, file);
}

/** Something was freed: those who wait get it. Answers `result` when that is done. */
export function grantNext(nt: Nt, adapter: Va, result?: number): Outcome {
  return grantWaiting(nt, adapter, raiseToDispatch(nt), result ?? noResult);
}

function grantWaiting(nt: Nt, adapterVa: Va, irql: number, result: number): Outcome {
  const adapter = nt.dma.adapter(adapterVa);
  const request = nt.dma.waiting.value.find((waiting) => waiting.adapter === adapterVa);
  if (adapter !== undefined && request !== undefined && canGrant(nt, adapter, request)) {
    nt.dma.waiting.value = nt.dma.waiting.value.filter((waiting) => waiting !== request);
    const next = grant(nt, adapter, request);
    if (next === 'memory') nt.dma.waiting.value = [request, ...nt.dma.waiting.value];
    else if ('gap' in next) return unsupported(next.gap);
    else return callRoutine(request, next, irql, result);
  }
  nt.setIrql(irql);
  return result === noResult ? undefined : result;
}

/** Where drivers and debuggers see what waits: DEVICE_OBJECT.Queue.Wcb, or the DMA transfer context. */
export function writeWaitContext(nt: Nt, request: ChannelRequest): void {
  const { memory } = nt;
  const { context, device, routine, routineContext, registers, irp } = request;
  const at = context === nullVa ? DEVICE_OBJECT.Queue.at(device) : DMA_TRANSFER_CONTEXT.Wcb.at(context);
  WAIT_CONTEXT_BLOCK.DeviceRoutine.set(memory, at, routine);
  WAIT_CONTEXT_BLOCK.DeviceContext.set(memory, at, routineContext);
  WAIT_CONTEXT_BLOCK.NumberOfMapRegisters.set(memory, at, registers);
  WAIT_CONTEXT_BLOCK.DeviceObject.set(memory, at, device);
  WAIT_CONTEXT_BLOCK.CurrentIrp.set(memory, at, irp);
}
