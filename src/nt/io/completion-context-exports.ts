/**
 * IoSetCompletionRoutineEx: a completion routine that keeps its device, and with it the driver, from going while it runs.
 * Each call makes a context, which goes when the routine has run. One on an IRP that never completes is leaked, as is
 * the first of two that are set on the same stack location.
 */
import { vaToU64 } from '../../base/va.ts';
import { upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, pointerTo } from '../declare/parameter-types.ts';
import { pointer, struct } from '../declare/struct.ts';
import { tagOf } from '../ex/pool.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS } from '../ntstatus.ts';
import { referenceObject, releaseObjectLater } from '../ob/references.ts';
import { IO_STACK_LOCATION, StackControl } from '../structures/io.ts';
import { PoolType } from '../structures/pool.ts';

/** The I/O manager's own: drivers never see it. */
const completionContext = struct('IO_UNLOAD_SAFE_COMPLETION_CONTEXT', {
  DeviceObject: pointer,
  Context: pointer,
  CompletionRoutine: pointer,
});
const contextTag = tagOf('IoUs');

export const ioCompletionContexts = ntExports('ntoskrnl.exe', {
  IoSetCompletionRoutineEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosetcompletionroutineex',
    irql: upToDispatch,
    params: {
      DeviceObject: pointerTo('DEVICE_OBJECT'),
      Irp: pointerTo('IRP'),
      CompletionRoutine: PVOID,
      Context: PVOID,
      InvokeOnSuccess: BOOLEAN,
      InvokeOnError: BOOLEAN,
      InvokeOnCancel: BOOLEAN,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) => {
      const { memory } = nt;
      const request = {
        poolType: PoolType.NonPagedPoolNx,
        bytes: completionContext.sizeBytes,
        tag: contextTag,
        family: 'completion-context',
      } as const;
      const context = nt.pool.allocate(request, call);
      if (context === undefined) return STATUS_INSUFFICIENT_RESOURCES;
      completionContext.DeviceObject.set(memory, context, args.DeviceObject);
      memory.writeU64(completionContext.Context.at(context), call.raw(3));
      completionContext.CompletionRoutine.set(memory, context, args.CompletionRoutine);
      const location = nt.io.irps.nextLocation(args.Irp);
      const routine = nt.entries.routineVa('IopUnloadSafeCompletion');
      IO_STACK_LOCATION.CompletionRoutine.set(memory, location, routine);
      memory.writeU64(IO_STACK_LOCATION.Context.at(location), vaToU64(context));
      const control =
        (args.InvokeOnSuccess ? StackControl.InvokeOnSuccess : 0) |
        (args.InvokeOnError ? StackControl.InvokeOnError : 0) |
        (args.InvokeOnCancel ? StackControl.InvokeOnCancel : 0);
      IO_STACK_LOCATION.Control.set(memory, location, control);
      return STATUS_SUCCESS;
    },
  }),
});

export const ioCompletionContextInternals = ntInternals({
  /** Calls the driver's routine with its device kept alive. Record: [context, device]. */
  IopUnloadSafeCompletion: ntRoutine({
    doc: 'completion routine of IoSetCompletionRoutineEx',
    irql: upToDispatch,
    params: { DeviceObject: pointerTo('DEVICE_OBJECT'), Irp: pointerTo('IRP'), Context: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { DeviceObject, Irp, Context }) => {
      const { memory } = nt;
      const kept = completionContext.DeviceObject.get(memory, Context);
      referenceObject(nt, kept);
      const routine = completionContext.CompletionRoutine.get(memory, Context);
      const context = memory.readU64(completionContext.Context.at(Context));
      return callGuest(routine, [DeviceObject, Irp, context], 'routineReturned', [Context, kept]);
    },
    resume: {
      routineReturned: (nt, call) => {
        nt.pool.free(call.va(0), 0, undefined);
        releaseObjectLater(nt, call.va(1));
        return call.status;
      },
    },
  }),
});
