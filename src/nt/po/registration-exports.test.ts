import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';

let kernel: KernelCaller;
beforeEach(() => {
  kernel = new KernelCaller();
});

const call = (routine: string, ...args: number[]): number => kernel.call(routine, ...args);

describe('system states', () => {
  const registered = (): number => [...kernel.nt.power.all()].length;

  it("are the driver's until they are given back", () => {
    const handle = call('PoRegisterSystemState', nullVa, 0x8000_0001);
    expect(handle).not.toBe(nullVa);
    expect(call('PoRegisterSystemState', handle, 0x8000_0002)).toBe(handle);
    expect([...kernel.nt.power.all()]).toMatchObject([{ kind: 'system state', imageIndex: kernel.image.index }]);
    call('PoSetSystemState', 1);
    expect(registered()).toBe(1);
    call('PoUnregisterSystemState', handle);
    expect(registered()).toBe(0);
  });
});

describe('idle detection', () => {
  let device: Va;
  beforeEach(() => {
    const { driverObject } = kernel.nt.io.drivers.create(kernel.image, 'caller');
    const out = kernel.nt.pool.allocateKernel(8, 'Test');
    expect(call('IoCreateDevice', driverObject, 0, nullVa, 0x22, 0, 0, out)).toBe(0);
    device = kernel.nt.memory.readVa(out);
  });

  it('has one counter for a device, which using the device sets back', () => {
    const { memory } = kernel.nt;
    const counter = call('PoRegisterDeviceForIdleDetection', device, 10, 20, 4) as Va;
    expect(counter).not.toBe(nullVa);
    expect(call('PoRegisterDeviceForIdleDetection', device, 30, 30, 4)).toBe(counter);
    for (const use of ['PoSetDeviceBusyEx', 'PoStartDeviceBusy', 'PoEndDeviceBusy']) {
      memory.writeU32(counter, 7);
      call(use, counter);
      expect(memory.readU32(counter)).toBe(0);
    }
  });

  it('ends with times of zero, and is not there for other devices than disks without times', () => {
    const counter = call('PoRegisterDeviceForIdleDetection', device, 10, 20, 4) as Va;
    expect(call('PoRegisterDeviceForIdleDetection', device, 0, 0, 4)).toBe(nullVa);
    expect(kernel.nt.pool.blockAt(counter)).toBeUndefined();
    expect(call('PoRegisterDeviceForIdleDetection', device, -1, -1, 4)).toBe(nullVa);
  });

  it('ends with the device', () => {
    const counter = call('PoRegisterDeviceForIdleDetection', device, 10, 20, 4) as Va;
    call('IoDeleteDevice', device);
    expect(kernel.nt.pool.blockAt(counter)).toBeUndefined();
  });
});

it('a wait/wake request that woke the system is one that was marked so', () => {
  const irp = call('IoAllocateIrp', 1, 0);
  expect(call('PoGetSystemWake', irp)).toBe(0);
  call('PoSetSystemWake', irp);
  expect(call('PoGetSystemWake', irp)).toBe(1);
  call('IoReuseIrp', irp, 0);
  expect(call('PoGetSystemWake', irp)).toBe(0);
});

it('PoQueryWatchdogTime: no watchdog is set', () => {
  expect(call('PoQueryWatchdogTime', nullVa, kernel.nt.pool.allocateKernel(8, 'Test'))).toBe(0);
});
