/** Events: KEVENT is a dispatcher header, and nothing else. */
import { anyIrql, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { BOOLEAN, LONG, pointerTo, ULONG } from '../declare/parameter-types.ts';
import { DispatcherType, KEVENT } from '../structures/ke.ts';

/** Size field of a dispatcher header: in ULONGs. */
const eventSize = KEVENT.sizeBytes / 4;
const synchronizationEvent = 1;

export const keEvents = ntExports('ntoskrnl.exe', {
  KeInitializeEvent: ntRoutine({
    doc: 'wdm.h; nf-wdm-keinitializeevent',
    irql: anyIrql,
    params: { Event: pointerTo('KEVENT'), Type: ULONG, State: BOOLEAN },
    returns: 'VOID',
    body: (nt, { Event, Type, State }) => {
      const type =
        Type === synchronizationEvent ? DispatcherType.EventSynchronization : DispatcherType.EventNotification;
      nt.dispatcher.initialise(Event, type, eventSize, State ? 1 : 0);
    },
  }),
  KeSetEvent: ntRoutine({
    doc: 'wdm.h; nf-wdm-kesetevent',
    irql: upToDispatch,
    params: { Event: pointerTo('KEVENT'), Increment: LONG, Wait: BOOLEAN },
    returns: 'LONG',
    body: (nt, { Event, Increment, Wait }) => {
      const before = nt.dispatcher.signal(Event, 1, Increment);
      if (Wait) nt.dispatcher.holdForWait();
      return before;
    },
  }),
  KeResetEvent: ntRoutine({
    doc: 'wdm.h; nf-wdm-keresetevent',
    irql: upToDispatch,
    params: { Event: pointerTo('KEVENT') },
    returns: 'LONG',
    body: (nt, { Event }) => nt.dispatcher.signal(Event, 0),
  }),
  KeClearEvent: ntRoutine({
    doc: 'wdm.h; nf-wdm-keclearevent',
    irql: upToDispatch,
    params: { Event: pointerTo('KEVENT') },
    returns: 'VOID',
    body: (nt, { Event }) => {
      nt.dispatcher.signal(Event, 0);
    },
  }),
  KePulseEvent: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-kepulseevent',
    irql: upToDispatch,
    params: { Event: pointerTo('KEVENT'), Increment: LONG, Wait: BOOLEAN },
    returns: 'LONG',
    body: (nt, { Event, Increment, Wait }) => {
      const before = nt.dispatcher.signal(Event, 1, Increment);
      nt.dispatcher.signal(Event, 0);
      if (Wait) nt.dispatcher.holdForWait();
      return before;
    },
  }),
  KeReadStateEvent: ntRoutine({
    doc: 'wdm.h; nf-wdm-kereadstateevent',
    irql: upToDispatch,
    params: { Event: pointerTo('KEVENT') },
    returns: 'LONG',
    body: (nt, { Event }) => nt.dispatcher.signalState(Event),
  }),
});
