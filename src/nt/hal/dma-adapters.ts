/**
 * What drivers obtained for DMA and have not given back: adapters, common buffers, channels, map registers and
 * scatter/gather lists. `nt.dma` is the store of it all; what a bus master does is `nt.dma.bus`.
 */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { Holder, Origin } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { DmaBus } from './dma-bus.ts';
import type { FrameRun } from './dma-frame-runs.ts';
import type { ChannelRequest } from './dma-requests.ts';

/** DEVICE_DESCRIPTION as it stood when the adapter was obtained; what its version lacks is 0. */
export interface DeviceDescription {
  readonly version: number;
  readonly isMaster: boolean;
  readonly isScatterGather: boolean;
  readonly isDemandMode: boolean;
  readonly isAutoInitialize: boolean;
  readonly dma32BitAddresses: boolean;
  readonly ignoreCount: boolean;
  readonly dma64BitAddresses: boolean;
  readonly busNumber: number;
  readonly dmaChannel: number;
  /** INTERFACE_TYPE */
  readonly interfaceType: number;
  readonly dmaWidth: number;
  readonly dmaSpeed: number;
  readonly maximumLength: number;
  readonly dmaPort: number;
  readonly dmaAddressWidth: number;
  readonly dmaControllerInstance: number;
  readonly dmaRequestLine: number;
  readonly deviceAddress: bigint;
}

/** A DMA_ADAPTER that IoGetDmaAdapter returned. */
export interface DmaAdapter extends Holder {
  readonly adapter: Va;
  /** Null if the driver named none. */
  readonly pdo: Va;
  readonly description: DeviceDescription;
  /** Of its DMA_OPERATIONS. */
  readonly operationsVersion: 1 | 2 | 3;
  /** What NumberOfMapRegisters became: the most that a transfer may have. */
  readonly mapRegisters: number;
  /** The last physical address that the device reaches. */
  readonly highestAddress: bigint;
  /** PutDmaAdapter was called. Only adapters of {@link DmaBuffering.keepsPutAdapters} are seen so. */
  readonly isPut: boolean;
}

export interface CommonBuffer extends Holder {
  readonly adapter: Va;
  readonly va: Va;
  readonly logical: bigint;
  /** As requested. */
  readonly bytes: number;
  /** Of its whole pages, guards included. */
  readonly region: Va;
  readonly pages: number;
  /** Tags and padding stand around it. */
  readonly isGuarded: boolean;
}

/** An adapter's channel while its driver has it: AdapterControl or AdapterListControl runs, or kept it. */
export interface AdapterChannel extends Holder {
  readonly id: number;
  readonly adapter: Va;
  /**
   * Of AllocateAdapterChannel(Ex), or of a list that was built without a routine; or taken while a routine has its list: no
   * events tell of the latter.
   */
  readonly purpose: 'channel' | 'scatter-gather';
  readonly device: Va;
  /** The map registers that came with it; null if they were freed before it. */
  readonly base: Va;
  /** DMA transfer context of the Ex form; null otherwise. */
  readonly context: Va;
}

/** The map registers of one request; its address is the MapRegisterBase that the driver was given. */
export interface MapRegisterFile extends Holder {
  readonly base: Va;
  readonly adapter: Va;
  readonly count: number;
  /** How many of them, from the first, have a double buffer. */
  readonly buffered: number;
  readonly purpose: 'channel' | 'scatter-gather';
  /** DMA transfer context of the Ex form; null otherwise. */
  readonly context: Va;
}

/** Pages of the HAL's that a device sees in place of the driver's. */
export interface DoubleBuffer {
  /** The memory that it is in, alone or with those of other registers in a row. */
  readonly run: FrameRun;
  /** Frame numbers; see `nt.addressSpace.frames`. */
  readonly frame: number;
  /** Frames of padding before and behind. Undefined without guards, or where the neighbour register's page lies there. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** Tags and padding stand around what is mapped, and padding fills it otherwise. */
  readonly isGuarded: boolean;
}

export interface MapRegister {
  /** In the file. */
  readonly address: Va;
  readonly file: Va;
  readonly index: number;
  /** Undefined: the device sees the driver's page. */
  readonly buffer: DoubleBuffer | undefined;
  /** {@link MappedTransfer.id}; undefined if it maps nothing. */
  readonly transfer: number | undefined;
}

/** Consecutive bytes of a page or of physically contiguous pages. */
export interface PhysicalPart {
  readonly physical: bigint;
  readonly bytes: number;
}

