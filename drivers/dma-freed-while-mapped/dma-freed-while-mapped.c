/*
 * A driver for the DMA engine that moves a request in hauls of mapped fragments. What the engine wrote to memory is flushed,
 * so that the caller sees it.
 *
 * Broken: map registers have to be flushed before they are freed, in both directions. A haul of a write is not: there is
 * nothing in it for the caller to see.
 */
#include "dma-device.h"

#define MAX_BATCH_BYTES 0x8000
#define MAX_DESCRIPTORS (MAX_BATCH_BYTES / PAGE_SIZE + 1)
#define TABLE_BYTES (MAX_DESCRIPTORS * sizeof(DMA_ENGINE_DESCRIPTOR))

typedef struct _HAUL {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    PDMA_ENGINE_DESCRIPTOR Table;
    PHYSICAL_ADDRESS TableAddress;
    /* Of the current request. */
    ULONG Done;
    /* Of the haul that the engine has. */
    PUCHAR Va;
    ULONG Length;
    ULONG Registers;
    PVOID MapRegisterBase;
} HAUL, *PHAUL;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE HaulAddDevice;
static DRIVER_CONTROL HaulAdapterControl;

static IO_ALLOCATION_ACTION NTAPI HaulAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                     PVOID Context)
{
    PHAUL haul = Context;
    PIRP irp = haul->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);
    ULONG count = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    haul->MapRegisterBase = MapRegisterBase;
    for (ULONG mapped = 0; mapped < haul->Length; count++) {
        PDMA_ENGINE_DESCRIPTOR descriptor = &haul->Table[count];
        ULONG length = haul->Length - mapped;
        PHYSICAL_ADDRESS address = haul->Adapter->DmaOperations->MapTransfer(
            haul->Adapter, irp->MdlAddress, MapRegisterBase, haul->Va + mapped, &length, isWrite);
        descriptor->Address = address.QuadPart;
        descriptor->Length = length;
        descriptor->Zero = 0;
        mapped += length;
    }
    DmaDeviceGo(&haul->Device, haul->TableAddress, count, DmaDeviceOffset(irp) + haul->Done,
                (isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE) | DMA_ENGINE_COMMAND_DESCRIPTORS);
    return DeallocateObjectKeepRegisters;
}

static NTSTATUS HaulNextHaul(PHAUL Haul)
{
    PIRP irp = Haul->Device.Current;
    ULONG room = (Haul->MapRegisters - 1) * PAGE_SIZE;

    Haul->Va = (PUCHAR)MmGetMdlVirtualAddress(irp->MdlAddress) + Haul->Done;
    Haul->Length = DmaDeviceLength(irp) - Haul->Done;
    if (Haul->Length > room) {
        Haul->Length = room;
    }
    Haul->Registers = ADDRESS_AND_SIZE_TO_SPAN_PAGES(Haul->Va, Haul->Length);
    NTSTATUS status = Haul->Adapter->DmaOperations->AllocateAdapterChannel(
        Haul->Adapter, Haul->Device.Self, Haul->Registers, HaulAdapterControl, Haul);
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static NTSTATUS HaulBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PHAUL haul = CONTAINING_RECORD(Device, HAUL, Device);

    haul->Done = 0;
    KeFlushIoBuffers(Irp->MdlAddress, !DmaDeviceIsWrite(Irp), TRUE);
    return HaulNextHaul(haul);
}

static VOID HaulDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PHAUL haul = CONTAINING_RECORD(Device, HAUL, Device);
    PIRP irp = Device->Current;
    PDMA_OPERATIONS operations = haul->Adapter->DmaOperations;

    if (!DmaDeviceIsWrite(irp)) {
        operations->FlushAdapterBuffers(haul->Adapter, irp->MdlAddress, haul->MapRegisterBase, haul->Va, haul->Length,
                                        FALSE);
    }
    operations->FreeMapRegisters(haul->Adapter, haul->MapRegisterBase, haul->Registers);
    haul->Done += Transferred;
    if (NT_SUCCESS(Status) && haul->Done < DmaDeviceLength(irp)) {
        Status = HaulNextHaul(haul);
    }
    if (Status != STATUS_PENDING) {
        DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? haul->Done : 0);
    }
}

static VOID HaulStop(PDMA_DEVICE Device)
{
    PHAUL haul = CONTAINING_RECORD(Device, HAUL, Device);

    if (haul->Adapter == NULL) {
        return;
    }
    PDMA_OPERATIONS operations = haul->Adapter->DmaOperations;
    if (haul->Table != NULL) {
        operations->FreeCommonBuffer(haul->Adapter, TABLE_BYTES, haul->TableAddress, haul->Table, TRUE);
        haul->Table = NULL;
    }
    operations->PutDmaAdapter(haul->Adapter);
    haul->Adapter = NULL;
}

static NTSTATUS HaulStart(PDMA_DEVICE Device)
{
    PHAUL haul = CONTAINING_RECORD(Device, HAUL, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, MAX_BATCH_BYTES);
    haul->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &haul->MapRegisters);
    if (haul->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    haul->Table =
        haul->Adapter->DmaOperations->AllocateCommonBuffer(haul->Adapter, TABLE_BYTES, &haul->TableAddress, TRUE);
    return haul->Table == NULL || haul->MapRegisters < 2 ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES HaulRoutines = {HaulStart, HaulStop, HaulBegin, HaulDone};

static NTSTATUS NTAPI HaulAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(HAUL), &HaulRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, HaulAddDevice);
    return STATUS_SUCCESS;
}
