import { expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { IRP } from '../structures/io.ts';

interface Wrong {
  readonly wrong: string;
  readonly value: number;
}

/** A request that a driver completes with a status and a cancel routine; what is wrong about it. */
function completed(status: number, cancelRoutine: Va = nullVa): Wrong[] {
  const kernel = new KernelCaller();
  const found: Wrong[] = [];
  kernel.nt.events.on('irpCompletedWrongly', ({ wrong, value }) => found.push({ wrong, value }));
  const irp = kernel.nt.io.irps.allocateForRequest(1, { file: nullVa, outputBytes: 0 });
  IRP.Status.set(kernel.nt.memory, irp, status);
  IRP.CancelRoutine.set(kernel.nt.memory, irp, cancelRoutine);
  kernel.outcome('IofCompleteRequest', irp, 0);
  return found;
}

it.each([0x103, 0xffff_ffff])('an IRP that is completed with the status %i is told of', (status) => {
  expect(completed(status)).toEqual([{ wrong: 'status', value: status }]);
});

it('an IRP that is completed while its cancel routine is set is told of', () => {
  expect(completed(0, 0x1234_5678 as Va)).toEqual([{ wrong: 'cancel-routine', value: 0x1234_5678 }]);
});

it('others are not', () => {
  expect(completed(0)).toEqual([]);
  expect(completed(0xc000_0120)).toEqual([]);
});
