/*
 * Pool calls that break a rule, one for each control code (function 0x8A0 and up, in the order of Calls[]). Each stops a
 * verified driver at the call.
 */
#include "sample.h"

#define TAG 'llaC' /* Call */

#define FIRST_FUNCTION 0x8A0

typedef NTSTATUS POOL_CALL(VOID);

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD CallsUnload;
static DRIVER_DISPATCH CallsCreateClose;
static DRIVER_DISPATCH CallsControl;

/* Keeps the compiler from knowing what is freed. */
static PVOID volatile Block;

FORCEINLINE NTSTATUS FreeAndReturn(PVOID Memory)
{
    if (Memory == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExFreePoolWithTag(Memory, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS AllocateNothing(VOID)
{
    return FreeAndReturn(ExAllocatePoolWithTag(NonPagedPoolNx, 0, TAG));
}

static NTSTATUS AllocatePagedHigh(VOID)
{
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Block = ExAllocatePoolWithTag(PagedPool, 40, TAG);
    KeLowerIrql(irql);
    return FreeAndReturn(Block);
}

static NTSTATUS AllocateNonPagedHigh(VOID)
{
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    Block = ExAllocatePoolWithTag(NonPagedPoolNx, 40, TAG);
    KeLowerIrql(irql);
    return FreeAndReturn(Block);
}

static NTSTATUS FreeUnknown(VOID)
{
    static UCHAR memory[64];
    Block = memory;
    return FreeAndReturn(Block);
}

static NTSTATUS FreePagedHigh(VOID)
{
    KIRQL irql;
    Block = ExAllocatePoolWithTag(PagedPool, 40, TAG);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    NTSTATUS status = FreeAndReturn(Block);
    KeLowerIrql(irql);
    return status;
}

static NTSTATUS FreeNonPagedHigh(VOID)
{
    KIRQL irql;
    Block = ExAllocatePoolWithTag(NonPagedPoolNx, 40, TAG);
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    NTSTATUS status = FreeAndReturn(Block);
    KeLowerIrql(irql);
    return status;
}

static NTSTATUS FreeTwice(VOID)
{
    Block = ExAllocatePoolWithTag(NonPagedPoolNx, 40, TAG);
    FreeAndReturn(Block);
    return FreeAndReturn(Block);
}

static NTSTATUS FreeLargeTwice(VOID)
{
    Block = ExAllocatePoolWithTag(PagedPool, 3 * PAGE_SIZE, TAG);
    FreeAndReturn(Block);
    return FreeAndReturn(Block);
}

static NTSTATUS FreeMiddle(VOID)
{
    PUCHAR bytes = ExAllocatePoolWithTag(NonPagedPoolNx, 400, TAG);
    if (bytes == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Block = bytes + 16;
    return FreeAndReturn(Block);
}

static NTSTATUS FreeWithOtherTag(VOID)
{
    PVOID memory = ExAllocatePoolWithTag(PagedPool, 40, TAG);
    if (memory == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExFreePoolWithTag(memory, 'rehO');
    return STATUS_SUCCESS;
}

static NTSTATUS AllocateWithoutTag(VOID)
{
    return FreeAndReturn(ExAllocatePoolWithTag(PagedPool, 40, 0));
}

static NTSTATUS AllocateBig(VOID)
{
    return FreeAndReturn(ExAllocatePoolWithTag(PagedPool, 40, 'BIG'));
}

static NTSTATUS AllocateWithBareTag(VOID)
{
    Block = ExAllocatePoolWithTag(PagedPool, 40, '----');
    ExFreePoolWithTag(Block, '----');
    return STATUS_SUCCESS;
}

static NTSTATUS FreeWithTimer(VOID)
{
    LARGE_INTEGER due;
    PKTIMER timer = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(KTIMER), TAG);
    if (timer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    due.QuadPart = -100000000;
    KeInitializeTimer(timer);
    KeSetTimer(timer, due, NULL);
    ExFreePoolWithTag(timer, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeWithResource(VOID)
{
    PERESOURCE resource = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(ERESOURCE), TAG);
    if (resource == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExInitializeResourceLite(resource);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(resource, TRUE);
    ExReleaseResourceLite(resource);
    KeLeaveCriticalRegion();
    ExFreePoolWithTag(resource, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeIrpAsPool(VOID)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    if (irp == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExFreePool(irp);
    return STATUS_SUCCESS;
}

/* Quota is charged in a DPC routine, in whatever process it interrupts. */
static VOID NTAPI ChargeInDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    Block = ExAllocatePoolWithQuotaTag((POOL_TYPE)(NonPagedPoolNx | POOL_QUOTA_FAIL_INSTEAD_OF_RAISE), 40, TAG);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS AllocateQuotaInDpc(VOID)
{
    KDPC dpc;
    KEVENT done;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    KeInitializeDpc(&dpc, ChargeInDpc, &done);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
    return FreeAndReturn(Block);
}

static POOL_CALL *const Calls[] = {
    AllocateNothing,   AllocatePagedHigh, AllocateNonPagedHigh, FreeUnknown,      FreePagedHigh,      FreeNonPagedHigh,
    FreeTwice,         FreeLargeTwice,    FreeMiddle,           FreeWithOtherTag, AllocateWithoutTag, AllocateBig,
    AllocateWithBareTag, FreeWithTimer,   FreeWithResource,     FreeIrpAsPool,    AllocateQuotaInDpc,
};

static NTSTATUS NTAPI CallsControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ULONG code = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;
    ULONG index = (code - CTL_CODE(FILE_DEVICE_UNKNOWN, FIRST_FUNCTION, METHOD_BUFFERED, FILE_ANY_ACCESS)) / 4;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (index >= ARRAYSIZE(Calls)) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    return SampleComplete(Irp, Calls[index](), 0);
}

static NTSTATUS NTAPI CallsCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID NTAPI CallsUnload(PDRIVER_OBJECT DriverObject)
{
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\BadPoolCalls");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->MajorFunction[IRP_MJ_CREATE] = CallsCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = CallsCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = CallsControl;
    DriverObject->DriverUnload = CallsUnload;
    return IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
}
