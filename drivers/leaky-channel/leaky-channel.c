/*
 * A data channel with a context per handle: a ring of bytes that is filled through a METHOD_IN_DIRECT control code,
 * drained through a METHOD_OUT_DIRECT one, and signals an event. A METHOD_NEITHER control code transforms bytes that lie
 * anywhere in the caller's memory, which the driver probes and reads inside __try.
 *
 * Two leaks. Close frees the context but not the ring that the handle configured. And when reading the caller's memory
 * raises an exception, the handler returns its code and forgets the scratch buffer.
 */
#include "sample.h"

#define TAG_CONTEXT 'xChC' /* ChCx */
#define TAG_RING 'gRhC'    /* ChRg */
#define TAG_SCRATCH 'cShC' /* ChSc */

#define MIN_RING_BYTES 16
#define MAX_RING_BYTES 65536
#define MAX_TRANSFORM_BYTES 4096

#define IOCTL_CHANNEL_CONFIGURE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x830, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_CHANNEL_FILL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x831, METHOD_IN_DIRECT, FILE_ANY_ACCESS)
#define IOCTL_CHANNEL_DRAIN CTL_CODE(FILE_DEVICE_UNKNOWN, 0x832, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
#define IOCTL_CHANNEL_TRANSFORM CTL_CODE(FILE_DEVICE_UNKNOWN, 0x833, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_CHANNEL_WAIT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x834, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* A ring is one block: this header, then Capacity bytes. */
typedef struct _CHANNEL_RING {
    ULONG Capacity;
    ULONG Head;
    ULONG Used;
    ULONG Overruns;
    UCHAR Data[ANYSIZE_ARRAY];
} CHANNEL_RING, *PCHANNEL_RING;
C_ASSERT(FIELD_OFFSET(CHANNEL_RING, Data) == 16);

typedef struct _CHANNEL_CONTEXT {
    LIST_ENTRY Link;
    KSPIN_LOCK Lock;
    KEVENT DataReady;
    PCHANNEL_RING Ring;
    ULONG64 BytesIn;
    ULONG64 BytesOut;
} CHANNEL_CONTEXT, *PCHANNEL_CONTEXT;

typedef struct _CHANNEL_EXTENSION {
    KSPIN_LOCK Lock;
    LIST_ENTRY Contexts;
    ULONG ContextCount;
} CHANNEL_EXTENSION, *PCHANNEL_EXTENSION;

/* The input of a transform. Source 0 means that the bytes follow this header. */
typedef struct _CHANNEL_TRANSFORM {
    ULONG64 Source;
    ULONG Length;
    UCHAR Key;
    UCHAR Reserved[3];
} CHANNEL_TRANSFORM, *PCHANNEL_TRANSFORM;
C_ASSERT(sizeof(CHANNEL_TRANSFORM) == 16);

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD ChannelUnload;
static DRIVER_DISPATCH ChannelCreate;
static DRIVER_DISPATCH ChannelCleanup;
static DRIVER_DISPATCH ChannelClose;
static DRIVER_DISPATCH ChannelControl;

static inline __attribute__((always_inline)) PCHANNEL_RING ChannelAllocateRing(ULONG Capacity)
{
    PCHANNEL_RING ring;
    ring = ExAllocatePoolWithTag(NonPagedPoolNx, FIELD_OFFSET(CHANNEL_RING, Data) + Capacity, TAG_RING); // leak[transfer]: tag=ChRg bytes=272 count=1 pool=NonPagedPoolNx outer=ChannelControl
    if (ring != NULL) {
        ring->Capacity = Capacity;
        ring->Head = 0;
        ring->Used = 0;
        ring->Overruns = 0;
    }
    return ring;
}

static inline __attribute__((always_inline)) PUCHAR ChannelAllocateScratch(ULONG Bytes)
{
    return ExAllocatePoolWithTag(PagedPool, Bytes, TAG_SCRATCH); // leak[fault]: tag=ChSc bytes=112 count=2 pool=PagedPool outer=ChannelControl
}

