import { describe, expect, it } from 'vitest';
import { type DmaDevice, describeDevice, dmaDeviceObject, dmaMemory, returned } from '../../../test/dma-device.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Outcome } from '../declare/outcome.ts';
import {
  DMA_TRANSFER_CONTEXT,
  DMA_TRANSFER_INFO,
  SCATTER_GATHER_ELEMENT,
  SCATTER_GATHER_LIST,
} from '../structures/dma.ts';
import { MDL } from '../structures/io.ts';

const routine = 0x7777_0000;
const bufferTooSmall = 0xc000_0023;
const insufficientResources = 0xc000_009a;

function setUp(device: DmaDevice = {}, guarded = 0) {
  const kernel = new KernelCaller();
  const { nt } = kernel;
  nt.dma.buffering = { ...nt.dma.buffering, guardedRegisters: (_adapter, count) => Math.min(count, guarded) };
  const { adapter } = describeDevice(kernel, device);
  const deviceObject = dmaDeviceObject(kernel);
  const log: string[] = [];
  nt.events.on('adapterChannelAllocated', () => log.push('channel'));
  nt.events.on('mapRegistersAllocated', ({ file }) => log.push(`${file.count} registers for ${file.purpose}`));
  nt.events.on('mapRegistersFreed', () => log.push('registers freed'));
  nt.events.on('scatterGatherListBuilt', ({ list }) => log.push(`list of ${list.elements}`));
  nt.events.on('scatterGatherListPut', () => log.push('list put'));
  nt.events.on('transferFlushed', () => log.push('flushed'));
  const get = (mdl: Va, va: Va, bytes: number, isWrite = true) =>
    kernel.outcome('HalGetScatterGatherList', adapter, deviceObject, mdl, va, bytes, routine, 5, isWrite);
  const listOf = (outcome: Outcome): Va => (outcome as unknown as { args: readonly Va[] }).args[2] ?? nullVa;
  const elements = (list: Va): [number, number][] =>
    Array.from({ length: SCATTER_GATHER_LIST.NumberOfElements.get(nt.memory, list) }, (_, index) => {
      const at = vaAdd(SCATTER_GATHER_LIST.Elements.at(list), index * SCATTER_GATHER_ELEMENT.sizeBytes);
      const address = Number(SCATTER_GATHER_ELEMENT.Address.get(nt.memory, at));
      return [address, SCATTER_GATHER_ELEMENT.Length.get(nt.memory, at)];
    });
  const put = (list: Va, isWrite = true) => kernel.outcome('HalPutScatterGatherList', adapter, list, isWrite);
  return { kernel, nt, adapter, deviceObject, log, get, put, listOf, elements };
}

