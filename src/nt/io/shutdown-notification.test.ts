import { beforeEach, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import type { Va } from '../../base/va.ts';
import { DEVICE_OBJECT, DeviceFlag } from '../structures/io.ts';

let kernel: KernelCaller;
let device: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  const { driverObject } = kernel.nt.io.drivers.create(kernel.image, 'caller');
  const out = kernel.nt.pool.allocateKernel(0x10, 'Test');
  expect(kernel.call('IoCreateDevice', driverObject, 16, 0, 0x22, 0, 0, out)).toBe(0);
  device = kernel.nt.memory.readVa(out);
});

const references = (): number => kernel.nt.objects.get(device)?.pointerCount ?? 0;
const isFlagged = (): boolean =>
  (DEVICE_OBJECT.Flags.get(kernel.nt.memory, device) & DeviceFlag.ShutdownRegistered) !== 0;

it('is marked in the device, holds it, and is taken back whole at once', () => {
  const before = references();
  expect(kernel.call('IoRegisterShutdownNotification', device)).toBe(0);
  expect(kernel.call('IoRegisterLastChanceShutdownNotification', device)).toBe(0);
  expect(isFlagged()).toBe(true);
  expect(references()).toBe(before + 2);
  expect(kernel.nt.io.registrations.shutdownNotifications).toEqual([
    { device, isLastChance: true },
    { device, isLastChance: false },
  ]);
  kernel.call('IoUnregisterShutdownNotification', device);
  expect(isFlagged()).toBe(false);
  expect(references()).toBe(before);
  expect(kernel.nt.io.registrations.shutdownNotifications).toEqual([]);
});

it('goes with the device, which it does not keep', () => {
  kernel.call('IoRegisterShutdownNotification', device);
  kernel.call('IoDeleteDevice', device);
  expect(kernel.nt.io.registrations.shutdownNotifications).toEqual([]);
  expect(kernel.nt.io.devices.get(device)).toBeUndefined();
});

it('taken back without having been registered changes nothing', () => {
  const before = references();
  kernel.call('IoUnregisterShutdownNotification', device);
  expect(references()).toBe(before);
});
