/*
 * Delivers texts in the background: a request waits for its time (a timer), is delivered by a work item, and tried again
 * a little later when that fails. Requests can be cancelled as long as they wait.
 *
 * Two leaks of work items: a request that is cancelled before its item runs frees its job and not the item, and so does
 * the work item's routine when it gives up.
 */
#include "sample.h"

#define TAG_JOB 'bJoP' /* PoJb */

#define MAX_TEXT_BYTES 256
#define MAX_DELAY_MS 60000
#define MAX_TRIES 3
#define RETRY_MS 20

#define IOCTL_POSTMAN_SEND CTL_CODE(FILE_DEVICE_UNKNOWN, 0x970, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_POSTMAN_FETCH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x971, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* The input of sending; the text follows. Failures: how often the way is blocked. */
typedef struct _POSTMAN_SEND {
    ULONG DelayMs;
    ULONG Failures;
} POSTMAN_SEND, *PPOSTMAN_SEND;

typedef struct _POSTMAN_EXTENSION {
    FAST_MUTEX Mutex;
    LONG Jobs;
    ULONG Delivered;
    ULONG TextBytes;
    UCHAR Text[MAX_TEXT_BYTES];
} POSTMAN_EXTENSION, *PPOSTMAN_EXTENSION;

typedef enum _POSTMAN_STATE {
    PostmanWaiting,
    PostmanQueued,
    PostmanCancelled,
} POSTMAN_STATE;

typedef struct _POSTMAN_JOB {
    PPOSTMAN_EXTENSION Postman;
    PIRP Irp;
    PIO_WORKITEM Item;
    KTIMER Timer;
    KDPC Dpc;
    volatile LONG State;
    ULONG Tries;
    ULONG Failures;
    ULONG TextBytes;
    UCHAR Text[ANYSIZE_ARRAY];
} POSTMAN_JOB, *PPOSTMAN_JOB;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD PostmanUnload;
static DRIVER_DISPATCH PostmanCreateClose;
static DRIVER_DISPATCH PostmanControl;
static IO_WORKITEM_ROUTINE_EX PostmanDeliver;
static DRIVER_CANCEL PostmanCancel;

static VOID PostmanFree(PPOSTMAN_JOB Job)
{
    IoFreeWorkItem(Job->Item);
    InterlockedDecrement(&Job->Postman->Jobs);
    ExFreePoolWithTag(Job, TAG_JOB);
}

static VOID PostmanStartTimer(PPOSTMAN_JOB Job, ULONG Milliseconds)
{
    LARGE_INTEGER due = {.QuadPart = -10000LL * Milliseconds};
    KeSetTimer(&Job->Timer, due, &Job->Dpc);
}

/* The time has come: from here on the request cannot be cancelled. */
static VOID NTAPI PostmanDue(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PPOSTMAN_JOB job = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    if (InterlockedCompareExchange(&job->State, PostmanQueued, PostmanWaiting) != PostmanWaiting) {
        /* Cancelled when the timer could not be stopped any more. */
        PostmanFree(job);
        return;
    }
    IoQueueWorkItemEx(job->Item, PostmanDeliver, DelayedWorkQueue, job);
}

static VOID NTAPI PostmanCancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PPOSTMAN_JOB job = Irp->Tail.Overlay.DriverContext[0];
    PPOSTMAN_EXTENSION postman = DeviceObject->DeviceExtension;

    BOOLEAN waited = InterlockedCompareExchange(&job->State, PostmanCancelled, PostmanWaiting) == PostmanWaiting;
    BOOLEAN stopped = waited && KeCancelTimer(&job->Timer);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    if (!waited) {
        return;
    }
    SampleComplete(Irp, STATUS_CANCELLED, 0);
    if (stopped) {
        InterlockedDecrement(&postman->Jobs);
        ExFreePoolWithTag(job, TAG_JOB);
    }
}

/* Lets the request be cancelled while it waits; FALSE if it already is, and is the caller's to complete. */
static BOOLEAN PostmanWait(PPOSTMAN_JOB Job, ULONG Milliseconds)
{
    Job->State = PostmanWaiting;
    PostmanStartTimer(Job, Milliseconds);
    IoSetCancelRoutine(Job->Irp, PostmanCancel);
    if (Job->Irp->Cancel && IoSetCancelRoutine(Job->Irp, NULL) != NULL) {
        KeCancelTimer(&Job->Timer);
        return FALSE;
    }
    return TRUE;
}

