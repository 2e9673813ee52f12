/*
 * A driver for the DMA engine that moves a request in batches: AdapterControl maps the fragments of a batch into a table of
 * descriptors, gives the channel back and keeps the map registers until the engine has moved the batch.
 *
 * Broken: map registers that AdapterControl kept have to be freed with FreeMapRegisters. A batch that the engine refuses is
 * flushed, and its map registers are forgotten.
 */
#include "dma-device.h"

#define MAX_BATCH_BYTES 0x8000
#define MAX_DESCRIPTORS (MAX_BATCH_BYTES / PAGE_SIZE + 1)
#define TABLE_BYTES (MAX_DESCRIPTORS * sizeof(DMA_ENGINE_DESCRIPTOR))

typedef struct _BATCH {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    PDMA_ENGINE_DESCRIPTOR Table;
    PHYSICAL_ADDRESS TableAddress;
    /* Of the current request. */
    ULONG Done;
    /* Of the batch that the engine has. */
    PUCHAR Va;
    ULONG Length;
    ULONG Registers;
    PVOID MapRegisterBase;
} BATCH, *PBATCH;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE BatchAddDevice;
static DRIVER_CONTROL BatchAdapterControl;

static IO_ALLOCATION_ACTION NTAPI BatchAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                      PVOID Context)
{
    PBATCH batch = Context;
    PIRP irp = batch->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);
    ULONG count = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    batch->MapRegisterBase = MapRegisterBase;
    for (ULONG mapped = 0; mapped < batch->Length; count++) {
        PDMA_ENGINE_DESCRIPTOR descriptor = &batch->Table[count];
        ULONG length = batch->Length - mapped;
        PHYSICAL_ADDRESS address = batch->Adapter->DmaOperations->MapTransfer(
            batch->Adapter, irp->MdlAddress, MapRegisterBase, batch->Va + mapped, &length, isWrite);
        descriptor->Address = address.QuadPart;
        descriptor->Length = length;
        descriptor->Zero = 0;
        mapped += length;
    }
    DmaDeviceGo(&batch->Device, batch->TableAddress, count, DmaDeviceOffset(irp) + batch->Done,
                (isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE) | DMA_ENGINE_COMMAND_DESCRIPTORS);
    return DeallocateObjectKeepRegisters;
}

static NTSTATUS BatchNextBatch(PBATCH Batch)
{
    PIRP irp = Batch->Device.Current;
    ULONG room = (Batch->MapRegisters - 1) * PAGE_SIZE;

    Batch->Va = (PUCHAR)MmGetMdlVirtualAddress(irp->MdlAddress) + Batch->Done;
    Batch->Length = DmaDeviceLength(irp) - Batch->Done;
    if (Batch->Length > room) {
        Batch->Length = room;
    }
    Batch->Registers = ADDRESS_AND_SIZE_TO_SPAN_PAGES(Batch->Va, Batch->Length);
    NTSTATUS status = Batch->Adapter->DmaOperations->AllocateAdapterChannel(Batch->Adapter, Batch->Device.Self, Batch->Registers, BatchAdapterControl, Batch); // leak[refused]: kind=map-registers bytes=0 count=3
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static NTSTATUS BatchBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PBATCH batch = CONTAINING_RECORD(Device, BATCH, Device);

    batch->Done = 0;
    KeFlushIoBuffers(Irp->MdlAddress, !DmaDeviceIsWrite(Irp), TRUE);
    return BatchNextBatch(batch);
}

static VOID BatchDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PBATCH batch = CONTAINING_RECORD(Device, BATCH, Device);
    PIRP irp = Device->Current;
    PDMA_OPERATIONS operations = batch->Adapter->DmaOperations;

    operations->FlushAdapterBuffers(batch->Adapter, irp->MdlAddress, batch->MapRegisterBase, batch->Va, batch->Length,
                                    DmaDeviceIsWrite(irp));
    if (!NT_SUCCESS(Status)) {
        DbgPrint("batch: %lu bytes at %lx are refused: %lx\n", batch->Length, DmaDeviceOffset(irp), Status);
        DmaDeviceComplete(Device, Status, 0);
        return;
    }
    operations->FreeMapRegisters(batch->Adapter, batch->MapRegisterBase, batch->Registers);
    batch->Done += Transferred;
    if (batch->Done < DmaDeviceLength(irp)) {
        Status = BatchNextBatch(batch);
    }
    if (Status != STATUS_PENDING) {
        DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? batch->Done : 0);
    }
}

static VOID BatchStop(PDMA_DEVICE Device)
{
    PBATCH batch = CONTAINING_RECORD(Device, BATCH, Device);

    if (batch->Adapter == NULL) {
        return;
    }
    PDMA_OPERATIONS operations = batch->Adapter->DmaOperations;
    if (batch->Table != NULL) {
        operations->FreeCommonBuffer(batch->Adapter, TABLE_BYTES, batch->TableAddress, batch->Table, TRUE);
        batch->Table = NULL;
    }
    operations->PutDmaAdapter(batch->Adapter);
    batch->Adapter = NULL;
}

static NTSTATUS BatchStart(PDMA_DEVICE Device)
{
    PBATCH batch = CONTAINING_RECORD(Device, BATCH, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, MAX_BATCH_BYTES);
    batch->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &batch->MapRegisters);
    if (batch->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    batch->Table =
        batch->Adapter->DmaOperations->AllocateCommonBuffer(batch->Adapter, TABLE_BYTES, &batch->TableAddress, TRUE);
    return batch->Table == NULL || batch->MapRegisters < 2 ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES BatchRoutines = {BatchStart, BatchStop, BatchBegin, BatchDone};

static NTSTATUS NTAPI BatchAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(BATCH), &BatchRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, BatchAddDevice);
    return STATUS_SUCCESS;
}
