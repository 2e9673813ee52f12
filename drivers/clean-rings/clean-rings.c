/*
 * Queues of a network adapter, without the adapter: per handle a ring of descriptors, its packet buffers and a ring of
 * completions in physically contiguous memory, below what the device can address, and a noncached page of doorbells.
 * Frames are submitted through METHOD_IN_DIRECT and reaped again with a checksum; a DPC plays the hardware.
 *
 * However far the setting up got, one routine takes it down.
 */
#include "newer.h"

#define TAG_QUEUE 'uQgR' /* RgQu */

#define MAX_ENTRIES 256
#define MAX_BUFFER_BYTES 4096
#define DESCRIPTOR_OWNED 0x80000000

#define IOCTL_RINGS_CONFIGURE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x920, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_RINGS_SUBMIT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x921, METHOD_IN_DIRECT, FILE_ANY_ACCESS)
#define IOCTL_RINGS_REAP CTL_CODE(FILE_DEVICE_UNKNOWN, 0x922, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _RINGS_CONFIGURATION {
    ULONG Entries;
    ULONG BufferBytes;
    ULONG AddressBits;
} RINGS_CONFIGURATION, *PRINGS_CONFIGURATION;

/* As the hardware reads it. */
typedef struct _RINGS_DESCRIPTOR {
    ULONG64 Address;
    ULONG Bytes;
    ULONG Flags;
} RINGS_DESCRIPTOR, *PRINGS_DESCRIPTOR;
C_ASSERT(sizeof(RINGS_DESCRIPTOR) == 16);

/* As the hardware writes it. */
typedef struct _RINGS_COMPLETION {
    ULONG Slot;
    ULONG Checksum;
} RINGS_COMPLETION, *PRINGS_COMPLETION;
C_ASSERT(sizeof(RINGS_COMPLETION) == 8);

typedef struct _RINGS_DOORBELLS {
    volatile ULONG Submitted;
    volatile ULONG Completed;
} RINGS_DOORBELLS, *PRINGS_DOORBELLS;

typedef struct _RINGS_MEMORY {
    ULONG Entries;
    ULONG BufferBytes;
    PRINGS_DESCRIPTOR Descriptors;
    PUCHAR Buffers;
    PRINGS_COMPLETION Completions;
    PRINGS_DOORBELLS Doorbells;
} RINGS_MEMORY, *PRINGS_MEMORY;

typedef struct _RINGS_QUEUE {
    KSPIN_LOCK Lock;
    KDPC Hardware;
    RINGS_MEMORY Memory;
    ULONG Reaped;
} RINGS_QUEUE, *PRINGS_QUEUE;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD RingsUnload;
static DRIVER_DISPATCH RingsCreate;
static DRIVER_DISPATCH RingsClose;
static DRIVER_DISPATCH RingsControl;

/* What the adapter would do when its doorbell rings. */
static VOID NTAPI RingsHardware(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PRINGS_QUEUE queue = Context;
    PRINGS_MEMORY memory = &queue->Memory;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLockAtDpcLevel(&queue->Lock);
    while (memory->Doorbells != NULL && memory->Doorbells->Completed != memory->Doorbells->Submitted) {
        ULONG slot = memory->Doorbells->Completed % memory->Entries;
        PUCHAR bytes = memory->Buffers + slot * memory->BufferBytes;
        ULONG checksum = 0;
        for (ULONG i = 0; i < memory->Descriptors[slot].Bytes; i++) {
            checksum = checksum * 31 + bytes[i];
        }
        memory->Descriptors[slot].Flags &= ~DESCRIPTOR_OWNED;
        memory->Completions[slot].Slot = slot;
        memory->Completions[slot].Checksum = checksum;
        memory->Doorbells->Completed++;
    }
    KeReleaseSpinLockFromDpcLevel(&queue->Lock);
}

