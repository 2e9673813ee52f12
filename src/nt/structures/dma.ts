/** wdm.h: what drivers and the HAL share about DMA. */
import { bytes, i64, placed, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

export const DMA_ADAPTER = struct('_DMA_ADAPTER', { Version: u16, Size: u16, DmaOperations: pointer });

/** Version 2; {@link dmaOperations} names the members of version 3, which follow. */
export const DMA_OPERATIONS = struct('_DMA_OPERATIONS', {
  Size: u32,
  PutDmaAdapter: pointer,
  AllocateCommonBuffer: pointer,
  FreeCommonBuffer: pointer,
  AllocateAdapterChannel: pointer,
  FlushAdapterBuffers: pointer,
  FreeAdapterChannel: pointer,
  FreeMapRegisters: pointer,
  MapTransfer: pointer,
  GetDmaAlignment: pointer,
  ReadDmaCounter: pointer,
  GetScatterGatherList: pointer,
  PutScatterGatherList: pointer,
  CalculateScatterGatherList: pointer,
  BuildScatterGatherList: pointer,
  BuildMdlFromScatterGatherList: pointer,
});

/**
 * Members of DMA_OPERATIONS behind Size, in order (wdm.h; ns-wdm-_dma_operations). The routine behind each is the
 * kernel's internal one of that name with `Hal` before it: `HalMapTransfer`.
 */
export const dmaOperations = [
  'PutDmaAdapter',
  'AllocateCommonBuffer',
  'FreeCommonBuffer',
  'AllocateAdapterChannel',
  'FlushAdapterBuffers',
  'FreeAdapterChannel',
  'FreeMapRegisters',
  'MapTransfer',
  'GetDmaAlignment',
  'ReadDmaCounter',
  'GetScatterGatherList',
  'PutScatterGatherList',
  'CalculateScatterGatherList',
  'BuildScatterGatherList',
  'BuildMdlFromScatterGatherList',
  'GetDmaAdapterInfo',
  'GetDmaTransferInfo',
  'InitializeDmaTransferContext',
  'AllocateCommonBufferEx',
  'AllocateAdapterChannelEx',
  'ConfigureAdapterChannel',
  'CancelAdapterChannel',
  'MapTransferEx',
  'GetScatterGatherListEx',
  'BuildScatterGatherListEx',
  'FlushAdapterBuffersEx',
  'FreeAdapterObject',
  'CancelMappedTransfer',
  'AllocateDomainCommonBuffer',
  'FlushDmaBuffer',
  'JoinDmaDomain',
  'LeaveDmaDomain',
  'GetDmaDomain',
  'AllocateCommonBufferWithBounds',
  'AllocateCommonBufferVector',
  'GetCommonBufferFromVectorByIndex',
  'FreeCommonBufferFromVector',
  'FreeCommonBufferVector',
  'CreateCommonBufferFromMdl',
] as const;

export type DmaOperation = (typeof dmaOperations)[number];

/** How many members each version of the table has behind Size. */
export const dmaOperationCounts = { 1: 12, 2: 15, 3: dmaOperations.length } as const;

/** Versions 0 to 2; {@link DEVICE_DESCRIPTION_V3} follows in version 3. */
export const DEVICE_DESCRIPTION = struct('_DEVICE_DESCRIPTION', {
  Version: u32,
  Master: u8,
  ScatterGather: u8,
  DemandMode: u8,
  AutoInitialize: u8,
  Dma32BitAddresses: u8,
  IgnoreCount: u8,
  Reserved1: u8,
  Dma64BitAddresses: u8,
  BusNumber: u32,
  DmaChannel: u32,
  InterfaceType: u32,
  DmaWidth: u32,
  DmaSpeed: u32,
  MaximumLength: u32,
  DmaPort: u32,
});

/** What version 3 adds, from the start of DEVICE_DESCRIPTION's end. */
export const DEVICE_DESCRIPTION_V3 = struct('DEVICE_DESCRIPTION, version 3', {
  DmaAddressWidth: u32,
  DmaControllerInstance: u32,
  DmaRequestLine: u32,
  DeviceAddress: i64,
});

export const SCATTER_GATHER_ELEMENT = struct('_SCATTER_GATHER_ELEMENT', { Address: i64, Length: u32, Reserved: u64 });

export const SCATTER_GATHER_LIST = struct('_SCATTER_GATHER_LIST', {
  NumberOfElements: u32,
  Reserved: u64,
  Elements: bytes(SCATTER_GATHER_ELEMENT.sizeBytes, 8),
});

/** With its DMA_ADAPTER_INFO_V1. */
export const DMA_ADAPTER_INFO = struct('DMA_ADAPTER_INFO', {
  Version: u32,
  ReadDmaCounterAvailable: u32,
  ScatterGatherLimit: u32,
  DmaAddressWidth: u32,
  Flags: u32,
  MinimumTransferUnit: u32,
});

/** With its DMA_TRANSFER_INFO_V2, which begins as version 1. */
export const DMA_TRANSFER_INFO = struct('DMA_TRANSFER_INFO', {
  Version: u32,
  MapRegisterCount: u32,
  ScatterGatherElementCount: u32,
  ScatterGatherListSize: u32,
  LogicalPageCount: u32,
});

/** DEVICE_OBJECT.Queue.Wcb */
export const WAIT_CONTEXT_BLOCK = struct('_WAIT_CONTEXT_BLOCK', {
  WaitQueueEntry: bytes(0x18, 8),
  DeviceRoutine: pointer,
  DeviceContext: u64,
  NumberOfMapRegisters: u32,
  DeviceObject: pointer,
  CurrentIrp: pointer,
  BufferChainingDpc: pointer,
});

/** What a DMA transfer context begins with; the rest of its 128 bytes is not used. */
export const DMA_TRANSFER_CONTEXT = struct(
  'DMA_TRANSFER_CONTEXT',
  { Version: u32, DmaState: placed(8, u32), TransferState: u32, Wcb: bytes(WAIT_CONTEXT_BLOCK.sizeBytes, 8) },
  128,
);

/** DMA_TRANSFER_CONTEXT: Version, DmaState once its request was granted, and TransferState after CancelMappedTransfer. */
export const TransferContext = { Version1: 1, Granted: 1, Cancelled: 1 } as const;

/** IO_ALLOCATION_ACTION */
export const AllocationAction = { KeepObject: 1, DeallocateObject: 2, DeallocateObjectKeepRegisters: 3 } as const;

/** DMA_SYNCHRONOUS_CALLBACK */
export const dmaSynchronousCallback = 1;
