/**
 * Unwinding: RtlUnwindEx, which walks the stack a second time up to the frame that handles the exception (or to which
 * control shall go), lets each frame's language handler clean up, and goes on there.
 */
import { type Va, vaAdd } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import { Access } from '../../engine/memory/layout.ts';
import type { UnwindContext } from '../../image/unwind/index.ts';
import type { ResumedCall } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { continueGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_DISPOSITION, STATUS_LONGJUMP, STATUS_UNWIND, STATUS_UNWIND_CONSOLIDATE } from '../ntstatus.ts';
import {
  CONTEXT,
  DISPATCHER_CONTEXT,
  Disposition,
  EXCEPTION_RECORD,
  ExceptionFlag,
  UNWIND_FRAME,
} from '../structures/exception.ts';
import { raiseHere, writeRecord } from './dispatch-exception.ts';
import { enterFromFrame, handlerReturned, interruptedHandler, makeFrame, unwindRoutine } from './exception-frame.ts';
import {
  contextRsp,
  processorContext,
  readContext,
  restoreContext,
  writeContext,
  writeProcessorContext,
} from './guest-context.ts';
import { unhandledException } from './unhandled-exception.ts';
import { stepUp, writeDispatcher } from './unwind-frame.ts';

export interface UnwindRequestOf {
  /** The null address unwinds everything. */
  readonly targetFrame: Va;
  readonly targetIp: bigint;
  /** The null address: a record of STATUS_UNWIND is made. */
  readonly record: Va;
  /** RAX at the target. */
  readonly returnValue: bigint;
}

/**
 * Unwinds from the caller of the routine whose return address lies at `stack`. Control does not come back there: it
 * goes on at the target.
 */
export function unwindStack(nt: Nt, request: UnwindRequestOf, stack: Va, image: KernelImage | undefined): Outcome {
  const { memory } = nt;
  const code = request.record === 0 ? STATUS_UNWIND : EXCEPTION_RECORD.ExceptionCode.get(memory, request.record);
  if (code === STATUS_UNWIND_CONSOLIDATE || code === STATUS_LONGJUMP)
    return unsupported('RtlUnwindEx for C++ or longjmp');
  const context = processorContext(nt, memory.readU64(stack), vaAdd(stack, 8));
  const frame = makeFrame(nt, stack, UNWIND_FRAME, image);
  const ownRecord = UNWIND_FRAME.OwnRecord.at(frame);
  if (request.record === 0) {
    writeRecord(nt, ownRecord, { status: STATUS_UNWIND, flags: 0, address: context.rip, information: [] });
  }
  UNWIND_FRAME.Record.set(memory, frame, request.record === 0 ? ownRecord : request.record);
  UNWIND_FRAME.TargetFrame.set(memory, frame, request.targetFrame);
  UNWIND_FRAME.TargetIp.set(memory, frame, request.targetIp);
  UNWIND_FRAME.ReturnValue.set(memory, frame, request.returnValue);
  const exit = request.targetFrame === 0 ? ExceptionFlag.ExitUnwind : 0;
  UNWIND_FRAME.Flags.set(memory, frame, ExceptionFlag.Unwinding | exit);
  writeProcessorContext(nt, UNWIND_FRAME.Current.at(frame), context);
  unwindOn(nt, frame);
  return continueGuest;
}

/** Goes up from the frame in `Current` to the next one with a handler and enters that, or reaches the target. */
function unwindOn(nt: Nt, frame: Va): void {
  const { memory } = nt;
  const current = UNWIND_FRAME.Current.at(frame);
  const target = UNWIND_FRAME.TargetFrame.get(memory, frame);
  for (let context = readContext(nt, current); ; ) {
    const step = stepUp(nt, context, 'unwind');
    if (step.kind === 'end') badStack(nt, frame);
    if (step.kind === 'kernel') {
      const interrupted = interruptedHandler(step.entry, step.frame);
      if (interrupted?.by === 'unwind') {
        enterCollided(nt, frame, interrupted.dispatcher);
        return;
      }
    }
    if (step.kind === 'function') {
      const { establisherFrame, handler } = step.frame;
      if (handler !== undefined) {
        writeContext(nt, current, context);
        writeDispatcher(nt, UNWIND_FRAME.Dispatcher.at(frame), context.rip, step.frame, handler);
        callHandler(nt, frame, 0);
        return;
      }
      if (establisherFrame === target) {
        writeContext(nt, current, context);
        finish(nt, frame);
        return;
      }
    }
    checkStack(nt, frame, step.context);
    context = step.context;
  }
}

function checkStack(nt: Nt, frame: Va, caller: UnwindContext): void {
  if (!nt.memory.isAccessible(contextRsp(caller), 8, Access.Read)) badStack(nt, frame);
}

/** Calls the language handler that the frame's DISPATCHER_CONTEXT names. */
function callHandler(nt: Nt, frame: Va, moreFlags: number): void {
  const { memory } = nt;
  const dispatcher = UNWIND_FRAME.Dispatcher.at(frame);
  const record = UNWIND_FRAME.Record.get(memory, frame);
  const current = UNWIND_FRAME.Current.at(frame);
  const establisher = DISPATCHER_CONTEXT.EstablisherFrame.get(memory, dispatcher);
  const isTarget = establisher === UNWIND_FRAME.TargetFrame.get(memory, frame);
  const flags = UNWIND_FRAME.Flags.get(memory, frame) | moreFlags | (isTarget ? ExceptionFlag.TargetUnwind : 0);
  EXCEPTION_RECORD.ExceptionFlags.set(memory, record, flags);
  // A handler may continue execution itself.
  memory.writeU64(CONTEXT.Gpr.at(current), UNWIND_FRAME.ReturnValue.get(memory, frame));
  DISPATCHER_CONTEXT.TargetIp.set(memory, dispatcher, UNWIND_FRAME.TargetIp.get(memory, frame));
  DISPATCHER_CONTEXT.ContextRecord.set(memory, dispatcher, current);
  const handler = DISPATCHER_CONTEXT.LanguageHandler.get(memory, dispatcher);
  const args = [record, establisher, current, dispatcher];
  enterFromFrame(nt, frame, handler, args, nt.entries.resumeVa(unwindRoutine, handlerReturned));
}

