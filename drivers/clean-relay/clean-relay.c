/*
 * Two devices of one driver: a store, which answers from a DPC, and a relay in front of it, which sends requests of its
 * own. Storing builds an asynchronous request, loading allocates an IRP by hand, querying builds a control request and
 * waits for it. The store uses direct I/O, so requests have MDLs that whoever made them must take down.
 *
 * A completion routine that says that more processing is required frees the IRP, whatever came of it.
 */
#include "sample.h"

#define TAG_CONTEXT 'xCyR' /* RyCx */

#define STORE_BYTES 4096

#define IOCTL_RELAY_STORE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x960, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_RELAY_LOAD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x961, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_RELAY_QUERY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x962, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_STORE_STATISTICS CTL_CODE(FILE_DEVICE_DISK, 0x963, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _STORE_STATISTICS {
    ULONG Reads;
    ULONG Writes;
    ULONG Refused;
} STORE_STATISTICS, *PSTORE_STATISTICS;

typedef struct _STORE_EXTENSION {
    BOOLEAN IsStore;
    KSPIN_LOCK Lock;
    LIST_ENTRY Queue;
    KDPC Dpc;
    STORE_STATISTICS Statistics;
    UCHAR Bytes[STORE_BYTES];
} STORE_EXTENSION, *PSTORE_EXTENSION;

typedef struct _RELAY_EXTENSION {
    BOOLEAN IsStore;
    PDEVICE_OBJECT Store;
} RELAY_EXTENSION, *PRELAY_EXTENSION;

/* A request of the relay's: the caller's that it serves, and the bytes that go back or forth. */
typedef struct _RELAY_CONTEXT {
    PIRP Caller;
    ULONG Length;
    BOOLEAN IsLoad;
    UCHAR Bytes[ANYSIZE_ARRAY];
} RELAY_CONTEXT, *PRELAY_CONTEXT;

/* The input of storing (the bytes follow) and loading. */
typedef struct _RELAY_RANGE {
    ULONG Offset;
    ULONG Length;
} RELAY_RANGE, *PRELAY_RANGE;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD RelayUnload;
static DRIVER_DISPATCH RelayCreateClose;
static DRIVER_DISPATCH RelayReadWrite;
static DRIVER_DISPATCH RelayControl;

/* The store: what its hardware would do. */
static VOID NTAPI StoreDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PSTORE_EXTENSION store = Context;
    PLIST_ENTRY link;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    while ((link = ExInterlockedRemoveHeadList(&store->Queue, &store->Lock)) != NULL) {
        PIRP irp = CONTAINING_RECORD(link, IRP, Tail.Overlay.ListEntry);
        PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
        ULONG length = MmGetMdlByteCount(irp->MdlAddress);
        LONGLONG offset = stack->Parameters.Read.ByteOffset.QuadPart;
        PUCHAR bytes = irp->Tail.Overlay.DriverContext[0];

        if (offset < 0 || offset > STORE_BYTES || length > STORE_BYTES - offset) {
            store->Statistics.Refused++;
            SampleComplete(irp, stack->MajorFunction == IRP_MJ_READ ? STATUS_END_OF_FILE : STATUS_DISK_FULL, 0);
        } else if (stack->MajorFunction == IRP_MJ_READ) {
            store->Statistics.Reads++;
            RtlCopyMemory(bytes, store->Bytes + offset, length);
            SampleComplete(irp, STATUS_SUCCESS, length);
        } else {
            store->Statistics.Writes++;
            RtlCopyMemory(store->Bytes + offset, bytes, length);
            SampleComplete(irp, STATUS_SUCCESS, length);
        }
    }
}