static inline __attribute__((always_inline)) VOID ChannelRingPut(PCHANNEL_RING Ring, UCHAR Byte)
{
    if (Ring->Used == Ring->Capacity) {
        Ring->Overruns++;
        return;
    }
    Ring->Data[(Ring->Head + Ring->Used) % Ring->Capacity] = Byte;
    Ring->Used++;
}

static inline __attribute__((always_inline)) UCHAR ChannelRingTake(PCHANNEL_RING Ring)
{
    UCHAR byte = Ring->Data[Ring->Head];
    Ring->Head = (Ring->Head + 1) % Ring->Capacity;
    Ring->Used--;
    return byte;
}

static NTSTATUS ChannelConfigure(PCHANNEL_CONTEXT Context, PVOID Buffer, ULONG InputBytes)
{
    if (InputBytes < sizeof(ULONG)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    ULONG capacity = *(PULONG)Buffer;
    if (capacity < MIN_RING_BYTES || capacity > MAX_RING_BYTES) {
        return STATUS_INVALID_PARAMETER;
    }
    PCHANNEL_RING ring = ChannelAllocateRing(capacity);
    if (ring == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }

    KIRQL irql;
    KeAcquireSpinLock(&Context->Lock, &irql);
    PCHANNEL_RING previous = Context->Ring;
    Context->Ring = ring;
    KeReleaseSpinLock(&Context->Lock, irql);
    KeClearEvent(&Context->DataReady);
    if (previous != NULL) {
        ExFreePoolWithTag(previous, TAG_RING);
    }
    return STATUS_SUCCESS;
}

/* Moves bytes between the ring and the caller's locked pages. */
static NTSTATUS ChannelTransfer(PCHANNEL_CONTEXT Context, PMDL Mdl, BOOLEAN Fill, PULONG_PTR Information)
{
    if (Mdl == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    PUCHAR bytes = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (bytes == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ULONG count = MmGetMdlByteCount(Mdl);
    ULONG done = 0;
    NTSTATUS status = STATUS_SUCCESS;

    KIRQL irql;
    KeAcquireSpinLock(&Context->Lock, &irql);
    PCHANNEL_RING ring = Context->Ring;
    if (ring == NULL) {
        status = STATUS_DEVICE_NOT_READY;
    } else if (Fill) {
        for (; done < count; done++) {
            ChannelRingPut(ring, bytes[done]);
        }
        Context->BytesIn += done;
    } else {
        for (; done < count && ring->Used > 0; done++) {
            bytes[done] = ChannelRingTake(ring);
        }
        Context->BytesOut += done;
    }
    BOOLEAN ready = ring != NULL && ring->Used > 0;
    KeReleaseSpinLock(&Context->Lock, irql);

    if (ready) {
        KeSetEvent(&Context->DataReady, IO_NO_INCREMENT, FALSE);
    } else {
        KeClearEvent(&Context->DataReady);
    }
    *Information = done;
    return status;
}

/* Not inlined: inside __try, clang's scope tables cover calls and nothing between them. */
static DECLSPEC_NOINLINE VOID ChannelScramble(PUCHAR Scratch, const UCHAR *Source, ULONG Length, UCHAR Key)
{
    for (ULONG i = 0; i < Length; i++) {
        Scratch[i] = Source[i] ^ (UCHAR)(Key + i);
    }
}

static NTSTATUS ChannelTransform(PIRP Irp, PIO_STACK_LOCATION Stack, PULONG_PTR Information)
{
    PCHANNEL_TRANSFORM user = Stack->Parameters.DeviceIoControl.Type3InputBuffer;
    ULONG inputBytes = Stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = Stack->Parameters.DeviceIoControl.OutputBufferLength;
    CHANNEL_TRANSFORM request;

    if (inputBytes < sizeof(request)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    __try {
        ProbeForRead(user, inputBytes, __alignof(CHANNEL_TRANSFORM));
        RtlCopyMemory(&request, user, sizeof(request));
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    if (request.Length == 0 || request.Length > MAX_TRANSFORM_BYTES || request.Length > outputBytes ||
        (request.Source == 0 && request.Length > inputBytes - sizeof(request))) {
        return STATUS_INVALID_PARAMETER;
    }

    PUCHAR scratch = ChannelAllocateScratch(request.Length);
    if (scratch == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    const UCHAR *source = request.Source == 0 ? (const UCHAR *)(user + 1) : (const UCHAR *)(ULONG_PTR)request.Source;
    __try {
        ProbeForRead((PVOID)source, request.Length, 1);
        ChannelScramble(scratch, source, request.Length, request.Key);
        ProbeForWrite(Irp->UserBuffer, request.Length, 1);
        RtlCopyMemory(Irp->UserBuffer, scratch, request.Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    ExFreePoolWithTag(scratch, TAG_SCRATCH);
    *Information = request.Length;
    return STATUS_SUCCESS;
}

/* Waits for data, at most the milliseconds that the caller gives. */
static NTSTATUS ChannelWait(PCHANNEL_CONTEXT Context, PVOID Buffer, ULONG InputBytes)
{
    LARGE_INTEGER timeout;
    if (InputBytes < sizeof(ULONG)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    timeout.QuadPart = -10000LL * *(PULONG)Buffer;
    return KeWaitForSingleObject(&Context->DataReady, Executive, KernelMode, FALSE, &timeout);
}

static NTSTATUS ChannelControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PCHANNEL_CONTEXT context = stack->FileObject->FsContext;
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG_PTR information = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_CHANNEL_CONFIGURE:
        status = ChannelConfigure(context, buffer, inputBytes);
        break;
    case IOCTL_CHANNEL_FILL:
        status = ChannelTransfer(context, Irp->MdlAddress, TRUE, &information);
        break;
    case IOCTL_CHANNEL_DRAIN:
        status = ChannelTransfer(context, Irp->MdlAddress, FALSE, &information);
        break;
    case IOCTL_CHANNEL_TRANSFORM:
        status = ChannelTransform(Irp, stack, &information);
        break;
    case IOCTL_CHANNEL_WAIT:
        status = ChannelWait(context, buffer, inputBytes);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return SampleComplete(Irp, status, information);
}

static NTSTATUS ChannelCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PCHANNEL_EXTENSION extension = DeviceObject->DeviceExtension;
    PCHANNEL_CONTEXT context = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(CHANNEL_CONTEXT), TAG_CONTEXT);
    if (context == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    RtlZeroMemory(context, sizeof(*context));
    KeInitializeSpinLock(&context->Lock);
    KeInitializeEvent(&context->DataReady, NotificationEvent, FALSE);

    KIRQL irql;
    KeAcquireSpinLock(&extension->Lock, &irql);
    InsertTailList(&extension->Contexts, &context->Link);
    extension->ContextCount++;
    KeReleaseSpinLock(&extension->Lock, irql);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = context;
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* The last handle is gone: wake whoever waits on it. */
static NTSTATUS ChannelCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PCHANNEL_CONTEXT context = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;
    UNREFERENCED_PARAMETER(DeviceObject);
    KeSetEvent(&context->DataReady, IO_NO_INCREMENT, FALSE);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS ChannelClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PCHANNEL_EXTENSION extension = DeviceObject->DeviceExtension;
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PCHANNEL_CONTEXT context = file->FsContext;

    KIRQL irql;
    KeAcquireSpinLock(&extension->Lock, &irql);
    RemoveEntryList(&context->Link);
    extension->ContextCount--;
    KeReleaseSpinLock(&extension->Lock, irql);
    file->FsContext = NULL;
    ExFreePoolWithTag(context, TAG_CONTEXT);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID ChannelUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyChannel");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyChannel");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyChannel");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(CHANNEL_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PCHANNEL_EXTENSION extension = device->DeviceExtension;
    KeInitializeSpinLock(&extension->Lock);
    InitializeListHead(&extension->Contexts);

    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = ChannelCreate;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = ChannelCleanup;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = ChannelClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ChannelControl;
    DriverObject->DriverUnload = ChannelUnload;
    return STATUS_SUCCESS;
}
