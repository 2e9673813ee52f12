/*
 * A watcher: programs subscribe to topics and publish to them. A topic is a callback object of the system, which the driver
 * creates when it is first subscribed to; what is published is kept for the subscribers, the last four of each topic, in a
 * ring that the callback routine fills.
 *
 * The leak: a program that subscribes to a topic again has its ring made anew, and the registration with it; the ones
 * before are forgotten: the ring, the registration, and the reference to the callback object.
 */
#include "sample.h"

#define TAG_RING 'gniR' /* Ring */

#define TOPICS 3
#define RING_ROOM 4

#define IOCTL_WATCHER_SUBSCRIBE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x960, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_WATCHER_CANCEL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x961, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_WATCHER_PUBLISH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x962, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_WATCHER_FETCH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x963, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define CALLBACK_NAME L"\\Callback\\LeakyWatcher0"
#define CALLBACK_NAME_CHARACTERS (sizeof(CALLBACK_NAME) / sizeof(WCHAR) - 1)

typedef struct _WATCHER_RING {
    KSPIN_LOCK Lock;
    ULONG Count;
    ULONG First;
    ULONG Values[RING_ROOM];
} WATCHER_RING, *PWATCHER_RING;
C_ASSERT(sizeof(WATCHER_RING) == 32);

typedef struct _WATCHER_TOPIC {
    PCALLBACK_OBJECT Object;
    PVOID Registration;
    PWATCHER_RING Ring;
} WATCHER_TOPIC, *PWATCHER_TOPIC;

typedef struct _WATCHER_EXTENSION {
    FAST_MUTEX Mutex;
    WATCHER_TOPIC Topics[TOPICS];
} WATCHER_EXTENSION, *PWATCHER_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD WatcherUnload;
static DRIVER_DISPATCH WatcherCreateClose;
static DRIVER_DISPATCH WatcherControl;

/* Somebody published a value: it goes to the ring, and the oldest one out of a full ring. */
static VOID NTAPI WatcherHear(PVOID CallbackContext, PVOID Argument1, PVOID Argument2)
{
    PWATCHER_RING ring = CallbackContext;
    KIRQL irql;

    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLock(&ring->Lock, &irql);
    ring->Values[(ring->First + ring->Count) % RING_ROOM] = (ULONG)(ULONG_PTR)Argument1;
    if (ring->Count < RING_ROOM) {
        ring->Count++;
    } else {
        ring->First = (ring->First + 1) % RING_ROOM;
    }
    KeReleaseSpinLock(&ring->Lock, irql);
}

static NTSTATUS WatcherOpen(ULONG Index, BOOLEAN Create, PCALLBACK_OBJECT *Object)
{
    WCHAR buffer[] = CALLBACK_NAME;
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;

    buffer[CALLBACK_NAME_CHARACTERS - 1] = (WCHAR)(L'0' + Index);
    RtlInitUnicodeString(&name, buffer);
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    return ExCreateCallback(Object, &attributes, Create, TRUE); // leak[again]: kind=reference count=1 name=Callback \Callback\LeakyWatcher2
}

static VOID WatcherCancel(PWATCHER_TOPIC Topic)
{
    if (Topic->Registration != NULL) {
        ExUnregisterCallback(Topic->Registration);
        ObDereferenceObject(Topic->Object);
        ExFreePoolWithTag(Topic->Ring, TAG_RING);
        RtlZeroMemory(Topic, sizeof(*Topic));
    }
}

static NTSTATUS WatcherSubscribe(PWATCHER_TOPIC Topic, ULONG Index)
{
    WATCHER_TOPIC topic;

    topic.Ring = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*topic.Ring), TAG_RING); // leak[again]: tag=Ring bytes=32 count=1 pool=NonPagedPoolNx
    if (topic.Ring == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(topic.Ring, sizeof(*topic.Ring));
    KeInitializeSpinLock(&topic.Ring->Lock);
    NTSTATUS status = WatcherOpen(Index, TRUE, &topic.Object);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(topic.Ring, TAG_RING);
        return status;
    }
    topic.Registration = ExRegisterCallback(topic.Object, WatcherHear, topic.Ring); // leak[again]: kind=callback name=ExRegisterCallback count=1
    if (topic.Registration == NULL) {
        ObDereferenceObject(topic.Object);
        ExFreePoolWithTag(topic.Ring, TAG_RING);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *Topic = topic;
    return STATUS_SUCCESS;
}

/* Tells whoever subscribed; a topic that nobody ever subscribed to has no callback object. */
static NTSTATUS WatcherPublish(ULONG Index, ULONG Value)
{
    PCALLBACK_OBJECT object;
    NTSTATUS status = WatcherOpen(Index, FALSE, &object);
    if (NT_SUCCESS(status)) {
        ExNotifyCallback(object, (PVOID)(ULONG_PTR)Value, NULL);
        ObDereferenceObject(object);
    }
    return status;
}

static ULONG WatcherFetch(PWATCHER_TOPIC Topic, PULONG Values, ULONG Room)
{
    PWATCHER_RING ring = Topic->Ring;
    ULONG count = 0;
    KIRQL irql;

    if (ring == NULL) {
        return 0;
    }
    KeAcquireSpinLock(&ring->Lock, &irql);
    for (; count < Room && ring->Count > 0; ring->Count--) {
        Values[count++] = ring->Values[ring->First];
        ring->First = (ring->First + 1) % RING_ROOM;
    }
    KeReleaseSpinLock(&ring->Lock, irql);
    return count * sizeof(ULONG);
}

static NTSTATUS WatcherControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PWATCHER_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength / sizeof(ULONG);
    PULONG buffer = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG bytes = 0;

    if (code < IOCTL_WATCHER_SUBSCRIBE || code > IOCTL_WATCHER_FETCH) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (inputBytes < (code == IOCTL_WATCHER_PUBLISH ? 2 : 1) * sizeof(ULONG)) {
        return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    if (buffer[0] >= TOPICS) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    PWATCHER_TOPIC topic = &extension->Topics[buffer[0]];
    if (code == IOCTL_WATCHER_PUBLISH) {
        return SampleComplete(Irp, WatcherPublish(buffer[0], buffer[1]), 0);
    }
    ExAcquireFastMutex(&extension->Mutex);
    if (code == IOCTL_WATCHER_SUBSCRIBE) {
        status = WatcherSubscribe(topic, buffer[0]);
    } else if (code == IOCTL_WATCHER_CANCEL) {
        WatcherCancel(topic);
    } else {
        bytes = WatcherFetch(topic, buffer, room);
    }
    ExReleaseFastMutex(&extension->Mutex);
    return SampleComplete(Irp, status, bytes);
}

static NTSTATUS WatcherCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID WatcherUnload(PDRIVER_OBJECT DriverObject)
{
    PWATCHER_EXTENSION extension = DriverObject->DeviceObject->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyWatcher");

    IoDeleteSymbolicLink(&link);
    for (ULONG i = 0; i < TOPICS; i++) {
        WatcherCancel(&extension->Topics[i]);
    }
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyWatcher");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyWatcher");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(WATCHER_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    ExInitializeFastMutex(&((PWATCHER_EXTENSION)device->DeviceExtension)->Mutex);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = WatcherCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = WatcherCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = WatcherControl;
    DriverObject->DriverUnload = WatcherUnload;
    return STATUS_SUCCESS;
}
