/*
 * A courier: writes hand it parcels, and a system thread of the driver delivers them one after the other, which takes a
 * while; the last ones that were delivered can be listed. The thread is started with the first parcel and ended when the
 * driver is unloaded, or when a program dismisses it.
 *
 * The leak: the thread that is told to end leaves the parcels that still wait for it in the queue, and nobody frees them.
 */
#include "sample.h"

#define TAG_PARCEL 'craP' /* Parc */
#define TAG_SHELF 'fehS'  /* Shef */

#define MAX_PARCEL_BYTES 1000
#define SHELF_ROOM 4
#define DELIVERY_MILLISECONDS 20

#define IOCTL_COURIER_DISMISS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8E0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_COURIER_DELIVERED CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8E1, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _COURIER_PARCEL {
    LIST_ENTRY Link;
    ULONG Number;
    ULONG Length;
    UCHAR Bytes[ANYSIZE_ARRAY];
} COURIER_PARCEL, *PCOURIER_PARCEL;

/* What is left of a parcel that was delivered. */
typedef struct _COURIER_RECEIPT {
    ULONG Number;
    ULONG Length;
    ULONG Digest;
} COURIER_RECEIPT, *PCOURIER_RECEIPT;

typedef struct _COURIER_EXTENSION {
    LIST_ENTRY Queue;
    KSPIN_LOCK QueueLock;
    KSEMAPHORE Waiting;
    KEVENT Dismissed;
    KMUTEX Hiring;
    PKTHREAD Thread;
    ULONG Parcels;
    FAST_MUTEX ShelfLock;
    PCOURIER_RECEIPT Shelf;
    ULONG Delivered;
} COURIER_EXTENSION, *PCOURIER_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD CourierUnload;
static DRIVER_DISPATCH CourierCreateClose;
static DRIVER_DISPATCH CourierWrite;
static DRIVER_DISPATCH CourierControl;
static KSTART_ROUTINE CourierThread;

static PCOURIER_PARCEL CourierTake(PCOURIER_EXTENSION Extension)
{
    PLIST_ENTRY link = ExInterlockedRemoveHeadList(&Extension->Queue, &Extension->QueueLock);
    return link == NULL ? NULL : CONTAINING_RECORD(link, COURIER_PARCEL, Link);
}

/* The way takes its time, unless the courier is dismissed on it. */
static VOID CourierDeliver(PCOURIER_EXTENSION Extension, PCOURIER_PARCEL Parcel)
{
    LARGE_INTEGER way;
    ULONG digest = 5381;

    way.QuadPart = -10000LL * DELIVERY_MILLISECONDS;
    KeWaitForSingleObject(&Extension->Dismissed, Executive, KernelMode, FALSE, &way);
    for (ULONG i = 0; i < Parcel->Length; i++) {
        digest = digest * 33 ^ Parcel->Bytes[i];
    }
    ExAcquireFastMutex(&Extension->ShelfLock);
    PCOURIER_RECEIPT receipt = &Extension->Shelf[Extension->Delivered++ % SHELF_ROOM];
    receipt->Number = Parcel->Number;
    receipt->Length = Parcel->Length;
    receipt->Digest = digest;
    ExReleaseFastMutex(&Extension->ShelfLock);
}

