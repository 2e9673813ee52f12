/*
 * What the drivers of the DMA engine have in common: see dma-device.h.
 *
 * A request holds the remove lock from its arrival to its completion. A stopped device keeps its requests; one that has
 * gone fails them. The engine's command ends with an interrupt; where none can come any more, the DPC is queued for it.
 */
#include "dma-device.h"
#include "newer.h"

#define TAG_LOCK 'kLmD' /* DmLk */

#define SECONDS(Count) (-10000000LL * (Count))

static DRIVER_DISPATCH DmaDeviceCreateClose;
static DRIVER_DISPATCH DmaDeviceCleanup;
static DRIVER_DISPATCH DmaDeviceReadWrite;
static DRIVER_DISPATCH DmaDevicePnp;
static DRIVER_DISPATCH DmaDeviceForward;
static DRIVER_UNLOAD DmaDeviceUnload;
static KSERVICE_ROUTINE DmaDeviceLineService;
static KMESSAGE_SERVICE_ROUTINE DmaDeviceMessageService;
static KDEFERRED_ROUTINE DmaDeviceDoneDpc;
static KDEFERRED_ROUTINE DmaDeviceNextDpc;

/* ---- the queue */

static VOID NTAPI DmaDeviceInsert(PIO_CSQ Csq, PIRP Irp)
{
    PDMA_DEVICE device = CONTAINING_RECORD(Csq, DMA_DEVICE, Queue);
    InsertTailList(&device->Waiting, &Irp->Tail.Overlay.ListEntry);
}

static VOID NTAPI DmaDeviceRemoveIrp(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
}

/* The next request after `Irp`, of one file if `PeekContext` says which. */
static PIRP NTAPI DmaDevicePeek(PIO_CSQ Csq, PIRP Irp, PVOID PeekContext)
{
    PDMA_DEVICE device = CONTAINING_RECORD(Csq, DMA_DEVICE, Queue);
    PLIST_ENTRY link = Irp == NULL ? device->Waiting.Flink : Irp->Tail.Overlay.ListEntry.Flink;
    for (; link != &device->Waiting; link = link->Flink) {
        PIRP next = CONTAINING_RECORD(link, IRP, Tail.Overlay.ListEntry);
        if (PeekContext == NULL || IoGetCurrentIrpStackLocation(next)->FileObject == PeekContext) {
            return next;
        }
    }
    return NULL;
}

static VOID NTAPI DmaDeviceAcquire(PIO_CSQ Csq, PKIRQL Irql)
{
    KeAcquireSpinLock(&CONTAINING_RECORD(Csq, DMA_DEVICE, Queue)->QueueLock, Irql);
}

static VOID NTAPI DmaDeviceRelease(PIO_CSQ Csq, KIRQL Irql)
{
    KeReleaseSpinLock(&CONTAINING_RECORD(Csq, DMA_DEVICE, Queue)->QueueLock, Irql);
}

static VOID NTAPI DmaDeviceCompleteCancelled(PIO_CSQ Csq, PIRP Irp)
{
    DmaDeviceLeave(CONTAINING_RECORD(Csq, DMA_DEVICE, Queue), Irp, STATUS_CANCELLED, 0);
}

/* Completes what waits, all of it or that of one file. */
static VOID DmaDeviceFlush(PDMA_DEVICE Device, PFILE_OBJECT File, NTSTATUS Status)
{
    PIRP irp;
    while ((irp = IoCsqRemoveNextIrp(&Device->Queue, File)) != NULL) {
        DmaDeviceLeave(Device, irp, Status, 0);
    }
}

