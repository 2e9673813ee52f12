/*
 * A power policy owner: a plug-and-play function driver that sends its device to D3 when the system sleeps and back to D0
 * when it wakes. A system power IRP waits with a context until the device power IRP that it asks for is done. A program can
 * make the device busy, which keeps the system from sleeping.
 *
 * The leak: the context is made for every system power IRP, before it is known what becomes of it. A query that the busy
 * device refuses is completed without the context being freed.
 */
#include "sample.h"

#define TAG_DOZE 'ezoD' /* Doze */
#define TAG_LOCK 'kcLD' /* DLck */

#define IOCTL_DOZE_BUSY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x940, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_DOZE_COUNTS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x941, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _DOZE_EXTENSION {
    PDEVICE_OBJECT Device;
    PDEVICE_OBJECT Pdo;
    PDEVICE_OBJECT Lower;
    IO_REMOVE_LOCK RemoveLock;
    SYSTEM_POWER_STATE System;
    DEVICE_POWER_STATE Power;
    LONG IsBusy;
    ULONG Falls;
    ULONG Wakes;
    ULONG Refusals;
} DOZE_EXTENSION, *PDOZE_EXTENSION;

/* A system power IRP that waits for the device. */
typedef struct _DOZE {
    PDOZE_EXTENSION Extension;
    PIRP Irp;
    SYSTEM_POWER_STATE System;
    DEVICE_POWER_STATE Device;
} DOZE, *PDOZE;
C_ASSERT(sizeof(DOZE) == 24);

typedef struct _DOZE_COUNTS {
    ULONG Falls;
    ULONG Wakes;
    ULONG Refusals;
    ULONG Power;
} DOZE_COUNTS, *PDOZE_COUNTS;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD DozeUnload;
static DRIVER_ADD_DEVICE DozeAddDevice;
static DRIVER_DISPATCH DozeCreateClose;
static DRIVER_DISPATCH DozeControl;
static DRIVER_DISPATCH DozePnp;
static DRIVER_DISPATCH DozePower;
static DRIVER_DISPATCH DozeSystemControl;

/* ---- device power */

static VOID DozeChange(PDOZE_EXTENSION Extension, DEVICE_POWER_STATE Power)
{
    POWER_STATE state;
    if (Power > Extension->Power) {
        Extension->Falls++;
    } else if (Power < Extension->Power) {
        Extension->Wakes++;
    }
    Extension->Power = Power;
    state.DeviceState = Power;
    PoSetPowerState(Extension->Device, DevicePowerState, state);
}

/* The bus has powered the device up: now the driver may touch it. */
static NTSTATUS NTAPI DozeUp(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PDOZE_EXTENSION extension = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        DozeChange(extension, IoGetCurrentIrpStackLocation(Irp)->Parameters.Power.State.DeviceState);
    }
    PoStartNextPowerIrp(Irp);
    IoReleaseRemoveLock(&extension->RemoveLock, Irp);
    return STATUS_SUCCESS;
}

static NTSTATUS DozePass(PDOZE_EXTENSION Extension, PIRP Irp)
{
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = PoCallDriver(Extension->Lower, Irp);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return status;
}

static NTSTATUS DozeDevicePower(PDOZE_EXTENSION Extension, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    DEVICE_POWER_STATE power = Stack->Parameters.Power.State.DeviceState;
    if (Stack->MinorFunction == IRP_MN_SET_POWER && power == PowerDeviceD0) {
        IoMarkIrpPending(Irp);
        IoCopyCurrentIrpStackLocationToNext(Irp);
        IoSetCompletionRoutine(Irp, DozeUp, Extension, TRUE, TRUE, TRUE);
        PoCallDriver(Extension->Lower, Irp);
        return STATUS_PENDING;
    }
    if (Stack->MinorFunction == IRP_MN_SET_POWER) {
        DozeChange(Extension, power);
    }
    Irp->IoStatus.Status = STATUS_SUCCESS;
    return DozePass(Extension, Irp);
}

/* ---- system power */

static VOID DozeFinish(PDOZE Doze, NTSTATUS Status)
{
    PDOZE_EXTENSION extension = Doze->Extension;
    PIRP irp = Doze->Irp;

    ExFreePoolWithTag(Doze, TAG_DOZE);
    PoStartNextPowerIrp(irp);
    SampleComplete(irp, Status, 0);
    IoReleaseRemoveLock(&extension->RemoveLock, irp);
}

/* The device power IRP is done, and the system power IRP with it. */
static VOID NTAPI DozeDeviceDone(PDEVICE_OBJECT DeviceObject, UCHAR MinorFunction, POWER_STATE PowerState, PVOID Context,
                                 PIO_STATUS_BLOCK IoStatus)
{
    PDOZE doze = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(PowerState);
    if (NT_SUCCESS(IoStatus->Status) && MinorFunction == IRP_MN_SET_POWER) {
        doze->Extension->System = doze->System;
    }
    DozeFinish(doze, IoStatus->Status);
}

