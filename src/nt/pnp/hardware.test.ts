import { beforeEach, describe, expect, it } from 'vitest';
import { thermometer } from '../../../examples/device-model/thermometer.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { PageFlag } from '../../engine/memory/layout.ts';
import type { DeviceHost, DeviceModel } from '../../hardware/device-model.ts';
import { pciDmaEngine } from '../../hardware/pci-dma-engine.ts';
import type { Nt } from '../nt.ts';
import type { AddressResource, DeviceResource } from './resources.ts';

let kernel: KernelCaller;
let nt: Nt;
let pdo: Va;

function boot(model: DeviceModel): void {
  kernel = new KernelCaller({ device: { model } });
  nt = kernel.nt;
  pdo = nt.io.pnp.create([nt.io.drivers.create(kernel.image, 'caller').driverObject]);
}

const resources = (): readonly DeviceResource[] => nt.io.pnp.get(pdo)?.resources ?? [];
const placeOf = (index: number): AddressResource => resources()[index] as AddressResource;
/** Lets time pass as a stalled processor does. */
const pass = (microseconds: number): void => {
  nt.clock.skip(microseconds * 10);
  nt.io.hardware.expire();
};

describe('a model with ports', () => {
  beforeEach(() => boot(thermometer));

  const port = (offset: number): number => placeOf(0).start + offset;
  const read = (offset: number): number => kernel.call('READ_PORT_ULONG', port(offset));

  it('answers when the bus driver started the device, and not before', () => {
    expect(read(4)).toBe(0xffff_ffff);
    nt.io.hardware.enable(pdo);
    expect(read(4)).toBe(0);
    nt.io.hardware.disable(pdo);
    expect(read(4)).toBe(0xffff_ffff);
  });

  it('does what is due, at its time', () => {
    nt.io.hardware.enable(pdo);
    const start = nt.clock.interruptTime;
    kernel.call('WRITE_PORT_ULONG', port(0), 1);
    expect(nt.io.hardware.nextDue).toBe(start + 10_000);
    pass(990);
    expect(read(4)).toBe(0);
    pass(10);
    expect([read(4), read(8), read(4)]).toEqual([1, 21, 0]);
  });

  it('a load takes half a microsecond', () => {
    nt.io.hardware.enable(pdo);
    const start = nt.clock.interruptTime;
    read(4);
    expect(nt.clock.interruptTime - start).toBe(5);
  });

  it('stands on bus 0, by slot', () => {
    const buffer = nt.pool.allocateKernel(64, 'Test');
    const bytes = (slot: number, offset: number, length: number): number[] => {
      const count = kernel.call('HalGetBusDataByOffset', 4, 0, slot, buffer, offset, length);
      return Array.from(nt.memory.readBytes(buffer, count));
    };
    expect(bytes(4, 0, 4)).toEqual([0x34, 0x12, 0x70, 0x7e]);
    expect(bytes(4, 8, 4)).toEqual([0, 0, 0x80, 0x11]);
    expect(bytes(4, 0x10, 4)).toEqual([(port(0) & 0xff) | 1, port(0) >> 8, 0, 0]);
    expect(bytes(4, 0x3d, 1)).toEqual([1]);
    expect(bytes(5, 0, 4)).toEqual([0xff, 0xff]);
    nt.memory.writeU32(buffer, 0xffff_ffff);
    expect(kernel.call('HalSetBusDataByOffset', 4, 0, 4, buffer, 4, 2)).toBe(2);
    expect(bytes(4, 4, 2)).toEqual([0x5f, 5]);
  });

  it('is gone when it was pulled out, and another one comes as new', () => {
    nt.io.hardware.enable(pdo);
    kernel.call('WRITE_PORT_ULONG', port(0), 1);
    const gone = port(4);
    nt.io.hardware.remove(pdo);
    pass(2000);
    expect(nt.io.hardware.nextDue).toBe(Number.POSITIVE_INFINITY);
    expect(kernel.outcome('READ_PORT_ULONG', gone)).toMatchObject({ action: 'unsupported' });
    pdo = nt.io.pnp.create([nt.io.pnp.get(pdo)?.drivers[0] as Va]);
    nt.io.hardware.enable(pdo);
    expect(port(4)).not.toBe(gone);
    kernel.call('WRITE_PORT_ULONG', port(0), 1);
    pass(2000);
    expect(read(8)).toBe(21);
  });

  it('says which model failed', () => {
    const read = (): number => {
      throw new Error('no such thing');
    };
    boot({ ...thermometer, read });
    nt.io.hardware.enable(pdo);
    expect(() => nt.io.hardware.readPort(port(0), 4)).toThrow("the device model 'thermometer' failed: no such thing");
  });

  it('is called by its hardware IDs', () => {
    expect(nt.io.pnp.get(pdo)?.identity).toMatchObject({
      deviceId: 'PCI\\VEN_1234&DEV_7E70&SUBSYS_00000000&REV_00',
      hardwareIds: ['PCI\\VEN_1234&DEV_7E70&REV_00', 'PCI\\VEN_1234&DEV_7E70', 'PCI\\VEN_1234&CC_118000'],
      location: 'PCI bus 0, device 4, function 0',
    });
  });
});

