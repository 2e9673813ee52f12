/** MapTransfer(Ex), FlushAdapterBuffers(Ex) (wdm.h; nc-wdm-pmap_transfer, nc-wdm-pflush_adapter_buffers). */
import { nullVa, type Va } from '../../base/va.ts';
import { anyIrql, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { originOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import {
  DMA_TRANSFER_CONTEXT,
  SCATTER_GATHER_ELEMENT,
  SCATTER_GATHER_LIST,
  TransferContext,
} from '../structures/dma.ts';
import { MDL } from '../structures/io.ts';
import type { DmaAdapter, MapRegisterFile } from './dma-adapters.ts';
import { padapter, plist, pmdl, withAdapter, withFile } from './dma-calls.ts';
import { isTransferContext } from './dma-channel-routines.ts';
import { gapText, listBytes, writeList } from './dma-grants.ts';
import { measure, offsetInMdl, runAt, runs } from './dma-mdl.ts';
import { flush, mapChain, mapInARow, mapRun } from './dma-transfers.ts';

interface MapTransferArguments {
  readonly Mdl: Va;
  readonly CurrentVa: Va;
  /** Where the length stands. */
  readonly Length: Va;
  readonly WriteToDevice: boolean;
}

/** One fragment of one MDL. Only a device that knows scatter/gather gets less than it asked for. */
function mapTransfer(nt: Nt, adapter: DmaAdapter, file: MapRegisterFile, args: MapTransferArguments): Outcome {
  const { memory } = nt;
  const { Mdl: chain, CurrentVa, WriteToDevice: isWriteToDevice } = args;
  const wanted = memory.readU32(args.Length);
  const offset = offsetInMdl(nt, chain, CurrentVa);
  const inMdl = MDL.ByteCount.get(memory, chain) - offset;
  if (!(offset >= 0) || inMdl <= 0) return unsupported('MapTransfer of an address that its MDL does not describe');
  if (wanted === 0) return unsupported('MapTransfer of no bytes');
  const bytes = Math.min(wanted, inMdl);
  const mapping = { file, adapter, chain, isWriteToDevice, origin: originOf(nt) };
  const { isScatterGather } = adapter.description;
  if (!isScatterGather && bytes < wanted) return unsupported('MapTransfer of more bytes than its MDL describes');
  const transfer = isScatterGather
    ? mapRun(nt, mapping, runAt(nt, chain, offset, bytes))
    : mapInARow(nt, mapping, [...runs(nt, chain, offset, bytes)]);
  if (typeof transfer === 'string') return unsupported(gapText(transfer));
  memory.writeU32(args.Length, transfer.bytes);
  return transfer.logical;
}

interface MapTransferExArguments {
  readonly Mdl: Va;
  readonly Offset: bigint;
  readonly Length: Va;
  readonly WriteToDevice: boolean;
  readonly ScatterGatherBuffer: Va;
  readonly ScatterGatherBufferLength: number;
}

function mapTransferEx(nt: Nt, adapter: DmaAdapter, file: MapRegisterFile, args: MapTransferExArguments): Outcome {
  const { memory } = nt;
  const { ScatterGatherBuffer: list, ScatterGatherBufferLength: listLength } = args;
  if (isCancelled(nt, file)) return STATUS_CANCELLED;
  if (list === nullVa || listLength < listBytes(1)) return STATUS_INVALID_PARAMETER;
  const wanted = memory.readU32(args.Length);
  const offset = Number(args.Offset);
  if (wanted === 0 || measure(nt, args.Mdl, offset, wanted).bytes < wanted) return STATUS_INVALID_PARAMETER;
  const most = Math.floor((listLength - SCATTER_GATHER_LIST.Elements.offset) / SCATTER_GATHER_ELEMENT.sizeBytes);
  const mapping = { file, adapter, chain: args.Mdl, isWriteToDevice: args.WriteToDevice, origin: originOf(nt) };
  const transfers = mapChain(nt, mapping, offset, wanted, most);
  if (transfers === 'no-registers') return STATUS_INSUFFICIENT_RESOURCES;
  if (typeof transfers === 'string') return unsupported(gapText(transfers));
  writeList(nt, list, transfers);
  const last = transfers.at(-1);
  if (last === undefined) return STATUS_BUFFER_TOO_SMALL;
  memory.writeU32(args.Length, last.offset + last.bytes - offset);
  return STATUS_SUCCESS;
}

/** CancelMappedTransfer: no further transfers with that context. */
function isCancelled(nt: Nt, { context }: MapRegisterFile): boolean {
  if (context === nullVa) return false;
  return DMA_TRANSFER_CONTEXT.TransferState.get(nt.memory, context) === TransferContext.Cancelled;
}

/** A context of another version, or garbage. */
function cancelTransfers(nt: Nt, context: Va): number {
  if (!isTransferContext(nt, context)) return STATUS_INVALID_PARAMETER;
  DMA_TRANSFER_CONTEXT.TransferState.set(nt.memory, context, TransferContext.Cancelled);
  return STATUS_SUCCESS;
}

export const halDmaTransfers = ntInternals({
  HalMapTransfer: ntRoutine({
    doc: 'wdm.h; nc-wdm-pmap_transfer',
    irql: upToDispatch,
    params: {
      DmaAdapter: padapter,
      Mdl: pmdl,
      MapRegisterBase: PVOID,
      CurrentVa: PVOID,
      Length: PVOID,
      WriteToDevice: BOOLEAN,
    },
    returns: 'ULONG64',
    body: (nt, args, call) =>
      withFile(nt, args.DmaAdapter, args.MapRegisterBase, call, (adapter, file) =>
        mapTransfer(nt, adapter, file, args),
      ),
  }),
  HalFlushAdapterBuffers: ntRoutine({
    doc: 'wdm.h; nc-wdm-pflush_adapter_buffers',
    irql: upToDispatch,
    params: {
      DmaAdapter: padapter,
      Mdl: pmdl,
      MapRegisterBase: PVOID,
      CurrentVa: PVOID,
      Length: ULONG,
      WriteToDevice: BOOLEAN,
    },
    returns: 'BOOLEAN',
    body: (nt, args, call) =>
      withFile(nt, args.DmaAdapter, args.MapRegisterBase, call, (_adapter, file) => {
        const offset = offsetInMdl(nt, args.Mdl, args.CurrentVa);
        flush(nt, file, { chain: args.Mdl, offset, bytes: args.Length }, args.WriteToDevice);
        return true;
      }),
  }),
  HalMapTransferEx: ntRoutine({
    doc: 'wdm.h; nc-wdm-pmap_transfer_ex',
    irql: upToDispatch,
    params: {
      DmaAdapter: padapter,
      Mdl: pmdl,
      MapRegisterBase: PVOID,
      Offset: ULONG64,
      DeviceOffset: ULONG,
      Length: PVOID,
      WriteToDevice: BOOLEAN,
      ScatterGatherBuffer: plist,
      ScatterGatherBufferLength: ULONG,
      DmaCompletionRoutine: PVOID,
      CompletionContext: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withFile(nt, args.DmaAdapter, args.MapRegisterBase, call, (adapter, file) =>
        mapTransferEx(nt, adapter, file, args),
      ),
  }),
  HalFlushAdapterBuffersEx: ntRoutine({
    doc: 'wdm.h; nc-wdm-pflush_adapter_buffers_ex',
    irql: upToDispatch,
    params: {
      DmaAdapter: padapter,
      Mdl: pmdl,
      MapRegisterBase: PVOID,
      Offset: ULONG64,
      Length: ULONG,
      WriteToDevice: BOOLEAN,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withFile(nt, args.DmaAdapter, args.MapRegisterBase, call, (_adapter, file) => {
        const range = { chain: args.Mdl, offset: Number(args.Offset), bytes: args.Length };
        flush(nt, file, range, args.WriteToDevice);
        return STATUS_SUCCESS;
      }),
  }),
  HalCancelMappedTransfer: ntRoutine({
    doc: "wdm.h; nc-wdm-pcancel_mapped_transfer: what is mapped already is a bus master's own affair",
    irql: upToDispatch,
    params: { DmaAdapter: padapter, DmaTransferContext: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DmaAdapter, DmaTransferContext }, call) =>
      withAdapter(nt, DmaAdapter, call, () => cancelTransfers(nt, DmaTransferContext)),
  }),
  /** Caches and devices see the same memory on x64. */
  HalFlushDmaBuffer: ntRoutine({
    doc: 'wdm.h; nc-wdm-pflush_dma_buffer',
    irql: anyIrql,
    params: { DmaAdapter: padapter, Mdl: pmdl, ReadOperation: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { DmaAdapter }, call) => withAdapter(nt, DmaAdapter, call, () => STATUS_SUCCESS),
  }),
});
