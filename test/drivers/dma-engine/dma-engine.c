/*
 * Talks to the device model pci-dma-engine and checks itself what it sees: registers, transfers between contiguous memory
 * and the engine by physical address, polled and with an interrupt (line or message), descriptors, every error code.
 * A control request answers with the line of the first check that failed, 0 for none.
 */
#include <ntddk.h>

#define IOCTL(Function) CTL_CODE(FILE_DEVICE_UNKNOWN, Function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_POLL IOCTL(0x800)
#define IOCTL_CONNECT_LINE IOCTL(0x801)
#define IOCTL_CONNECT_MESSAGE IOCTL(0x802)
#define IOCTL_INTERRUPT IOCTL(0x803)
#define IOCTL_DISCONNECT IOCTL(0x804)
#define IOCTL_STORM IOCTL(0x805)
#define IOCTL_SPIN IOCTL(0x806)
#define IOCTL_CONFIGURATION IOCTL(0x807)
#define IOCTL_ABSENT IOCTL(0x808)

enum { Id = 0, Version = 4, Control = 8, Status = 0xC, AddressLow = 0x10, AddressHigh = 0x14, Length = 0x18,
       DeviceOffset = 0x1C, Command = 0x20, Transferred = 0x24, ErrorCode = 0x28, Fault = 0x2C };
enum { Busy = 1, Done = 2, Error = 4 };
enum { Read = 1, Write = 2, Descriptors = 0x100 };

#define BUFFER_BYTES 0x4000

typedef struct _DESCRIPTOR {
    ULONG64 Address;
    ULONG Length;
    ULONG Zero;
} DESCRIPTOR;

typedef struct _EXTENSION {
    PDEVICE_OBJECT Pdo;
    PDEVICE_OBJECT Lower;
    PUCHAR Registers;
    PUCHAR Buffer;
    PHYSICAL_ADDRESS Physical;
    CM_PARTIAL_RESOURCE_DESCRIPTOR Line;
    CM_PARTIAL_RESOURCE_DESCRIPTOR Message;
    PKINTERRUPT Interrupt;
    PVOID MessageInfo;
    KDPC Dpc;
    KEVENT Event;
    BOOLEAN Ignores;
    volatile ULONG Isrs;
    volatile ULONG Seen;
    volatile ULONG Dpcs;
} EXTENSION, *PEXTENSION;

static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\DmaEngineTest");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\DosDevices\\DmaEngineTest");

static ULONG Get(PEXTENSION Extension, ULONG Register)
{
    return *(volatile ULONG *)(Extension->Registers + Register);
}

static void Set(PEXTENSION Extension, ULONG Register, ULONG Value)
{
    *(volatile ULONG *)(Extension->Registers + Register) = Value;
}

static void Start(PEXTENSION Extension, ULONG Offset, ULONG Bytes, ULONG Device, ULONG What)
{
    ULONG64 Address = Extension->Physical.QuadPart + Offset;
    Set(Extension, AddressLow, (ULONG)Address);
    Set(Extension, AddressHigh, (ULONG)(Address >> 32));
    Set(Extension, Length, Bytes);
    Set(Extension, DeviceOffset, Device);
    Set(Extension, Command, What);
}

/* Waits until the engine rests; what STATUS said then, which is cleared. */
static ULONG Finish(PEXTENSION Extension)
{
    ULONG Value;
    while ((Value = Get(Extension, Status)) & Busy)
        ;
    Set(Extension, Status, Value);
    return Value;
}

#define CHECK(Condition) \
    if (!(Condition)) \
    return __LINE__

static void Fill(PUCHAR Buffer, ULONG Bytes, UCHAR First)
{
    for (ULONG Index = 0; Index < Bytes; Index++)
        Buffer[Index] = (UCHAR)(First + Index * 7);
}

static BOOLEAN Is(PUCHAR Buffer, ULONG Bytes, UCHAR First)
{
    for (ULONG Index = 0; Index < Bytes; Index++)
        if (Buffer[Index] != (UCHAR)(First + Index * 7))
            return FALSE;
    return TRUE;
}

