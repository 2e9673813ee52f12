/** Event objects: created by name or without one, set and waited for through handles. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, BOOLEAN, HANDLE, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { dueTimeAt } from '../ke/clock.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_EXISTS,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { FILE_OBJECT, OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

const pattributes = pointerTo('OBJECT_ATTRIBUTES');
const plong = pointerTo('LONG');
const objOpenIf = 0x80;
const objKernelHandle = 0x200;
const eventAllAccess = 0x1f_0003;
const eventModifyState = 0x2;
const synchronize = 0x10_0000;
const synchronizationEvent = 1;

interface Attributes {
  readonly name: string | undefined;
  readonly flags: number;
  readonly isRelative: boolean;
}

function readAttributes(nt: Nt, at: Va): Attributes {
  if (at === nullVa) return { name: undefined, flags: 0, isRelative: false };
  const name = OBJECT_ATTRIBUTES.ObjectName.get(nt.memory, at);
  return {
    name: name === nullVa ? undefined : readUnicodeString(nt.memory, name),
    flags: OBJECT_ATTRIBUTES.Attributes.get(nt.memory, at),
    isRelative: OBJECT_ATTRIBUTES.RootDirectory.get(nt.memory, at) !== nullVa,
  };
}

interface EventRequest extends Attributes {
  readonly type: number;
  readonly isSignalled: boolean;
}

/** A new event, or the one that has the name; with a reference that the caller drops. */
function openOrCreate(nt: Nt, request: EventRequest): { readonly status: number; readonly body: Va } {
  const existing = request.name === undefined ? undefined : nt.objects.lookup(request.name);
  if (existing?.status === STATUS_SUCCESS && existing.object !== undefined && existing.remainder === '') {
    const { body, type } = existing.object;
    if ((request.flags & objOpenIf) === 0) return { status: STATUS_OBJECT_NAME_COLLISION, body: nullVa };
    if (type !== 'Event') return { status: STATUS_OBJECT_TYPE_MISMATCH, body: nullVa };
    nt.objects.reference(body);
    return { status: STATUS_OBJECT_NAME_EXISTS, body };
  }
  const body = nt.pool.allocateKernel(KEVENT.sizeBytes, 'Even');
  const isSynchronization = request.type === synchronizationEvent;
  const type = isSynchronization ? DispatcherType.EventSynchronization : DispatcherType.EventNotification;
  nt.dispatcher.initialise(body, type, KEVENT.sizeBytes / 4, request.isSignalled ? 1 : 0);
  const status = nt.objects.create(body, 'Event', request.name);
  if (status !== STATUS_SUCCESS) nt.pool.freeKernel(body);
  return { status, body: status === STATUS_SUCCESS ? body : nullVa };
}

/** Makes the handle, which takes over the reference. */
function handleTo(call: Call, body: Va, access: number, isKernelHandle: boolean, handleAt: Va): void {
  const { nt } = call;
  const handle = nt.objects.createHandle(body, access, isKernelHandle, holderOf(nt, call));
  nt.objects.dereference(body);
  nt.memory.writeU64(handleAt, BigInt.asUintN(64, BigInt(handle)));
}

interface CreateEvent {
  readonly EventHandle: Va;
  readonly DesiredAccess: number;
  readonly ObjectAttributes: Va;
  readonly EventType: number;
  readonly InitialState: boolean;
}

function createEvent(nt: Nt, args: CreateEvent, call: Call): Outcome {
  const attributes = readAttributes(nt, args.ObjectAttributes);
  if (attributes.isRelative) return unsupported('an event relative to a directory handle');
  const { status, body } = openOrCreate(nt, { ...attributes, type: args.EventType, isSignalled: args.InitialState });
  if (body === nullVa) return status;
  handleTo(call, body, args.DesiredAccess, (attributes.flags & objKernelHandle) !== 0, args.EventHandle);
  return status;
}

function openEvent(call: Call, handleAt: Va, access: number, attributesAt: Va): Outcome {
  const { nt } = call;
  const { name, flags, isRelative } = readAttributes(nt, attributesAt);
  if (isRelative) return unsupported('an event relative to a directory handle');
  const found = nt.objects.lookup(name ?? '');
  if (found.object === undefined) return found.status;
  if (found.object.type !== 'Event') return STATUS_OBJECT_TYPE_MISMATCH;
  nt.objects.reference(found.object.body);
  handleTo(call, found.object.body, access, (flags & objKernelHandle) !== 0, handleAt);
  return STATUS_SUCCESS;
}

/** Sets the state of the event behind a handle, and hands out the state before. */
function setState(nt: Nt, handle: Va, previousAt: Va, change: (event: Va) => number, mode: number): number {
  const { status, entry } = nt.objects.resolveHandle(handle, eventModifyState, 'Event', mode !== 0);
  if (entry === undefined) return status;
  const before = change(entry.body);
  if (previousAt !== nullVa) nt.memory.writeU32(previousAt, before >>> 0);
  return STATUS_SUCCESS;
}

const signalTo = (nt: Nt, state: number) => (event: Va) => nt.dispatcher.signal(event, state);

function pulse(nt: Nt, event: Va): number {
  const before = nt.dispatcher.signal(event, 1);
  nt.dispatcher.signal(event, 0);
  return before;
}

const currentThreadHandle = -2;
const waitableTypes: readonly string[] = ['Event', 'Thread', 'Process', 'Timer', 'File'];

