/** DbgPrint and its relatives, and what the kernel says about a debugger. */
import type { Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { formatText, type NextArgument } from '../rtl/format.ts';
import { readAnsiZ } from '../rtl/guest-text.ts';
import { listArguments, variadicArguments } from '../rtl/printf.ts';

/** dpfilter.h */
export const defaultComponent = 101;
export const informationLevel = 3;

/** One call transmits no more. */
export const debugPrintBytes = 512;

const upToDirql = ['PASSIVE', 'SYNCH'] as const satisfies readonly [IrqlName, IrqlName];

/** What is transmitted: at most 512 bytes; of a longer text the last one is made a line end, as the kernel does. */
export function transmitted(text: string): string {
  return text.length <= debugPrintBytes ? text : `${text.slice(0, debugPrintBytes - 1)}\n`;
}

/**
 * Emits `debugPrint` whatever the component and level: the filter masks of a real system hide most messages from its
 * debugger, but never change what the driver sees. A listener may filter by them. `%n` ends the message.
 */
function debugPrint(
  nt: Nt,
  prefix: string,
  format: Va,
  next: NextArgument,
  componentId: number,
  level: number,
): number {
  const { memory } = nt;
  const request = { memory, format: readAnsiZ(memory, format), next, isWide: false, floating: 'verbatim' } as const;
  const text = transmitted(prefix + formatText(request).text);
  nt.events.emit('debugPrint', { text, componentId, level });
  return STATUS_SUCCESS;
}

function breakpoint(params: Record<string, typeof ULONG>, doc: string) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'HIGH'],
    params,
    returns: 'VOID',
    body: (nt, _args, { returnAddress }) => {
      nt.events.emit('breakpoint', { address: returnAddress });
      return undefined;
    },
  });
}

function assertion(nt: Nt, FailedAssertion: Va, FileName: Va, line: number, Message: Va): void {
  const text = (va: Va): string => (va === 0 ? '' : readAnsiZ(nt.memory, va));
  const message = `\n*** Assertion failed: ${text(Message)}${text(FailedAssertion)}\n***   Source File: ${text(FileName)}, line ${line}\n\n`;
  nt.events.emit('debugPrint', { text: transmitted(message), componentId: defaultComponent, level: 0 });
}

export const kdDebugPrint = ntExports(
  'ntoskrnl.exe',
  {
    DbgPrint: ntRoutine({
      doc: 'wdm.h; nf-wdm-dbgprint',
      irql: upToDirql,
      params: { Format: PVOID },
      isVariadic: true,
      returns: 'NTSTATUS',
      body: (nt, { Format }, call) =>
        debugPrint(nt, '', Format, variadicArguments(call, 1), defaultComponent, informationLevel),
    }),
    DbgPrintEx: ntRoutine({
      doc: 'wdm.h; nf-wdm-dbgprintex',
      irql: upToDirql,
      params: { ComponentId: ULONG, Level: ULONG, Format: PVOID },
      isVariadic: true,
      returns: 'NTSTATUS',
      body: (nt, { ComponentId, Level, Format }, call: Call) =>
        debugPrint(nt, '', Format, variadicArguments(call, 3), ComponentId, Level),
    }),
    vDbgPrintEx: ntRoutine({
      doc: 'wdm.h; nf-wdm-vdbgprintex',
      irql: upToDirql,
      params: { ComponentId: ULONG, Level: ULONG, Format: PVOID, arglist: PVOID },
      returns: 'NTSTATUS',
      body: (nt, { ComponentId, Level, Format, arglist }) =>
        debugPrint(nt, '', Format, listArguments(nt.memory, arglist), ComponentId, Level),
    }),
    vDbgPrintExWithPrefix: ntRoutine({
      doc: 'wdm.h; nf-wdm-vdbgprintexwithprefix',
      irql: upToDirql,
      params: { Prefix: PVOID, ComponentId: ULONG, Level: ULONG, Format: PVOID, arglist: PVOID },
      returns: 'NTSTATUS',
      body: (nt, { Prefix, ComponentId, Level, Format, arglist }) => {
        const prefix = readAnsiZ(nt.memory, Prefix);
        return debugPrint(nt, prefix, Format, listArguments(nt.memory, arglist), ComponentId, Level);
      },
    }),
    DbgBreakPoint: breakpoint({}, 'wdm.h; nf-wdm-dbgbreakpoint'),
    DbgBreakPointWithStatus: breakpoint({ Status: ULONG }, 'wdm.h; nf-wdm-dbgbreakpointwithstatus'),
    RtlAssert: ntRoutine({
      doc: 'ntddk.h; called by ASSERT in checked builds',
      irql: upToDirql,
      params: { FailedAssertion: PVOID, FileName: PVOID, LineNumber: ULONG, Message: PVOID },
      returns: 'VOID',
      support: { partial: 'nobody is asked what to do: it prints and breaks' },
      body: (nt, { FailedAssertion, FileName, LineNumber, Message }, { returnAddress }) => {
        assertion(nt, FailedAssertion, FileName, LineNumber, Message);
        nt.events.emit('breakpoint', { address: returnAddress });
        nt.debugControl.breakAfterCall(returnAddress);
        return undefined;
      },
    }),
    /** FALSE: a debugger is attached. */
    KdRefreshDebuggerNotPresent: ntRoutine({
      doc: 'wdm.h; nf-wdm-kdrefreshdebuggernotpresent',
      irql: ['PASSIVE', 'HIGH'],
      params: {},
      returns: 'BOOLEAN',
      body: () => false,
    }),
  },
  {
    KdDebuggerEnabled: {
      doc: 'wdm.h; TRUE: the machine was started for kernel debugging',
      sizeBytes: 1,
      initialise: (nt, va) => nt.memory.writeU8(va, 1),
    },
    KdDebuggerNotPresent: {
      doc: 'wdm.h; FALSE: a debugger is attached',
      sizeBytes: 1,
      initialise: (nt, va) => nt.memory.writeU8(va, 0),
    },
  },
);
