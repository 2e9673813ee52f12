import { expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { IRP } from '../structures/io.ts';

/** An IRP of the driver's own that was sent nowhere, completed as `change` left it; the bug check. */
function completed(change: (kernel: KernelCaller, irp: Va) => void): BugCheck | undefined {
  const kernel = new KernelCaller();
  const irp = kernel.call('IoAllocateIrp', 1, 0) as Va;
  change(kernel, irp);
  try {
    kernel.outcome('IofCompleteRequest', irp, 0);
  } catch (error) {
    if (error instanceof BugCheck) return error;
    throw error;
  }
  return undefined;
}

it.each([0x103, 0xffff_ffff])('an IRP that is completed with the status %i is 0xC9/0x6', (status) => {
  let sent: Va = nullVa;
  const bugCheck = completed(({ nt }, irp) => {
    sent = irp;
    IRP.Status.set(nt.memory, irp, status);
  });
  expect(bugCheck).toMatchObject({ code: 0xc9, parameters: [0x6, status, sent, 0] });
});

it('an IRP that is completed while its cancel routine is set is 0xC9/0x7', () => {
  let sent: Va = nullVa;
  const routine = 0x1234_5678 as Va;
  const bugCheck = completed(({ nt }, irp) => {
    sent = irp;
    IRP.Status.set(nt.memory, irp, 0);
    IRP.CancelRoutine.set(nt.memory, irp, routine);
  });
  expect(bugCheck).toMatchObject({ code: 0xc9, parameters: [0x7, routine, sent, 0] });
});
