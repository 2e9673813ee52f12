/** Scatter/gather lists (wdm.h; nc-wdm-pget_scatter_gather_list and its kin). */
import { nullVa, type Va, vaAdd, vaLow } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import type { Call } from '../declare/call.ts';
import { anyIrql, dispatchOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, ULONG } from '../declare/parameter-types.ts';
import { mdlVirtualAddress } from '../mm/mdl-layout.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_NONE_MAPPED,
  STATUS_NOT_SUPPORTED,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { DMA_TRANSFER_INFO, dmaSynchronousCallback } from '../structures/dma.ts';
import { DEVICE_OBJECT } from '../structures/io.ts';
import type { DmaAdapter, ScatterGatherList } from './dma-adapters.ts';
import {
  callback,
  chainRange,
  holderWith,
  mdlRange,
  padapter,
  pdevice,
  plist,
  pmdl,
  withAdapter,
} from './dma-calls.ts';
import { isTransferContext } from './dma-channel-routines.ts';
import { grantNext, grantResume, listBytes, submit, writeWaitContext } from './dma-grants.ts';
import { buildListMdls, freeListMdls } from './dma-list-mdl.ts';
import { freeFile } from './dma-map-registers.ts';
import { measure, offsetInMdl } from './dma-mdl.ts';
import type { ListRequest } from './dma-requests.ts';
import { flushAll } from './dma-transfers.ts';

interface ListArguments {
  readonly DeviceObject: Va;
  readonly Mdl: Va;
  readonly Length: number;
  readonly ExecutionRoutine: Va;
  readonly Context: bigint;
  readonly WriteToDevice: boolean;
  readonly Flags?: number;
  readonly DmaTransferContext?: Va;
  /** Of the driver's, and its length; the HAL allocates one otherwise. */
  readonly ScatterGatherBuffer?: Va;
  readonly ScatterGatherLength?: number;
  /** Where the list's address goes. */
  readonly ScatterGatherList?: Va;
}

/** Builds a list of the chain from `offset` on, as soon as the adapter is free, and has the driver's routine use it. */
function getList(nt: Nt, adapter: DmaAdapter, offset: number, args: ListArguments, call: Call): Outcome {
  const { Length, ScatterGatherBuffer = nullVa, DmaTransferContext: context = nullVa } = args;
  if (!(offset >= 0)) return STATUS_BUFFER_TOO_SMALL;
  if (Length === 0) return unsupported('a scatter/gather list of no bytes');
  const { bytes, registers } = measure(nt, args.Mdl, offset, Length);
  if (bytes < Length) return STATUS_BUFFER_TOO_SMALL;
  if (registers > adapter.mapRegisters) return STATUS_INSUFFICIENT_RESOURCES;
  if (ScatterGatherBuffer !== nullVa && (args.ScatterGatherLength ?? 0) < listBytes(registers)) {
    return STATUS_BUFFER_TOO_SMALL;
  }
  const request: ListRequest = {
    kind: 'list',
    id: nt.dma.newId(),
    adapter: adapter.adapter,
    device: args.DeviceObject,
    irp: DEVICE_OBJECT.CurrentIrp.get(nt.memory, args.DeviceObject),
    routine: args.ExecutionRoutine,
    routineContext: args.Context,
    registers,
    context,
    mdl: args.Mdl,
    offset,
    va: vaAdd(mdlVirtualAddress(nt.memory, args.Mdl), offset),
    bytes: Length,
    isWriteToDevice: args.WriteToDevice,
    buffer: ScatterGatherBuffer,
    ...holderWith(nt, adapter, call),
  };
  if (context !== nullVa) writeWaitContext(nt, request);
  const mustNotWait = ((args.Flags ?? 0) & dmaSynchronousCallback) !== 0;
  return submit(nt, adapter, request, { mustNotWait, resultAt: args.ScatterGatherList ?? nullVa });
}

/** The Ex forms: without a routine only if the list is built at once and its address wanted. */
function getListEx(
  nt: Nt,
  adapter: DmaAdapter,
  args: ListArguments & { readonly Offset: bigint },
  call: Call,
): Outcome {
  const { ExecutionRoutine, ScatterGatherList = nullVa, DmaTransferContext = nullVa, Flags = 0 } = args;
  const isSynchronous = (Flags & dmaSynchronousCallback) !== 0;
  if (ExecutionRoutine === nullVa && !(isSynchronous && ScatterGatherList !== nullVa)) return STATUS_INVALID_PARAMETER;
  if (!isTransferContext(nt, DmaTransferContext)) return STATUS_INVALID_PARAMETER;
  return getList(nt, adapter, Number(args.Offset), args, call);
}

