/**
 * Frames of the routines that handle exceptions. They are resume frames (`declare/call.ts`) with locals behind the
 * header, so that everything that walks stacks passes them, and a snapshot holds all that is going on.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { writeFrameHeader } from '../declare/call.ts';
import type { ResumeEntry } from '../host-entries.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { DISPATCH_FRAME, UNWIND_FRAME } from '../structures/exception.ts';

const argumentRegisters = [Gpr.Rcx, Gpr.Rdx, Gpr.R8, Gpr.R9] as const;

/**
 * Makes room for a frame of the given layout below `stack`, where the return address of the frame's routine lies.
 * Returns its address; RSP does not change before {@link enterFromFrame}.
 */
export function makeFrame(
  nt: Nt,
  stack: Va,
  layout: { readonly sizeBytes: number },
  image: KernelImage | undefined,
): Va {
  const frame = (Math.floor((stack - layout.sizeBytes) / 16) * 16) as Va;
  const { memory } = nt;
  // From the far end: a stack without room is noticed before anything is lost.
  memory.fill(vaAdd(frame, -8), stack - frame + 8, 0);
  writeFrameHeader(nt, frame, stack, [], image);
  return frame;
}

/** Enters a routine of the guest that returns to `resumeVa` with RSP = `frame`. */
export function enterFromFrame(nt: Nt, frame: Va, routine: Va, args: readonly Va[], resumeVa: Va): void {
  const { state } = nt.cpu;
  nt.memory.writeVa(vaAdd(frame, -8), resumeVa);
  for (let index = 0; index < args.length; index++) {
    state.setGprVa(argumentRegisters[index] as Gpr, args[index] as Va);
  }
  state.setGprVa(Gpr.Rsp, vaAdd(frame, -8));
  state.rip = routine;
}

/** The two routines that call language handlers; a handler returns to their resume point of this name. */
export const dispatchRoutine = 'RtlDispatchException';
export const unwindRoutine = 'RtlUnwindEx';
export const handlerReturned = 'handlerReturned';

/**
 * What a routine of the kernel means to a search or an unwind that comes to its frame: a language handler that it
 * called was interrupted by another exception, and where it kept its DISPATCHER_CONTEXT.
 */
export function interruptedHandler(
  entry: ResumeEntry,
  frame: Va,
): { readonly by: 'search' | 'unwind'; readonly dispatcher: Va } | undefined {
  if (entry.point !== handlerReturned) return undefined;
  if (entry.routine.name === dispatchRoutine) return { by: 'search', dispatcher: DISPATCH_FRAME.Dispatcher.at(frame) };
  if (entry.routine.name === unwindRoutine) return { by: 'unwind', dispatcher: UNWIND_FRAME.Dispatcher.at(frame) };
  return undefined;
}
