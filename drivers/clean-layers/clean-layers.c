/*
 * A stack of two devices of one driver: a base that keeps a record, and a filter above it that counts what goes by, folds
 * what is read to upper case, and refuses what its policy forbids until it is unlocked. The filter watches requests with
 * IoSetCompletionRoutineEx, which keeps the driver loaded until its routine has returned. It knows the base by its address
 * and does not attach to it: Windows does not unload a driver as long as something is attached to a device of it.
 *
 * The policy is asked before a request gets its completion routine.
 */
#include "sample.h"

#define TAG_REQUEST 'qRyL' /* LyRq */

#define RECORD_BYTES 256
#define LOCKED_WRITE_BYTES 64
#define UNLOCK_KEY 0x4C594552

#define IOCTL_BASE_COUNT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x990, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_BASE_ERASE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x991, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FILTER_UNLOCK CTL_CODE(FILE_DEVICE_UNKNOWN, 0x992, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FILTER_STATISTICS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x993, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _BASE_EXTENSION {
    BOOLEAN IsFilter;
    FAST_MUTEX Mutex;
    ULONG Writes;
    ULONG Bytes;
    UCHAR Record[RECORD_BYTES];
} BASE_EXTENSION, *PBASE_EXTENSION;

typedef struct _FILTER_EXTENSION {
    BOOLEAN IsFilter;
    PDEVICE_OBJECT Lower;
    volatile LONG IsUnlocked;
    volatile LONG Passed;
    volatile LONG Failed;
    volatile LONG Refused;
} FILTER_EXTENSION, *PFILTER_EXTENSION;

/* What the filter remembers of a request that it sent down. */
typedef struct _FILTER_REQUEST {
    LARGE_INTEGER SentAt;
    UCHAR MajorFunction;
} FILTER_REQUEST, *PFILTER_REQUEST;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD LayersUnload;
static DRIVER_DISPATCH LayersDispatch;

/* The base: a record that is written whole and read from its beginning. */
static NTSTATUS BaseControl(PBASE_EXTENSION Base, PIRP Irp, PIO_STACK_LOCATION Stack, PULONG_PTR Information)
{
    PULONG buffer = Irp->AssociatedIrp.SystemBuffer;

    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_BASE_COUNT:
        if (Stack->Parameters.DeviceIoControl.OutputBufferLength < 2 * sizeof(ULONG)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        buffer[0] = Base->Writes;
        buffer[1] = Base->Bytes;
        *Information = 2 * sizeof(ULONG);
        return STATUS_SUCCESS;
    case IOCTL_BASE_ERASE:
        RtlZeroMemory(Base->Record, sizeof(Base->Record));
        Base->Bytes = 0;
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS BaseDispatch(PBASE_EXTENSION Base, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    NTSTATUS status = STATUS_SUCCESS;
    ULONG_PTR information = 0;

    ExAcquireFastMutex(&Base->Mutex);
    switch (Stack->MajorFunction) {
    case IRP_MJ_CREATE:
    case IRP_MJ_CLOSE:
        break;
    case IRP_MJ_READ:
        information = min(Stack->Parameters.Read.Length, Base->Bytes);
        status = information == 0 ? STATUS_END_OF_FILE : STATUS_SUCCESS;
        RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, Base->Record, information);
        break;
    case IRP_MJ_WRITE:
        if (Stack->Parameters.Write.Length > RECORD_BYTES) {
            status = STATUS_INVALID_BUFFER_SIZE;
        } else {
            Base->Bytes = Stack->Parameters.Write.Length;
            Base->Writes++;
            RtlCopyMemory(Base->Record, Irp->AssociatedIrp.SystemBuffer, Base->Bytes);
            information = Base->Bytes;
        }
        break;
    case IRP_MJ_DEVICE_CONTROL:
        status = BaseControl(Base, Irp, Stack, &information);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    ExReleaseFastMutex(&Base->Mutex);
    return SampleComplete(Irp, status, information);
}

/* Whether a request may pass while the filter is locked. */
static BOOLEAN FilterAllows(PFILTER_EXTENSION Filter, PIO_STACK_LOCATION Stack)
{
    if (Filter->IsUnlocked) {
        return TRUE;
    }
    switch (Stack->MajorFunction) {
    case IRP_MJ_WRITE:
        return Stack->Parameters.Write.Length <= LOCKED_WRITE_BYTES;
    case IRP_MJ_DEVICE_CONTROL:
        return Stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_BASE_ERASE;
    default:
        return TRUE;
    }
}

static NTSTATUS NTAPI FilterCompleted(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PFILTER_EXTENSION filter = DeviceObject->DeviceExtension;
    PFILTER_REQUEST request = Context;

    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        InterlockedIncrement(&filter->Passed);
    } else {
        InterlockedIncrement(&filter->Failed);
    }
    if (request->MajorFunction == IRP_MJ_READ && NT_SUCCESS(Irp->IoStatus.Status)) {
        PUCHAR bytes = Irp->AssociatedIrp.SystemBuffer;
        for (ULONG_PTR i = 0; i < Irp->IoStatus.Information; i++) {
            if (bytes[i] >= 'a' && bytes[i] <= 'z') {
                bytes[i] -= 'a' - 'A';
            }
        }
    }
    ExFreePoolWithTag(request, TAG_REQUEST);
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS FilterRefuse(PFILTER_EXTENSION Filter, PIRP Irp)
{
    InterlockedIncrement(&Filter->Refused);
    return SampleComplete(Irp, STATUS_ACCESS_DENIED, 0);
}

static NTSTATUS FilterForward(PDEVICE_OBJECT DeviceObject, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    PFILTER_EXTENSION filter = DeviceObject->DeviceExtension;

    if (!FilterAllows(filter, Stack)) {
        return FilterRefuse(filter, Irp);
    }
    PFILTER_REQUEST request = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*request), TAG_REQUEST);
    if (request == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    KeQuerySystemTime(&request->SentAt);
    request->MajorFunction = Stack->MajorFunction;
    IoCopyCurrentIrpStackLocationToNext(Irp);
    NTSTATUS status = IoSetCompletionRoutineEx(DeviceObject, Irp, FilterCompleted, request, TRUE, TRUE, TRUE);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(request, TAG_REQUEST);
        return SampleComplete(Irp, status, 0);
    }
    return IoCallDriver(filter->Lower, Irp);
}

