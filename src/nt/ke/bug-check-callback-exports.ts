/** Routines for the moment when the machine stops, and for non-maskable interrupts. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { anyIrql, upToApc } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { CallbackKind } from '../ex/registered-callbacks.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_HANDLE, STATUS_SUCCESS } from '../ntstatus.ts';
import { KBUGCHECK_CALLBACK_RECORD, KBUGCHECK_REASON_CALLBACK_RECORD } from '../structures/callbacks.ts';

/** KBUGCHECK_BUFFER_DUMP_STATE */
const BufferState = { Empty: 0, Inserted: 1 } as const;
const nmiBytes = 0x20;
const notCalled = { partial: 'a bug check ends the run at once: the routine is recorded and not called' };

type Record = typeof KBUGCHECK_CALLBACK_RECORD | typeof KBUGCHECK_REASON_CALLBACK_RECORD;

function register(
  nt: Nt,
  layout: Record,
  record: Va,
  entry: { kind: CallbackKind; routine: Va; registrar: string },
  call: Call,
): boolean {
  if (layout.State.get(nt.memory, record) !== BufferState.Empty) return false;
  layout.CallbackRoutine.set(nt.memory, record, entry.routine);
  layout.State.set(nt.memory, record, BufferState.Inserted);
  nt.callbacks.add({ ...entry, context: nullVa, subject: record, ...holderOf(nt, call) });
  return true;
}

function deregister(nt: Nt, layout: Record, record: Va, kind: CallbackKind): boolean {
  const found = nt.callbacks.find(kind, ({ subject }) => subject === record);
  if (found === undefined) return false;
  nt.callbacks.remove(found.id);
  layout.State.set(nt.memory, record, BufferState.Empty);
  return true;
}

export const keBugCheckCallbacks = ntExports('ntoskrnl.exe', {
  KeRegisterBugCheckCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-keregisterbugcheckcallback',
    irql: anyIrql,
    params: {
      CallbackRecord: pointerTo('KBUGCHECK_CALLBACK_RECORD'),
      CallbackRoutine: PVOID,
      Buffer: PVOID,
      Length: ULONG,
      Component: PVOID,
    },
    returns: 'BOOLEAN',
    support: notCalled,
    body: (nt, { CallbackRecord, CallbackRoutine: routine, Buffer, Length, Component }, call) => {
      const entry = { kind: 'bug-check', routine, registrar: 'KeRegisterBugCheckCallback' } as const;
      if (!register(nt, KBUGCHECK_CALLBACK_RECORD, CallbackRecord, entry, call)) return false;
      KBUGCHECK_CALLBACK_RECORD.Buffer.set(nt.memory, CallbackRecord, Buffer);
      KBUGCHECK_CALLBACK_RECORD.Length.set(nt.memory, CallbackRecord, Length);
      KBUGCHECK_CALLBACK_RECORD.Component.set(nt.memory, CallbackRecord, Component);
      return true;
    },
  }),
  KeDeregisterBugCheckCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-kederegisterbugcheckcallback',
    irql: anyIrql,
    params: { CallbackRecord: pointerTo('KBUGCHECK_CALLBACK_RECORD') },
    returns: 'BOOLEAN',
    body: (nt, { CallbackRecord }) => deregister(nt, KBUGCHECK_CALLBACK_RECORD, CallbackRecord, 'bug-check'),
  }),
  KeRegisterBugCheckReasonCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-keregisterbugcheckreasoncallback',
    irql: anyIrql,
    params: {
      CallbackRecord: pointerTo('KBUGCHECK_REASON_CALLBACK_RECORD'),
      CallbackRoutine: PVOID,
      Reason: ULONG,
      Component: PVOID,
    },
    returns: 'BOOLEAN',
    support: notCalled,
    body: (nt, { CallbackRecord, CallbackRoutine: routine, Reason, Component }, call) => {
      const entry = { kind: 'bug-check-reason', routine, registrar: 'KeRegisterBugCheckReasonCallback' } as const;
      if (!register(nt, KBUGCHECK_REASON_CALLBACK_RECORD, CallbackRecord, entry, call)) return false;
      KBUGCHECK_REASON_CALLBACK_RECORD.Reason.set(nt.memory, CallbackRecord, Reason);
      KBUGCHECK_REASON_CALLBACK_RECORD.Component.set(nt.memory, CallbackRecord, Component);
      return true;
    },
  }),
  KeDeregisterBugCheckReasonCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-kederegisterbugcheckreasoncallback',
    irql: anyIrql,
    params: { CallbackRecord: pointerTo('KBUGCHECK_REASON_CALLBACK_RECORD') },
    returns: 'BOOLEAN',
    body: (nt, { CallbackRecord }) =>
      deregister(nt, KBUGCHECK_REASON_CALLBACK_RECORD, CallbackRecord, 'bug-check-reason'),
  }),
  KeRegisterNmiCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-keregisternmicallback',
    irql: upToApc,
    params: { CallbackRoutine: PVOID, Context: PVOID },
    returns: 'PVOID',
    support: { partial: 'no non-maskable interrupt happens' },
    body: (nt, { CallbackRoutine: routine, Context: context }, call) => {
      const handle = nt.pool.allocateKernel(nmiBytes, 'Nmi ');
      const entry = { kind: 'nmi', routine, context, registrar: 'KeRegisterNmiCallback', subject: handle } as const;
      nt.callbacks.add({ ...entry, ...holderOf(nt, call) }, handle);
      return handle;
    },
  }),
  KeDeregisterNmiCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-kederegisternmicallback',
    irql: upToApc,
    params: { Handle: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Handle }) => {
      if (nt.callbacks.get(Handle, 'nmi') === undefined) return STATUS_INVALID_HANDLE;
      nt.callbacks.remove(Handle);
      nt.pool.freeKernel(Handle);
      return STATUS_SUCCESS;
    },
  }),
});
