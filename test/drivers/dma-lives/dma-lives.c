/*
 * What becomes of DMA when a device of the model pci-dma-engine does not start, is stopped, or is pulled out in the middle
 * of a transfer. IOCTL_MODE says what the driver does well or badly from then on; IOCTL_READ has the engine write to the
 * caller's buffer by a scatter/gather list.
 */
#include <ntddk.h>

#define IOCTL_MODE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_READ CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)

enum {
    FailStart = 1,       /* START_DEVICE fails when it has all it needs ... */
    FailAdd = 2,         /* ... or AddDevice does */
    LeaveBehind = 4,     /* and gives nothing back */
    AdapterInAdd = 8,    /* the adapter is obtained in AddDevice and kept when the device stops */
    LoseAdapter = 0x10,  /* it is not put when the device is removed */
    LoseList = 0x20,     /* the list of a transfer that is cut off is not put */
    LateDisconnect = 0x40, /* the interrupt stays connected until the device is removed */
    LeaveToRemove = 0x80  /* what a start that failed has obtained is given back when the device is removed */
};

enum { Control = 8, Status = 0xC, AddressLow = 0x10, AddressHigh = 0x14, Length = 0x18, DeviceOffset = 0x1C, Command = 0x20 };

#define TABLE_BYTES 0x4000

typedef struct _DESCRIPTOR {
    ULONG64 Address;
    ULONG Length;
    ULONG Zero;
} DESCRIPTOR;

typedef struct _EXTENSION {
    PDEVICE_OBJECT Self, Pdo, Lower;
    PUCHAR Registers;
    PDMA_ADAPTER Adapter;
    DESCRIPTOR *Table;
    PHYSICAL_ADDRESS TableAddress;
    PKINTERRUPT Interrupt;
    KDPC Dpc;
    KSPIN_LOCK Lock;
    PIRP Irp;
    PSCATTER_GATHER_LIST List;
    BOOLEAN IsGone, IsStarted;
} EXTENSION, *PEXTENSION;

static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\DmaLives");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\DosDevices\\DmaLives");
static ULONG Mode;

static void Set(PEXTENSION Extension, ULONG Register, ULONG Value)
{
    *(volatile ULONG *)(Extension->Registers + Register) = Value;
}

static NTSTATUS Complete(PIRP Irp, NTSTATUS Result, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Result;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Result;
}

/* ---- a transfer */

static BOOLEAN NTAPI Isr(PKINTERRUPT Interrupt, PVOID Context)
{
    PEXTENSION extension = Context;
    ULONG value = *(volatile ULONG *)(extension->Registers + Status);

    UNREFERENCED_PARAMETER(Interrupt);
    if (value == 0xffffffff || (value & 6) == 0)
        return FALSE;
    Set(extension, Status, value & 6);
    KeInsertQueueDpc(&extension->Dpc, NULL, NULL);
    return TRUE;
}

/* Ends the transfer, at DISPATCH_LEVEL: by the DPC, or because the device is gone. */
static void End(PEXTENSION Extension, BOOLEAN IsCutOff)
{
    PSCATTER_GATHER_LIST list;
    PIRP irp;

    KeAcquireSpinLockAtDpcLevel(&Extension->Lock);
    irp = Extension->Irp;
    list = Extension->List;
    Extension->Irp = NULL;
    Extension->List = NULL;
    KeReleaseSpinLockFromDpcLevel(&Extension->Lock);
    if (irp == NULL)
        return;
    if (list != NULL && !(IsCutOff && (Mode & LoseList)))
        Extension->Adapter->DmaOperations->PutScatterGatherList(Extension->Adapter, list, FALSE);
    if (IsCutOff)
        Complete(irp, STATUS_DEVICE_DOES_NOT_EXIST, 0);
    else
        Complete(irp, STATUS_SUCCESS, MmGetMdlByteCount(irp->MdlAddress));
}

static VOID NTAPI Dpc(PKDPC Object, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(Object);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    End(Context, FALSE);
}

