/*
 * A driver for the DMA engine that counts who uses its adapter: the started device, and each request. Whoever is the last
 * to let it go gives it back.
 *
 * Broken: every adapter that IoGetDmaAdapter returned has to be given back with PutDmaAdapter. A request that is refused
 * before it begins does not let the adapter go, so the device's is never the last use.
 */
#include "dma-device.h"

typedef struct _TENANT_ADAPTER {
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    LONG Users;
} TENANT_ADAPTER, *PTENANT_ADAPTER;

typedef struct _TENANT {
    DMA_DEVICE Device;
    TENANT_ADAPTER Adapter;
    /* Of the current request. */
    PSCATTER_GATHER_LIST List;
    ULONG Element;
    ULONG Done;
} TENANT, *PTENANT;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE TenantAddDevice;
static DRIVER_LIST_CONTROL TenantListControl;

static PDMA_ADAPTER TenantUse(PTENANT_ADAPTER Adapter)
{
    InterlockedIncrement(&Adapter->Users);
    return Adapter->Adapter;
}

static VOID TenantLetGo(PTENANT_ADAPTER Adapter)
{
    if (InterlockedDecrement(&Adapter->Users) == 0) {
        Adapter->Adapter->DmaOperations->PutDmaAdapter(Adapter->Adapter);
        Adapter->Adapter = NULL;
    }
}

static VOID TenantNextElement(PTENANT Tenant)
{
    PIRP irp = Tenant->Device.Current;
    PSCATTER_GATHER_ELEMENT element = &Tenant->List->Elements[Tenant->Element];

    DmaDeviceGo(&Tenant->Device, element->Address, element->Length, DmaDeviceOffset(irp) + Tenant->Done,
                DmaDeviceIsWrite(irp) ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static VOID NTAPI TenantListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PTENANT tenant = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    tenant->List = List;
    TenantNextElement(tenant);
}

static NTSTATUS TenantBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PTENANT tenant = CONTAINING_RECORD(Device, TENANT, Device);
    PDMA_ADAPTER adapter = TenantUse(&tenant->Adapter);
    BOOLEAN isWrite = DmaDeviceIsWrite(Irp);

    tenant->Element = 0;
    tenant->Done = 0;
    if (DmaDeviceLength(Irp) > DMA_ENGINE_MEMORY_BYTES - DmaDeviceOffset(Irp)) {
        return STATUS_INVALID_PARAMETER;
    }
    KeFlushIoBuffers(Irp->MdlAddress, !isWrite, TRUE);
    NTSTATUS status = adapter->DmaOperations->GetScatterGatherList(
        adapter, Device->Self, Irp->MdlAddress, MmGetMdlVirtualAddress(Irp->MdlAddress), DmaDeviceLength(Irp),
        TenantListControl, tenant, isWrite);
    if (!NT_SUCCESS(status)) {
        TenantLetGo(&tenant->Adapter);
        return status;
    }
    return STATUS_PENDING;
}

static VOID TenantDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PTENANT tenant = CONTAINING_RECORD(Device, TENANT, Device);
    PDMA_ADAPTER adapter = tenant->Adapter.Adapter;

    tenant->Done += Transferred;
    if (NT_SUCCESS(Status) && ++tenant->Element < tenant->List->NumberOfElements) {
        TenantNextElement(tenant);
        return;
    }
    adapter->DmaOperations->PutScatterGatherList(adapter, tenant->List, DmaDeviceIsWrite(Device->Current));
    TenantLetGo(&tenant->Adapter);
    DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? tenant->Done : 0);
}

static VOID TenantStop(PDMA_DEVICE Device)
{
    PTENANT tenant = CONTAINING_RECORD(Device, TENANT, Device);

    if (tenant->Adapter.Adapter != NULL) {
        TenantLetGo(&tenant->Adapter);
    }
}

static NTSTATUS TenantStart(PDMA_DEVICE Device)
{
    PTENANT tenant = CONTAINING_RECORD(Device, TENANT, Device);
    PTENANT_ADAPTER adapter = &tenant->Adapter;
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, DMA_ENGINE_MEMORY_BYTES);
    adapter->Users = 1;
    adapter->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &adapter->MapRegisters); // leak[refused]: kind=adapter bytes=0 count=1 // leak[restarted]: kind=adapter bytes=0 count=2
    return adapter->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES TenantRoutines = {TenantStart, TenantStop, TenantBegin, TenantDone};

static NTSTATUS NTAPI TenantAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(TENANT), &TenantRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, TenantAddDevice);
    return STATUS_SUCCESS;
}
