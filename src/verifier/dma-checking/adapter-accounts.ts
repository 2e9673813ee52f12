/** Per DMA adapter of a verified driver: how much was allocated with it and freed, as `!dma` shows it. */
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import type { DmaAdapter } from '../../nt/hal/dma-adapters.ts';
import type { Nt } from '../../nt/nt.ts';

export interface Flow {
  readonly allocated: number;
  readonly freed: number;
}

export interface AdapterAccount {
  readonly adapter: Va;
  readonly pdo: Va;
  readonly imageIndex: number;
  /** Stands for Windows' internal record: {adapter, physical device object}. */
  readonly record: Va;
  /** Those of scatter/gather lists included. */
  readonly mapRegisters: Flow;
  readonly scatterGatherLists: Flow;
  readonly commonBuffers: Flow;
  readonly channels: Flow;
  /** Bytes that MapTransfer(Ex) mapped since the last flush. */
  readonly bytesMapped: number;
}

type Counted = 'mapRegisters' | 'scatterGatherLists' | 'commonBuffers' | 'channels';

const recordBytes = 0x20;
const nothing: Flow = { allocated: 0, freed: 0 };

export class AdapterAccounts {
  private readonly nt: Nt;
  /** By address of the DMA_ADAPTER; of one that was put until its address is used again. */
  private readonly accounts: StoreMap<number, AdapterAccount>;

  constructor(nt: Nt, isVerified: (adapter: DmaAdapter) => boolean) {
    this.nt = nt;
    this.accounts = nt.stores.map('verifier/dma-accounts');
    nt.events.on('dmaAdapterObtained', ({ adapter }) => {
      if (isVerified(adapter)) this.open(adapter);
    });
    nt.events.on('commonBufferAllocated', ({ buffer }) => this.count(buffer.adapter, 'commonBuffers', 'allocated', 1));
    nt.events.on('commonBufferFreed', ({ buffer }) => this.count(buffer.adapter, 'commonBuffers', 'freed', 1));
    nt.events.on('adapterChannelAllocated', ({ channel }) => this.count(channel.adapter, 'channels', 'allocated', 1));
    nt.events.on('adapterChannelFreed', ({ channel }) => this.count(channel.adapter, 'channels', 'freed', 1));
    nt.events.on('mapRegistersAllocated', ({ file }) =>
      this.count(file.adapter, 'mapRegisters', 'allocated', file.count),
    );
    nt.events.on('mapRegistersFreed', ({ file }) => this.count(file.adapter, 'mapRegisters', 'freed', file.count));
    nt.events.on('scatterGatherListBuilt', ({ list }) =>
      this.count(list.adapter, 'scatterGatherLists', 'allocated', 1),
    );
    nt.events.on('scatterGatherListPut', ({ list }) => this.count(list.adapter, 'scatterGatherLists', 'freed', 1));
    nt.events.on('transferMapped', ({ file, transfer }) => {
      if (file.purpose === 'channel') this.mapped(file.adapter, transfer.bytes);
    });
    nt.events.on('transferFlushed', ({ file }) => {
      if (file.purpose === 'channel') this.mapped(file.adapter, undefined);
    });
  }

  of(adapter: Va): AdapterAccount | undefined {
    return this.accounts.get(adapter);
  }

  private open({ adapter, pdo, imageIndex }: DmaAdapter): void {
    const { memory, pool } = this.nt;
    const record = pool.allocateKernel(recordBytes, 'Vfda');
    memory.writeVa(record, adapter);
    memory.writeVa(vaAdd(record, 8), pdo);
    this.accounts.set(adapter, {
      adapter,
      pdo,
      imageIndex,
      record,
      mapRegisters: nothing,
      scatterGatherLists: nothing,
      commonBuffers: nothing,
      channels: nothing,
      bytesMapped: 0,
    });
  }

  private count(adapter: Va, what: Counted, way: keyof Flow, by: number): void {
    const account = this.accounts.get(adapter);
    if (account === undefined) return;
    const flow = account[what];
    this.accounts.set(adapter, { ...account, [what]: { ...flow, [way]: flow[way] + by } });
  }

  /** `bytes` undefined: they were flushed. */
  private mapped(adapter: Va, bytes: number | undefined): void {
    const account = this.accounts.get(adapter);
    if (account === undefined) return;
    this.accounts.set(adapter, { ...account, bytesMapped: bytes === undefined ? 0 : account.bytesMapped + bytes });
  }
}
