/*
 * A driver for the DMA engine with two common buffers, one for each direction. A program that seldom reads can tell it to
 * use the one for writes in both directions, and have the memory of the other back.
 *
 * Broken: a common buffer is freed once. Stop frees the buffers of both directions, also when they are the same one.
 */
#include "dma-device.h"

#define BUFFER_BYTES 0x8000

#define IOCTL_DUPLEX_SHARE CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA10, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_DUPLEX_SPLIT CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA11, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _DUPLEX_BUFFER {
    PUCHAR Bytes;
    PHYSICAL_ADDRESS Address;
} DUPLEX_BUFFER, *PDUPLEX_BUFFER;

typedef struct _DUPLEX {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    DUPLEX_BUFFER Reads;
    DUPLEX_BUFFER Writes;
    BOOLEAN IsShared;
    /* Of the current request. */
    PUCHAR Caller;
    ULONG Done;
    ULONG Length;
} DUPLEX, *PDUPLEX;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE DuplexAddDevice;
static DRIVER_DISPATCH DuplexControl;

static NTSTATUS DuplexAllocate(PDUPLEX Duplex, PDUPLEX_BUFFER Buffer)
{
    Buffer->Bytes = Duplex->Adapter->DmaOperations->AllocateCommonBuffer(Duplex->Adapter, BUFFER_BYTES,
                                                                         &Buffer->Address, TRUE);
    return Buffer->Bytes == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static VOID DuplexFree(PDUPLEX Duplex, PDUPLEX_BUFFER Buffer)
{
    if (Buffer->Bytes != NULL) {
        Duplex->Adapter->DmaOperations->FreeCommonBuffer(Duplex->Adapter, BUFFER_BYTES, Buffer->Address, Buffer->Bytes,
                                                         TRUE);
        Buffer->Bytes = NULL;
    }
}

static VOID DuplexNextPiece(PDUPLEX Duplex)
{
    PIRP irp = Duplex->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);
    PDUPLEX_BUFFER buffer = isWrite ? &Duplex->Writes : &Duplex->Reads;

    Duplex->Length = DmaDeviceLength(irp) - Duplex->Done;
    if (Duplex->Length > BUFFER_BYTES) {
        Duplex->Length = BUFFER_BYTES;
    }
    if (isWrite) {
        RtlCopyMemory(buffer->Bytes, Duplex->Caller + Duplex->Done, Duplex->Length);
    }
    DmaDeviceGo(&Duplex->Device, buffer->Address, Duplex->Length, DmaDeviceOffset(irp) + Duplex->Done,
                isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static NTSTATUS DuplexBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PDUPLEX duplex = CONTAINING_RECORD(Device, DUPLEX, Device);

    duplex->Done = 0;
    duplex->Caller = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (duplex->Caller == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    DuplexNextPiece(duplex);
    return STATUS_PENDING;
}

static VOID DuplexDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PDUPLEX duplex = CONTAINING_RECORD(Device, DUPLEX, Device);

    if (NT_SUCCESS(Status) && !DmaDeviceIsWrite(Device->Current)) {
        RtlCopyMemory(duplex->Caller + duplex->Done, duplex->Reads.Bytes, duplex->Length);
    }
    duplex->Done += Transferred;
    if (NT_SUCCESS(Status) && duplex->Done < DmaDeviceLength(Device->Current)) {
        DuplexNextPiece(duplex);
    } else {
        DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? duplex->Done : 0);
    }
}

/* While the device is paused. */
static NTSTATUS DuplexSetShared(PDUPLEX Duplex, BOOLEAN IsShared)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (Duplex->IsShared == IsShared) {
        return STATUS_SUCCESS;
    }
    if (IsShared) {
        DuplexFree(Duplex, &Duplex->Reads);
        Duplex->Reads = Duplex->Writes;
    } else {
        status = DuplexAllocate(Duplex, &Duplex->Reads);
        if (!NT_SUCCESS(status)) {
            Duplex->Reads = Duplex->Writes;
            return status;
        }
    }
    Duplex->IsShared = IsShared;
    return status;
}

static NTSTATUS DuplexDo(PDUPLEX Duplex, ULONG Code)
{
    if (Code != IOCTL_DUPLEX_SHARE && Code != IOCTL_DUPLEX_SPLIT) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    NTSTATUS status = DmaDevicePause(&Duplex->Device);
    if (NT_SUCCESS(status)) {
        status = DuplexSetShared(Duplex, Code == IOCTL_DUPLEX_SHARE);
        DmaDeviceResume(&Duplex->Device);
    }
    return status;
}

static NTSTATUS NTAPI DuplexControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDUPLEX duplex = DeviceObject->DeviceExtension;
    ULONG code = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;

    NTSTATUS status = DmaDeviceEnter(&duplex->Device, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    return DmaDeviceLeave(&duplex->Device, Irp, DuplexDo(duplex, code), 0);
}

static VOID DuplexStop(PDMA_DEVICE Device)
{
    PDUPLEX duplex = CONTAINING_RECORD(Device, DUPLEX, Device);

    if (duplex->Adapter == NULL) {
        return;
    }
    DuplexFree(duplex, &duplex->Writes);
    DuplexFree(duplex, &duplex->Reads);
    duplex->IsShared = FALSE;
    duplex->Adapter->DmaOperations->PutDmaAdapter(duplex->Adapter);
    duplex->Adapter = NULL;
}

static NTSTATUS DuplexStart(PDMA_DEVICE Device)
{
    PDUPLEX duplex = CONTAINING_RECORD(Device, DUPLEX, Device);
    DEVICE_DESCRIPTION description;
    ULONG mapRegisters;

    DmaDeviceDescribe(&description, BUFFER_BYTES);
    duplex->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &mapRegisters);
    if (duplex->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = DuplexAllocate(duplex, &duplex->Reads);
    return NT_SUCCESS(status) ? DuplexAllocate(duplex, &duplex->Writes) : status;
}

static const DMA_DEVICE_ROUTINES DuplexRoutines = {DuplexStart, DuplexStop, DuplexBegin, DuplexDone};

static NTSTATUS NTAPI DuplexAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(DUPLEX), &DuplexRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, DuplexAddDevice);
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DuplexControl;
    return STATUS_SUCCESS;
}