static VOID NTAPI ListControl(PDEVICE_OBJECT Device, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PEXTENSION extension = Context;

    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    extension->List = List;
    for (ULONG i = 0; i < List->NumberOfElements; i++) {
        extension->Table[i].Address = List->Elements[i].Address.QuadPart;
        extension->Table[i].Length = List->Elements[i].Length;
        extension->Table[i].Zero = 0;
    }
    Set(extension, AddressLow, extension->TableAddress.LowPart);
    Set(extension, AddressHigh, extension->TableAddress.HighPart);
    Set(extension, Length, List->NumberOfElements);
    Set(extension, DeviceOffset, 0);
    Set(extension, Command, 0x102);
}

static NTSTATUS Read(PEXTENSION Extension, PIRP Irp)
{
    KIRQL irql;
    NTSTATUS status;

    if (Irp->MdlAddress == NULL)
        return Complete(Irp, STATUS_INVALID_PARAMETER, 0);
    KeAcquireSpinLock(&Extension->Lock, &irql);
    if (Extension->IsGone || Extension->Irp != NULL) {
        KeReleaseSpinLock(&Extension->Lock, irql);
        return Complete(Irp, STATUS_DEVICE_NOT_READY, 0);
    }
    IoMarkIrpPending(Irp);
    Extension->Irp = Irp;
    status = Extension->Adapter->DmaOperations->GetScatterGatherList(
        Extension->Adapter, Extension->Self, Irp->MdlAddress, MmGetMdlVirtualAddress(Irp->MdlAddress),
        MmGetMdlByteCount(Irp->MdlAddress), ListControl, Extension, FALSE);
    if (!NT_SUCCESS(status))
        Extension->Irp = NULL;
    KeReleaseSpinLock(&Extension->Lock, irql);
    if (!NT_SUCCESS(status))
        Complete(Irp, status, 0);
    return STATUS_PENDING;
}

/* ---- coming and going */

