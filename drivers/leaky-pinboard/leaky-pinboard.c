/*
 * Programs pin buffers of theirs and wait; whoever stamps writes into the oldest one. A METHOD_NEITHER control code pins:
 * the driver describes the caller's memory, probes and locks it inside __try, and keeps the request in a cancel-safe
 * queue, so that its pages are written in another process's time.
 *
 * The leak: a stamp that does not fit ends the request and frees its MDL without unlocking the pages, which stops
 * Windows when the program ends. Whoever cancels or closes gets everything undone.
 */
#include "sample.h"

#define TAG_NOTE 'oNnP' /* PnNo */

#define MAX_PINNED_BYTES 65536

#define IOCTL_PINBOARD_PIN CTL_CODE(FILE_DEVICE_UNKNOWN, 0x950, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_PINBOARD_STAMP CTL_CODE(FILE_DEVICE_UNKNOWN, 0x951, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PINBOARD_COUNT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x952, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* The input of a stamp; the bytes follow. */
typedef struct _PINBOARD_STAMP {
    ULONG Offset;
    ULONG Reserved;
    UCHAR Bytes[ANYSIZE_ARRAY];
} PINBOARD_STAMP, *PPINBOARD_STAMP;

/* What is known of a pinned buffer; hangs on the request that pinned it. */
typedef struct _PINBOARD_NOTE {
    PMDL Mdl;
    LARGE_INTEGER PinnedAt;
    ULONG Number;
} PINBOARD_NOTE, *PPINBOARD_NOTE;

typedef struct _PINBOARD {
    IO_CSQ Queue;
    KSPIN_LOCK Lock;
    LIST_ENTRY Irps;
    LONG Pinned;
    LONG Stamped;
} PINBOARD, *PPINBOARD;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD PinboardUnload;
static DRIVER_DISPATCH PinboardCreateClose;
static DRIVER_DISPATCH PinboardCleanup;
static DRIVER_DISPATCH PinboardControl;

#define NOTE_OF(Irp) ((Irp)->Tail.Overlay.DriverContext[0])

static VOID NTAPI PinboardInsert(PIO_CSQ Queue, PIRP Irp)
{
    PPINBOARD board = CONTAINING_RECORD(Queue, PINBOARD, Queue);
    InsertTailList(&board->Irps, &Irp->Tail.Overlay.ListEntry);
}

static VOID NTAPI PinboardRemove(PIO_CSQ Queue, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Queue);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
}

/* The next request; with a context that of this file. */
static PIRP NTAPI PinboardPeek(PIO_CSQ Queue, PIRP Irp, PVOID Context)
{
    PPINBOARD board = CONTAINING_RECORD(Queue, PINBOARD, Queue);
    PLIST_ENTRY link = Irp == NULL ? board->Irps.Flink : Irp->Tail.Overlay.ListEntry.Flink;
    for (; link != &board->Irps; link = link->Flink) {
        PIRP next = CONTAINING_RECORD(link, IRP, Tail.Overlay.ListEntry);
        if (Context == NULL || IoGetCurrentIrpStackLocation(next)->FileObject == Context) {
            return next;
        }
    }
    return NULL;
}

static VOID NTAPI PinboardAcquire(PIO_CSQ Queue, PKIRQL Irql)
{
    KeAcquireSpinLock(&CONTAINING_RECORD(Queue, PINBOARD, Queue)->Lock, Irql);
}

static VOID NTAPI PinboardRelease(PIO_CSQ Queue, KIRQL Irql)
{
    KeReleaseSpinLock(&CONTAINING_RECORD(Queue, PINBOARD, Queue)->Lock, Irql);
}

/* Takes the buffer off the board. */
static VOID PinboardUnpin(PPINBOARD Board, PIRP Irp)
{
    PPINBOARD_NOTE note = NOTE_OF(Irp);
    MmUnlockPages(note->Mdl);
    IoFreeMdl(note->Mdl);
    ExFreePoolWithTag(note, TAG_NOTE);
    InterlockedDecrement(&Board->Pinned);
}

