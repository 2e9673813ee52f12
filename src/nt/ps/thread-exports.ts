/** Threads and processes as drivers see them. */
import { nullVa, type Va } from '../../base/va.ts';
import { anyIrql, passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, continueGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, HANDLE, NTSTATUS, PVOID, pointerTo, ULONG64 } from '../declare/parameter-types.ts';
import type { Thread } from '../ke/thread.ts';
import { type Holder, holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_HANDLE,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { referenceObject } from '../ob/references.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { CLIENT_ID } from '../structures/ke.ts';
import { tellOfThread } from './notifications.ts';
import { exitThread } from './thread-end.ts';

const objKernelHandle = 0x200;
const currentProcessHandle = -1;

interface ThreadRequest {
  readonly ThreadHandle: Va;
  readonly DesiredAccess: number;
  readonly ObjectAttributes: Va;
  readonly ProcessHandle: Va;
  readonly ClientId: Va;
  readonly StartRoutine: Va;
  readonly StartContext: bigint;
}

/** Process in which a system thread runs; a status if the handle is no process. */
function processOfHandle(nt: Nt, handle: Va): { readonly status: number; readonly process: Va } {
  if (handle === nullVa) return { status: STATUS_SUCCESS, process: nt.processor.systemProcess };
  if (handle === currentProcessHandle) return { status: STATUS_SUCCESS, process: nt.scheduler.currentThread.process };
  const body = nt.objects.handle(handle)?.body;
  if (body === undefined) return { status: STATUS_INVALID_HANDLE, process: nullVa };
  const isProcess = nt.objects.get(body)?.type === 'Process';
  return { status: isProcess ? STATUS_SUCCESS : STATUS_OBJECT_TYPE_MISMATCH, process: body };
}

function createSystemThread(nt: Nt, request: ThreadRequest, holder: Holder): number {
  const { memory, scheduler, objects } = nt;
  const { status, process } = processOfHandle(nt, request.ProcessHandle);
  if (status !== STATUS_SUCCESS) return status;
  if (!scheduler.threads.hasRoom) return STATUS_INSUFFICIENT_RESOURCES;
  const attributes =
    request.ObjectAttributes === nullVa ? 0 : OBJECT_ATTRIBUTES.Attributes.get(memory, request.ObjectAttributes);
  const { kthread, id } = scheduler.threads.create(process, true, holder);
  const isKernelHandle = (attributes & objKernelHandle) !== 0;
  const handle = objects.createHandle(kthread, request.DesiredAccess, isKernelHandle, holder);
  memory.writeU64(request.ThreadHandle, BigInt.asUintN(64, BigInt(handle)));
  if (request.ClientId !== nullVa) {
    CLIENT_ID.UniqueProcess.set(memory, request.ClientId, nt.processor.processId(process) as Va);
    CLIENT_ID.UniqueThread.set(memory, request.ClientId, id as Va);
  }
  scheduler.start(kthread, nt.entries.routineVa('PspSystemThreadStartup'), [
    request.StartRoutine,
    request.StartContext,
  ]);
  scheduler.ready.mayStartAtOnce();
  nt.events.emit('threadCreated', { thread: kthread });
  return STATUS_SUCCESS;
}

/** Those who registered for it hear of a thread that was created, in its creator's thread. */
function notifyOfThread(nt: Nt, handleAt: Va, status: number): Outcome {
  if (status !== STATUS_SUCCESS || nt.callbacks.of('thread').length === 0) return status;
  const kthread = nt.objects.handle(nt.memory.readI64AsNumber(handleAt))?.body;
  const thread = kthread === undefined ? undefined : nt.scheduler.findThread(kthread);
  if (thread === undefined) return status;
  return tellOfThread(nt, thread, true, 'notified', []);
}

/** Answers about a thread; Windows would read whatever lies at an address that is none. */
export function withThread(nt: Nt, kthread: Va, answer: (thread: Thread) => Outcome): Outcome {
  const thread = nt.scheduler.findThread(kthread);
  return thread === undefined ? unsupported('a question about an address that is no thread') : answer(thread);
}

const currentThread = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: {},
    returns: 'PVOID',
    body: (nt) => nt.scheduler.currentThread.kthread,
  });