static ULONG Poll(PEXTENSION Extension)
{
    PUCHAR Buffer = Extension->Buffer;
    CHECK(Get(Extension, Id) == 0x0D4A5050 && Get(Extension, Version) == 1);
    Set(Extension, Control, 1);
    CHECK(Get(Extension, Control) == 0 && Get(Extension, Status) == 0);

    /* Both ways; what was there is overwritten only by the way back. */
    Fill(Buffer, 0x1800, 3);
    Start(Extension, 0, 0x1800, 0x10, Read);
    CHECK(Get(Extension, Status) == Busy);
    CHECK(Finish(Extension) == Done);
    CHECK(Get(Extension, Transferred) == 0x1800 && Get(Extension, ErrorCode) == 0 && Get(Extension, Status) == 0);
    RtlZeroMemory(Buffer, BUFFER_BYTES);
    Start(Extension, 0x1001, 0x1800, 0x10, Write);
    CHECK(Buffer[0x1001] == 0);
    CHECK(Finish(Extension) == Done);
    CHECK(Is(Buffer + 0x1001, 0x1800, 3) && Buffer[0x1000] == 0 && Buffer[0x2801] == 0);

    /* Descriptors: the middle of the buffer, then its start. */
    DESCRIPTOR *Table = (DESCRIPTOR *)(Buffer + 0x3000);
    Table[0].Address = Extension->Physical.QuadPart + 0x800;
    Table[0].Length = 0x100;
    Table[1].Address = Extension->Physical.QuadPart;
    Table[1].Length = 0x80;
    RtlZeroMemory(Buffer, 0x1000);
    Start(Extension, 0x3000, 2, 0x10, Write | Descriptors);
    CHECK(Finish(Extension) == Done && Get(Extension, Transferred) == 0x180);
    CHECK(Is(Buffer + 0x800, 0x100, 3) && Buffer[0x900] == 0);
    CHECK(Is(Buffer, 0x80, (UCHAR)(3 + 0x100 * 7)) && Buffer[0x80] == 0);

    /* A defect: bytes behind the last fragment and before the first one. */
    RtlZeroMemory(Buffer, 0x1000);
    Set(Extension, Fault, 0x00030002);
    Start(Extension, 0x100, 0x10, 0x10, Write);
    CHECK(Finish(Extension) == Done);
    CHECK(Is(Buffer + 0x100, 0x10, 3));
    CHECK(Buffer[0xFC] == 0 && Buffer[0xFD] != 0 && Buffer[0xFF] != 0);
    CHECK(Buffer[0x110] != 0 && Buffer[0x111] != 0 && Buffer[0x112] == 0);
    Set(Extension, Fault, 0);

    /* Errors: no memory there, beyond the engine's own, while it is busy, no command. */
    Set(Extension, AddressHigh, 0x77);
    Set(Extension, Length, 4);
    Set(Extension, Command, Read);
    CHECK(Finish(Extension) == Error && Get(Extension, ErrorCode) == 1 && Get(Extension, Transferred) == 0);
    Start(Extension, 0, 0x20, 0xFFFF0, Write);
    CHECK(Finish(Extension) == Error && Get(Extension, ErrorCode) == 2);
    Start(Extension, 0, 0x20, 0, Read);
    Set(Extension, Command, Read);
    CHECK(Get(Extension, Status) == (Busy | Error) && Get(Extension, ErrorCode) == 3);
    CHECK(Finish(Extension) == (Done | Error));
    Set(Extension, Command, 3);
    CHECK(Get(Extension, Status) == Error && Get(Extension, ErrorCode) == 4);

    /* A reset ends a transfer and forgets all. */
    Start(Extension, 0, 0x1000, 0, Read);
    Set(Extension, Control, 1);
    CHECK(Get(Extension, Status) == 0 && Get(Extension, Length) == 0 && Get(Extension, ErrorCode) == 0);
    KeStallExecutionProcessor(50);
    CHECK(Get(Extension, Status) == 0);
    return 0;
}

static BOOLEAN NTAPI Isr(PKINTERRUPT Interrupt, PVOID Context)
{
    PEXTENSION Extension = Context;
    UNREFERENCED_PARAMETER(Interrupt);
    Extension->Isrs++;
    if (Extension->Ignores)
        return FALSE;
    ULONG Value = Get(Extension, Status) & (Done | Error);
    if (Value == 0)
        return FALSE;
    Set(Extension, Status, Value);
    Extension->Seen |= Value;
    KeInsertQueueDpc(&Extension->Dpc, NULL, NULL);
    return TRUE;
}

static BOOLEAN NTAPI MessageIsr(PKINTERRUPT Interrupt, PVOID Context, ULONG MessageId)
{
    return MessageId == 0 && Isr(Interrupt, Context);
}

static VOID NTAPI Dpc(PKDPC Object, PVOID Context, PVOID First, PVOID Second)
{
    PEXTENSION Extension = Context;
    UNREFERENCED_PARAMETER(Object);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    Extension->Dpcs++;
    KeSetEvent(&Extension->Event, IO_NO_INCREMENT, FALSE);
}

