/*
 * Threads, APCs and work that outlives the driver. Each control code does one thing; the driver prints what happens.
 */
#include <ntddk.h>

#define CODE(function) CTL_CODE(FILE_DEVICE_UNKNOWN, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_THREAD_REQUEST CODE(0x800)   /* a thread ends while its own request pends */
#define IOCTL_GUARDED CODE(0x801)          /* waits for a request in a guarded region */
#define IOCTL_DRIVER_REFERENCE CODE(0x802) /* keeps a reference to the driver object */
#define IOCTL_LATE_WORK CODE(0x803)        /* DriverUnload leaves a work item behind */
#define IOCTL_PEND CODE(0x804)             /* pends until it is cancelled */
#define IOCTL_ANSWER CODE(0x805)           /* answers at once */
#define TAG 'erhT'

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;
static BOOLEAN LeavesWork;

static UNICODE_STRING Name = {sizeof(L"\\Device\\Threads") - sizeof(WCHAR), sizeof(L"\\Device\\Threads"), L"\\Device\\Threads"};
static UNICODE_STRING Link = {sizeof(L"\\??\\Threads") - sizeof(WCHAR), sizeof(L"\\??\\Threads"), L"\\??\\Threads"};

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI Cancel(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    DbgPrint("cancelled\n");
    Complete(irp, STATUS_CANCELLED);
}

static NTSTATUS Send(ULONG code, PKEVENT event, PIO_STATUS_BLOCK status)
{
    KeInitializeEvent(event, NotificationEvent, FALSE);
    PIRP irp = IoBuildDeviceIoControlRequest(code, Device, NULL, 0, NULL, 0, FALSE, event, status);
    return irp == NULL ? STATUS_INSUFFICIENT_RESOURCES : IoCallDriver(Device, irp);
}

/* Sends a request that pends and ends: what stands for it is in pool, which stays until the driver goes. */
static struct {
    KEVENT Event;
    IO_STATUS_BLOCK Status;
} Pending;

static VOID NTAPI Requester(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    NTSTATUS status = Send(IOCTL_PEND, &Pending.Event, &Pending.Status);
    DbgPrint("pends %x\n", status);
}

static NTSTATUS ThreadRequest(void)
{
    HANDLE handle;
    PVOID thread;
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Requester, NULL);
    if (!NT_SUCCESS(status))
        return status;
    ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &thread, NULL);
    ZwClose(handle);
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(thread);
    DbgPrint("ended, %x\n", Pending.Status.Status);
    return STATUS_SUCCESS;
}

/* The request is complete when it comes back, but its event is set by a special kernel APC. */
static NTSTATUS Guarded(void)
{
    KEVENT event;
    IO_STATUS_BLOCK block;
    LARGE_INTEGER delay;
    delay.QuadPart = -100000;
    KeEnterGuardedRegion();
    NTSTATUS sent = Send(IOCTL_ANSWER, &event, &block);
    NTSTATUS waited = KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &delay);
    KeLeaveGuardedRegion();
    DbgPrint("%x, %x, %d\n", sent, waited, (int)KeReadStateEvent(&event));
    return STATUS_SUCCESS;
}

static VOID NTAPI LateWork(PVOID context)
{
    LARGE_INTEGER delay;
    delay.QuadPart = -10000000;
    UNREFERENCED_PARAMETER(context);
    KeDelayExecutionThread(KernelMode, FALSE, &delay);
    DbgPrint("never\n");
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    UNREFERENCED_PARAMETER(device);
    if (location->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return Complete(irp, STATUS_SUCCESS);
    switch (location->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_THREAD_REQUEST:
        return Complete(irp, ThreadRequest());
    case IOCTL_GUARDED:
        return Complete(irp, Guarded());
    case IOCTL_DRIVER_REFERENCE:
        ObReferenceObject(Driver);
        return Complete(irp, STATUS_SUCCESS);
    case IOCTL_LATE_WORK:
        LeavesWork = TRUE;
        return Complete(irp, STATUS_SUCCESS);
    case IOCTL_PEND:
        IoMarkIrpPending(irp);
        IoSetCancelRoutine(irp, Cancel);
        return STATUS_PENDING;
    case IOCTL_ANSWER:
        return Complete(irp, STATUS_SUCCESS);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    if (LeavesWork) {
        PWORK_QUEUE_ITEM item = ExAllocatePoolWithTag(NonPagedPool, sizeof *item, TAG);
        ExInitializeWorkItem(item, LateWork, NULL);
        ExQueueWorkItem(item, DelayedWorkQueue);
    }
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

static VOID NTAPI Reinitialize(PDRIVER_OBJECT driver, PVOID context, ULONG count)
{
    DbgPrint("reinitialized %d\n", (int)count);
    if (count < 2)
        IoRegisterDriverReinitialization(driver, Reinitialize, context);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registryPath)
{
    UNREFERENCED_PARAMETER(registryPath);
    Driver = driver;
    NTSTATUS status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    driver->DriverUnload = Unload;
    IoRegisterDriverReinitialization(driver, Reinitialize, NULL);
    return STATUS_SUCCESS;
}
