/** Plug-and-play and power requests that the kernel sends to a device stack. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { ResumedCall } from '../declare/call.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { waitFor } from '../io/internal-request.ts';
import type { Nt } from '../nt.ts';
import { STATUS_NOT_SUPPORTED, STATUS_PENDING, STATUS_TIMEOUT } from '../ntstatus.ts';
import { DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP } from '../structures/io.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

const eventOf = (block: Va): Va => vaAdd(block, IO_STATUS_BLOCK.sizeBytes);

export interface StackRequest {
  /** Device on top of the stack. */
  readonly device: Va;
  readonly irp: Va;
  /** Status block and event; freed by whoever sends the request. */
  readonly block: Va;
}

/** An IRP for the stack that `device` belongs to, with the status that says that nobody handled it. */
export function makeStackRequest(
  nt: Nt,
  device: Va,
  major: number,
  minor: number,
  fill: (location: Va, irp: Va) => void = () => {},
): StackRequest {
  const { memory } = nt;
  const top = nt.io.devices.top(device);
  const stackSize = DEVICE_OBJECT.StackSize.get(memory, top);
  const irp = nt.io.irps.allocateForRequest(stackSize, { file: nullVa, outputBytes: 0 });
  const block = nt.pool.allocateKernel(IO_STATUS_BLOCK.sizeBytes + KEVENT.sizeBytes, 'PnpW');
  nt.dispatcher.initialise(eventOf(block), DispatcherType.EventNotification, KEVENT.sizeBytes / 4, 0);
  IRP.Status.set(memory, irp, STATUS_NOT_SUPPORTED);
  IRP.UserIosb.set(memory, irp, block);
  IRP.UserEvent.set(memory, irp, eventOf(block));
  const location = nt.io.irps.nextLocation(irp);
  IO_STACK_LOCATION.MajorFunction.set(memory, location, major);
  IO_STACK_LOCATION.MinorFunction.set(memory, location, minor);
  fill(location, irp);
  return { device: top, irp, block };
}

/** The record of {@link stackRequestResume} starts with the request's block and IRP. */
export function sendStackRequest(nt: Nt, { device, irp, block }: StackRequest, record: readonly number[]): Outcome {
  nt.io.irps.adopt(irp);
  return callGuest(nt.entries.routineVa('IofCallDriver'), [device, irp], 'dispatched', [block, irp, ...record]);
}

export interface StackAnswer {
  readonly status: number;
  readonly information: Va;
}

/** Ten minutes: what a driver gets for a power request before Windows stops (bug check 0x9F). */
const powerPatience100ns = 6_000_000_000;

/**
 * Resume points `dispatched` and `completed`; `answered` goes on with what came back. `isWatched`: of a power request, that
 * the power manager stops Windows if drivers keep it too long; `pdo` is its stack's.
 */
export function stackRequestResume(
  answered: (nt: Nt, call: ResumedCall, answer: StackAnswer) => Outcome,
  isWatched: (nt: Nt, call: ResumedCall) => { readonly pdo: Va } | undefined = () => undefined,
) {
  const finish = (nt: Nt, call: ResumedCall, status: number | undefined): Outcome => {
    const block = call.va(0);
    const answer = {
      status: status ?? IO_STATUS_BLOCK.Status.get(nt.memory, block),
      information: nt.memory.readVa(IO_STATUS_BLOCK.Information.at(block)),
    };
    nt.pool.freeKernel(block);
    return answered(nt, call, answer);
  };
  const wait = (nt: Nt, call: ResumedCall): Outcome => {
    const waiting = waitFor(eventOf(call.va(0)), 'completed', call.record);
    if (isWatched(nt, call) === undefined) return waiting;
    return { ...waiting, dueTime: nt.clock.interruptTime + powerPatience100ns };
  };
  return {
    // A driver that says "done" of a request that a lower driver still has must not have its status block freed.
    dispatched: (nt: Nt, call: ResumedCall): Outcome =>
      call.status === STATUS_PENDING || nt.io.irps.isOwnRequest(call.va(1))
        ? wait(nt, call)
        : finish(nt, call, call.status),
    completed: (nt: Nt, call: ResumedCall): Outcome => {
      const watched = isWatched(nt, call);
      if (watched !== undefined && call.status === STATUS_TIMEOUT) {
        const summary = 'drivers kept a power request for ten minutes without completing it';
        throw new BugCheck(0x9f, [3, watched.pdo, 0, call.va(1)], summary);
      }
      return finish(nt, call, undefined);
    },
  };
}
