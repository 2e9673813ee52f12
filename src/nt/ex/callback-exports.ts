/** Callback objects: whoever creates one notifies those who registered with it. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS } from '../ntstatus.ts';
import { referenceObject, releaseObjectLater } from '../ob/references.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import type { CallbackKind, RegisteredCallback } from './registered-callbacks.ts';

const callbackBytes = 0x28;
const registrationBytes = 0x30;
const allowsMultipleAt = 0x20;
/** Made by Windows itself at its start. */
const systemCallbacks = ['\\callback\\setsystemtime', '\\callback\\powerstate', '\\callback\\processoradd'];

function makeCallback(nt: Nt, name: string | undefined, allowsMultiple: boolean): { status: number; body: Va } {
  const body = nt.pool.allocateKernel(callbackBytes, 'Call');
  const status = nt.objects.create(body, 'Callback', name);
  if (status !== STATUS_SUCCESS) {
    nt.pool.freeKernel(body);
    return { status, body: nullVa };
  }
  nt.memory.writeU8((body + allowsMultipleAt) as Va, allowsMultiple ? 1 : 0);
  return { status, body };
}

function createCallback(nt: Nt, at: Va, attributes: Va, creates: boolean, allowsMultiple: boolean): Outcome {
  const { memory } = nt;
  const nameAt = attributes === nullVa ? nullVa : OBJECT_ATTRIBUTES.ObjectName.get(memory, attributes);
  if (attributes !== nullVa && OBJECT_ATTRIBUTES.RootDirectory.get(memory, attributes) !== nullVa) {
    return unsupported('a callback object relative to a directory handle');
  }
  const name = nameAt === nullVa ? undefined : readUnicodeString(memory, nameAt);
  if (name !== undefined) {
    const lower = name.toLowerCase();
    if (systemCallbacks.includes(lower) && nt.objects.lookup(name).object === undefined) makeCallback(nt, name, true);
    const { status, object, remainder } = nt.objects.lookup(name);
    if (object !== undefined && remainder === '') {
      if (object.type !== 'Callback') return STATUS_OBJECT_TYPE_MISMATCH;
      referenceObject(nt, object.body);
      memory.writeVa(at, object.body);
      return STATUS_SUCCESS;
    }
    if (!creates) return status;
  }
  const { status, body } = makeCallback(nt, name, allowsMultiple);
  if (status === STATUS_SUCCESS) memory.writeVa(at, body);
  return status;
}

function registerCallback(nt: Nt, object: Va, routine: Va, context: Va, call: Call): Va {
  const allowsMultiple = nt.memory.readU8((object + allowsMultipleAt) as Va) !== 0;
  if (!allowsMultiple && nt.callbacks.find('callback-object', ({ subject }) => subject === object)) return nullVa;
  referenceObject(nt, object);
  const registration = nt.pool.allocateKernel(registrationBytes, 'CbRg');
  const entry = {
    kind: 'callback-object',
    routine,
    context,
    registrar: 'ExRegisterCallback',
    subject: object,
  } as const;
  nt.callbacks.add({ ...entry, ...holderOf(nt, call) }, registration);
  return registration;
}

// ---- calling those who registered

const kinds: readonly CallbackKind[] = ['callback-object'];

/** Calls the callbacks of a kind (of one subject, if that is not null), in the order in which they registered. */
export function callCallbacks(kind: CallbackKind, subject: Va, args: readonly [number, number, number]) {
  return [kinds.indexOf(kind), subject, ...args] as const;
}

/** Record: [kind, subject, three arguments, number of the last one that was called]. */
function next(nt: Nt, record: readonly number[]): Outcome {
  const [kind = 0, subject = 0, first = 0, second = 0, third = 0, last = Number.NEGATIVE_INFINITY] = record;
  const callbacks = nt.callbacks
    .of(kinds[kind] as CallbackKind)
    .filter((one) => subject === 0 || one.subject === subject);
  const index = last === Number.NEGATIVE_INFINITY ? 0 : callbacks.findIndex(({ id }) => id === last) + 1;
  const callback: RegisteredCallback | undefined =
    index === 0 && last !== Number.NEGATIVE_INFINITY ? undefined : callbacks[index];
  if (callback === undefined) return STATUS_SUCCESS;
  const args = kind === 0 ? [callback.context, first, second] : [first, second, third];
  return callGuest(callback.routine, args, 'called', [kind, subject, first, second, third, callback.id]);
}

export const exCallbackInternals = ntInternals({
  ExpCallCallbacks: ntRoutine({
    doc: 'calls registered callbacks one after the other',
    irql: upToDispatch,
    params: { Kind: ULONG, Subject: PVOID, First: PVOID, Second: PVOID, Third: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Kind, Subject, First, Second, Third }) => next(nt, [Kind, Subject, First, Second, Third]),
    resume: { called: (nt, call) => next(nt, call.record) },
  }),
});

export const exCallbacks = ntExports('ntoskrnl.exe', {
  ExCreateCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-excreatecallback',
    irql: upToApc,
    params: {
      CallbackObject: PVOID,
      ObjectAttributes: pointerTo('OBJECT_ATTRIBUTES'),
      Create: BOOLEAN,
      AllowMultipleCallbacks: BOOLEAN,
    },
    returns: 'NTSTATUS',
    body: (nt, { CallbackObject, ObjectAttributes, Create, AllowMultipleCallbacks }) =>
      createCallback(nt, CallbackObject, ObjectAttributes, Create, AllowMultipleCallbacks),
  }),
  ExRegisterCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-exregistercallback',
    irql: upToApc,
    params: { CallbackObject: PVOID, CallbackFunction: PVOID, CallbackContext: PVOID },
    returns: 'PVOID',
    body: (nt, { CallbackObject, CallbackFunction, CallbackContext }, call) =>
      registerCallback(nt, CallbackObject, CallbackFunction, CallbackContext, call),
  }),
  ExUnregisterCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-exunregistercallback',
    irql: upToApc,
    params: { CallbackRegistration: PVOID },
    returns: 'VOID',
    body: (nt, { CallbackRegistration }) => {
      const callback = nt.callbacks.get(CallbackRegistration, 'callback-object');
      if (callback === undefined) return unsupported('ExUnregisterCallback of what is not registered');
      nt.callbacks.remove(callback.id);
      nt.pool.freeKernel(CallbackRegistration);
      releaseObjectLater(nt, callback.subject);
      return undefined;
    },
  }),
  ExNotifyCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-exnotifycallback',
    irql: upToDispatch,
    params: { CallbackObject: PVOID, Argument1: PVOID, Argument2: PVOID },
    returns: 'VOID',
    body: (nt, { CallbackObject, Argument1, Argument2 }) =>
      callGuest(
        nt.entries.routineVa('ExpCallCallbacks'),
        [...callCallbacks('callback-object', CallbackObject, [Argument1, Argument2, 0])],
        'notified',
        [],
      ),
    resume: { notified: () => undefined },
  }),
});