/** Flushes, and frees the registers and (unless it is in the driver's buffer) the list. */
function putList(nt: Nt, record: ScatterGatherList, isWriteToDevice: boolean): void {
  const { list, base, isInDriverBuffer, ownMdls } = record;
  nt.events.emit('scatterGatherListPut', { list: record });
  freeListMdls(nt, ownMdls);
  const file = nt.dma.files.get(base);
  if (file !== undefined) {
    flushAll(nt, file, isWriteToDevice);
    freeFile(nt, file);
  }
  nt.dma.lists.delete(list);
  if (!isInDriverBuffer) nt.pool.freeKernel(list);
}

/** Registers that a buffer takes: of its MDL, or the most that one of that length can take. */
function needs(nt: Nt, mdl: Va, va: Va, length: number): { readonly bytes: number; readonly registers: number } {
  if (mdl !== nullVa) return measure(nt, mdl, offsetInMdl(nt, mdl, va), length);
  return { bytes: length, registers: Math.ceil(((vaLow(va) & pageMask) + length) / pageSize) };
}

/** What the device sees as a chain of MDLs: the driver's own if it sees all of that. */
function buildMdl(nt: Nt, record: ScatterGatherList, original: Va, targetAt: Va): Outcome {
  if (original === nullVa) return STATUS_INVALID_PARAMETER;
  if (record.builtMdl !== nullVa) return STATUS_NONE_MAPPED;
  const transfers = nt.dma.transfersOf(record.base);
  const ownMdls = transfers.some(({ isBuffered }) => isBuffered) ? buildListMdls(nt, transfers) : [];
  const builtMdl = ownMdls[0] ?? original;
  nt.dma.lists.set(record.list, { ...record, builtMdl, ownMdls });
  nt.memory.writeVa(targetAt, builtMdl);
  return STATUS_SUCCESS;
}

/** DMA_TRANSFER_INFO_VERSION1 and 2 */
function transferInfo(nt: Nt, mdl: Va, offset: number, length: number, at: Va): number {
  const { memory } = nt;
  const version = DMA_TRANSFER_INFO.Version.get(memory, at);
  if (version !== 1 && version !== 2) return STATUS_NOT_SUPPORTED;
  const { bytes, registers } = measure(nt, mdl, offset, length);
  if (length === 0 || bytes < length) return STATUS_INVALID_PARAMETER;
  DMA_TRANSFER_INFO.MapRegisterCount.set(memory, at, registers);
  DMA_TRANSFER_INFO.ScatterGatherElementCount.set(memory, at, registers);
  DMA_TRANSFER_INFO.ScatterGatherListSize.set(memory, at, listBytes(registers));
  if (version === 2) DMA_TRANSFER_INFO.LogicalPageCount.set(memory, at, registers);
  return STATUS_SUCCESS;
}

function withList(nt: Nt, adapter: Va, list: Va, call: Call, body: (record: ScatterGatherList) => Outcome): Outcome {
  return withAdapter(nt, adapter, call, () => {
    const record = nt.dma.lists.get(list);
    return record?.adapter === adapter ? body(record) : unsupported(`${call.name} of what is no scatter/gather list`);
  });
}

const exParameters = {
  DmaAdapter: padapter,
  DeviceObject: pdevice,
  DmaTransferContext: PVOID,
  ...chainRange,
  Flags: ULONG,
  ...callback,
  WriteToDevice: BOOLEAN,
} as const;

