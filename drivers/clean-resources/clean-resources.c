/*
 * Takes one resource of each kind that a driver can hold, each on a control code of its own (function 0x860 and up, in
 * the order of Routines[]), and gives it back by the ways there are: in the thread, work item, completion routine or I/O
 * manager that is done with it. The input is how often: {ULONG Count; ULONG Unused; HANDLE Event}, Event only where it
 * is used.
 */
#include "sample.h"

#define TAG_BUFFER 'fBsR' /* RsBf */

#define FIRST_FUNCTION 0x860
#define MAX_COUNT 64

#define IOCTL_RESOURCES_NOTHING CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8FF, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _RESOURCE_INPUT {
    ULONG Count;
    ULONG Unused;
    HANDLE Event;
} RESOURCE_INPUT, *PRESOURCE_INPUT;

typedef struct _RESOURCE_CALL {
    PDEVICE_OBJECT DeviceObject;
    HANDLE Event;
    ULONG Round;
} RESOURCE_CALL, *PRESOURCE_CALL;

typedef NTSTATUS RESOURCE_ROUTINE(PRESOURCE_CALL Call);

/* What a work item or a thread gets and gives back. */
typedef struct _RESOURCE_TASK {
    KEVENT Done;
    PIO_WORKITEM Item;
    PMDL Mdl;
} RESOURCE_TASK, *PRESOURCE_TASK;

/* <ntifs.h> */
NTKERNELAPI NTSTATUS NTAPI ObOpenObjectByPointer(PVOID Object, ULONG HandleAttributes, PACCESS_STATE PassedAccessState,
                                                 ACCESS_MASK DesiredAccess, POBJECT_TYPE ObjectType,
                                                 KPROCESSOR_MODE AccessMode, PHANDLE Handle);

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD ResourcesUnload;
static DRIVER_DISPATCH ResourcesCreateClose;
static DRIVER_DISPATCH ResourcesControl;

static VOID WaitFor(PVOID Object)
{
    KeWaitForSingleObject(Object, Executive, KernelMode, FALSE, NULL);
}

