import { describe, expect, it } from 'vitest';
import { type DmaDevice, describeDevice, dmaDeviceObject, dmaMemory, returned } from '../../../test/dma-device.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { DMA_TRANSFER_CONTEXT, SCATTER_GATHER_ELEMENT, SCATTER_GATHER_LIST } from '../structures/dma.ts';
import { MDL } from '../structures/io.ts';
import { damagedFreeRegisters, damagedGuards } from './dma-double-buffers.ts';

function setUp(device: DmaDevice = {}, registers = 8, guarded = 0) {
  const kernel = new KernelCaller();
  const { nt } = kernel;
  nt.dma.buffering = { ...nt.dma.buffering, guardedRegisters: (_adapter, count) => Math.min(count, guarded) };
  const { adapter } = describeDevice(kernel, device);
  const granted = kernel.outcome('HalAllocateAdapterChannel', adapter, dmaDeviceObject(kernel), registers, 0x7777, 0);
  returned(kernel, 'HalAllocateAdapterChannel', granted, 3);
  const file = nt.dma.outstanding(adapter).mapRegisterFiles[0];
  const base = file?.base ?? (0 as Va);
  const length = nt.pool.allocateKernel(8, 'Test');
  /** What the device is told, and how many bytes were mapped. */
  const map = (mdl: Va, va: Va, bytes: number, isWrite: boolean): [number, number] => {
    nt.memory.writeU32(length, bytes);
    const logical = kernel.call('HalMapTransfer', adapter, mdl, base, va, length, isWrite);
    return [logical, nt.memory.readU32(length)];
  };
  const flush = (mdl: Va, va: Va, bytes: number, isWrite: boolean): number =>
    kernel.call('HalFlushAdapterBuffers', adapter, mdl, base, va, bytes, isWrite);
  const device_ = {
    read: (address: number, bytes: number): number[] => {
      const into = new Uint8Array(bytes);
      expect(nt.dma.bus.read(BigInt(address), into)).toBe(true);
      return [...into];
    },
    write: (address: number, bytes: readonly number[]): void => {
      expect(nt.dma.bus.write(BigInt(address), Uint8Array.from(bytes))).toBe(true);
    },
  };
  if (file === undefined) throw new Error('no registers');
  return { kernel, nt, adapter, base, file, map, flush, length, device: device_ };
}

