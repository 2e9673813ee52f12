/**
 * The search for a handler: RtlDispatchException, which walks the stack and asks each frame's language handler. The
 * search stands on the guest's stack in a {@link DISPATCH_FRAME} just below the faulting instruction's RSP, as if that
 * instruction had called it.
 */
import { type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { UnwindContext } from '../../image/unwind/index.ts';
import type { ResumedCall } from '../declare/call.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { continueGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { pointerTo } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_DISPOSITION, STATUS_NONCONTINUABLE_EXCEPTION } from '../ntstatus.ts';
import {
  CONTEXT,
  DISPATCH_FRAME,
  DISPATCHER_CONTEXT,
  Disposition,
  EXCEPTION_RECORD,
  ExceptionFlag,
  maximumExceptionParameters,
} from '../structures/exception.ts';
import { dispatchRoutine, enterFromFrame, interruptedHandler, makeFrame } from './exception-frame.ts';
import { doubleFault } from './fault-decision.ts';
import {
  contextRsp,
  processorContext,
  readContext,
  restoreContext,
  writeContext,
  writeProcessorContext,
} from './guest-context.ts';
import { type StackEnd, stackEndOf, unhandledException } from './unhandled-exception.ts';
import { driverImageAt, type FrameHandler, type FunctionFrame, stepUp, writeDispatcher } from './unwind-frame.ts';

export interface RaisedException {
  readonly status: number;
  /** {@link ExceptionFlag} */
  readonly flags: number;
  readonly address: bigint;
  readonly information: readonly bigint[];
}

/** Raises an exception at `context`, with a new record. The processor's state is then where a handler starts. */
export function raiseException(nt: Nt, exception: RaisedException, context: UnwindContext): void {
  const frame = makeDispatchFrame(nt, context);
  const record = DISPATCH_FRAME.OwnRecord.at(frame);
  writeRecord(nt, record, exception);
  DISPATCH_FRAME.Record.set(nt.memory, frame, record);
  DISPATCH_FRAME.Flags.set(nt.memory, frame, exception.flags & ExceptionFlag.NonContinuable);
  searchOn(nt, frame);
}

/** Raises the exception that the record at `record` describes. */
export function raiseRecord(nt: Nt, record: Va, context: UnwindContext): void {
  const frame = makeDispatchFrame(nt, context);
  const flags = EXCEPTION_RECORD.ExceptionFlags.get(nt.memory, record);
  EXCEPTION_RECORD.ExceptionAddress.set(nt.memory, record, context.rip);
  DISPATCH_FRAME.Record.set(nt.memory, frame, record);
  DISPATCH_FRAME.Flags.set(nt.memory, frame, flags & ExceptionFlag.NonContinuable);
  searchOn(nt, frame);
}

export function writeRecord(nt: Nt, record: Va, exception: RaisedException): void {
  const { memory } = nt;
  const information = exception.information.slice(0, maximumExceptionParameters);
  EXCEPTION_RECORD.ExceptionCode.set(memory, record, exception.status);
  EXCEPTION_RECORD.ExceptionFlags.set(memory, record, exception.flags);
  EXCEPTION_RECORD.ExceptionAddress.set(memory, record, exception.address);
  EXCEPTION_RECORD.NumberParameters.set(memory, record, information.length);
  const words = EXCEPTION_RECORD.ExceptionInformation.at(record);
  for (const [index, word] of information.entries()) memory.writeU64(vaAdd(words, index * 8), word);
}

/** Throws BugCheck if the stack has no room for it. */
function makeDispatchFrame(nt: Nt, context: UnwindContext): Va {
  try {
    return writeDispatchFrame(nt, context);
  } catch (thrown) {
    if (thrown instanceof GuestFault) throw doubleFault(contextRsp(context), vaFromU64(context.rip));
    throw thrown;
  }
}

function writeDispatchFrame(nt: Nt, context: UnwindContext): Va {
  // The interrupted address lies below the interrupted RSP, where a call would have put it.
  const stack = vaAdd(contextRsp(context), -8);
  const frame = makeFrame(nt, stack, DISPATCH_FRAME, driverImageAt(nt, vaFromU64(context.rip)));
  nt.memory.writeU64(stack, context.rip);
  const at = DISPATCH_FRAME.Context.at(frame);
  writeProcessorContext(nt, at, context);
  nt.memory.writeBytes(DISPATCH_FRAME.Walking.at(frame), nt.memory.readBytes(at, CONTEXT.sizeBytes));
  return frame;
}

/** Goes up from the frame in `Walking` to the next one with a handler and enters that. */
function searchOn(nt: Nt, frame: Va): void {
  const walking = DISPATCH_FRAME.Walking.at(frame);
  for (let context = readContext(nt, walking); ; ) {
    const step = stepUp(nt, context, 'exception');
    if (step.kind === 'end') unhandled(nt, frame, undefined);
    if (step.kind === 'kernel') {
      const end = stackEndOf(step.entry);
      if (end !== undefined) unhandled(nt, frame, end);
      const interrupted = interruptedHandler(step.entry, step.frame);
      if (interrupted?.by === 'unwind') {
        enterCollided(nt, frame, interrupted.dispatcher);
        return;
      }
      if (interrupted) passNestedSearch(nt, frame, interrupted.dispatcher);
    }
    if (step.kind === 'function' && step.frame.handler !== undefined) {
      writeContext(nt, walking, step.context);
      enterHandler(nt, frame, context.rip, step.frame, step.frame.handler);
      return;
    }
    if (!nt.memory.isAccessible(contextRsp(step.context), 8, Access.Read)) unhandled(nt, frame, undefined);
    context = step.context;
  }
}

/** An exception in a handler: what the interrupted search has passed is marked as nested. */
function passNestedSearch(nt: Nt, frame: Va, interruptedDispatcher: Va): void {
  const { memory } = nt;
  const seen = DISPATCHER_CONTEXT.EstablisherFrame.get(memory, interruptedDispatcher);
  DISPATCH_FRAME.Flags.set(memory, frame, DISPATCH_FRAME.Flags.get(memory, frame) | ExceptionFlag.NestedCall);
  const nested = DISPATCH_FRAME.NestedFrame.get(memory, frame);
  if (nested === 0 || seen > nested) DISPATCH_FRAME.NestedFrame.set(memory, frame, seen);
}

function enterHandler(nt: Nt, frame: Va, controlPc: bigint, found: FunctionFrame, handler: FrameHandler): void {
  writeDispatcher(nt, DISPATCH_FRAME.Dispatcher.at(frame), controlPc, found, handler);
  callHandler(nt, frame);
}

/** Calls the language handler that the frame's DISPATCHER_CONTEXT names. */
function callHandler(nt: Nt, frame: Va): void {
  const { memory } = nt;
  const dispatcher = DISPATCH_FRAME.Dispatcher.at(frame);
  const record = DISPATCH_FRAME.Record.get(memory, frame);
  const establisher = DISPATCHER_CONTEXT.EstablisherFrame.get(memory, dispatcher);
  EXCEPTION_RECORD.ExceptionFlags.set(memory, record, DISPATCH_FRAME.Flags.get(memory, frame));
  DISPATCHER_CONTEXT.ContextRecord.set(memory, dispatcher, DISPATCH_FRAME.Walking.at(frame));
  const handler = DISPATCHER_CONTEXT.LanguageHandler.get(memory, dispatcher);
  const args = [record, establisher, DISPATCH_FRAME.Context.at(frame), dispatcher];
  enterFromFrame(nt, frame, handler, args, nt.entries.resumeVa(dispatchRoutine, 'handlerReturned'));
}

/** The search met an unwind that was under way: it goes on with the frame that was being unwound, at its next scope. */
function enterCollided(nt: Nt, frame: Va, dispatcherOfUnwind: Va): void {
  const { memory } = nt;
  const dispatcher = DISPATCH_FRAME.Dispatcher.at(frame);
  memory.writeBytes(dispatcher, memory.readBytes(dispatcherOfUnwind, DISPATCHER_CONTEXT.sizeBytes));
  const context = readContext(nt, DISPATCHER_CONTEXT.ContextRecord.get(memory, dispatcherOfUnwind));
  const controlPc = DISPATCHER_CONTEXT.ControlPc.get(memory, dispatcherOfUnwind);
  const step = stepUp(nt, { ...context, rip: controlPc }, 'none');
  if (step.kind === 'end') unhandled(nt, frame, undefined);
  writeContext(nt, DISPATCH_FRAME.Walking.at(frame), step.context);
  callHandler(nt, frame);
}

function unhandled(nt: Nt, frame: Va, end: StackEnd | undefined): never {
  throw unhandledException(nt, end, DISPATCH_FRAME.Record.get(nt.memory, frame), DISPATCH_FRAME.Context.at(frame));
}

/** A language handler returned its disposition. */
function handlerReturned(nt: Nt, frame: Va, disposition: number): Outcome {
  const { memory } = nt;
  const record = DISPATCH_FRAME.Record.get(memory, frame);
  const dispatcher = DISPATCH_FRAME.Dispatcher.at(frame);
  const fromHandler = EXCEPTION_RECORD.ExceptionFlags.get(memory, record) & ExceptionFlag.NonContinuable;
  let flags = DISPATCH_FRAME.Flags.get(memory, frame) | fromHandler;
  const establisher = DISPATCHER_CONTEXT.EstablisherFrame.get(memory, dispatcher);
  if (DISPATCH_FRAME.NestedFrame.get(memory, frame) === establisher) {
    flags &= ~ExceptionFlag.NestedCall;
    DISPATCH_FRAME.NestedFrame.set(memory, frame, 0 as Va);
  }
  DISPATCH_FRAME.Flags.set(memory, frame, flags);
  switch (disposition) {
    case Disposition.ContinueSearch:
      searchOn(nt, frame);
      return continueGuest;
    case Disposition.ContinueExecution:
      if ((flags & ExceptionFlag.NonContinuable) !== 0) {
        raiseHere(nt, STATUS_NONCONTINUABLE_EXCEPTION);
      } else {
        restoreContext(nt, DISPATCH_FRAME.Context.at(frame));
      }
      return continueGuest;
    case Disposition.NestedException:
    case Disposition.CollidedUnwind:
      return unsupported(
        'a language handler of the driver that answers ExceptionNestedException or ExceptionCollidedUnwind',
      );
    default:
      raiseHere(nt, STATUS_INVALID_DISPOSITION);
      return continueGuest;
  }
}

/** RtlRaiseStatus from where the kernel stands now. */
export function raiseHere(nt: Nt, status: number): void {
  const context = processorContext(nt);
  raiseException(nt, { status, flags: ExceptionFlag.NonContinuable, address: context.rip, information: [] }, context);
}

export const exceptionDispatching = ntInternals({
  [dispatchRoutine]: ntRoutine({
    doc: 'the search for an exception handler; entered by faults and raised exceptions only',
    irql: ['PASSIVE', 'HIGH'],
    params: { ExceptionRecord: pointerTo('EXCEPTION_RECORD'), ContextRecord: pointerTo('CONTEXT') },
    returns: 'BOOLEAN',
    body: () => unsupported('a call of RtlDispatchException'),
    resume: {
      handlerReturned: (nt: Nt, call: ResumedCall) => handlerReturned(nt, nt.cpu.state.gprVa(Gpr.Rsp), call.status),
    },
  }),
});
