/** What drivers call to raise exceptions and to look at stacks. */
import { nullVa, type Va, vaAdd, vaFromU64, vaToU64 } from '../../base/va.ts';
import { lookupFunctionEntry, virtualUnwind } from '../../image/unwind/index.ts';
import type { Call } from '../declare/call.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { continueGuest, type Outcome, raise, unsupported } from '../declare/outcome.ts';
import { NTSTATUS, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_ACCESS_VIOLATION,
  STATUS_DATATYPE_MISALIGNMENT,
  STATUS_LONGJUMP,
  STATUS_UNWIND_CONSOLIDATE,
} from '../ntstatus.ts';
import { EXCEPTION_RECORD, RUNTIME_FUNCTION } from '../structures/exception.ts';
import { raiseRecord } from './dispatch-exception.ts';
import { processorContext, readContext, restoreContext, writeContext, writeProcessorContext } from './guest-context.ts';
import { driverImageAt, functionEntryVa, unwindMemory } from './unwind-frame.ts';

/** The caller of a routine that is being entered. */
function callerContext(nt: Nt, call: Call): ReturnType<typeof processorContext> {
  return processorContext(nt, nt.memory.readU64(call.stack), vaAdd(call.stack, 8));
}

function raiseFromDriver(nt: Nt, record: Va, call: Call): Outcome {
  const code = EXCEPTION_RECORD.ExceptionCode.get(nt.memory, record);
  if (code === STATUS_LONGJUMP || code === STATUS_UNWIND_CONSOLIDATE)
    return unsupported('RtlRaiseException for longjmp');
  raiseRecord(nt, record, callerContext(nt, call));
  return continueGuest;
}

function lookup(nt: Nt, controlPc: Va, imageBase: Va): Va {
  const image = driverImageAt(nt, controlPc);
  if (image === undefined) {
    const kernel = nt.images.containing(controlPc);
    if (kernel) nt.memory.writeVa(imageBase, kernel.base);
    return 0 as Va;
  }
  nt.memory.writeVa(imageBase, image.base);
  const entry = lookupFunctionEntry(image.pe, controlPc - image.base);
  return entry === undefined ? (0 as Va) : functionEntryVa(image, entry);
}

const unwindExceptionHandler = 1;
const unwindTerminationHandler = 2;

function virtualUnwindRoutine(nt: Nt, handlerType: number, functionEntry: Va, call: Call): Outcome {
  const { memory } = nt;
  const [controlPc, contextVa] = [call.raw(2), vaFromU64(call.raw(4))];
  const image = driverImageAt(nt, vaFromU64(call.raw(1)));
  if (image === undefined) return unsupported('RtlVirtualUnwind for code outside of the loaded drivers');
  if (call.raw(7) !== 0n) return unsupported('RtlVirtualUnwind with ContextPointers');
  const entry = {
    beginRva: RUNTIME_FUNCTION.BeginAddress.get(memory, functionEntry),
    endRva: RUNTIME_FUNCTION.EndAddress.get(memory, functionEntry),
    unwindInfoRva: RUNTIME_FUNCTION.UnwindData.get(memory, functionEntry),
  };
  const result = virtualUnwind({
    pe: image.pe,
    imageBase: image.base,
    entry,
    context: { ...readContext(nt, contextVa), rip: controlPc },
    memory: unwindMemory(nt),
    handlerType:
      (handlerType & unwindExceptionHandler) !== 0
        ? 'exception'
        : (handlerType & unwindTerminationHandler) !== 0
          ? 'unwind'
          : 'none',
  });
  if (result.kind === 'unreadable') return raise(STATUS_ACCESS_VIOLATION, [0, result.va]);
  writeContext(nt, contextVa, result.context);
  memory.writeU64(vaFromU64(call.raw(6)), result.establisherFrame);
  if (result.handler === undefined) return 0;
  memory.writeVa(vaFromU64(call.raw(5)), vaAdd(image.base, result.handler.dataRva));
  return vaAdd(image.base, result.handler.rva);
}

function captureStack(nt: Nt, skip: number, count: number, backTrace: Va, hash: Va): number {
  // The first address is this routine's own.
  const frames = nt.exceptions.walkStack(skip + count + 1).slice(skip + 1);
  let sum = 0;
  for (const [index, frame] of frames.entries()) {
    nt.memory.writeVa(vaAdd(backTrace, index * 8), frame);
    sum = (sum + (Number(vaToU64(frame) & 0xffff_ffffn) >>> 0)) >>> 0;
  }
  if (hash !== 0) nt.memory.writeU32(hash, sum);
  return frames.length;
}