describe('a model with memory', () => {
  let host: DeviceHost | undefined;
  const model: DeviceModel = {
    ...pciDmaEngine,
    name: 'memory',
    ranges: [
      { type: 'memory', bytes: 16 },
      { type: 'memory', bytes: 0x2000, is64Bit: true, isPrefetchable: true },
      { type: 'memory', bytes: 0x1000 },
    ],
    state: { numbers: 4, memory: [0x10_0000] },
    reset: (given) => {
      host = given;
    },
    read: (given, { range, offset }) => (range === 0 ? (given.numbers[offset / 4] ?? 0) : range * 0x1_0000 + offset),
    write: (given, { offset }, value) => {
      given.numbers[offset / 4] = value;
    },
    peek: (given, { offset }) => given.numbers[offset / 4],
    due: (given, cookie) => {
      given.numbers[0] = (given.numbers[0] ?? 0) * 10 + cookie;
    },
  };

  beforeEach(() => {
    boot(model);
    nt.io.hardware.enable(pdo);
  });

  const map = (index: number, bytes: number): Va => {
    const { start } = placeOf(index);
    const outcome = kernel.outcome('MmMapIoSpace', BigInt(start), bytes, 0);
    return outcome as number as Va;
  };

  it('has places that do not touch, 64-bit ones above 4 GB', () => {
    const places = [0, 1, 2].map((index) => placeOf(index));
    expect(places.map(({ start, bytes }) => start % bytes)).toEqual([0, 0, 0]);
    expect(Math.floor((places[0] as AddressResource).start / 0x1000)).not.toBe(
      Math.floor((places[2] as AddressResource).start / 0x1000),
    );
    expect(places.map(({ start }) => start >= 0x1_0000_0000)).toEqual([false, true, false]);
    expect(places.map(({ flags }) => flags)).toEqual([0x80, 0x84, 0x80]);
  });

  it('answers where it is mapped, and with ones beside a small range', () => {
    const first = map(0, 16);
    nt.memory.writeU32(vaAdd(first, 8), 5);
    expect([nt.memory.readU32(vaAdd(first, 8)), nt.memory.readU8(vaAdd(first, 8))]).toEqual([5, 5]);
    expect(nt.memory.readU32(vaAdd(first, 16))).toBe(0xffff_ffff);
    const second = map(1, 0x2000);
    expect(nt.memory.readU32(vaAdd(second, 0x1004))).toBe(0x1_1004);
    expect((nt.memory.mappingAt(second)?.flags ?? 0) & PageFlag.Device).toBe(PageFlag.Device);
    const start = nt.clock.interruptTime;
    expect(Array.from(nt.memory.peekBytes(vaAdd(first, 8), 4) ?? [])).toEqual([5, 0, 0, 0]);
    expect(nt.clock.interruptTime).toBe(start);
  });

  it('a mapping that outlives the device reads ones', () => {
    const first = map(0, 16);
    nt.memory.writeU32(first, 1);
    expect(host?.dmaRead(0x10_0000n, new Uint8Array(1))).toBe(true);
    expect(host?.dmaWrite(BigInt(placeOf(0).start), new Uint8Array(1))).toBe(false);
    nt.io.hardware.remove(pdo);
    expect(nt.memory.readU32(first)).toBe(0xffff_ffff);
    expect(host?.dmaRead(0x10_0000n, new Uint8Array(1))).toBe(false);
  });

  it('has its events in order of time, then of scheduling; one cookie has one', () => {
    for (const [delay, cookie] of [
      [300, 3],
      [100, 2],
      [100, 1],
      [50, 3],
      [100, 4],
    ] as const) {
      host?.schedule(delay, cookie);
    }
    host?.cancel(4);
    pass(1);
    // 50 ns are rounded up to 100.
    expect(host?.numbers[0]).toBe(213);
  });

  it('refuses what is no time and no message', () => {
    expect(() => host?.schedule(Number.NaN, 1)).toThrow('1 after NaN ns');
    expect(() => host?.schedule(-1, 1)).toThrow('1 after -1 ns');
    expect(() => host?.sendMessage(1)).toThrow('it has no message 1');
  });

  it('a device that is never done is stopped at the limit', () => {
    boot({ ...model, due: (given) => given.schedule(0, 1) });
    host?.schedule(0, 1);
    expect(nt.run(() => false)).toBe('ended');
    expect(nt.end.value).toMatchObject({ kind: 'instruction-limit' });
  });

  it('its memory is shared between snapshots as long as it stays as it is', () => {
    host?.memory[0]?.write(0x8000, Uint8Array.of(1));
    const chunks = (): unknown[] => nt.snapshot().stores.get('hardware/memory-0') as unknown[];
    const [before, after] = [chunks(), chunks()];
    expect(before[8]).toBeDefined();
    expect(before.every((chunk, index) => chunk === after[index])).toBe(true);
  });

  it('forgets everything when it is switched off, and can be used when it is on again', () => {
    const first = map(0, 16);
    nt.memory.writeU32(first, 7);
    host?.schedule(1000, 1);
    nt.io.hardware.switchOff(pdo);
    expect([nt.memory.readU32(first), nt.io.hardware.nextDue]).toEqual([0xffff_ffff, Number.POSITIVE_INFINITY]);
    nt.io.hardware.switchOn(pdo);
    expect(nt.memory.readU32(first)).toBe(0);
  });
});
