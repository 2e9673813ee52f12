/*
 * A driver for the DMA engine that moves a request in parcels of mapped fragments. A parcel that the engine refuses is
 * abandoned, and the request with it.
 *
 * Broken: map registers are freed once. Those of an abandoned parcel are freed where it is delivered back, and again where
 * it is abandoned.
 */
#include "dma-device.h"

#define MAX_BATCH_BYTES 0x8000
#define MAX_DESCRIPTORS (MAX_BATCH_BYTES / PAGE_SIZE + 1)
#define TABLE_BYTES (MAX_DESCRIPTORS * sizeof(DMA_ENGINE_DESCRIPTOR))

typedef struct _PARCEL {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    PDMA_ENGINE_DESCRIPTOR Table;
    PHYSICAL_ADDRESS TableAddress;
    /* Of the current request. */
    ULONG Done;
    /* Of the parcel that the engine has. */
    PUCHAR Va;
    ULONG Length;
    ULONG Registers;
    PVOID MapRegisterBase;
} PARCEL, *PPARCEL;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE ParcelAddDevice;
static DRIVER_CONTROL ParcelAdapterControl;

static IO_ALLOCATION_ACTION NTAPI ParcelAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                       PVOID Context)
{
    PPARCEL parcel = Context;
    PIRP irp = parcel->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);
    ULONG count = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    parcel->MapRegisterBase = MapRegisterBase;
    for (ULONG mapped = 0; mapped < parcel->Length; count++) {
        PDMA_ENGINE_DESCRIPTOR descriptor = &parcel->Table[count];
        ULONG length = parcel->Length - mapped;
        PHYSICAL_ADDRESS address = parcel->Adapter->DmaOperations->MapTransfer(
            parcel->Adapter, irp->MdlAddress, MapRegisterBase, parcel->Va + mapped, &length, isWrite);
        descriptor->Address = address.QuadPart;
        descriptor->Length = length;
        descriptor->Zero = 0;
        mapped += length;
    }
    DmaDeviceGo(&parcel->Device, parcel->TableAddress, count, DmaDeviceOffset(irp) + parcel->Done,
                (isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE) | DMA_ENGINE_COMMAND_DESCRIPTORS);
    return DeallocateObjectKeepRegisters;
}

static NTSTATUS ParcelNextParcel(PPARCEL Parcel)
{
    PIRP irp = Parcel->Device.Current;
    ULONG room = (Parcel->MapRegisters - 1) * PAGE_SIZE;

    Parcel->Va = (PUCHAR)MmGetMdlVirtualAddress(irp->MdlAddress) + Parcel->Done;
    Parcel->Length = DmaDeviceLength(irp) - Parcel->Done;
    if (Parcel->Length > room) {
        Parcel->Length = room;
    }
    Parcel->Registers = ADDRESS_AND_SIZE_TO_SPAN_PAGES(Parcel->Va, Parcel->Length);
    NTSTATUS status = Parcel->Adapter->DmaOperations->AllocateAdapterChannel(
        Parcel->Adapter, Parcel->Device.Self, Parcel->Registers, ParcelAdapterControl, Parcel);
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static NTSTATUS ParcelBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PPARCEL parcel = CONTAINING_RECORD(Device, PARCEL, Device);

    parcel->Done = 0;
    KeFlushIoBuffers(Irp->MdlAddress, !DmaDeviceIsWrite(Irp), TRUE);
    return ParcelNextParcel(parcel);
}

/* The engine has nothing to do with the parcel any more. */
static VOID ParcelReturn(PPARCEL Parcel)
{
    PIRP irp = Parcel->Device.Current;
    PDMA_OPERATIONS operations = Parcel->Adapter->DmaOperations;

    operations->FlushAdapterBuffers(Parcel->Adapter, irp->MdlAddress, Parcel->MapRegisterBase, Parcel->Va,
                                    Parcel->Length, DmaDeviceIsWrite(irp));
    operations->FreeMapRegisters(Parcel->Adapter, Parcel->MapRegisterBase, Parcel->Registers);
}

static VOID ParcelAbandon(PPARCEL Parcel, NTSTATUS Status)
{
    Parcel->Adapter->DmaOperations->FreeMapRegisters(Parcel->Adapter, Parcel->MapRegisterBase, Parcel->Registers);
    DmaDeviceComplete(&Parcel->Device, Status, 0);
}

static VOID ParcelDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PPARCEL parcel = CONTAINING_RECORD(Device, PARCEL, Device);

    ParcelReturn(parcel);
    parcel->Done += Transferred;
    if (NT_SUCCESS(Status) && parcel->Done == DmaDeviceLength(Device->Current)) {
        DmaDeviceComplete(Device, Status, parcel->Done);
        return;
    }
    if (NT_SUCCESS(Status)) {
        Status = ParcelNextParcel(parcel);
    }
    if (!NT_SUCCESS(Status)) {
        ParcelAbandon(parcel, Status);
    }
}

static VOID ParcelStop(PDMA_DEVICE Device)
{
    PPARCEL parcel = CONTAINING_RECORD(Device, PARCEL, Device);

    if (parcel->Adapter == NULL) {
        return;
    }
    PDMA_OPERATIONS operations = parcel->Adapter->DmaOperations;
    if (parcel->Table != NULL) {
        operations->FreeCommonBuffer(parcel->Adapter, TABLE_BYTES, parcel->TableAddress, parcel->Table, TRUE);
        parcel->Table = NULL;
    }
    operations->PutDmaAdapter(parcel->Adapter);
    parcel->Adapter = NULL;
}

static NTSTATUS ParcelStart(PDMA_DEVICE Device)
{
    PPARCEL parcel = CONTAINING_RECORD(Device, PARCEL, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, MAX_BATCH_BYTES);
    parcel->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &parcel->MapRegisters);
    if (parcel->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    parcel->Table =
        parcel->Adapter->DmaOperations->AllocateCommonBuffer(parcel->Adapter, TABLE_BYTES, &parcel->TableAddress, TRUE);
    return parcel->Table == NULL || parcel->MapRegisters < 2 ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES ParcelRoutines = {ParcelStart, ParcelStop, ParcelBegin, ParcelDone};

static NTSTATUS NTAPI ParcelAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(PARCEL), &ParcelRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, ParcelAddDevice);
    return STATUS_SUCCESS;
}
