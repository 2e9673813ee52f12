/** APCs and alerts as drivers make them. ntoskrnl exports these without documenting them. */
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { unsupported } from '../declare/outcome.ts';
import { HANDLE, KPROCESSOR_MODE, LONG, PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { withThread } from '../ps/thread-exports.ts';

const threadAlert = 0x4;
/** KAPC_ENVIRONMENT */
const attachedEnvironment = 1;

export const keApcs = ntExports('ntoskrnl.exe', {
  KeInitializeApc: ntRoutine({
    doc: 'ntoskrnl.exe; fills a KAPC: special without a normal routine',
    irql: upToDispatch,
    params: {
      Apc: pointerTo('KAPC'),
      Thread: PVOID,
      Environment: ULONG,
      KernelRoutine: PVOID,
      RundownRoutine: PVOID,
      NormalRoutine: PVOID,
      ProcessorMode: KPROCESSOR_MODE,
      NormalContext: ULONG64,
    },
    returns: 'VOID',
    support: { partial: 'APCs of an attached process' },
    body: (nt, args) => {
      if (args.Environment === attachedEnvironment) return unsupported('KeInitializeApc with AttachedApcEnvironment');
      return withThread(nt, args.Thread, () => {
        const { KernelRoutine: kernel, RundownRoutine: rundown, NormalRoutine: normal } = args;
        nt.apcs.initialise(args.Apc, args.Thread, { kernel, rundown, normal }, args.ProcessorMode, args.NormalContext);
        return undefined;
      });
    },
  }),
  KeInsertQueueApc: ntRoutine({
    doc: 'ntoskrnl.exe; queues an APC to its thread',
    irql: upToDispatch,
    params: { Apc: pointerTo('KAPC'), SystemArgument1: ULONG64, SystemArgument2: ULONG64, Increment: LONG },
    returns: 'BOOLEAN',
    support: { partial: 'normal routines of user mode are not run' },
    body: (nt, { Apc, SystemArgument1, SystemArgument2, Increment }) =>
      nt.apcs.insert(Apc, SystemArgument1, SystemArgument2, Increment),
  }),
  KeRemoveQueueApc: ntRoutine({
    doc: 'ntoskrnl.exe; takes an APC back that did not run yet',
    irql: upToDispatch,
    params: { Apc: pointerTo('KAPC') },
    returns: 'BOOLEAN',
    body: (nt, { Apc }) => nt.apcs.remove(Apc),
  }),
  KeTestAlertThread: ntRoutine({
    doc: 'ntoskrnl.exe; whether the running thread was alerted; lets user APCs in',
    irql: upToDispatch,
    params: { AlertMode: KPROCESSOR_MODE },
    returns: 'BOOLEAN',
    body: (nt, { AlertMode }) => nt.apcs.testAlert(AlertMode),
  }),
  KeAlertThread: ntRoutine({
    doc: 'ntoskrnl.exe; ends an alertable wait of the thread, or its next one',
    irql: upToDispatch,
    params: { Thread: PVOID, AlertMode: KPROCESSOR_MODE },
    returns: 'BOOLEAN',
    body: (nt, { Thread, AlertMode }) => withThread(nt, Thread, () => nt.apcs.alert(Thread, AlertMode)),
  }),
  ZwAlertThread: ntRoutine({
    doc: 'ntoskrnl.exe; as KeAlertThread for kernel mode, of a handle',
    irql: passiveOnly,
    params: { ThreadHandle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { ThreadHandle }) => {
      const { status, entry } = nt.objects.resolveHandle(ThreadHandle, threadAlert, 'Thread', false);
      if (entry === undefined) return status;
      nt.apcs.alert(entry.body, 0);
      return STATUS_SUCCESS;
    },
  }),
});
