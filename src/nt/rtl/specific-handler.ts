/**
 * `__C_specific_handler`: the language handler of C functions with `__try`. Their scope table lists, inner scopes first,
 * which addresses each `__try` covers, its filter or `__finally`, and where its `__except` block stands.
 */
import { type Va, vaAdd, vaToU64 } from '../../base/va.ts';
import { Gpr } from '../../engine/cpu/state.ts';
import type { ResumedCall } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { continueGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, pointerTo } from '../declare/parameter-types.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import {
  DISPATCHER_CONTEXT,
  Disposition,
  EXCEPTION_RECORD,
  ExceptionFlag,
  SCOPE_RECORD,
  SPECIFIC_HANDLER_FRAME,
} from '../structures/exception.ts';
import { enterFromFrame, makeFrame } from './exception-frame.ts';
import { unwindStack } from './unwind-stack.ts';

const routineName = '__C_specific_handler';
/** In a scope's HandlerAddress: no filter, the block is always executed. */
const executeHandler = 1;

/** One call of the handler. */
interface Visit {
  readonly record: Va;
  readonly establisherFrame: Va;
  readonly context: Va;
  readonly dispatcher: Va;
  /** Where the return address lies. */
  readonly stack: Va;
  readonly image: KernelImage | undefined;
}

interface Scope {
  readonly begin: number;
  readonly end: number;
  readonly handler: number;
  /** 0: the handler is a `__finally`. */
  readonly jumpTarget: number;
}

function readScopes(nt: Nt, dispatcher: Va): readonly Scope[] {
  const { memory } = nt;
  const table = DISPATCHER_CONTEXT.HandlerData.get(memory, dispatcher);
  const count = memory.readU32(table);
  const scopes: Scope[] = [];
  for (let index = 0; index < count; index++) {
    const at = vaAdd(table, 4 + index * SCOPE_RECORD.sizeBytes);
    scopes.push({
      begin: SCOPE_RECORD.BeginAddress.get(memory, at),
      end: SCOPE_RECORD.EndAddress.get(memory, at),
      handler: SCOPE_RECORD.HandlerAddress.get(memory, at),
      jumpTarget: SCOPE_RECORD.JumpTarget.get(memory, at),
    });
  }
  return scopes;
}

const covers = (scope: Scope, rva: number): boolean => rva >= scope.begin && rva < scope.end;

function rvaOf(nt: Nt, visit: Visit, field: 'ControlPc' | 'TargetIp'): number {
  const base = DISPATCHER_CONTEXT.ImageBase.get(nt.memory, visit.dispatcher);
  return Number(BigInt.asIntN(64, DISPATCHER_CONTEXT[field].get(nt.memory, visit.dispatcher) - vaToU64(base)));
}

function visitScopes(nt: Nt, visit: Visit): Outcome {
  const flags = EXCEPTION_RECORD.ExceptionFlags.get(nt.memory, visit.record);
  const first = DISPATCHER_CONTEXT.ScopeIndex.get(nt.memory, visit.dispatcher);
  const isUnwinding = (flags & (ExceptionFlag.Unwinding | ExceptionFlag.ExitUnwind)) !== 0;
  return isUnwinding ? terminateScopes(nt, visit, first) : filterScopes(nt, visit, first);
}

/** The search: asks the filters of the scopes that cover the address, from scope `first` on. */
function filterScopes(nt: Nt, visit: Visit, first: number): Outcome {
  const scopes = readScopes(nt, visit.dispatcher);
  const controlPc = rvaOf(nt, visit, 'ControlPc');
  const index = scopes.findIndex((scope, at) => at >= first && covers(scope, controlPc) && scope.jumpTarget !== 0);
  const scope = scopes[index];
  if (scope === undefined) return Disposition.ContinueSearch;
  if (scope.handler === executeHandler) return execute(nt, visit, scope);
  const frame = pushVisit(nt, visit, index);
  const filter = vaAdd(DISPATCHER_CONTEXT.ImageBase.get(nt.memory, visit.dispatcher), scope.handler);
  const pointers = SPECIFIC_HANDLER_FRAME.Record.at(frame);
  enterFromFrame(
    nt,
    frame,
    filter,
    [pointers, visit.establisherFrame],
    nt.entries.resumeVa(routineName, 'filterReturned'),
  );
  return continueGuest;
}

function filterReturned(nt: Nt, call: ResumedCall): Outcome {
  const { visit, index } = popVisit(nt, call);
  const answer = call.status | 0;
  if (answer < 0) return Disposition.ContinueExecution;
  if (answer === 0) return filterScopes(nt, visit, index + 1);
  const scope = readScopes(nt, visit.dispatcher)[index];
  return scope === undefined ? Disposition.ContinueSearch : execute(nt, visit, scope);
}

