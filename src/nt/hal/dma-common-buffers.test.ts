import { describe, expect, it } from 'vitest';
import { type DmaDevice, describeDevice } from '../../../test/dma-device.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { CommonBuffer } from './dma-adapters.ts';
import { damagedCommonBuffer } from './dma-double-buffers.ts';

function setUp(device: DmaDevice = {}, isGuarded = false) {
  const kernel = new KernelCaller();
  const { nt } = kernel;
  nt.dma.buffering = { ...nt.dma.buffering, isCommonBufferGuarded: () => isGuarded };
  const { adapter } = describeDevice(kernel, device);
  const logicalAt = nt.pool.allocateKernel(8, 'Test');
  const allocate = (bytes: number): [Va, bigint] => {
    const va = kernel.callVa('HalAllocateCommonBuffer', adapter, bytes, logicalAt, 1);
    return [va, nt.memory.readU64(logicalAt)];
  };
  const free = (bytes: number, logical: bigint, va: Va) =>
    kernel.outcome('HalFreeCommonBuffer', adapter, bytes, logical, va, 1);
  return { kernel, nt, adapter, logicalAt, allocate, free };
}

describe('common buffers', () => {
  it('are contiguous memory that driver and device share, with nothing behind it', () => {
    const { nt, adapter, allocate, free } = setUp();
    const tracked: string[] = [];
    nt.events.on('commonBufferAllocated', ({ buffer }) => tracked.push(`${buffer.bytes}`));
    nt.events.on('commonBufferFreed', ({ buffer }) => tracked.push(`${buffer.bytes} freed`));
    nt.events.on('poolAllocated', () => tracked.push('pool'));
    nt.events.on('contiguousAllocated', () => tracked.push('contiguous'));
    const [va, logical] = allocate(0x2345);
    for (const offset of [0, 0x1000, 0x2000]) {
      expect(nt.addressSpace.frames.physicalAddress(vaAdd(va, offset))).toBe(Number(logical) + offset);
    }
    expect(nt.memory.mappingAt(vaAdd(va, 0x3000))).toBeUndefined();
    nt.memory.writeBytes(vaAdd(va, 0xfff), Uint8Array.of(1, 2, 3));
    const seen = new Uint8Array(3);
    expect(nt.dma.bus.read(logical + 0xfffn, seen)).toBe(true);
    expect([...seen]).toEqual([1, 2, 3]);
    nt.dma.bus.write(logical, Uint8Array.of(0x77));
    expect(nt.memory.readU8(va)).toBe(0x77);
    expect(nt.dma.outstanding(adapter).commonBuffers).toMatchObject([{ va, logical, bytes: 0x2345 }]);
    expect(free(0x2345, logical, va)).toBeUndefined();
    expect(nt.memory.mappingAt(va)).toBeUndefined();
    expect(tracked).toEqual(['9029', '9029 freed']);
    expect(nt.dma.outstanding().commonBuffers).toEqual([]);
  });

  it('have a page at least', () => {
    const { nt, allocate } = setUp();
    const [va] = allocate(0);
    expect(nt.memory.mappingAt(va)).toBeDefined();
  });

  it('are freed as they were allocated, once', () => {
    const { allocate, free } = setUp();
    const [va, logical] = allocate(0x1000);
    for (const outcome of [free(0xfff, logical, va), free(0x1000, logical + 1n, va), free(0x1000, logical, nullVa)]) {
      expect(outcome).toMatchObject({ action: 'unsupported' });
    }
    expect(free(0x1000, logical, va)).toBeUndefined();
    expect(free(0x1000, logical, va)).toMatchObject({ action: 'unsupported' });
  });

  it('are where the device reaches them, and NULL if that can not be', () => {
    const { kernel, nt, adapter, logicalAt, allocate } = setUp({ version: 3, addressWidth: 24 });
    const [va, logical] = allocate(0x4000);
    expect(va).not.toBe(nullVa);
    expect(logical + 0x4000n).toBeLessThanOrEqual(1n << 24n);
    expect(allocate(0x200_0000)[0]).toBe(nullVa);
    const bounds = nt.pool.allocateKernel(16, 'Test');
    nt.memory.writeU64(bounds, 0x80_0000n);
    nt.memory.writeU64(vaAdd(bounds, 8), 0x90_0000n);
    const bounded = kernel.callVa(
      'HalAllocateCommonBufferWithBounds',
      ...[adapter, bounds, vaAdd(bounds, 8), 0x1000, 0, 0, 0, logicalAt],
    );
    expect(bounded).not.toBe(nullVa);
    expect(nt.memory.readU64(logicalAt)).toBe(0x80_0000n);
    nt.memory.writeU64(vaAdd(bounds, 8), 0x1000n);
    expect(kernel.call('HalAllocateCommonBufferEx', adapter, vaAdd(bounds, 8), 0x1000, logicalAt, 1, 0)).toBe(0);
    expect(kernel.call('HalAllocateCommonBufferEx', adapter, 0, 0x1000, logicalAt, 1, 0)).not.toBe(0);
  });
});