function waitForHandle(nt: Nt, handle: Va, alertable: boolean, timeout: Va, mode: number): Outcome {
  if (handle === currentThreadHandle) return unsupported('a wait of a thread for itself');
  const { status, entry } = nt.objects.resolveHandle(handle, synchronize, undefined, mode !== 0);
  if (entry === undefined) return status;
  const type = nt.objects.get(entry.body)?.type ?? '';
  if (!waitableTypes.includes(type)) return unsupported(`a wait for a handle to an object of type ${type}`);
  const dueTime = dueTimeAt(nt, timeout);
  // A file is waited for by its own event.
  const object = type === 'File' ? FILE_OBJECT.Event.at(entry.body) : entry.body;
  return { action: 'wait', objects: [object], waitAll: false, alertable, waitMode: mode, dueTime };
}

// ---- declarations, each in its Nt and its Zw form

type Mode = (nt: Nt) => number;
const kernelMode: Mode = () => 0;
const previousMode: Mode = (nt) => nt.previousMode;

const createRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: {
      EventHandle: PVOID,
      DesiredAccess: ACCESS_MASK,
      ObjectAttributes: pattributes,
      EventType: ULONG,
      InitialState: BOOLEAN,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) => createEvent(nt, args, call),
  });

const openRoutine = (doc: string) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { EventHandle: PVOID, DesiredAccess: ACCESS_MASK, ObjectAttributes: pattributes },
    returns: 'NTSTATUS',
    body: (_nt, args, call) => openEvent(call, args.EventHandle, args.DesiredAccess, args.ObjectAttributes),
  });

const setRoutine = (doc: string, mode: Mode, change: (nt: Nt) => (event: Va) => number) =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { EventHandle: HANDLE, PreviousState: plong },
    returns: 'NTSTATUS',
    body: (nt, { EventHandle, PreviousState }) => setState(nt, EventHandle, PreviousState, change(nt), mode(nt)),
  });

const clearRoutine = (doc: string, mode: Mode) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { EventHandle: HANDLE },
    returns: 'NTSTATUS',
    body: (nt, { EventHandle }) => setState(nt, EventHandle, nullVa, signalTo(nt, 0), mode(nt)),
  });

const waitRoutine = (doc: string, mode: Mode) =>
  ntRoutine({
    doc,
    irql: upToDispatch,
    params: { Handle: HANDLE, Alertable: BOOLEAN, Timeout: pointerTo('LARGE_INTEGER') },
    returns: 'NTSTATUS',
    support: { partial: 'events, timers, threads, processes and files' },
    body: (nt, { Handle, Alertable, Timeout }) => waitForHandle(nt, Handle, Alertable, Timeout, mode(nt)),
  });

/** IoCreate…Event: opens the event of that name, or creates it signalled; its body with a kernel handle, NULL if that fails. */
const namedEventRoutine = (doc: string, type: number) =>
  ntRoutine({
    doc,
    irql: passiveOnly,
    params: { EventName: pointerTo('UNICODE_STRING'), EventHandle: PVOID },
    returns: 'PVOID',
    body: (nt, { EventName, EventHandle }, call) => {
      const name = readUnicodeString(nt.memory, EventName);
      const { body } = openOrCreate(nt, { name, flags: objOpenIf, isRelative: false, type, isSignalled: true });
      if (body !== nullVa) handleTo(call, body, eventAllAccess, true, EventHandle);
      return body;
    },
  });

const toState = (state: number) => (nt: Nt) => signalTo(nt, state);
const toPulse = (nt: Nt) => (event: Va) => pulse(nt, event);

export const obEventServices = ntExports('ntoskrnl.exe', {
  NtCreateEvent: createRoutine('ntifs.h; nf-ntifs-zwcreateevent'),
  ZwCreateEvent: createRoutine('ntifs.h; nf-ntifs-zwcreateevent'),
  NtOpenEvent: openRoutine('ntifs.h; as ZwOpenEvent'),
  ZwOpenEvent: openRoutine('ntifs.h; opens an event by name'),
  NtSetEvent: setRoutine('ntifs.h; nf-ntifs-zwsetevent', previousMode, toState(1)),
  ZwSetEvent: setRoutine('ntifs.h; nf-ntifs-zwsetevent', kernelMode, toState(1)),
  NtResetEvent: setRoutine('ntifs.h; as ZwResetEvent', previousMode, toState(0)),
  ZwResetEvent: setRoutine('ntifs.h; resets an event', kernelMode, toState(0)),
  NtPulseEvent: setRoutine('ntifs.h; as ZwPulseEvent', previousMode, toPulse),
  ZwPulseEvent: setRoutine('ntifs.h; pulses an event', kernelMode, toPulse),
  NtClearEvent: clearRoutine('ntifs.h; as ZwClearEvent', previousMode),
  ZwClearEvent: clearRoutine('ntifs.h; clears an event', kernelMode),
  NtWaitForSingleObject: waitRoutine('ntifs.h; nf-ntifs-zwwaitforsingleobject', previousMode),
  ZwWaitForSingleObject: waitRoutine('ntifs.h; nf-ntifs-zwwaitforsingleobject', kernelMode),
  IoCreateNotificationEvent: namedEventRoutine('wdm.h; nf-wdm-iocreatenotificationevent', 0),
  IoCreateSynchronizationEvent: namedEventRoutine('wdm.h; nf-wdm-iocreatesynchronizationevent', 1),
});
