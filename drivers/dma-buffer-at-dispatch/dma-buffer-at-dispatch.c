/*
 * A driver for the DMA engine that moves a request in one piece, through a common buffer that grows with the largest
 * request so far.
 *
 * Broken: AllocateCommonBuffer and FreeCommonBuffer are for PASSIVE_LEVEL. The buffer grows where a request begins, at
 * DISPATCH_LEVEL.
 */
#include "dma-device.h"

#define FIRST_BYTES 128

typedef struct _GROWING {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    PUCHAR Buffer;
    PHYSICAL_ADDRESS Address;
    ULONG Bytes;
    PUCHAR Caller;
} GROWING, *PGROWING;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE GrowingAddDevice;

/* On failure the buffer is as large as before. */
static NTSTATUS GrowingReserve(PGROWING Growing, ULONG Bytes)
{
    PDMA_OPERATIONS operations = Growing->Adapter->DmaOperations;
    PHYSICAL_ADDRESS address;

    if (Bytes <= Growing->Bytes) {
        return STATUS_SUCCESS;
    }
    PUCHAR buffer = operations->AllocateCommonBuffer(Growing->Adapter, Bytes, &address, TRUE);
    if (buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (Growing->Buffer != NULL) {
        operations->FreeCommonBuffer(Growing->Adapter, Growing->Bytes, Growing->Address, Growing->Buffer, TRUE);
    }
    Growing->Buffer = buffer;
    Growing->Address = address;
    Growing->Bytes = Bytes;
    return STATUS_SUCCESS;
}

static NTSTATUS GrowingBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PGROWING growing = CONTAINING_RECORD(Device, GROWING, Device);
    ULONG length = DmaDeviceLength(Irp);
    BOOLEAN isWrite = DmaDeviceIsWrite(Irp);

    growing->Caller = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (growing->Caller == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = GrowingReserve(growing, length);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (isWrite) {
        RtlCopyMemory(growing->Buffer, growing->Caller, length);
    }
    DmaDeviceGo(Device, growing->Address, length, DmaDeviceOffset(Irp),
                isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
    return STATUS_PENDING;
}

static VOID GrowingDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PGROWING growing = CONTAINING_RECORD(Device, GROWING, Device);

    if (NT_SUCCESS(Status) && !DmaDeviceIsWrite(Device->Current)) {
        RtlCopyMemory(growing->Caller, growing->Buffer, Transferred);
    }
    DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? Transferred : 0);
}

static VOID GrowingStop(PDMA_DEVICE Device)
{
    PGROWING growing = CONTAINING_RECORD(Device, GROWING, Device);

    if (growing->Adapter == NULL) {
        return;
    }
    PDMA_OPERATIONS operations = growing->Adapter->DmaOperations;
    if (growing->Buffer != NULL) {
        operations->FreeCommonBuffer(growing->Adapter, growing->Bytes, growing->Address, growing->Buffer, TRUE);
        growing->Buffer = NULL;
        growing->Bytes = 0;
    }
    operations->PutDmaAdapter(growing->Adapter);
    growing->Adapter = NULL;
}

static NTSTATUS GrowingStart(PDMA_DEVICE Device)
{
    PGROWING growing = CONTAINING_RECORD(Device, GROWING, Device);
    DEVICE_DESCRIPTION description;
    ULONG mapRegisters;

    DmaDeviceDescribe(&description, DMA_ENGINE_MEMORY_BYTES);
    growing->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &mapRegisters);
    return growing->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : GrowingReserve(growing, FIRST_BYTES);
}

static const DMA_DEVICE_ROUTINES GrowingRoutines = {GrowingStart, GrowingStop, GrowingBegin, GrowingDone};

static NTSTATUS NTAPI GrowingAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(GROWING), &GrowingRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, GrowingAddDevice);
    return STATUS_SUCCESS;
}
