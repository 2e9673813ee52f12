/*
 * A journal: writes append records, reads take the oldest one or wait for the next in a cancel-safe queue. A read that
 * waits has a context of its own: when it began, and for how many bytes.
 *
 * The leak: a read that is cancelled, by its program or by the close of its file, is completed without its context being
 * freed. A read that is answered frees it.
 */
#include "sample.h"

#define TAG_WAIT 'tWrJ'   /* JrWt */
#define TAG_RECORD 'cRrJ' /* JrRc */

#define MAX_RECORD_BYTES 512
#define MAX_RECORDS 32

#define IOCTL_JOURNAL_STATISTICS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C0, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOCTL_JOURNAL_TRUNCATE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C1, METHOD_BUFFERED, FILE_WRITE_ACCESS)

typedef struct _JOURNAL_RECORD {
    LIST_ENTRY Link;
    ULONG Length;
    ULONG Number;
    UCHAR Bytes[ANYSIZE_ARRAY];
} JOURNAL_RECORD, *PJOURNAL_RECORD;

/* What is known of a read that waits. */
typedef struct _JOURNAL_WAIT {
    LARGE_INTEGER Since;
    ULONG Room;
    ULONG Tries;
} JOURNAL_WAIT, *PJOURNAL_WAIT;
C_ASSERT(sizeof(JOURNAL_WAIT) == 16);

typedef struct _JOURNAL_EXTENSION {
    IO_CSQ Waiters;
    LIST_ENTRY WaitingIrps;
    KSPIN_LOCK WaitersLock;
    FAST_MUTEX RecordsLock;
    LIST_ENTRY Records;
    ULONG Count;
    ULONG Next;
    ULONG Answered;
    ULONG Cancelled;
    LONGLONG LongestWait;
} JOURNAL_EXTENSION, *PJOURNAL_EXTENSION;

typedef struct _JOURNAL_STATISTICS {
    ULONG Records;
    ULONG Written;
    ULONG Answered;
    ULONG Cancelled;
} JOURNAL_STATISTICS, *PJOURNAL_STATISTICS;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD JournalUnload;
static DRIVER_DISPATCH JournalCreateClose;
static DRIVER_DISPATCH JournalCleanup;
static DRIVER_DISPATCH JournalRead;
static DRIVER_DISPATCH JournalWrite;
static DRIVER_DISPATCH JournalControl;

/* ---- the queue of waiting reads */

static PJOURNAL_WAIT JournalWaitOf(PIRP Irp)
{
    return Irp->Tail.Overlay.DriverContext[0];
}

static VOID NTAPI JournalInsert(PIO_CSQ Csq, PIRP Irp)
{
    PJOURNAL_EXTENSION extension = CONTAINING_RECORD(Csq, JOURNAL_EXTENSION, Waiters);
    InsertTailList(&extension->WaitingIrps, &Irp->Tail.Overlay.ListEntry);
}

static VOID NTAPI JournalRemove(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
}

/* The next waiter after `Irp`, of one file if `PeekContext` says which. */
static PIRP NTAPI JournalPeek(PIO_CSQ Csq, PIRP Irp, PVOID PeekContext)
{
    PJOURNAL_EXTENSION extension = CONTAINING_RECORD(Csq, JOURNAL_EXTENSION, Waiters);
    PLIST_ENTRY link = Irp == NULL ? extension->WaitingIrps.Flink : Irp->Tail.Overlay.ListEntry.Flink;
    for (; link != &extension->WaitingIrps; link = link->Flink) {
        PIRP waiter = CONTAINING_RECORD(link, IRP, Tail.Overlay.ListEntry);
        if (PeekContext == NULL || IoGetCurrentIrpStackLocation(waiter)->FileObject == PeekContext) {
            return waiter;
        }
    }
    return NULL;
}