export const halDmaLists = ntInternals({
  HalGetScatterGatherList: ntRoutine({
    doc: 'wdm.h; nc-wdm-pget_scatter_gather_list',
    irql: dispatchOnly,
    params: { DmaAdapter: padapter, DeviceObject: pdevice, ...mdlRange, ...callback, WriteToDevice: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) =>
        getList(nt, adapter, offsetInMdl(nt, args.Mdl, args.CurrentVa), args, call),
      ),
    resume: grantResume,
  }),
  HalBuildScatterGatherList: ntRoutine({
    doc: 'wdm.h; nc-wdm-pbuild_scatter_gather_list',
    irql: dispatchOnly,
    params: {
      DmaAdapter: padapter,
      DeviceObject: pdevice,
      ...mdlRange,
      ...callback,
      WriteToDevice: BOOLEAN,
      ScatterGatherBuffer: PVOID,
      ScatterGatherLength: ULONG,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) => {
        if (args.ScatterGatherBuffer === nullVa) return STATUS_INVALID_PARAMETER;
        return getList(nt, adapter, offsetInMdl(nt, args.Mdl, args.CurrentVa), args, call);
      }),
    resume: grantResume,
  }),
  HalGetScatterGatherListEx: ntRoutine({
    doc: 'wdm.h; nc-wdm-pget_scatter_gather_list_ex',
    irql: upToDispatch,
    params: { ...exParameters, DmaCompletionRoutine: PVOID, CompletionContext: PVOID, ScatterGatherList: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args, call) => withAdapter(nt, args.DmaAdapter, call, (adapter) => getListEx(nt, adapter, args, call)),
    resume: grantResume,
  }),
  HalBuildScatterGatherListEx: ntRoutine({
    doc: 'wdm.h; nc-wdm-pbuild_scatter_gather_list_ex',
    irql: dispatchOnly,
    params: {
      ...exParameters,
      ScatterGatherBuffer: PVOID,
      ScatterGatherLength: ULONG,
      DmaCompletionRoutine: PVOID,
      CompletionContext: PVOID,
      ScatterGatherList: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) =>
        args.ScatterGatherBuffer === nullVa ? STATUS_INVALID_PARAMETER : getListEx(nt, adapter, args, call),
      ),
    resume: grantResume,
  }),
  HalPutScatterGatherList: ntRoutine({
    doc: 'wdm.h; nc-wdm-pput_scatter_gather_list',
    irql: dispatchOnly,
    params: { DmaAdapter: padapter, ScatterGather: plist, WriteToDevice: BOOLEAN },
    returns: 'VOID',
    body: (nt, { DmaAdapter, ScatterGather, WriteToDevice }, call) =>
      withList(nt, DmaAdapter, ScatterGather, call, (record) => {
        putList(nt, record, WriteToDevice);
        return grantNext(nt, DmaAdapter);
      }),
    resume: grantResume,
  }),
  HalCalculateScatterGatherList: ntRoutine({
    doc: 'wdm.h; nc-wdm-pcalculate_scatter_gather_list_size',
    irql: anyIrql,
    params: { DmaAdapter: padapter, ...mdlRange, ScatterGatherListSize: PVOID, pNumberOfMapRegisters: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, ({ mapRegisters }) => {
        const { bytes, registers } = needs(nt, args.Mdl, args.CurrentVa, args.Length);
        if (bytes < args.Length) return STATUS_BUFFER_TOO_SMALL;
        if (registers > mapRegisters) return STATUS_INSUFFICIENT_RESOURCES;
        nt.memory.writeU32(args.ScatterGatherListSize, listBytes(registers));
        if (args.pNumberOfMapRegisters !== nullVa) nt.memory.writeU32(args.pNumberOfMapRegisters, registers);
        return STATUS_SUCCESS;
      }),
  }),
  HalBuildMdlFromScatterGatherList: ntRoutine({
    doc: 'wdm.h; nc-wdm-pbuild_mdl_from_scatter_gather_list',
    irql: upToDispatch,
    params: { DmaAdapter: padapter, ScatterGather: plist, OriginalMdl: pmdl, TargetMdl: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DmaAdapter, ScatterGather, OriginalMdl, TargetMdl }, call) =>
      withList(nt, DmaAdapter, ScatterGather, call, (record) => buildMdl(nt, record, OriginalMdl, TargetMdl)),
  }),
  HalGetDmaTransferInfo: ntRoutine({
    doc: 'wdm.h; nc-wdm-pget_dma_transfer_info',
    irql: upToDispatch,
    params: { DmaAdapter: padapter, ...chainRange, WriteOnly: BOOLEAN, TransferInfo: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DmaAdapter, Mdl, Offset, Length, TransferInfo }, call) =>
      withAdapter(nt, DmaAdapter, call, () => transferInfo(nt, Mdl, Number(Offset), Length, TransferInfo)),
  }),
});
