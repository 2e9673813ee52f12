/** wdm.h: cancel-safe queues, remove locks, work items, error log entries. */
import { bytes, i32, placed, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';
import { KEVENT, LIST_ENTRY } from './ke.ts';

export const IO_CSQ = struct('_IO_CSQ', {
  Type: u32,
  CsqInsertIrp: pointer,
  CsqRemoveIrp: pointer,
  CsqPeekNextIrp: pointer,
  CsqAcquireLock: pointer,
  CsqReleaseLock: pointer,
  CsqCompleteCanceledIrp: pointer,
  ReservePointer: pointer,
});

export const IO_CSQ_IRP_CONTEXT = struct('_IO_CSQ_IRP_CONTEXT', { Type: u32, Irp: pointer, Csq: pointer });

/** First field of the structures that an IRP in a cancel-safe queue points to. */
export const CsqType = { IrpContext: 1, Csq: 2, CsqEx: 3 } as const;

export const IO_REMOVE_LOCK = struct(
  '_IO_REMOVE_LOCK',
  { Removed: u8, IoCount: placed(0x04, i32), RemoveEvent: placed(0x08, bytes(KEVENT.sizeBytes, 8)) },
  0x20,
);

/** Follows the lock in drivers that were compiled with DBG. */
export const IO_REMOVE_LOCK_DBG_BLOCK = struct(
  '_IO_REMOVE_LOCK_DBG_BLOCK',
  {
    Signature: u32,
    HighWatermark: u32,
    MaxLockedTicks: u64,
    AllocateTag: u32,
    LockList: placed(0x18, bytes(LIST_ENTRY.sizeBytes, 8)),
    Spin: placed(0x28, u64),
    LowMemoryCount: placed(0x30, i32),
    Blocks: placed(0x50, pointer),
  },
  0x58,
);

export const WORK_QUEUE_ITEM = struct('_WORK_QUEUE_ITEM', {
  List: bytes(LIST_ENTRY.sizeBytes, 8),
  WorkerRoutine: pointer,
  Parameter: u64,
});

/** The I/O manager's own: drivers only have its address, and its size through IoSizeofWorkItem. */
export const IO_WORKITEM = struct(
  '_IO_WORKITEM',
  {
    WorkItem: bytes(WORK_QUEUE_ITEM.sizeBytes, 8),
    Routine: placed(0x20, pointer),
    IoObject: placed(0x28, pointer),
    Context: placed(0x30, u64),
    /** The routine is of the form that is given the work item itself. */
    IsExtended: placed(0x3c, u32),
  },
  0x58,
);

export const IO_ERROR_LOG_PACKET = struct(
  '_IO_ERROR_LOG_PACKET',
  {
    MajorFunctionCode: u8,
    DumpDataSize: placed(0x02, u16),
    NumberOfStrings: placed(0x04, u16),
    StringOffset: placed(0x06, u16),
    ErrorCode: placed(0x0c, u32),
    UniqueErrorValue: placed(0x10, u32),
    FinalStatus: placed(0x14, u32),
  },
  0x30,
);