static NTSTATUS GetAdapter(PEXTENSION Extension)
{
    DEVICE_DESCRIPTION description;
    ULONG registers;

    RtlZeroMemory(&description, sizeof(description));
    description.Version = DEVICE_DESCRIPTION_VERSION2;
    description.Master = description.ScatterGather = description.Dma64BitAddresses = TRUE;
    description.InterfaceType = PCIBus;
    description.MaximumLength = 0x100000;
    Extension->Adapter = IoGetDmaAdapter(Extension->Pdo, &description, &registers);
    return Extension->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static void PutAdapter(PEXTENSION Extension)
{
    if (Extension->Adapter != NULL)
        Extension->Adapter->DmaOperations->PutDmaAdapter(Extension->Adapter);
    Extension->Adapter = NULL;
}

static void Disconnect(PEXTENSION Extension)
{
    if (Extension->Interrupt != NULL)
        IoDisconnectInterrupt(Extension->Interrupt);
    Extension->Interrupt = NULL;
    KeFlushQueuedDpcs();
}

static void StopDevice(PEXTENSION Extension, BOOLEAN IsRemoved)
{
    KIRQL irql;

    Disconnect(Extension);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    End(Extension, TRUE);
    KeLowerIrql(irql);
    if (Extension->Table != NULL)
        Extension->Adapter->DmaOperations->FreeCommonBuffer(Extension->Adapter, TABLE_BYTES, Extension->TableAddress,
                                                            Extension->Table, TRUE);
    Extension->Table = NULL;
    if (IsRemoved ? !(Mode & LoseAdapter) : !(Mode & AdapterInAdd))
        PutAdapter(Extension);
    if (Extension->Registers != NULL)
        MmUnmapIoSpace(Extension->Registers, 0x1000);
    Extension->Registers = NULL;
}

static NTSTATUS StartDevice(PEXTENSION Extension, PCM_RESOURCE_LIST List)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (List == NULL)
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    if (Extension->Adapter == NULL)
        status = GetAdapter(Extension);
    if (!NT_SUCCESS(status))
        return status;
    Extension->Table = Extension->Adapter->DmaOperations->AllocateCommonBuffer(Extension->Adapter, TABLE_BYTES,
                                                                               &Extension->TableAddress, TRUE);
    if (Extension->Table == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (Mode & FailStart)
        return STATUS_DEVICE_DATA_ERROR;
    PCM_PARTIAL_RESOURCE_LIST partial = &List->List[0].PartialResourceList;
    for (ULONG i = 0; i < partial->Count; i++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR one = &partial->PartialDescriptors[i];
        if (one->Type == CmResourceTypeMemory)
            Extension->Registers = MmMapIoSpace(one->u.Memory.Start, one->u.Memory.Length, MmNonCached);
        if (one->Type == CmResourceTypeInterrupt && (one->Flags & CM_RESOURCE_INTERRUPT_MESSAGE) == 0)
            status = IoConnectInterrupt(&Extension->Interrupt, Isr, Extension, NULL, one->u.Interrupt.Vector,
                                        (KIRQL)one->u.Interrupt.Level, (KIRQL)one->u.Interrupt.Level, LevelSensitive, TRUE,
                                        one->u.Interrupt.Affinity, FALSE);
    }
    if (Extension->Registers == NULL)
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    if (NT_SUCCESS(status))
        Set(Extension, Control, 2);
    return status;
}

static NTSTATUS PassDown(PEXTENSION Extension, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(Extension->Lower, Irp);
}

static NTSTATUS NTAPI Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PEXTENSION extension = Device->DeviceExtension;
    NTSTATUS status;
    KIRQL irql;

    switch (stack->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = IoForwardIrpSynchronously(extension->Lower, Irp) ? Irp->IoStatus.Status : STATUS_UNSUCCESSFUL;
        if (NT_SUCCESS(status)) {
            status = StartDevice(extension, stack->Parameters.StartDevice.AllocatedResourcesTranslated);
            extension->IsStarted = NT_SUCCESS(status);
            if (!NT_SUCCESS(status) && !(Mode & (LeaveBehind | LeaveToRemove)))
                StopDevice(extension, FALSE);
        }
        return Complete(Irp, status, 0);
    case IRP_MN_STOP_DEVICE:
        StopDevice(extension, FALSE);
        break;
    case IRP_MN_SURPRISE_REMOVAL:
        KeAcquireSpinLock(&extension->Lock, &irql);
        extension->IsGone = TRUE;
        KeReleaseSpinLock(&extension->Lock, irql);
        if (!(Mode & LateDisconnect))
            Disconnect(extension);
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        End(extension, TRUE);
        KeLowerIrql(irql);
        break;
    case IRP_MN_REMOVE_DEVICE:
        if (extension->IsStarted || !(Mode & LeaveBehind))
            StopDevice(extension, TRUE);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = PassDown(extension, Irp);
        IoDeleteSymbolicLink(&LinkName);
        IoDetachDevice(extension->Lower);
        IoDeleteDevice(Device);
        return status;
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        break;
    default:
        return PassDown(extension, Irp);
    }
    Irp->IoStatus.Status = STATUS_SUCCESS;
    return PassDown(extension, Irp);
}

static NTSTATUS NTAPI Power(PDEVICE_OBJECT Device, PIRP Irp)
{
    PEXTENSION extension = Device->DeviceExtension;

    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(extension->Lower, Irp);
}

static NTSTATUS NTAPI OpenClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Ioctl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    if (stack->Parameters.DeviceIoControl.IoControlCode == IOCTL_READ)
        return Read(Device->DeviceExtension, Irp);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_MODE
        || stack->Parameters.DeviceIoControl.InputBufferLength < 1)
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    Mode = *(PUCHAR)Irp->AssociatedIrp.SystemBuffer;
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Pdo)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(Driver, sizeof(EXTENSION), &DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);

    if (!NT_SUCCESS(status))
        return status;
    PEXTENSION extension = device->DeviceExtension;
    extension->Self = device;
    extension->Pdo = Pdo;
    KeInitializeDpc(&extension->Dpc, Dpc, extension);
    KeInitializeSpinLock(&extension->Lock);
    if (Mode & (AdapterInAdd | FailAdd))
        status = GetAdapter(extension);
    if (NT_SUCCESS(status) && (Mode & FailAdd))
        status = STATUS_DEVICE_DATA_ERROR;
    if (!NT_SUCCESS(status)) {
        if (!(Mode & LeaveBehind))
            PutAdapter(extension);
        IoDeleteDevice(device);
        return status;
    }
    extension->Lower = IoAttachDeviceToDeviceStack(device, Pdo);
    IoCreateSymbolicLink(&LinkName, &DeviceName);
    device->Flags |= DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
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
