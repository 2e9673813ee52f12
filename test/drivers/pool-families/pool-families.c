/*
 * One family of what Pool tracking counts after the other, each leaked or given back. A control code has the number of
 * the family in `Families` below: function 0x800 + 2 * number leaks, the one behind it does not. A second device completes
 * whatever it is sent.
 */
#include <ntifs.h>

#define TAG 'imaF' /* Fami */
#define FIRST_FUNCTION 0x800
#define CONTROL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define DIRECT_CONTROL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x901, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Control;
static PDEVICE_OBJECT Target;
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\PoolFamilies");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\PoolFamilies");
static const GUID SomeGuid = {0x1234, 0x56, 0x78, {1, 2, 3, 4, 5, 6, 7, 8}};
static NPAGED_LOOKASIDE_LIST List;
static KDPC Dpc;
static KEVENT DpcDone;
static char Page[0x1000];

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* ---- what allocates at once */

static NTSTATUS Pool(PIRP irp, BOOLEAN isClean)
{
    PVOID block = ExAllocatePoolWithTag(PagedPool, 100, TAG);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && block) ExFreePoolWithTag(block, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS PoolWithQuota(PIRP irp, BOOLEAN isClean)
{
    PVOID block = ExAllocatePoolWithQuotaTag(NonPagedPoolNx, 200, TAG);
    UNREFERENCED_PARAMETER(irp);
    if (isClean) ExFreePool(block);
    return STATUS_SUCCESS;
}

static NTSTATUS Mdl(PIRP irp, BOOLEAN isClean)
{
    PMDL mdl = IoAllocateMdl(Page, sizeof Page, FALSE, FALSE, NULL);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && mdl) IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS Irp(PIRP irp, BOOLEAN isClean)
{
    PIRP own = IoAllocateIrp(2, FALSE);
    UNREFERENCED_PARAMETER(irp);
    if (own) IoReuseIrp(own, STATUS_SUCCESS);
    if (isClean && own) IoFreeIrp(own);
    return STATUS_SUCCESS;
}

static NTSTATUS WorkItem(PIRP irp, BOOLEAN isClean)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Control);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && item) IoFreeWorkItem(item);
    return STATUS_SUCCESS;
}

/* ---- strings */

static NTSTATUS AnsiToUnicode(PIRP irp, BOOLEAN isClean)
{
    ANSI_STRING ansi = RTL_CONSTANT_STRING("family");
    UNICODE_STRING unicode;
    NTSTATUS status = RtlAnsiStringToUnicodeString(&unicode, &ansi, TRUE);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeUnicodeString(&unicode);
    return status;
}

static NTSTATUS UnicodeToAnsi(PIRP irp, BOOLEAN isClean)
{
    ANSI_STRING ansi;
    NTSTATUS status = RtlUnicodeStringToAnsiString(&ansi, &Name, TRUE);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeAnsiString(&ansi);
    return status;
}

static NTSTATUS UnicodeToOem(PIRP irp, BOOLEAN isClean)
{
    OEM_STRING oem;
    NTSTATUS status = RtlUnicodeStringToOemString(&oem, &Name, TRUE);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeOemString(&oem);
    return status;
}

static NTSTATUS Upcase(PIRP irp, BOOLEAN isClean)
{
    UNICODE_STRING upper;
    NTSTATUS status = RtlUpcaseUnicodeString(&upper, &Name, TRUE);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeUnicodeString(&upper);
    return status;
}

static NTSTATUS Downcase(PIRP irp, BOOLEAN isClean)
{
    UNICODE_STRING lower;
    NTSTATUS status = RtlDowncaseUnicodeString(&lower, &Name, TRUE);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeUnicodeString(&lower);
    return status;
}

static NTSTATUS Duplicate(PIRP irp, BOOLEAN isClean)
{
    UNICODE_STRING copy;
    NTSTATUS status = RtlDuplicateUnicodeString(RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE, &Name, &copy);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeUnicodeString(&copy);
    return status;
}

static NTSTATUS GuidText(PIRP irp, BOOLEAN isClean)
{
    UNICODE_STRING text;
    NTSTATUS status = RtlStringFromGUID(&SomeGuid, &text);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) RtlFreeUnicodeString(&text);
    return status;
}