static VOID NTAPI JournalAcquire(PIO_CSQ Csq, PKIRQL Irql)
{
    KeAcquireSpinLock(&CONTAINING_RECORD(Csq, JOURNAL_EXTENSION, Waiters)->WaitersLock, Irql);
}

static VOID NTAPI JournalRelease(PIO_CSQ Csq, KIRQL Irql)
{
    KeReleaseSpinLock(&CONTAINING_RECORD(Csq, JOURNAL_EXTENSION, Waiters)->WaitersLock, Irql);
}

static VOID NTAPI JournalCompleteCancelled(PIO_CSQ Csq, PIRP Irp)
{
    PJOURNAL_EXTENSION extension = CONTAINING_RECORD(Csq, JOURNAL_EXTENSION, Waiters);
    PJOURNAL_WAIT wait = JournalWaitOf(Irp);

    if (wait->Tries > 0) {
        DbgPrint("journal: a read was cancelled after %lu records too long for it\n", wait->Tries);
    }
    InterlockedIncrement((PLONG)&extension->Cancelled);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

/* ---- records */

static PJOURNAL_RECORD JournalTake(PJOURNAL_EXTENSION Extension)
{
    PJOURNAL_RECORD record = NULL;
    ExAcquireFastMutex(&Extension->RecordsLock);
    if (!IsListEmpty(&Extension->Records)) {
        record = CONTAINING_RECORD(RemoveHeadList(&Extension->Records), JOURNAL_RECORD, Link);
        Extension->Count--;
    }
    ExReleaseFastMutex(&Extension->RecordsLock);
    return record;
}

static VOID JournalTruncate(PJOURNAL_EXTENSION Extension)
{
    PJOURNAL_RECORD record;
    while ((record = JournalTake(Extension)) != NULL) {
        ExFreePoolWithTag(record, TAG_RECORD);
    }
}

/* Answers a read with a record's bytes; FALSE if they are too many for it. */
static BOOLEAN JournalAnswer(PIRP Irp, const VOID *Bytes, ULONG Length)
{
    if (IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length < Length) {
        return FALSE;
    }
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, Bytes, Length);
    SampleComplete(Irp, STATUS_SUCCESS, Length);
    return TRUE;
}

/* Gives a new record to the first waiter that has room for it. */
static BOOLEAN JournalHandOver(PJOURNAL_EXTENSION Extension, const VOID *Bytes, ULONG Length)
{
    LIST_ENTRY tooSmall;
    BOOLEAN answered = FALSE;
    PIRP irp;

    InitializeListHead(&tooSmall);
    while (!answered && (irp = IoCsqRemoveNextIrp(&Extension->Waiters, NULL)) != NULL) {
        PJOURNAL_WAIT wait = JournalWaitOf(irp);
        if (wait->Room < Length) {
            wait->Tries++;
            InsertTailList(&tooSmall, &irp->Tail.Overlay.ListEntry);
            continue;
        }
        LARGE_INTEGER now;
        KeQuerySystemTime(&now);
        if (now.QuadPart - wait->Since.QuadPart > Extension->LongestWait) {
            Extension->LongestWait = now.QuadPart - wait->Since.QuadPart;
        }
        ExFreePoolWithTag(wait, TAG_WAIT);
        answered = JournalAnswer(irp, Bytes, Length);
        InterlockedIncrement((PLONG)&Extension->Answered);
    }
    while (!IsListEmpty(&tooSmall)) {
        irp = CONTAINING_RECORD(RemoveHeadList(&tooSmall), IRP, Tail.Overlay.ListEntry);
        IoCsqInsertIrp(&Extension->Waiters, irp, NULL);
    }
    return answered;
}

/* ---- requests */

