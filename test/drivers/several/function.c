/* A plug-and-play function driver with a device interface: it answers one control code with success, fails another. */
#include "several.h"

typedef struct _FDO {
    PDEVICE_OBJECT Lower;
    UNICODE_STRING Interface;
} FDO, *PFDO;

static const GUID InterfaceGuid = {0x3f2b9c11, 0x7a55, 0x4d0e, {0x91, 0x12, 0x6c, 0x0e, 0x44, 0x2a, 0x9d, 0x31}};

static NTSTATUS NTAPI Open(PDEVICE_OBJECT device, PIRP irp)
{
    (void)device;
    return Complete(irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI Control(PDEVICE_OBJECT device, PIRP irp)
{
    (void)device;
    switch (IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_SUCCEED:
        return Complete(irp, STATUS_SUCCESS);
    case IOCTL_FAIL:
        return Complete(irp, STATUS_DEVICE_NOT_READY);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static NTSTATUS NTAPI Pass(PDEVICE_OBJECT device, PIRP irp)
{
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(((PFDO)device->DeviceExtension)->Lower, irp);
}

static NTSTATUS NTAPI Power(PDEVICE_OBJECT device, PIRP irp)
{
    PoStartNextPowerIrp(irp);
    IoSkipCurrentIrpStackLocation(irp);
    return PoCallDriver(((PFDO)device->DeviceExtension)->Lower, irp);
}

static NTSTATUS NTAPI Started(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)device;
    (void)irp;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS NTAPI Pnp(PDEVICE_OBJECT device, PIRP irp)
{
    PFDO fdo = device->DeviceExtension;
    NTSTATUS status;
    switch (IoGetCurrentIrpStackLocation(irp)->MinorFunction) {
    case IRP_MN_START_DEVICE: {
        KEVENT done;
        KeInitializeEvent(&done, NotificationEvent, FALSE);
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(irp, Started, &done, TRUE, TRUE, TRUE);
        if (IoCallDriver(fdo->Lower, irp) == STATUS_PENDING)
            KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = irp->IoStatus.Status;
        if (NT_SUCCESS(status))
            status = IoSetDeviceInterfaceState(&fdo->Interface, TRUE);
        return Complete(irp, status);
    }
    case IRP_MN_REMOVE_DEVICE:
        IoSetDeviceInterfaceState(&fdo->Interface, FALSE);
        RtlFreeUnicodeString(&fdo->Interface);
        irp->IoStatus.Status = STATUS_SUCCESS;
        IoSkipCurrentIrpStackLocation(irp);
        status = IoCallDriver(fdo->Lower, irp);
        IoDetachDevice(fdo->Lower);
        IoDeleteDevice(device);
        return status;
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        irp->IoStatus.Status = STATUS_SUCCESS;
        return Pass(device, irp);
    default:
        return Pass(device, irp);
    }
}

static NTSTATUS NTAPI AddDevice(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo)
{
    PDEVICE_OBJECT device;
    DbgPrint("function: AddDevice\n");
    NTSTATUS status = IoCreateDevice(driver, sizeof(FDO), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    PFDO fdo = device->DeviceExtension;
    status = IoRegisterDeviceInterface(pdo, &InterfaceGuid, NULL, &fdo->Interface);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    fdo->Lower = IoAttachDeviceToDeviceStack(device, pdo);
    device->Flags |= DO_BUFFERED_IO | DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    DbgPrint("function: unload\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    DbgPrint("function: %wZ\n", path);
    driver->DriverExtension->AddDevice = AddDevice;
    driver->MajorFunction[IRP_MJ_CREATE] = Open;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Open;
    driver->MajorFunction[IRP_MJ_CLOSE] = Open;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    driver->MajorFunction[IRP_MJ_PNP] = Pnp;
    driver->MajorFunction[IRP_MJ_POWER] = Power;
    driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = Pass;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