describe('MapTransfer and FlushAdapterBuffers of pages that the device reaches', () => {
  it('gives one physically contiguous fragment after the other', () => {
    const { kernel, map, flush, nt } = setUp();
    // Pages 0 and 1 follow each other, 3 and 2 do not.
    const { mdl, va, pages } = dmaMemory(kernel, [0, 1, 3, 2], 0x800, 0x3000);
    expect(map(mdl, va, 0x3000, true)).toEqual([(pages[0] as number) + 0x800, 0x1800]);
    expect(map(mdl, vaAdd(va, 0x1800), 0x1800, true)).toEqual([pages[2], 0x1000]);
    expect(map(mdl, vaAdd(va, 0x2800), 0x800, true)).toEqual([pages[3], 0x800]);
    expect([...nt.dma.transfers.values()].map(({ registers, bytes }) => [registers, bytes])).toEqual([
      [2, 0x1800],
      [1, 0x1000],
      [1, 0x800],
    ]);
    expect(flush(mdl, va, 0x3000, true)).toBe(1);
    expect(nt.dma.transfers.size).toBe(0);
  });

  it('is the memory that the processor sees', () => {
    const { kernel, map, device, nt } = setUp();
    const { mdl, va } = dmaMemory(kernel, [0], 0x10, 16);
    const [logical] = map(mdl, va, 16, true);
    expect(device.read(logical, 4)).toEqual([1, 2, 3, 4]);
    device.write(logical, [9, 8]);
    expect([...nt.memory.readBytes(va, 3)]).toEqual([9, 8, 3]);
  });

  it('flushes what begins in the range, and no other MDL', () => {
    const { kernel, map, flush, nt } = setUp();
    const first = dmaMemory(kernel, [0, 2, 1], 0, 0x3000);
    const second = dmaMemory(kernel, [0], 0, 0x1000);
    map(first.mdl, first.va, 0x1000, true);
    map(first.mdl, vaAdd(first.va, 0x1000), 0x1000, true);
    map(second.mdl, second.va, 0x1000, true);
    flush(first.mdl, first.va, 0x1000, true);
    const left = [...nt.dma.transfers.values()].map(({ mdl, offset }) => [mdl, offset]);
    expect(left).toEqual([
      [first.mdl, 0x1000],
      [second.mdl, 0],
    ]);
  });

  it('uses registers again after the flush, and says so when there are none left', () => {
    const { kernel, adapter, base, map, flush, length } = setUp({}, 2);
    const { mdl, va } = dmaMemory(kernel, [0, 2, 4], 0, 0x3000, 0);
    for (let round = 0; round < 3; round++) {
      expect(map(mdl, va, 0x1000, true)[1]).toBe(0x1000);
      expect(map(mdl, vaAdd(va, 0x1000), 0x1000, true)[1]).toBe(0x1000);
      const third = kernel.outcome('HalMapTransfer', adapter, mdl, base, vaAdd(va, 0x2000), length, true);
      expect(third).toMatchObject({ action: 'unsupported' });
      flush(mdl, va, 0x2000, true);
    }
  });

  it.each([0, 2])('takes one register for a page that is mapped in pieces (%i guarded)', (guarded) => {
    const { kernel, map, flush, device, nt } = setUp({}, 2, guarded);
    const { mdl, va } = dmaMemory(kernel, [2, 0], 0x400, 0x1400);
    const mapped: [number, number][] = [];
    for (let done = 0; done < 0x1400; done += 0x400) mapped.push(map(mdl, vaAdd(va, done), 0x400, false));
    expect(mapped.map(([, bytes]) => bytes)).toEqual(Array(5).fill(0x400));
    for (const [index, [logical]] of mapped.entries()) device.write(logical, Array(0x400).fill(0x80 + index));
    expect([...nt.dma.transfers.values()].map(({ registers }) => registers)).toEqual([1, 0, 0, 1, 0]);
    flush(mdl, va, 0x1400, false);
    const seen = nt.memory.readBytes(va, 0x1400);
    expect([...seen].every((byte, index) => byte === 0x80 + (index >> 10))).toBe(true);
    expect(nt.dma.transfers.size).toBe(0);
  });

  it('says so of addresses that the MDL does not describe, and of no bytes', () => {
    const { kernel, nt, adapter, base, length } = setUp();
    const { mdl, va } = dmaMemory(kernel, [0], 0, 0x100);
    const outcome = (at: Va) => kernel.outcome('HalMapTransfer', adapter, mdl, base, at, length, true);
    nt.memory.writeU32(length, 1);
    expect(outcome(vaAdd(va, -1))).toMatchObject({ action: 'unsupported' });
    expect(outcome(vaAdd(va, 0x100))).toMatchObject({ action: 'unsupported' });
    nt.memory.writeU32(length, 0);
    expect(outcome(va)).toMatchObject({ action: 'unsupported' });
  });
});

