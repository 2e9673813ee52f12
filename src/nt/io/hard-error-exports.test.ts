import { expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { IO_STACK_LOCATION, IRP } from '../structures/io.ts';

it('remembers for a thread which device is to be verified', () => {
  const kernel = new KernelCaller();
  const { nt } = kernel;
  const irp = kernel.callVa('IoAllocateIrp', 1, 0);
  const thread = nt.scheduler.currentThread.kthread;
  const device = 0x1234;
  kernel.call('IoSetHardErrorOrVerifyDevice', irp, device);
  expect(kernel.call('IoGetDeviceToVerify', thread)).toBe(nullVa);
  IRP.Thread.set(nt.memory, irp, thread);
  kernel.call('IoSetHardErrorOrVerifyDevice', irp, device);
  expect(kernel.call('IoGetDeviceToVerify', thread)).toBe(device);
  kernel.call('IoSetDeviceToVerify', thread, nullVa);
  expect(kernel.call('IoGetDeviceToVerify', thread)).toBe(nullVa);
});

it('IoRaiseHardError completes the request with its status', () => {
  const code = new GuestCode(`
    completed: enter
      mov eax, [rdx+30h]
      log rax
      mov eax, 0xc0000016
      leave`);
  const { memory, io } = code.nt;
  const irp = code.call('IoAllocateIrp', 2, 0) as Va;
  const location = io.irps.nextLocation(irp);
  IO_STACK_LOCATION.CompletionRoutine.set(memory, location, code.at('completed'));
  IO_STACK_LOCATION.Control.set(memory, location, 0xe0);
  // Sent to a device, as IofCallDriver does.
  IRP.CurrentStackLocation.set(memory, irp, location);
  IRP.CurrentLocation.set(memory, irp, IRP.CurrentLocation.get(memory, irp) - 1);
  IRP.Status.set(memory, irp, 0xc000_0185);
  code.call('IoRaiseHardError', irp, nullVa, nullVa);
  expect(code.logged).toEqual([0xc000_0185]);
});

it('nobody reads messages', () => {
  expect(new KernelCaller().call('IoRaiseInformationalHardError', 0xc000_0013, nullVa, nullVa)).toBe(0);
});

it.each([
  [1, 0],
  [0, 1],
])('IoSetStartIoAttributes with %i, %i is not supported', (deferred, nonCancelable) => {
  const outcome = new KernelCaller().outcome('IoSetStartIoAttributes', 0x1000, deferred, nonCancelable);
  expect(outcome).toMatchObject({ action: 'unsupported' });
});