static VOID NTAPI PostmanDeliver(PVOID IoObject, PVOID Context, PIO_WORKITEM IoWorkItem)
{
    PPOSTMAN_JOB job = Context;
    PPOSTMAN_EXTENSION postman = job->Postman;
    PIRP irp = job->Irp;

    UNREFERENCED_PARAMETER(IoObject);
    UNREFERENCED_PARAMETER(IoWorkItem);
    IoSetCancelRoutine(irp, NULL);
    job->Tries++;
    if (job->Tries > job->Failures) {
        ExAcquireFastMutex(&postman->Mutex);
        RtlCopyMemory(postman->Text, job->Text, job->TextBytes);
        postman->TextBytes = job->TextBytes;
        postman->Delivered++;
        ExReleaseFastMutex(&postman->Mutex);
        PostmanFree(job);
        SampleComplete(irp, STATUS_SUCCESS, 0);
    } else if (job->Tries == MAX_TRIES) {
        InterlockedDecrement(&postman->Jobs);
        ExFreePoolWithTag(job, TAG_JOB);
        SampleComplete(irp, STATUS_IO_TIMEOUT, 0);
    } else if (!PostmanWait(job, RETRY_MS)) {
        PostmanFree(job);
        SampleComplete(irp, STATUS_CANCELLED, 0);
    }
}

static NTSTATUS PostmanSend(PDEVICE_OBJECT DeviceObject, PIRP Irp, ULONG InputBytes)
{
    PPOSTMAN_EXTENSION postman = DeviceObject->DeviceExtension;
    PPOSTMAN_SEND send = Irp->AssociatedIrp.SystemBuffer;

    if (InputBytes <= sizeof(*send) || InputBytes > sizeof(*send) + MAX_TEXT_BYTES || send->DelayMs > MAX_DELAY_MS) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    ULONG textBytes = InputBytes - sizeof(*send);
    SIZE_T bytes = FIELD_OFFSET(POSTMAN_JOB, Text) + textBytes;
    PPOSTMAN_JOB job = ExAllocatePoolWithTag(NonPagedPoolNx, bytes, TAG_JOB);
    if (job == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    job->Item = IoAllocateWorkItem(DeviceObject); // leak[cancelled]: kind=workitem tag=Vfwi bytes=176 count=2 pool=NonPagedPoolNx // leak[given-up]: kind=workitem tag=Vfwi bytes=88 count=1 pool=NonPagedPoolNx
    if (job->Item == NULL) {
        ExFreePoolWithTag(job, TAG_JOB);
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    job->Postman = postman;
    job->Irp = Irp;
    job->Tries = 0;
    job->Failures = send->Failures;
    job->TextBytes = textBytes;
    RtlCopyMemory(job->Text, send + 1, textBytes);
    KeInitializeTimer(&job->Timer);
    KeInitializeDpc(&job->Dpc, PostmanDue, job);
    InterlockedIncrement(&postman->Jobs);

    Irp->Tail.Overlay.DriverContext[0] = job;
    IoMarkIrpPending(Irp);
    if (!PostmanWait(job, send->DelayMs)) {
        PostmanFree(job);
        SampleComplete(Irp, STATUS_CANCELLED, 0);
    }
    return STATUS_PENDING;
}

/* The text that was delivered last, behind how many there were and how many are on their way. */
static NTSTATUS PostmanFetch(PPOSTMAN_EXTENSION Postman, PULONG Buffer, ULONG OutputBytes, PULONG_PTR Information)
{
    NTSTATUS status = STATUS_BUFFER_TOO_SMALL;

    ExAcquireFastMutex(&Postman->Mutex);
    if (OutputBytes >= 2 * sizeof(ULONG) + Postman->TextBytes) {
        Buffer[0] = Postman->Delivered;
        Buffer[1] = Postman->Jobs;
        RtlCopyMemory(Buffer + 2, Postman->Text, Postman->TextBytes);
        *Information = 2 * sizeof(ULONG) + Postman->TextBytes;
        status = STATUS_SUCCESS;
    }
    ExReleaseFastMutex(&Postman->Mutex);
    return status;
}

static NTSTATUS PostmanControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG_PTR information = 0;
    NTSTATUS status;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_POSTMAN_SEND:
        return PostmanSend(DeviceObject, Irp, stack->Parameters.DeviceIoControl.InputBufferLength);
    case IOCTL_POSTMAN_FETCH:
        status = PostmanFetch(DeviceObject->DeviceExtension, Irp->AssociatedIrp.SystemBuffer,
                              stack->Parameters.DeviceIoControl.OutputBufferLength, &information);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS PostmanCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID PostmanUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyPostman");
    IoDeleteSymbolicLink(&link);
    KeFlushQueuedDpcs();
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyPostman");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyPostman");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(POSTMAN_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    ExInitializeFastMutex(&((PPOSTMAN_EXTENSION)device->DeviceExtension)->Mutex);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = PostmanCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = PostmanCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = PostmanControl;
    DriverObject->DriverUnload = PostmanUnload;
    return STATUS_SUCCESS;
}
