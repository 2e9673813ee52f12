/*
 * A driver for the DMA engine that keeps the adapter's channel for a whole request: AdapterControl maps the first fragment,
 * and the DPC of each fragment flushes it and maps the next with the same map registers.
 *
 * Broken: a channel that AdapterControl kept has to be freed with FreeAdapterChannel. It is when the last fragment is done,
 * and not when the engine refuses one.
 */
#include "dma-device.h"

#define MAX_TRANSFER_BYTES 0x4000

typedef struct _COURIER {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    /* Of the current request. */
    PVOID MapRegisterBase;
    ULONG Registers;
    ULONG Done;
    PUCHAR Va;
    ULONG Length;
} COURIER, *PCOURIER;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE CourierAddDevice;
static DRIVER_CONTROL CourierAdapterControl;

/* Maps what follows the bytes that are done, as far as registers and memory go in a row, and gives it to the engine. */
static VOID CourierNextFragment(PCOURIER Courier)
{
    PIRP irp = Courier->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);

    Courier->Va = (PUCHAR)MmGetMdlVirtualAddress(irp->MdlAddress) + Courier->Done;
    Courier->Length = DmaDeviceLength(irp) - Courier->Done;
    ULONG room = Courier->Registers * PAGE_SIZE - BYTE_OFFSET(Courier->Va);
    if (Courier->Length > room) {
        Courier->Length = room;
    }
    PHYSICAL_ADDRESS address = Courier->Adapter->DmaOperations->MapTransfer(
        Courier->Adapter, irp->MdlAddress, Courier->MapRegisterBase, Courier->Va, &Courier->Length, isWrite);
    DmaDeviceGo(&Courier->Device, address, Courier->Length, DmaDeviceOffset(irp) + Courier->Done,
                isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static IO_ALLOCATION_ACTION NTAPI CourierAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                        PVOID Context)
{
    PCOURIER courier = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    courier->MapRegisterBase = MapRegisterBase;
    CourierNextFragment(courier);
    return KeepObject;
}

static NTSTATUS CourierBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PCOURIER courier = CONTAINING_RECORD(Device, COURIER, Device);
    PDMA_OPERATIONS operations = courier->Adapter->DmaOperations;

    courier->Done = 0;
    courier->Registers = ADDRESS_AND_SIZE_TO_SPAN_PAGES(MmGetMdlVirtualAddress(Irp->MdlAddress), DmaDeviceLength(Irp));
    if (courier->Registers > courier->MapRegisters) {
        courier->Registers = courier->MapRegisters;
    }
    KeFlushIoBuffers(Irp->MdlAddress, !DmaDeviceIsWrite(Irp), TRUE);
    NTSTATUS status = operations->AllocateAdapterChannel(courier->Adapter, Device->Self, courier->Registers, CourierAdapterControl, courier); // leak[refused]: kind=adapter-channel bytes=0 count=1 // leak[refused]: kind=map-registers bytes=0 count=3
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static VOID CourierDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PCOURIER courier = CONTAINING_RECORD(Device, COURIER, Device);
    PIRP irp = Device->Current;
    PDMA_OPERATIONS operations = courier->Adapter->DmaOperations;

    operations->FlushAdapterBuffers(courier->Adapter, irp->MdlAddress, courier->MapRegisterBase, courier->Va,
                                    courier->Length, DmaDeviceIsWrite(irp));
    if (!NT_SUCCESS(Status)) {
        DmaDeviceComplete(Device, Status, 0);
        return;
    }
    courier->Done += Transferred;
    if (courier->Done < DmaDeviceLength(irp)) {
        CourierNextFragment(courier);
        return;
    }
    operations->FreeAdapterChannel(courier->Adapter);
    DmaDeviceComplete(Device, STATUS_SUCCESS, courier->Done);
}

static VOID CourierStop(PDMA_DEVICE Device)
{
    PCOURIER courier = CONTAINING_RECORD(Device, COURIER, Device);

    if (courier->Adapter != NULL) {
        courier->Adapter->DmaOperations->PutDmaAdapter(courier->Adapter);
        courier->Adapter = NULL;
    }
}

static NTSTATUS CourierStart(PDMA_DEVICE Device)
{
    PCOURIER courier = CONTAINING_RECORD(Device, COURIER, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, MAX_TRANSFER_BYTES);
    courier->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &courier->MapRegisters);
    return courier->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES CourierRoutines = {CourierStart, CourierStop, CourierBegin, CourierDone};

static NTSTATUS NTAPI CourierAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(COURIER), &CourierRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, CourierAddDevice);
    return STATUS_SUCCESS;
}
