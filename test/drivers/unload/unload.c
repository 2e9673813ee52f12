/*
 * What a driver can leave behind when it is unloaded: something that will still run (threads, timers, DPCs, work items),
 * references and handles. One control code for each.
 */
#include <ntifs.h>

#define CODE(function) CTL_CODE(FILE_DEVICE_UNKNOWN, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_THREAD_LATE CODE(0x800)         /* a thread that goes on after the unload */
#define IOCTL_THREAD_FOREVER CODE(0x801)      /* a thread that waits for ever */
#define IOCTL_TIMER CODE(0x802)               /* a timer that stays set */
#define IOCTL_TIMER_IN_POOL CODE(0x803)       /* the same, in pool that nobody counts; the DPC's routine is here */
#define IOCTL_WORK_ITEM CODE(0x804)           /* a work item that ends after DriverUnload, and frees everything: right */
#define IOCTL_PROCESS CODE(0x805)             /* a reference to a process */
#define IOCTL_THREAD CODE(0x806)              /* a reference to a thread */
#define IOCTL_EVENT CODE(0x807)               /* a handle */
#define IOCTL_NAMED_EVENT CODE(0x808)         /* a handle */
#define IOCTL_FILE CODE(0x809)                /* a reference to a file object of its own device */
#define IOCTL_TIMER_LOST CODE(0x80a)          /* a timer with a DPC that is nowhere */
#define IOCTL_DELETED_TWICE CODE(0x80b)       /* a device that is deleted twice */
#define IOCTL_FILE_TWICE CODE(0x80c)          /* references to the file that are others' are dropped */
/* METHOD_NEITHER: the user's buffer is written by a system worker thread (1: memcpy, 2: locks it), or by a DPC. */
#define IOCTL_USER_WORKER CTL_CODE(FILE_DEVICE_UNKNOWN, 0x80d, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_USER_COPY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x80e, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_USER_LOCK CTL_CODE(FILE_DEVICE_UNKNOWN, 0x80f, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_USER_DPC CTL_CODE(FILE_DEVICE_UNKNOWN, 0x810, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_FOREIGN_HANDLE CODE(0x811)      /* a handle of the caller's process, closed in DriverUnload: nobody's there */
#define TAG 'dlnU'

static PDEVICE_OBJECT Device;
static KEVENT Never;
static KTIMER Timer;
static KDPC Dpc;
static struct { KTIMER Timer; KDPC Dpc; } *Outside;
static PIO_WORKITEM Item;
static HANDLE Foreign;
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Unload");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Unload");

static void Sleep(LONG seconds)
{
    LARGE_INTEGER time;
    time.QuadPart = seconds * -10000000LL;
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}