describe('MapTransfer for devices that need copies', () => {
  it('gives a device without scatter/gather everything in a row', () => {
    const { kernel, map, flush, device, nt } = setUp({ scatterGather: false });
    const { mdl, va } = dmaMemory(kernel, [1, 0], 0xff0, 0x20);
    const [logical, bytes] = map(mdl, va, 0x20, true);
    expect(bytes).toBe(0x20);
    expect(device.read(logical, 0x20)).toEqual([...nt.memory.readBytes(va, 0x20)]);
    flush(mdl, va, 0x20, true);
    const [again] = map(mdl, va, 0x20, false);
    device.write(again, Array(0x20).fill(0xab));
    expect(nt.memory.readU8(va)).toBe(1);
    flush(mdl, va, 0x20, false);
    expect([...nt.memory.readBytes(va, 0x20)]).toEqual(Array(0x20).fill(0xab));
  });

  it('shows it the buffer itself if that lies in a row', () => {
    const { kernel, map } = setUp({ scatterGather: false });
    const { mdl, va, pages } = dmaMemory(kernel, [0, 1], 0xff0, 0x20);
    expect(map(mdl, va, 0x20, true)).toEqual([(pages[0] as number) + 0xff0, 0x20]);
  });

  it('shows pieces of a page in one page of the HAL', () => {
    const { kernel, map, flush, device, nt } = setUp({ version: 3, addressWidth: 24 }, 1);
    kernel.nt.memory.allocateContiguousFrames(0x1000);
    const { mdl, va } = dmaMemory(kernel, [0], 0x100, 0x200);
    const [first] = map(mdl, va, 0x100, false);
    const [second] = map(mdl, vaAdd(va, 0x100), 0x100, false);
    expect(second).toBe(first + 0x100);
    device.write(first, Array(0x200).fill(0x66));
    flush(mdl, va, 0x200, false);
    expect([...nt.memory.readBytes(va, 0x200)]).toEqual(Array(0x200).fill(0x66));
  });

  it('puts pages of the HAL where a device of 24 bits reaches them', () => {
    const { kernel, map } = setUp({ version: 3, addressWidth: 24 });
    const { mdl, va } = dmaMemory(kernel, [0, 1], 0, 0x2000);
    const [logical, bytes] = map(mdl, va, 0x2000, true);
    expect(bytes).toBe(0x1000);
    expect(logical).toBeLessThan(0x100_0000);
  });
});

