/*
 * Memory that was not initialised, or is freed already: one use per service name, loaded as `read-freed.sys` the driver
 * does what the table below has for "read-freed". Each is noinline, so that a report can name it.
 */
#include <ntddk.h>

#define NOINLINE __attribute__((noinline))
#define TAG 'tinU' /* Unit */
#define POOL_FLAG_NX 0x40ULL
#define MM_DONT_ZERO 0x1
#define PAGES 3

/* Newer than the headers. */
NTKERNELAPI PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T Bytes, ULONG Tag);

typedef struct _NODE { LIST_ENTRY Link; struct _NODE *Other; ULONG64 Value; } NODE, *PNODE;

static volatile ULONG64 Sink;
static PDEVICE_OBJECT Device;
static VOID (*OnControl)(PIRP);
static LIST_ENTRY List;

static const UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\Uninitialized");
static const UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\??\\Uninitialized");

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    if (Device != NULL) {
        IoDeleteSymbolicLink((PUNICODE_STRING)&LinkName);
        IoDeleteDevice(Device);
    }
}

static VOID Complete(PIRP Irp, ULONG Bytes)
{
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = Bytes;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_DEVICE_CONTROL && OnControl != NULL) {
        OnControl(Irp);
    } else {
        Complete(Irp, 0);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS WithDevice(PDRIVER_OBJECT DriverObject, VOID (*Routine)(PIRP))
{
    NTSTATUS status = IoCreateDevice(DriverObject, 64, (PUNICODE_STRING)&DeviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (NT_SUCCESS(status)) {
        status = IoCreateSymbolicLink((PUNICODE_STRING)&LinkName, (PUNICODE_STRING)&DeviceName);
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    OnControl = Routine;
    return status;
}

static NOINLINE PNODE AllocateNode(VOID) { return ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(NODE), TAG); }

static NOINLINE VOID FreeNode(PNODE Node) { ExFreePoolWithTag(Node, TAG); }

/* ---- reading */

static NOINLINE NTSTATUS ReadFresh(PDRIVER_OBJECT DriverObject)
{
    PNODE node = AllocateNode();
    UNREFERENCED_PARAMETER(DriverObject);
    Sink = ((volatile NODE *)node)->Other->Value;
    FreeNode(node);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS ReadFreed(PDRIVER_OBJECT DriverObject)
{
    PNODE node = AllocateNode();
    UNREFERENCED_PARAMETER(DriverObject);
    node->Other = node;
    FreeNode(node);
    Sink = ((volatile NODE *)node)->Other->Value;
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS ReadFreedPages(PDRIVER_OBJECT DriverObject)
{
    volatile ULONG64 *block = ExAllocatePoolWithTag(PagedPool, 0x2000, TAG);
    UNREFERENCED_PARAMETER(DriverObject);
    ExFreePoolWithTag((PVOID)block, TAG);
    Sink = block[0x100];
    return STATUS_SUCCESS;
}

static NOINLINE VOID ReadAfterCompletion(PIRP Irp)
{
    Complete(Irp, 0);
    Sink = ((volatile IO_STACK_LOCATION *)IoGetCurrentIrpStackLocation(Irp))->MajorFunction;
}

static NOINLINE NTSTATUS ReadCompleted(PDRIVER_OBJECT DriverObject) { return WithDevice(DriverObject, ReadAfterCompletion); }

static NOINLINE NTSTATUS ReadFreedMdl(PDRIVER_OBJECT DriverObject)
{
    static UCHAR Buffer[64];
    PMDL mdl = IoAllocateMdl(Buffer, sizeof(Buffer), FALSE, FALSE, NULL);
    UNREFERENCED_PARAMETER(DriverObject);
    MmBuildMdlForNonPagedPool(mdl);
    IoFreeMdl(mdl);
    Sink = *(volatile UCHAR *)((volatile MDL *)mdl)->MappedSystemVa;
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS ReadDeletedExtension(PDRIVER_OBJECT DriverObject)
{
    PNODE *extension;
    WithDevice(DriverObject, NULL);
    extension = Device->DeviceExtension;
    *extension = AllocateNode();
    (*extension)->Value = 1;
    FreeNode(*extension);
    IoDeleteSymbolicLink((PUNICODE_STRING)&LinkName);
    IoDeleteDevice(Device);
    Device = NULL;
    Sink = (*(volatile PNODE *)extension)->Value;
    return STATUS_SUCCESS;
}

/* ---- writing */

static NOINLINE NTSTATUS WriteFreed(PDRIVER_OBJECT DriverObject)
{
    PNODE node = AllocateNode();
    UNREFERENCED_PARAMETER(DriverObject);
    FreeNode(node);
    ((volatile NODE *)node)->Value = 1;
    return STATUS_SUCCESS;
}

/* The block leaves the quarantine meanwhile. */
static NOINLINE NTSTATUS WriteFreedEarly(PDRIVER_OBJECT DriverObject)
{
    WriteFreed(DriverObject);
    for (ULONG i = 0; i < 400; i++) {
        FreeNode(AllocateNode());
    }
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS UnlinkFreed(PDRIVER_OBJECT DriverObject)
{
    PNODE first = AllocateNode();
    PNODE second = AllocateNode();
    UNREFERENCED_PARAMETER(DriverObject);
    InitializeListHead(&List);
    /* As InsertTailList and RemoveEntryList without their checks. */
    first->Link.Flink = &second->Link;
    first->Link.Blink = &List;
    second->Link.Flink = &List;
    second->Link.Blink = &first->Link;
    List.Flink = &first->Link;
    List.Blink = &second->Link;
    FreeNode(first);
    ((volatile LIST_ENTRY *)second->Link.Blink)->Flink = second->Link.Flink;
    FreeNode(second);
    return STATUS_SUCCESS;
}

static NOINLINE VOID WriteAfterCompletion(PIRP Irp)
{
    Complete(Irp, 0);
    ((volatile IRP *)Irp)->IoStatus.Status = STATUS_CANCELLED;
}

static NOINLINE NTSTATUS WriteCompleted(PDRIVER_OBJECT DriverObject) { return WithDevice(DriverObject, WriteAfterCompletion); }

/* ---- freeing twice */

static NOINLINE NTSTATUS FreeTwiceLater(PDRIVER_OBJECT DriverObject)
{
    PNODE node = AllocateNode();
    UNREFERENCED_PARAMETER(DriverObject);
    FreeNode(node);
    /* Would be the same block where addresses are used again at once. */
    for (ULONG i = 0; i < 8; i++) {
        AllocateNode();
    }
    FreeNode(node);
    return STATUS_SUCCESS;
}

/* ---- what each kind of memory begins with: where it is another thing than is documented, that is a leak here */

static NOINLINE VOID ShouldBeGarbage(ULONG Line) { ExAllocatePoolWithTag(PagedPool, Line, 'braG'); }
static NOINLINE VOID ShouldBeZero(ULONG Line) { ExAllocatePoolWithTag(PagedPool, Line, 'oreZ'); }

static BOOLEAN IsZero(const volatile VOID *Memory, SIZE_T Bytes)
{
    for (SIZE_T i = 0; i < Bytes; i++) {
        if (((const volatile UCHAR *)Memory)[i] != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

#define EXPECT_GARBAGE(memory, bytes) if (IsZero((memory), (bytes))) ShouldBeGarbage(__LINE__)
#define EXPECT_ZERO(memory, bytes) if (!IsZero((memory), (bytes))) ShouldBeZero(__LINE__)

static NOINLINE VOID CheckPool(VOID)
{
    static const SIZE_T sizes[] = {8, 100, 3000, 4096, 10000};
    static const POOL_TYPE types[] = {NonPagedPool, NonPagedPoolNx, PagedPool, NonPagedPoolNxCacheAligned};
    for (ULONG i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        PUCHAR block;
        for (ULONG j = 0; j < sizeof(types) / sizeof(types[0]); j++) {
            block = ExAllocatePoolWithTag(types[j], sizes[i], TAG);
            EXPECT_GARBAGE(block, 8);
            EXPECT_GARBAGE(block + sizes[i] - 8, 8);
            ExFreePoolWithTag(block, TAG);
        }
        block = ExAllocatePool2(POOL_FLAG_NX, sizes[i], TAG);
        EXPECT_ZERO(block, sizes[i]);
        ExFreePoolWithTag(block, TAG);
        block = ExAllocatePool2(POOL_FLAG_NX | 2, sizes[i], TAG);
        EXPECT_GARBAGE(block, 8);
        ExFreePoolWithTag(block, TAG);
        block = ExAllocatePoolWithTag(0x600, sizes[i], TAG);
        EXPECT_ZERO(block, sizes[i]);
        ExFreePoolWithTag(block, TAG);
    }
}

static NOINLINE VOID CheckStack(VOID)
{
    volatile UCHAR local[0x1800];
    EXPECT_GARBAGE(local, sizeof(local) / 2);
}

static NOINLINE VOID CheckPages(VOID)
{
    static const ULONG flags[] = {0, MM_DONT_ZERO};
    PHYSICAL_ADDRESS low = {.QuadPart = 0}, high = {.QuadPart = -1};
    PVOID block = MmAllocateContiguousMemory(PAGES * PAGE_SIZE, high);
    EXPECT_GARBAGE(block, 64);
    MmFreeContiguousMemory(block);
    block = MmAllocateNonCachedMemory(PAGES * PAGE_SIZE);
    EXPECT_GARBAGE(block, 64);
    MmFreeNonCachedMemory(block, PAGES * PAGE_SIZE);
    for (ULONG i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        PMDL mdl = MmAllocatePagesForMdlEx(low, high, low, PAGES * PAGE_SIZE, MmCached, flags[i]);
        PVOID view = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
        if (flags[i] == 0) {
            EXPECT_ZERO(view, PAGES * PAGE_SIZE);
        } else {
            EXPECT_GARBAGE(view, 64);
        }
        MmUnmapLockedPages(view, mdl);
        MmFreePagesFromMdl(mdl);
        ExFreePool(mdl);
    }
}

/* Its one byte of input may be anything. */
static NOINLINE VOID CheckSystemBuffer(PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    ULONG input = location->Parameters.DeviceIoControl.InputBufferLength;
    ULONG output = location->Parameters.DeviceIoControl.OutputBufferLength;
    EXPECT_GARBAGE((PUCHAR)Irp->AssociatedIrp.SystemBuffer + input, output - input);
    EXPECT_ZERO(Irp->Tail.Overlay.DriverContext, sizeof(Irp->Tail.Overlay.DriverContext));
    /* So that nothing of it gets out. */
    RtlZeroMemory(Irp->AssociatedIrp.SystemBuffer, output);
    Complete(Irp, output);
}

static NOINLINE NTSTATUS CheckContents(PDRIVER_OBJECT DriverObject)
{
    NTSTATUS status = WithDevice(DriverObject, CheckSystemBuffer);
    CheckPool();
    CheckStack();
    CheckPages();
    EXPECT_ZERO(Device->DeviceExtension, 64);
    return status;
}

/* ---- */

static const struct {
    PCWSTR Name;
    NTSTATUS (*Routine)(PDRIVER_OBJECT DriverObject);
} Uses[] = {
    {L"read-fresh", ReadFresh},
    {L"read-freed", ReadFreed},
    {L"read-freed-pages", ReadFreedPages},
    {L"read-freed-mdl", ReadFreedMdl},
    {L"read-completed", ReadCompleted},
    {L"read-deleted-extension", ReadDeletedExtension},
    {L"write-freed", WriteFreed},
    {L"write-freed-early", WriteFreedEarly},
    {L"unlink-freed", UnlinkFreed},
    {L"write-completed", WriteCompleted},
    {L"free-twice-later", FreeTwiceLater},
    {L"check-contents", CheckContents},
};

/* Whether the last part of the path is the name. */
static BOOLEAN IsService(PCUNICODE_STRING Path, PCWSTR Name)
{
    ULONG characters = Path->Length / sizeof(WCHAR);
    ULONG length = 0;
    while (Name[length] != 0) {
        length++;
    }
    if (characters <= length || Path->Buffer[characters - length - 1] != L'\\') {
        return FALSE;
    }
    for (ULONG i = 0; i < length; i++) {
        if (Path->Buffer[characters - length + i] != Name[i]) {
            return FALSE;
        }
    }
    return TRUE;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    DriverObject->DriverUnload = Unload;
    for (ULONG i = 0; i < sizeof(Uses) / sizeof(Uses[0]); i++) {
        if (IsService(RegistryPath, Uses[i].Name)) {
            return Uses[i].Routine(DriverObject);
        }
    }
    return STATUS_INVALID_PARAMETER;
}
