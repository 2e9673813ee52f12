/* A legacy driver with a named device: requests that succeed, fail, block their thread, or are forgotten. */
#include "several.h"

static PDEVICE_OBJECT Device;
static KEVENT Release;
static UNICODE_STRING Name = {sizeof(L"\\Device\\Base") - sizeof(WCHAR), sizeof(L"\\Device\\Base"), L"\\Device\\Base"};
static UNICODE_STRING Link = {sizeof(L"\\??\\Base") - sizeof(WCHAR), sizeof(L"\\??\\Base"), L"\\??\\Base"};

static NTSTATUS NTAPI Open(PDEVICE_OBJECT device, PIRP irp)
{
    (void)device;
    return Complete(irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI Control(PDEVICE_OBJECT device, PIRP irp)
{
    LARGE_INTEGER limit;
    NTSTATUS status;
    (void)device;
    limit.QuadPart = -300000000LL;
    switch (IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_SUCCEED:
        return Complete(irp, STATUS_SUCCESS);
    case IOCTL_FAIL:
        return Complete(irp, STATUS_DEVICE_NOT_READY);
    case IOCTL_WAIT:
        status = KeWaitForSingleObject(&Release, Executive, KernelMode, FALSE, &limit);
        DbgPrint("base: waited\n");
        return Complete(irp, status == STATUS_TIMEOUT ? STATUS_IO_TIMEOUT : STATUS_SUCCESS);
    case IOCTL_FOREVER:
        KeWaitForSingleObject(&Release, Executive, KernelMode, FALSE, NULL);
        return Complete(irp, STATUS_SUCCESS);
    case IOCTL_USER:
        status = KeWaitForSingleObject(&Release, UserRequest, UserMode, FALSE, NULL);
        return Complete(irp, status == STATUS_SUCCESS ? STATUS_SUCCESS : STATUS_CANCELLED);
    case IOCTL_RELEASE:
        DbgPrint("base: release\n");
        KeSetEvent(&Release, IO_NO_INCREMENT, FALSE);
        return Complete(irp, STATUS_SUCCESS);
    case IOCTL_FORGET:
        return STATUS_SUCCESS;
    case IOCTL_LOST:
        return STATUS_PENDING;
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    DbgPrint("base: unload\n");
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)path;
    NTSTATUS status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    KeInitializeEvent(&Release, SynchronizationEvent, FALSE);
    driver->MajorFunction[IRP_MJ_CREATE] = Open;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Open;
    driver->MajorFunction[IRP_MJ_CLOSE] = Open;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