/* Completes the current request and makes room for the next. */
static VOID DmaDeviceFinish(PDMA_DEVICE Device, NTSTATUS Status, ULONG_PTR Information)
{
    KIRQL irql;

    KeAcquireSpinLock(&Device->Lock, &irql);
    PIRP irp = Device->Current;
    PIRP down = Device->DownIrp;
    Device->Current = NULL;
    Device->DownIrp = NULL;
    KeSetEvent(&Device->Idle, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&Device->Lock, irql);
    DmaDeviceLeave(Device, irp, Status, Information);
    if (down != NULL) {
        DmaDeviceSendDown(Device, down);
    }
}

VOID DmaDeviceNext(PDMA_DEVICE Device)
{
    NTSTATUS status;
    KIRQL irql;

    do {
        KeAcquireSpinLock(&Device->Lock, &irql);
        PIRP irp = NULL;
        if (Device->State == DmaDeviceStarted && !Device->IsAsleep && Device->Current == NULL) {
            irp = IoCsqRemoveNextIrp(&Device->Queue, NULL);
        }
        if (irp != NULL) {
            Device->Current = irp;
            KeClearEvent(&Device->Idle);
        }
        KeReleaseSpinLockFromDpcLevel(&Device->Lock);
        status = STATUS_PENDING;
        if (irp != NULL) {
            status = Device->Routines->Begin(Device, irp);
        }
        KeLowerIrql(irql);
        if (status != STATUS_PENDING) {
            DmaDeviceFinish(Device, status, 0);
        }
    } while (status != STATUS_PENDING);
}

static VOID NTAPI DmaDeviceNextDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    DmaDeviceNext(Context);
}

VOID DmaDeviceComplete(PDMA_DEVICE Device, NTSTATUS Status, ULONG_PTR Information)
{
    DmaDeviceFinish(Device, Status, Information);
    KeInsertQueueDpc(&Device->NextDpc, NULL, NULL);
}

/* ---- the engine */

static BOOLEAN DmaDeviceService(PDMA_DEVICE Device)
{
    ULONG status = DmaEngineRead(Device->Registers, DMA_ENGINE_STATUS);

    /* A device that is not there reads as ones. */
    if (status == MAXULONG || (status & (DMA_ENGINE_STATUS_DONE | DMA_ENGINE_STATUS_ERROR)) == 0) {
        return FALSE;
    }
    Device->Status = status;
    Device->ErrorCode = DmaEngineRead(Device->Registers, DMA_ENGINE_ERROR_CODE);
    Device->Transferred = DmaEngineRead(Device->Registers, DMA_ENGINE_TRANSFERRED);
    Device->Interrupts++;
    DmaEngineWrite(Device->Registers, DMA_ENGINE_STATUS, DMA_ENGINE_STATUS_DONE | DMA_ENGINE_STATUS_ERROR);
    KeInsertQueueDpc(&Device->DoneDpc, NULL, NULL);
    return TRUE;
}

static BOOLEAN NTAPI DmaDeviceLineService(PKINTERRUPT Interrupt, PVOID Context)
{
    UNREFERENCED_PARAMETER(Interrupt);
    return DmaDeviceService(Context);
}

static BOOLEAN NTAPI DmaDeviceMessageService(PKINTERRUPT Interrupt, PVOID Context, ULONG MessageId)
{
    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(MessageId);
    return DmaDeviceService(Context);
}

static NTSTATUS DmaDeviceOutcome(PDMA_DEVICE Device)
{
    if ((Device->Status & DMA_ENGINE_STATUS_ERROR) == 0) {
        return STATUS_SUCCESS;
    }
    return Device->ErrorCode == DMA_ENGINE_ERROR_DEVICE_OFFSET ? STATUS_INVALID_PARAMETER : STATUS_IO_DEVICE_ERROR;
}

static VOID NTAPI DmaDeviceDoneDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PDMA_DEVICE device = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLockAtDpcLevel(&device->Lock);
    BOOLEAN wasBusy = device->IsBusy;
    device->IsBusy = FALSE;
    KeReleaseSpinLockFromDpcLevel(&device->Lock);
    if (!wasBusy) {
        return;
    }
    if (device->IsAborted) {
        device->Routines->Done(device, STATUS_DEVICE_REMOVED, 0);
    } else {
        device->Routines->Done(device, DmaDeviceOutcome(device), device->Transferred);
    }
}

