/*
 * A spooler for a slow printer: the I/O manager queues the writes and StartIo prints one at a time; a timer's DPC says when
 * a page is out. Each write is translated into the printer's language first, in a buffer of its own. The printer can be
 * told to jam.
 *
 * The clean twin of leaky-spooler: a write that is cancelled while it waits for its turn takes its page with it.
 */
#include "sample.h"

#define TAG_PAGE 'egaP' /* Page */

#define MAX_PAGE_BYTES 256
#define MICROSECONDS_A_BYTE 500

#define IOCTL_SPOOLER_JAM CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_SPOOLER_PAGES CTL_CODE(FILE_DEVICE_UNKNOWN, 0x901, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _SPOOLER_PAGE {
    ULONG Length;
    ULONG Checksum;
    UCHAR Language[ANYSIZE_ARRAY];
} SPOOLER_PAGE, *PSPOOLER_PAGE;

typedef struct _SPOOLER_EXTENSION {
    KTIMER Timer;
    KDPC Dpc;
    KSPIN_LOCK Lock;
    BOOLEAN IsPrinting;
    BOOLEAN Jams;
    ULONG Pages;
    ULONG Bytes;
    ULONG LastChecksum;
} SPOOLER_EXTENSION, *PSPOOLER_EXTENSION;

typedef struct _SPOOLER_PAGES {
    ULONG Pages;
    ULONG Bytes;
    ULONG LastChecksum;
} SPOOLER_PAGES, *PSPOOLER_PAGES;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD SpoolerUnload;
static DRIVER_DISPATCH SpoolerCreateClose;
static DRIVER_DISPATCH SpoolerCleanup;
static DRIVER_DISPATCH SpoolerWrite;
static DRIVER_DISPATCH SpoolerControl;
static DRIVER_STARTIO SpoolerStartIo;
static DRIVER_CANCEL SpoolerCancel;
static KDEFERRED_ROUTINE SpoolerPageOut;

/* The first three words of DriverContext are those of the device queue's entry. */
static PSPOOLER_PAGE SpoolerPageOf(PIRP Irp)
{
    return Irp->Tail.Overlay.DriverContext[3];
}

/* Two characters a byte: a plane and a column. */
static PSPOOLER_PAGE SpoolerTranslate(const UCHAR *Text, ULONG Length)
{
    PSPOOLER_PAGE page = ExAllocatePoolWithTag(NonPagedPoolNx, FIELD_OFFSET(SPOOLER_PAGE, Language) + 2 * Length, TAG_PAGE);
    if (page == NULL) {
        return NULL;
    }
    page->Length = 2 * Length;
    page->Checksum = 0;
    for (ULONG i = 0; i < Length; i++) {
        page->Language[2 * i] = (UCHAR)('A' + (Text[i] >> 4));
        page->Language[2 * i + 1] = (UCHAR)('a' + (Text[i] & 15));
        page->Checksum = (page->Checksum << 5 | page->Checksum >> 27) ^ Text[i];
    }
    return page;
}

/* Ends the write that is being printed and starts the next one. At DISPATCH_LEVEL. */
static VOID SpoolerFinish(PDEVICE_OBJECT DeviceObject, PIRP Irp, NTSTATUS Status)
{
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;
    ExFreePoolWithTag(SpoolerPageOf(Irp), TAG_PAGE);
    IoStartNextPacket(DeviceObject, TRUE);
    SampleComplete(Irp, Status, NT_SUCCESS(Status) ? length : 0);
}

static VOID NTAPI SpoolerPageOut(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PDEVICE_OBJECT device = Context;
    PSPOOLER_EXTENSION extension = device->DeviceExtension;
    PIRP irp = device->CurrentIrp;
    PSPOOLER_PAGE page = SpoolerPageOf(irp);
    NTSTATUS status = STATUS_SUCCESS;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLockAtDpcLevel(&extension->Lock);
    extension->IsPrinting = FALSE;
    if (extension->Jams) {
        status = STATUS_DEVICE_DATA_ERROR;
    } else {
        extension->Pages++;
        extension->Bytes += page->Length;
        extension->LastChecksum = page->Checksum;
    }
    KeReleaseSpinLockFromDpcLevel(&extension->Lock);
    SpoolerFinish(device, irp, status);
}

