import { describe, expect, it } from 'vitest';
import { describeDevice } from '../../../test/dma-device.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { DMA_ADAPTER, DMA_ADAPTER_INFO, dmaOperationCounts, dmaOperations } from '../structures/dma.ts';

describe('IoGetDmaAdapter', () => {
  it('gives version 1 to drivers that ask for it in either way, and later ones to those who know them', () => {
    const kernel = new KernelCaller();
    for (const [version, members] of [
      [0, dmaOperationCounts[1]],
      [1, dmaOperationCounts[1]],
      [2, dmaOperationCounts[2]],
      [3, dmaOperationCounts[3]],
    ] as const) {
      const { adapter } = describeDevice(kernel, { version });
      expect(DMA_ADAPTER.Version.get(kernel.nt.memory, adapter)).toBe(1);
      const table = DMA_ADAPTER.DmaOperations.get(kernel.nt.memory, adapter);
      expect(kernel.nt.memory.readU32(table)).toBe(8 + members * 8);
    }
    expect(describeDevice(kernel, { version: 4 }).adapter).toBe(nullVa);
  });

  it('counts map registers from the longest transfer', () => {
    const kernel = new KernelCaller();
    expect(describeDevice(kernel, { maximumLength: 0x10000 }).mapRegisters).toBe(17);
    expect(describeDevice(kernel, { maximumLength: 1 }).mapRegisters).toBe(2);
    const few = describeDevice(kernel, { maximumLength: 0xffff_ffff, scatterGather: false });
    expect(few.mapRegisters).toBe(0x201);
    expect(describeDevice(kernel, { maximumLength: 0xffff_ffff }).mapRegisters).toBe(0x2001);
  });

  it('knows how far a device reaches', () => {
    const kernel = new KernelCaller();
    const bits = (device: Parameters<typeof describeDevice>[1]): number => {
      const { adapter } = describeDevice(kernel, { version: 3, ...device });
      const info = kernel.nt.pool.allocateKernel(0x20, 'Test');
      DMA_ADAPTER_INFO.Version.set(kernel.nt.memory, info, 1);
      expect(kernel.call('HalGetDmaAdapterInfo', adapter, info)).toBe(0);
      return DMA_ADAPTER_INFO.DmaAddressWidth.get(kernel.nt.memory, info);
    };
    expect(bits({ addressWidth: 64 })).toBe(64);
    expect(bits({ addressWidth: 40 })).toBe(40);
    expect(bits({ version: 2, dma64: true })).toBe(64);
    expect(bits({ version: 2, dma64: false })).toBe(32);
    expect(bits({ version: 2, dma64: false, scatterGather: false })).toBe(24);
    expect(describeDevice(kernel, { version: 3, addressWidth: 65 }).adapter).toBe(nullVa);
    expect(describeDevice(kernel, { version: 3, addressWidth: 0 }).adapter).toBe(nullVa);
  });

  it('says so of a device that needs the DMA controller of the system', () => {
    const kernel = new KernelCaller();
    const { description, count } = describeDevice(kernel, {});
    kernel.nt.memory.writeU8(vaAdd(description, 4), 0);
    expect(kernel.outcome('IoGetDmaAdapter', 0, description, count)).toMatchObject({ action: 'unsupported' });
  });

  it('has routines in its table that are thunks of the driver, those not done among them', () => {
    const kernel = new KernelCaller();
    const { adapter } = describeDevice(kernel, { version: 3 });
    const table = DMA_ADAPTER.DmaOperations.get(kernel.nt.memory, adapter);
    for (const [index, name] of dmaOperations.entries()) {
      const entry = kernel.nt.entries.at(kernel.nt.memory.readVa(vaAdd(table, 8 + index * 8)));
      expect(entry).toMatchObject({
        kind: 'thunk',
        image: { index: kernel.image.index },
        target: { name: `Hal${name}` },
      });
    }
    expect(kernel.outcome('HalJoinDmaDomain', adapter)).toEqual({
      action: 'unsupported',
      what: 'JoinDmaDomain of DMA_OPERATIONS',
    });
  });

  it('keeps thunks of internal routines over a snapshot', () => {
    const kernel = new KernelCaller();
    const { adapter } = describeDevice(kernel, {});
    const table = DMA_ADAPTER.DmaOperations.get(kernel.nt.memory, adapter);
    kernel.nt.restore(kernel.nt.snapshot());
    expect(kernel.nt.entries.at(kernel.nt.memory.readVa(vaAdd(table, 8)))).toMatchObject({
      target: { name: 'HalPutDmaAdapter' },
    });
  });
});