VOID DmaDeviceGo(PDMA_DEVICE Device, PHYSICAL_ADDRESS Address, ULONG Length, ULONG Offset, ULONG Command)
{
    KeAcquireSpinLockAtDpcLevel(&Device->Lock);
    Device->IsBusy = TRUE;
    if (Device->IsAborted) {
        KeInsertQueueDpc(&Device->DoneDpc, NULL, NULL);
    } else {
        DmaEngineWrite(Device->Registers, DMA_ENGINE_ADDRESS_LOW, Address.LowPart);
        DmaEngineWrite(Device->Registers, DMA_ENGINE_ADDRESS_HIGH, Address.HighPart);
        DmaEngineWrite(Device->Registers, DMA_ENGINE_LENGTH, Length);
        DmaEngineWrite(Device->Registers, DMA_ENGINE_DEVICE_OFFSET, Offset);
        DmaEngineWrite(Device->Registers, DMA_ENGINE_COMMAND, Command);
    }
    KeReleaseSpinLockFromDpcLevel(&Device->Lock);
}

/* ---- start and stop */

static NTSTATUS DmaDeviceMap(PDMA_DEVICE Device, PCM_RESOURCE_LIST Translated)
{
    PCM_PARTIAL_RESOURCE_LIST resources;

    if (Translated == NULL || Translated->Count == 0) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    resources = &Translated->List[0].PartialResourceList;
    for (ULONG i = 0; i < resources->Count && Device->Registers == NULL; i++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR resource = &resources->PartialDescriptors[i];
        if (resource->Type == CmResourceTypeMemory && resource->u.Memory.Length >= DMA_ENGINE_REGISTER_BYTES) {
            Device->RegisterBytes = resource->u.Memory.Length;
            Device->Registers =
                MmMapIoSpaceEx(resource->u.Memory.Start, Device->RegisterBytes, PAGE_READWRITE | PAGE_NOCACHE);
            if (Device->Registers == NULL) {
                return STATUS_INSUFFICIENT_RESOURCES;
            }
        }
    }
    if (Device->Registers == NULL || DmaEngineRead(Device->Registers, DMA_ENGINE_ID) != DMA_ENGINE_ID_VALUE) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    DmaEngineWrite(Device->Registers, DMA_ENGINE_CONTROL, DMA_ENGINE_CONTROL_RESET);
    return STATUS_SUCCESS;
}

/* A message if the device has one, else its line. */
static NTSTATUS DmaDeviceConnect(PDMA_DEVICE Device)
{
    IO_CONNECT_INTERRUPT_PARAMETERS parameters;

    RtlZeroMemory(&parameters, sizeof(parameters));
    parameters.Version = CONNECT_MESSAGE_BASED;
    parameters.MessageBased.PhysicalDeviceObject = Device->Pdo;
    parameters.MessageBased.ConnectionContext.Generic = &Device->Connection.ConnectionContext.Generic;
    parameters.MessageBased.MessageServiceRoutine = DmaDeviceMessageService;
    parameters.MessageBased.ServiceContext = Device;
    parameters.MessageBased.FallBackServiceRoutine = DmaDeviceLineService;
    NTSTATUS status = IoConnectInterruptEx(&parameters);
    if (NT_SUCCESS(status)) {
        Device->Connection.Version = parameters.Version;
        Device->IsConnected = TRUE;
    }
    return status;
}

/* Ends what the engine does not end any more. */
static VOID DmaDeviceAbort(PDMA_DEVICE Device)
{
    KIRQL irql;

    KeAcquireSpinLock(&Device->Lock, &irql);
    Device->IsAborted = TRUE;
    if (Device->IsBusy) {
        KeInsertQueueDpc(&Device->DoneDpc, NULL, NULL);
    }
    KeReleaseSpinLock(&Device->Lock, irql);
}