describe('GetScatterGatherList', () => {
  it('lists the physically contiguous fragments of a chain of MDLs', () => {
    const { kernel, nt, adapter, deviceObject, log, get, put, listOf, elements } = setUp();
    const first = dmaMemory(kernel, [0, 1, 3], 0x800, 0x2000);
    const second = dmaMemory(kernel, [0], 0x10, 0x20);
    MDL.Next.set(nt.memory, first.mdl, second.mdl);
    const outcome = get(first.mdl, vaAdd(first.va, 0x100), 0x1f18);
    const list = listOf(outcome);
    expect(outcome).toMatchObject({ routine, args: [deviceObject, 0x1234, list, 5n] });
    const [a, , b] = first.pages as [number, number, number];
    expect(elements(list)).toEqual([
      [a + 0x900, 0x1700],
      [b, 0x800],
      [(second.pages[0] as number) + 0x10, 0x18],
    ]);
    expect(nt.dma.outstanding(adapter).scatterGatherLists).toMatchObject([{ list, imageIndex: kernel.image.index }]);
    expect(returned(kernel, 'HalGetScatterGatherList', outcome)).toBe(0);
    expect(log).toEqual(['4 registers for scatter-gather', 'list of 3']);
    expect(put(list)).toBeUndefined();
    expect(log.slice(2)).toEqual(['list put', 'flushed', 'flushed', 'flushed', 'registers freed']);
    expect(nt.pool.blockAt(list)).toBeUndefined();
    expect(nt.dma.outstanding(adapter)).toMatchObject({ scatterGatherLists: [], transfers: [], channels: [] });
  });

  it('fails for lengths that the chain does not have, and for more registers than there are', () => {
    const { kernel, get } = setUp({ maximumLength: 0x2000 });
    const small = dmaMemory(kernel, [0], 0, 0x100);
    expect(get(small.mdl, small.va, 0x101)).toBe(bufferTooSmall);
    expect(get(small.mdl, vaAdd(small.va, 0x80), 0x81)).toBe(bufferTooSmall);
    expect(get(small.mdl, vaAdd(small.va, -1), 0x10)).toBe(bufferTooSmall);
    const large = dmaMemory(kernel, [0, 1, 2, 3], 0, 0x4000);
    expect(get(large.mdl, large.va, 0x3000)).toMatchObject({ action: 'call-guest' });
    expect(get(large.mdl, large.va, 0x3001)).toBe(insufficientResources);
  });

  it('copies what a reading device wrote when the list is put', () => {
    const { kernel, nt, get, put, listOf, elements } = setUp({}, 2);
    const { mdl, va } = dmaMemory(kernel, [0, 1, 2], 0xf00, 0x1200);
    const outcome = get(mdl, va, 0x1200, false);
    const list = listOf(outcome);
    returned(kernel, 'HalGetScatterGatherList', outcome);
    expect(elements(list).map(([, bytes]) => bytes)).toEqual([0x100, 0x1000, 0x100]);
    for (const [index, [address, bytes]] of elements(list).entries()) {
      nt.dma.bus.fill(BigInt(address), bytes, 0xa0 + index);
    }
    expect(nt.memory.readU8(va)).toBe(1);
    put(list, false);
    const after = nt.memory.readBytes(va, 0x1200);
    expect([after[0], after[0xff], after[0x100], after[0x10ff], after[0x1100], after[0x11ff]]).toEqual([
      0xa0, 0xa0, 0xa1, 0xa1, 0xa2, 0xa2,
    ]);
  });

  it('waits while the channel is taken, also by AdapterListControl of another list', () => {
    const { kernel, nt, get, listOf } = setUp();
    const { mdl, va } = dmaMemory(kernel, [0], 0, 0x100);
    const first = get(mdl, va, 0x10);
    expect(get(mdl, va, 0x20)).toBe(0);
    const second = returned(kernel, 'HalGetScatterGatherList', first);
    expect(second).toMatchObject({ action: 'call-guest' });
    expect(listOf(second)).not.toBe(listOf(first));
    expect(returned(kernel, 'HalGetScatterGatherList', second)).toBe(0);
    expect(nt.dma.lists.size).toBe(2);
  });

  it('gives a device without scatter/gather one element', () => {
    const { kernel, nt, get, listOf, elements } = setUp({ scatterGather: false });
    const { mdl, va } = dmaMemory(kernel, [2, 0], 0x800, 0x1000);
    const list = listOf(get(mdl, va, 0x1000));
    expect(elements(list)).toMatchObject([[expect.any(Number), 0x1000]]);
    const seen = new Uint8Array(0x1000);
    nt.dma.bus.read(BigInt(elements(list)[0]?.[0] ?? 0), seen);
    expect([...seen]).toEqual([...nt.memory.readBytes(va, 0x1000)]);
  });

  it('moves tens of megabytes in seconds', { timeout: 20_000 }, () => {
    const kernel = new KernelCaller({ ramBytes: 0x600_0000 });
    const { nt } = kernel;
    const bytes = 0x200_0000;
    const { adapter } = describeDevice(kernel, { maximumLength: bytes });
    const order = Array.from({ length: bytes / 0x1000 }, (_, index) => index ^ 1);
    const { mdl, va } = dmaMemory(kernel, order, 0, bytes);
    const device = dmaDeviceObject(kernel);
    const started = performance.now();
    const outcome = kernel.outcome('HalGetScatterGatherList', adapter, device, mdl, va, bytes, routine, 0, false);
    const list = (outcome as unknown as { args: readonly Va[] }).args[2] ?? nullVa;
    returned(kernel, 'HalGetScatterGatherList', outcome);
    expect(SCATTER_GATHER_LIST.NumberOfElements.get(nt.memory, list)).toBeGreaterThan(bytes / 0x2000);
    for (const { logical, bytes: length } of nt.dma.transfers.values()) {
      nt.dma.bus.write(logical, new Uint8Array(length).fill(7));
    }
    kernel.outcome('HalPutScatterGatherList', adapter, list, false);
    expect(nt.memory.readU8(vaAdd(va, bytes - 1))).toBe(7);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('lists in buffers of the driver', () => {
  it('are as long as CalculateScatterGatherList says', () => {
    const { kernel, nt, adapter, deviceObject, put, elements } = setUp();
    const { mdl, va } = dmaMemory(kernel, [0, 2], 0x800, 0x1000);
    const sizes = nt.pool.allocateKernel(8, 'Test');
    const calculate = (mdlAt: number, vaAt: number, bytes: number) =>
      kernel.call('HalCalculateScatterGatherList', adapter, mdlAt, vaAt, bytes, sizes, vaAdd(sizes, 4));
    expect(calculate(mdl, va, 0x1000)).toBe(0);
    expect([nt.memory.readU32(sizes), nt.memory.readU32(vaAdd(sizes, 4))]).toEqual([16 + 2 * 24, 2]);
    expect(calculate(0, 0x801, 0x1800)).toBe(0);
    expect(nt.memory.readU32(vaAdd(sizes, 4))).toBe(3);
    expect(calculate(mdl, va, 0x1001)).toBe(bufferTooSmall);
    expect(calculate(0, 0, 0x2_0000)).toBe(insufficientResources);
    const buffer = nt.pool.allocateKernel(0x40, 'Test');
    const build = (bytes: number) =>
      kernel.outcome('HalBuildScatterGatherList', adapter, deviceObject, mdl, va, 0x1000, routine, 5, 1, buffer, bytes);
    expect(build(16 + 2 * 24 - 1)).toBe(bufferTooSmall);
    const outcome = build(16 + 2 * 24);
    expect(outcome).toMatchObject({ args: [deviceObject, 0x1234, buffer, 5n] });
    returned(kernel, 'HalBuildScatterGatherList', outcome);
    expect(elements(buffer)).toHaveLength(2);
    put(buffer);
    expect(nt.pool.blockAt(buffer)).toBeDefined();
    expect(nt.dma.lists.size).toBe(0);
  });

  it('are described by the MDL that they were made of', () => {
    const { kernel, nt, adapter, get, listOf } = setUp();
    const { mdl, va } = dmaMemory(kernel, [0], 0, 0x100);
    const list = listOf(get(mdl, va, 0x100));
    const target = nt.pool.allocateKernel(8, 'Test');
    const build = (original: Va) => kernel.call('HalBuildMdlFromScatterGatherList', adapter, list, original, target);
    expect(build(nullVa)).toBe(0xc000_000d);
    expect(build(mdl)).toBe(0);
    expect(nt.memory.readVa(target)).toBe(mdl);
    expect(build(mdl)).toBe(0xc000_0073);
  });
});

describe('BuildMdlFromScatterGatherList of copies', () => {
  it('describes the pages of the HAL, MDL by MDL, until the list is put', () => {
    const { kernel, nt, adapter, get, put, listOf, elements } = setUp({}, 2);
    const first = dmaMemory(kernel, [0, 2, 3, 5], 0x800, 0x3000);
    const second = dmaMemory(kernel, [0], 0x40, 0x100);
    MDL.Next.set(nt.memory, first.mdl, second.mdl);
    const outcome = get(first.mdl, vaAdd(first.va, 0x10), 0x30f0);
    const list = listOf(outcome);
    returned(kernel, 'HalGetScatterGatherList', outcome);
    const target = nt.pool.allocateKernel(8, 'Test');
    expect(kernel.call('HalBuildMdlFromScatterGatherList', adapter, list, first.mdl, target)).toBe(0);
    const built = nt.memory.readVa(target);
    const next = MDL.Next.get(nt.memory, built);
    expect([MDL.ByteCount.get(nt.memory, built), MDL.ByteCount.get(nt.memory, next)]).toEqual([0x2ff0, 0x100]);
    const view = kernel.callVa('MmMapLockedPagesSpecifyCache', built, 0, 1, 0, 0, 0);
    expect(nt.addressSpace.frames.physicalAddress(view)).toBe(elements(list)[0]?.[0]);
    expect([...nt.memory.readBytes(view, 0x2ff0)]).toEqual([...nt.memory.readBytes(vaAdd(first.va, 0x10), 0x2ff0)]);
    const other = kernel.callVa('MmMapLockedPagesSpecifyCache', next, 0, 1, 0, 0, 0);
    expect([...nt.memory.readBytes(other, 0x100)]).toEqual([...nt.memory.readBytes(second.va, 0x100)]);
    put(list);
    expect(nt.memory.mappingAt(view)).toBeUndefined();
    expect(nt.pool.blockAt(built)).toBeUndefined();
    expect([...nt.mdls.outstandingMappings()]).toEqual([]);
  });
});

describe('GetScatterGatherListEx', () => {
  it('needs no routine if it need not wait; then FreeAdapterObject gives the channel back', () => {
    const { kernel, nt, adapter, deviceObject, put } = setUp({ version: 3 });
    const { mdl } = dmaMemory(kernel, [0, 2], 0, 0x2000, 0);
    const context = nt.pool.allocateKernel(DMA_TRANSFER_CONTEXT.sizeBytes, 'Test');
    const listAt = nt.pool.allocateKernel(8, 'Test');
    kernel.call('HalInitializeDmaTransferContext', adapter, context);
    const get = (flags: number, callee: number, resultAt: number) =>
      kernel.outcome(
        'HalGetScatterGatherListEx',
        ...[adapter, deviceObject, context, mdl, 0x10, 0x1ff0, flags, callee, 0, 1, 0, 0, resultAt],
      );
    expect(get(0, 0, listAt)).toBe(0xc000_000d);
    expect(get(1, 0, 0)).toBe(0xc000_000d);
    expect(get(1, 0, listAt)).toBe(0);
    const list = nt.memory.readVa(listAt);
    expect(SCATTER_GATHER_LIST.NumberOfElements.get(nt.memory, list)).toBe(2);
    expect(get(1, 0, listAt)).toBe(insufficientResources);
    expect(get(0, routine, 0)).toBe(0);
    const next = kernel.outcome('HalFreeAdapterObject', adapter, 3);
    expect(next).toMatchObject({ action: 'call-guest', routine });
    returned(kernel, 'HalFreeAdapterObject', next);
    put(list);
    expect(nt.dma.lists.size).toBe(1);
  });

  it('is measured by GetDmaTransferInfo', () => {
    const { kernel, nt, adapter } = setUp({ version: 3 });
    const { mdl } = dmaMemory(kernel, [0, 1], 0x800, 0x1000);
    const info = nt.pool.allocateKernel(DMA_TRANSFER_INFO.sizeBytes, 'Test');
    const ask = (version: number, bytes: number) => {
      DMA_TRANSFER_INFO.Version.set(nt.memory, info, version);
      return kernel.call('HalGetDmaTransferInfo', adapter, mdl, 0x100, bytes, 1, info);
    };
    expect(ask(3, 0x100)).toBe(0xc000_00bb);
    expect(ask(1, 0xf01)).toBe(0xc000_000d);
    expect(ask(1, 0xf00)).toBe(0);
    expect(DMA_TRANSFER_INFO.MapRegisterCount.get(nt.memory, info)).toBe(2);
    expect(DMA_TRANSFER_INFO.ScatterGatherListSize.get(nt.memory, info)).toBe(16 + 2 * 24);
    expect(DMA_TRANSFER_INFO.LogicalPageCount.get(nt.memory, info)).toBe(0);
    expect(ask(2, 0x10)).toBe(0);
    expect(DMA_TRANSFER_INFO.LogicalPageCount.get(nt.memory, info)).toBe(1);
  });
});
