import { bytes, i32, i64, placed, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

export const LIST_ENTRY = struct('_LIST_ENTRY', { Flink: pointer, Blink: pointer });

/** The start of everything that can be waited for. */
export const DISPATCHER_HEADER = struct('_DISPATCHER_HEADER', {
  Type: u8,
  Signalling: u8,
  Size: u8,
  Reserved1: u8,
  SignalState: i32,
  WaitListHead: bytes(16, 8),
});

/** DISPATCHER_HEADER.Type */
export const DispatcherType = {
  EventNotification: 0,
  EventSynchronization: 1,
  Mutant: 2,
  Process: 3,
  Queue: 4,
  Semaphore: 5,
  Thread: 6,
  TimerNotification: 8,
  TimerSynchronization: 9,
} as const;

export const KEVENT = struct('_KEVENT', { Header: bytes(DISPATCHER_HEADER.sizeBytes, 8) });

export const KSEMAPHORE = struct('_KSEMAPHORE', { Header: bytes(DISPATCHER_HEADER.sizeBytes, 8), Limit: i32 });

export const KMUTANT = struct('_KMUTANT', {
  Header: bytes(DISPATCHER_HEADER.sizeBytes, 8),
  MutantListEntry: bytes(16, 8),
  OwnerThread: pointer,
  Abandoned: u8,
  ApcDisable: u8,
});

export const KTIMER = struct('_KTIMER', {
  Header: bytes(DISPATCHER_HEADER.sizeBytes, 8),
  DueTime: u64,
  TimerListEntry: bytes(16, 8),
  Dpc: pointer,
  Processor: u32,
  Period: u32,
});

export const KDPC = struct('_KDPC', {
  Type: u8,
  Importance: u8,
  Number: u16,
  DpcListEntry: placed(0x08, bytes(16, 8)),
  DeferredRoutine: placed(0x18, pointer),
  DeferredContext: pointer,
  SystemArgument1: pointer,
  SystemArgument2: pointer,
  DpcData: pointer,
});

export const KAPC = struct('_KAPC', {
  Type: u8,
  Size: placed(0x02, u8),
  Thread: placed(0x08, pointer),
  ApcListEntry: bytes(16, 8),
  KernelRoutine: pointer,
  RundownRoutine: pointer,
  NormalRoutine: pointer,
  NormalContext: pointer,
  SystemArgument1: pointer,
  SystemArgument2: pointer,
  ApcStateIndex: u8,
  ApcMode: u8,
  Inserted: u8,
});

export const KQUEUE = struct('_KQUEUE', {
  Header: bytes(DISPATCHER_HEADER.sizeBytes, 8),
  EntryListHead: bytes(16, 8),
  CurrentCount: u32,
  MaximumCount: u32,
  ThreadListHead: bytes(16, 8),
});

/** KLOCK_QUEUE_HANDLE: an in-stack queued spin lock's place in the queue. */
export const KLOCK_QUEUE_HANDLE = struct('_KLOCK_QUEUE_HANDLE', { Next: pointer, Lock: pointer, OldIrql: u8 });

/** FAST_MUTEX and KGUARDED_MUTEX. */
export const FAST_MUTEX = struct('_FAST_MUTEX', {
  Count: u32,
  Owner: pointer,
  Contention: u32,
  Event: placed(0x18, bytes(KEVENT.sizeBytes, 8)),
  OldIrql: placed(0x30, u32),
});

export const KDEVICE_QUEUE = struct(
  '_KDEVICE_QUEUE',
  { Type: u16, Size: u16, DeviceListHead: placed(0x08, bytes(16, 8)), Lock: placed(0x18, u64), Busy: placed(0x20, u8) },
  0x28,
);

export const KDEVICE_QUEUE_ENTRY = struct('_KDEVICE_QUEUE_ENTRY', {
  DeviceListEntry: bytes(16, 8),
  SortKey: u32,
  Inserted: u8,
});

export const PROCESSOR_NUMBER = struct('_PROCESSOR_NUMBER', { Group: u16, Number: u8, Reserved: u8 });

export const KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT = struct('_KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT', {
  State: u32,
  NtNumber: u32,
  Status: u32,
  ProcNumber: bytes(4, 2),
});

export const GROUP_AFFINITY = struct('_GROUP_AFFINITY', { Mask: u64, Group: u16, Reserved: placed(0x0a, bytes(6, 2)) });

export const CLIENT_ID = struct('_CLIENT_ID', { UniqueProcess: pointer, UniqueThread: pointer });

/** The parts of KPCR and its KPRCB that compiled code reads through GS. */
export const KPCR = struct(
  '_KPCR',
  {
    GdtBase: placed(0x00, pointer),
    TssBase: placed(0x08, pointer),
    UserRsp: placed(0x10, u64),
    Self: placed(0x18, pointer),
    CurrentPrcb: placed(0x20, pointer),
    LockArray: placed(0x28, pointer),
    Used_Self: placed(0x30, pointer),
    IdtBase: placed(0x38, pointer),
    Irql: placed(0x50, u8),
    MajorVersion: placed(0x60, u16),
    MinorVersion: placed(0x62, u16),
    PrcbMxCsr: placed(0x180, u32),
    PrcbNumber: placed(0x184, u32),
    PrcbCurrentThread: placed(0x188, pointer),
    PrcbNextThread: placed(0x190, pointer),
    PrcbIdleThread: placed(0x198, pointer),
  },
  0x8000,
);

/** The parts of KUSER_SHARED_DATA that drivers read inline (ntddk.h). */
export const KUSER_SHARED_DATA = struct(
  'KUSER_SHARED_DATA',
  {
    TickCountLowDeprecated: placed(0x000, u32),
    TickCountMultiplier: placed(0x004, u32),
    InterruptTimeLow: placed(0x008, u32),
    InterruptTimeHigh1: placed(0x00c, u32),
    InterruptTimeHigh2: placed(0x010, u32),
    SystemTimeLow: placed(0x014, u32),
    SystemTimeHigh1: placed(0x018, u32),
    SystemTimeHigh2: placed(0x01c, u32),
    TimeZoneBias: placed(0x020, i64),
    NtSystemRoot: placed(0x030, bytes(520, 2)),
    NtBuildNumber: placed(0x260, u32),
    NtProductType: placed(0x264, u32),
    ProductTypeIsValid: placed(0x268, u8),
    NativeProcessorArchitecture: placed(0x26a, u16),
    NtMajorVersion: placed(0x26c, u32),
    NtMinorVersion: placed(0x270, u32),
    KdDebuggerEnabled: placed(0x2d4, u8),
    ActiveProcessorCount: placed(0x3c0, u32),
    TickCountLow: placed(0x320, u32),
    TickCountHigh: placed(0x324, u32),
    TickCountHigh2: placed(0x328, u32),
    Cookie: placed(0x330, u32),
  },
  0x1000,
);