static VOID NTAPI CourierThread(PVOID Context)
{
    PCOURIER_EXTENSION extension = Context;
    PVOID objects[] = {&extension->Dismissed, &extension->Waiting};

    KeSetPriorityThread(KeGetCurrentThread(), LOW_REALTIME_PRIORITY);
    while (KeWaitForMultipleObjects(2, objects, WaitAny, Executive, KernelMode, FALSE, NULL, NULL) != STATUS_WAIT_0) {
        PCOURIER_PARCEL parcel = CourierTake(extension);
        if (parcel != NULL) {
            CourierDeliver(extension, parcel);
            ExFreePoolWithTag(parcel, TAG_PARCEL);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

/* Starts the thread if there is none. The caller has the mutex. */
static NTSTATUS CourierHire(PCOURIER_EXTENSION Extension)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;

    if (Extension->Thread != NULL) {
        return STATUS_SUCCESS;
    }
    KeClearEvent(&Extension->Dismissed);
    KeInitializeSemaphore(&Extension->Waiting, 0, MAXLONG);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    NTSTATUS status =
        PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL, CourierThread, Extension);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ObReferenceObjectByHandle(handle, SYNCHRONIZE, *PsThreadType, KernelMode, (PVOID *)&Extension->Thread, NULL);
    ZwClose(handle);
    return status;
}

/* Ends the thread, and waits for its end. The caller has the mutex. */
static VOID CourierDismiss(PCOURIER_EXTENSION Extension)
{
    if (Extension->Thread == NULL) {
        return;
    }
    KeSetEvent(&Extension->Dismissed, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Extension->Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Extension->Thread);
    Extension->Thread = NULL;
    InitializeListHead(&Extension->Queue);
}

static NTSTATUS CourierWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PCOURIER_EXTENSION extension = DeviceObject->DeviceExtension;
    ULONG length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;

    if (length == 0 || length > MAX_PARCEL_BYTES) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    PVOID bytes = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
    PCOURIER_PARCEL parcel = NULL;
    if (bytes != NULL) {
        parcel = ExAllocatePoolWithTag(NonPagedPoolNx, FIELD_OFFSET(COURIER_PARCEL, Bytes) + length, TAG_PARCEL); // leak: tag=Parc bytes=88 count=1 pool=NonPagedPoolNx
    }
    if (parcel == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    parcel->Length = length;
    RtlCopyMemory(parcel->Bytes, bytes, length);

    KeWaitForSingleObject(&extension->Hiring, Executive, KernelMode, FALSE, NULL);
    NTSTATUS status = CourierHire(extension);
    if (NT_SUCCESS(status)) {
        parcel->Number = extension->Parcels++;
        ExInterlockedInsertTailList(&extension->Queue, &parcel->Link, &extension->QueueLock);
        KeReleaseSemaphore(&extension->Waiting, IO_NO_INCREMENT, 1, FALSE);
    }
    KeReleaseMutex(&extension->Hiring, FALSE);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(parcel, TAG_PARCEL);
        length = 0;
    }
    return SampleComplete(Irp, status, length);
}

/* The last receipts, oldest first. */
static ULONG CourierCopyReceipts(PCOURIER_EXTENSION Extension, PCOURIER_RECEIPT Receipts, ULONG Room)
{
    ULONG copied = 0;
    ExAcquireFastMutex(&Extension->ShelfLock);
    ULONG first = Extension->Delivered > SHELF_ROOM ? Extension->Delivered - SHELF_ROOM : 0;
    for (ULONG at = first; at < Extension->Delivered && copied < Room; at++) {
        Receipts[copied++] = Extension->Shelf[at % SHELF_ROOM];
    }
    ExReleaseFastMutex(&Extension->ShelfLock);
    return copied * sizeof(COURIER_RECEIPT);
}

static NTSTATUS CourierControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PCOURIER_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength / sizeof(COURIER_RECEIPT);

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_COURIER_DISMISS:
        KeWaitForSingleObject(&extension->Hiring, Executive, KernelMode, FALSE, NULL);
        CourierDismiss(extension);
        KeReleaseMutex(&extension->Hiring, FALSE);
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_COURIER_DELIVERED:
        return SampleComplete(Irp, STATUS_SUCCESS, CourierCopyReceipts(extension, Irp->AssociatedIrp.SystemBuffer, room));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS CourierCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID CourierUnload(PDRIVER_OBJECT DriverObject)
{
    PCOURIER_EXTENSION extension = DriverObject->DeviceObject->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyCourier");

    IoDeleteSymbolicLink(&link);
    CourierDismiss(extension);
    ExFreePoolWithTag(extension->Shelf, TAG_SHELF);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyCourier");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyCourier");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(COURIER_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PCOURIER_EXTENSION extension = device->DeviceExtension;
    InitializeListHead(&extension->Queue);
    KeInitializeSpinLock(&extension->QueueLock);
    KeInitializeEvent(&extension->Dismissed, NotificationEvent, FALSE);
    KeInitializeMutex(&extension->Hiring, 0);
    ExInitializeFastMutex(&extension->ShelfLock);
    extension->Shelf = ExAllocatePoolWithTag(PagedPool, SHELF_ROOM * sizeof(COURIER_RECEIPT), TAG_SHELF);
    status = extension->Shelf == NULL ? STATUS_INSUFFICIENT_RESOURCES : IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        if (extension->Shelf != NULL) {
            ExFreePoolWithTag(extension->Shelf, TAG_SHELF);
        }
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = CourierCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = CourierCreateClose;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = CourierWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = CourierControl;
    DriverObject->DriverUnload = CourierUnload;
    device->Flags |= DO_DIRECT_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