/* Gives back what DmaDeviceStart got, be it all or a part. No request begins any more. */
static VOID DmaDeviceHalt(PDMA_DEVICE Device)
{
    LARGE_INTEGER patience;

    if (Device->State != DmaDeviceGone && Device->Registers != NULL) {
        patience.QuadPart = SECONDS(2);
        KeWaitForSingleObject(&Device->Idle, Executive, KernelMode, FALSE, &patience);
        DmaEngineWrite(Device->Registers, DMA_ENGINE_CONTROL, DMA_ENGINE_CONTROL_RESET);
    }
    if (Device->IsConnected) {
        IoDisconnectInterruptEx(&Device->Connection);
        Device->IsConnected = FALSE;
        KeFlushQueuedDpcs();
        DmaDeviceAbort(Device);
        KeWaitForSingleObject(&Device->Idle, Executive, KernelMode, FALSE, NULL);
    }
    Device->Routines->Stop(Device);
    if (Device->Registers != NULL) {
        MmUnmapIoSpace(Device->Registers, Device->RegisterBytes);
        Device->Registers = NULL;
    }
}

static VOID DmaDeviceSetState(PDMA_DEVICE Device, DMA_DEVICE_STATE State)
{
    KIRQL irql;

    KeAcquireSpinLock(&Device->Lock, &irql);
    Device->State = State;
    KeReleaseSpinLock(&Device->Lock, irql);
}

static NTSTATUS DmaDeviceStartHeld(PDMA_DEVICE Device, PCM_RESOURCE_LIST Translated)
{
    Device->IsAborted = FALSE;
    Device->IsAsleep = FALSE;
    NTSTATUS status = DmaDeviceMap(Device, Translated);
    if (NT_SUCCESS(status)) {
        status = DmaDeviceConnect(Device);
    }
    if (NT_SUCCESS(status)) {
        status = Device->Routines->Start(Device);
    }
    if (NT_SUCCESS(status)) {
        DmaEngineWrite(Device->Registers, DMA_ENGINE_CONTROL, DMA_ENGINE_CONTROL_INTERRUPT_ENABLE);
        status = IoSetDeviceInterfaceState(&Device->InterfaceName, TRUE);
    }
    if (!NT_SUCCESS(status)) {
        DmaDeviceHalt(Device);
        return status;
    }
    DmaDeviceSetState(Device, DmaDeviceStarted);
    return STATUS_SUCCESS;
}

static NTSTATUS DmaDeviceStart(PDMA_DEVICE Device, PCM_RESOURCE_LIST Translated)
{
    KeWaitForSingleObject(&Device->Changing, Executive, KernelMode, FALSE, NULL);
    NTSTATUS status = DmaDeviceStartHeld(Device, Translated);
    KeReleaseMutex(&Device->Changing, FALSE);
    DmaDeviceNext(Device);
    return status;
}

static VOID DmaDeviceStop(PDMA_DEVICE Device)
{
    KeWaitForSingleObject(&Device->Changing, Executive, KernelMode, FALSE, NULL);
    if (Device->State == DmaDeviceStarted) {
        DmaDeviceSetState(Device, DmaDeviceStopped);
        DmaDeviceHalt(Device);
    }
    KeReleaseMutex(&Device->Changing, FALSE);
}

NTSTATUS DmaDevicePause(PDMA_DEVICE Device)
{
    NTSTATUS status = STATUS_DEVICE_NOT_READY;
    LARGE_INTEGER patience;

    patience.QuadPart = SECONDS(2);
    KeWaitForSingleObject(&Device->Changing, Executive, KernelMode, FALSE, NULL);
    if (Device->State == DmaDeviceStarted) {
        DmaDeviceSetState(Device, DmaDeviceStopped);
        status = KeWaitForSingleObject(&Device->Idle, Executive, KernelMode, FALSE, &patience);
        if (status == STATUS_SUCCESS) {
            return STATUS_SUCCESS;
        }
        DmaDeviceSetState(Device, DmaDeviceStarted);
        status = STATUS_DEVICE_BUSY;
    }
    KeReleaseMutex(&Device->Changing, FALSE);
    return status;
}

