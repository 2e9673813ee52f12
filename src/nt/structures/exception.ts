/** Exceptions in memory: the public structures, and the kernel's own frames on the guest's stack while it handles one. */
import { resumeFrameHeader } from '../declare/call.ts';
import { bytes, embedded, placed, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

export const maximumExceptionParameters = 15;

export const EXCEPTION_RECORD = struct('_EXCEPTION_RECORD', {
  ExceptionCode: u32,
  ExceptionFlags: u32,
  ExceptionRecord: pointer,
  ExceptionAddress: u64,
  NumberParameters: u32,
  /** 15 times 64 bits. */
  ExceptionInformation: bytes(maximumExceptionParameters * 8, 8),
});

/** EXCEPTION_RECORD.ExceptionFlags (ntdef.h). */
export const ExceptionFlag = {
  NonContinuable: 0x01,
  Unwinding: 0x02,
  ExitUnwind: 0x04,
  StackInvalid: 0x08,
  NestedCall: 0x10,
  TargetUnwind: 0x20,
  CollidedUnwind: 0x40,
} as const;

/** EXCEPTION_DISPOSITION (excpt.h): what a language handler returns. */
export const Disposition = { ContinueExecution: 0, ContinueSearch: 1, NestedException: 2, CollidedUnwind: 3 } as const;

export const EXCEPTION_POINTERS = struct('_EXCEPTION_POINTERS', { ExceptionRecord: pointer, ContextRecord: pointer });

export const CONTEXT = struct(
  '_CONTEXT',
  {
    ContextFlags: placed(0x30, u32),
    MxCsr: u32,
    SegCs: u16,
    SegDs: u16,
    SegEs: u16,
    SegFs: u16,
    SegGs: u16,
    SegSs: u16,
    EFlags: u32,
    /** Dr0 to Dr3, Dr6, Dr7. */
    DebugRegisters: bytes(0x30, 8),
    /** Rax to R15 in encoding order, 64 bits each. */
    Gpr: bytes(0x80, 8),
    Rip: u64,
    /** XSAVE_FORMAT up to its XMM registers. */
    FltSave: bytes(0xa0, 16),
    /** Xmm0 to Xmm15. */
    Xmm: bytes(0x100, 16),
  },
  0x4d0,
);

export const DISPATCHER_CONTEXT = struct('_DISPATCHER_CONTEXT', {
  ControlPc: u64,
  ImageBase: pointer,
  FunctionEntry: pointer,
  EstablisherFrame: pointer,
  TargetIp: u64,
  ContextRecord: pointer,
  LanguageHandler: pointer,
  HandlerData: pointer,
  HistoryTable: pointer,
  ScopeIndex: u32,
  Fill0: u32,
});

/** One entry of `__C_specific_handler`'s table; a count (ULONG) stands before the first. */
export const SCOPE_RECORD = struct('_SCOPE_RECORD', {
  BeginAddress: u32,
  EndAddress: u32,
  HandlerAddress: u32,
  JumpTarget: u32,
});

export const RUNTIME_FUNCTION = struct('_IMAGE_RUNTIME_FUNCTION_ENTRY', {
  BeginAddress: u32,
  EndAddress: u32,
  UnwindData: u32,
});

/** KTRAP_FRAME (public symbols of the kernel): what bug checks point to. */
export const KTRAP_FRAME = struct(
  '_KTRAP_FRAME',
  {
    PreviousIrql: placed(0x29, u8),
    MxCsr: placed(0x2c, u32),
    Rax: u64,
    Rcx: u64,
    Rdx: u64,
    R8: u64,
    R9: u64,
    R10: u64,
    R11: u64,
    Rbx: placed(0x140, u64),
    Rdi: u64,
    Rsi: u64,
    Rbp: u64,
    ErrorCode: u64,
    Rip: u64,
    SegCs: u16,
    EFlags: placed(0x178, u32),
    Rsp: placed(0x180, u64),
    SegSs: u16,
  },
  0x190,
);

/** Where the locals of the kernel's frames begin: behind the resume frame's header and its one word. */
const frameLocals = resumeFrameHeader + 0x20;

/** RtlDispatchException's frame: the search for a handler. */
export const DISPATCH_FRAME = struct('RtlDispatchException frame', {
  /** The exception's record: `OwnRecord`, or the one that the raiser made. */
  Record: placed(frameLocals, pointer),
  /** Establisher frame up to which the search passes what an earlier, interrupted search has seen. */
  NestedFrame: pointer,
  Flags: u32,
  OwnRecord: placed(frameLocals + 0x20, embedded(EXCEPTION_RECORD)),
  Dispatcher: embedded(DISPATCHER_CONTEXT),
  /** Where the exception happened; filters may change it, and execution may continue from it. */
  Context: embedded(CONTEXT, 16),
  /** The frame that the search has come to. */
  Walking: embedded(CONTEXT, 16),
});

/** RtlUnwindEx's frame. */
export const UNWIND_FRAME = struct('RtlUnwindEx frame', {
  Record: placed(frameLocals, pointer),
  TargetFrame: pointer,
  TargetIp: u64,
  ReturnValue: u64,
  Flags: u32,
  OwnRecord: placed(frameLocals + 0x30, embedded(EXCEPTION_RECORD)),
  Dispatcher: embedded(DISPATCHER_CONTEXT),
  /** The frame that is being unwound. */
  Current: embedded(CONTEXT, 16),
});

/** __C_specific_handler's frame while a filter or a termination handler runs. */
export const SPECIFIC_HANDLER_FRAME = struct('__C_specific_handler frame', {
  /** EXCEPTION_POINTERS: what a filter is given. */
  Record: placed(frameLocals, pointer),
  Context: pointer,
  EstablisherFrame: pointer,
  Dispatcher: pointer,
  ScopeIndex: u32,
});
