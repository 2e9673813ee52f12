import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { DEVICE_OBJECT, DRIVER_OBJECT } from '../structures/io.ts';
import { IO_ERROR_LOG_PACKET } from '../structures/io-queues.ts';

const noSuchDevice = 0xc000_000e;
const collision = 0xc000_0035;

let kernel: KernelCaller;
let driver: Va;
let block: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  driver = kernel.nt.io.drivers.create(kernel.image, 'caller').driverObject;
  block = kernel.nt.pool.allocateKernel(0x100, 'Test');
});

const call = (routine: string, ...args: number[]): number => kernel.call(routine, ...args);
const status = (routine: string, ...args: number[]): number => call(routine, ...args) >>> 0;

function make(): Va {
  expect(status('IoCreateDevice', driver, 16, nullVa, 0x22, 0, 0, block)).toBe(0);
  return kernel.nt.memory.readVa(block);
}

describe('a stack of devices', () => {
  it('is entered at its top, whichever device is named, and one location deeper each time', () => {
    const { memory } = kernel.nt;
    const [bottom, middle, top] = [make(), make(), make()];
    DEVICE_OBJECT.AlignmentRequirement.set(memory, bottom, 0x1ff);
    expect(call('IoAttachDeviceToDeviceStack', middle, bottom)).toBe(bottom);
    expect(call('IoAttachDeviceToDeviceStack', top, bottom)).toBe(middle);
    expect([bottom, middle, top].map((device) => DEVICE_OBJECT.StackSize.get(memory, device))).toEqual([1, 2, 3]);
    expect(DEVICE_OBJECT.AlignmentRequirement.get(memory, top)).toBe(0x1ff);
    expect(call('IoGetAttachedDevice', bottom)).toBe(top);
    expect(call('IoGetAttachedDeviceReference', middle)).toBe(top);
    expect(call('IoGetLowerDeviceObject', top)).toBe(middle);
    expect(call('IoGetLowerDeviceObject', bottom)).toBe(nullVa);
    expect(call('IoGetDeviceAttachmentBaseRef', top)).toBe(bottom);
  });

  it('gives references, which keep a deleted device', () => {
    const { nt } = kernel;
    const [bottom, top] = [make(), make()];
    call('IoAttachDeviceToDeviceStack', top, bottom);
    expect(call('IoGetAttachedDeviceReference', bottom)).toBe(top);
    call('IoDetachDevice', bottom);
    expect(DEVICE_OBJECT.AttachedDevice.get(nt.memory, bottom)).toBe(nullVa);
    call('IoDeleteDevice', top);
    expect(DRIVER_OBJECT.DeviceObject.get(nt.memory, driver)).toBe(bottom);
    expect(nt.io.devices.get(top)).toMatchObject({ isUnlinked: true });
    kernel.outcome('ObfDereferenceObject', top);
    expect(nt.io.devices.get(top)).toBeUndefined();
  });

  it('is not joined above a device that is being deleted', () => {
    const { memory } = kernel.nt;
    const [bottom, top] = [make(), make()];
    kernel.nt.io.devices.changeReferenceCount(bottom, 1);
    call('IoDeleteDevice', bottom);
    expect(call('IoAttachDeviceToDeviceStack', top, bottom)).toBe(nullVa);
    expect(status('IoAttachDeviceToDeviceStackSafe', top, bottom, vaAdd(block, 8))).toBe(noSuchDevice);
    expect(memory.readVa(vaAdd(block, 8))).toBe(nullVa);
  });

  it('is told to the driver before it can be used, in the safe form', () => {
    const [bottom, top] = [make(), make()];
    expect(status('IoAttachDeviceToDeviceStackSafe', top, bottom, vaAdd(block, 8))).toBe(0);
    expect(kernel.nt.memory.readVa(vaAdd(block, 8))).toBe(bottom);
  });

  it('stops Windows when a device is deleted twice', () => {
    const device = make();
    kernel.nt.io.devices.changeReferenceCount(device, 1);
    call('IoDeleteDevice', device);
    expect(kernel.bugCheck('IoDeleteDevice', device).code).toBe(0x18);
  });
});

