import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';

const pci = 4;

describe('HalGetBusDataByOffset', () => {
  const kernel = new KernelCaller();
  const { nt } = kernel;
  const buffer = nt.pool.allocateKernel(16, 'Test');
  const read = (bus: number, slot: number, offset: number, length: number, type = pci): [number, string] => {
    nt.memory.fill(buffer, 16, 0x11);
    const bytes = kernel.call('HalGetBusDataByOffset', type, bus, slot, buffer, offset, length);
    return [bytes, Array.from(nt.memory.readBytes(buffer, 4), (byte) => byte.toString(16)).join(' ')];
  };

  it('shows a slot without a device by its vendor ID alone', () => {
    expect(read(0, 0, 0, 64)).toEqual([2, 'ff ff 11 11']);
    expect(read(0, 31, 0, 1)).toEqual([1, 'ff 11 11 11']);
    expect(read(0, 0, 1, 4)).toEqual([1, 'ff 11 11 11']);
  });

  it('reads nothing behind it, of other buses, and of other kinds of bus', () => {
    const nothing = [0, '11 11 11 11'];
    expect([read(0, 0, 2, 4), read(0, 0, 0x40, 4), read(1, 0, 0, 4), read(0, 0, 0, 4, 0)]).toEqual(
      Array(4).fill(nothing),
    );
  });

  it('has a form without offset, and forms that write nothing', () => {
    expect(kernel.call('HalGetBusData', pci, 0, 0, buffer, 4)).toBe(2);
    expect(kernel.call('HalSetBusData', pci, 0, 0, buffer, 4)).toBe(0);
    expect(kernel.call('HalSetBusDataByOffset', pci, 0, 0, buffer, 0, 4)).toBe(0);
  });
});