describe('double buffers with guards', () => {
  const guarded = () => {
    const all = setUp({}, 3, 2);
    const { mdl, va } = dmaMemory(all.kernel, [0, 1, 2], 0x800, 0x2000);
    return { ...all, mdl, va };
  };

  it('show the device a copy, made when it is mapped', () => {
    const { map, device, mdl, va, nt } = guarded();
    const [logical, bytes] = map(mdl, va, 0x2000, true);
    expect(bytes).toBe(0x800);
    nt.memory.writeU8(va, 0x99);
    expect(device.read(logical, 2)).toEqual([1, 2]);
  });

  it('are copied back by the flush and not before, as far as it says', () => {
    const { map, flush, device, mdl, va, nt } = guarded();
    const [logical] = map(mdl, va, 0x2000, false);
    device.write(logical, [0x51, 0x52, 0x53, 0x54]);
    expect(nt.memory.readU8(va)).toBe(1);
    flush(mdl, va, 3, false);
    expect([...nt.memory.readBytes(va, 4)]).toEqual([0x51, 0x52, 0x53, 4]);
  });

  it('are as many as there are guarded registers; the others show the buffer itself', () => {
    const { map, mdl, va, nt } = guarded();
    map(mdl, va, 0x2000, true);
    map(mdl, vaAdd(va, 0x800), 0x1800, true);
    const [logical] = map(mdl, vaAdd(va, 0x1800), 0x800, true);
    expect(logical).toBe(nt.addressSpace.frames.physicalAddress(vaAdd(va, 0x1800)));
    expect([...nt.dma.transfers.values()].map(({ isBuffered }) => isBuffered)).toEqual([true, true, false]);
  });

  it.each([
    ['tag-before', -1],
    ['tag-before', -8],
    ['padding-before', -9],
    ['padding-before', -0x1800],
    ['tag-after', 0x800],
    ['tag-after', 0x807],
    ['padding-after', 0x808],
    ['padding-after', 0x17ff],
  ] as const)('tell of a device that writes the %s at %i', (kind, at) => {
    const { map, flush, device, mdl, va, nt } = guarded();
    const [logical] = map(mdl, va, 0x2000, false);
    const [transfer] = nt.dma.transfers.values();
    if (transfer === undefined) throw new Error('nothing is mapped');
    expect(damagedGuards(nt, transfer)).toEqual([]);
    device.write(logical + at, [0xee]);
    expect(damagedGuards(nt, transfer)).toEqual([{ kind, address: BigInt(logical + at) }]);
    flush(mdl, va, 0x2000, false);
    map(mdl, va, 0x2000, false);
    const [next] = nt.dma.transfers.values();
    expect(next === undefined ? undefined : damagedGuards(nt, next)).toEqual([]);
  });

  it('tell of what is written to a register that maps nothing', () => {
    const { map, device, mdl, va, nt, file } = guarded();
    const [logical] = map(mdl, va, 0x2000, false);
    expect(damagedFreeRegisters(nt, file)).toEqual([]);
    const buffer = nt.dma.register(file, 1).buffer;
    const address = nt.addressSpace.frames.pfnOf(buffer?.frame ?? 0) * 0x1000 + 5;
    device.write(address, [1]);
    expect(damagedFreeRegisters(nt, file)).toEqual([{ kind: 'free-register', address: BigInt(address) }]);
    expect(logical).not.toBe(address);
  });

  it('surround all of what a device without scatter/gather sees', () => {
    const { kernel, map, device, nt } = setUp({ scatterGather: false }, 4, 4);
    const { mdl, va } = dmaMemory(kernel, [0, 1, 2], 0, 0x2800);
    const [logical, bytes] = map(mdl, va, 0x2800, true);
    expect(bytes).toBe(0x2800);
    const [transfer] = nt.dma.transfers.values();
    if (transfer === undefined) throw new Error('nothing is mapped');
    expect(transfer).toMatchObject({ isBuffered: true, registers: 3 });
    expect(damagedGuards(nt, transfer)).toEqual([]);
    device.write(logical - 1, [0]);
    device.write(logical + 0x2800, [0]);
    expect(damagedGuards(nt, transfer).map(({ kind }) => kind)).toEqual(['tag-before', 'tag-after']);
  });

  it('give their memory back, to the next ones', () => {
    const { kernel, adapter, base, nt } = guarded();
    kernel.call('HalFreeMapRegisters', adapter, base, 3);
    expect(nt.dma.registers.size).toBe(0);
    const kept = new Set(nt.dma.spareRuns.value);
    expect(kept.size).toBe(2);
    for (let round = 0; round < 3; round++) {
      const granted = kernel.outcome('HalAllocateAdapterChannel', adapter, dmaDeviceObject(kernel), 2, 0x7777, 0);
      expect(nt.dma.spareRuns.value).toHaveLength(0);
      returned(kernel, 'HalAllocateAdapterChannel', granted, 2);
      expect(new Set(nt.dma.spareRuns.value)).toEqual(kept);
    }
  });

  it('are not in memory that somebody still looks at', () => {
    const { kernel, adapter, base, file, nt } = guarded();
    const frame = nt.dma.register(file, 0).buffer?.frame ?? 0;
    const physical = BigInt(nt.addressSpace.frames.pfnOf(frame)) * 0x1000n;
    const view = kernel.callVa('MmMapIoSpace', physical, 0x1000, 0);
    kernel.call('HalFreeMapRegisters', adapter, base, 3);
    const others = (): number[] => {
      const granted = kernel.outcome('HalAllocateAdapterChannel', adapter, dmaDeviceObject(kernel), 2, 0x7777, 0);
      const frames = [...nt.dma.registers.values()].map(({ buffer }) => buffer?.frame ?? 0);
      returned(kernel, 'HalAllocateAdapterChannel', granted, 2);
      return frames;
    };
    expect(others()).not.toContain(frame);
    kernel.call('MmUnmapIoSpace', view, 0x1000);
    expect(nt.dma.spareRuns.value.map(({ first }) => first + 1)).toContain(frame);
  });
});

