/** Channels and map registers: AllocateAdapterChannel(Ex) and what gives them back (wdm.h; nc-wdm-pallocate_adapter_channel). */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { dispatchOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER } from '../ntstatus.ts';
import { AllocationAction, DMA_TRANSFER_CONTEXT, dmaSynchronousCallback, TransferContext } from '../structures/dma.ts';
import { DEVICE_OBJECT } from '../structures/io.ts';
import type { DmaAdapter } from './dma-adapters.ts';
import { callback, holderWith, padapter, pdevice, withAdapter, withFile } from './dma-calls.ts';
import { freeChannel, grantNext, grantResume, submit, writeWaitContext } from './dma-grants.ts';
import { freeFile } from './dma-map-registers.ts';
import type { AdapterRequest } from './dma-requests.ts';

interface ChannelArguments {
  readonly DeviceObject: Va;
  readonly NumberOfMapRegisters: number;
  readonly ExecutionRoutine: Va;
  readonly Context: bigint;
}

function channelRequest(nt: Nt, adapter: DmaAdapter, args: ChannelArguments, context: Va, call: Call): AdapterRequest {
  return {
    kind: 'channel',
    id: nt.dma.newId(),
    adapter: adapter.adapter,
    device: args.DeviceObject,
    irp: DEVICE_OBJECT.CurrentIrp.get(nt.memory, args.DeviceObject),
    routine: args.ExecutionRoutine,
    routineContext: args.Context,
    registers: args.NumberOfMapRegisters,
    context,
    ...holderWith(nt, adapter, call),
  };
}

/** Whether InitializeDmaTransferContext made it. */
export function isTransferContext(nt: Nt, context: Va): boolean {
  return context !== nullVa && DMA_TRANSFER_CONTEXT.Version.get(nt.memory, context) === TransferContext.Version1;
}