/** Unwinds to the frame and goes on in the `__except` block, RAX = exception code. */
function execute(nt: Nt, visit: Visit, scope: Scope): Outcome {
  const base = DISPATCHER_CONTEXT.ImageBase.get(nt.memory, visit.dispatcher);
  const code = EXCEPTION_RECORD.ExceptionCode.get(nt.memory, visit.record);
  return unwindStack(
    nt,
    {
      targetFrame: visit.establisherFrame,
      targetIp: vaToU64(vaAdd(base, scope.jumpTarget)),
      record: visit.record,
      returnValue: BigInt.asUintN(64, BigInt(code | 0)),
    },
    visit.stack,
    visit.image,
  );
}

/** The unwind: runs the `__finally` handlers that control leaves, from scope `first` on. */
function terminateScopes(nt: Nt, visit: Visit, first: number): Outcome {
  const { memory } = nt;
  const scopes = readScopes(nt, visit.dispatcher);
  const controlPc = rvaOf(nt, visit, 'ControlPc');
  const isTarget = (EXCEPTION_RECORD.ExceptionFlags.get(memory, visit.record) & ExceptionFlag.TargetUnwind) !== 0;
  const targetIp = rvaOf(nt, visit, 'TargetIp');
  for (let index = first; index < scopes.length; index++) {
    const scope = scopes[index] as Scope;
    if (!covers(scope, controlPc)) continue;
    // Control stays within this scope, and so within all that follow.
    if (isTarget && scopes.some((other) => covers(other, targetIp) && isSameBlock(other, scope))) break;
    if (scope.jumpTarget !== 0) {
      if (isTarget && targetIp === scope.jumpTarget) break;
      continue;
    }
    DISPATCHER_CONTEXT.ScopeIndex.set(memory, visit.dispatcher, index + 1);
    const frame = pushVisit(nt, visit, index);
    const handler = vaAdd(DISPATCHER_CONTEXT.ImageBase.get(memory, visit.dispatcher), scope.handler);
    const resumeVa = nt.entries.resumeVa(routineName, 'terminationReturned');
    enterFromFrame(nt, frame, handler, [1 as Va, visit.establisherFrame], resumeVa);
    return continueGuest;
  }
  return Disposition.ContinueSearch;
}

/** The compiler may split one `__try` block over several scopes. */
function isSameBlock(left: Scope, right: Scope): boolean {
  return left.handler === right.handler && left.jumpTarget === right.jumpTarget;
}

function pushVisit(nt: Nt, visit: Visit, index: number): Va {
  const { memory } = nt;
  const frame = makeFrame(nt, visit.stack, SPECIFIC_HANDLER_FRAME, visit.image);
  SPECIFIC_HANDLER_FRAME.Record.set(memory, frame, visit.record);
  SPECIFIC_HANDLER_FRAME.Context.set(memory, frame, visit.context);
  SPECIFIC_HANDLER_FRAME.EstablisherFrame.set(memory, frame, visit.establisherFrame);
  SPECIFIC_HANDLER_FRAME.Dispatcher.set(memory, frame, visit.dispatcher);
  SPECIFIC_HANDLER_FRAME.ScopeIndex.set(memory, frame, index);
  return frame;
}

function popVisit(nt: Nt, call: ResumedCall): { visit: Visit; index: number } {
  const { memory } = nt;
  const frame = nt.cpu.state.gprVa(Gpr.Rsp);
  const visit: Visit = {
    record: SPECIFIC_HANDLER_FRAME.Record.get(memory, frame),
    establisherFrame: SPECIFIC_HANDLER_FRAME.EstablisherFrame.get(memory, frame),
    context: SPECIFIC_HANDLER_FRAME.Context.get(memory, frame),
    dispatcher: SPECIFIC_HANDLER_FRAME.Dispatcher.get(memory, frame),
    stack: call.stack,
    image: call.image,
  };
  return { visit, index: SPECIFIC_HANDLER_FRAME.ScopeIndex.get(memory, frame) };
}

export const rtlSpecificHandler = ntExports('ntoskrnl.exe', {
  [routineName]: ntRoutine({
    doc: 'ntdef.h; language handler named by the unwind data of functions with __try',
    irql: ['PASSIVE', 'HIGH'],
    params: {
      ExceptionRecord: pointerTo('EXCEPTION_RECORD'),
      EstablisherFrame: PVOID,
      ContextRecord: pointerTo('CONTEXT'),
      DispatcherContext: pointerTo('DISPATCHER_CONTEXT'),
    },
    returns: 'ULONG',
    body: (nt, { ExceptionRecord, EstablisherFrame, ContextRecord, DispatcherContext }, call) =>
      visitScopes(nt, {
        record: ExceptionRecord,
        establisherFrame: EstablisherFrame,
        context: ContextRecord,
        dispatcher: DispatcherContext,
        stack: call.stack,
        image: call.image,
      }),
    resume: {
      filterReturned,
      terminationReturned: (nt: Nt, call: ResumedCall) => {
        const { visit, index } = popVisit(nt, call);
        return terminateScopes(nt, visit, index + 1);
      },
    },
  }),
});
