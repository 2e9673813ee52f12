/* A legacy filter on \Device\Base, attached by name. */
#include "several.h"

static PDEVICE_OBJECT Device;
static PDEVICE_OBJECT Lower;
static UNICODE_STRING Target = {sizeof(L"\\Device\\Base") - sizeof(WCHAR), sizeof(L"\\Device\\Base"), L"\\Device\\Base"};

static NTSTATUS NTAPI Pass(PDEVICE_OBJECT device, PIRP irp)
{
    (void)device;
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(Lower, irp);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    DbgPrint("attached: unload\n");
    IoDetachDevice(Lower);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)path;
    NTSTATUS status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoAttachDevice(Device, &Target, &Lower);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    for (int major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++)
        driver->MajorFunction[major] = Pass;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
