/*
 * Uses DMA rightly or wrongly: IOCTL 0x222000 with the name of a use as its input. The device is played by the driver
 * itself, which maps the addresses that it would tell a device.
 */
#include "dma-rules.h"

PDEVICE_OBJECT Device;
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\DmaRules");

PDMA_ADAPTER GetAdapter(ULONG Version, BOOLEAN ScatterGather, ULONG MaximumLength, PULONG Registers)
{
    /* Version 3 has 24 bytes more than the header knows of. */
    union {
        DEVICE_DESCRIPTION Description;
        UCHAR Bytes[sizeof(DEVICE_DESCRIPTION) + 0x20];
    } u;

    RtlZeroMemory(&u, sizeof u);
    u.Description.Version = Version;
    u.Description.Master = TRUE;
    u.Description.ScatterGather = ScatterGather;
    u.Description.Dma64BitAddresses = TRUE;
    u.Description.Dma32BitAddresses = TRUE;
    u.Description.InterfaceType = PCIBus;
    u.Description.MaximumLength = MaximumLength;
    if (Version >= 3)
        *(ULONG *)(u.Bytes + sizeof(DEVICE_DESCRIPTION)) = 64;
    return IoGetDmaAdapter(NULL, &u.Description, Registers);
}

void PutAdapter(PDMA_ADAPTER Adapter)
{
    Adapter->DmaOperations->PutDmaAdapter(Adapter);
}

NTSTATUS MakeBuffer(BUFFER *Buffer, ULONG Offset, ULONG Length, UCHAR Seed)
{
    ULONG i;

    RtlZeroMemory(Buffer, sizeof *Buffer);
    /* A page and more is page aligned. */
    Buffer->Memory = ExAllocatePoolWithTag(NonPagedPool, Offset + Length + PAGE, TAG);
    if (Buffer->Memory == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    Buffer->Va = Buffer->Memory + Offset;
    Buffer->Length = Length;
    Buffer->Mdl = IoAllocateMdl(Buffer->Va, Length, FALSE, FALSE, NULL);
    if (Buffer->Mdl == NULL) {
        ExFreePoolWithTag(Buffer->Memory, TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(Buffer->Mdl);
    for (i = 0; i < Length; i++)
        Buffer->Va[i] = (UCHAR)(Seed + i);
    return STATUS_SUCCESS;
}

void FreeBuffer(BUFFER *Buffer)
{
    IoFreeMdl(Buffer->Mdl);
    ExFreePoolWithTag(Buffer->Memory, TAG);
}

BOOLEAN HoldsBytes(const BUFFER *Buffer, UCHAR Seed)
{
    ULONG i;

    for (i = 0; i < Buffer->Length; i++)
        if (Buffer->Va[i] != (UCHAR)(Seed + i))
            return FALSE;
    return TRUE;
}

IO_ALLOCATION_ACTION NTAPI ChannelControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Base, PVOID Context)
{
    CHANNEL *channel = Context;

    (void)DeviceObject;
    (void)Irp;
    channel->Base = Base;
    channel->Calls++;
    if (channel->Then != NULL)
        channel->Then(channel->Adapter, channel);
    return channel->Answer;
}

NTSTATUS GetChannel(PDMA_ADAPTER Adapter, ULONG Registers, IO_ALLOCATION_ACTION Answer, CHANNEL *Channel)
{
    KIRQL irql;
    NTSTATUS status;

    Channel->Answer = Answer;
    Channel->Adapter = Adapter;
    Channel->Base = NULL;
    Channel->Calls = 0;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    status = Adapter->DmaOperations->AllocateAdapterChannel(Adapter, Device, Registers, ChannelControl, Channel);
    KeLowerIrql(irql);
    if (NT_SUCCESS(status) && Channel->Calls != 1)
        return STATUS_UNSUCCESSFUL;
    return status;
}

void FreeChannel(PDMA_ADAPTER Adapter)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Adapter->DmaOperations->FreeAdapterChannel(Adapter);
    KeLowerIrql(irql);
}

void FreeRegisters(PDMA_ADAPTER Adapter, PVOID Base, ULONG Registers)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Adapter->DmaOperations->FreeMapRegisters(Adapter, Base, Registers);
    KeLowerIrql(irql);
}

static void NTAPI ListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST ScatterGather, PVOID Context)
{
    LIST *list = Context;

    (void)DeviceObject;
    (void)Irp;
    list->List = ScatterGather;
    list->Calls++;
}

NTSTATUS GetList(PDMA_ADAPTER Adapter, PMDL Mdl, PVOID Va, ULONG Length, BOOLEAN ToDevice, LIST *List)
{
    KIRQL irql;
    NTSTATUS status;

    List->List = NULL;
    List->Calls = 0;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    status = Adapter->DmaOperations->GetScatterGatherList(Adapter, Device, Mdl, Va, Length, ListControl, List, ToDevice);
    KeLowerIrql(irql);
    if (NT_SUCCESS(status) && List->Calls != 1)
        return STATUS_UNSUCCESSFUL;
    return status;
}

void PutList(PDMA_ADAPTER Adapter, LIST *List, BOOLEAN ToDevice)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Adapter->DmaOperations->PutScatterGatherList(Adapter, List->List, ToDevice);
    KeLowerIrql(irql);
}

void DeviceWrites(PHYSICAL_ADDRESS Logical, LONG Offset, ULONG Bytes, UCHAR Seed)
{
    PUCHAR at;
    ULONG i;

    Logical.QuadPart += Offset;
    at = MmMapIoSpace(Logical, Bytes, MmNonCached);
    if (at == NULL)
        return;
    for (i = 0; i < Bytes; i++)
        at[i] = (UCHAR)(Seed + i);
    MmUnmapIoSpace(at, Bytes);
}

BOOLEAN DeviceReads(PHYSICAL_ADDRESS Logical, ULONG Bytes, UCHAR Seed)
{
    PUCHAR at = MmMapIoSpace(Logical, Bytes, MmNonCached);
    BOOLEAN holds = at != NULL;
    ULONG i;

    for (i = 0; holds && i < Bytes; i++)
        holds = at[i] == (UCHAR)(Seed + i);
    if (at != NULL)
        MmUnmapIoSpace(at, Bytes);
    return holds;
}

static NTSTATUS RunNamed(const NAMED *Uses, const char *Name, ULONG Length)
{
    for (; Uses->Name != NULL; Uses++) {
        ULONG i = 0;

        while (i < Length && Uses->Name[i] == Name[i] && Uses->Name[i] != 0)
            i++;
        if (i == Length && Uses->Name[i] == 0)
            return Uses->Run();
    }
    return STATUS_NOT_FOUND;
}

static NTSTATUS NTAPI DispatchControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    const char *name = Irp->AssociatedIrp.SystemBuffer;
    ULONG length = location->Parameters.DeviceIoControl.InputBufferLength;
    const NAMED *const all[] = {CleanUses, DriverPatterns, WrongReleases, WrongWrites, WrongCalls};
    NTSTATUS status = STATUS_NOT_FOUND;
    ULONG i;

    (void)DeviceObject;
    for (i = 0; i < RTL_NUMBER_OF(all) && status == STATUS_NOT_FOUND; i++)
        status = RunNamed(all[i], name, length);
    Irp->IoStatus.Status = status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI DispatchOpenClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    (void)DeviceObject;
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static void NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\DmaRules");
    NTSTATUS status;

    (void)RegistryPath;
    status = IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = DispatchOpenClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = DispatchOpenClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DispatchControl;
    DriverObject->DriverUnload = Unload;
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