static NTSTATUS FilterUnlock(PFILTER_EXTENSION Filter, PIRP Irp, ULONG InputBytes)
{
    if (InputBytes < sizeof(ULONG) || *(PULONG)Irp->AssociatedIrp.SystemBuffer != UNLOCK_KEY) {
        return SampleComplete(Irp, STATUS_ACCESS_DENIED, 0);
    }
    InterlockedExchange(&Filter->IsUnlocked, TRUE);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS FilterStatistics(PFILTER_EXTENSION Filter, PIRP Irp, ULONG OutputBytes)
{
    PLONG buffer = Irp->AssociatedIrp.SystemBuffer;
    if (OutputBytes < 3 * sizeof(LONG)) {
        return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    buffer[0] = Filter->Passed;
    buffer[1] = Filter->Failed;
    buffer[2] = Filter->Refused;
    return SampleComplete(Irp, STATUS_SUCCESS, 3 * sizeof(LONG));
}

static NTSTATUS FilterDispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    PFILTER_EXTENSION filter = DeviceObject->DeviceExtension;

    switch (Stack->MajorFunction) {
    case IRP_MJ_CLOSE:
        /* Whoever unlocked it has gone. */
        InterlockedExchange(&filter->IsUnlocked, FALSE);
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(filter->Lower, Irp);
    case IRP_MJ_CREATE:
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(filter->Lower, Irp);
    case IRP_MJ_DEVICE_CONTROL:
        switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
        case IOCTL_FILTER_UNLOCK:
            return FilterUnlock(filter, Irp, Stack->Parameters.DeviceIoControl.InputBufferLength);
        case IOCTL_FILTER_STATISTICS:
            return FilterStatistics(filter, Irp, Stack->Parameters.DeviceIoControl.OutputBufferLength);
        }
        return FilterForward(DeviceObject, Irp, Stack);
    default:
        return FilterForward(DeviceObject, Irp, Stack);
    }
}

static NTSTATUS LayersDispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PBASE_EXTENSION extension = DeviceObject->DeviceExtension;

    return extension->IsFilter ? FilterDispatch(DeviceObject, Irp, stack) : BaseDispatch(extension, Irp, stack);
}

static VOID LayersDeleteDevices(PDRIVER_OBJECT DriverObject)
{
    while (DriverObject->DeviceObject != NULL) {
        IoDeleteDevice(DriverObject->DeviceObject);
    }
}

static VOID LayersUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanLayers");

    IoDeleteSymbolicLink(&link);
    LayersDeleteDevices(DriverObject);
}

/* Puts the filter, which has the name, above the base, which has none. */
static NTSTATUS LayersAddFilter(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT BaseDevice)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanLayers");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanLayers");
    PDEVICE_OBJECT device;

    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(FILTER_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PFILTER_EXTENSION filter = device->DeviceExtension;
    filter->IsFilter = TRUE;
    filter->Lower = BaseDevice;
    device->Flags |= BaseDevice->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO);
    device->StackSize = BaseDevice->StackSize + 1;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return IoCreateSymbolicLink(&link, &name);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status =
        IoCreateDevice(DriverObject, sizeof(BASE_EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    ExInitializeFastMutex(&((PBASE_EXTENSION)device->DeviceExtension)->Mutex);
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    status = LayersAddFilter(DriverObject, device);
    if (!NT_SUCCESS(status)) {
        LayersDeleteDevices(DriverObject);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = LayersDispatch;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = LayersDispatch;
    DriverObject->MajorFunction[IRP_MJ_READ] = LayersDispatch;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = LayersDispatch;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LayersDispatch;
    DriverObject->DriverUnload = LayersUnload;
    return STATUS_SUCCESS;
}
