/*
 * Compiles documents: the input is a list of records (texts, numbers, groups, references to records before), the result
 * an image in which references are offsets, which the handle keeps and hands out. Each step has its own kind of pool:
 * raising, zeroed, with a priority, and ExAllocatePool3 with extended parameters.
 *
 * Two leaks, both a return in the wrong place: a text that is empty or has a NUL in it is refused after its record was
 * allocated and before the list knows it, and a reference that points forward is refused without freeing the index.
 */
#include "newer.h"

#define TAG_SESSION 'eSkP' /* PkSe */
#define TAG_RECORD 'cRkP'  /* PkRc */
#define TAG_STACK 'tSkP'   /* PkSt */
#define TAG_INDEX 'xIkP'   /* PkIx */
#define TAG_IMAGE 'mIkP'   /* PkIm */

#define MAX_DEPTH 8
#define MAX_RECORDS 512

#define IOCTL_PACKER_COMPILE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x910, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PACKER_FETCH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x911, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
#define IOCTL_PACKER_STATISTICS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x912, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef enum _PACKER_TYPE {
    PackerEnd,
    PackerText,
    PackerNumber,
    PackerGroup,
    PackerGroupEnd,
    PackerReference,
} PACKER_TYPE;

/* What a record of the input starts with; Length bytes follow. */
typedef struct _PACKER_HEADER {
    UCHAR Type;
    UCHAR Flags;
    USHORT Length;
} PACKER_HEADER, *PPACKER_HEADER;
C_ASSERT(sizeof(PACKER_HEADER) == 4);

typedef struct _PACKER_RECORD {
    LIST_ENTRY Link;
    ULONG Number;
    ULONG Parent;
    ULONG Offset;
    PACKER_HEADER Header;
    UCHAR Data[ANYSIZE_ARRAY];
} PACKER_RECORD, *PPACKER_RECORD;
C_ASSERT(FIELD_OFFSET(PACKER_RECORD, Data) == 32);

/* A record of the image: this, then the data rounded up to four bytes. */
typedef struct _PACKER_ITEM {
    PACKER_HEADER Header;
    ULONG Parent;
} PACKER_ITEM, *PPACKER_ITEM;
C_ASSERT(sizeof(PACKER_ITEM) == 8);

typedef struct _PACKER_SESSION {
    FAST_MUTEX Mutex;
    PUCHAR Image;
    ULONG ImageBytes;
    ULONG Compiled;
    ULONG Refused;
    ULONG Records;
} PACKER_SESSION, *PPACKER_SESSION;

typedef struct _PACKER_JOB {
    LIST_ENTRY Records;
    ULONG Count;
    ULONG Bytes;
    PUCHAR Image;
} PACKER_JOB, *PPACKER_JOB;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD PackerUnload;
static DRIVER_DISPATCH PackerCreate;
static DRIVER_DISPATCH PackerClose;
static DRIVER_DISPATCH PackerControl;

static BOOLEAN PackerIsText(const UCHAR *Text, ULONG Length)
{
    for (ULONG i = 0; i < Length; i++) {
        if (Text[i] == 0) {
            return FALSE;
        }
    }
    return Length > 0;
}