/* 0: a thread that ends itself and is waited for. */
static VOID NTAPI ResourceThread(PVOID Context)
{
    LARGE_INTEGER pause;
    pause.QuadPart = -10000;
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    KeSetEvent(&((PRESOURCE_TASK)Context)->Done, IO_NO_INCREMENT, FALSE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS UseThreadHandle(PRESOURCE_CALL Call)
{
    RESOURCE_TASK task;
    HANDLE handle;
    PVOID thread;

    UNREFERENCED_PARAMETER(Call);
    KeInitializeEvent(&task.Done, NotificationEvent, FALSE);
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL, ResourceThread, &task);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ObReferenceObjectByHandle(handle, SYNCHRONIZE, *PsThreadType, KernelMode, &thread, NULL);
    if (NT_SUCCESS(status)) {
        WaitFor(thread);
        ObDereferenceObject(thread);
    } else {
        WaitFor(&task.Done);
    }
    ZwClose(handle);
    return status;
}

/* 1: a kernel handle to the caller's event. */
static NTSTATUS UseKernelHandle(PRESOURCE_CALL Call)
{
    PKEVENT event;
    HANDLE handle;

    NTSTATUS status = ObReferenceObjectByHandle(Call->Event, EVENT_MODIFY_STATE, *ExEventObjectType, UserMode, (PVOID *)&event, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ObOpenObjectByPointer(event, OBJ_KERNEL_HANDLE, NULL, EVENT_ALL_ACCESS, *ExEventObjectType, KernelMode, &handle);
    ObDereferenceObject(event);
    if (NT_SUCCESS(status)) {
        status = ZwClose(handle);
    }
    return status;
}

/* 2: the caller's event, by its handle. */
static NTSTATUS UseEventReference(PRESOURCE_CALL Call)
{
    PKEVENT event;

    NTSTATUS status = ObReferenceObjectByHandle(Call->Event, EVENT_MODIFY_STATE, *ExEventObjectType, UserMode, (PVOID *)&event, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    /* Taken twice, in two ways, and dropped as often. */
    status = ObReferenceObjectByHandle(Call->Event, EVENT_MODIFY_STATE, *ExEventObjectType, UserMode, (PVOID *)&event, NULL);
    ObReferenceObject(event);
    ObDereferenceObject(event);
    ObDereferenceObject(event);
    ObDereferenceObject(event);
    return status;
}

/* 3: the running process, by its address. */
static NTSTATUS UseProcessReference(PRESOURCE_CALL Call)
{
    PEPROCESS process = PsGetCurrentProcess();

    UNREFERENCED_PARAMETER(Call);
    NTSTATUS status = ObReferenceObjectByPointer(process, 0, *PsProcessType, KernelMode);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    ObReferenceObject(process);
    ObDereferenceObject(process);
    ObDereferenceObject(process);
    return STATUS_SUCCESS;
}

/* 4: physically contiguous memory. */
static NTSTATUS UseContiguousMemory(PRESOURCE_CALL Call)
{
    PHYSICAL_ADDRESS highest;

    UNREFERENCED_PARAMETER(Call);
    highest.QuadPart = 0xFFFFFFFF;
    PVOID memory = MmAllocateContiguousMemory(5000, highest);
    if (memory == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(memory, 5000);
    MmFreeContiguousMemory(memory);
    return STATUS_SUCCESS;
}

/* 5: memory that is not cached. */
static NTSTATUS UseNonCachedMemory(PRESOURCE_CALL Call)
{
    UNREFERENCED_PARAMETER(Call);
    PVOID memory = MmAllocateNonCachedMemory(12288);
    if (memory == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(memory, 12288);
    MmFreeNonCachedMemory(memory, 12288);
    return STATUS_SUCCESS;
}

/* 6: pages without an address. */
static NTSTATUS UsePagesForMdl(PRESOURCE_CALL Call)
{
    PHYSICAL_ADDRESS lowest, highest, skip;

    UNREFERENCED_PARAMETER(Call);
    lowest.QuadPart = 0;
    highest.QuadPart = -1;
    skip.QuadPart = 0;
    PMDL mdl = MmAllocatePagesForMdl(lowest, highest, skip, 3 * PAGE_SIZE);
    if (mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PVOID mapped = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    if (mapped != NULL) {
        RtlFillMemory(mapped, MmGetMdlByteCount(mdl), (UCHAR)Call->Round);
        MmUnmapLockedPages(mapped, mdl);
    }
    MmFreePagesFromMdl(mdl);
    ExFreePool(mdl);
    return STATUS_SUCCESS;
}

/* 7: locked pages, unlocked in another thread than the one that locked them. */
static VOID NTAPI UnlockInWorker(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    PRESOURCE_TASK task = Context;
    UNREFERENCED_PARAMETER(DeviceObject);
    MmUnlockPages(task->Mdl);
    IoFreeMdl(task->Mdl);
    KeSetEvent(&task->Done, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS UseLockedPages(PRESOURCE_CALL Call)
{
    RESOURCE_TASK task;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    PVOID buffer = ExAllocatePoolWithTag(PagedPool, 6000, TAG_BUFFER);
    if (buffer == NULL) {
        return status;
    }
    KeInitializeEvent(&task.Done, NotificationEvent, FALSE);
    task.Item = IoAllocateWorkItem(Call->DeviceObject);
    task.Mdl = IoAllocateMdl(buffer, 6000, FALSE, FALSE, NULL);
    if (task.Item != NULL && task.Mdl != NULL) {
        MmProbeAndLockPages(task.Mdl, KernelMode, IoWriteAccess);
        IoQueueWorkItem(task.Item, UnlockInWorker, DelayedWorkQueue, &task);
        WaitFor(&task.Done);
        task.Mdl = NULL;
        status = STATUS_SUCCESS;
    }
    if (task.Mdl != NULL) {
        IoFreeMdl(task.Mdl);
    }
    if (task.Item != NULL) {
        IoFreeWorkItem(task.Item);
    }
    ExFreePoolWithTag(buffer, TAG_BUFFER);
    return status;
}

/* 8: a second mapping of pool. */
static NTSTATUS UseMapping(PRESOURCE_CALL Call)
{
    UNREFERENCED_PARAMETER(Call);
    PVOID buffer = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, TAG_BUFFER);
    if (buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PMDL mdl = IoAllocateMdl(buffer, PAGE_SIZE, FALSE, FALSE, NULL);
    if (mdl != NULL) {
        MmBuildMdlForNonPagedPool(mdl);
        PVOID mapped = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
        if (mapped != NULL) {
            RtlFillMemory(mapped, PAGE_SIZE, 0x5A);
            MmUnmapLockedPages(mapped, mdl);
        }
        IoFreeMdl(mdl);
    }
    ExFreePoolWithTag(buffer, TAG_BUFFER);
    return mdl == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

/* 9: the registers of a device. */
static NTSTATUS UseIoSpace(PRESOURCE_CALL Call)
{
    PHYSICAL_ADDRESS address;

    UNREFERENCED_PARAMETER(Call);
    address.QuadPart = 0xFEB00010;
    PULONG registers = MmMapIoSpace(address, 4096, MmNonCached);
    if (registers == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    WRITE_REGISTER_ULONG(registers, 1);
    MmUnmapIoSpace(registers, 4096);
    return STATUS_SUCCESS;
}

/* 10: an MDL that describes the caller's thread stack. */
static NTSTATUS UseMdl(PRESOURCE_CALL Call)
{
    ULONG local[16];

    UNREFERENCED_PARAMETER(Call);
    PMDL mdl = IoAllocateMdl(local, sizeof(local), FALSE, FALSE, NULL);
    if (mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmProbeAndLockPages(mdl, KernelMode, IoReadAccess);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

/* 11: an IRP of the driver's own, sent to its own device and freed when it comes back. */
static NTSTATUS NTAPI OwnIrpCompleted(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    IoFreeIrp(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS UseIrp(PRESOURCE_CALL Call)
{
    KEVENT done;

    PIRP irp = IoAllocateIrp(Call->DeviceObject->StackSize, FALSE);
    if (irp == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = IOCTL_RESOURCES_NOTHING;
    IoSetCompletionRoutine(irp, OwnIrpCompleted, &done, TRUE, TRUE, TRUE);
    IoCallDriver(Call->DeviceObject, irp);
    WaitFor(&done);
    return STATUS_SUCCESS;
}

/* 12: a request that the I/O manager frees, with the MDL that the driver put on it. */
static NTSTATUS UseRequest(PRESOURCE_CALL Call)
{
    IO_STATUS_BLOCK iosb;
    KEVENT done;

    PVOID buffer = ExAllocatePoolWithTag(NonPagedPoolNx, 100, TAG_BUFFER);
    if (buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    PIRP irp = IoBuildDeviceIoControlRequest(IOCTL_RESOURCES_NOTHING, Call->DeviceObject, NULL, 0, NULL, 0, FALSE, &done, &iosb);
    if (irp == NULL) {
        ExFreePoolWithTag(buffer, TAG_BUFFER);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PMDL mdl = IoAllocateMdl(buffer, 100, FALSE, FALSE, irp);
    if (mdl != NULL) {
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    }
    NTSTATUS status = IoCallDriver(Call->DeviceObject, irp);
    if (status == STATUS_PENDING) {
        WaitFor(&done);
        status = iosb.Status;
    }
    ExFreePoolWithTag(buffer, TAG_BUFFER);
    return status;
}

/* 13: a work item whose routine frees it. */
static VOID NTAPI FreeInWorker(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    PRESOURCE_TASK task = Context;
    UNREFERENCED_PARAMETER(DeviceObject);
    IoFreeWorkItem(task->Item);
    KeSetEvent(&task->Done, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS UseWorkItem(PRESOURCE_CALL Call)
{
    RESOURCE_TASK task;

    KeInitializeEvent(&task.Done, NotificationEvent, FALSE);
    task.Item = IoAllocateWorkItem(Call->DeviceObject);
    if (task.Item == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoQueueWorkItem(task.Item, FreeInWorker, DelayedWorkQueue, &task);
    WaitFor(&task.Done);
    return STATUS_SUCCESS;
}

/* 14: a string that is cut before it is freed. */
static NTSTATUS UseString(PRESOURCE_CALL Call)
{
    ANSI_STRING source;
    UNICODE_STRING string;

    UNREFERENCED_PARAMETER(Call);
    RtlInitAnsiString(&source, "resources: 14");
    NTSTATUS status = RtlAnsiStringToUnicodeString(&string, &source, TRUE);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    string.Length = 9 * sizeof(WCHAR);
    RtlFreeUnicodeString(&string);
    return STATUS_SUCCESS;
}

/* 15: another name of the device. */
static NTSTATUS UseSymbolicLink(PRESOURCE_CALL Call)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanResources");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanResourcesToo");

    UNREFERENCED_PARAMETER(Call);
    NTSTATUS status = IoCreateSymbolicLink(&link, &name);
    if (NT_SUCCESS(status)) {
        UNICODE_STRING same = RTL_CONSTANT_STRING(L"\\??\\CLEANRESOURCESTOO");
        status = IoDeleteSymbolicLink(&same);
    }
    return status;
}

/* 16: another device. As long as it is there, Windows does not unload the driver. */
static NTSTATUS UseDevice(PRESOURCE_CALL Call)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanResourcesToo");
    PDEVICE_OBJECT device;

    NTSTATUS status = IoCreateDevice(Call->DeviceObject->DriverObject, 32, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (NT_SUCCESS(status)) {
        ObReferenceObject(device);
        IoDeleteDevice(device);
        ObDereferenceObject(device);
    }
    return status;
}

/* 17: pool, for comparison. */
static NTSTATUS UsePool(PRESOURCE_CALL Call)
{
    PVOID buffer = ExAllocatePoolWithTag(PagedPool, 100, TAG_BUFFER);
    if (buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlFillMemory(buffer, 100, (UCHAR)Call->Round);
    ExFreePoolWithTag(buffer, TAG_BUFFER);
    return STATUS_SUCCESS;
}

static RESOURCE_ROUTINE *const Routines[] = {
    UseThreadHandle,     UseKernelHandle, UseEventReference, UseProcessReference, UseContiguousMemory, UseNonCachedMemory,
    UsePagesForMdl,      UseLockedPages,  UseMapping,        UseIoSpace,          UseMdl,              UseIrp,
    UseRequest,          UseWorkItem,     UseString,         UseSymbolicLink,     UseDevice,           UsePool,
};

static NTSTATUS ResourcesUse(PDEVICE_OBJECT DeviceObject, ULONG Index, PRESOURCE_INPUT Input, ULONG InputBytes)
{
    RESOURCE_CALL call = {DeviceObject, NULL, 0};
    NTSTATUS status = STATUS_SUCCESS;

    if (InputBytes < sizeof(ULONG) || Input->Count > MAX_COUNT) {
        return STATUS_INVALID_PARAMETER;
    }
    ULONG count = Input->Count;
    if (InputBytes >= sizeof(*Input)) {
        call.Event = Input->Event;
    }
    while (NT_SUCCESS(status) && call.Round < count) {
        status = Routines[Index](&call);
        call.Round++;
    }
    return status;
}

static NTSTATUS NTAPI ResourcesControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG index = (code - CTL_CODE(FILE_DEVICE_UNKNOWN, FIRST_FUNCTION, METHOD_BUFFERED, FILE_ANY_ACCESS)) / 4;

    if (code == IOCTL_RESOURCES_NOTHING) {
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
    if ((code & 3) != METHOD_BUFFERED || index >= ARRAYSIZE(Routines)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    NTSTATUS status = ResourcesUse(DeviceObject, index, Irp->AssociatedIrp.SystemBuffer,
                                   stack->Parameters.DeviceIoControl.InputBufferLength);
    return SampleComplete(Irp, status, 0);
}

static NTSTATUS NTAPI ResourcesCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID NTAPI ResourcesUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanResources");
    PDEVICE_OBJECT device = DriverObject->DeviceObject;

    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanResources");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanResources");
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
    DriverObject->MajorFunction[IRP_MJ_CREATE] = ResourcesCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = ResourcesCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ResourcesControl;
    DriverObject->DriverUnload = ResourcesUnload;
    return STATUS_SUCCESS;
}
