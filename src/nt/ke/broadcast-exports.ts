/** What runs on every processor, of which there is one: interprocessor calls, and DPCs for all. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { anyIrql, dispatchOnly, passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { Irql, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { holderOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess } from '../ntstatus.ts';
import { KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT } from '../structures/ke.ts';
import { setIrql } from './irql.ts';

/** KE_PROCESSOR_CHANGE_ADD_EXISTING */
const addExisting = 1;
/** KE_PROCESSOR_CHANGE_NOTIFY_STATE */
const ChangeState = { addStart: 0, addComplete: 1 } as const;

const statusAt = (change: Va): Va => vaAdd(change, KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT.sizeBytes);

/** Record: [registration, change, routine, context in two halves]. The status stands behind the structure. */
function tellOfProcessor(nt: Nt, state: number, record: readonly number[], resume: string): Outcome {
  const [, change, routine, high, low] = record as [Va, Va, Va, number, number];
  const context = (BigInt(high) << 32n) | BigInt(low);
  nt.memory.fill(change, KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT.sizeBytes + 8, 0);
  KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT.State.set(nt.memory, change, state);
  return callGuest(routine, [context, change, statusAt(change)], resume, record);
}

/** False if nothing is registered under that handle. */
function deregister(nt: Nt, registration: Va): boolean {
  const found = nt.callbacks.find('processor', ({ subject }) => subject === registration);
  if (found === undefined) return false;
  nt.callbacks.remove(found.id);
  nt.pool.freeKernel(registration);
  return true;
}

export const keBroadcasts = ntExports('ntoskrnl.exe', {
  KeIpiGenericCall: ntRoutine({
    doc: 'wdm.h; nf-wdm-keipigenericcall',
    irql: anyIrql,
    params: { BroadcastFunction: PVOID, Context: ULONG64 },
    returns: 'ULONG64',
    body: (nt, { BroadcastFunction, Context }) => {
      const { irql } = nt.cpu.state;
      setIrql(nt, Irql.IPI);
      return callGuest(BroadcastFunction, [Context], 'routineReturned', [irql]);
    },
    resume: {
      routineReturned: (nt, call) => {
        setIrql(nt, call.word(0));
        return nt.cpu.state.gpr(0);
      },
    },
  }),
  /** The DPC runs here at DISPATCH_LEVEL, with the arguments that it hands to the two routines below. */
  KeGenericCallDpc: ntRoutine({
    doc: 'ntoskrnl.exe; runs a DPC routine on every processor and waits for it',
    irql: upToApc,
    params: { Routine: PVOID, Context: ULONG64 },
    returns: 'VOID',
    body: (nt, { Routine, Context }) => {
      const { irql } = nt.cpu.state;
      // SystemArgument1 counts the processors, SystemArgument2 stands for their barrier.
      const counts = nt.pool.allocateKernel(0x40, 'KeDp');
      nt.memory.writeU32(counts, 1);
      setIrql(nt, Irql.DISPATCH);
      const args = [counts + 0x10, Context, counts, counts + 8];
      return callGuest(Routine, args, 'routineReturned', [irql, counts]);
    },
    resume: {
      routineReturned: (nt, call) => {
        nt.pool.freeKernel(call.va(1));
        setIrql(nt, call.word(0));
        return undefined;
      },
    },
  }),
  KeSignalCallDpcDone: ntRoutine({
    doc: 'ntoskrnl.exe; the end of a routine of KeGenericCallDpc',
    irql: dispatchOnly,
    params: { SystemArgument1: pointerTo('LONG') },
    returns: 'VOID',
    body: ({ memory }, { SystemArgument1 }) => {
      memory.writeU32(SystemArgument1, (memory.readU32(SystemArgument1) - 1) >>> 0);
    },
  }),
  /** TRUE on the one processor that is to do what has to be done once. */
  KeSignalCallDpcSynchronize: ntRoutine({
    doc: 'ntoskrnl.exe; the processors wait for each other in a routine of KeGenericCallDpc',
    irql: dispatchOnly,
    params: { SystemArgument2: PVOID },
    returns: 'BOOLEAN',
    body: () => true,
  }),
  /**
   * With KE_PROCESSOR_CHANGE_ADD_EXISTING the routine hears twice of the processor that there is: that it starts, which it
   * may refuse (NULL is the result then), and that it has. No other ever comes.
   */
  KeRegisterProcessorChangeCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-keregisterprocessorchangecallback',
    irql: passiveOnly,
    params: { CallbackFunction: PVOID, CallbackContext: ULONG64, Flags: ULONG },
    returns: 'PVOID',
    body: (nt, { CallbackFunction, CallbackContext, Flags }, call) => {
      const registration = nt.pool.allocateKernel(0x10, 'KePc');
      const registrar = 'KeRegisterProcessorChangeCallback';
      const callback = { kind: 'processor', routine: CallbackFunction, context: nullVa, registrar } as const;
      nt.callbacks.add({ ...callback, subject: registration, ...holderOf(nt, call) });
      if ((Flags & addExisting) === 0) return registration;
      const change = nt.pool.allocateKernel(KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT.sizeBytes + 8, 'KePc');
      const context = [Number(CallbackContext >> 32n), Number(CallbackContext & 0xffff_ffffn)];
      return tellOfProcessor(nt, ChangeState.addStart, [registration, change, CallbackFunction, ...context], 'started');
    },
    resume: {
      started: (nt, call) => {
        const [registration, change] = [call.va(0), call.va(1)];
        if (ntSuccess(nt.memory.readU32(statusAt(change)))) {
          return tellOfProcessor(nt, ChangeState.addComplete, call.record, 'completed');
        }
        deregister(nt, registration);
        nt.pool.freeKernel(change);
        return nullVa;
      },
      completed: (nt, call) => {
        nt.pool.freeKernel(call.va(1));
        return call.va(0);
      },
    },
  }),
  KeDeregisterProcessorChangeCallback: ntRoutine({
    doc: 'wdm.h; nf-wdm-kederegisterprocessorchangecallback',
    irql: passiveOnly,
    params: { CallbackHandle: PVOID },
    returns: 'VOID',
    body: (nt, { CallbackHandle }) => {
      if (deregister(nt, CallbackHandle)) return undefined;
      return unsupported('KeDeregisterProcessorChangeCallback of what is not registered');
    },
  }),
});