describe('driver object extensions', () => {
  const allocate = (client: number, bytes: number): number =>
    status('IoAllocateDriverObjectExtension', driver, client, bytes, block);

  it('are one for each client, zeroed, and found again', () => {
    const { memory, pool } = kernel.nt;
    expect(call('IoGetDriverObjectExtension', driver, 0x1234)).toBe(nullVa);
    expect(allocate(0x1234, 0x40)).toBe(0);
    const extension = memory.readVa(block);
    expect(memory.readBytes(extension, 0x40).every((byte) => byte === 0)).toBe(true);
    expect(call('IoGetDriverObjectExtension', driver, 0x1234)).toBe(extension);
    expect(allocate(0x1234, 0x40)).toBe(collision);
    expect(memory.readVa(block)).toBe(nullVa);
    expect(allocate(0x5678, 0x40)).toBe(0);
    kernel.nt.io.registrations.freeExtensions(driver);
    expect(call('IoGetDriverObjectExtension', driver, 0x1234)).toBe(nullVa);
    expect(pool.blockAt(extension)).toBeUndefined();
  });
});

describe('entries of the error log', () => {
  it.each([0x2f, 0xf1])('have no size of %i bytes', (bytes) => {
    expect(call('IoAllocateErrorLogEntry', driver, bytes)).toBe(nullVa);
  });

  it('are not for what is neither a device nor a driver', () => {
    const { memory } = kernel.nt;
    const extension = DEVICE_OBJECT.DeviceExtension.get(memory, make());
    memory.writeU64(extension, 0n);
    expect(call('IoAllocateErrorLogEntry', extension, 0x30)).toBe(nullVa);
    expect(call('IoAllocateErrorLogEntry', nullVa, 0x30)).toBe(nullVa);
  });

  it.each([0x30, 0xf0])('hold the device until they are written: %i bytes', (bytes) => {
    const { nt } = kernel;
    const device = make();
    const logged: number[] = [];
    nt.events.on('errorLogged', ({ errorCode }) => logged.push(errorCode));
    const before = nt.objects.get(device)?.pointerCount;
    const entry = call('IoAllocateErrorLogEntry', device, bytes) as Va;
    expect(nt.objects.get(device)?.pointerCount).toBe((before ?? 0) + 1);
    IO_ERROR_LOG_PACKET.ErrorCode.set(nt.memory, entry, 0xc004_0003);
    call('IoWriteErrorLogEntry', entry);
    expect(logged).toEqual([0xc004_0003]);
    expect(nt.objects.get(device)?.pointerCount).toBe(before);
  });

  it('can be thrown away', () => {
    const entry = call('IoAllocateErrorLogEntry', driver, 0x30) as Va;
    kernel.nt.events.on('errorLogged', () => expect.unreachable());
    call('IoFreeErrorLogEntry', entry);
    expect(kernel.nt.pool.blockAt(entry)).toBeUndefined();
  });
});

describe('IoGetDeviceNumaNode', () => {
  it('puts every device in the one node', () => {
    const { memory } = kernel.nt;
    const device = make();
    memory.writeU32(block, 0x1234_5678);
    expect(status('IoGetDeviceNumaNode', device, block)).toBe(0);
    expect(memory.readU32(block)).toBe(0x1234_0000);
  });

  it.each(['null', 'a driver'])('knows none of %s', (what) => {
    expect(status('IoGetDeviceNumaNode', what === 'null' ? nullVa : driver, block)).toBe(0xc000_000d);
  });
});

describe('IoIsWdmVersionAvailable', () => {
  it.each([
    [1, 0x30, 1],
    [6, 0, 1],
    [6, 1, 0],
    [7, 0, 0],
  ])('%i.%i: %i', (major, minor, answer) => {
    expect(call('IoIsWdmVersionAvailable', major, minor)).toBe(answer);
  });
});