static NTSTATUS InterfaceList(PIRP irp, BOOLEAN isClean)
{
    PWSTR list = NULL;
    NTSTATUS status = IoGetDeviceInterfaces(&SomeGuid, NULL, 0, &list);
    UNREFERENCED_PARAMETER(irp);
    if (isClean && NT_SUCCESS(status)) ExFreePool(list);
    return status;
}

/* ---- requests that the driver makes */

static NTSTATUS NTAPI Sent(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(irp);
    UNREFERENCED_PARAMETER(context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS CompletionContext(PIRP irp, BOOLEAN isClean)
{
    PIRP own = IoAllocateIrp(1, FALSE);
    NTSTATUS status;
    UNREFERENCED_PARAMETER(irp);
    if (!own) return STATUS_INSUFFICIENT_RESOURCES;
    IoGetNextIrpStackLocation(own)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    status = IoSetCompletionRoutineEx(Control, own, Sent, NULL, TRUE, TRUE, TRUE);
    if (isClean && NT_SUCCESS(status)) IoCallDriver(Target, own);
    IoFreeIrp(own);
    return status;
}

static NTSTATUS DeviceControl(PIRP irp, BOOLEAN isClean)
{
    IO_STATUS_BLOCK iosb;
    KEVENT event;
    ULONG value = 7;
    PIRP own;
    UNREFERENCED_PARAMETER(irp);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    own = IoBuildDeviceIoControlRequest(CONTROL, Target, &value, sizeof value, &value, sizeof value, FALSE, &event, &iosb);
    if (!own) return STATUS_INSUFFICIENT_RESOURCES;
    if (isClean && IoCallDriver(Target, own) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

static NTSTATUS DirectControl(PIRP irp, BOOLEAN isClean)
{
    IO_STATUS_BLOCK iosb;
    KEVENT event;
    PIRP own;
    UNREFERENCED_PARAMETER(irp);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    own = IoBuildDeviceIoControlRequest(DIRECT_CONTROL, Target, NULL, 0, Page, sizeof Page, FALSE, &event, &iosb);
    if (!own) return STATUS_INSUFFICIENT_RESOURCES;
    if (isClean && IoCallDriver(Target, own) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

static NTSTATUS SynchronousRead(PIRP irp, BOOLEAN isClean)
{
    LARGE_INTEGER offset = {{0, 0}};
    IO_STATUS_BLOCK iosb;
    KEVENT event;
    PIRP own;
    UNREFERENCED_PARAMETER(irp);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    own = IoBuildSynchronousFsdRequest(IRP_MJ_READ, Target, Page, sizeof Page, &offset, &event, &iosb);
    if (!own) return STATUS_INSUFFICIENT_RESOURCES;
    if (isClean && IoCallDriver(Target, own) == STATUS_PENDING)
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

/* The creator of an asynchronous request takes it apart again: its MDL, then the IRP. */
static NTSTATUS AsynchronousRead(PIRP irp, BOOLEAN isClean)
{
    LARGE_INTEGER offset = {{0, 0}};
    IO_STATUS_BLOCK iosb;
    PIRP own = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, Target, Page, sizeof Page, &offset, &iosb);
    UNREFERENCED_PARAMETER(irp);
    if (!own) return STATUS_INSUFFICIENT_RESOURCES;
    IoSetCompletionRoutine(own, Sent, NULL, TRUE, TRUE, TRUE);
    IoCallDriver(Target, own);
    if (isClean) {
        MmUnlockPages(own->MdlAddress);
        IoFreeMdl(own->MdlAddress);
    }
    IoFreeIrp(own);
    return STATUS_SUCCESS;
}

/* The last associated request completes its master: a METHOD_NEITHER one, as the count lies where its buffer would. */
static NTSTATUS Associated(PIRP irp, BOOLEAN isClean)
{
    PIRP part = IoMakeAssociatedIrp(irp, 1);
    if (!part) return STATUS_INSUFFICIENT_RESOURCES;
    if (!isClean) return STATUS_SUCCESS;
    IoGetNextIrpStackLocation(part)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    irp->AssociatedIrp.IrpCount = 1;
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoMarkIrpPending(irp);
    IoCallDriver(Target, part);
    return STATUS_PENDING;
}

/* ---- memory that is no pool, and what the kernel keeps for the driver */

static NTSTATUS Contiguous(PIRP irp, BOOLEAN isClean)
{
    PHYSICAL_ADDRESS highest;
    PVOID memory;
    UNREFERENCED_PARAMETER(irp);
    highest.QuadPart = -1;
    memory = MmAllocateContiguousMemory(0x1800, highest);
    if (isClean && memory) MmFreeContiguousMemory(memory);
    return STATUS_SUCCESS;
}

static NTSTATUS PagesForMdl(PIRP irp, BOOLEAN isClean)
{
    PHYSICAL_ADDRESS lowest, highest, skip;
    PMDL mdl;
    UNREFERENCED_PARAMETER(irp);
    lowest.QuadPart = skip.QuadPart = 0;
    highest.QuadPart = -1;
    mdl = MmAllocatePagesForMdl(lowest, highest, skip, 0x3000);
    if (!isClean || !mdl) return STATUS_SUCCESS;
    MmFreePagesFromMdl(mdl);
    ExFreePool(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS PagesWithoutMdl(PIRP irp, BOOLEAN isClean)
{
    PHYSICAL_ADDRESS lowest, highest, skip;
    PMDL mdl;
    UNREFERENCED_PARAMETER(irp);
    lowest.QuadPart = skip.QuadPart = 0;
    highest.QuadPart = -1;
    mdl = MmAllocatePagesForMdl(lowest, highest, skip, 0x3000);
    if (!mdl) return STATUS_SUCCESS;
    MmFreePagesFromMdl(mdl);
    if (isClean) ExFreePool(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS ErrorLogEntry(PIRP irp, BOOLEAN isClean)
{
    PIO_ERROR_LOG_PACKET entry = IoAllocateErrorLogEntry(Control, sizeof(IO_ERROR_LOG_PACKET));
    UNREFERENCED_PARAMETER(irp);
    if (!entry) return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(entry, sizeof *entry);
    if (isClean) IoWriteErrorLogEntry(entry);
    return STATUS_SUCCESS;
}

/* Nobody frees it but the I/O manager, when the driver goes. */
static NTSTATUS DriverExtension(PIRP irp, BOOLEAN isClean)
{
    static char clients[2];
    PVOID extension;
    UNREFERENCED_PARAMETER(irp);
    return IoAllocateDriverObjectExtension(Driver, &clients[isClean], 64, &extension);
}

static NTSTATUS Lookaside(PIRP irp, BOOLEAN isClean)
{
    PVOID entry;
    UNREFERENCED_PARAMETER(irp);
    ExInitializeNPagedLookasideList(&List, NULL, NULL, 0, 48, TAG, 0);
    entry = ExAllocateFromNPagedLookasideList(&List);
    if (isClean && entry) ExFreeToNPagedLookasideList(&List, entry);
    ExDeleteNPagedLookasideList(&List);
    return STATUS_SUCCESS;
}

static NTSTATUS LockUserPages(PIRP irp, BOOLEAN isClean)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    PMDL mdl = IoAllocateMdl(irp->UserBuffer, location->Parameters.DeviceIoControl.OutputBufferLength, FALSE, FALSE, NULL);
    if (!mdl) return STATUS_INSUFFICIENT_RESOURCES;
    MmProbeAndLockPages(mdl, UserMode, IoWriteAccess);
    if (!isClean) return STATUS_SUCCESS;
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NTSTATUS LockKernelPages(PIRP irp, BOOLEAN isClean)
{
    PMDL mdl = IoAllocateMdl(Page, sizeof Page, FALSE, FALSE, NULL);
    UNREFERENCED_PARAMETER(irp);
    if (!mdl) return STATUS_INSUFFICIENT_RESOURCES;
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    if (isClean) MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

/* ---- wrong calls: the clean code does the same the right way */

static NTSTATUS Overrun(PIRP irp, BOOLEAN isClean)
{
    volatile char *block = ExAllocatePoolWithTag(NonPagedPoolNx, 33, TAG);
    UNREFERENCED_PARAMETER(irp);
    if (!block) return STATUS_INSUFFICIENT_RESOURCES;
    block[isClean ? 32 : 33] = 0;
    ExFreePoolWithTag((PVOID)block, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS OverrunAndLeak(PIRP irp, BOOLEAN isClean)
{
    volatile char *block = ExAllocatePoolWithTag(PagedPool, 40, TAG);
    UNREFERENCED_PARAMETER(irp);
    if (!block) return STATUS_INSUFFICIENT_RESOURCES;
    block[isClean ? 39 : 40] = 0;
    if (isClean) ExFreePoolWithTag((PVOID)block, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeMiddle(PIRP irp, BOOLEAN isClean)
{
    char *block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
    UNREFERENCED_PARAMETER(irp);
    if (!block) return STATUS_INSUFFICIENT_RESOURCES;
    ExFreePoolWithTag(isClean ? block : block + 16, TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeIrpAsPool(PIRP irp, BOOLEAN isClean)
{
    PIRP own = IoAllocateIrp(1, FALSE);
    UNREFERENCED_PARAMETER(irp);
    if (!own) return STATUS_INSUFFICIENT_RESOURCES;
    if (isClean) IoFreeIrp(own);
    else ExFreePool(own);
    return STATUS_SUCCESS;
}

static void NTAPI AllocateInDpc(PKDPC dpc, PVOID isClean, PVOID one, PVOID two)
{
    PVOID block;
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    block = isClean ? ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG) : ExAllocatePoolWithQuotaTag(NonPagedPoolNx, 64, TAG);
    if (block) ExFreePool(block);
    KeSetEvent(&DpcDone, 0, FALSE);
}

static NTSTATUS QuotaInDpc(PIRP irp, BOOLEAN isClean)
{
    UNREFERENCED_PARAMETER(irp);
    KeInitializeEvent(&DpcDone, NotificationEvent, FALSE);
    KeInitializeDpc(&Dpc, AllocateInDpc, (PVOID)(ULONG_PTR)isClean);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    KeWaitForSingleObject(&DpcDone, Executive, KernelMode, FALSE, NULL);
    return STATUS_SUCCESS;
}

typedef NTSTATUS (*FAMILY)(PIRP irp, BOOLEAN isClean);

static const FAMILY Families[] = {
    Pool,            PoolWithQuota,    Mdl,           Irp,           WorkItem,        AnsiToUnicode,
    UnicodeToAnsi,   UnicodeToOem,     Upcase,        Downcase,      Duplicate,       GuidText,
    InterfaceList,   CompletionContext, DeviceControl, DirectControl, SynchronousRead, AsynchronousRead,
    Associated,      Contiguous,       PagesForMdl,   PagesWithoutMdl, ErrorLogEntry, DriverExtension,
    Lookaside,       LockUserPages,    LockKernelPages, Overrun,     FreeMiddle,      FreeIrpAsPool,
    QuotaInDpc,      OverrunAndLeak,
};

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    ULONG function = (location->Parameters.DeviceIoControl.IoControlCode >> 2) & 0xfff;
    NTSTATUS status;
    if (device == Target || location->MajorFunction != IRP_MJ_DEVICE_CONTROL) return Complete(irp, STATUS_SUCCESS);
    if (function < FIRST_FUNCTION || function >= FIRST_FUNCTION + 2 * sizeof Families / sizeof *Families)
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    status = Families[(function - FIRST_FUNCTION) / 2](irp, (function & 1) != 0);
    return status == STATUS_PENDING ? status : Complete(irp, status);
}

static void NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Control);
    IoDeleteDevice(Target);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;
    ULONG major;
    UNREFERENCED_PARAMETER(path);
    Driver = driver;
    for (major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) driver->MajorFunction[major] = Dispatch;
    driver->DriverUnload = Unload;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Target);
    if (!NT_SUCCESS(status)) return status;
    Target->Flags |= DO_DIRECT_IO;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Control);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Target);
        return status;
    }
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Control);
        IoDeleteDevice(Target);
    }
    return status;
}