const currentProcess = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: {},
    returns: 'PVOID',
    body: (nt) => nt.scheduler.currentThread.process,
  });

const lookUp =
  (find: (nt: Nt, id: number) => Va | undefined) =>
  (nt: Nt, id: Va, at: Va): number => {
    const body = find(nt, id);
    if (body === undefined) return STATUS_INVALID_PARAMETER;
    referenceObject(nt, body);
    nt.memory.writeVa(at, body);
    return STATUS_SUCCESS;
  };

const lookUpProcess = lookUp((nt, id) =>
  nt.processor.processes.find((process) => nt.processor.processId(process) === id),
);
const lookUpThread = lookUp((nt, id) => [...nt.scheduler.all()].find((thread) => thread.id === id)?.kthread);

export const psThreads = ntExports(
  'ntoskrnl.exe',
  {
    PsCreateSystemThread: ntRoutine({
      doc: 'wdm.h; nf-wdm-pscreatesystemthread',
      irql: passiveOnly,
      params: {
        ThreadHandle: PVOID,
        DesiredAccess: ACCESS_MASK,
        ObjectAttributes: pointerTo('OBJECT_ATTRIBUTES'),
        ProcessHandle: HANDLE,
        ClientId: pointerTo('CLIENT_ID'),
        StartRoutine: PVOID,
        StartContext: ULONG64,
      },
      returns: 'NTSTATUS',
      body: (nt, args, call) => notifyOfThread(nt, args.ThreadHandle, createSystemThread(nt, args, holderOf(nt, call))),
      resume: { notified: () => STATUS_SUCCESS },
    }),
    PsTerminateSystemThread: ntRoutine({
      doc: 'wdm.h; nf-wdm-psterminatesystemthread',
      irql: passiveOnly,
      params: { ExitStatus: NTSTATUS },
      returns: 'NTSTATUS',
      body: (nt, { ExitStatus }) =>
        nt.scheduler.currentThread.isSystem ? exitThread(nt, ExitStatus) : STATUS_INVALID_PARAMETER,
      resume: { exited: () => continueGuest },
    }),
    KeGetCurrentThread: currentThread('wdm.h; nf-wdm-kegetcurrentthread'),
    PsGetCurrentThread: currentThread('wdm.h; nf-wdm-psgetcurrentthread'),
    PsGetCurrentProcess: currentProcess('wdm.h; nf-wdm-psgetcurrentprocess'),
    IoGetCurrentProcess: currentProcess('wdm.h; nf-wdm-iogetcurrentprocess'),
    PsGetCurrentThreadProcess: currentProcess('ntifs.h; process of the running thread'),
    PsGetCurrentProcessId: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-psgetcurrentprocessid',
      irql: anyIrql,
      params: {},
      returns: 'PVOID',
      body: (nt) => nt.processor.processId(nt.scheduler.currentThread.process),
    }),
    PsGetCurrentThreadId: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-psgetcurrentthreadid',
      irql: anyIrql,
      params: {},
      returns: 'PVOID',
      body: (nt) => nt.scheduler.currentThread.id,
    }),
    PsGetProcessId: ntRoutine({
      doc: 'ntddk.h; nf-ntddk-psgetprocessid',
      irql: anyIrql,
      params: { Process: PVOID },
      returns: 'PVOID',
      body: (nt, { Process }) =>
        nt.objects.get(Process)?.type === 'Process'
          ? nt.processor.processId(Process)
          : unsupported('the process ID of an address that is no process'),
    }),
    PsGetThreadId: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-psgetthreadid',
      irql: anyIrql,
      params: { Thread: PVOID },
      returns: 'PVOID',
      body: (nt, { Thread }) => withThread(nt, Thread, ({ id }) => id),
    }),
    PsGetThreadProcessId: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-psgetthreadprocessid',
      irql: anyIrql,
      params: { Thread: PVOID },
      returns: 'PVOID',
      body: (nt, { Thread }) => withThread(nt, Thread, ({ process }) => nt.processor.processId(process)),
    }),
    PsGetThreadProcess: ntRoutine({
      doc: 'ntifs.h; process of a thread',
      irql: anyIrql,
      params: { Thread: PVOID },
      returns: 'PVOID',
      body: (nt, { Thread }) => withThread(nt, Thread, ({ process }) => process),
    }),
    IoThreadToProcess: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-iothreadtoprocess',
      irql: anyIrql,
      params: { Thread: PVOID },
      returns: 'PVOID',
      body: (nt, { Thread }) => withThread(nt, Thread, ({ process }) => process),
    }),
    PsIsSystemThread: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-psissystemthread',
      irql: anyIrql,
      params: { Thread: PVOID },
      returns: 'BOOLEAN',
      body: (nt, { Thread }) => withThread(nt, Thread, ({ isSystem }) => isSystem),
    }),
    IoIsSystemThread: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-ioissystemthread',
      irql: anyIrql,
      params: { Thread: PVOID },
      returns: 'BOOLEAN',
      body: (nt, { Thread }) => withThread(nt, Thread, ({ isSystem }) => isSystem),
    }),
    PsLookupProcessByProcessId: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-pslookupprocessbyprocessid',
      irql: ['PASSIVE', 'APC'],
      params: { ProcessId: HANDLE, Process: PVOID },
      returns: 'NTSTATUS',
      body: (nt, { ProcessId, Process }) => lookUpProcess(nt, ProcessId, Process),
    }),
    PsLookupThreadByThreadId: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-pslookupthreadbythreadid',
      irql: ['PASSIVE', 'APC'],
      params: { ThreadId: HANDLE, Thread: PVOID },
      returns: 'NTSTATUS',
      body: (nt, { ThreadId, Thread }) => lookUpThread(nt, ThreadId, Thread),
    }),
    ExGetPreviousMode: ntRoutine({
      doc: 'wdm.h; nf-wdm-exgetpreviousmode',
      irql: upToDispatch,
      params: {},
      returns: 'ULONG',
      body: (nt) => nt.previousMode,
    }),
    IoGetStackLimits: ntRoutine({
      doc: 'ntifs.h; nf-ntifs-iogetstacklimits',
      irql: anyIrql,
      params: { LowLimit: PVOID, HighLimit: PVOID },
      returns: 'VOID',
      body: (nt, { LowLimit, HighLimit }) => {
        nt.memory.writeVa(LowLimit, nt.scheduler.currentThread.stackLimit);
        nt.memory.writeVa(HighLimit, nt.scheduler.currentThread.stackBase);
      },
    }),
    IoGetInitialStack: ntRoutine({
      doc: 'wdm.h; nf-wdm-iogetinitialstack',
      irql: anyIrql,
      params: {},
      returns: 'PVOID',
      body: (nt) => nt.scheduler.currentThread.stackBase,
    }),
  },
  {
    PsInitialSystemProcess: {
      doc: 'ntddk.h; EPROCESS of the System process',
      sizeBytes: 8,
      initialise: (nt, va) => nt.memory.writeVa(va, nt.processor.systemProcess),
    },
  },
);

export const psInternals = ntInternals({
  /** Below the routine of a system thread; a return ends the thread as PsTerminateSystemThread does. */
  PspSystemThreadStartup: ntRoutine({
    doc: 'start of a system thread',
    irql: passiveOnly,
    params: { StartRoutine: PVOID, StartContext: ULONG64 },
    returns: 'VOID',
    body: (_nt, { StartRoutine, StartContext }) => callGuest(StartRoutine, [StartContext], 'returned', []),
    resume: { returned: (nt) => exitThread(nt, STATUS_SUCCESS), exited: () => continueGuest },
  }),
});
