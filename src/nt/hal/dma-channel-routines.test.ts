import { describe, expect, it } from 'vitest';
import { describeDevice, dmaDeviceObject, returned } from '../../../test/dma-device.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import type { Va } from '../../base/va.ts';
import { Irql } from '../declare/nt-routine.ts';
import { DMA_TRANSFER_CONTEXT, WAIT_CONTEXT_BLOCK } from '../structures/dma.ts';
import { DEVICE_OBJECT } from '../structures/io.ts';

const routine = 0x7777_0000;
const [keepObject, deallocateObject, deallocateObjectKeepRegisters] = [1, 2, 3];
const insufficientResources = 0xc000_009a;
const invalidParameter = 0xc000_000d;

interface Requested {
  readonly args: readonly (number | bigint)[];
}

describe('AllocateAdapterChannel', () => {
  const setUp = (device: Parameters<typeof describeDevice>[1] = {}) => {
    const kernel = new KernelCaller();
    const { adapter, mapRegisters } = describeDevice(kernel, device);
    const deviceObject = dmaDeviceObject(kernel);
    const log: string[] = [];
    kernel.nt.events.on('adapterChannelAllocated', () => log.push('channel'));
    kernel.nt.events.on('adapterChannelFreed', () => log.push('channel freed'));
    kernel.nt.events.on('mapRegistersAllocated', ({ file }) => log.push(`registers ${file.count}`));
    kernel.nt.events.on('mapRegistersFreed', ({ file }) => log.push(`registers freed ${file.count}`));
    const allocate = (count: number, context = 5) =>
      kernel.outcome('HalAllocateAdapterChannel', adapter, deviceObject, count, routine, context);
    kernel.nt.setIrql(Irql.DISPATCH);
    return { kernel, adapter, mapRegisters, deviceObject, log, allocate };
  };

  it("runs AdapterControl with the device's current request and the map register base", () => {
    const { kernel, deviceObject, log, allocate, adapter } = setUp();
    const outcome = allocate(2);
    const [file] = kernel.nt.dma.outstanding(adapter).mapRegisterFiles;
    expect(outcome).toMatchObject({ action: 'call-guest', routine, args: [deviceObject, 0x1234, file?.base, 5n] });
    expect(file).toMatchObject({ count: 2, purpose: 'channel', imageIndex: kernel.image.index });
    expect(log).toEqual(['registers 2', 'channel']);
    const block = DEVICE_OBJECT.Queue.at(deviceObject);
    expect(WAIT_CONTEXT_BLOCK.NumberOfMapRegisters.get(kernel.nt.memory, block)).toBe(2);
    expect(returned(kernel, 'HalAllocateAdapterChannel', outcome, deallocateObject)).toBe(0);
    expect(log.slice(2)).toEqual(['channel freed', 'registers freed 2']);
    expect(kernel.nt.dma.outstanding(adapter)).toMatchObject({ channels: [], mapRegisterFiles: [] });
  });

  it('leaves the registers, or everything, as AdapterControl says', () => {
    const { kernel, log, allocate, adapter } = setUp();
    returned(kernel, 'HalAllocateAdapterChannel', allocate(1), deallocateObjectKeepRegisters);
    expect(log).toEqual(['registers 1', 'channel', 'channel freed']);
    const [file] = kernel.nt.dma.outstanding(adapter).mapRegisterFiles;
    kernel.call('HalFreeMapRegisters', adapter, file?.base ?? 0, 1);
    expect(log.splice(0).at(-1)).toBe('registers freed 1');
    returned(kernel, 'HalAllocateAdapterChannel', allocate(3), keepObject);
    expect(log).toEqual(['registers 3', 'channel']);
    kernel.call('HalFreeAdapterChannel', adapter);
    expect(log.slice(2)).toEqual(['channel freed', 'registers freed 3']);
  });

  it('fails for more registers than IoGetDmaAdapter gave, and calls nobody', () => {
    const { log, allocate, mapRegisters } = setUp();
    expect(allocate(mapRegisters + 1)).toBe(insufficientResources);
    expect(log).toEqual([]);
  });

  it('gives many registers as fast as few', { timeout: 5000 }, () => {
    const { kernel, allocate, adapter, mapRegisters } = setUp({ maximumLength: 0xffff_ffff });
    for (let round = 0; round < 50; round++) {
      returned(kernel, 'HalAllocateAdapterChannel', allocate(mapRegisters), deallocateObject);
    }
    expect(kernel.nt.dma.outstanding(adapter).mapRegisterFiles).toEqual([]);
    expect(kernel.nt.dma.registers.size).toBe(0);
  });

  it('has requests wait for the channel, first come first served', () => {
    const { kernel, log, allocate, adapter } = setUp();
    returned(kernel, 'HalAllocateAdapterChannel', allocate(1, 10), keepObject);
    expect(allocate(2, 11)).toBe(0);
    expect(allocate(3, 12)).toBe(0);
    expect(log).toEqual(['registers 1', 'channel']);
    const second = kernel.outcome('HalFreeAdapterChannel', adapter);
    expect((second as unknown as Requested).args[3]).toBe(11n);
    const third = returned(kernel, 'HalFreeAdapterChannel', second, deallocateObject);
    expect((third as unknown as Requested).args[3]).toBe(12n);
    expect(returned(kernel, 'HalFreeAdapterChannel', third, deallocateObject)).toBeUndefined();
    expect(log.filter((line) => line.startsWith('registers freed'))).toHaveLength(3);
  });

  it('has requests wait for map registers where they have memory behind them', () => {
    const { kernel, allocate, adapter } = setUp({ scatterGather: false, maximumLength: 0x3000 });
    returned(kernel, 'HalAllocateAdapterChannel', allocate(3), deallocateObjectKeepRegisters);
    expect(allocate(2)).toBe(0);
    expect(kernel.nt.dma.waiting.value).toHaveLength(1);
    const [file] = kernel.nt.dma.outstanding(adapter).mapRegisterFiles;
    const granted = kernel.outcome('HalFreeMapRegisters', adapter, file?.base ?? 0, 3);
    expect(granted).toMatchObject({ action: 'call-guest' });
    expect(returned(kernel, 'HalFreeMapRegisters', granted, deallocateObjectKeepRegisters)).toBeUndefined();
    expect(kernel.nt.dma.outstanding(adapter).mapRegisterFiles).toMatchObject([{ count: 2 }]);
  });

  it('gives a channel without map registers', () => {
    for (const device of [{}, { scatterGather: false }]) {
      const { kernel, log, allocate, adapter } = setUp(device);
      returned(kernel, 'HalAllocateAdapterChannel', allocate(0), deallocateObject);
      expect(log).toEqual(['registers 0', 'channel', 'channel freed', 'registers freed 0']);
      expect(kernel.nt.dma.outstanding(adapter).mapRegisterFiles).toEqual([]);
      expect(kernel.nt.dma.spareRuns.value).toEqual([]);
    }
  });

  it('calls AdapterControl even where there is none, as Windows does', () => {
    const { kernel, adapter, deviceObject } = setUp();
    const outcome = kernel.outcome('HalAllocateAdapterChannel', adapter, deviceObject, 1, 0, 0);
    expect(outcome).toMatchObject({ action: 'call-guest', routine: 0 });
  });

  it('says so of what is not allocated', () => {
    const { kernel, adapter } = setUp();
    expect(kernel.outcome('HalFreeAdapterChannel', adapter)).toMatchObject({ action: 'unsupported' });
    expect(kernel.outcome('HalFreeMapRegisters', adapter, 0x1000, 1)).toMatchObject({ action: 'unsupported' });
  });
});

