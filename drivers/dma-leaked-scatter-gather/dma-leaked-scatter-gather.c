/*
 * A driver for the DMA engine that moves a request by its scatter/gather list, with a table of eight descriptors. A list
 * that does not fit the table is more than the driver can do at once, and its request fails.
 *
 * Broken: each list that GetScatterGatherList made has to be given back with PutScatterGatherList. One that does not fit
 * the table is not.
 */
#include "dma-device.h"

#define DESCRIPTORS 8
#define TABLE_BYTES (DESCRIPTORS * sizeof(DMA_ENGINE_DESCRIPTOR))

typedef struct _HARVEST {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    PDMA_ENGINE_DESCRIPTOR Table;
    PHYSICAL_ADDRESS TableAddress;
    ULONG Refused;
    /* Of the current request. */
    PSCATTER_GATHER_LIST List;
} HARVEST, *PHARVEST;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE HarvestAddDevice;
static DRIVER_LIST_CONTROL HarvestListControl;

static VOID NTAPI HarvestListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PHARVEST harvest = Context;
    PIRP irp = harvest->Device.Current;
    ULONG command = DmaDeviceIsWrite(irp) ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    if (List->NumberOfElements > DESCRIPTORS) {
        harvest->Refused++;
        DmaDeviceComplete(&harvest->Device, STATUS_INSUFFICIENT_RESOURCES, 0);
        return;
    }
    harvest->List = List;
    for (ULONG i = 0; i < List->NumberOfElements; i++) {
        harvest->Table[i].Address = List->Elements[i].Address.QuadPart;
        harvest->Table[i].Length = List->Elements[i].Length;
        harvest->Table[i].Zero = 0;
    }
    DmaDeviceGo(&harvest->Device, harvest->TableAddress, List->NumberOfElements, DmaDeviceOffset(irp),
                command | DMA_ENGINE_COMMAND_DESCRIPTORS);
}

static NTSTATUS HarvestBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PHARVEST harvest = CONTAINING_RECORD(Device, HARVEST, Device);
    PMDL mdl = Irp->MdlAddress;
    PGET_SCATTER_GATHER_LIST get = harvest->Adapter->DmaOperations->GetScatterGatherList;
    BOOLEAN isWrite = DmaDeviceIsWrite(Irp);

    KeFlushIoBuffers(mdl, !isWrite, TRUE);
    NTSTATUS status = get(harvest->Adapter, Device->Self, mdl, MmGetMdlVirtualAddress(mdl), DmaDeviceLength(Irp), HarvestListControl, harvest, isWrite); // leak[large]: kind=scatter-gather bytes=0 count=1
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static VOID HarvestDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PHARVEST harvest = CONTAINING_RECORD(Device, HARVEST, Device);

    harvest->Adapter->DmaOperations->PutScatterGatherList(harvest->Adapter, harvest->List,
                                                          DmaDeviceIsWrite(Device->Current));
    harvest->List = NULL;
    DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? Transferred : 0);
}

static VOID HarvestStop(PDMA_DEVICE Device)
{
    PHARVEST harvest = CONTAINING_RECORD(Device, HARVEST, Device);

    if (harvest->Adapter == NULL) {
        return;
    }
    if (harvest->Table != NULL) {
        harvest->Adapter->DmaOperations->FreeCommonBuffer(harvest->Adapter, TABLE_BYTES, harvest->TableAddress,
                                                          harvest->Table, TRUE);
        harvest->Table = NULL;
    }
    harvest->Adapter->DmaOperations->PutDmaAdapter(harvest->Adapter);
    harvest->Adapter = NULL;
}

static NTSTATUS HarvestStart(PDMA_DEVICE Device)
{
    PHARVEST harvest = CONTAINING_RECORD(Device, HARVEST, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, DMA_ENGINE_MEMORY_BYTES);
    harvest->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &harvest->MapRegisters);
    if (harvest->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    harvest->Table = harvest->Adapter->DmaOperations->AllocateCommonBuffer(harvest->Adapter, TABLE_BYTES,
                                                                           &harvest->TableAddress, TRUE);
    return harvest->Table == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES HarvestRoutines = {HarvestStart, HarvestStop, HarvestBegin, HarvestDone};

static NTSTATUS NTAPI HarvestAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(HARVEST), &HarvestRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, HarvestAddDevice);
    return STATUS_SUCCESS;
}