/** One fragment that MapTransfer(Ex) or a scatter/gather list mapped and that was not flushed. */
export interface MappedTransfer extends Origin {
  readonly id: number;
  readonly file: Va;
  readonly adapter: Va;
  /** Registers of the file that it takes; none for a further piece of a page, which has the first one's. */
  readonly firstRegister: number;
  readonly registers: number;
  /** The first MDL of the chain that was mapped; MapTransfer's own. */
  readonly chain: Va;
  /** Of its first byte, from the start of the chain. */
  readonly offset: number;
  /** The MDL that describes its first byte. */
  readonly mdl: Va;
  /** Of its first byte in the address space that the MDL describes: CurrentVa. */
  readonly va: Va;
  /** What the device is told. */
  readonly logical: bigint;
  readonly bytes: number;
  readonly isWriteToDevice: boolean;
  readonly isBuffered: boolean;
  /** The driver's memory, in order. */
  readonly parts: readonly PhysicalPart[];
}

export interface ScatterGatherList extends Holder {
  /** SCATTER_GATHER_LIST */
  readonly list: Va;
  readonly adapter: Va;
  /** Its map registers. */
  readonly base: Va;
  readonly mdl: Va;
  /** Of its first byte, in the first MDL's address space and from the start of the chain. */
  readonly va: Va;
  readonly offset: number;
  readonly bytes: number;
  readonly elements: number;
  readonly isWriteToDevice: boolean;
  /** In a buffer of the driver's (BuildScatterGatherList). */
  readonly isInDriverBuffer: boolean;
  /** What BuildMdlFromScatterGatherList answered; null before. */
  readonly builtMdl: Va;
  /** The HAL's, if the device sees pages of its own. */
  readonly ownMdls: readonly Va[];
}

/** Whether devices see the driver's memory or copies of it. Replaced by whoever verifies drivers; no state. */
export interface DmaBuffering {
  /** How many of a new file's registers, from the first, get double buffers with guards. */
  guardedRegisters(adapter: DmaAdapter, count: number, holder: Holder): number;
  isCommonBufferGuarded(adapter: DmaAdapter, holder: Holder): boolean;
  /** An adapter's memory stays after PutDmaAdapter, so that a later use is seen as one. */
  keepsPutAdapters(adapter: DmaAdapter): boolean;
}

/** Everything that is outstanding of one adapter or of all. */
export interface OutstandingDma {
  readonly adapters: readonly DmaAdapter[];
  readonly commonBuffers: readonly CommonBuffer[];
  readonly channels: readonly AdapterChannel[];
  readonly mapRegisterFiles: readonly MapRegisterFile[];
  readonly transfers: readonly MappedTransfer[];
  readonly scatterGatherLists: readonly ScatterGatherList[];
}

/** Where the registers of a file begin in it, and bytes of each. */
export const fileHeaderBytes = 0x28;
export const registerBytes = 0xc;