static NTSTATUS RelayReadWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSTORE_EXTENSION store = DeviceObject->DeviceExtension;

    if (!store->IsStore) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (Irp->MdlAddress == NULL) {
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
    PVOID bytes = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (bytes == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    Irp->Tail.Overlay.DriverContext[0] = bytes;
    IoMarkIrpPending(Irp);
    ExInterlockedInsertTailList(&store->Queue, &Irp->Tail.Overlay.ListEntry, &store->Lock);
    KeInsertQueueDpc(&store->Dpc, NULL, NULL);
    return STATUS_PENDING;
}

/* The relay: one of its requests came back. */
static NTSTATUS NTAPI RelayCompleted(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PRELAY_CONTEXT context = Context;
    NTSTATUS status = Irp->IoStatus.Status;
    PIRP caller = context->Caller;
    ULONG_PTR information = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    while (Irp->MdlAddress != NULL) {
        PMDL mdl = Irp->MdlAddress;
        Irp->MdlAddress = mdl->Next;
        if (mdl->MdlFlags & MDL_PAGES_LOCKED) {
            MmUnlockPages(mdl);
        }
        IoFreeMdl(mdl);
    }
    if (NT_SUCCESS(status) && context->IsLoad) {
        RtlCopyMemory(caller->AssociatedIrp.SystemBuffer, context->Bytes, context->Length);
        information = context->Length;
    }
    ExFreePoolWithTag(context, TAG_CONTEXT);
    IoFreeIrp(Irp);
    SampleComplete(caller, status, information);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static PRELAY_CONTEXT RelayAllocateContext(PIRP Caller, ULONG Length, BOOLEAN IsLoad)
{
    SIZE_T bytes = FIELD_OFFSET(RELAY_CONTEXT, Bytes) + Length;
    PRELAY_CONTEXT context = ExAllocatePoolWithTag(NonPagedPoolNx, bytes, TAG_CONTEXT);
    if (context != NULL) {
        context->Caller = Caller;
        context->Length = Length;
        context->IsLoad = IsLoad;
    }
    return context;
}

static NTSTATUS RelayStore(PRELAY_EXTENSION Relay, PIRP Irp, PRELAY_RANGE Range, ULONG InputBytes)
{
    if (InputBytes <= sizeof(RELAY_RANGE) || Range->Length == 0 || Range->Length > InputBytes - sizeof(RELAY_RANGE)) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    PRELAY_CONTEXT context = RelayAllocateContext(Irp, Range->Length, FALSE);
    if (context == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlCopyMemory(context->Bytes, Range + 1, Range->Length);
    LARGE_INTEGER offset = {.QuadPart = Range->Offset};
    PIRP irp = IoBuildAsynchronousFsdRequest(IRP_MJ_WRITE, Relay->Store, context->Bytes, Range->Length, &offset, NULL);
    if (irp == NULL) {
        ExFreePoolWithTag(context, TAG_CONTEXT);
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    IoSetCompletionRoutine(irp, RelayCompleted, context, TRUE, TRUE, TRUE);
    IoMarkIrpPending(Irp);
    IoCallDriver(Relay->Store, irp);
    return STATUS_PENDING;
}

static NTSTATUS RelayLoad(PRELAY_EXTENSION Relay, PIRP Irp, PRELAY_RANGE Range, ULONG InputBytes, ULONG OutputBytes)
{
    if (InputBytes < sizeof(RELAY_RANGE) || Range->Length == 0 || Range->Length > OutputBytes) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    PRELAY_CONTEXT context = RelayAllocateContext(Irp, Range->Length, TRUE);
    PIRP irp = IoAllocateIrp(Relay->Store->StackSize, FALSE);
    PMDL mdl = context == NULL ? NULL : IoAllocateMdl(context->Bytes, Range->Length, FALSE, FALSE, NULL);
    if (irp == NULL || mdl == NULL) {
        if (mdl != NULL) {
            IoFreeMdl(mdl);
        }
        if (irp != NULL) {
            IoFreeIrp(irp);
        }
        if (context != NULL) {
            ExFreePoolWithTag(context, TAG_CONTEXT);
        }
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    MmBuildMdlForNonPagedPool(mdl);
    irp->MdlAddress = mdl;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_READ;
    next->Parameters.Read.Length = Range->Length;
    next->Parameters.Read.ByteOffset.QuadPart = Range->Offset;
    IoSetCompletionRoutine(irp, RelayCompleted, context, TRUE, TRUE, TRUE);
    IoMarkIrpPending(Irp);
    IoCallDriver(Relay->Store, irp);
    return STATUS_PENDING;
}

/* Asks the store, and waits. */
static NTSTATUS RelayQuery(PRELAY_EXTENSION Relay, PIRP Irp, ULONG OutputBytes)
{
    STORE_STATISTICS statistics;
    IO_STATUS_BLOCK result;
    KEVENT done;

    if (OutputBytes < sizeof(statistics)) {
        return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    PIRP query = IoBuildDeviceIoControlRequest(IOCTL_STORE_STATISTICS, Relay->Store, NULL, 0, &statistics,
                                               sizeof(statistics), FALSE, &done, &result);
    if (query == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    NTSTATUS status = IoCallDriver(Relay->Store, query);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = result.Status;
    }
    if (NT_SUCCESS(status)) {
        RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, &statistics, sizeof(statistics));
    }
    return SampleComplete(Irp, status, NT_SUCCESS(status) ? sizeof(statistics) : 0);
}

static NTSTATUS RelayControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PRELAY_EXTENSION relay = DeviceObject->DeviceExtension;
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;

    if (relay->IsStore) {
        if (code != IOCTL_STORE_STATISTICS || outputBytes < sizeof(STORE_STATISTICS)) {
            return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
        }
        *(PSTORE_STATISTICS)buffer = ((PSTORE_EXTENSION)DeviceObject->DeviceExtension)->Statistics;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(STORE_STATISTICS));
    }
    switch (code) {
    case IOCTL_RELAY_STORE:
        return RelayStore(relay, Irp, buffer, inputBytes);
    case IOCTL_RELAY_LOAD:
        return RelayLoad(relay, Irp, buffer, inputBytes, outputBytes);
    case IOCTL_RELAY_QUERY:
        return RelayQuery(relay, Irp, outputBytes);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS RelayCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID RelayUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanRelay");

    IoDeleteSymbolicLink(&link);
    while (DriverObject->DeviceObject != NULL) {
        IoDeleteDevice(DriverObject->DeviceObject);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanRelay");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanRelay");
    PDEVICE_OBJECT device, storeDevice;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(STORE_EXTENSION), NULL, FILE_DEVICE_DISK, 0, FALSE, &storeDevice);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PSTORE_EXTENSION store = storeDevice->DeviceExtension;
    store->IsStore = TRUE;
    KeInitializeSpinLock(&store->Lock);
    InitializeListHead(&store->Queue);
    KeInitializeDpc(&store->Dpc, StoreDpc, store);
    storeDevice->Flags |= DO_DIRECT_IO;
    storeDevice->Flags &= ~DO_DEVICE_INITIALIZING;

    status = IoCreateDevice(DriverObject, sizeof(RELAY_EXTENSION), &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN,
                            FALSE, &device);
    if (NT_SUCCESS(status)) {
        ((PRELAY_EXTENSION)device->DeviceExtension)->Store = storeDevice;
        device->StackSize = storeDevice->StackSize + 1;
        status = IoCreateSymbolicLink(&link, &name);
    }
    if (!NT_SUCCESS(status)) {
        while (DriverObject->DeviceObject != NULL) {
            IoDeleteDevice(DriverObject->DeviceObject);
        }
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = RelayCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = RelayCreateClose;
    DriverObject->MajorFunction[IRP_MJ_READ] = RelayReadWrite;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = RelayReadWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = RelayControl;
    DriverObject->DriverUnload = RelayUnload;
    return STATUS_SUCCESS;
}