static ULONG Connect(PEXTENSION Extension, BOOLEAN IsMessage)
{
    Extension->Isrs = Extension->Seen = Extension->Dpcs = 0;
    KeClearEvent(&Extension->Event);
    if (!IsMessage) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR Line = &Extension->Line;
        CHECK(NT_SUCCESS(IoConnectInterrupt(&Extension->Interrupt, Isr, Extension, NULL, Line->u.Interrupt.Vector,
                                            (KIRQL)Line->u.Interrupt.Level, (KIRQL)Line->u.Interrupt.Level,
                                            LevelSensitive, TRUE, Line->u.Interrupt.Affinity, FALSE)));
        return 0;
    }
    IO_CONNECT_INTERRUPT_PARAMETERS Parameters;
    RtlZeroMemory(&Parameters, sizeof(Parameters));
    Parameters.Version = CONNECT_MESSAGE_BASED;
    Parameters.MessageBased.PhysicalDeviceObject = Extension->Pdo;
    Parameters.MessageBased.ConnectionContext.Generic = &Extension->MessageInfo;
    Parameters.MessageBased.MessageServiceRoutine = MessageIsr;
    Parameters.MessageBased.ServiceContext = Extension;
    CHECK(NT_SUCCESS(IoConnectInterruptEx(&Parameters)));
    return 0;
}

static ULONG Disconnect(PEXTENSION Extension)
{
    if (Extension->Interrupt != NULL)
        IoDisconnectInterrupt(Extension->Interrupt);
    if (Extension->MessageInfo != NULL) {
        IO_DISCONNECT_INTERRUPT_PARAMETERS Parameters;
        Parameters.Version = CONNECT_MESSAGE_BASED;
        Parameters.ConnectionContext.Generic = Extension->MessageInfo;
        IoDisconnectInterruptEx(&Parameters);
    }
    Extension->Interrupt = NULL;
    Extension->MessageInfo = NULL;
    return 0;
}

/* The thread sleeps until the interrupt's DPC wakes it. */
static ULONG Interrupted(PEXTENSION Extension)
{
    LARGE_INTEGER Timeout;
    Timeout.QuadPart = -10000000;
    ULONG Before = Extension->Isrs;
    Fill(Extension->Buffer, 0x2000, 9);
    Set(Extension, Control, 2);
    for (ULONG Round = 0; Round < 3; Round++) {
        Start(Extension, 0, 0x2000, 0x100, Round == 1 ? Write : Read);
        CHECK(KeWaitForSingleObject(&Extension->Event, Executive, KernelMode, FALSE, &Timeout) == STATUS_SUCCESS);
        CHECK(Extension->Seen == Done && Extension->Isrs == Before + Round + 1 && Extension->Dpcs == Extension->Isrs);
        CHECK(Get(Extension, Status) == 0 && Get(Extension, Transferred) == 0x2000);
    }
    /* Raised while the IRQL keeps it away: it comes when the IRQL falls. */
    KIRQL Irql;
    KeRaiseIrql((KIRQL)(Extension->Interrupt != NULL ? Extension->Line.u.Interrupt.Level : 12), &Irql);
    Set(Extension, Command, 0x55);
    BOOLEAN WasEarly = Extension->Isrs != Before + 3;
    KeLowerIrql(Irql);
    CHECK(!WasEarly && Extension->Isrs == Before + 4 && (Extension->Seen & Error) != 0);
    CHECK(Get(Extension, ErrorCode) == 4);
    Extension->Seen = 0;
    KeClearEvent(&Extension->Event);
    Set(Extension, Control, 0);
    return 0;
}

/* Nothing but a loop on a variable of the service routine's. */
static ULONG Spin(PEXTENSION Extension)
{
    ULONG Before = Extension->Isrs;
    Set(Extension, Control, 2);
    Start(Extension, 0, 0x2000, 0, Read);
    ULONG64 Loops = 0;
    while (Extension->Isrs == Before)
        Loops++;
    Set(Extension, Control, 0);
    CHECK(Loops > 1000 && Loops < 10000);
    return 0;
}

/* The line stays asserted, and the service routine says that it is not its device's. */
static ULONG Storm(PEXTENSION Extension)
{
    Extension->Ignores = TRUE;
    Set(Extension, Control, 2);
    Set(Extension, Command, 0x55);
    return __LINE__;
}