export class Dma {
  readonly nt: Nt;
  readonly bus: DmaBus;
  buffering: DmaBuffering = {
    guardedRegisters: () => 0,
    isCommonBufferGuarded: () => false,
    keepsPutAdapters: () => false,
  };
  /** By address of the DMA_ADAPTER. */
  readonly adapters: StoreMap<number, DmaAdapter>;
  /** By virtual address. */
  readonly commonBuffers: StoreMap<number, CommonBuffer>;
  /** By adapter: each has one channel. */
  readonly channels: StoreMap<number, AdapterChannel>;
  /** By MapRegisterBase. */
  readonly files: StoreMap<number, MapRegisterFile>;
  /** By address of the register: those that map something or have a double buffer. */
  readonly registers: StoreMap<number, MapRegister>;
  /** By MapRegisterBase: the register behind those that were mapped last. */
  readonly nextRegisters: StoreMap<number, number>;
  /** By id. */
  readonly transfers: StoreMap<number, MappedTransfer>;
  /** By address of the SCATTER_GATHER_LIST; one that a later one was built over, by that of its map registers. */
  readonly lists: StoreMap<number, ScatterGatherList>;
  /** DMA_OPERATIONS by image and version. */
  readonly operations: StoreMap<string, Va>;
  /** Requests for channels and lists that wait, first come first. */
  readonly waiting: StoreCell<readonly ChannelRequest[]>;
  /** Memory of the HAL's that no double buffer is in. */
  readonly spareRuns: StoreCell<readonly FrameRun[]>;
  /** What identifies a transfer or a request. */
  private readonly lastId: StoreCell<number>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.bus = new DmaBus(nt);
    this.adapters = nt.stores.map('hal/dma-adapters');
    this.commonBuffers = nt.stores.map('hal/dma-common-buffers');
    this.channels = nt.stores.map('hal/dma-channels');
    this.files = nt.stores.map('hal/dma-map-register-files');
    this.registers = nt.stores.map('hal/dma-map-registers');
    this.nextRegisters = nt.stores.map('hal/dma-next-registers');
    this.transfers = nt.stores.map('hal/dma-transfers');
    this.lists = nt.stores.map('hal/dma-scatter-gather-lists');
    this.operations = nt.stores.map('hal/dma-operations');
    this.waiting = nt.stores.cell<readonly ChannelRequest[]>('hal/dma-waiting', []);
    this.spareRuns = nt.stores.cell<readonly FrameRun[]>('hal/dma-spare-runs', []);
    this.lastId = nt.stores.cell('hal/dma-last-id', 0);
  }

  newId(): number {
    return ++this.lastId.value;
  }

  /** An adapter that was not put (see {@link DmaAdapter.isPut} for one that was). */
  adapter(va: Va): DmaAdapter | undefined {
    return this.adapters.get(va);
  }

  /** What was obtained and not given back: with one adapter, or with all. */
  outstanding(adapter?: Va): OutstandingDma {
    const of = <T extends { readonly adapter: Va }>(store: StoreMap<number, T>): readonly T[] =>
      [...store.values()].filter((item) => adapter === undefined || item.adapter === adapter);
    return {
      adapters: of(this.adapters).filter(({ isPut }) => !isPut),
      commonBuffers: of(this.commonBuffers),
      channels: of(this.channels),
      mapRegisterFiles: of(this.files),
      transfers: of(this.transfers),
      scatterGatherLists: of(this.lists),
    };
  }

  /** The registers of a file, in order. */
  registersOf(file: MapRegisterFile): readonly MapRegister[] {
    const found: MapRegister[] = [];
    for (let index = 0; index < file.count; index++) found.push(this.register(file, index));
    return found;
  }

  register(file: MapRegisterFile, index: number): MapRegister {
    const address = registerAddress(file.base, index);
    const unused = { address, file: file.base, index, buffer: undefined, transfer: undefined };
    return this.registers.get(address) ?? unused;
  }

  /** What a register maps from here on; undefined for nothing. */
  setTransfer(file: MapRegisterFile, index: number, transfer: number | undefined): void {
    const register = this.register(file, index);
    if (transfer === undefined && register.buffer === undefined) this.registers.delete(register.address);
    else this.registers.set(register.address, { ...register, transfer });
  }

  /** Transfers that a file maps, in the order of the calls. */
  transfersOf(file: Va): readonly MappedTransfer[] {
    const found: MappedTransfer[] = [];
    for (const transfer of this.transfers.values()) if (transfer.file === file) found.push(transfer);
    return found;
  }
}

export function registerAddress(base: Va, index: number): Va {
  return vaAdd(base, fileHeaderBytes + index * registerBytes);
}

/** Events of `NtEvents` about DMA. */
export interface DmaEvents {
  dmaAdapterObtained: { readonly adapter: DmaAdapter };
  /** What is outstanding of it stays. Its memory is about to be freed. */
  dmaAdapterPut: { readonly adapter: DmaAdapter; readonly caller: Call | ResumedCall };
  commonBufferAllocated: { readonly buffer: CommonBuffer };
  /** Its contents and guards are still there. */
  commonBufferFreed: { readonly buffer: CommonBuffer };
  /** AllocateAdapterChannel(Ex) was granted: AdapterControl is about to run. Or a list was built without a routine. */
  adapterChannelAllocated: { readonly channel: AdapterChannel };
  /** By AdapterControl's answer, FreeAdapterChannel or FreeAdapterObject. */
  adapterChannelFreed: { readonly channel: AdapterChannel };
  mapRegistersAllocated: { readonly file: MapRegisterFile };
  /** Buffers and transfers are still there. Also when a scatter/gather list is put, after its transfers were flushed. */
  mapRegistersFreed: { readonly file: MapRegisterFile };
  transferMapped: { readonly file: MapRegisterFile; readonly transfer: MappedTransfer };
  /** The data was not copied back yet; guards are still there. */
  transferFlushing: { readonly file: MapRegisterFile; readonly transfer: MappedTransfer };
  transferFlushed: { readonly file: MapRegisterFile; readonly transfer: MappedTransfer };
  scatterGatherListBuilt: { readonly list: ScatterGatherList };
  scatterGatherListPut: { readonly list: ScatterGatherList };
}