/* Adds a record to the job. */
static NTSTATUS PackerAdd(PPACKER_JOB Job, const PACKER_HEADER *Header, const UCHAR *Data, ULONG Parent)
{
    if (Job->Count == MAX_RECORDS) {
        return STATUS_BUFFER_OVERFLOW;
    }
    SIZE_T bytes = FIELD_OFFSET(PACKER_RECORD, Data) + Header->Length;
    PPACKER_RECORD record = ExAllocatePoolZero(PagedPool, bytes, TAG_RECORD); // leak[bad-text]: tag=PkRc bytes=67 count=2 pool=PagedPool
    if (record == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    record->Header = *Header;
    record->Number = Job->Count;
    record->Parent = Parent;
    record->Offset = Job->Bytes;
    RtlCopyMemory(record->Data, Data, Header->Length);
    if (Header->Type == PackerText && !PackerIsText(record->Data, Header->Length)) {
        return STATUS_INVALID_PARAMETER;
    }
    InsertTailList(&Job->Records, &record->Link);
    Job->Count++;
    Job->Bytes += sizeof(PACKER_ITEM) + ((Header->Length + 3u) & ~3u);
    return STATUS_SUCCESS;
}

/* Splits the input into records; groups are kept on a stack. */
static NTSTATUS PackerParse(PPACKER_JOB Job, const UCHAR *Input, ULONG InputBytes)
{
    static const UCHAR fixedLength[] = {0, 0, 8, 0, 0, 4};
    NTSTATUS status = STATUS_SUCCESS;
    ULONG depth = 0;
    ULONG at = 0;

    PULONG open = ExAllocatePoolUninitialized(PagedPool, MAX_DEPTH * sizeof(ULONG), TAG_STACK);
    if (open == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    while (NT_SUCCESS(status) && InputBytes - at >= sizeof(PACKER_HEADER)) {
        PACKER_HEADER header;
        RtlCopyMemory(&header, Input + at, sizeof(header));
        if (header.Type == PackerEnd) {
            break;
        }
        at += sizeof(header);
        if (header.Type > PackerReference) {
            status = STATUS_NOT_SUPPORTED;
        } else if (header.Length > InputBytes - at) {
            status = STATUS_BUFFER_TOO_SMALL;
        } else if (header.Type != PackerText && header.Length != fixedLength[header.Type]) {
            status = STATUS_INFO_LENGTH_MISMATCH;
        } else if (header.Type == PackerGroupEnd) {
            status = depth == 0 ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
            depth -= depth == 0 ? 0 : 1;
        } else {
            status = PackerAdd(Job, &header, Input + at, depth == 0 ? 0 : open[depth - 1] + 1);
            at += header.Length;
            if (NT_SUCCESS(status) && header.Type == PackerGroup) {
                if (depth == MAX_DEPTH) {
                    status = STATUS_STACK_OVERFLOW;
                } else {
                    open[depth++] = Job->Count - 1;
                }
            }
        }
    }
    if (NT_SUCCESS(status) && (depth != 0 || Job->Count == 0)) {
        status = STATUS_END_OF_FILE;
    }
    ExFreePool(open);
    return status;
}

/* Makes offsets of the numbers that references have. */
static NTSTATUS PackerLink(PPACKER_JOB Job)
{
    POOL_EXTENDED_PARAMETER parameters[2] = {
        {{.Type = PoolExtendedParameterPriority}, {.Priority = HighPoolPriority}},
        {{.Type = PoolExtendedParameterNumaNode, .Optional = 1}, {.PreferredNode = 0}},
    };
    SIZE_T bytes = Job->Count * sizeof(PPACKER_RECORD);
    PPACKER_RECORD *index = ExAllocatePool3(POOL_FLAG_PAGED | POOL_FLAG_UNINITIALIZED, bytes, TAG_INDEX, parameters, ARRAYSIZE(parameters)); // leak[bad-reference]: tag=PkIx bytes=40 count=2 pool=PagedPool
    if (index == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (PLIST_ENTRY link = Job->Records.Flink; link != &Job->Records; link = link->Flink) {
        PPACKER_RECORD record = CONTAINING_RECORD(link, PACKER_RECORD, Link);
        index[record->Number] = record;
        if (record->Header.Type == PackerReference) {
            ULONG target = *(PULONG)record->Data;
            if (target >= record->Number) {
                return STATUS_INVALID_PARAMETER;
            }
            *(PULONG)record->Data = index[target]->Offset;
        }
    }
    ExFreePoolWithTag(index, TAG_INDEX);
    return STATUS_SUCCESS;
}

static NTSTATUS PackerEmit(PPACKER_JOB Job)
{
    Job->Image = ExAllocatePoolWithTagPriority((POOL_TYPE)(PagedPool | POOL_ZERO_ALLOCATION), Job->Bytes, TAG_IMAGE,
                                               LowPoolPriority);
    if (Job->Image == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (PLIST_ENTRY link = Job->Records.Flink; link != &Job->Records; link = link->Flink) {
        PPACKER_RECORD record = CONTAINING_RECORD(link, PACKER_RECORD, Link);
        PPACKER_ITEM item = (PPACKER_ITEM)(Job->Image + record->Offset);
        item->Header = record->Header;
        item->Parent = record->Parent;
        RtlCopyMemory(item + 1, record->Data, record->Header.Length);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS PackerCompile(PPACKER_SESSION Session, const UCHAR *Input, ULONG InputBytes)
{
    PACKER_JOB job = {.Count = 0};

    if (InputBytes < sizeof(PACKER_HEADER)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    InitializeListHead(&job.Records);
    NTSTATUS status = PackerParse(&job, Input, InputBytes);
    if (NT_SUCCESS(status)) {
        status = PackerLink(&job);
    }
    if (NT_SUCCESS(status)) {
        status = PackerEmit(&job);
    }
    while (!IsListEmpty(&job.Records)) {
        PLIST_ENTRY link = RemoveHeadList(&job.Records);
        ExFreePoolWithTag(CONTAINING_RECORD(link, PACKER_RECORD, Link), TAG_RECORD);
    }

    ExAcquireFastMutex(&Session->Mutex);
    PUCHAR previous = NULL;
    if (NT_SUCCESS(status)) {
        previous = Session->Image;
        Session->Image = job.Image;
        Session->ImageBytes = job.Bytes;
        Session->Records += job.Count;
        Session->Compiled++;
    } else {
        Session->Refused++;
    }
    ExReleaseFastMutex(&Session->Mutex);
    if (previous != NULL) {
        ExFreePool(previous);
    }
    return status;
}

static NTSTATUS PackerFetch(PPACKER_SESSION Session, PMDL Mdl, PULONG_PTR Information)
{
    if (Mdl == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    PUCHAR target = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (target == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExAcquireFastMutex(&Session->Mutex);
    ULONG bytes = min(Session->ImageBytes, MmGetMdlByteCount(Mdl));
    NTSTATUS status = Session->Image == NULL ? STATUS_NO_MORE_ENTRIES : STATUS_SUCCESS;
    if (bytes < Session->ImageBytes) {
        status = STATUS_BUFFER_OVERFLOW;
    }
    RtlCopyMemory(target, Session->Image, bytes);
    ExReleaseFastMutex(&Session->Mutex);
    *Information = bytes;
    return status;
}

static NTSTATUS PackerControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PPACKER_SESSION session = stack->FileObject->FsContext;
    PULONG buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG_PTR information = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_PACKER_COMPILE:
        status = PackerCompile(session, (const UCHAR *)buffer, stack->Parameters.DeviceIoControl.InputBufferLength);
        break;
    case IOCTL_PACKER_FETCH:
        status = PackerFetch(session, Irp->MdlAddress, &information);
        break;
    case IOCTL_PACKER_STATISTICS:
        status = STATUS_BUFFER_TOO_SMALL;
        if (stack->Parameters.DeviceIoControl.OutputBufferLength >= 3 * sizeof(ULONG)) {
            buffer[0] = session->Compiled;
            buffer[1] = session->Refused;
            buffer[2] = session->Records;
            information = 3 * sizeof(ULONG);
            status = STATUS_SUCCESS;
        }
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS PackerCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PPACKER_SESSION session;

    UNREFERENCED_PARAMETER(DeviceObject);
    __try {
        ULONG64 flags = POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED | POOL_FLAG_RAISE_ON_FAILURE;
        session = ExAllocatePool2(flags, sizeof(PACKER_SESSION), TAG_SESSION);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return SampleComplete(Irp, GetExceptionCode(), 0);
    }
    ExInitializeFastMutex(&session->Mutex);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = session;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS PackerClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PPACKER_SESSION session = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (session->Image != NULL) {
        ExFreePoolWithTag(session->Image, TAG_IMAGE);
    }
    ExFreePool(session);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID PackerUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyPacker");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyPacker");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyPacker");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status =
        IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = PackerCreate;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = PackerClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = PackerControl;
    DriverObject->DriverUnload = PackerUnload;
    return STATUS_SUCCESS;
}