static VOID RingsFree(PRINGS_MEMORY Memory)
{
    if (Memory->Completions != NULL) {
        MmFreeContiguousMemory(Memory->Completions);
    }
    if (Memory->Buffers != NULL) {
        MmFreeContiguousMemorySpecifyCache(Memory->Buffers, Memory->Entries * Memory->BufferBytes, MmNonCached);
    }
    if (Memory->Descriptors != NULL) {
        MmFreeContiguousMemorySpecifyCache(Memory->Descriptors, Memory->Entries * sizeof(RINGS_DESCRIPTOR), MmCached);
    }
    if (Memory->Doorbells != NULL) {
        MmFreeNonCachedMemory(Memory->Doorbells, PAGE_SIZE);
    }
    RtlZeroMemory(Memory, sizeof(*Memory));
}

static NTSTATUS RingsAllocate(PRINGS_MEMORY Memory, const RINGS_CONFIGURATION *Configuration)
{
    PHYSICAL_ADDRESS lowest = {.QuadPart = 0};
    PHYSICAL_ADDRESS below4G = {.QuadPart = 0xFFFFFFFF};
    PHYSICAL_ADDRESS boundary = {.QuadPart = 0};
    PHYSICAL_ADDRESS highest;
    ULONG entries = Configuration->Entries;

    highest.QuadPart = Configuration->AddressBits >= 63 ? MAXLONGLONG : (1LL << Configuration->AddressBits) - 1;
    RtlZeroMemory(Memory, sizeof(*Memory));
    Memory->Entries = entries;
    Memory->BufferBytes = Configuration->BufferBytes;

    /* The engine that fetches descriptors takes 32 bits, whatever the packets may have. */
    Memory->Descriptors = MmAllocateContiguousMemorySpecifyCache(entries * sizeof(RINGS_DESCRIPTOR), lowest, below4G, boundary, MmCached);
    if (Memory->Descriptors == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Memory->Buffers = MmAllocateContiguousMemorySpecifyCacheNode(entries * Memory->BufferBytes, lowest, highest, boundary,
                                                                 MmNonCached, MM_ANY_NODE_OK);
    if (Memory->Buffers == NULL) {
        RingsFree(Memory);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Memory->Completions = MmAllocateContiguousNodeMemory(entries * sizeof(RINGS_COMPLETION), lowest, below4G, boundary,
                                                         PAGE_READWRITE | PAGE_NOCACHE, MM_ANY_NODE_OK);
    if (Memory->Completions == NULL) {
        RingsFree(Memory);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Memory->Doorbells = MmAllocateNonCachedMemory(PAGE_SIZE);
    if (Memory->Doorbells == NULL) {
        RingsFree(Memory);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(Memory->Doorbells, PAGE_SIZE);
    RtlZeroMemory(Memory->Completions, entries * sizeof(RINGS_COMPLETION));
    for (ULONG i = 0; i < entries; i++) {
        Memory->Descriptors[i].Address = MmGetPhysicalAddress(Memory->Buffers + i * Memory->BufferBytes).QuadPart;
        Memory->Descriptors[i].Bytes = 0;
        Memory->Descriptors[i].Flags = 0;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS RingsConfigure(PRINGS_QUEUE Queue, const RINGS_CONFIGURATION *Configuration, ULONG InputBytes)
{
    RINGS_MEMORY memory, previous;
    KIRQL irql;

    if (InputBytes < sizeof(*Configuration)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (Configuration->Entries == 0 || Configuration->Entries > MAX_ENTRIES || Configuration->BufferBytes == 0 ||
        Configuration->BufferBytes > MAX_BUFFER_BYTES || Configuration->AddressBits == 0 ||
        Configuration->AddressBits > 64) {
        return STATUS_INVALID_PARAMETER;
    }
    NTSTATUS status = RingsAllocate(&memory, Configuration);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    KeAcquireSpinLock(&Queue->Lock, &irql);
    previous = Queue->Memory;
    Queue->Memory = memory;
    Queue->Reaped = 0;
    KeReleaseSpinLock(&Queue->Lock, irql);
    RingsFree(&previous);
    return STATUS_SUCCESS;
}

static NTSTATUS RingsSubmit(PRINGS_QUEUE Queue, PMDL Mdl)
{
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    if (Mdl == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    PUCHAR frame = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (frame == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    KeAcquireSpinLock(&Queue->Lock, &irql);
    PRINGS_MEMORY memory = &Queue->Memory;
    if (memory->Doorbells == NULL) {
        status = STATUS_DEVICE_NOT_READY;
    } else if (MmGetMdlByteCount(Mdl) > memory->BufferBytes) {
        status = STATUS_INVALID_BUFFER_SIZE;
    } else if (memory->Doorbells->Submitted - Queue->Reaped == memory->Entries) {
        status = STATUS_DEVICE_BUSY;
    } else {
        ULONG slot = memory->Doorbells->Submitted % memory->Entries;
        RtlCopyMemory(memory->Buffers + slot * memory->BufferBytes, frame, MmGetMdlByteCount(Mdl));
        memory->Descriptors[slot].Bytes = MmGetMdlByteCount(Mdl);
        memory->Descriptors[slot].Flags = DESCRIPTOR_OWNED;
        /* Also the barrier between the descriptor and its doorbell. */
        InterlockedIncrement((volatile LONG *)&memory->Doorbells->Submitted);
    }
    KeReleaseSpinLock(&Queue->Lock, irql);
    if (NT_SUCCESS(status)) {
        KeInsertQueueDpc(&Queue->Hardware, NULL, NULL);
    }
    return status;
}

/* Hands out what is completed, oldest first. */
static NTSTATUS RingsReap(PRINGS_QUEUE Queue, PRINGS_COMPLETION Completions, ULONG OutputBytes, PULONG_PTR Information)
{
    ULONG room = OutputBytes / sizeof(RINGS_COMPLETION);
    NTSTATUS status = STATUS_SUCCESS;
    ULONG count = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Queue->Lock, &irql);
    PRINGS_MEMORY memory = &Queue->Memory;
    if (memory->Doorbells == NULL) {
        status = STATUS_DEVICE_NOT_READY;
    } else {
        while (count < room && Queue->Reaped != memory->Doorbells->Completed) {
            Completions[count++] = memory->Completions[Queue->Reaped % memory->Entries];
            Queue->Reaped++;
        }
    }
    KeReleaseSpinLock(&Queue->Lock, irql);
    *Information = count * sizeof(RINGS_COMPLETION);
    return status;
}

static NTSTATUS RingsControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PRINGS_QUEUE queue = stack->FileObject->FsContext;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG_PTR information = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_RINGS_CONFIGURE:
        status = RingsConfigure(queue, buffer, stack->Parameters.DeviceIoControl.InputBufferLength);
        break;
    case IOCTL_RINGS_SUBMIT:
        status = RingsSubmit(queue, Irp->MdlAddress);
        break;
    case IOCTL_RINGS_REAP:
        status = RingsReap(queue, buffer, stack->Parameters.DeviceIoControl.OutputBufferLength, &information);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS RingsCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    PRINGS_QUEUE queue = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(RINGS_QUEUE), TAG_QUEUE);
    if (queue == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    KeInitializeSpinLock(&queue->Lock);
    KeInitializeDpc(&queue->Hardware, RingsHardware, queue);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = queue;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS RingsClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PRINGS_QUEUE queue = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    UNREFERENCED_PARAMETER(DeviceObject);
    KeRemoveQueueDpc(&queue->Hardware);
    KeFlushQueuedDpcs();
    RingsFree(&queue->Memory);
    ExFreePoolWithTag(queue, TAG_QUEUE);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID RingsUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanRings");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanRings");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanRings");
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
    DriverObject->MajorFunction[IRP_MJ_CREATE] = RingsCreate;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = RingsClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = RingsControl;
    DriverObject->DriverUnload = RingsUnload;
    return STATUS_SUCCESS;
}
