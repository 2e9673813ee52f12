/*
 * Carries cargo in crossings: a crossing is begun, loaded, and then committed or aborted. Crossings come from a nonpaged
 * lookaside list, whose routines the compiler puts into this driver; cargo comes from a LOOKASIDE_LIST_EX with routines of
 * the driver's own, which keep count of what is out.
 *
 * A crossing ends in one routine, which gives back the cargo and then the crossing.
 */
#include "sample.h"

#define TAG_CROSSING 'rCeF' /* FeCr */
#define TAG_CARGO 'gCeF'    /* FeCg */

#define CARGO_BYTES 56
#define MAX_CARGO 32

#define IOCTL_FERRY_BEGIN CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9B0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FERRY_LOAD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9B1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FERRY_ABORT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9B2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FERRY_COMMIT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9B3, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_FERRY_STATISTICS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9B4, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _FERRY_CARGO {
    LIST_ENTRY Link;
    ULONG Bytes;
    UCHAR Data[CARGO_BYTES];
} FERRY_CARGO, *PFERRY_CARGO;

typedef struct _FERRY_CROSSING {
    LIST_ENTRY Cargo;
    ULONG Pieces;
    ULONG Bytes;
    LARGE_INTEGER BegunAt;
} FERRY_CROSSING, *PFERRY_CROSSING;

typedef struct _FERRY_EXTENSION {
    LOOKASIDE_LIST_EX Cargo;
    NPAGED_LOOKASIDE_LIST Crossings;
    volatile LONG Blocks;
    volatile LONG Committed;
    volatile LONG BytesCarried;
} FERRY_EXTENSION, *PFERRY_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD FerryUnload;
static DRIVER_DISPATCH FerryCreate;
static DRIVER_DISPATCH FerryClose;
static DRIVER_DISPATCH FerryControl;

/* The routines of the cargo list: what it gets from the pool, and gives back. */
static PVOID NTAPI FerryAllocateBlock(POOL_TYPE PoolType, SIZE_T Bytes, ULONG Tag, PLOOKASIDE_LIST_EX List)
{
    PFERRY_EXTENSION ferry = CONTAINING_RECORD(List, FERRY_EXTENSION, Cargo);
    PVOID block = ExAllocatePoolWithTag(PoolType, Bytes, Tag);
    if (block != NULL) {
        InterlockedIncrement(&ferry->Blocks);
    }
    return block;
}

static VOID NTAPI FerryFreeBlock(PVOID Block, PLOOKASIDE_LIST_EX List)
{
    InterlockedDecrement(&CONTAINING_RECORD(List, FERRY_EXTENSION, Cargo)->Blocks);
    ExFreePoolWithTag(Block, TAG_CARGO);
}

static VOID FerryUnloadCargo(PFERRY_EXTENSION Ferry, PFERRY_CROSSING Crossing)
{
    while (!IsListEmpty(&Crossing->Cargo)) {
        PLIST_ENTRY link = RemoveHeadList(&Crossing->Cargo);
        ExFreeToLookasideListEx(&Ferry->Cargo, CONTAINING_RECORD(link, FERRY_CARGO, Link));
    }
}

static VOID FerryEnd(PFERRY_EXTENSION Ferry, PFERRY_CROSSING Crossing)
{
    FerryUnloadCargo(Ferry, Crossing);
    ExFreeToNPagedLookasideList(&Ferry->Crossings, Crossing);
}