static void NTAPI Late(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Sleep(5);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void NTAPI Forever(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static void NTAPI Tick(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
}

static void NTAPI Work(PDEVICE_OBJECT device, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    Sleep(2);
    DbgPrint("work item ends\n");
    ExFreePoolWithTag(context, TAG);
    IoFreeWorkItem(Item);
}

static PIRP Pending;

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static void NTAPI TouchUser(PDEVICE_OBJECT device, PVOID context)
{
    ULONG code = (ULONG)(ULONG_PTR)context;
    ULONG value = 1;
    PMDL mdl;
    UNREFERENCED_PARAMETER(device);
    if (code == IOCTL_USER_WORKER) *(volatile ULONG *)Pending->UserBuffer = value;
    if (code == IOCTL_USER_COPY) RtlCopyMemory(Pending->UserBuffer, &value, sizeof value);
    if (code == IOCTL_USER_LOCK) {
        mdl = IoAllocateMdl(Pending->UserBuffer, sizeof value, FALSE, FALSE, NULL);
        MmProbeAndLockPages(mdl, UserMode, IoWriteAccess);
        MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
    IoFreeWorkItem(Item);
    Complete(Pending, STATUS_SUCCESS);
}

static void NTAPI TouchUserInDpc(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    *(volatile ULONG *)Pending->UserBuffer = 1;
    Complete(Pending, STATUS_SUCCESS);
}

static NTSTATUS Pend(PIRP irp, ULONG code)
{
    LARGE_INTEGER due;
    Pending = irp;
    IoMarkIrpPending(irp);
    if (code == IOCTL_USER_DPC) {
        due.QuadPart = -10000;
        KeInitializeTimer(&Timer);
        KeInitializeDpc(&Dpc, TouchUserInDpc, NULL);
        KeSetTimer(&Timer, due, &Dpc);
    } else {
        Item = IoAllocateWorkItem(Device);
        IoQueueWorkItem(Item, TouchUser, DelayedWorkQueue, (PVOID)(ULONG_PTR)code);
    }
    return STATUS_PENDING;
}

static NTSTATUS StartThread(PKSTART_ROUTINE routine)
{
    HANDLE thread;
    NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, NULL);
    if (NT_SUCCESS(status)) ZwClose(thread);
    return status;
}

static void SetTimer(PKTIMER timer, PKDPC dpc)
{
    LARGE_INTEGER due;
    due.QuadPart = -10000000LL;
    KeInitializeTimer(timer);
    KeInitializeDpc(dpc, Tick, NULL);
    KeSetTimerEx(timer, due, 1000, dpc);
}

static NTSTATUS Leave(ULONG code, PFILE_OBJECT opened)
{
    LARGE_INTEGER due;
    UNICODE_STRING event = RTL_CONSTANT_STRING(L"\\BaseNamedObjects\\Unload");
    OBJECT_ATTRIBUTES attributes;
    PEPROCESS process;
    PETHREAD thread;
    HANDLE handle;
    PHYSICAL_ADDRESS highest;
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;

    switch (code) {
    case IOCTL_THREAD_LATE:
        return StartThread(Late);
    case IOCTL_THREAD_FOREVER:
        return StartThread(Forever);
    case IOCTL_TIMER:
        SetTimer(&Timer, &Dpc);
        return STATUS_SUCCESS;
    case IOCTL_TIMER_IN_POOL:
        highest.QuadPart = -1;
        Outside = MmAllocateContiguousMemory(sizeof *Outside, highest);
        SetTimer(&Outside->Timer, &Outside->Dpc);
        return STATUS_SUCCESS;
    case IOCTL_WORK_ITEM:
        Item = IoAllocateWorkItem(Device);
        IoQueueWorkItem(Item, Work, DelayedWorkQueue, ExAllocatePoolWithTag(NonPagedPoolNx, 100, TAG));
        return STATUS_SUCCESS;
    case IOCTL_PROCESS:
        return PsLookupProcessByProcessId(PsGetCurrentProcessId(), &process);
    case IOCTL_THREAD:
        return PsLookupThreadByThreadId(PsGetCurrentThreadId(), &thread);
    case IOCTL_EVENT:
        InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
        return ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE);
    case IOCTL_FOREIGN_HANDLE:
        InitializeObjectAttributes(&attributes, NULL, 0, NULL, NULL);
        return ZwCreateEvent(&Foreign, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE);
    case IOCTL_NAMED_EVENT:
        return IoCreateNotificationEvent(&event, &handle) == NULL ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
    case IOCTL_FILE:
        return IoGetDeviceObjectPointer(&Name, FILE_READ_DATA, &file, &device);
    case IOCTL_TIMER_LOST:
        due.QuadPart = -10000;
        KeInitializeTimer(&Timer);
        KeSetTimer(&Timer, due, (PKDPC)0x1234);
        KeWaitForSingleObject(&Timer, Executive, KernelMode, FALSE, NULL);
        return STATUS_SUCCESS;
    case IOCTL_DELETED_TWICE:
        IoCreateDevice(Device->DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
        IoDeleteDevice(device);
        IoDeleteDevice(device);
        return STATUS_SUCCESS;
    case IOCTL_FILE_TWICE:
        ObDereferenceObject(opened);
        ObDereferenceObject(opened);
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    ULONG code = location->Parameters.DeviceIoControl.IoControlCode;
    UNREFERENCED_PARAMETER(device);
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL) {
        if (METHOD_FROM_CTL_CODE(code) == METHOD_NEITHER) return Pend(irp, code);
        status = Leave(code, location->FileObject);
    }
    return Complete(irp, status);
}

static void NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    if (Foreign != NULL) ZwClose(Foreign);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registryPath)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(registryPath);
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status)) return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