export const halDmaChannels = ntInternals({
  HalAllocateAdapterChannel: ntRoutine({
    doc: 'wdm.h; nc-wdm-pallocate_adapter_channel',
    irql: dispatchOnly,
    params: { DmaAdapter: padapter, DeviceObject: pdevice, NumberOfMapRegisters: ULONG, ...callback },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) => {
        if (args.NumberOfMapRegisters > adapter.mapRegisters) return STATUS_INSUFFICIENT_RESOURCES;
        const request = channelRequest(nt, adapter, args, nullVa, call);
        writeWaitContext(nt, request);
        return submit(nt, adapter, request);
      }),
    resume: grantResume,
  }),
  HalFreeAdapterChannel: ntRoutine({
    doc: 'wdm.h; nc-wdm-pfree_adapter_channel',
    irql: dispatchOnly,
    params: { DmaAdapter: padapter },
    returns: 'VOID',
    body: (nt, { DmaAdapter }, call) =>
      withAdapter(nt, DmaAdapter, call, () => {
        if (!nt.dma.channels.has(DmaAdapter)) return unsupported('FreeAdapterChannel of a channel that is free');
        freeChannel(nt, DmaAdapter, true);
        return grantNext(nt, DmaAdapter);
      }),
    resume: grantResume,
  }),
  HalFreeMapRegisters: ntRoutine({
    doc: 'wdm.h; nc-wdm-pfree_map_registers',
    irql: dispatchOnly,
    params: { DmaAdapter: padapter, MapRegisterBase: PVOID, NumberOfMapRegisters: ULONG },
    returns: 'VOID',
    body: (nt, { DmaAdapter, MapRegisterBase, NumberOfMapRegisters }, call) =>
      withFile(nt, DmaAdapter, MapRegisterBase, call, (_adapter, file) => {
        if (NumberOfMapRegisters !== file.count) {
          return unsupported('FreeMapRegisters of another number of map registers than were allocated');
        }
        freeFile(nt, file);
        return grantNext(nt, DmaAdapter);
      }),
    resume: grantResume,
  }),
  HalInitializeDmaTransferContext: ntRoutine({
    doc: 'wdm.h; nc-wdm-pinitialize_dma_transfer_context',
    irql: upToDispatch,
    params: { DmaAdapter: padapter, DmaTransferContext: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DmaAdapter, DmaTransferContext }, call) =>
      withAdapter(nt, DmaAdapter, call, () => {
        if (DmaTransferContext === nullVa) return STATUS_INVALID_PARAMETER;
        nt.memory.fill(DmaTransferContext, DMA_TRANSFER_CONTEXT.sizeBytes, 0);
        DMA_TRANSFER_CONTEXT.Version.set(nt.memory, DmaTransferContext, TransferContext.Version1);
        return 0;
      }),
  }),
  HalAllocateAdapterChannelEx: ntRoutine({
    doc: 'wdm.h; nc-wdm-pallocate_adapter_channel_ex',
    irql: dispatchOnly,
    params: {
      DmaAdapter: padapter,
      DeviceObject: pdevice,
      DmaTransferContext: PVOID,
      NumberOfMapRegisters: ULONG,
      Flags: ULONG,
      ExecutionRoutine: PVOID,
      Context: ULONG64,
      MapRegisterBase: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) =>
      withAdapter(nt, args.DmaAdapter, call, (adapter) => {
        const isSynchronous = (args.Flags & dmaSynchronousCallback) !== 0;
        const wantsBase = args.MapRegisterBase !== nullVa;
        const isValid = wantsBase ? isSynchronous : args.ExecutionRoutine !== nullVa;
        if (!isValid || !isTransferContext(nt, args.DmaTransferContext)) return STATUS_INVALID_PARAMETER;
        if (args.NumberOfMapRegisters > adapter.mapRegisters) return STATUS_INSUFFICIENT_RESOURCES;
        const request = channelRequest(nt, adapter, args, args.DmaTransferContext, call);
        writeWaitContext(nt, request);
        return submit(nt, adapter, request, { mustNotWait: isSynchronous, resultAt: args.MapRegisterBase });
      }),
    resume: grantResume,
  }),
  HalCancelAdapterChannel: ntRoutine({
    doc: 'wdm.h; nc-wdm-pcancel_adapter_channel',
    irql: upToDispatch,
    params: { DmaAdapter: padapter, DeviceObject: pdevice, DmaTransferContext: PVOID },
    returns: 'BOOLEAN',
    support: { partial: 'not of requests that are still to come' },
    body: (nt, { DmaAdapter, DmaTransferContext }, call) =>
      withAdapter(nt, DmaAdapter, call, () => cancelChannel(nt, DmaAdapter, DmaTransferContext)),
  }),
  HalFreeAdapterObject: ntRoutine({
    doc: 'wdm.h; nc-wdm-pfree_adapter_object',
    irql: upToDispatch,
    params: { DmaAdapter: padapter, AllocationAction: ULONG },
    returns: 'VOID',
    body: (nt, { DmaAdapter, AllocationAction: action }, call) =>
      withAdapter(nt, DmaAdapter, call, () => {
        if (action === AllocationAction.KeepObject) return undefined;
        if (!nt.dma.channels.has(DmaAdapter)) return unsupported('FreeAdapterObject of a channel that is free');
        freeChannel(nt, DmaAdapter, action === AllocationAction.DeallocateObject);
        return grantNext(nt, DmaAdapter);
      }),
    resume: grantResume,
  }),
});

/** TRUE if the request with that context waited: its routine will not be called. FALSE once it was granted. */
function cancelChannel(nt: Nt, adapter: Va, context: Va): Outcome {
  const { waiting } = nt.dma;
  const request = waiting.value.find((each) => each.adapter === adapter && each.context === context);
  if (request !== undefined) {
    waiting.value = waiting.value.filter((each) => each !== request);
    return true;
  }
  if (isTransferContext(nt, context)) {
    if (DMA_TRANSFER_CONTEXT.DmaState.get(nt.memory, context) === TransferContext.Granted) return false;
  }
  return unsupported('CancelAdapterChannel of a request that is still to come');
}