static NTSTATUS FerryBegin(PFERRY_EXTENSION Ferry, PFILE_OBJECT File)
{
    if (File->FsContext != NULL) {
        return STATUS_DEVICE_BUSY;
    }
    PFERRY_CROSSING crossing = ExAllocateFromNPagedLookasideList(&Ferry->Crossings);
    if (crossing == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    InitializeListHead(&crossing->Cargo);
    crossing->Pieces = 0;
    crossing->Bytes = 0;
    KeQuerySystemTime(&crossing->BegunAt);
    File->FsContext = crossing;
    return STATUS_SUCCESS;
}

/* Cuts the bytes into pieces of cargo. */
static NTSTATUS FerryLoad(PFERRY_EXTENSION Ferry, PFERRY_CROSSING Crossing, const UCHAR *Bytes, ULONG Count)
{
    if (Count == 0 || (Count + CARGO_BYTES - 1) / CARGO_BYTES > MAX_CARGO - Crossing->Pieces) {
        return STATUS_INVALID_PARAMETER;
    }
    while (Count > 0) {
        PFERRY_CARGO cargo = ExAllocateFromLookasideListEx(&Ferry->Cargo);
        if (cargo == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        cargo->Bytes = min(Count, CARGO_BYTES);
        RtlCopyMemory(cargo->Data, Bytes, cargo->Bytes);
        InsertTailList(&Crossing->Cargo, &cargo->Link);
        Crossing->Pieces++;
        Crossing->Bytes += cargo->Bytes;
        Bytes += cargo->Bytes;
        Count -= cargo->Bytes;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS FerryCommit(PFERRY_EXTENSION Ferry, PFILE_OBJECT File, PULONG Output, ULONG OutputBytes,
                            PULONG_PTR Information)
{
    PFERRY_CROSSING crossing = File->FsContext;
    ULONG checksum = 0;

    if (OutputBytes < sizeof(ULONG)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    for (PLIST_ENTRY link = crossing->Cargo.Flink; link != &crossing->Cargo; link = link->Flink) {
        PFERRY_CARGO cargo = CONTAINING_RECORD(link, FERRY_CARGO, Link);
        for (ULONG i = 0; i < cargo->Bytes; i++) {
            checksum = checksum * 31 + cargo->Data[i];
        }
    }
    InterlockedIncrement(&Ferry->Committed);
    InterlockedExchangeAdd(&Ferry->BytesCarried, (LONG)crossing->Bytes);
    File->FsContext = NULL;
    FerryEnd(Ferry, crossing);
    *Output = checksum;
    *Information = sizeof(ULONG);
    return STATUS_SUCCESS;
}

static NTSTATUS FerryAbort(PFERRY_EXTENSION Ferry, PFILE_OBJECT File)
{
    PFERRY_CROSSING crossing = File->FsContext;
    File->FsContext = NULL;
    FerryEnd(Ferry, crossing);
    return STATUS_SUCCESS;
}

static NTSTATUS FerryStatistics(PFERRY_EXTENSION Ferry, PULONG Output, ULONG OutputBytes, PULONG_PTR Information)
{
    if (OutputBytes < 3 * sizeof(ULONG)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    Output[0] = Ferry->Committed;
    Output[1] = Ferry->BytesCarried;
    Output[2] = Ferry->Blocks;
    *Information = 3 * sizeof(ULONG);
    return STATUS_SUCCESS;
}

static NTSTATUS FerryControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PFERRY_EXTENSION ferry = DeviceObject->DeviceExtension;
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    PFILE_OBJECT file = stack->FileObject;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG_PTR information = 0;
    NTSTATUS status;

    switch (code) {
    case IOCTL_FERRY_BEGIN:
        status = FerryBegin(ferry, file);
        break;
    case IOCTL_FERRY_LOAD:
        status = file->FsContext == NULL ? STATUS_DEVICE_NOT_READY : FerryLoad(ferry, file->FsContext, buffer, inputBytes);
        break;
    case IOCTL_FERRY_COMMIT:
        status = file->FsContext == NULL ? STATUS_DEVICE_NOT_READY
                                         : FerryCommit(ferry, file, buffer, outputBytes, &information);
        break;
    case IOCTL_FERRY_ABORT:
        status = file->FsContext == NULL ? STATUS_DEVICE_NOT_READY : FerryAbort(ferry, file);
        break;
    case IOCTL_FERRY_STATISTICS:
        status = FerryStatistics(ferry, buffer, outputBytes, &information);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS FerryCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = NULL;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS FerryClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PFERRY_CROSSING crossing = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;
    if (crossing != NULL) {
        FerryEnd(DeviceObject->DeviceExtension, crossing);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID FerryUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanFerry");
    PFERRY_EXTENSION ferry = DriverObject->DeviceObject->DeviceExtension;

    IoDeleteSymbolicLink(&link);
    ExDeleteLookasideListEx(&ferry->Cargo);
    ExDeleteNPagedLookasideList(&ferry->Crossings);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanFerry");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanFerry");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(FERRY_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PFERRY_EXTENSION ferry = device->DeviceExtension;
    status = ExInitializeLookasideListEx(&ferry->Cargo, FerryAllocateBlock, FerryFreeBlock, NonPagedPoolNx, 0,
                                         sizeof(FERRY_CARGO), TAG_CARGO, 0);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    ExInitializeNPagedLookasideList(&ferry->Crossings, NULL, NULL, 0, sizeof(FERRY_CROSSING),
                                    TAG_CROSSING, 0);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        ExDeleteLookasideListEx(&ferry->Cargo);
        ExDeleteNPagedLookasideList(&ferry->Crossings);
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = FerryCreate;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = FerryClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = FerryControl;
    DriverObject->DriverUnload = FerryUnload;
    return STATUS_SUCCESS;
}