VOID DmaDeviceResume(PDMA_DEVICE Device)
{
    DmaDeviceSetState(Device, DmaDeviceStarted);
    KeReleaseMutex(&Device->Changing, FALSE);
    DmaDeviceNext(Device);
}

/* For good; a surprise removal comes first, or not. */
static VOID DmaDeviceEnd(PDMA_DEVICE Device, BOOLEAN IsSurprise)
{
    if (Device->State == DmaDeviceStarted || Device->State == DmaDeviceStopped) {
        IoSetDeviceInterfaceState(&Device->InterfaceName, FALSE);
    }
    if (IsSurprise) {
        /* Who has paused the device may wait for a command. */
        DmaDeviceAbort(Device);
    } else {
        DmaDeviceStop(Device);
    }
    KeWaitForSingleObject(&Device->Changing, Executive, KernelMode, FALSE, NULL);
    BOOLEAN wasStarted = Device->State == DmaDeviceStarted;
    DmaDeviceSetState(Device, DmaDeviceGone);
    DmaDeviceFlush(Device, NULL, STATUS_DELETE_PENDING);
    if (wasStarted) {
        DmaDeviceHalt(Device);
    }
    KeReleaseMutex(&Device->Changing, FALSE);
}

/* ---- requests */

NTSTATUS DmaDeviceEnter(PDMA_DEVICE Device, PIRP Irp)
{
    NTSTATUS status = IoAcquireRemoveLock(&Device->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (Device->State == DmaDeviceNew || Device->State == DmaDeviceGone) {
        IoReleaseRemoveLock(&Device->RemoveLock, Irp);
        return Device->State == DmaDeviceNew ? STATUS_DEVICE_NOT_READY : STATUS_DELETE_PENDING;
    }
    return STATUS_SUCCESS;
}

NTSTATUS DmaDeviceLeave(PDMA_DEVICE Device, PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Status = SampleComplete(Irp, Status, Information);
    IoReleaseRemoveLock(&Device->RemoveLock, Irp);
    return Status;
}

static NTSTATUS NTAPI DmaDeviceReadWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDMA_DEVICE device = DeviceObject->DeviceExtension;

    NTSTATUS status = DmaDeviceEnter(device, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    if (DmaDeviceLength(Irp) == 0) {
        return DmaDeviceLeave(device, Irp, STATUS_SUCCESS, 0);
    }
    IoCsqInsertIrp(&device->Queue, Irp, NULL);
    DmaDeviceNext(device);
    if (device->State == DmaDeviceGone) {
        DmaDeviceFlush(device, NULL, STATUS_DELETE_PENDING);
    }
    return STATUS_PENDING;
}

static NTSTATUS NTAPI DmaDeviceCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* Requests of this file that wait are nobody's any more. */
static NTSTATUS NTAPI DmaDeviceCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    DmaDeviceFlush(DeviceObject->DeviceExtension, IoGetCurrentIrpStackLocation(Irp)->FileObject, STATUS_CANCELLED);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI DmaDeviceForward(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDMA_DEVICE device = DeviceObject->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(device->Lower, Irp);
}

static NTSTATUS DmaDeviceRemove(PDMA_DEVICE Device, PIRP Irp)
{
    PDEVICE_OBJECT lower = Device->Lower;

    DmaDeviceEnd(Device, FALSE);
    IoReleaseRemoveLockAndWait(&Device->RemoveLock, Irp);
    KeFlushQueuedDpcs();
    RtlFreeUnicodeString(&Device->InterfaceName);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = IoCallDriver(lower, Irp);
    IoDetachDevice(lower);
    IoDeleteDevice(Device->Self);
    return status;
}

static NTSTATUS NTAPI DmaDevicePnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDMA_DEVICE device = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    NTSTATUS status = IoAcquireRemoveLock(&device->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    switch (stack->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = IoForwardIrpSynchronously(device->Lower, Irp) ? Irp->IoStatus.Status : STATUS_UNSUCCESSFUL;
        if (NT_SUCCESS(status)) {
            status = DmaDeviceStart(device, stack->Parameters.StartDevice.AllocatedResourcesTranslated);
        }
        return DmaDeviceLeave(device, Irp, status, 0);
    case IRP_MN_STOP_DEVICE:
        DmaDeviceStop(device);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    case IRP_MN_SURPRISE_REMOVAL:
        DmaDeviceEnd(device, TRUE);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    case IRP_MN_REMOVE_DEVICE:
        return DmaDeviceRemove(device, Irp);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    }
    status = DmaDeviceForward(DeviceObject, Irp);
    IoReleaseRemoveLock(&device->RemoveLock, Irp);
    return status;
}

/* ---- birth */

NTSTATUS DmaDeviceAdd(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject, ULONG ExtensionBytes,
                      const DMA_DEVICE_ROUTINES *Routines)
{
    static const GUID guid = DMA_DEVICE_INTERFACE;
    PDEVICE_OBJECT self;

    NTSTATUS status =
        IoCreateDevice(DriverObject, ExtensionBytes, NULL, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &self);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PDMA_DEVICE device = self->DeviceExtension;
    device->Routines = Routines;
    device->Self = self;
    device->Pdo = PhysicalDeviceObject;
    IoInitializeRemoveLock(&device->RemoveLock, TAG_LOCK, 1, 0);
    KeInitializeMutex(&device->Changing, 0);
    KeInitializeSpinLock(&device->Lock);
    KeInitializeSpinLock(&device->QueueLock);
    InitializeListHead(&device->Waiting);
    KeInitializeEvent(&device->Idle, NotificationEvent, TRUE);
    KeInitializeDpc(&device->DoneDpc, DmaDeviceDoneDpc, device);
    KeInitializeDpc(&device->NextDpc, DmaDeviceNextDpc, device);
    status = IoCsqInitialize(&device->Queue, DmaDeviceInsert, DmaDeviceRemoveIrp, DmaDevicePeek, DmaDeviceAcquire,
                             DmaDeviceRelease, DmaDeviceCompleteCancelled);
    if (NT_SUCCESS(status)) {
        status = IoRegisterDeviceInterface(PhysicalDeviceObject, &guid, NULL, &device->InterfaceName);
    }
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(self);
        return status;
    }
    device->Lower = IoAttachDeviceToDeviceStack(self, PhysicalDeviceObject);
    if (device->Lower == NULL) {
        RtlFreeUnicodeString(&device->InterfaceName);
        IoDeleteDevice(self);
        return STATUS_NO_SUCH_DEVICE;
    }
    self->Flags |= DO_DIRECT_IO | (device->Lower->Flags & DO_POWER_PAGABLE);
    self->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID NTAPI DmaDeviceUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

VOID DmaDeviceInitialize(PDRIVER_OBJECT DriverObject, PDRIVER_ADD_DEVICE AddDevice)
{
    DriverObject->DriverUnload = DmaDeviceUnload;
    DriverObject->DriverExtension->AddDevice = AddDevice;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = DmaDeviceCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = DmaDeviceCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = DmaDeviceCleanup;
    DriverObject->MajorFunction[IRP_MJ_READ] = DmaDeviceReadWrite;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = DmaDeviceReadWrite;
    DriverObject->MajorFunction[IRP_MJ_PNP] = DmaDevicePnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = DmaDevicePower;
    DriverObject->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = DmaDeviceForward;
}