static ULONG Configuration(PEXTENSION Extension)
{
    ULONG64 Address;
    BUS_INTERFACE_STANDARD Bus;
    IO_STATUS_BLOCK IoStatus;
    KEVENT Event;
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    PIRP Irp = IoBuildSynchronousFsdRequest(IRP_MJ_PNP, Extension->Lower, NULL, 0, NULL, &Event, &IoStatus);
    CHECK(Irp != NULL);
    static const GUID Standard = {0x496B8280, 0x6F25, 0x11D0, {0xBE, 0xAF, 0x08, 0x00, 0x2B, 0xE2, 0x09, 0x2F}};
    PIO_STACK_LOCATION Stack = IoGetNextIrpStackLocation(Irp);
    Irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    Stack->MinorFunction = IRP_MN_QUERY_INTERFACE;
    Stack->Parameters.QueryInterface.InterfaceType = &Standard;
    Stack->Parameters.QueryInterface.Size = sizeof(Bus);
    Stack->Parameters.QueryInterface.Version = 1;
    Stack->Parameters.QueryInterface.Interface = (PINTERFACE)&Bus;
    Stack->Parameters.QueryInterface.InterfaceSpecificData = NULL;
    if (IoCallDriver(Extension->Lower, Irp) == STATUS_PENDING)
        KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    CHECK(NT_SUCCESS(IoStatus.Status));
    UCHAR Header[0x40];
    CHECK(Bus.GetBusData(Bus.Context, 0, Header, 0, sizeof(Header)) == sizeof(Header));
    CHECK(*(ULONG *)Header == 0x0D4A5050 && *(ULONG *)(Header + 8) == 0x08800001);
    CHECK((*(USHORT *)(Header + 4) & 7) == 6 && Header[0x3D] == 1);
    Address = *(ULONG64 *)(Header + 0x10);
    CHECK((Address & 0xF) == 4 && (Address & ~0xFULL) == (ULONG64)MmGetPhysicalAddress(Extension->Registers).QuadPart);
    CHECK(Address > 0xFFFFFFFF);
    /* Message-signalled interrupts are enabled while the driver has them connected. */
    UCHAR Capability[4];
    Bus.GetBusData(Bus.Context, 0, Capability, Header[0x34], 4);
    CHECK(Capability[0] == 5 && (Capability[2] & 1) == (Extension->MessageInfo != NULL));
    /* Without bus mastering the engine says so. */
    USHORT Enabled = *(USHORT *)(Header + 4);
    USHORT Value = (USHORT)(Enabled & ~4);
    CHECK(Bus.SetBusData(Bus.Context, 0, &Value, 4, 2) == 2);
    Start(Extension, 0, 4, 0, Read);
    CHECK(Finish(Extension) == Error && Get(Extension, ErrorCode) == 5);
    /* Without decoding nobody answers. */
    Value = (USHORT)(Enabled & ~2);
    Bus.SetBusData(Bus.Context, 0, &Value, 4, 2);
    CHECK(Get(Extension, Id) == 0xFFFFFFFF);
    Bus.SetBusData(Bus.Context, 0, &Enabled, 4, 2);
    CHECK(Get(Extension, Id) == 0x0D4A5050);
    /* The identity can't be written. */
    ULONG Zero = 0;
    Bus.SetBusData(Bus.Context, 0, &Zero, 0, 4);
    Bus.GetBusData(Bus.Context, 0, Header, 0, 4);
    CHECK(*(ULONG *)Header == 0x0D4A5050);
    Bus.InterfaceDereference(Bus.Context);
    return 0;
}

/* After the device was pulled out. */
static ULONG Absent(PEXTENSION Extension)
{
    CHECK(Get(Extension, Id) == 0xFFFFFFFF && Get(Extension, Status) == 0xFFFFFFFF);
    Set(Extension, Control, 1);
    CHECK(Get(Extension, Control) == 0xFFFFFFFF);
    return 0;
}

static ULONG Perform(PEXTENSION Extension, ULONG Code)
{
    switch (Code) {
    case IOCTL_POLL:
        return Poll(Extension);
    case IOCTL_CONNECT_LINE:
    case IOCTL_CONNECT_MESSAGE:
        return Connect(Extension, Code == IOCTL_CONNECT_MESSAGE);
    case IOCTL_INTERRUPT:
        return Interrupted(Extension);
    case IOCTL_DISCONNECT:
        return Disconnect(Extension);
    case IOCTL_STORM:
        return Storm(Extension);
    case IOCTL_SPIN:
        return Spin(Extension);
    case IOCTL_CONFIGURATION:
        return Configuration(Extension);
    case IOCTL_ABSENT:
        return Absent(Extension);
    default:
        return __LINE__;
    }
}

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI OpenClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Ioctl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    if (Stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG))
        return Complete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    PEXTENSION Extension = Device->DeviceExtension;
    *(ULONG *)Irp->AssociatedIrp.SystemBuffer = Perform(Extension, Stack->Parameters.DeviceIoControl.IoControlCode);
    return Complete(Irp, STATUS_SUCCESS, sizeof(ULONG));
}