describe('AllocateAdapterChannelEx', () => {
  const setUp = () => {
    const kernel = new KernelCaller();
    const { adapter } = describeDevice(kernel, { version: 3 });
    const device = dmaDeviceObject(kernel);
    const context = kernel.nt.pool.allocateKernel(DMA_TRANSFER_CONTEXT.sizeBytes, 'Test');
    const base = kernel.nt.pool.allocateKernel(8, 'Test');
    kernel.call('HalInitializeDmaTransferContext', adapter, context);
    const allocate = (flags: number, callee: number, baseAt: number, contextAt: number = context) =>
      kernel.outcome('HalAllocateAdapterChannelEx', adapter, device, contextAt, 2, flags, callee, 5, baseAt);
    return { kernel, adapter, device, context, base, allocate };
  };

  it('gives registers without a routine if it need not wait', () => {
    const { kernel, adapter, base, allocate } = setUp();
    expect(allocate(1, 0, base)).toBe(0);
    expect(kernel.nt.memory.readVa(base)).toBe(kernel.nt.dma.outstanding(adapter).mapRegisterFiles[0]?.base);
    expect(allocate(1, 0, base)).toBe(insufficientResources);
    kernel.call('HalFreeAdapterObject', adapter, keepObject);
    expect(kernel.nt.dma.outstanding(adapter).channels).toHaveLength(1);
    kernel.call('HalFreeAdapterObject', adapter, deallocateObject);
    expect(kernel.nt.dma.outstanding(adapter)).toMatchObject({ channels: [], mapRegisterFiles: [] });
  });

  it('refuses combinations that make no sense, and contexts that were not initialised', () => {
    const { kernel, base, allocate } = setUp();
    const garbage = kernel.nt.pool.allocateKernel(DMA_TRANSFER_CONTEXT.sizeBytes, 'Test');
    expect(allocate(0, 0, 0)).toBe(invalidParameter);
    expect(allocate(0, routine, base)).toBe(invalidParameter);
    expect(allocate(0, routine, 0, garbage)).toBe(invalidParameter);
    expect(allocate(0, routine, 0, 0)).toBe(invalidParameter);
  });

  it('takes back what waits, by its context', () => {
    const { kernel, adapter, device, context, base, allocate } = setUp();
    expect(allocate(1, 0, base)).toBe(0);
    const other = kernel.nt.pool.allocateKernel(DMA_TRANSFER_CONTEXT.sizeBytes, 'Test');
    kernel.call('HalInitializeDmaTransferContext', adapter, other);
    expect(allocate(0, routine, 0, other)).toBe(0);
    const cancel = (at: Va) => kernel.outcome('HalCancelAdapterChannel', adapter, device, at);
    expect(cancel(context)).toBe(false);
    expect(cancel(other)).toBe(true);
    expect(cancel(other)).toMatchObject({ action: 'unsupported' });
    expect(kernel.outcome('HalFreeAdapterObject', adapter, deallocateObject)).toBeUndefined();
    expect(kernel.nt.dma.outstanding(adapter).mapRegisterFiles).toEqual([]);
    expect(cancel(context)).toBe(false);
    // The next request is a new one.
    kernel.call('HalInitializeDmaTransferContext', adapter, context);
    expect(cancel(context)).toMatchObject({ action: 'unsupported' });
  });
});
