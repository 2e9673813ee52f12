/*
 * An upper filter: a context for every device control request, freed when the request is done. With LEAKY it is not freed
 * when the driver below fails the request.
 */
#include "several.h"

#define TAG 'tliF'

typedef struct _RECORD {
    ULONG Code;
    ULONG Count;
} RECORD, *PRECORD;

static PDEVICE_OBJECT LowerOf(PDEVICE_OBJECT device) { return *(PDEVICE_OBJECT *)device->DeviceExtension; }

static NTSTATUS NTAPI Done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    (void)device;
    if (irp->PendingReturned)
        IoMarkIrpPending(irp);
#ifdef LEAKY
    if (!NT_SUCCESS(irp->IoStatus.Status))
        return STATUS_CONTINUE_COMPLETION;
#endif
    ExFreePoolWithTag(context, TAG);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS NTAPI Control(PDEVICE_OBJECT device, PIRP irp)
{
    PRECORD context = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(RECORD), TAG);
    if (context == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    context->Code = IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.IoControlCode;
    IoCopyCurrentIrpStackLocationToNext(irp);
    IoSetCompletionRoutine(irp, Done, context, TRUE, TRUE, TRUE);
    return IoCallDriver(LowerOf(device), irp);
}

static NTSTATUS NTAPI Pass(PDEVICE_OBJECT device, PIRP irp)
{
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(LowerOf(device), irp);
}

static NTSTATUS NTAPI Power(PDEVICE_OBJECT device, PIRP irp)
{
    PoStartNextPowerIrp(irp);
    IoSkipCurrentIrpStackLocation(irp);
    return PoCallDriver(LowerOf(device), irp);
}

static NTSTATUS NTAPI Pnp(PDEVICE_OBJECT device, PIRP irp)
{
    PDEVICE_OBJECT lower = LowerOf(device);
    UCHAR minor = IoGetCurrentIrpStackLocation(irp)->MinorFunction;
    NTSTATUS status = Pass(device, irp);
    if (minor == IRP_MN_REMOVE_DEVICE) {
        IoDetachDevice(lower);
        IoDeleteDevice(device);
    }
    return status;
}

static NTSTATUS NTAPI AddDevice(PDRIVER_OBJECT driver, PDEVICE_OBJECT pdo)
{
    PDEVICE_OBJECT device;
    DbgPrint("filter: AddDevice\n");
    NTSTATUS status = IoCreateDevice(driver, sizeof(PDEVICE_OBJECT), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    PDEVICE_OBJECT lower = IoAttachDeviceToDeviceStack(device, pdo);
    *(PDEVICE_OBJECT *)device->DeviceExtension = lower;
    device->Flags |= lower->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO | DO_POWER_PAGABLE);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    DbgPrint("filter: unload\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    DbgPrint("filter: %wZ\n", path);
    for (int major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++)
        driver->MajorFunction[major] = Pass;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    driver->MajorFunction[IRP_MJ_PNP] = Pnp;
    driver->MajorFunction[IRP_MJ_POWER] = Power;
    driver->DriverExtension->AddDevice = AddDevice;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
