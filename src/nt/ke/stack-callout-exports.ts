/** Routines that need more kernel stack than is left: the thread's stack grows downwards while they run. */
import type { ResumedCall } from '../declare/call.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, SIZE_T, ULONG64 } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER_3, STATUS_NO_MEMORY, STATUS_SUCCESS } from '../ntstatus.ts';
import { growStack, shrinkStack } from './thread-stack.ts';

/** ntddk.h: MAXIMUM_EXPANSION_SIZE */
const maximumExpansion = 0x1_1800;

function callOut(nt: Nt, routine: number, parameter: bigint, bytes: number): Outcome {
  if (bytes > maximumExpansion) return STATUS_INVALID_PARAMETER_3;
  const before = nt.scheduler.currentThread.stackLimit;
  if (!growStack(nt, bytes)) return STATUS_NO_MEMORY;
  return callGuest(routine as never, [parameter], 'calloutReturned', [before]);
}

function calloutReturned(nt: Nt, call: ResumedCall): Outcome {
  shrinkStack(nt, call.va(0));
  return STATUS_SUCCESS;
}

export const keStackCallouts = ntExports('ntoskrnl.exe', {
  KeExpandKernelStackAndCallout: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-keexpandkernelstackandcallout',
    irql: upToApc,
    params: { Callout: PVOID, Parameter: ULONG64, Size: SIZE_T },
    returns: 'NTSTATUS',
    body: (nt, { Callout, Parameter, Size }) => callOut(nt, Callout, Parameter, Size),
    resume: { calloutReturned },
  }),
  KeExpandKernelStackAndCalloutEx: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-keexpandkernelstackandcalloutex',
    irql: upToDispatch,
    params: { Callout: PVOID, Parameter: ULONG64, Size: SIZE_T, Wait: BOOLEAN, Context: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Callout, Parameter, Size }) => callOut(nt, Callout, Parameter, Size),
    resume: { calloutReturned },
  }),
  /** What is left between the stack pointer of the caller and the end of the stack. */
  IoGetRemainingStackSize: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetremainingstacksize (inline in most headers)',
    irql: upToDispatch,
    params: {},
    returns: 'SIZE_T',
    body: (nt, _args, call) => call.stack + 8 - nt.scheduler.currentThread.stackLimit,
  }),
});
