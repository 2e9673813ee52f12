/*
 * Requests that pend, and how they end: by a timer's DPC, by their cancel routine, by IRP_MJ_CLEANUP, or never. Every
 * file has a block of pool that IRP_MJ_CLOSE frees; a thread waits until DriverUnload. The driver prints what happens.
 */
#include <ntddk.h>
#include <excpt.h>

#define CODE(function, method) CTL_CODE(FILE_DEVICE_UNKNOWN, function, method, FILE_ANY_ACCESS)
#define IOCTL_TIMED CODE(0x800, METHOD_BUFFERED)       /* completed by a DPC after a second; cannot be cancelled */
#define IOCTL_CLEANUP CODE(0x801, METHOD_BUFFERED)     /* completed by IRP_MJ_CLEANUP */
#define IOCTL_FORGOTTEN CODE(0x802, METHOD_BUFFERED)   /* never completed */
#define IOCTL_CANCELLABLE CODE(0x803, METHOD_BUFFERED) /* completed by a DPC after a second, or cancelled */
#define IOCTL_COPY CODE(0x804, METHOD_NEITHER)         /* copies input to output, probing both */
#define IOCTL_DIRECT CODE(0x805, METHOD_OUT_DIRECT)    /* copies input to the output's MDL */
#define TAG 'dneP'

typedef struct _FILE_STATE {
    KTIMER Timer;
    KDPC Dpc;
    KSPIN_LOCK Lock;
    PIRP Irp;
    BOOLEAN EndsAtCleanup;
} FILE_STATE, *PFILE_STATE;

static PDEVICE_OBJECT Device;
static PKTHREAD Thread;
static KEVENT Stop;

static UNICODE_STRING Name = {sizeof(L"\\Device\\Pending") - sizeof(WCHAR), sizeof(L"\\Device\\Pending"), L"\\Device\\Pending"};
static UNICODE_STRING Link = {sizeof(L"\\??\\Pending") - sizeof(WCHAR), sizeof(L"\\??\\Pending"), L"\\??\\Pending"};

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* Takes the request of the file, unless somebody else has it. */
static PIRP Take(PFILE_STATE state)
{
    KIRQL irql;
    KeAcquireSpinLock(&state->Lock, &irql);
    PIRP irp = state->Irp;
    if (irp != NULL && irp->CancelRoutine != NULL && IoSetCancelRoutine(irp, NULL) == NULL)
        irp = NULL; /* its cancel routine is on its way */
    if (irp != NULL)
        state->Irp = NULL;
    KeReleaseSpinLock(&state->Lock, irql);
    return irp;
}

static VOID NTAPI TimerDpc(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    PIRP irp = Take(context);
    DbgPrint("dpc %s\n", irp != NULL ? "completes" : "is late");
    if (irp != NULL)
        Complete(irp, STATUS_SUCCESS, 0);
}

static VOID NTAPI CancelRoutine(PDEVICE_OBJECT device, PIRP irp)
{
    PFILE_STATE state = IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext;
    KIRQL irql;
    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&state->Lock, &irql);
    state->Irp = NULL;
    KeReleaseSpinLock(&state->Lock, irql);
    DbgPrint("cancelled\n");
    Complete(irp, STATUS_CANCELLED, 0);
}

static NTSTATUS Pend(PFILE_STATE state, PIRP irp, ULONG code)
{
    LARGE_INTEGER second;
    second.QuadPart = -10000000;
    IoMarkIrpPending(irp);
    if (code == IOCTL_FORGOTTEN)
        return STATUS_PENDING;
    if (code == IOCTL_CANCELLABLE)
        IoSetCancelRoutine(irp, CancelRoutine);
    state->Irp = irp;
    state->EndsAtCleanup = code == IOCTL_CLEANUP;
    if (!state->EndsAtCleanup)
        KeSetTimer(&state->Timer, second, &state->Dpc);
    return STATUS_PENDING;
}

static DECLSPEC_NOINLINE NTSTATUS Copy(PVOID to, const VOID *from, ULONG bytes)
{
    NTSTATUS status = STATUS_SUCCESS;
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, bytes, TAG);
    if (block == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    __try {
        ProbeForRead((PVOID)from, bytes, 1);
        RtlMoveMemory(block, from, bytes);
        ProbeForWrite(to, bytes, 1);
        RtlMoveMemory(to, block, bytes);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = (NTSTATUS)_exception_code();
    }
    ExFreePoolWithTag(block, TAG);
    return status;
}

static NTSTATUS NTAPI Control(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG bytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    PVOID to;
    switch (code) {
    case IOCTL_TIMED:
    case IOCTL_CLEANUP:
    case IOCTL_FORGOTTEN:
    case IOCTL_CANCELLABLE:
        return Pend(stack->FileObject->FsContext, irp, code);
    case IOCTL_COPY:
        if (bytes == 0 || stack->Parameters.DeviceIoControl.OutputBufferLength < bytes)
            return Complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
        NTSTATUS status = Copy(irp->UserBuffer, stack->Parameters.DeviceIoControl.Type3InputBuffer, bytes);
        return Complete(irp, status, NT_SUCCESS(status) ? bytes : 0);
    case IOCTL_DIRECT:
        if (bytes == 0 || irp->MdlAddress == NULL || MmGetMdlByteCount(irp->MdlAddress) < bytes)
            return Complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
        to = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
        if (to == NULL)
            return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
        RtlMoveMemory(to, irp->AssociatedIrp.SystemBuffer, bytes);
        return Complete(irp, STATUS_SUCCESS, bytes);
    }
    return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

static NTSTATUS NTAPI Create(PDEVICE_OBJECT device, PIRP irp)
{
    PFILE_STATE state = ExAllocatePoolWithTag(NonPagedPool, sizeof(FILE_STATE), TAG);
    if (state == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    KeInitializeTimer(&state->Timer);
    KeInitializeDpc(&state->Dpc, TimerDpc, state);
    KeInitializeSpinLock(&state->Lock);
    state->Irp = NULL;
    state->EndsAtCleanup = FALSE;
    IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext = state;
    DbgPrint("create\n");
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Cleanup(PDEVICE_OBJECT device, PIRP irp)
{
    PFILE_STATE state = IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext;
    PIRP pending = state->EndsAtCleanup ? Take(state) : NULL;
    DbgPrint("cleanup\n");
    if (pending != NULL)
        Complete(pending, STATUS_CANCELLED, 0);
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Close(PDEVICE_OBJECT device, PIRP irp)
{
    PFILE_STATE state = IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext;
    DbgPrint("close\n");
    KeCancelTimer(&state->Timer);
    ExFreePoolWithTag(state, TAG);
    return Complete(irp, STATUS_SUCCESS, 0);
}

static VOID NTAPI ThreadRoutine(PVOID context)
{
    KeWaitForSingleObject(&Stop, Executive, KernelMode, FALSE, NULL);
    DbgPrint("thread ends\n");
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    DbgPrint("unload\n");
    KeSetEvent(&Stop, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Thread);
    DbgPrint("unloaded\n");
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    HANDLE handle;
    NTSTATUS status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    KeInitializeEvent(&Stop, NotificationEvent, FALSE);
    if (NT_SUCCESS(status))
        status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, ThreadRoutine, NULL);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, (PVOID *)&Thread, NULL);
    ZwClose(handle);
    driver->MajorFunction[IRP_MJ_CREATE] = Create;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Cleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = Close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
