/*
 * DMA, checked by the driver itself. What a device would see of a transfer, the driver sees through MmMapIoSpace of the
 * logical address. DriverEntry returns STATUS_SUCCESS, or 0xE0000000 plus the number of the first check that failed;
 * so does an open of \\.\DmaChecks, which does what Driver Verifier takes for mistakes: what waits and what fails.
 */
#include <ntddk.h>

#define NOINLINE __attribute__((noinline))
#define FAILED_CHECK(number) ((NTSTATUS)(0xE0000000u | (number)))
#define CHECK(number, condition) \
    do { if (!(condition)) return FAILED_CHECK(number); } while (0)
#define RUN(call) \
    do { NTSTATUS ran = (call); if (ran != STATUS_SUCCESS) return ran; } while (0)
#define TAG 'TamD'
#define BYTES 0x5000
#define MAXIMUM_LENGTH 0x8000

/* Behind BuildMdlFromScatterGatherList, which is the last member that older headers have. */
enum { GetDmaAdapterInfo, GetDmaTransferInfo, InitializeDmaTransferContext, AllocateCommonBufferEx,
       AllocateAdapterChannelEx, ConfigureAdapterChannel, CancelAdapterChannel, MapTransferEx, GetScatterGatherListEx,
       BuildScatterGatherListEx, FlushAdapterBuffersEx, FreeAdapterObject };
#define VERSION3(adapter, member) (((PVOID *)((adapter)->DmaOperations + 1))[member])

typedef struct _DESCRIPTION3 {
    DEVICE_DESCRIPTION Common;
    ULONG DmaAddressWidth;
    ULONG DmaControllerInstance;
    ULONG DmaRequestLine;
    PHYSICAL_ADDRESS DeviceAddress;
} DESCRIPTION3;

/* What a request's AdapterControl or AdapterListControl was given, and answers. */
typedef struct _REQUEST {
    IO_ALLOCATION_ACTION Action;
    ULONG Calls;
    ULONG Order;
    PVOID Base;
    PSCATTER_GATHER_LIST List;
    PIRP Irp;
    KIRQL Irql;
} REQUEST;

static PDEVICE_OBJECT Device;
static ULONG CallsOfAll;
static PUCHAR Buffer;

static IO_ALLOCATION_ACTION NTAPI AdapterControl(PDEVICE_OBJECT device, PIRP irp, PVOID base, PVOID context)
{
    REQUEST *request = context;
    UNREFERENCED_PARAMETER(device);
    request->Calls++;
    request->Order = ++CallsOfAll;
    request->Base = base;
    request->Irp = irp;
    request->Irql = KeGetCurrentIrql();
    return request->Action;
}

static VOID NTAPI AdapterListControl(PDEVICE_OBJECT device, PIRP irp, PSCATTER_GATHER_LIST list, PVOID context)
{
    REQUEST *request = context;
    UNREFERENCED_PARAMETER(device);
    request->Calls++;
    request->Order = ++CallsOfAll;
    request->List = list;
    request->Irp = irp;
    request->Irql = KeGetCurrentIrql();
}

static PDMA_ADAPTER GetAdapter(ULONG version, BOOLEAN scatterGather, ULONG *registers)
{
    DESCRIPTION3 description;
    RtlZeroMemory(&description, sizeof(description));
    description.Common.Version = version;
    description.Common.Master = TRUE;
    description.Common.ScatterGather = scatterGather;
    description.Common.Dma64BitAddresses = TRUE;
    description.Common.InterfaceType = PCIBus;
    description.Common.MaximumLength = MAXIMUM_LENGTH;
    description.DmaAddressWidth = 64;
    return IoGetDmaAdapter(NULL, &description.Common, registers);
}

/* Whether the device would see [address, address + length) as these bytes. */
static NOINLINE BOOLEAN Sees(PHYSICAL_ADDRESS address, const UCHAR *bytes, ULONG length)
{
    PUCHAR view = MmMapIoSpace(address, length, MmNonCached);
    BOOLEAN isSame = view != NULL && RtlCompareMemory(view, bytes, length) == length;
    if (view != NULL) MmUnmapIoSpace(view, length);
    return isSame;
}

