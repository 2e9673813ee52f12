/*
 * A driver for the DMA engine that moves a request in loads of mapped fragments. It was once written for a device on the
 * motherboard's DMA controller, which keeps the channel until the transfer is done.
 *
 * Broken: DeallocateObjectKeepRegisters gives the channel back, so FreeAdapterChannel must not. It does at the end of a
 * request, as it did for the old device.
 */
#include "dma-device.h"

#define MAX_BATCH_BYTES 0x8000
#define MAX_DESCRIPTORS (MAX_BATCH_BYTES / PAGE_SIZE + 1)
#define TABLE_BYTES (MAX_DESCRIPTORS * sizeof(DMA_ENGINE_DESCRIPTOR))

typedef struct _BARGE {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    PDMA_ENGINE_DESCRIPTOR Table;
    PHYSICAL_ADDRESS TableAddress;
    /* Of the current request. */
    ULONG Done;
    /* Of the load that the engine has. */
    PUCHAR Va;
    ULONG Length;
    ULONG Registers;
    PVOID MapRegisterBase;
} BARGE, *PBARGE;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE BargeAddDevice;
static DRIVER_CONTROL BargeAdapterControl;

static IO_ALLOCATION_ACTION NTAPI BargeAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                      PVOID Context)
{
    PBARGE barge = Context;
    PIRP irp = barge->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);
    ULONG count = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    barge->MapRegisterBase = MapRegisterBase;
    for (ULONG mapped = 0; mapped < barge->Length; count++) {
        PDMA_ENGINE_DESCRIPTOR descriptor = &barge->Table[count];
        ULONG length = barge->Length - mapped;
        PHYSICAL_ADDRESS address = barge->Adapter->DmaOperations->MapTransfer(
            barge->Adapter, irp->MdlAddress, MapRegisterBase, barge->Va + mapped, &length, isWrite);
        descriptor->Address = address.QuadPart;
        descriptor->Length = length;
        descriptor->Zero = 0;
        mapped += length;
    }
    DmaDeviceGo(&barge->Device, barge->TableAddress, count, DmaDeviceOffset(irp) + barge->Done,
                (isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE) | DMA_ENGINE_COMMAND_DESCRIPTORS);
    return DeallocateObjectKeepRegisters;
}

static NTSTATUS BargeNextLoad(PBARGE Barge)
{
    PIRP irp = Barge->Device.Current;
    ULONG room = (Barge->MapRegisters - 1) * PAGE_SIZE;

    Barge->Va = (PUCHAR)MmGetMdlVirtualAddress(irp->MdlAddress) + Barge->Done;
    Barge->Length = DmaDeviceLength(irp) - Barge->Done;
    if (Barge->Length > room) {
        Barge->Length = room;
    }
    Barge->Registers = ADDRESS_AND_SIZE_TO_SPAN_PAGES(Barge->Va, Barge->Length);
    NTSTATUS status = Barge->Adapter->DmaOperations->AllocateAdapterChannel(
        Barge->Adapter, Barge->Device.Self, Barge->Registers, BargeAdapterControl, Barge);
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static NTSTATUS BargeBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PBARGE barge = CONTAINING_RECORD(Device, BARGE, Device);

    barge->Done = 0;
    KeFlushIoBuffers(Irp->MdlAddress, !DmaDeviceIsWrite(Irp), TRUE);
    return BargeNextLoad(barge);
}

static VOID BargeDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PBARGE barge = CONTAINING_RECORD(Device, BARGE, Device);
    PIRP irp = Device->Current;
    PDMA_OPERATIONS operations = barge->Adapter->DmaOperations;

    operations->FlushAdapterBuffers(barge->Adapter, irp->MdlAddress, barge->MapRegisterBase, barge->Va, barge->Length,
                                    DmaDeviceIsWrite(irp));
    operations->FreeMapRegisters(barge->Adapter, barge->MapRegisterBase, barge->Registers);
    barge->Done += Transferred;
    if (NT_SUCCESS(Status) && barge->Done < DmaDeviceLength(irp)) {
        Status = BargeNextLoad(barge);
        if (Status == STATUS_PENDING) {
            return;
        }
    }
    operations->FreeAdapterChannel(barge->Adapter);
    DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? barge->Done : 0);
}

static VOID BargeStop(PDMA_DEVICE Device)
{
    PBARGE barge = CONTAINING_RECORD(Device, BARGE, Device);

    if (barge->Adapter == NULL) {
        return;
    }
    PDMA_OPERATIONS operations = barge->Adapter->DmaOperations;
    if (barge->Table != NULL) {
        operations->FreeCommonBuffer(barge->Adapter, TABLE_BYTES, barge->TableAddress, barge->Table, TRUE);
        barge->Table = NULL;
    }
    operations->PutDmaAdapter(barge->Adapter);
    barge->Adapter = NULL;
}

static NTSTATUS BargeStart(PDMA_DEVICE Device)
{
    PBARGE barge = CONTAINING_RECORD(Device, BARGE, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, MAX_BATCH_BYTES);
    barge->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &barge->MapRegisters);
    if (barge->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    barge->Table =
        barge->Adapter->DmaOperations->AllocateCommonBuffer(barge->Adapter, TABLE_BYTES, &barge->TableAddress, TRUE);
    return barge->Table == NULL || barge->MapRegisters < 2 ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES BargeRoutines = {BargeStart, BargeStop, BargeBegin, BargeDone};

static NTSTATUS NTAPI BargeAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(BARGE), &BargeRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, BargeAddDevice);
    return STATUS_SUCCESS;
}