describe('the routines of DMA_OPERATIONS', () => {
  /** As the pages nc-wdm-p* have it; the others are allowed up to DISPATCH_LEVEL, or say nothing. */
  const exactly: Readonly<Record<string, readonly string[]>> = {
    PASSIVE: [
      'AllocateCommonBuffer',
      'AllocateCommonBufferEx',
      'AllocateCommonBufferWithBounds',
      'AllocateDomainCommonBuffer',
      'FreeCommonBuffer',
      'GetDmaAlignment',
      'GetDmaDomain',
      'JoinDmaDomain',
      'LeaveDmaDomain',
    ],
    DISPATCH: [
      'AllocateAdapterChannel',
      'AllocateAdapterChannelEx',
      'BuildScatterGatherList',
      'BuildScatterGatherListEx',
      'FreeAdapterChannel',
      'FreeMapRegisters',
      'GetScatterGatherList',
      'PutScatterGatherList',
    ],
  };
  const anyLevel = ['CalculateScatterGatherList', 'FlushDmaBuffer'];
  const { nt } = new KernelCaller();

  it.each(dmaOperations)('have the documented IRQL: %s', (name) => {
    const irql = nt.entries.routine(`Hal${name}`)?.routine.irql;
    if (anyLevel.includes(name)) expect(irql).toEqual(['PASSIVE', 'HIGH']);
    else if (exactly.PASSIVE?.includes(name) === true) expect(irql).toEqual(['PASSIVE', 'PASSIVE']);
    else if (exactly.DISPATCH?.includes(name) === true) expect(irql).toEqual(['DISPATCH', 'DISPATCH']);
    else expect(irql).toEqual(['PASSIVE', 'DISPATCH']);
  });
});

describe('GetDmaAdapter of BUS_INTERFACE_STANDARD', () => {
  it("is IoGetDmaAdapter in the caller's name", () => {
    const kernel = new KernelCaller();
    const { nt } = kernel;
    nt.memory.writeVa(nt.cpu.state.gprVa(Gpr.Rsp), vaAdd(kernel.image.base, 0x1010));
    const outcome = kernel.outcome('IopBusGetDmaAdapter', 1, 2, 3);
    expect(outcome).toMatchObject({ action: 'call-guest', args: [1, 2, 3] });
    const { routine } = outcome as unknown as { routine: Va };
    expect(nt.entries.at(routine)).toMatchObject({
      kind: 'thunk',
      image: { index: kernel.image.index },
      target: { name: 'IoGetDmaAdapter' },
    });
  });
});

describe('HalGetAdapter', () => {
  it('is IoGetDmaAdapter without a device', () => {
    const kernel = new KernelCaller();
    const { description, count } = describeDevice(kernel, {});
    const adapter = kernel.callVa('HalGetAdapter', description, count);
    expect(kernel.nt.dma.adapter(adapter)).toMatchObject({ pdo: nullVa, imageIndex: kernel.image.index });
  });
});

describe('PutDmaAdapter', () => {
  it('frees the adapter and leaves what was allocated with it', () => {
    const kernel = new KernelCaller();
    const put: Va[] = [];
    kernel.nt.events.on('dmaAdapterPut', ({ adapter }) => put.push(adapter.adapter));
    const { adapter } = describeDevice(kernel, {});
    const logical = kernel.nt.pool.allocateKernel(8, 'Test');
    expect(kernel.call('HalAllocateCommonBuffer', adapter, 100, logical, 1)).not.toBe(0);
    expect(kernel.nt.dma.outstanding(adapter).adapters).toMatchObject([{ imageIndex: kernel.image.index }]);
    kernel.call('HalPutDmaAdapter', adapter);
    expect(put).toEqual([adapter]);
    expect(kernel.nt.dma.outstanding().adapters).toEqual([]);
    expect(kernel.nt.dma.outstanding(adapter).commonBuffers).toHaveLength(1);
    expect(kernel.nt.pool.blockAt(adapter)).toBeUndefined();
  });

  it('leaves its memory if somebody wants to see later uses', () => {
    const kernel = new KernelCaller();
    kernel.nt.dma.buffering = { ...kernel.nt.dma.buffering, keepsPutAdapters: () => true };
    const { adapter } = describeDevice(kernel, {});
    kernel.call('HalPutDmaAdapter', adapter);
    expect(kernel.nt.dma.adapter(adapter)?.isPut).toBe(true);
    expect(kernel.outcome('HalPutDmaAdapter', adapter)).toEqual({
      action: 'unsupported',
      what: 'HalPutDmaAdapter with an adapter that was put',
    });
  });
});

describe('what an adapter says of itself', () => {
  it('has no counter and no alignment', () => {
    const kernel = new KernelCaller();
    const { adapter } = describeDevice(kernel, {});
    expect([kernel.call('HalGetDmaAlignment', adapter), kernel.call('HalReadDmaCounter', adapter)]).toEqual([1, 0]);
  });

  it('is asked in one version of the structure', () => {
    const kernel = new KernelCaller();
    const { adapter } = describeDevice(kernel, { version: 3 });
    const info = kernel.nt.pool.allocateKernel(0x20, 'Test');
    DMA_ADAPTER_INFO.Version.set(kernel.nt.memory, info, 2);
    expect(kernel.call('HalGetDmaAdapterInfo', adapter, info)).toBe(0xc000_00bb);
  });
});