static NTSTATUS StartDevice(PEXTENSION Extension, PCM_RESOURCE_LIST List)
{
    PHYSICAL_ADDRESS Highest;
    if (List == NULL)
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    PCM_PARTIAL_RESOURCE_LIST Partial = &List->List[0].PartialResourceList;
    for (ULONG Index = 0; Index < Partial->Count; Index++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR One = &Partial->PartialDescriptors[Index];
        if (One->Type == CmResourceTypeMemory && Extension->Registers == NULL)
            Extension->Registers = MmMapIoSpace(One->u.Memory.Start, One->u.Memory.Length, MmNonCached);
        if (One->Type == CmResourceTypeInterrupt) {
            if ((One->Flags & CM_RESOURCE_INTERRUPT_MESSAGE) != 0)
                Extension->Message = *One;
            else
                Extension->Line = *One;
        }
    }
    Highest.QuadPart = ~0ULL >> 1;
    Extension->Buffer = MmAllocateContiguousMemory(BUFFER_BYTES, Highest);
    if (Extension->Registers == NULL || Extension->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(Extension->Buffer, BUFFER_BYTES);
    Extension->Physical = MmGetPhysicalAddress(Extension->Buffer);
    return STATUS_SUCCESS;
}

static void StopDevice(PEXTENSION Extension)
{
    Disconnect(Extension);
    KeFlushQueuedDpcs();
    if (Extension->Registers != NULL)
        MmUnmapIoSpace(Extension->Registers, 0x1000);
    if (Extension->Buffer != NULL)
        MmFreeContiguousMemory(Extension->Buffer);
    Extension->Registers = Extension->Buffer = NULL;
}

static NTSTATUS NTAPI Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    PEXTENSION Extension = Device->DeviceExtension;
    switch (Stack->MinorFunction) {
    case IRP_MN_START_DEVICE: {
        NTSTATUS Status = IoForwardIrpSynchronously(Extension->Lower, Irp) ? Irp->IoStatus.Status : STATUS_UNSUCCESSFUL;
        if (NT_SUCCESS(Status))
            Status = StartDevice(Extension, Stack->Parameters.StartDevice.AllocatedResourcesTranslated);
        return Complete(Irp, Status, 0);
    }
    case IRP_MN_REMOVE_DEVICE: {
        StopDevice(Extension);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        IoSkipCurrentIrpStackLocation(Irp);
        NTSTATUS Status = IoCallDriver(Extension->Lower, Irp);
        IoDeleteSymbolicLink(&LinkName);
        IoDetachDevice(Extension->Lower);
        IoDeleteDevice(Device);
        return Status;
    }
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(Extension->Lower, Irp);
}

static NTSTATUS NTAPI Power(PDEVICE_OBJECT Device, PIRP Irp)
{
    PEXTENSION Extension = Device->DeviceExtension;
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(Extension->Lower, Irp);
}

static NTSTATUS NTAPI AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Pdo)
{
    PDEVICE_OBJECT Device;
    NTSTATUS Status = IoCreateDevice(Driver, sizeof(EXTENSION), &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status))
        return Status;
    PEXTENSION Extension = Device->DeviceExtension;
    Extension->Pdo = Pdo;
    Extension->Lower = IoAttachDeviceToDeviceStack(Device, Pdo);
    KeInitializeDpc(&Extension->Dpc, Dpc, Extension);
    KeInitializeEvent(&Extension->Event, SynchronizationEvent, FALSE);
    IoCreateSymbolicLink(&LinkName, &DeviceName);
    Device->Flags |= DO_BUFFERED_IO | DO_POWER_PAGABLE;
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverExtension->AddDevice = AddDevice;
    Driver->DriverUnload = Unload;
    Driver->MajorFunction[IRP_MJ_CREATE] = OpenClose;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = OpenClose;
    Driver->MajorFunction[IRP_MJ_CLOSE] = OpenClose;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Ioctl;
    Driver->MajorFunction[IRP_MJ_PNP] = Pnp;
    Driver->MajorFunction[IRP_MJ_POWER] = Power;
    return STATUS_SUCCESS;
}
