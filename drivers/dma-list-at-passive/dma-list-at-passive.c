/*
 * A driver for the DMA engine that moves requests by their scatter/gather lists. A program may also glance at the engine's
 * memory with a control request, which does not wait for its turn: the driver pauses the queue and moves it itself.
 *
 * Broken: GetScatterGatherList is for DISPATCH_LEVEL. A read or write begins there, and a glance at PASSIVE_LEVEL.
 */
#include "dma-device.h"

/* Input: an offset in the engine's memory. Output, by direct I/O: what is there. */
#define IOCTL_GLANCE CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA20, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)

typedef struct _GLANCE {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    /* What is moved: the current request, or a glance while the queue is paused. */
    PIRP Irp;
    BOOLEAN IsGlance;
    BOOLEAN IsWrite;
    ULONG Offset;
    PSCATTER_GATHER_LIST List;
    ULONG Element;
    ULONG Done;
    NTSTATUS Status;
    KEVENT Glanced;
} GLANCE, *PGLANCE;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE GlanceAddDevice;
static DRIVER_DISPATCH GlanceControl;
static DRIVER_LIST_CONTROL GlanceListControl;

static VOID GlanceNextElement(PGLANCE Glance)
{
    PSCATTER_GATHER_ELEMENT element = &Glance->List->Elements[Glance->Element];

    DmaDeviceGo(&Glance->Device, element->Address, element->Length, Glance->Offset + Glance->Done,
                Glance->IsWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static VOID NTAPI GlanceListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PGLANCE glance = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    glance->List = List;
    GlanceNextElement(glance);
}

static NTSTATUS GlanceMove(PGLANCE Glance, PIRP Irp, ULONG Offset, ULONG Length)
{
    PMDL mdl = Irp->MdlAddress;

    Glance->Irp = Irp;
    Glance->Offset = Offset;
    Glance->Element = 0;
    Glance->Done = 0;
    KeFlushIoBuffers(mdl, !Glance->IsWrite, TRUE);
    return Glance->Adapter->DmaOperations->GetScatterGatherList(Glance->Adapter, Glance->Device.Self, mdl,
                                                                MmGetMdlVirtualAddress(mdl), Length, GlanceListControl,
                                                                Glance, Glance->IsWrite);
}

static NTSTATUS GlanceBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PGLANCE glance = CONTAINING_RECORD(Device, GLANCE, Device);

    glance->IsGlance = FALSE;
    glance->IsWrite = DmaDeviceIsWrite(Irp);
    NTSTATUS status = GlanceMove(glance, Irp, DmaDeviceOffset(Irp), DmaDeviceLength(Irp));
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

static VOID GlanceDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PGLANCE glance = CONTAINING_RECORD(Device, GLANCE, Device);

    glance->Done += Transferred;
    if (NT_SUCCESS(Status) && ++glance->Element < glance->List->NumberOfElements) {
        GlanceNextElement(glance);
        return;
    }
    glance->Adapter->DmaOperations->PutScatterGatherList(glance->Adapter, glance->List, glance->IsWrite);
    if (glance->IsGlance) {
        glance->Status = Status;
        KeSetEvent(&glance->Glanced, IO_NO_INCREMENT, FALSE);
    } else {
        DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? glance->Done : 0);
    }
}

/* While the device is paused. */
static NTSTATUS GlanceNow(PGLANCE Glance, PIRP Irp, ULONG Offset, ULONG Length)
{
    Glance->IsGlance = TRUE;
    Glance->IsWrite = FALSE;
    KeClearEvent(&Glance->Glanced);
    NTSTATUS status = GlanceMove(Glance, Irp, Offset, Length);
    if (NT_SUCCESS(status)) {
        KeWaitForSingleObject(&Glance->Glanced, Executive, KernelMode, FALSE, NULL);
        status = Glance->Status;
    }
    return status;
}

static NTSTATUS GlanceDo(PGLANCE Glance, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG length = stack->Parameters.DeviceIoControl.OutputBufferLength;

    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_GLANCE) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(ULONG) || length == 0) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    ULONG offset = *(PULONG)Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = DmaDevicePause(&Glance->Device);
    if (NT_SUCCESS(status)) {
        status = GlanceNow(Glance, Irp, offset, length);
        DmaDeviceResume(&Glance->Device);
    }
    return status;
}

static NTSTATUS NTAPI GlanceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PGLANCE glance = DeviceObject->DeviceExtension;

    NTSTATUS status = DmaDeviceEnter(&glance->Device, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    status = GlanceDo(glance, Irp);
    return DmaDeviceLeave(&glance->Device, Irp, status, NT_SUCCESS(status) ? glance->Done : 0);
}

static VOID GlanceStop(PDMA_DEVICE Device)
{
    PGLANCE glance = CONTAINING_RECORD(Device, GLANCE, Device);

    if (glance->Adapter != NULL) {
        glance->Adapter->DmaOperations->PutDmaAdapter(glance->Adapter);
        glance->Adapter = NULL;
    }
}

static NTSTATUS GlanceStart(PDMA_DEVICE Device)
{
    PGLANCE glance = CONTAINING_RECORD(Device, GLANCE, Device);
    DEVICE_DESCRIPTION description;

    KeInitializeEvent(&glance->Glanced, NotificationEvent, FALSE);
    DmaDeviceDescribe(&description, DMA_ENGINE_MEMORY_BYTES);
    glance->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &glance->MapRegisters);
    return glance->Adapter == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES GlanceRoutines = {GlanceStart, GlanceStop, GlanceBegin, GlanceDone};

static NTSTATUS NTAPI GlanceAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(GLANCE), &GlanceRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, GlanceAddDevice);
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = GlanceControl;
    return STATUS_SUCCESS;
}