/* Writes as the device would. */
static NOINLINE BOOLEAN DeviceFills(PHYSICAL_ADDRESS address, ULONG length, UCHAR value)
{
    PUCHAR view = MmMapIoSpace(address, length, MmNonCached);
    if (view == NULL) return FALSE;
    RtlFillMemory(view, length, value);
    MmUnmapIoSpace(view, length);
    return TRUE;
}

static VOID FillBuffer(VOID)
{
    for (ULONG index = 0; index < BYTES; index++) Buffer[index] = (UCHAR)(index * 7 + (index >> 8));
}

static PMDL MdlOf(PUCHAR start, ULONG length)
{
    PMDL mdl = IoAllocateMdl(start, length, FALSE, FALSE, NULL);
    if (mdl != NULL) MmBuildMdlForNonPagedPool(mdl);
    return mdl;
}

static NOINLINE NTSTATUS CheckCommonBuffer(PDMA_ADAPTER adapter)
{
    PHYSICAL_ADDRESS logical;
    PUCHAR common = adapter->DmaOperations->AllocateCommonBuffer(adapter, 0x1800, &logical, TRUE);
    CHECK(10, common != NULL && BYTE_OFFSET(common) == 0);
    CHECK(11, MmGetPhysicalAddress(common).QuadPart == logical.QuadPart);
    CHECK(12, MmGetPhysicalAddress(common + 0x1000).QuadPart == logical.QuadPart + 0x1000);
    RtlCopyMemory(common, Buffer, 0x1800);
    CHECK(13, Sees(logical, Buffer, 0x1800));
    CHECK(14, DeviceFills(logical, 0x1800, 0x3C));
    CHECK(15, common[0] == 0x3C && common[0x17FF] == 0x3C);
    adapter->DmaOperations->FreeCommonBuffer(adapter, 0x1800, logical, common, TRUE);
    return STATUS_SUCCESS;
}