/** This unwind met an older one that was interrupted: it goes on in the older one's place, at its next scope. */
function enterCollided(nt: Nt, frame: Va, older: Va): void {
  const { memory } = nt;
  const dispatcher = UNWIND_FRAME.Dispatcher.at(frame);
  const context = readContext(nt, DISPATCHER_CONTEXT.ContextRecord.get(memory, older));
  const rip = DISPATCHER_CONTEXT.ControlPc.get(memory, older);
  memory.writeBytes(dispatcher, memory.readBytes(older, DISPATCHER_CONTEXT.sizeBytes));
  writeContext(nt, UNWIND_FRAME.Current.at(frame), { ...context, rip });
  callHandler(nt, frame, ExceptionFlag.CollidedUnwind);
}

/** Control goes on at the target, in the frame that is now current. */
function finish(nt: Nt, frame: Va): void {
  const { memory } = nt;
  const current = UNWIND_FRAME.Current.at(frame);
  memory.writeU64(CONTEXT.Gpr.at(current), UNWIND_FRAME.ReturnValue.get(memory, frame));
  CONTEXT.Rip.set(memory, current, UNWIND_FRAME.TargetIp.get(memory, frame));
  restoreContext(nt, current);
}

function badStack(nt: Nt, frame: Va): never {
  throw unhandledException(nt, undefined, UNWIND_FRAME.Record.get(nt.memory, frame), UNWIND_FRAME.Current.at(frame));
}

/** A language handler returned its disposition. */
function afterHandler(nt: Nt, frame: Va, disposition: number): Outcome {
  const { memory } = nt;
  if (disposition === Disposition.CollidedUnwind) {
    return unsupported('a language handler of the driver that answers ExceptionCollidedUnwind');
  }
  if (disposition !== Disposition.ContinueSearch) {
    raiseHere(nt, STATUS_INVALID_DISPOSITION);
    return continueGuest;
  }
  const establisher = DISPATCHER_CONTEXT.EstablisherFrame.get(memory, UNWIND_FRAME.Dispatcher.at(frame));
  if (establisher === UNWIND_FRAME.TargetFrame.get(memory, frame)) {
    finish(nt, frame);
    return continueGuest;
  }
  const step = stepUp(nt, readContext(nt, UNWIND_FRAME.Current.at(frame)), 'none');
  if (step.kind === 'end') badStack(nt, frame);
  checkStack(nt, frame, step.context);
  writeContext(nt, UNWIND_FRAME.Current.at(frame), step.context);
  unwindOn(nt, frame);
  return continueGuest;
}

const resume = {
  [handlerReturned]: (nt: Nt, call: ResumedCall) => afterHandler(nt, nt.cpu.state.gprVa(Gpr.Rsp), call.status),
};

export const rtlUnwinding = ntExports('ntoskrnl.exe', {
  RtlUnwindEx: ntRoutine({
    doc: 'ntdef.h; learn: nf-winnt-rtlunwindex',
    irql: ['PASSIVE', 'HIGH'],
    params: {
      TargetFrame: PVOID,
      TargetIp: PVOID,
      ExceptionRecord: pointerTo('EXCEPTION_RECORD'),
      ReturnValue: PVOID,
      OriginalContext: pointerTo('CONTEXT'),
      HistoryTable: PVOID,
    },
    returns: 'VOID',
    support: { partial: 'not for STATUS_UNWIND_CONSOLIDATE (C++) and STATUS_LONGJUMP' },
    body: (nt, { TargetFrame, ExceptionRecord }, call) =>
      unwindStack(
        nt,
        { targetFrame: TargetFrame, targetIp: call.raw(1), record: ExceptionRecord, returnValue: call.raw(3) },
        call.stack,
        call.image,
      ),
    resume,
  }),
  RtlUnwind: ntRoutine({
    doc: 'ntdef.h; learn: nf-winnt-rtlunwind',
    irql: ['PASSIVE', 'HIGH'],
    params: {
      TargetFrame: PVOID,
      TargetIp: PVOID,
      ExceptionRecord: pointerTo('EXCEPTION_RECORD'),
      ReturnValue: PVOID,
    },
    returns: 'VOID',
    body: (nt, { TargetFrame, ExceptionRecord }, call) =>
      unwindStack(
        nt,
        { targetFrame: TargetFrame, targetIp: call.raw(1), record: ExceptionRecord, returnValue: call.raw(3) },
        call.stack,
        call.image,
      ),
  }),
  _local_unwind: ntRoutine({
    doc: 'called by compiled code that leaves a __try block whose __finally must run',
    irql: ['PASSIVE', 'HIGH'],
    params: { TargetFrame: PVOID, TargetIp: PVOID },
    returns: 'VOID',
    body: (nt, { TargetFrame }, call) =>
      unwindStack(
        nt,
        { targetFrame: TargetFrame, targetIp: call.raw(1), record: 0 as Va, returnValue: 0n },
        call.stack,
        call.image,
      ),
  }),
});
