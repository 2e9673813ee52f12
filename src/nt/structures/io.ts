/** wdm.h: what the I/O manager and drivers share. */
import { bytes, i8, i16, i32, placed, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

export const OBJECT_ATTRIBUTES = struct('_OBJECT_ATTRIBUTES', {
  Length: u32,
  RootDirectory: pointer,
  ObjectName: pointer,
  Attributes: u32,
  SecurityDescriptor: pointer,
  SecurityQualityOfService: pointer,
});

export const IO_STATUS_BLOCK = struct('_IO_STATUS_BLOCK', { Status: placed(0, u32), Information: placed(8, u64) });

export const IRP = struct(
  '_IRP',
  {
    Type: placed(0x00, u16),
    Size: placed(0x02, u16),
    MdlAddress: placed(0x08, pointer),
    Flags: placed(0x10, u32),
    SystemBuffer: placed(0x18, pointer),
    IrpCount: placed(0x18, i32),
    ThreadListEntry: placed(0x20, bytes(16, 8)),
    Status: placed(0x30, u32),
    Information: placed(0x38, u64),
    RequestorMode: placed(0x40, u8),
    PendingReturned: placed(0x41, u8),
    StackCount: placed(0x42, i8),
    CurrentLocation: placed(0x43, i8),
    Cancel: placed(0x44, u8),
    CancelIrql: placed(0x45, u8),
    ApcEnvironment: placed(0x46, u8),
    AllocationFlags: placed(0x47, u8),
    UserIosb: placed(0x48, pointer),
    UserEvent: placed(0x50, pointer),
    UserApcRoutine: placed(0x58, pointer),
    UserApcContext: placed(0x60, pointer),
    CancelRoutine: placed(0x68, pointer),
    UserBuffer: placed(0x70, pointer),
    DriverContext: placed(0x78, bytes(32, 8)),
    Thread: placed(0x98, pointer),
    AuxiliaryBuffer: placed(0xa0, pointer),
    ListEntry: placed(0xa8, bytes(16, 8)),
    CurrentStackLocation: placed(0xb8, pointer),
    OriginalFileObject: placed(0xc0, pointer),
  },
  0xd0,
);

/** IRP.Flags */
export const IrpFlag = {
  Nocache: 0x1,
  PagingIo: 0x2,
  SynchronousApi: 0x4,
  CreateOperation: 0x8,
  BufferedIo: 0x10,
  DeallocateBuffer: 0x20,
  InputOperation: 0x40,
  SynchronousPagingIo: 0x40,
  AssociatedIrp: 0x8,
  CloseOperation: 0x400,
  DeferIoCompletion: 0x800,
  /** The kernel's own: PoSetSystemWake. */
  SystemWake: 0x4000_0000,
} as const;

export const IO_STACK_LOCATION = struct(
  '_IO_STACK_LOCATION',
  {
    MajorFunction: u8,
    MinorFunction: u8,
    Flags: u8,
    Control: u8,
    /** The four slots of `Parameters`, whatever the major function makes of them. */
    Parameter0: placed(0x08, pointer),
    Parameter1: placed(0x10, pointer),
    Parameter2: placed(0x18, pointer),
    Parameter3: placed(0x20, pointer),
    CreateSecurityContext: placed(0x08, pointer),
    CreateOptions: placed(0x10, u32),
    CreateFileAttributes: placed(0x18, u16),
    CreateShareAccess: placed(0x1a, u16),
    CreateEaLength: placed(0x20, u32),
    ReadWriteLength: placed(0x08, u32),
    ReadWriteKey: placed(0x10, u32),
    ReadWriteByteOffset: placed(0x18, u64),
    /** IRP_MJ_QUERY_INFORMATION, IRP_MJ_SET_INFORMATION, IRP_MJ_QUERY_VOLUME_INFORMATION */
    QueryLength: placed(0x08, u32),
    QueryInformationClass: placed(0x10, u32),
    DirectoryLength: placed(0x08, u32),
    DirectoryFileName: placed(0x10, pointer),
    DirectoryInformationClass: placed(0x18, u32),
    OutputBufferLength: placed(0x08, u32),
    InputBufferLength: placed(0x10, u32),
    IoControlCode: placed(0x18, u32),
    Type3InputBuffer: placed(0x20, pointer),
    DeviceObject: placed(0x28, pointer),
    FileObject: placed(0x30, pointer),
    CompletionRoutine: placed(0x38, pointer),
    Context: placed(0x40, u64),
  },
  0x48,
);

/** IO_STACK_LOCATION.Control */
export const StackControl = {
  PendingReturned: 0x01,
  ErrorReturned: 0x02,
  InvokeOnCancel: 0x20,
  InvokeOnSuccess: 0x40,
  InvokeOnError: 0x80,
} as const;

export const MajorFunction = {
  Create: 0x00,
  Close: 0x02,
  Read: 0x03,
  Write: 0x04,
  QueryInformation: 0x05,
  SetInformation: 0x06,
  FlushBuffers: 0x09,
  QueryVolumeInformation: 0x0a,
  DirectoryControl: 0x0c,
  FileSystemControl: 0x0d,
  DeviceControl: 0x0e,
  InternalDeviceControl: 0x0f,
  Shutdown: 0x10,
  Cleanup: 0x12,
  Power: 0x16,
  SystemControl: 0x17,
  Pnp: 0x1b,
} as const;
export const majorFunctionCount = 28;

/** 0x148 bytes of fields in a structure that is aligned to 16: the extension follows at 0x150. */
export const DEVICE_OBJECT = struct(
  '_DEVICE_OBJECT',
  {
    Type: placed(0x00, i16),
    Size: placed(0x02, u16),
    ReferenceCount: placed(0x04, i32),
    DriverObject: placed(0x08, pointer),
    NextDevice: placed(0x10, pointer),
    AttachedDevice: placed(0x18, pointer),
    CurrentIrp: placed(0x20, pointer),
    Timer: placed(0x28, pointer),
    Flags: placed(0x30, u32),
    Characteristics: placed(0x34, u32),
    Vpb: placed(0x38, pointer),
    DeviceExtension: placed(0x40, pointer),
    DeviceType: placed(0x48, u32),
    StackSize: placed(0x4c, i8),
    Queue: placed(0x50, bytes(0x48, 8)),
    AlignmentRequirement: placed(0x98, u32),
    DeviceQueue: placed(0xa0, bytes(0x28, 8)),
    Dpc: placed(0xc8, bytes(0x40, 8)),
    ActiveThreadCount: placed(0x108, u32),
    SecurityDescriptor: placed(0x110, pointer),
    DeviceLock: placed(0x118, bytes(0x18, 8)),
    SectorSize: placed(0x130, u16),
    DeviceObjectExtension: placed(0x138, pointer),
  },
  0x150,
);

/** DEVICE_OBJECT.Flags */
export const DeviceFlag = {
  BufferedIo: 0x4,
  Exclusive: 0x8,
  DirectIo: 0x10,
  DeviceHasName: 0x40,
  DeviceInitializing: 0x80,
  ShutdownRegistered: 0x800,
  PowerPagable: 0x2000,
} as const;

/** DEVOBJ_EXTENSION; what lies behind DeviceObject is the I/O manager's own. */
export const DEVOBJ_EXTENSION = struct(
  '_DEVOBJ_EXTENSION',
  {
    Type: placed(0x00, i16),
    Size: placed(0x02, u16),
    DeviceObject: placed(0x08, pointer),
    ExtensionFlags: placed(0x20, u32),
    AttachedTo: placed(0x30, pointer),
  },
  0x70,
);

/** DEVOBJ_EXTENSION.ExtensionFlags (DOE_*) */
export const DeviceExtensionFlag = {
  UnloadPending: 0x1,
  DeletePending: 0x2,
  RemovePending: 0x4,
  RemoveProcessed: 0x8,
} as const;

export const DRIVER_OBJECT = struct(
  '_DRIVER_OBJECT',
  {
    Type: placed(0x00, i16),
    Size: placed(0x02, u16),
    DeviceObject: placed(0x08, pointer),
    Flags: placed(0x10, u32),
    DriverStart: placed(0x18, pointer),
    DriverSize: placed(0x20, u32),
    DriverSection: placed(0x28, pointer),
    DriverExtension: placed(0x30, pointer),
    DriverName: placed(0x38, bytes(16, 8)),
    HardwareDatabase: placed(0x48, pointer),
    FastIoDispatch: placed(0x50, pointer),
    DriverInit: placed(0x58, pointer),
    DriverStartIo: placed(0x60, pointer),
    DriverUnload: placed(0x68, pointer),
    MajorFunction: placed(0x70, bytes(majorFunctionCount * 8, 8)),
  },
  0x150,
);

/** DRIVER_OBJECT.Flags (DRVO_*) */
export const DriverFlag = {
  UnloadInvoked: 0x1,
  LegacyDriver: 0x2,
  ReinitRegistered: 0x8,
  Initialized: 0x10,
  BootReinitRegistered: 0x20,
} as const;

export const DRIVER_EXTENSION = struct(
  '_DRIVER_EXTENSION',
  {
    DriverObject: pointer,
    AddDevice: pointer,
    Count: u32,
    ServiceKeyName: placed(0x18, bytes(16, 8)),
  },
  0x50,
);

export const FILE_OBJECT = struct(
  '_FILE_OBJECT',
  {
    Type: placed(0x00, i16),
    Size: placed(0x02, i16),
    DeviceObject: placed(0x08, pointer),
    FsContext: placed(0x18, pointer),
    FsContext2: placed(0x20, pointer),
    FinalStatus: placed(0x38, u32),
    RelatedFileObject: placed(0x40, pointer),
    DeletePending: placed(0x49, u8),
    ReadAccess: placed(0x4a, u8),
    WriteAccess: placed(0x4b, u8),
    DeleteAccess: placed(0x4c, u8),
    SharedRead: placed(0x4d, u8),
    SharedWrite: placed(0x4e, u8),
    SharedDelete: placed(0x4f, u8),
    Flags: placed(0x50, u32),
    FileName: placed(0x58, bytes(16, 8)),
    CurrentByteOffset: placed(0x68, u64),
    Lock: placed(0x80, bytes(24, 8)),
    Event: placed(0x98, bytes(24, 8)),
  },
  0xd8,
);

/** FILE_OBJECT.Flags */
export const FileFlag = { SynchronousIo: 0x2, HandleCreated: 0x40000, CleanupComplete: 0x4000 } as const;

export const MDL = struct(
  '_MDL',
  {
    Next: pointer,
    Size: i16,
    MdlFlags: u16,
    Process: placed(0x10, pointer),
    MappedSystemVa: placed(0x18, pointer),
    StartVa: placed(0x20, pointer),
    ByteCount: placed(0x28, u32),
    ByteOffset: placed(0x2c, u32),
  },
  0x30,
);

/** MDL.MdlFlags, wdm.h. */
export const MdlFlag = {
  MappedToSystemVa: 0x0001,
  PagesLocked: 0x0002,
  SourceIsNonPagedPool: 0x0004,
  AllocatedFixedSize: 0x0008,
  Partial: 0x0010,
  PartialHasBeenMapped: 0x0020,
  IoPageRead: 0x0040,
  WriteOperation: 0x0080,
  FreeExtraPtes: 0x0200,
  IoSpace: 0x0800,
  NetworkHeader: 0x1000,
  MappingCanFail: 0x2000,
  PageContentsInvariant: 0x4000,
  Internal: 0x8000,
} as const;

/** The I/O manager's object types: first field of its structures. */
export const IoType = { Device: 3, Driver: 4, File: 5, Irp: 6, DeviceObjectExtension: 13 } as const;