/* Prints: from here on the write is not cancelled, as a page that is begun comes out. */
static VOID SpoolerStartIo(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSPOOLER_EXTENSION extension = DeviceObject->DeviceExtension;
    LARGE_INTEGER due;
    KIRQL irql;

    IoAcquireCancelSpinLock(&irql);
    if (Irp->Cancel || IoSetCancelRoutine(Irp, NULL) == NULL) {
        /* The cancel routine has it, or will. */
        IoReleaseCancelSpinLock(irql);
        return;
    }
    IoReleaseCancelSpinLock(irql);

    KeAcquireSpinLockAtDpcLevel(&extension->Lock);
    extension->IsPrinting = TRUE;
    KeReleaseSpinLockFromDpcLevel(&extension->Lock);
    due.QuadPart = -10LL * MICROSECONDS_A_BYTE * SpoolerPageOf(Irp)->Length;
    KeSetTimer(&extension->Timer, due, &extension->Dpc);
}

/* A write that waits, or that StartIo has just been given. */
static VOID SpoolerCancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    if (Irp == DeviceObject->CurrentIrp) {
        KIRQL irql;
        IoReleaseCancelSpinLock(Irp->CancelIrql);
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        SpoolerFinish(DeviceObject, Irp, STATUS_CANCELLED);
        KeLowerIrql(irql);
        return;
    }
    KeRemoveEntryDeviceQueue(&DeviceObject->DeviceQueue, &Irp->Tail.Overlay.DeviceQueueEntry);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    ExFreePoolWithTag(SpoolerPageOf(Irp), TAG_PAGE);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS SpoolerWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;
    if (length == 0 || length > MAX_PAGE_BYTES) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    PSPOOLER_PAGE page = SpoolerTranslate(Irp->AssociatedIrp.SystemBuffer, length);
    if (page == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    Irp->Tail.Overlay.DriverContext[3] = page;
    IoMarkIrpPending(Irp);
    IoStartPacket(DeviceObject, Irp, NULL, SpoolerCancel);
    return STATUS_PENDING;
}

static NTSTATUS SpoolerControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PSPOOLER_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PSPOOLER_PAGES pages = Irp->AssociatedIrp.SystemBuffer;
    KIRQL irql;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_SPOOLER_JAM:
        if (stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(ULONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        extension->Jams = *(PULONG)Irp->AssociatedIrp.SystemBuffer != 0;
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_SPOOLER_PAGES:
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(*pages)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        KeAcquireSpinLock(&extension->Lock, &irql);
        pages->Pages = extension->Pages;
        pages->Bytes = extension->Bytes;
        pages->LastChecksum = extension->LastChecksum;
        KeReleaseSpinLock(&extension->Lock, irql);
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(*pages));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS SpoolerCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* Takes the waiting writes of the file that is closed off the queue; the page that is being printed comes out. */
static NTSTATUS SpoolerCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PLIST_ENTRY head = &DeviceObject->DeviceQueue.DeviceListHead;
    PKDEVICE_QUEUE_ENTRY entry;
    LIST_ENTRY ours;
    KIRQL irql;

    InitializeListHead(&ours);
    /* Packets are started and cancelled under this lock, so that the queue stays as it is. */
    IoAcquireCancelSpinLock(&irql);
    for (PLIST_ENTRY link = head->Flink, next; link != head; link = next) {
        next = link->Flink;
        entry = CONTAINING_RECORD(link, KDEVICE_QUEUE_ENTRY, DeviceListEntry);
        PIRP waiting = CONTAINING_RECORD(entry, IRP, Tail.Overlay.DeviceQueueEntry);
        if (IoGetCurrentIrpStackLocation(waiting)->FileObject == file) {
            KeRemoveEntryDeviceQueue(&DeviceObject->DeviceQueue, entry);
            IoSetCancelRoutine(waiting, NULL);
            InsertTailList(&ours, &entry->DeviceListEntry);
        }
    }
    IoReleaseCancelSpinLock(irql);
    while (!IsListEmpty(&ours)) {
        entry = CONTAINING_RECORD(RemoveHeadList(&ours), KDEVICE_QUEUE_ENTRY, DeviceListEntry);
        PIRP waiting = CONTAINING_RECORD(entry, IRP, Tail.Overlay.DeviceQueueEntry);
        ExFreePoolWithTag(SpoolerPageOf(waiting), TAG_PAGE);
        SampleComplete(waiting, STATUS_CANCELLED, 0);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID SpoolerUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanSpooler");
    IoDeleteSymbolicLink(&link);
    KeFlushQueuedDpcs();
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanSpooler");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanSpooler");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(SPOOLER_EXTENSION), &name, FILE_DEVICE_PRINTER,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PSPOOLER_EXTENSION extension = device->DeviceExtension;
    KeInitializeTimer(&extension->Timer);
    KeInitializeDpc(&extension->Dpc, SpoolerPageOut, device);
    KeInitializeSpinLock(&extension->Lock);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = SpoolerCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = SpoolerCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = SpoolerCleanup;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = SpoolerWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = SpoolerControl;
    DriverObject->DriverStartIo = SpoolerStartIo;
    DriverObject->DriverUnload = SpoolerUnload;
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
