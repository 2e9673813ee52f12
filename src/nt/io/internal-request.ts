/** Requests that the kernel itself makes and waits for: create, cleanup, close. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { callGuest, type Outcome, type Wait } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP } from '../structures/io.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

/** Status block and event of a request that the kernel itself waits for. */
const waitBlockBytes = IO_STATUS_BLOCK.sizeBytes + KEVENT.sizeBytes;
export const eventOf = (block: Va): Va => vaAdd(block, IO_STATUS_BLOCK.sizeBytes);

/** Makes an IRP for `file`'s device stack that the kernel waits for, with its stack location filled in by `fill`. */
export function internalRequest(
  nt: Nt,
  file: Va,
  flags: number,
  major: number,
  fill: (location: Va, irp: Va) => void,
  outputBytes = 0,
): { irp: Va; device: Va; block: Va } {
  const device = nt.io.devices.top(nt.io.files.device(file));
  const irp = nt.io.irps.allocateForRequest(DEVICE_OBJECT.StackSize.get(nt.memory, device), {
    file: nullVa,
    outputBytes,
  });
  const block = nt.pool.allocateKernel(waitBlockBytes, 'IoWt');
  nt.dispatcher.initialise(eventOf(block), DispatcherType.EventNotification, 6, 0);
  IRP.Flags.set(nt.memory, irp, flags);
  IRP.UserIosb.set(nt.memory, irp, block);
  IRP.UserEvent.set(nt.memory, irp, eventOf(block));
  IRP.OriginalFileObject.set(nt.memory, irp, file);
  const location = nt.io.irps.nextLocation(irp);
  IO_STACK_LOCATION.MajorFunction.set(nt.memory, location, major);
  IO_STACK_LOCATION.FileObject.set(nt.memory, location, file);
  fill(location, irp);
  return { irp, device, block };
}

export function waitFor(event: Va, resume: string, record: readonly number[]): Wait {
  return {
    action: 'wait',
    objects: [event],
    waitAll: false,
    alertable: false,
    waitMode: 0,
    dueTime: undefined,
    resume,
    record,
  };
}

export const forward = (nt: Nt, device: Va, irp: Va, resume: string, record: readonly number[]): Outcome =>
  callGuest(nt.entries.routineVa('IofCallDriver'), [device, irp], resume, record);