describe('guarded common buffers', () => {
  it.each([
    ['tag-before', -1],
    ['padding-before', -0x1000],
    ['tag-after', 0x1234],
    ['padding-after', 0x1234 + 8],
    ['padding-after', 0x2fff],
  ] as const)('tell of a write to the %s at %i', (kind, at) => {
    const { nt, allocate, free } = setUp({}, true);
    const damages: unknown[] = [];
    nt.events.on('commonBufferFreed', ({ buffer }) => damages.push(...damagedCommonBuffer(nt, buffer)));
    const [va, logical] = allocate(0x1234);
    const buffer = nt.dma.commonBuffers.get(va) as CommonBuffer;
    expect(damagedCommonBuffer(nt, buffer)).toEqual([]);
    nt.memory.writeU8(vaAdd(va, at), 0xee);
    free(0x1234, logical, va);
    expect(damages).toEqual([{ kind, address: logical + BigInt(at) }]);
  });
});

it.each([1, 7, 0x1234, 0xff8, 0xff3])('a change anywhere around a common buffer of %i bytes is found', (length) => {
  const { nt, allocate } = setUp(undefined, true);
  const [va, logical] = allocate(length);
  const buffer = nt.dma.commonBuffers.get(va) as CommonBuffer;
  const end = buffer.pages * 0x1000 - 0x1000;
  const places = [...Array(40).keys()].flatMap((index) => [
    -0x1000 + index,
    -1 - index,
    length + index,
    end - 1 - index,
    length + 57 * index,
    -1 - 57 * index,
  ]);
  for (const at of places.filter((place) => place < 0 || (place >= length && place < end))) {
    const before = nt.memory.readU8(vaAdd(va, at));
    nt.memory.writeU8(vaAdd(va, at), 0xee);
    expect(damagedCommonBuffer(nt, buffer).map(({ address }) => address - logical)).toEqual([BigInt(at)]);
    nt.memory.writeU8(vaAdd(va, at), before);
  }
  expect(damagedCommonBuffer(nt, buffer)).toEqual([]);
});

describe('a bus master', () => {
  it('reaches memory only', () => {
    const { nt } = setUp();
    const bytes = new Uint8Array(16);
    expect(nt.dma.bus.read(0n, bytes)).toBe(false);
    expect(nt.dma.bus.write(-1n, bytes)).toBe(false);
    expect(nt.dma.bus.read(1n << 60n, bytes)).toBe(false);
    const end = BigInt((0x100 + nt.memory.frameCount) * 0x1000);
    expect(nt.dma.bus.read(end - 16n, bytes)).toBe(true);
    expect(nt.dma.bus.read(end - 8n, bytes)).toBe(false);
  });

  it('changes what a snapshot brings back', () => {
    const { nt, allocate } = setUp();
    const [va, logical] = allocate(0x1000);
    nt.dma.bus.write(logical, Uint8Array.of(1));
    const snapshot = nt.snapshot();
    nt.dma.bus.write(logical, Uint8Array.of(2));
    expect(nt.memory.readU8(va)).toBe(2);
    nt.restore(snapshot);
    expect(nt.memory.readU8(va)).toBe(1);
  });
});