export const rtlExceptions = ntExports('ntoskrnl.exe', {
  ExRaiseStatus: ntRoutine({
    doc: 'wdm.h; learn: nf-wdm-exraisestatus',
    irql: ['PASSIVE', 'APC'],
    params: { Status: NTSTATUS },
    returns: 'VOID',
    body: (_nt, { Status }) => raise(Status),
  }),
  ExRaiseAccessViolation: ntRoutine({
    doc: 'ntddk.h; learn: nf-ntddk-exraiseaccessviolation',
    irql: ['PASSIVE', 'APC'],
    params: {},
    returns: 'VOID',
    body: () => raise(STATUS_ACCESS_VIOLATION),
  }),
  ExRaiseDatatypeMisalignment: ntRoutine({
    doc: 'ntddk.h; learn: nf-ntddk-exraisedatatypemisalignment',
    irql: ['PASSIVE', 'APC'],
    params: {},
    returns: 'VOID',
    body: () => raise(STATUS_DATATYPE_MISALIGNMENT),
  }),
  RtlRaiseException: ntRoutine({
    doc: 'winnt.h; as RaiseException, with the record given',
    irql: ['PASSIVE', 'HIGH'],
    params: { ExceptionRecord: pointerTo('EXCEPTION_RECORD') },
    returns: 'VOID',
    support: { partial: 'not for STATUS_LONGJUMP and STATUS_UNWIND_CONSOLIDATE' },
    body: (nt, { ExceptionRecord }, call) => raiseFromDriver(nt, ExceptionRecord, call),
  }),
  ExRaiseException: ntRoutine({
    doc: 'ntifs.h; another name of RtlRaiseException',
    irql: ['PASSIVE', 'HIGH'],
    params: { ExceptionRecord: pointerTo('EXCEPTION_RECORD') },
    returns: 'VOID',
    support: { partial: 'not for STATUS_LONGJUMP and STATUS_UNWIND_CONSOLIDATE' },
    body: (nt, { ExceptionRecord }, call) => raiseFromDriver(nt, ExceptionRecord, call),
  }),
  RtlCaptureContext: ntRoutine({
    doc: 'ntifs.h; learn: nf-ntifs-rtlcapturecontext',
    irql: ['PASSIVE', 'HIGH'],
    params: { ContextRecord: pointerTo('CONTEXT') },
    returns: 'VOID',
    body: (nt, { ContextRecord }, call) => {
      writeProcessorContext(nt, ContextRecord, callerContext(nt, call));
      return undefined;
    },
  }),
  RtlRestoreContext: ntRoutine({
    doc: 'winnt.h; learn: nf-winnt-rtlrestorecontext',
    irql: ['PASSIVE', 'HIGH'],
    params: { ContextRecord: pointerTo('CONTEXT'), ExceptionRecord: pointerTo('EXCEPTION_RECORD') },
    returns: 'VOID',
    support: { partial: 'not for STATUS_LONGJUMP and STATUS_UNWIND_CONSOLIDATE' },
    body: (nt, { ContextRecord, ExceptionRecord }) => {
      const code = ExceptionRecord === 0 ? 0 : EXCEPTION_RECORD.ExceptionCode.get(nt.memory, ExceptionRecord);
      if (code === STATUS_LONGJUMP || code === STATUS_UNWIND_CONSOLIDATE)
        return unsupported('RtlRestoreContext for longjmp');
      restoreContext(nt, ContextRecord);
      return continueGuest;
    },
  }),
  RtlLookupFunctionEntry: ntRoutine({
    doc: 'winnt.h; learn: nf-winnt-rtllookupfunctionentry',
    irql: ['PASSIVE', 'HIGH'],
    params: { ControlPc: PVOID, ImageBase: PVOID, HistoryTable: PVOID },
    returns: 'PVOID',
    body: (nt, { ControlPc, ImageBase }) => lookup(nt, ControlPc, ImageBase),
  }),
  RtlVirtualUnwind: ntRoutine({
    doc: 'winnt.h; learn: nf-winnt-rtlvirtualunwind',
    irql: ['PASSIVE', 'HIGH'],
    params: {
      HandlerType: ULONG,
      ImageBase: PVOID,
      ControlPc: PVOID,
      FunctionEntry: pointerTo('RUNTIME_FUNCTION'),
      ContextRecord: pointerTo('CONTEXT'),
      HandlerData: PVOID,
      EstablisherFrame: PVOID,
      ContextPointers: PVOID,
    },
    returns: 'PVOID',
    support: { partial: 'not with ContextPointers' },
    body: (nt, { HandlerType, FunctionEntry }, call) => virtualUnwindRoutine(nt, HandlerType, FunctionEntry, call),
  }),
  RtlPcToFileHeader: ntRoutine({
    doc: 'ntifs.h; the image that holds an address',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { PcValue: PVOID, BaseOfImage: PVOID },
    returns: 'PVOID',
    body: (nt, { PcValue, BaseOfImage }) => {
      const base = nt.images.containing(PcValue)?.base ?? (0 as Va);
      nt.memory.writeVa(BaseOfImage, base);
      return base;
    },
  }),
  RtlCaptureStackBackTrace: ntRoutine({
    doc: 'ntifs.h; learn: nf-ntifs-rtlcapturestackbacktrace',
    irql: ['PASSIVE', 'HIGH'],
    params: { FramesToSkip: ULONG, FramesToCapture: ULONG, BackTrace: PVOID, BackTraceHash: PVOID },
    returns: 'ULONG',
    body: (nt, { FramesToSkip, FramesToCapture, BackTrace, BackTraceHash }) =>
      captureStack(nt, FramesToSkip, FramesToCapture, BackTrace, BackTraceHash),
  }),
  RtlWalkFrameChain: ntRoutine({
    doc: 'ntifs.h; as RtlCaptureStackBackTrace, frames to skip in bits 8 and up of Flags',
    irql: ['PASSIVE', 'HIGH'],
    params: { Callers: PVOID, Count: ULONG, Flags: ULONG },
    returns: 'ULONG',
    support: { partial: 'frames of the kernel only' },
    body: (nt, { Callers, Count, Flags }) =>
      (Flags & 1) !== 0
        ? unsupported('RtlWalkFrameChain for user-mode frames')
        : captureStack(nt, Flags >>> 8, Count, Callers, nullVa),
  }),
});