static NTSTATUS JournalWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PJOURNAL_EXTENSION extension = DeviceObject->DeviceExtension;
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;

    if (length == 0 || length > MAX_RECORD_BYTES) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    if (JournalHandOver(extension, Irp->AssociatedIrp.SystemBuffer, length)) {
        return SampleComplete(Irp, STATUS_SUCCESS, length);
    }
    PJOURNAL_RECORD record =
        ExAllocatePoolWithTag(PagedPool, FIELD_OFFSET(JOURNAL_RECORD, Bytes) + length, TAG_RECORD);
    if (record == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    record->Length = length;
    RtlCopyMemory(record->Bytes, Irp->AssociatedIrp.SystemBuffer, length);

    ExAcquireFastMutex(&extension->RecordsLock);
    BOOLEAN fits = extension->Count < MAX_RECORDS;
    if (fits) {
        record->Number = extension->Next++;
        InsertTailList(&extension->Records, &record->Link);
        extension->Count++;
    }
    ExReleaseFastMutex(&extension->RecordsLock);
    if (!fits) {
        ExFreePoolWithTag(record, TAG_RECORD);
        return SampleComplete(Irp, STATUS_DEVICE_BUSY, 0);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, length);
}

static NTSTATUS JournalRead(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PJOURNAL_EXTENSION extension = DeviceObject->DeviceExtension;
    ULONG room = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length;
    PJOURNAL_RECORD record = JournalTake(extension);

    if (record != NULL) {
        ULONG length = record->Length;
        if (room < length) {
            length = room;
        }
        RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, record->Bytes, length);
        NTSTATUS status = length < record->Length ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
        ExFreePoolWithTag(record, TAG_RECORD);
        return SampleComplete(Irp, status, length);
    }
    PJOURNAL_WAIT wait = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*wait), TAG_WAIT); // leak: tag=JrWt bytes=32 count=2 pool=NonPagedPoolNx
    if (wait == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(wait, sizeof(*wait));
    KeQuerySystemTime(&wait->Since);
    wait->Room = room;
    Irp->Tail.Overlay.DriverContext[0] = wait;
    IoCsqInsertIrp(&extension->Waiters, Irp, NULL);
    return STATUS_PENDING;
}

static NTSTATUS JournalControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PJOURNAL_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PJOURNAL_STATISTICS statistics = Irp->AssociatedIrp.SystemBuffer;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_JOURNAL_STATISTICS:
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(*statistics)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        statistics->Records = extension->Count;
        statistics->Written = extension->Next;
        statistics->Answered = extension->Answered;
        statistics->Cancelled = extension->Cancelled;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(*statistics));
    case IOCTL_JOURNAL_TRUNCATE:
        JournalTruncate(extension);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS JournalCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* Reads of this file that wait are nobody's any more. */
static NTSTATUS JournalCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PJOURNAL_EXTENSION extension = DeviceObject->DeviceExtension;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PIRP waiter;
    while ((waiter = IoCsqRemoveNextIrp(&extension->Waiters, file)) != NULL) {
        JournalCompleteCancelled(&extension->Waiters, waiter);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID JournalUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyJournal");
    IoDeleteSymbolicLink(&link);
    JournalTruncate(DriverObject->DeviceObject->DeviceExtension);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyJournal");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyJournal");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(JOURNAL_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PJOURNAL_EXTENSION extension = device->DeviceExtension;
    KeInitializeSpinLock(&extension->WaitersLock);
    InitializeListHead(&extension->WaitingIrps);
    ExInitializeFastMutex(&extension->RecordsLock);
    InitializeListHead(&extension->Records);
    status = IoCsqInitialize(&extension->Waiters, JournalInsert, JournalRemove, JournalPeek, JournalAcquire,
                             JournalRelease, JournalCompleteCancelled);
    if (NT_SUCCESS(status)) {
        status = IoCreateSymbolicLink(&link, &name);
    }
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = JournalCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = JournalCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = JournalCleanup;
    DriverObject->MajorFunction[IRP_MJ_READ] = JournalRead;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = JournalWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = JournalControl;
    DriverObject->DriverUnload = JournalUnload;
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
