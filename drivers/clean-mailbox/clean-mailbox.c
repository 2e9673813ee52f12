/*
 * A mailbox: programs post messages through a METHOD_BUFFERED control code and fetch them, or wait for the next one
 * with a request that the driver keeps pending, cancellable, on a list behind a spin lock.
 *
 * The clean twin of leaky-mailbox: every message that fails validation is freed again.
 */
#include "sample.h"

#define TAG_MESSAGE 'liaM' /* Mail */

#define MAX_BODY_BYTES 1024
#define KIND_TEXT 1
#define KIND_SAMPLES 2

#define IOCTL_MAILBOX_POST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x820, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MAILBOX_FETCH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x821, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MAILBOX_WAIT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x822, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MAILBOX_DEPTH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x823, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* What a program posts. */
typedef struct _MAILBOX_POST {
    ULONG Kind;
    ULONG Length;
    ULONG Checksum;
    UCHAR Body[ANYSIZE_ARRAY];
} MAILBOX_POST, *PMAILBOX_POST;

typedef struct _MAILBOX_MESSAGE {
    LIST_ENTRY Link;
    ULONG Kind;
    ULONG Length;
    ULONG Checksum;
    ULONG Sequence;
    UCHAR Body[ANYSIZE_ARRAY];
} MAILBOX_MESSAGE, *PMAILBOX_MESSAGE;
C_ASSERT(FIELD_OFFSET(MAILBOX_MESSAGE, Body) == 32);

typedef struct _MAILBOX_EXTENSION {
    KSPIN_LOCK Lock;
    LIST_ENTRY Messages;
    LIST_ENTRY Waiters;
    ULONG Depth;
    ULONG NextSequence;
} MAILBOX_EXTENSION, *PMAILBOX_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD MailboxUnload;
static DRIVER_DISPATCH MailboxCreateClose;
static DRIVER_DISPATCH MailboxCleanup;
static DRIVER_DISPATCH MailboxControl;
static DRIVER_CANCEL MailboxCancelWait;

/* The allocation is this function's last act, so that the compiler jumps to it instead of calling it. */
static DECLSPEC_NOINLINE PMAILBOX_MESSAGE MailboxAllocate(ULONG BodyBytes)
{
    return ExAllocatePoolWithTag(NonPagedPoolNx, FIELD_OFFSET(MAILBOX_MESSAGE, Body) + BodyBytes, TAG_MESSAGE);
}

static ULONG MailboxChecksum(const UCHAR *Bytes, ULONG Length)
{
    ULONG sum = Length;
    for (ULONG i = 0; i < Length; i++) {
        sum = sum * 31 + Bytes[i];
    }
    return sum;
}

/* Copies a message into a request's buffer and says how the request ends. */
static NTSTATUS MailboxDeliver(PIRP Irp, PMAILBOX_MESSAGE Message)
{
    ULONG room = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength;
    if (room < Message->Length) {
        Irp->IoStatus.Information = 0;
        return STATUS_BUFFER_TOO_SMALL;
    }
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, Message->Body, Message->Length);
    Irp->IoStatus.Information = Message->Length;
    return STATUS_SUCCESS;
}

/* Takes the first waiter whose cancel routine has not begun. The caller holds the lock. */
static PIRP MailboxTakeWaiter(PMAILBOX_EXTENSION Extension, PFILE_OBJECT FileObject)
{
    PLIST_ENTRY link = Extension->Waiters.Flink;
    while (link != &Extension->Waiters) {
        PIRP irp = CONTAINING_RECORD(link, IRP, Tail.Overlay.ListEntry);
        PLIST_ENTRY next = link->Flink;
        BOOLEAN wanted = FileObject == NULL || IoGetCurrentIrpStackLocation(irp)->FileObject == FileObject;
        if (wanted && IoSetCancelRoutine(irp, NULL) != NULL) {
            RemoveEntryList(link);
            return irp;
        }
        link = next;
    }
    return NULL;
}