/* Maps the whole buffer, fragment by fragment; the device reads (or fills) each. */
static NOINLINE NTSTATUS Transfer(PDMA_ADAPTER adapter, PMDL mdl, PVOID base, ULONG length, BOOLEAN write, BOOLEAN whole)
{
    PUCHAR start = MmGetMdlVirtualAddress(mdl);
    for (ULONG done = 0; done < length;) {
        ULONG part = length - done;
        PHYSICAL_ADDRESS logical =
            adapter->DmaOperations->MapTransfer(adapter, mdl, base, start + done, &part, write);
        CHECK(20, part > 0 && part <= length - done);
        CHECK(21, !whole || part == length);
        if (write) CHECK(22, Sees(logical, start + done, part));
        else CHECK(23, DeviceFills(logical, part, (UCHAR)(0x40 + (done >> 8))));
        done += part;
    }
    CHECK(24, adapter->DmaOperations->FlushAdapterBuffers(adapter, mdl, base, start, length, write));
    if (write) return STATUS_SUCCESS;
    /* Every fragment begins at the start or at a page, where the device's byte changes. */
    CHECK(25, start[0] == 0x40);
    CHECK(26, start[length - 1] >= 0x40 && start[length - 1] <= (UCHAR)(0x40 + (length >> 8)));
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckPackets(PDMA_ADAPTER adapter, ULONG registers, BOOLEAN whole)
{
    PDMA_OPERATIONS dma = adapter->DmaOperations;
    PMDL mdl = MdlOf(Buffer + 0x234, 0x3210);
    ULONG needed = ADDRESS_AND_SIZE_TO_SPAN_PAGES(Buffer + 0x234, 0x3210);
    REQUEST request = {DeallocateObjectKeepRegisters};
    CHECK(30, mdl != NULL && needed <= registers);
    CHECK(33, dma->AllocateAdapterChannel(adapter, Device, needed, AdapterControl, &request) == STATUS_SUCCESS);
    CHECK(34, request.Calls == 1 && request.Irql == DISPATCH_LEVEL && request.Irp == (PIRP)0x1234);
    FillBuffer();
    RUN(Transfer(adapter, mdl, request.Base, 0x3210, TRUE, whole));
    RUN(Transfer(adapter, mdl, request.Base, 0x3210, FALSE, whole));
    RUN(Transfer(adapter, mdl, request.Base, 0x10, TRUE, whole));
    dma->FreeMapRegisters(adapter, request.Base, needed);

    request.Action = DeallocateObject;
    CHECK(35, dma->AllocateAdapterChannel(adapter, Device, 1, AdapterControl, &request) == STATUS_SUCCESS);
    CHECK(36, request.Calls == 2);
    CHECK(37, dma->AllocateAdapterChannel(adapter, Device, 1, AdapterControl, &request) == STATUS_SUCCESS);
    CHECK(38, request.Calls == 3);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

/* A channel that is kept has others wait; so have map registers, where there are only so many. */
static NOINLINE NTSTATUS CheckWaiting(PDMA_ADAPTER adapter, ULONG registers, BOOLEAN isLimited)
{
    PDMA_OPERATIONS dma = adapter->DmaOperations;
    REQUEST kept = {KeepObject}, second = {DeallocateObject}, third = {DeallocateObjectKeepRegisters};
    CHECK(40, dma->AllocateAdapterChannel(adapter, Device, 1, AdapterControl, &kept) == STATUS_SUCCESS);
    CHECK(41, dma->AllocateAdapterChannel(adapter, Device, 2, AdapterControl, &second) == STATUS_SUCCESS);
    CHECK(42, dma->AllocateAdapterChannel(adapter, Device, registers, AdapterControl, &third) == STATUS_SUCCESS);
    CHECK(43, kept.Calls == 1 && second.Calls == 0 && third.Calls == 0);
    dma->FreeAdapterChannel(adapter);
    CHECK(44, second.Calls == 1 && third.Calls == 1 && second.Order == third.Order - 1);
    CHECK(45, third.Base != kept.Base || third.Base != NULL);

    kept.Action = DeallocateObjectKeepRegisters;
    CHECK(46, dma->AllocateAdapterChannel(adapter, Device, 1, AdapterControl, &kept) == STATUS_SUCCESS);
    CHECK(47, kept.Calls == (isLimited ? 1 : 2));
    dma->FreeMapRegisters(adapter, third.Base, registers);
    CHECK(48, kept.Calls == 2);
    dma->FreeMapRegisters(adapter, kept.Base, 1);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckListOf(PSCATTER_GATHER_LIST list, PUCHAR first, ULONG firstBytes, PUCHAR second, ULONG bytes)
{
    ULONG done = 0;
    for (ULONG index = 0; index < list->NumberOfElements; index++) {
        SCATTER_GATHER_ELEMENT *element = &list->Elements[index];
        for (ULONG part = 0; part < element->Length; part++, done++) {
            const UCHAR *expected = done < firstBytes ? first + done : second + (done - firstBytes);
            PHYSICAL_ADDRESS at;
            at.QuadPart = element->Address.QuadPart + part;
            /* Every page's ends are enough. */
            if ((done & 0x1FF) == 0 || part + 1 == element->Length) CHECK(50, Sees(at, expected, 1));
        }
    }
    CHECK(51, done == bytes);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckLists(PDMA_ADAPTER adapter)
{
    PDMA_OPERATIONS dma = adapter->DmaOperations;
    PUCHAR second = Buffer + 0x4010;
    PMDL mdl = MdlOf(Buffer + 0x800, 0x2100);
    CHECK(52, mdl != NULL);
    mdl->Next = MdlOf(second, 0x300);
    CHECK(53, mdl->Next != NULL);
    PUCHAR start = (PUCHAR)MmGetMdlVirtualAddress(mdl) + 0x100;
    REQUEST request = {0};
    FillBuffer();
    CHECK(55, dma->GetScatterGatherList(adapter, Device, mdl, start, 0x2300, AdapterListControl, &request, TRUE) ==
                  STATUS_SUCCESS);
    CHECK(56, request.Calls == 1 && request.Irql == DISPATCH_LEVEL && request.List->NumberOfElements >= 2);
    RUN(CheckListOf(request.List, Buffer + 0x900, 0x2000, second, 0x2300));
    dma->PutScatterGatherList(adapter, request.List, TRUE);

    /* Reads reach the buffer when the list is put. */
    CHECK(57, dma->GetScatterGatherList(adapter, Device, mdl, start, 0x2300, AdapterListControl, &request, FALSE) ==
                  STATUS_SUCCESS);
    for (ULONG index = 0; index < request.List->NumberOfElements; index++) {
        SCATTER_GATHER_ELEMENT *element = &request.List->Elements[index];
        CHECK(58, DeviceFills(element->Address, element->Length, 0x5A));
    }
    dma->PutScatterGatherList(adapter, request.List, FALSE);
    for (ULONG index = 0; index < 0x2000; index++) CHECK(59, Buffer[0x900 + index] == 0x5A);
    for (ULONG index = 0; index < 0x300; index++) CHECK(60, second[index] == 0x5A);
    CHECK(61, Buffer[0x8FF] == (UCHAR)(0x8FF * 7 + 8) && second[0x300] == (UCHAR)(0x4310 * 7 + 0x43));
    IoFreeMdl(mdl->Next);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckOwnLists(PDMA_ADAPTER adapter)
{
    PDMA_OPERATIONS dma = adapter->DmaOperations;
    PMDL mdl = MdlOf(Buffer, 0x2800);
    ULONG size = 0, registers = 0;
    REQUEST request = {0};
    FillBuffer();
    CHECK(70, mdl != NULL);
    CHECK(71, dma->CalculateScatterGatherList(adapter, mdl, Buffer, 0x2800, &size, &registers) == STATUS_SUCCESS);
    CHECK(72, registers == ADDRESS_AND_SIZE_TO_SPAN_PAGES(Buffer, 0x2800));
    CHECK(73, size >= FIELD_OFFSET(SCATTER_GATHER_LIST, Elements) + registers * sizeof(SCATTER_GATHER_ELEMENT));
    PVOID own = ExAllocatePoolWithTag(NonPagedPoolNx, size, TAG);
    CHECK(76, own != NULL);
    CHECK(78, dma->BuildScatterGatherList(adapter, Device, mdl, Buffer, 0x2800, AdapterListControl, &request, TRUE, own,
                                          size) == STATUS_SUCCESS);
    CHECK(79, request.Calls == 1 && request.List == own);
    RUN(CheckListOf(request.List, Buffer, 0x2800, NULL, 0x2800));
    dma->PutScatterGatherList(adapter, request.List, TRUE);
    ExFreePoolWithTag(own, TAG);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

typedef NTSTATUS (NTAPI *INITIALIZE_CONTEXT)(PDMA_ADAPTER, PVOID);
typedef NTSTATUS (NTAPI *ALLOCATE_CHANNEL_EX)(PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, ULONG, ULONG, PDRIVER_CONTROL, PVOID,
                                              PVOID *);
typedef NTSTATUS (NTAPI *MAP_EX)(PDMA_ADAPTER, PMDL, PVOID, ULONGLONG, ULONG, PULONG, BOOLEAN, PSCATTER_GATHER_LIST,
                                 ULONG, PVOID, PVOID);
typedef NTSTATUS (NTAPI *FLUSH_EX)(PDMA_ADAPTER, PMDL, PVOID, ULONGLONG, ULONG, BOOLEAN);
typedef VOID (NTAPI *FREE_OBJECT)(PDMA_ADAPTER, IO_ALLOCATION_ACTION);
typedef BOOLEAN (NTAPI *CANCEL_CHANNEL)(PDMA_ADAPTER, PDEVICE_OBJECT, PVOID);

static NOINLINE NTSTATUS CheckVersion3(PDMA_ADAPTER adapter)
{
    static UCHAR context[128];
    static UCHAR space[FIELD_OFFSET(SCATTER_GATHER_LIST, Elements) + 8 * sizeof(SCATTER_GATHER_ELEMENT)];
    PSCATTER_GATHER_LIST list = (PSCATTER_GATHER_LIST)space;
    PVOID base = NULL;
    ULONG length = 0x2000;
    PMDL mdl = MdlOf(Buffer, 0x3000);
    FillBuffer();
    CHECK(80, mdl != NULL && adapter->DmaOperations->Size > sizeof(DMA_OPERATIONS));
    INITIALIZE_CONTEXT initialize = VERSION3(adapter, InitializeDmaTransferContext);
    ALLOCATE_CHANNEL_EX allocate = VERSION3(adapter, AllocateAdapterChannelEx);
    CHECK(81, initialize(adapter, context) == STATUS_SUCCESS);
    CHECK(82, allocate(adapter, Device, context, 4, 1, NULL, NULL, &base) == STATUS_SUCCESS && base != NULL);
    CHECK(87, ((MAP_EX)VERSION3(adapter, MapTransferEx))(adapter, mdl, base, 0x800, 0, &length, TRUE, list,
                                                         sizeof(space), NULL, NULL) == STATUS_SUCCESS);
    CHECK(88, length == 0x2000);
    RUN(CheckListOf(list, Buffer + 0x800, 0x2000, NULL, 0x2000));
    CHECK(89, ((FLUSH_EX)VERSION3(adapter, FlushAdapterBuffersEx))(adapter, mdl, base, 0x800, 0x2000, TRUE) ==
                  STATUS_SUCCESS);
    ((FREE_OBJECT)VERSION3(adapter, FreeAdapterObject))(adapter, DeallocateObject);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckAdapter(ULONG version, BOOLEAN scatterGather)
{
    ULONG registers = 0;
    PDMA_ADAPTER adapter = GetAdapter(version, scatterGather, &registers);
    CHECK(2, adapter != NULL && adapter->Version == 1 && registers == MAXIMUM_LENGTH / PAGE_SIZE + 1);
    CHECK(3, adapter->DmaOperations->GetDmaAlignment(adapter) == 1);
    CHECK(4, adapter->DmaOperations->ReadDmaCounter(adapter) == 0);
    RUN(CheckCommonBuffer(adapter));
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    NTSTATUS status = CheckPackets(adapter, registers, !scatterGather);
    if (status == STATUS_SUCCESS && scatterGather) status = CheckLists(adapter);
    if (status == STATUS_SUCCESS && scatterGather && version >= 2) status = CheckOwnLists(adapter);
    if (status == STATUS_SUCCESS && version == 3) status = CheckVersion3(adapter);
    KeLowerIrql(irql);
    adapter->DmaOperations->PutDmaAdapter(adapter);
    return status;
}

/* Each of these fails, and calls nobody. */
static NOINLINE NTSTATUS CheckFailures(PDMA_ADAPTER adapter, ULONG registers)
{
    PDMA_OPERATIONS dma = adapter->DmaOperations;
    PMDL mdl = MdlOf(Buffer, 0x2800);
    UCHAR own[64];
    ULONG size = 0;
    REQUEST request = {DeallocateObject};
    CHECK(101, mdl != NULL);
    CHECK(102, dma->AllocateAdapterChannel(adapter, Device, registers + 1, AdapterControl, &request) ==
                   STATUS_INSUFFICIENT_RESOURCES);
    CHECK(103, dma->GetScatterGatherList(adapter, Device, mdl, Buffer, 0x2801, AdapterListControl, &request, TRUE) ==
                   STATUS_BUFFER_TOO_SMALL);
    CHECK(104, dma->CalculateScatterGatherList(adapter, mdl, Buffer, 0x2801, &size, NULL) == STATUS_BUFFER_TOO_SMALL);
    CHECK(105, dma->CalculateScatterGatherList(adapter, NULL, Buffer, 0x20000, &size, NULL) ==
                   STATUS_INSUFFICIENT_RESOURCES);
    CHECK(106, dma->BuildScatterGatherList(adapter, Device, mdl, Buffer, 0x2800, AdapterListControl, &request, TRUE,
                                           own, sizeof(own)) == STATUS_BUFFER_TOO_SMALL);
    CHECK(107, request.Calls == 0);
    IoFreeMdl(mdl);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckWaiting3(PDMA_ADAPTER adapter)
{
    static UCHAR context[128], waiting[128];
    PVOID base = NULL;
    REQUEST request = {KeepObject};
    INITIALIZE_CONTEXT initialize = VERSION3(adapter, InitializeDmaTransferContext);
    ALLOCATE_CHANNEL_EX allocate = VERSION3(adapter, AllocateAdapterChannelEx);
    CHECK(110, initialize(adapter, context) == STATUS_SUCCESS && initialize(adapter, waiting) == STATUS_SUCCESS);
    CHECK(111, allocate(adapter, Device, context, 4, 0, NULL, NULL, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(112, allocate(adapter, Device, context, 4, 1, NULL, NULL, &base) == STATUS_SUCCESS && base != NULL);
    CHECK(113, allocate(adapter, Device, waiting, 1, 1, AdapterControl, &request, NULL) ==
                   STATUS_INSUFFICIENT_RESOURCES);
    CHECK(114, allocate(adapter, Device, waiting, 1, 0, AdapterControl, &request, NULL) == STATUS_SUCCESS);
    CHECK(115, ((CANCEL_CHANNEL)VERSION3(adapter, CancelAdapterChannel))(adapter, Device, waiting));
    ((FREE_OBJECT)VERSION3(adapter, FreeAdapterObject))(adapter, DeallocateObject);
    CHECK(116, request.Calls == 0);
    return STATUS_SUCCESS;
}

static NOINLINE NTSTATUS CheckMistakes(ULONG version, BOOLEAN scatterGather)
{
    ULONG registers = 0;
    PDMA_ADAPTER adapter = GetAdapter(version, scatterGather, &registers);
    KIRQL irql;
    CHECK(100, adapter != NULL);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    NTSTATUS status = CheckWaiting(adapter, registers, !scatterGather);
    if (status == STATUS_SUCCESS && scatterGather) status = CheckFailures(adapter, registers);
    if (status == STATUS_SUCCESS && version == 3) status = CheckWaiting3(adapter);
    KeLowerIrql(irql);
    adapter->DmaOperations->PutDmaAdapter(adapter);
    return status;
}

static NTSTATUS NTAPI Create(PDEVICE_OBJECT device, PIRP irp)
{
    ULONG registers = 0;
    NTSTATUS status = FAILED_CHECK(99);
    UNREFERENCED_PARAMETER(device);
    Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, BYTES, TAG);
    if (Buffer != NULL && GetAdapter(4, TRUE, &registers) == NULL) status = CheckMistakes(2, TRUE);
    if (status == STATUS_SUCCESS) status = CheckMistakes(3, TRUE);
    if (status == STATUS_SUCCESS) status = CheckMistakes(2, FALSE);
    if (Buffer != NULL) ExFreePoolWithTag(Buffer, TAG);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI Succeed(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\DmaChecks");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\DmaChecks");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\DmaChecks");
    UNREFERENCED_PARAMETER(path);
    NTSTATUS status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status)) return status;
    Device->CurrentIrp = (PIRP)0x1234;
    Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, BYTES, TAG);
    if (Buffer == NULL) status = STATUS_INSUFFICIENT_RESOURCES;
    for (ULONG version = 0; version <= 3 && status == STATUS_SUCCESS; version++) status = CheckAdapter(version, TRUE);
    if (status == STATUS_SUCCESS) status = CheckAdapter(2, FALSE);
    if (Buffer != NULL) ExFreePoolWithTag(Buffer, TAG);
    if (status == STATUS_SUCCESS) status = IoCreateSymbolicLink(&link, &name);
    if (status != STATUS_SUCCESS) IoDeleteDevice(Device);
    driver->MajorFunction[IRP_MJ_CREATE] = Create;
    driver->MajorFunction[IRP_MJ_CLOSE] = Succeed;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Succeed;
    driver->DriverUnload = Unload;
    return status;
}
