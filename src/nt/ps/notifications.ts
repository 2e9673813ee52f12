/**
 * Calls the routines that registered to hear of processes, threads and images: PspCallNotifyRoutines is what all of it
 * goes through. Sources: the pages of PCREATE_PROCESS_NOTIFY_ROUTINE(_EX), PCREATE_THREAD_NOTIFY_ROUTINE and
 * PLOAD_IMAGE_NOTIFY_ROUTINE.
 */
import type { Va } from '../../base/va.ts';
import { upToApc } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { type CallGuest, callGuest, type Outcome, type ResumeRecord } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { CallbackKind } from '../ex/registered-callbacks.ts';
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/irql-exports.ts';
import type { Thread } from '../ke/thread.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';

/** What is told of: processes in two forms, in the order in which they registered. */
const Told = { process: 0, thread: 1, image: 2 } as const;
const kindsOf: readonly (readonly CallbackKind[])[] = [['process', 'process-ex'], ['thread'], ['image']];

/** Whether a driver wants to hear of processes, their threads or their images. */
export function isAnyoneToTell(nt: Nt): boolean {
  return kindsOf.some((kinds) => kinds.some((kind) => nt.callbacks.of(kind).length > 0));
}

function tell(nt: Nt, args: readonly number[], resume: string, record: ResumeRecord): CallGuest {
  return callGuest(nt.entries.routineVa('PspCallNotifyRoutines'), args, resume, record);
}

/** `createInfo`: PS_CREATE_NOTIFY_INFO of a process that is created; null when it ends. */
export function tellOfProcess(nt: Nt, process: Va, createInfo: Va, resume: string, record: ResumeRecord): CallGuest {
  const { processor } = nt;
  const parent = processor.processId(processor.systemProcess);
  const isCreated = createInfo === 0 ? 0 : 1;
  const args = [Told.process, parent, processor.processId(process), isCreated, process, createInfo];
  return tell(nt, args, resume, record);
}

export function tellOfThread(
  nt: Nt,
  { process, id }: Thread,
  isCreated: boolean,
  resume: string,
  record: ResumeRecord,
): CallGuest {
  return tell(nt, [Told.thread, nt.processor.processId(process), id, isCreated ? 1 : 0, 0, 0], resume, record);
}

/** `name`: UNICODE_STRING; `processId`: 0 for a driver; `info`: IMAGE_INFO. */
export function tellOfImage(
  nt: Nt,
  image: { readonly name: Va; readonly processId: number; readonly info: Va },
  resume: string,
  record: ResumeRecord,
): CallGuest {
  return tell(nt, [Told.image, image.name, image.processId, image.info, 0, 0], resume, record);
}

/** Record: [what is told of, its arguments (three, and the first and third of the other form), number of the last one]. */
function next(nt: Nt, record: readonly number[]): Outcome {
  const [told = 0, first = 0, second = 0, third = 0, exFirst = 0, exThird = 0, last = 0] = record;
  const kinds = kindsOf[told] ?? [];
  const callback = [...nt.callbacks.all()].find(({ id, kind }) => kinds.includes(kind) && id > last);
  if (callback === undefined) {
    if (told !== Told.thread) leaveCriticalRegion(nt);
    return STATUS_SUCCESS;
  }
  const args = callback.kind === 'process-ex' ? [exFirst, second, exThird] : [first, second, third];
  const now = [told, first, second, third, exFirst, exThird, callback.id];
  return callGuest(callback.routine, args, 'called', now);
}

export const psNotifying = ntInternals({
  PspCallNotifyRoutines: ntRoutine({
    doc: 'calls notification routines one after the other; those for processes and images with normal kernel APCs disabled',
    irql: upToApc,
    params: { Told: ULONG, First: PVOID, Second: PVOID, Third: PVOID, ExFirst: PVOID, ExThird: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args) => {
      if (args.Told !== Told.thread) enterCriticalRegion(nt);
      return next(nt, [args.Told, args.First, args.Second, args.Third, args.ExFirst, args.ExThird]);
    },
    resume: { called: (nt, call) => next(nt, call.record) },
  }),
});
