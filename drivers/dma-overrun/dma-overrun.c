/*
 * A driver for the DMA engine that moves a request by its scatter/gather list, one element after the other. The engine is
 * fastest with whole bursts of 256 bytes.
 *
 * Broken: the device may touch what was mapped for it, and no more. The last element's length is rounded up to whole bursts,
 * so a read of another length writes over what follows the caller's buffer.
 */
#include "dma-device.h"

#define BURST_BYTES 256

typedef struct _BURST {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    /* Of the current request. */
    PSCATTER_GATHER_LIST List;
    ULONG Element;
    ULONG Done;
} BURST, *PBURST;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE BurstAddDevice;
static DRIVER_LIST_CONTROL BurstListControl;

static VOID BurstNextElement(PBURST Burst)
{
    PIRP irp = Burst->Device.Current;
    PSCATTER_GATHER_ELEMENT element = &Burst->List->Elements[Burst->Element];
    ULONG length = (element->Length + BURST_BYTES - 1) / BURST_BYTES * BURST_BYTES;

    DmaDeviceGo(&Burst->Device, element->Address, length, DmaDeviceOffset(irp) + Burst->Done,
                DmaDeviceIsWrite(irp) ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static VOID NTAPI BurstListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PBURST burst = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    burst->List = List;
    burst->Element = 0;
    burst->Done = 0;
    BurstNextElement(burst);
}

static NTSTATUS BurstBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PBURST burst = CONTAINING_RECORD(Device, BURST, Device);
    BOOLEAN isWrite = DmaDeviceIsWrite(Irp);

    KeFlushIoBuffers(Irp->MdlAddress, !isWrite, TRUE);
    NTSTATUS status = burst->Adapter->DmaOperations->GetScatterGatherList(
        burst->Adapter, Device->Self, Irp->MdlAddress, MmGetMdlVirtualAddress(Irp->MdlAddress), DmaDeviceLength(Irp),
        BurstListControl, burst, isWrite);
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static VOID BurstDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PBURST burst = CONTAINING_RECORD(Device, BURST, Device);

    UNREFERENCED_PARAMETER(Transferred);
    burst->Done += burst->List->Elements[burst->Element].Length;
    if (NT_SUCCESS(Status) && ++burst->Element < burst->List->NumberOfElements) {
        BurstNextElement(burst);
        return;
    }
    burst->Adapter->DmaOperations->PutScatterGatherList(burst->Adapter, burst->List,
                                                        DmaDeviceIsWrite(Device->Current));
    DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? burst->Done : 0);
}

static VOID BurstStop(PDMA_DEVICE Device)
{
    PBURST burst = CONTAINING_RECORD(Device, BURST, Device);

    if (burst->Adapter != NULL) {
        burst->Adapter->DmaOperations->PutDmaAdapter(burst->Adapter);
        burst->Adapter = NULL;
    }
}

static NTSTATUS BurstStart(PDMA_DEVICE Device)
{
    PBURST burst = CONTAINING_RECORD(Device, BURST, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, DMA_ENGINE_MEMORY_BYTES);
    burst->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &burst->MapRegisters);
    return burst->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES BurstRoutines = {BurstStart, BurstStop, BurstBegin, BurstDone};

static NTSTATUS NTAPI BurstAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(BURST), &BurstRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, BurstAddDevice);
    return STATUS_SUCCESS;
}
