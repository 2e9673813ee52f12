/*
 * A driver for the DMA engine that moves a request by its scatter/gather list, one element after the other, and begins
 * again from the first element when the engine refuses one: it may have been busy with itself.
 *
 * Broken: PutScatterGatherList ends a list. A try that failed gives the list back, the next try uses it again, and gives it
 * back again.
 */
#include "dma-device.h"

#define TRIES 3

typedef struct _RELENTLESS {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    /* Of the current request. */
    PSCATTER_GATHER_LIST List;
    ULONG Element;
    ULONG Done;
    ULONG Tries;
} RELENTLESS, *PRELENTLESS;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE RelentlessAddDevice;
static DRIVER_LIST_CONTROL RelentlessListControl;

static VOID RelentlessNextElement(PRELENTLESS Relentless)
{
    PIRP irp = Relentless->Device.Current;
    PSCATTER_GATHER_ELEMENT element = &Relentless->List->Elements[Relentless->Element];

    DmaDeviceGo(&Relentless->Device, element->Address, element->Length, DmaDeviceOffset(irp) + Relentless->Done,
                DmaDeviceIsWrite(irp) ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static VOID RelentlessTry(PRELENTLESS Relentless)
{
    Relentless->Tries++;
    Relentless->Element = 0;
    Relentless->Done = 0;
    RelentlessNextElement(Relentless);
}

static VOID NTAPI RelentlessListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST List,
                                        PVOID Context)
{
    PRELENTLESS relentless = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    relentless->List = List;
    RelentlessTry(relentless);
}

static NTSTATUS RelentlessBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PRELENTLESS relentless = CONTAINING_RECORD(Device, RELENTLESS, Device);
    BOOLEAN isWrite = DmaDeviceIsWrite(Irp);

    relentless->Tries = 0;
    KeFlushIoBuffers(Irp->MdlAddress, !isWrite, TRUE);
    NTSTATUS status = relentless->Adapter->DmaOperations->GetScatterGatherList(
        relentless->Adapter, Device->Self, Irp->MdlAddress, MmGetMdlVirtualAddress(Irp->MdlAddress),
        DmaDeviceLength(Irp), RelentlessListControl, relentless, isWrite);
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static VOID RelentlessDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PRELENTLESS relentless = CONTAINING_RECORD(Device, RELENTLESS, Device);
    PDMA_OPERATIONS operations = relentless->Adapter->DmaOperations;

    relentless->Done += Transferred;
    if (NT_SUCCESS(Status) && ++relentless->Element < relentless->List->NumberOfElements) {
        RelentlessNextElement(relentless);
        return;
    }
    operations->PutScatterGatherList(relentless->Adapter, relentless->List, DmaDeviceIsWrite(Device->Current));
    if (Status == STATUS_INVALID_PARAMETER && relentless->Tries < TRIES) {
        RelentlessTry(relentless);
        return;
    }
    DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? relentless->Done : 0);
}

static VOID RelentlessStop(PDMA_DEVICE Device)
{
    PRELENTLESS relentless = CONTAINING_RECORD(Device, RELENTLESS, Device);

    if (relentless->Adapter != NULL) {
        relentless->Adapter->DmaOperations->PutDmaAdapter(relentless->Adapter);
        relentless->Adapter = NULL;
    }
}

static NTSTATUS RelentlessStart(PDMA_DEVICE Device)
{
    PRELENTLESS relentless = CONTAINING_RECORD(Device, RELENTLESS, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, DMA_ENGINE_MEMORY_BYTES);
    relentless->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &relentless->MapRegisters);
    return relentless->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES RelentlessRoutines = {RelentlessStart, RelentlessStop, RelentlessBegin, RelentlessDone};

static NTSTATUS NTAPI RelentlessAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(RELENTLESS), &RelentlessRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, RelentlessAddDevice);
    return STATUS_SUCCESS;
}