static VOID MailboxCancelWait(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMAILBOX_EXTENSION extension = DeviceObject->DeviceExtension;
    KIRQL irql;

    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&extension->Lock, &irql);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&extension->Lock, irql);
    SampleComplete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS MailboxPost(PMAILBOX_EXTENSION Extension, PMAILBOX_POST Post, ULONG InputBytes)
{
    if (InputBytes < FIELD_OFFSET(MAILBOX_POST, Body)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (Post->Length > MAX_BODY_BYTES || Post->Length > InputBytes - FIELD_OFFSET(MAILBOX_POST, Body)) {
        return STATUS_INVALID_PARAMETER;
    }
    PMAILBOX_MESSAGE message = MailboxAllocate(Post->Length);
    if (message == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    message->Kind = Post->Kind;
    message->Length = Post->Length;
    message->Checksum = Post->Checksum;
    RtlCopyMemory(message->Body, Post->Body, Post->Length);

    if (message->Kind != KIND_TEXT && message->Kind != KIND_SAMPLES) {
        ExFreePoolWithTag(message, TAG_MESSAGE);
        return STATUS_NOT_SUPPORTED;
    }
    if (MailboxChecksum(message->Body, message->Length) != message->Checksum) {
        ExFreePoolWithTag(message, TAG_MESSAGE);
        return STATUS_CRC_ERROR;
    }

    KIRQL irql;
    KeAcquireSpinLock(&Extension->Lock, &irql);
    message->Sequence = Extension->NextSequence++;
    PIRP waiter = MailboxTakeWaiter(Extension, NULL);
    if (waiter == NULL) {
        InsertTailList(&Extension->Messages, &message->Link);
        Extension->Depth++;
    }
    KeReleaseSpinLock(&Extension->Lock, irql);

    if (waiter != NULL) {
        NTSTATUS status = MailboxDeliver(waiter, message);
        ExFreePoolWithTag(message, TAG_MESSAGE);
        SampleComplete(waiter, status, waiter->IoStatus.Information);
    }
    return STATUS_SUCCESS;
}

static PMAILBOX_MESSAGE MailboxTakeMessage(PMAILBOX_EXTENSION Extension)
{
    if (IsListEmpty(&Extension->Messages)) {
        return NULL;
    }
    Extension->Depth--;
    return CONTAINING_RECORD(RemoveHeadList(&Extension->Messages), MAILBOX_MESSAGE, Link);
}

/* Answers with the oldest message; an empty mailbox fails the request or, for a wait, keeps it. */
static NTSTATUS MailboxFetch(PMAILBOX_EXTENSION Extension, PIRP Irp, BOOLEAN Wait)
{
    KIRQL irql;
    KeAcquireSpinLock(&Extension->Lock, &irql);
    PMAILBOX_MESSAGE message = MailboxTakeMessage(Extension);
    if (message == NULL && Wait) {
        IoSetCancelRoutine(Irp, MailboxCancelWait);
        if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
            KeReleaseSpinLock(&Extension->Lock, irql);
            return SampleComplete(Irp, STATUS_CANCELLED, 0);
        }
        IoMarkIrpPending(Irp);
        InsertTailList(&Extension->Waiters, &Irp->Tail.Overlay.ListEntry);
        KeReleaseSpinLock(&Extension->Lock, irql);
        return STATUS_PENDING;
    }
    KeReleaseSpinLock(&Extension->Lock, irql);

    if (message == NULL) {
        return SampleComplete(Irp, STATUS_NO_MORE_ENTRIES, 0);
    }
    NTSTATUS status = MailboxDeliver(Irp, message);
    ExFreePoolWithTag(message, TAG_MESSAGE);
    return SampleComplete(Irp, status, Irp->IoStatus.Information);
}

static NTSTATUS MailboxControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMAILBOX_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_MAILBOX_POST:
        status = MailboxPost(extension, buffer, stack->Parameters.DeviceIoControl.InputBufferLength);
        return SampleComplete(Irp, status, 0);
    case IOCTL_MAILBOX_FETCH:
        return MailboxFetch(extension, Irp, FALSE);
    case IOCTL_MAILBOX_WAIT:
        return MailboxFetch(extension, Irp, TRUE);
    case IOCTL_MAILBOX_DEPTH:
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        *(PULONG)buffer = extension->Depth;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS MailboxCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* The last handle of a file object is gone: nobody will see the answers to its waits. */
static NTSTATUS MailboxCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMAILBOX_EXTENSION extension = DeviceObject->DeviceExtension;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PIRP waiter;
    do {
        KIRQL irql;
        KeAcquireSpinLock(&extension->Lock, &irql);
        waiter = MailboxTakeWaiter(extension, file);
        KeReleaseSpinLock(&extension->Lock, irql);
        if (waiter != NULL) {
            SampleComplete(waiter, STATUS_CANCELLED, 0);
        }
    } while (waiter != NULL);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID MailboxUnload(PDRIVER_OBJECT DriverObject)
{
    PDEVICE_OBJECT device = DriverObject->DeviceObject;
    PMAILBOX_EXTENSION extension = device->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanMailbox");
    PMAILBOX_MESSAGE message;

    IoDeleteSymbolicLink(&link);
    while ((message = MailboxTakeMessage(extension)) != NULL) {
        ExFreePoolWithTag(message, TAG_MESSAGE);
    }
    IoDeleteDevice(device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name, link;
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    RtlInitUnicodeString(&name, L"\\Device\\CleanMailbox");
    RtlInitUnicodeString(&link, L"\\DosDevices\\CleanMailbox");
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(MAILBOX_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PMAILBOX_EXTENSION extension = device->DeviceExtension;
    KeInitializeSpinLock(&extension->Lock);
    InitializeListHead(&extension->Messages);
    InitializeListHead(&extension->Waiters);

    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = MailboxCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = MailboxCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = MailboxCleanup;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = MailboxControl;
    DriverObject->DriverUnload = MailboxUnload;
    return STATUS_SUCCESS;
}
