/** Routines that want to hear of processes, threads and images. What is left when its driver goes is a leak. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, PVOID, ULONG } from '../declare/parameter-types.ts';
import type { CallbackKind } from '../ex/registered-callbacks.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_DENIED,
  STATUS_INVALID_PARAMETER,
  STATUS_PROCEDURE_NOT_FOUND,
  STATUS_SUCCESS,
} from '../ntstatus.ts';

/** PSP_MAX_…_NOTIFY: as many can be registered. */
const maximum = 64;
/** IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY: linked with /INTEGRITYCHECK. */
const forceIntegrity = 0x80;

function add(nt: Nt, kind: CallbackKind, routine: Va, registrar: string, call: Call): number {
  const registered = nt.callbacks.of(kind);
  if (registered.length >= maximum) return STATUS_INVALID_PARAMETER;
  if (registered.some((callback) => callback.routine === routine)) return STATUS_INVALID_PARAMETER;
  nt.callbacks.add({ kind, routine, context: nullVa, registrar, subject: nullVa, ...holderOf(nt, call) });
  return STATUS_SUCCESS;
}

function remove(nt: Nt, kind: CallbackKind, routine: Va): number {
  const found = nt.callbacks.find(kind, (callback) => callback.routine === routine);
  if (found === undefined) return STATUS_PROCEDURE_NOT_FOUND;
  nt.callbacks.remove(found.id);
  return STATUS_SUCCESS;
}

/** Whether the image that a routine lies in was linked so that Windows lets it look at process creation. */
export function isIntegrityChecked(nt: Nt, routine: Va): boolean {
  const pe = nt.images.containing(routine)?.pe;
  return pe !== undefined && (pe.dllCharacteristics & forceIntegrity) !== 0;
}

const fewImages = { partial: 'of a process, its program and ntdll.dll only, each with nothing but headers' };

const processRoutine = (doc: string, kind: 'process' | 'process-ex', registrar: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { NotifyRoutine: PVOID, Remove: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { NotifyRoutine, Remove }, call) => {
      if (Remove) return remove(nt, kind, NotifyRoutine);
      if (kind === 'process-ex' && !isIntegrityChecked(nt, NotifyRoutine)) return STATUS_ACCESS_DENIED;
      return add(nt, kind, NotifyRoutine, registrar, call);
    },
  });

const setRoutine = (doc: string, kind: CallbackKind, registrar: string, support?: { readonly partial: string }) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { NotifyRoutine: PVOID },
    returns: 'NTSTATUS',
    ...(support === undefined ? {} : { support }),
    body: (nt, { NotifyRoutine }, call) => add(nt, kind, NotifyRoutine, registrar, call),
  });

const removeRoutine = (doc: string, kind: CallbackKind) =>
  ntRoutine({
    doc,
    irql: upToApc,
    params: { NotifyRoutine: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { NotifyRoutine }) => remove(nt, kind, NotifyRoutine),
  });

export const psNotifications = ntExports('ntoskrnl.exe', {
  PsSetCreateProcessNotifyRoutine: processRoutine(
    'ntddk.h; nf-ntddk-pssetcreateprocessnotifyroutine',
    'process',
    'PsSetCreateProcessNotifyRoutine',
  ),
  PsSetCreateProcessNotifyRoutineEx: processRoutine(
    'ntddk.h; nf-ntddk-pssetcreateprocessnotifyroutineex',
    'process-ex',
    'PsSetCreateProcessNotifyRoutineEx',
  ),
  /** NotifyType 0: PsCreateProcessNotifySubsystems. */
  PsSetCreateProcessNotifyRoutineEx2: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-pssetcreateprocessnotifyroutineex2',
    irql: passiveOnly,
    params: { NotifyType: ULONG, NotifyInformation: PVOID, Remove: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { NotifyType, NotifyInformation, Remove }, call) => {
      if (NotifyType !== 0) return STATUS_INVALID_PARAMETER;
      if (Remove) return remove(nt, 'process-ex', NotifyInformation);
      if (!isIntegrityChecked(nt, NotifyInformation)) return STATUS_ACCESS_DENIED;
      return add(nt, 'process-ex', NotifyInformation, 'PsSetCreateProcessNotifyRoutineEx2', call);
    },
  }),
  PsSetCreateThreadNotifyRoutine: setRoutine(
    'ntddk.h; nf-ntddk-pssetcreatethreadnotifyroutine',
    'thread',
    'PsSetCreateThreadNotifyRoutine',
  ),
  PsRemoveCreateThreadNotifyRoutine: removeRoutine('ntddk.h; nf-ntddk-psremovecreatethreadnotifyroutine', 'thread'),
  PsSetLoadImageNotifyRoutine: setRoutine(
    'ntddk.h; nf-ntddk-pssetloadimagenotifyroutine',
    'image',
    'PsSetLoadImageNotifyRoutine',
    fewImages,
  ),
  PsSetLoadImageNotifyRoutineEx: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-pssetloadimagenotifyroutineex',
    irql: passiveOnly,
    params: { NotifyRoutine: PVOID, Flags: ULONG },
    returns: 'NTSTATUS',
    support: fewImages,
    body: (nt, { NotifyRoutine, Flags }, call) =>
      Flags > 1 ? STATUS_INVALID_PARAMETER : add(nt, 'image', NotifyRoutine, 'PsSetLoadImageNotifyRoutineEx', call),
  }),
  PsRemoveLoadImageNotifyRoutine: removeRoutine('ntddk.h; nf-ntddk-psremoveloadimagenotifyroutine', 'image'),
});
