import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { NtSnapshot } from '../../nt/nt.ts';
import { DEVICE_DESCRIPTION, type DmaOperation } from '../../nt/structures/dma.ts';
import { DmaChecking } from './dma-checking.ts';

/** What the pages of the WDK docs require: an exact IRQL, or the highest one. */
const exactly: Readonly<Partial<Record<DmaOperation, number>>> = {
  AllocateCommonBuffer: 0,
  FreeCommonBuffer: 0,
  AllocateAdapterChannel: 2,
  FreeAdapterChannel: 2,
  FreeMapRegisters: 2,
  GetDmaAlignment: 0,
  GetScatterGatherList: 2,
  PutScatterGatherList: 2,
  BuildScatterGatherList: 2,
  AllocateCommonBufferEx: 0,
  AllocateAdapterChannelEx: 2,
  BuildScatterGatherListEx: 2,
  AllocateCommonBufferWithBounds: 0,
};
const upToDispatch: readonly DmaOperation[] = [
  'PutDmaAdapter',
  'FlushAdapterBuffers',
  'MapTransfer',
  'ReadDmaCounter',
  'BuildMdlFromScatterGatherList',
  'GetDmaAdapterInfo',
  'GetDmaTransferInfo',
  'InitializeDmaTransferContext',
  'CancelAdapterChannel',
  'MapTransferEx',
  'GetScatterGatherListEx',
  'FlushAdapterBuffersEx',
  'FreeAdapterObject',
  'CancelMappedTransfer',
];

class DmaCaller extends KernelCaller {
  readonly adapter: Va;
  private readonly start: NtSnapshot;

  constructor(isVerified = true) {
    super();
    new DmaChecking(this.nt, ({ isDriver }) => isDriver && isVerified);
    const description = this.nt.pool.allocateKernel(0x100, 'Test');
    this.nt.memory.fill(description, 0x100, 0);
    DEVICE_DESCRIPTION.Version.set(this.nt.memory, description, 2);
    DEVICE_DESCRIPTION.Master.set(this.nt.memory, description, 1);
    DEVICE_DESCRIPTION.ScatterGather.set(this.nt.memory, description, 1);
    DEVICE_DESCRIPTION.MaximumLength.set(this.nt.memory, description, 0x1000);
    this.adapter = this.callVa('IoGetDmaAdapter', 0, description, vaAdd(description, 0xf0));
    this.start = this.nt.snapshot();
  }

  /** Parameters of 0xE6/0x13, if the call ends in that; what else comes of it is not looked at. */
  wrongIrql(operation: DmaOperation, irql: number): readonly unknown[] | undefined {
    this.nt.restore(this.start);
    this.nt.setIrql(irql);
    try {
      this.outcome(`Hal${operation}`, this.adapter, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    } catch (thrown) {
      if (thrown instanceof BugCheck && thrown.code === 0xe6 && thrown.parameters[0] === 0x13) return thrown.parameters;
    }
    return undefined;
  }
}

describe('a routine of DMA_OPERATIONS', () => {
  const t = new DmaCaller();

  it.each(Object.entries(exactly))('%s is called at IRQL %i', (operation, required) => {
    for (const irql of [0, 1, 2, 5]) {
      const expected = irql === required ? undefined : [0x13, 1, required, irql];
      expect(t.wrongIrql(operation as DmaOperation, irql)).toEqual(expected);
    }
  });

  it.each(upToDispatch)('%s is called up to DISPATCH_LEVEL', (operation) => {
    for (const irql of [0, 1, 2]) expect(t.wrongIrql(operation, irql)).toBeUndefined();
    expect(t.wrongIrql(operation, 5)).toEqual([0x13, 2, 2, 5]);
  });

  it('of a driver that is not verified may be called anyhow', () => {
    expect(new DmaCaller(false).wrongIrql('AllocateCommonBuffer', 2)).toBeUndefined();
  });
});

it('IoGetDmaAdapter is called at PASSIVE_LEVEL', () => {
  const t = new DmaCaller();
  t.nt.setIrql(2);
  const { code, parameters } = t.bugCheck('IoGetDmaAdapter', 0, 0, 0);
  expect([code, ...parameters]).toEqual([0xe6, 0x13, 1, 0, 2]);
});