static VOID NTAPI PinboardCancelled(PIO_CSQ Queue, PIRP Irp)
{
    PinboardUnpin(CONTAINING_RECORD(Queue, PINBOARD, Queue), Irp);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

/* Describes and locks the caller's buffer. */
static NTSTATUS PinboardLock(PVOID Address, ULONG Length, PMDL *Mdl)
{
    PMDL mdl = IoAllocateMdl(Address, Length, FALSE, TRUE, NULL);
    if (mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    __try {
        MmProbeAndLockPages(mdl, UserMode, IoWriteAccess); // leak[too-long]: kind=locked-pages bytes=8192 count=2
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        IoFreeMdl(mdl);
        return GetExceptionCode();
    }
    *Mdl = mdl;
    return STATUS_SUCCESS;
}

static NTSTATUS PinboardPin(PPINBOARD Board, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    ULONG length = Stack->Parameters.DeviceIoControl.OutputBufferLength;
    if (length == 0 || length > MAX_PINNED_BYTES) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    PPINBOARD_NOTE note = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(PINBOARD_NOTE), TAG_NOTE);
    if (note == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    NTSTATUS status = PinboardLock(Irp->UserBuffer, length, &note->Mdl);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(note, TAG_NOTE);
        return SampleComplete(Irp, status, 0);
    }
    KeQuerySystemTime(&note->PinnedAt);
    note->Number = InterlockedIncrement(&Board->Pinned);
    NOTE_OF(Irp) = note;
    IoCsqInsertIrp(&Board->Queue, Irp, NULL);
    return STATUS_PENDING;
}

/* Writes into the pinned buffer; Written tells how much of it is good. */
static NTSTATUS PinboardWrite(PPINBOARD_NOTE Note, const PINBOARD_STAMP *Stamp, ULONG Bytes, PULONG Written)
{
    ULONG length = MmGetMdlByteCount(Note->Mdl);
    if (Stamp->Offset >= length || Bytes > length - Stamp->Offset) {
        return STATUS_BUFFER_OVERFLOW;
    }
    PUCHAR target = MmGetSystemAddressForMdlSafe(Note->Mdl, HighPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (target == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(target, Stamp->Offset);
    RtlCopyMemory(target + Stamp->Offset, Stamp->Bytes, Bytes);
    *Written = Stamp->Offset + Bytes;
    return STATUS_SUCCESS;
}

static NTSTATUS PinboardStamp(PPINBOARD Board, const PINBOARD_STAMP *Stamp, ULONG InputBytes)
{
    ULONG written = 0;

    if (InputBytes <= (ULONG)FIELD_OFFSET(PINBOARD_STAMP, Bytes)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    PIRP irp = IoCsqRemoveNextIrp(&Board->Queue, NULL);
    if (irp == NULL) {
        return STATUS_NO_MORE_ENTRIES;
    }
    NTSTATUS status = PinboardWrite(NOTE_OF(irp), Stamp, InputBytes - FIELD_OFFSET(PINBOARD_STAMP, Bytes), &written);
    if (!NT_SUCCESS(status)) {
        PPINBOARD_NOTE note = NOTE_OF(irp);
        IoFreeMdl(note->Mdl);
        ExFreePoolWithTag(note, TAG_NOTE);
        InterlockedDecrement(&Board->Pinned);
        SampleComplete(irp, STATUS_DEVICE_DATA_ERROR, 0);
        return status;
    }
    PinboardUnpin(Board, irp);
    InterlockedIncrement(&Board->Stamped);
    SampleComplete(irp, STATUS_SUCCESS, written);
    return STATUS_SUCCESS;
}

static NTSTATUS PinboardControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PPINBOARD board = DeviceObject->DeviceExtension;
    PLONG buffer = Irp->AssociatedIrp.SystemBuffer;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_PINBOARD_PIN:
        return PinboardPin(board, Irp, stack);
    case IOCTL_PINBOARD_STAMP:
        return SampleComplete(
            Irp, PinboardStamp(board, (PVOID)buffer, stack->Parameters.DeviceIoControl.InputBufferLength), 0);
    case IOCTL_PINBOARD_COUNT:
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < 2 * sizeof(LONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        buffer[0] = board->Pinned;
        buffer[1] = board->Stamped;
        return SampleComplete(Irp, STATUS_SUCCESS, 2 * sizeof(LONG));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

/* The last handle is closed: nobody waits any more. */
static NTSTATUS PinboardCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PPINBOARD board = DeviceObject->DeviceExtension;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PIRP pinned;

    while ((pinned = IoCsqRemoveNextIrp(&board->Queue, file)) != NULL) {
        PinboardCancelled(&board->Queue, pinned);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS PinboardCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID PinboardUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyPinboard");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyPinboard");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyPinboard");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(PINBOARD), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PPINBOARD board = device->DeviceExtension;
    KeInitializeSpinLock(&board->Lock);
    InitializeListHead(&board->Irps);
    IoCsqInitialize(&board->Queue, PinboardInsert, PinboardRemove, PinboardPeek, PinboardAcquire, PinboardRelease,
                    PinboardCancelled);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = PinboardCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = PinboardCleanup;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = PinboardCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = PinboardControl;
    DriverObject->DriverUnload = PinboardUnload;
    return STATUS_SUCCESS;
}