/* The drivers below agree with the system power IRP: the device follows. */
static NTSTATUS NTAPI DozeSystemDown(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PDOZE doze = Context;
    POWER_STATE state;
    NTSTATUS status = Irp->IoStatus.Status;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (NT_SUCCESS(status)) {
        state.DeviceState = doze->Device;
        status = PoRequestPowerIrp(doze->Extension->Pdo, IoGetCurrentIrpStackLocation(Irp)->MinorFunction, state,
                                   DozeDeviceDone, doze, NULL);
    }
    if (status != STATUS_PENDING) {
        DozeFinish(doze, status);
    }
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS DozeSystemPower(PDOZE_EXTENSION Extension, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    PDOZE doze = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*doze), TAG_DOZE); // leak: tag=Doze bytes=48 count=2 pool=NonPagedPoolNx
    NTSTATUS status = doze == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;

    if (NT_SUCCESS(status)) {
        doze->Extension = Extension;
        doze->Irp = Irp;
        doze->System = Stack->Parameters.Power.State.SystemState;
        doze->Device = doze->System == PowerSystemWorking ? PowerDeviceD0 : PowerDeviceD3;
        if (Stack->MinorFunction == IRP_MN_QUERY_POWER && doze->Device != PowerDeviceD0 && Extension->IsBusy) {
            Extension->Refusals++;
            status = STATUS_DEVICE_BUSY;
        }
    }
    if (!NT_SUCCESS(status)) {
        PoStartNextPowerIrp(Irp);
        SampleComplete(Irp, status, 0);
        IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
        return status;
    }
    IoMarkIrpPending(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, DozeSystemDown, doze, TRUE, TRUE, TRUE);
    PoCallDriver(Extension->Lower, Irp);
    return STATUS_PENDING;
}

static NTSTATUS DozePower(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDOZE_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS status = IoAcquireRemoveLock(&extension->RemoveLock, Irp);

    if (!NT_SUCCESS(status)) {
        PoStartNextPowerIrp(Irp);
        return SampleComplete(Irp, status, 0);
    }
    if (stack->MinorFunction != IRP_MN_SET_POWER && stack->MinorFunction != IRP_MN_QUERY_POWER) {
        return DozePass(extension, Irp);
    }
    if (stack->Parameters.Power.Type == SystemPowerState) {
        return DozeSystemPower(extension, Irp, stack);
    }
    return DozeDevicePower(extension, Irp, stack);
}

/* ---- the rest */

static NTSTATUS DozePnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDOZE_EXTENSION extension = DeviceObject->DeviceExtension;
    PDEVICE_OBJECT lower = extension->Lower;
    NTSTATUS status = IoAcquireRemoveLock(&extension->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = STATUS_UNSUCCESSFUL;
        if (IoForwardIrpSynchronously(lower, Irp)) {
            status = Irp->IoStatus.Status;
        }
        if (NT_SUCCESS(status)) {
            extension->System = PowerSystemWorking;
            extension->Power = PowerDeviceD0;
        }
        status = SampleComplete(Irp, status, 0);
        IoReleaseRemoveLock(&extension->RemoveLock, Irp);
        return status;
    case IRP_MN_REMOVE_DEVICE: {
        UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyDoze");
        IoReleaseRemoveLockAndWait(&extension->RemoveLock, Irp);
        IoDeleteSymbolicLink(&link);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        IoSkipCurrentIrpStackLocation(Irp);
        status = IoCallDriver(lower, Irp);
        IoDetachDevice(lower);
        IoDeleteDevice(DeviceObject);
        return status;
    }
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(lower, Irp);
    IoReleaseRemoveLock(&extension->RemoveLock, Irp);
    return status;
}

static NTSTATUS DozeSystemControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(((PDOZE_EXTENSION)DeviceObject->DeviceExtension)->Lower, Irp);
}

static NTSTATUS DozeCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS DozeControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDOZE_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PDOZE_COUNTS counts = Irp->AssociatedIrp.SystemBuffer;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_DOZE_BUSY:
        if (stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(LONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        InterlockedExchange(&extension->IsBusy, *(PLONG)Irp->AssociatedIrp.SystemBuffer);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_DOZE_COUNTS:
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(*counts)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        counts->Falls = extension->Falls;
        counts->Wakes = extension->Wakes;
        counts->Refusals = extension->Refusals;
        counts->Power = extension->Power;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(*counts));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS DozeAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyDoze");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyDoze");
    PDEVICE_OBJECT device;

    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(DOZE_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PDOZE_EXTENSION extension = device->DeviceExtension;
    extension->Device = device;
    extension->Pdo = PhysicalDeviceObject;
    extension->Power = PowerDeviceD3;
    IoInitializeRemoveLock(&extension->RemoveLock, TAG_LOCK, 0, 0);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    extension->Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject);
    if (extension->Lower == NULL) {
        IoDeleteSymbolicLink(&link);
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= extension->Lower->Flags & DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID DozeUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = DozeUnload;
    DriverObject->DriverExtension->AddDevice = DozeAddDevice;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = DozeCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = DozeCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DozeControl;
    DriverObject->MajorFunction[IRP_MJ_PNP] = DozePnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = DozePower;
    DriverObject->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = DozeSystemControl;
    return STATUS_SUCCESS;
}
