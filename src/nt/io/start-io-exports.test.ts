import { beforeEach, describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { makeDevice } from '../../../test/test-device.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { DEVICE_OBJECT } from '../structures/io.ts';
import { KDEVICE_QUEUE } from '../structures/ke.ts';

describe('a device queue', () => {
  let kernel: KernelCaller;
  let queue: Va;

  beforeEach(() => {
    kernel = new KernelCaller();
    queue = kernel.nt.pool.allocateKernel(KDEVICE_QUEUE.sizeBytes, 'Test');
    kernel.call('KeInitializeDeviceQueue', queue);
  });

  const entry = (): Va => kernel.nt.pool.allocateKernel(0x20, 'Test');
  const isBusy = (): boolean => KDEVICE_QUEUE.Busy.get(kernel.nt.memory, queue) !== 0;

  it('takes nothing while it is idle, and is busy then', () => {
    expect(isBusy()).toBe(false);
    expect(kernel.call('KeInsertDeviceQueue', queue, entry())).toBe(0);
    expect(isBusy()).toBe(true);
    expect(kernel.call('KeRemoveDeviceQueue', queue)).toBe(nullVa);
    expect(isBusy()).toBe(false);
  });

  it('is first in, first out', () => {
    const [running, first, second] = [entry(), entry(), entry()];
    kernel.call('KeInsertDeviceQueue', queue, running);
    expect(kernel.call('KeInsertDeviceQueue', queue, first)).toBe(1);
    expect(kernel.call('KeInsertDeviceQueue', queue, second)).toBe(1);
    expect(kernel.call('KeRemoveDeviceQueue', queue)).toBe(first);
    expect(kernel.call('KeRemoveDeviceQueue', queue)).toBe(second);
    expect(isBusy()).toBe(true);
  });

  it('sorts by key, equal ones as they come, and is swept upwards', () => {
    const [running, nine, one, five, otherFive] = [entry(), entry(), entry(), entry(), entry()];
    expect(kernel.call('KeInsertByKeyDeviceQueue', queue, running, 3)).toBe(0);
    for (const [at, key] of [
      [nine, 9],
      [one, 1],
      [five, 5],
      [otherFive, 5],
    ] as const) {
      expect(kernel.call('KeInsertByKeyDeviceQueue', queue, at, key)).toBe(1);
    }
    const remove = (key: number): number => kernel.call('KeRemoveByKeyDeviceQueue', queue, key);
    expect(remove(5)).toBe(five);
    expect(remove(5)).toBe(otherFive);
    // None is as large: from the start again.
    expect(remove(10)).toBe(one);
    expect(kernel.call('KeRemoveEntryDeviceQueue', queue, one)).toBe(0);
    expect(kernel.call('KeRemoveEntryDeviceQueue', queue, nine)).toBe(1);
    expect(remove(0)).toBe(nullVa);
    expect(isBusy()).toBe(false);
  });
});

describe('IoStartNextPacketByKey', () => {
  it('hands StartIo the next request from the key on, and the device is idle behind the last', () => {
    const code = new GuestCode(
      `
      startIo: enter
        mov rbx, rdx
        call KeGetCurrentIrql()
        log rax
        log rbx
        leave
      drive: enter
        call KeRaiseIrqlToDpcLevel()
        mov rax, device
        mov rbx, [rax]
        call IoStartNextPacketByKey(rbx, 0, 7)
        call IoStartNextPacketByKey(rbx, 0, 7)
        call IoStartNextPacketByKey(rbx, 0, 7)
        call KeLowerIrql(0)
        leave`,
      ['device', 'key'],
    );
    const { nt } = code;
    const { device } = makeDevice(code, {}, { startIo: 'startIo' });
    nt.memory.writeVa(code.at('device'), device);
    const irps = [5, 6, 8].map((key) => {
      const irp = code.call('IoAllocateIrp', 1, 0) as Va;
      nt.memory.writeU32(code.at('key'), key);
      code.call('IoStartPacket', device, irp, code.at('key'), 0);
      return irp >>> 0;
    });
    expect(code.logged).toEqual([2, irps[0]]);
    code.start('drive');
    expect(code.run().slice(2)).toEqual([2, irps[2], 2, irps[1]]);
    expect(DEVICE_OBJECT.CurrentIrp.get(nt.memory, device)).toBe(nullVa);
    expect(KDEVICE_QUEUE.Busy.get(nt.memory, vaAdd(DEVICE_OBJECT.DeviceQueue.at(device), 0))).toBe(0);
  });
});