describe('MapTransferEx and FlushAdapterBuffersEx', () => {
  const setUpEx = (registers: number) => {
    const all = setUp({ version: 3 }, registers);
    const { kernel, nt, adapter, base, length } = all;
    const list = nt.pool.allocateKernel(0x200, 'Test');
    const mapEx = (mdl: Va, offset: number, bytes: number, listBytes = 0x200) => {
      nt.memory.writeU32(length, bytes);
      const status = kernel.call('HalMapTransferEx', adapter, mdl, base, offset, 0, length, 1, list, listBytes, 0, 0);
      const count = status === 0 ? SCATTER_GATHER_LIST.NumberOfElements.get(nt.memory, list) : 0;
      const elements = Array.from({ length: count }, (_, index) => {
        const at = vaAdd(SCATTER_GATHER_LIST.Elements.at(list), index * SCATTER_GATHER_ELEMENT.sizeBytes);
        const address = Number(SCATTER_GATHER_ELEMENT.Address.get(nt.memory, at));
        return [address, SCATTER_GATHER_ELEMENT.Length.get(nt.memory, at)];
      });
      return { status, elements, mapped: nt.memory.readU32(length) };
    };
    return { ...all, mapEx };
  };

  it('maps a chain of MDLs from an offset on, and flushes it', () => {
    const { kernel, nt, adapter, base, mapEx } = setUpEx(8);
    const first = dmaMemory(kernel, [0, 2], 0x100, 0x1800);
    const second = dmaMemory(kernel, [0], 0x200, 0x400);
    MDL.Next.set(nt.memory, first.mdl, second.mdl);
    const pages = [...first.pages, ...second.pages] as [number, number, number];
    expect(mapEx(first.mdl, 0x80, 0x1880)).toEqual({
      status: 0,
      mapped: 0x1880,
      elements: [
        [pages[0] + 0x180, 0xe80],
        [pages[1], 0x900],
        [pages[2] + 0x200, 0x100],
      ],
    });
    expect(kernel.call('HalFlushAdapterBuffersEx', adapter, first.mdl, base, 0x80, 0x1880, 1)).toBe(0);
    expect(nt.dma.transfers.size).toBe(0);
  });

  it('maps what registers and list have room for', () => {
    const { kernel, mapEx, nt, adapter, base } = setUpEx(2);
    const { mdl } = dmaMemory(kernel, [0, 2, 4], 0, 0x3000, 0);
    expect(mapEx(mdl, 0, 0x3000)).toMatchObject({ status: 0, mapped: 0x2000 });
    expect(mapEx(mdl, 0x2000, 0x1000).status).toBe(0xc000_009a);
    kernel.call('HalFlushAdapterBuffersEx', adapter, mdl, base, 0, 0x2000, 1);
    expect(mapEx(mdl, 0, 0x3000, 16 + 24)).toMatchObject({ status: 0, mapped: 0x1000 });
    expect(nt.dma.transfers.size).toBe(1);
    expect(mapEx(mdl, 0, 0x3000, 16 + 23).status).toBe(0xc000_000d);
    expect(mapEx(mdl, 0x2000, 0x1001).status).toBe(0xc000_000d);
  });

  it('maps nothing for a context whose transfers were cancelled', () => {
    const { kernel, nt, adapter, mapEx, file } = setUpEx(2);
    const { mdl } = dmaMemory(kernel, [0], 0, 0x1000);
    const context = nt.pool.allocateKernel(DMA_TRANSFER_CONTEXT.sizeBytes, 'Test');
    kernel.call('HalInitializeDmaTransferContext', adapter, context);
    nt.dma.files.set(file.base, { ...file, context });
    expect(mapEx(mdl, 0, 0x100).status).toBe(0);
    expect(kernel.call('HalCancelMappedTransfer', adapter, context)).toBe(0);
    expect(mapEx(mdl, 0, 0x100).status).toBe(0xc000_0120);
  });
});
