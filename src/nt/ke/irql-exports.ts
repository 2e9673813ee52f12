/** IRQL, and the regions in which asynchronous procedure calls wait. */
import { anyIrql, upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { Irql, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, raise } from '../declare/outcome.ts';
import { KIRQL } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_ACCESS_VIOLATION } from '../ntstatus.ts';
import { raiseToDispatch } from './spin-locks.ts';

/** A value that CR8 has no room for is a general protection fault. */
function writeIrql(nt: Nt, irql: number, returned: number | undefined): Outcome {
  if (irql > Irql.HIGH) return raise(STATUS_ACCESS_VIOLATION, [0, -1]);
  nt.setIrql(irql);
  return returned;
}

function changeApcDisable(nt: Nt, by: { readonly kernel?: number; readonly special?: number }): undefined {
  const thread = nt.scheduler.currentThread;
  nt.scheduler.update(thread.kthread, {
    kernelApcDisable: thread.kernelApcDisable + (by.kernel ?? 0),
    specialApcDisable: thread.specialApcDisable + (by.special ?? 0),
  });
}

/** Also what guarded mutexes do. */
export function enterGuardedRegion(nt: Nt): undefined {
  return changeApcDisable(nt, { special: -1 });
}

export function leaveGuardedRegion(nt: Nt): undefined {
  return changeApcDisable(nt, { special: 1 });
}

export function enterCriticalRegion(nt: Nt): undefined {
  return changeApcDisable(nt, { kernel: -1 });
}

export function leaveCriticalRegion(nt: Nt): undefined {
  return changeApcDisable(nt, { kernel: 1 });
}

const lowerIrql = (doc: string) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { NewIrql: KIRQL },
    returns: 'VOID',
    body: (nt, { NewIrql }) => writeIrql(nt, NewIrql, undefined),
  });

export const keIrql = ntExports('ntoskrnl.exe', {
  KeGetCurrentIrql: ntRoutine({
    doc: 'wdm.h; nf-wdm-kegetcurrentirql',
    irql: anyIrql,
    params: {},
    returns: 'KIRQL',
    body: (nt) => nt.cpu.state.irql,
  }),
  KfRaiseIrql: ntRoutine({
    doc: 'wdm.h; nf-wdm-kfraiseirql',
    irql: anyIrql,
    params: { NewIrql: KIRQL },
    returns: 'KIRQL',
    body: (nt, { NewIrql }) => writeIrql(nt, NewIrql, nt.cpu.state.irql),
  }),
  KeRaiseIrqlToDpcLevel: ntRoutine({
    doc: 'wdm.h; nf-wdm-keraiseirqltodpclevel',
    irql: upToDispatch,
    params: {},
    returns: 'KIRQL',
    body: (nt) => raiseToDispatch(nt),
  }),
  KeLowerIrql: lowerIrql('wdm.h; nf-wdm-kelowerirql'),
  KfLowerIrql: lowerIrql('wdm.h; the form of KeLowerIrql with its argument in a register'),
  KeEnterCriticalRegion: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-keentercriticalregion',
    irql: upToApc,
    params: {},
    returns: 'VOID',
    body: (nt) => enterCriticalRegion(nt),
  }),
  KeLeaveCriticalRegion: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-keleavecriticalregion',
    irql: upToApc,
    params: {},
    returns: 'VOID',
    body: (nt) => leaveCriticalRegion(nt),
  }),
  KeEnterGuardedRegion: ntRoutine({
    doc: 'wdm.h; nf-wdm-keenterguardedregion',
    irql: upToApc,
    params: {},
    returns: 'VOID',
    body: (nt) => enterGuardedRegion(nt),
  }),
  KeLeaveGuardedRegion: ntRoutine({
    doc: 'wdm.h; nf-wdm-keleaveguardedregion',
    irql: upToApc,
    params: {},
    returns: 'VOID',
    body: (nt) => leaveGuardedRegion(nt),
  }),
  KeAreApcsDisabled: ntRoutine({
    doc: 'wdm.h; nf-wdm-keareapcsdisabled',
    irql: upToDispatch,
    params: {},
    returns: 'BOOLEAN',
    body: ({ scheduler: { currentThread } }) =>
      currentThread.kernelApcDisable !== 0 || currentThread.specialApcDisable !== 0,
  }),
  KeAreAllApcsDisabled: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-keareallapcsdisabled',
    irql: upToDispatch,
    params: {},
    returns: 'BOOLEAN',
    body: (nt) => nt.scheduler.currentThread.specialApcDisable !== 0 || nt.cpu.state.irql >= Irql.APC,
  }),
});
