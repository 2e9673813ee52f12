/*
 * A driver for the DMA engine that moves reads and writes in each of the ways there are, piece by piece:
 *  - through a common buffer, which the processor fills or empties;
 *  - as packets: the engine gets the caller's pages, mapped one fragment after the other with the map registers that came
 *    with the adapter's channel, which is given back at once or kept for the whole request;
 *  - by the scatter/gather list of the caller's pages.
 * It can test itself: it writes a pattern to the engine, reads it back and compares every byte.
 *
 * The clean twin of the dma-… samples: every buffer, channel, map register, list and adapter is given back once, whether a
 * piece ends well, fails, or has lost its device.
 */
#include "dma-device.h"

#define TAG_TEST 'tTvM' /* MvTt */

#define BUFFER_BYTES 0x10000
#define MAX_PIECE_BYTES 0x40000
#define MAX_DESCRIPTORS (MAX_PIECE_BYTES / PAGE_SIZE + 1)
#define DESCRIPTOR_BYTES (MAX_DESCRIPTORS * sizeof(DMA_ENGINE_DESCRIPTOR))

/* Of a channel that is kept. */
#define KEPT_REGISTERS 4

#define MAX_TEST_MEGABYTES 1024
#define MEGABYTE 0x100000

/* How often a test looks whether it is cancelled while it waits: 10 ms. */
#define CANCEL_INTERVAL (-100000LL)

#define IOCTL_MOVER_METHOD CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA00, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MOVER_TEST CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA01, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MOVER_COUNTS CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA02, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef enum _MOVER_METHOD {
    /* Small requests through the common buffer, others by scatter/gather list. */
    MoverByLength,
    MoverCommonBuffer,
    MoverPacket,
    MoverScatterGather,
    MoverKeptChannel,
    MoverMethods,
} MOVER_METHOD;

typedef struct _MOVER_TEST {
    ULONG Megabytes;
    ULONG Seed;
} MOVER_TEST, *PMOVER_TEST;

typedef struct _MOVER_TEST_RESULT {
    ULONG64 BytesMoved;
    ULONG64 BytesWrong;
} MOVER_TEST_RESULT, *PMOVER_TEST_RESULT;

typedef struct _MOVER_COUNTS {
    ULONG Requests;
    ULONG Pieces[MoverMethods];
    ULONG Interrupts;
    ULONG64 Bytes;
} MOVER_COUNTS, *PMOVER_COUNTS;

/* The piece of the current request that the engine has. */
typedef struct _MOVER_PIECE {
    MOVER_METHOD Method;
    BOOLEAN IsWrite;
    PMDL Mdl;
    PUCHAR Va;
    PUCHAR SystemVa;
    ULONG Length;
    ULONG Offset;
    PVOID MapRegisterBase;
    ULONG MapRegisters;
    PSCATTER_GATHER_LIST List;
} MOVER_PIECE, *PMOVER_PIECE;

typedef struct _MOVER {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    PUCHAR Buffer;
    PHYSICAL_ADDRESS BufferAddress;
    PDMA_ENGINE_DESCRIPTOR Descriptors;
    PHYSICAL_ADDRESS DescriptorsAddress;
    MOVER_METHOD Method;
    ULONG BytesDone;
    MOVER_PIECE Piece;
    MOVER_COUNTS Counts;
    LONG IsTesting;
} MOVER, *PMOVER;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE MoverAddDevice;
static DRIVER_DISPATCH MoverControl;
static DRIVER_CONTROL MoverAdapterControl;
static DRIVER_CONTROL MoverKeepControl;
static DRIVER_LIST_CONTROL MoverListControl;
static IO_WORKITEM_ROUTINE MoverTestRoutine;

/* ---- a piece */

static ULONG MoverMinimum(ULONG One, ULONG Other)
{
    return One < Other ? One : Other;
}

static VOID MoverGo(PMOVER Mover, PHYSICAL_ADDRESS Address, ULONG Length, ULONG Flags)
{
    ULONG command = Mover->Piece.IsWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE;
    DmaDeviceGo(&Mover->Device, Address, Length, Mover->Piece.Offset, command | Flags);
}

static VOID MoverDescribe(PMOVER Mover, ULONG Index, PHYSICAL_ADDRESS Address, ULONG Length)
{
    Mover->Descriptors[Index].Address = Address.QuadPart;
    Mover->Descriptors[Index].Length = Length;
    Mover->Descriptors[Index].Zero = 0;
}

/* The channel is the driver's: maps the fragments of the piece. The map registers stay its own until MoverEndPiece. */
static IO_ALLOCATION_ACTION NTAPI MoverAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                      PVOID Context)
{
    PMOVER mover = Context;
    PMOVER_PIECE piece = &mover->Piece;
    ULONG count = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    piece->MapRegisterBase = MapRegisterBase;
    for (ULONG mapped = 0; mapped < piece->Length; count++) {
        ULONG length = piece->Length - mapped;
        PHYSICAL_ADDRESS address = mover->Adapter->DmaOperations->MapTransfer(
            mover->Adapter, piece->Mdl, MapRegisterBase, piece->Va + mapped, &length, piece->IsWrite);
        MoverDescribe(mover, count, address, length);
        mapped += length;
    }
    MoverGo(mover, mover->DescriptorsAddress, count, DMA_ENGINE_COMMAND_DESCRIPTORS);
    return DeallocateObjectKeepRegisters;
}

/* The next fragment with the map registers of a channel that is kept, as far as registers and memory go in a row. */
static VOID MoverMapFragment(PMOVER Mover)
{
    PMOVER_PIECE piece = &Mover->Piece;

    piece->Length = MoverMinimum(piece->Length, piece->MapRegisters * PAGE_SIZE - BYTE_OFFSET(piece->Va));
    PHYSICAL_ADDRESS address = Mover->Adapter->DmaOperations->MapTransfer(
        Mover->Adapter, piece->Mdl, piece->MapRegisterBase, piece->Va, &piece->Length, piece->IsWrite);
    MoverGo(Mover, address, piece->Length, 0);
}

static IO_ALLOCATION_ACTION NTAPI MoverKeepControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                   PVOID Context)
{
    PMOVER mover = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    mover->Piece.MapRegisterBase = MapRegisterBase;
    MoverMapFragment(mover);
    return KeepObject;
}

static VOID NTAPI MoverListControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{
    PMOVER mover = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    mover->Piece.List = List;
    for (ULONG i = 0; i < List->NumberOfElements; i++) {
        MoverDescribe(mover, i, List->Elements[i].Address, List->Elements[i].Length);
    }
    MoverGo(mover, mover->DescriptorsAddress, List->NumberOfElements, DMA_ENGINE_COMMAND_DESCRIPTORS);
}

/* Begins the next piece of the current request. On failure there is none, and nothing to give back. */
static NTSTATUS MoverNextPiece(PMOVER Mover)
{
    PIRP irp = Mover->Device.Current;
    PMOVER_PIECE piece = &Mover->Piece;
    PDMA_OPERATIONS operations = Mover->Adapter->DmaOperations;
    ULONG left = DmaDeviceLength(irp) - Mover->BytesDone;

    piece->Va = (PUCHAR)MmGetMdlVirtualAddress(piece->Mdl) + Mover->BytesDone;
    piece->Offset = DmaDeviceOffset(irp) + Mover->BytesDone;
    Mover->Counts.Pieces[piece->Method]++;
    switch (piece->Method) {
    case MoverCommonBuffer:
        piece->Length = MoverMinimum(left, BUFFER_BYTES);
        if (piece->IsWrite) {
            RtlCopyMemory(Mover->Buffer, piece->SystemVa + Mover->BytesDone, piece->Length);
        }
        MoverGo(Mover, Mover->BufferAddress, piece->Length, 0);
        return STATUS_PENDING;
    case MoverPacket: {
        /* What the registers can map, wherever in its page the piece begins. */
        ULONG room = (Mover->MapRegisters - 1) * PAGE_SIZE;
        piece->Length = MoverMinimum(left, MoverMinimum(room, MAX_PIECE_BYTES));
        piece->MapRegisters = ADDRESS_AND_SIZE_TO_SPAN_PAGES(piece->Va, piece->Length);
        NTSTATUS status = operations->AllocateAdapterChannel(Mover->Adapter, Mover->Device.Self, piece->MapRegisters,
                                                             MoverAdapterControl, Mover);
        return NT_SUCCESS(status) ? STATUS_PENDING : status;
    }
    case MoverKeptChannel: {
        piece->Length = left;
        if (piece->MapRegisterBase != NULL) {
            MoverMapFragment(Mover);
            return STATUS_PENDING;
        }
        piece->MapRegisters = MoverMinimum(ADDRESS_AND_SIZE_TO_SPAN_PAGES(piece->Va, left),
                                           MoverMinimum(Mover->MapRegisters, KEPT_REGISTERS));
        NTSTATUS status = operations->AllocateAdapterChannel(Mover->Adapter, Mover->Device.Self, piece->MapRegisters,
                                                             MoverKeepControl, Mover);
        return NT_SUCCESS(status) ? STATUS_PENDING : status;
    }
    default: {
        piece->Length = MoverMinimum(left, MAX_PIECE_BYTES);
        NTSTATUS status =
            operations->GetScatterGatherList(Mover->Adapter, Mover->Device.Self, piece->Mdl, piece->Va, piece->Length,
                                             MoverListControl, Mover, piece->IsWrite);
        return NT_SUCCESS(status) ? STATUS_PENDING : status;
    }
    }
}

/* The engine is done with the piece: gives back what it was mapped with, and only then are the bytes of a read there. */
static VOID MoverEndPiece(PMOVER Mover)
{
    PMOVER_PIECE piece = &Mover->Piece;
    PDMA_OPERATIONS operations = Mover->Adapter->DmaOperations;

    switch (piece->Method) {
    case MoverCommonBuffer:
        if (!piece->IsWrite) {
            RtlCopyMemory(piece->SystemVa + Mover->BytesDone, Mover->Buffer, piece->Length);
        }
        break;
    case MoverPacket:
        operations->FlushAdapterBuffers(Mover->Adapter, piece->Mdl, piece->MapRegisterBase, piece->Va, piece->Length,
                                        piece->IsWrite);
        operations->FreeMapRegisters(Mover->Adapter, piece->MapRegisterBase, piece->MapRegisters);
        break;
    case MoverKeptChannel:
        operations->FlushAdapterBuffers(Mover->Adapter, piece->Mdl, piece->MapRegisterBase, piece->Va, piece->Length,
                                        piece->IsWrite);
        break;
    default:
        operations->PutScatterGatherList(Mover->Adapter, piece->List, piece->IsWrite);
        piece->List = NULL;
        break;
    }
}

static NTSTATUS MoverBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PMOVER mover = CONTAINING_RECORD(Device, MOVER, Device);
    PMOVER_PIECE piece = &mover->Piece;
    /* Of the self-test's own requests the key says how they are moved. */
    ULONG key = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Key;

    RtlZeroMemory(piece, sizeof(*piece));
    mover->BytesDone = 0;
    mover->Counts.Requests++;
    piece->IsWrite = DmaDeviceIsWrite(Irp);
    piece->Mdl = Irp->MdlAddress;
    piece->Method = Irp->RequestorMode == KernelMode && key < MoverMethods ? (MOVER_METHOD)key : MoverByLength;
    if (piece->Method == MoverByLength) {
        piece->Method = mover->Method;
    }
    if (piece->Method == MoverByLength) {
        piece->Method = DmaDeviceLength(Irp) <= PAGE_SIZE ? MoverCommonBuffer : MoverScatterGather;
    }
    if (piece->Method == MoverCommonBuffer) {
        piece->SystemVa = MmGetSystemAddressForMdlSafe(piece->Mdl, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
        if (piece->SystemVa == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    KeFlushIoBuffers(piece->Mdl, !piece->IsWrite, TRUE);
    return MoverNextPiece(mover);
}

static VOID MoverDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PMOVER mover = CONTAINING_RECORD(Device, MOVER, Device);

    MoverEndPiece(mover);
    mover->BytesDone += Transferred;
    mover->Counts.Bytes += Transferred;
    if (NT_SUCCESS(Status)) {
        if (mover->BytesDone < DmaDeviceLength(Device->Current)) {
            Status = MoverNextPiece(mover);
        }
    }
    if (Status != STATUS_PENDING) {
        if (mover->Piece.Method == MoverKeptChannel) {
            mover->Adapter->DmaOperations->FreeAdapterChannel(mover->Adapter);
        }
        DmaDeviceComplete(Device, Status, NT_SUCCESS(Status) ? mover->BytesDone : 0);
    }
}

/* ---- start and stop */

static VOID MoverStop(PDMA_DEVICE Device)
{
    PMOVER mover = CONTAINING_RECORD(Device, MOVER, Device);

    if (mover->Adapter == NULL) {
        return;
    }
    PDMA_OPERATIONS operations = mover->Adapter->DmaOperations;
    if (mover->Buffer != NULL) {
        operations->FreeCommonBuffer(mover->Adapter, BUFFER_BYTES, mover->BufferAddress, mover->Buffer, TRUE);
        mover->Buffer = NULL;
    }
    if (mover->Descriptors != NULL) {
        operations->FreeCommonBuffer(mover->Adapter, DESCRIPTOR_BYTES, mover->DescriptorsAddress, mover->Descriptors,
                                     TRUE);
        mover->Descriptors = NULL;
    }
    operations->PutDmaAdapter(mover->Adapter);
    mover->Adapter = NULL;
}

static NTSTATUS MoverStart(PDMA_DEVICE Device)
{
    PMOVER mover = CONTAINING_RECORD(Device, MOVER, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, MAX_PIECE_BYTES);
    mover->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &mover->MapRegisters);
    if (mover->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PDMA_OPERATIONS operations = mover->Adapter->DmaOperations;
    mover->Buffer = operations->AllocateCommonBuffer(mover->Adapter, BUFFER_BYTES, &mover->BufferAddress, TRUE);
    mover->Descriptors =
        operations->AllocateCommonBuffer(mover->Adapter, DESCRIPTOR_BYTES, &mover->DescriptorsAddress, TRUE);
    if (mover->Buffer == NULL || mover->Descriptors == NULL || mover->MapRegisters < 2) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES MoverRoutines = {MoverStart, MoverStop, MoverBegin, MoverDone};

/* ---- the self-test: a megabyte there and back, again and again */

/* The same for the same seed and place, and different everywhere. */
static inline ULONG64 MoverPattern(ULONG64 Seed, ULONG64 Place)
{
    ULONG64 value = (Seed ^ Place) * 0x9E3779B97F4A7C15ULL;
    return value ^ (value >> 29);
}

static VOID MoverFill(PULONG64 Words, ULONG64 Seed)
{
    for (ULONG64 i = 0; i < MEGABYTE / sizeof(ULONG64); i++) {
        Words[i] = MoverPattern(Seed, i);
    }
}

/* The number of bytes that are not the pattern's. */
static ULONG64 MoverCompare(const ULONG64 *Words, ULONG64 Seed)
{
    ULONG64 wrong = 0;

    for (ULONG64 i = 0; i < MEGABYTE / sizeof(ULONG64); i++) {
        for (ULONG64 difference = Words[i] ^ MoverPattern(Seed, i); difference != 0; difference >>= 8) {
            wrong += (difference & 0xFF) != 0;
        }
    }
    return wrong;
}

static NTSTATUS NTAPI MoverRequestDone(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* Sends a request of the driver's own to its device, and waits for it; it is cancelled with `TestIrp`. */
static NTSTATUS MoverRequest(PDEVICE_OBJECT DeviceObject, PIRP TestIrp, ULONG Major, PVOID Buffer, ULONG Offset,
                             ULONG Length, MOVER_METHOD Method)
{
    LARGE_INTEGER interval;
    LARGE_INTEGER offset;
    KEVENT event;

    offset.QuadPart = Offset;
    interval.QuadPart = CANCEL_INTERVAL;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp = IoBuildAsynchronousFsdRequest(Major, DeviceObject, Buffer, Length, &offset, NULL);
    if (irp == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoGetNextIrpStackLocation(irp)->Parameters.Read.Key = Method;
    IoSetCompletionRoutine(irp, MoverRequestDone, &event, TRUE, TRUE, TRUE);
    IoCallDriver(DeviceObject, irp);
    while (KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &interval) == STATUS_TIMEOUT) {
        if (TestIrp->Cancel) {
            IoCancelIrp(irp);
        }
    }
    NTSTATUS status = irp->IoStatus.Status;
    if (NT_SUCCESS(status) && irp->IoStatus.Information != Length) {
        status = STATUS_DEVICE_DATA_ERROR;
    }
    MmUnlockPages(irp->MdlAddress);
    IoFreeMdl(irp->MdlAddress);
    IoFreeIrp(irp);
    return status;
}

/*
 * A round moves a megabyte to the engine and back, each in two requests that meet at another place every time, so that
 * pieces begin and end anywhere in a page.
 */
static NTSTATUS MoverRound(PDEVICE_OBJECT DeviceObject, PIRP TestIrp, PUCHAR Buffer, ULONG Round, ULONG Seed,
                           PMOVER_TEST_RESULT Result)
{
    MOVER_METHOD there = (MOVER_METHOD)(1 + Round % (MoverMethods - 1));
    MOVER_METHOD back = (MOVER_METHOD)(1 + Round / (MoverMethods - 1) % (MoverMethods - 1));
    ULONG middle = MEGABYTE / 3 + 1237 * (Round % 256);
    ULONG64 seed = (ULONG64)Seed << 32 | Round << 17;

    MoverFill((PULONG64)Buffer, seed);
    NTSTATUS status = MoverRequest(DeviceObject, TestIrp, IRP_MJ_WRITE, Buffer, 0, middle, there);
    if (NT_SUCCESS(status)) {
        status =
            MoverRequest(DeviceObject, TestIrp, IRP_MJ_WRITE, Buffer + middle, middle, MEGABYTE - middle, there);
    }
    RtlZeroMemory(Buffer, MEGABYTE);
    if (NT_SUCCESS(status)) {
        status = MoverRequest(DeviceObject, TestIrp, IRP_MJ_READ, Buffer, 0, middle, back);
    }
    if (NT_SUCCESS(status)) {
        status = MoverRequest(DeviceObject, TestIrp, IRP_MJ_READ, Buffer + middle, middle, MEGABYTE - middle, back);
    }
    if (NT_SUCCESS(status)) {
        Result->BytesMoved += 2 * MEGABYTE;
        Result->BytesWrong += MoverCompare((PULONG64)Buffer, seed);
    }
    return status;
}

static VOID NTAPI MoverTestRoutine(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    PMOVER mover = DeviceObject->DeviceExtension;
    PIRP irp = Context;
    MOVER_TEST test = *(PMOVER_TEST)irp->AssociatedIrp.SystemBuffer;
    PMOVER_TEST_RESULT result = irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    RtlZeroMemory(result, sizeof(*result));
    PUCHAR buffer = ExAllocatePoolWithTag(NonPagedPoolNx, MEGABYTE, TAG_TEST);
    if (buffer != NULL) {
        status = STATUS_SUCCESS;
        for (ULONG round = 0; round < test.Megabytes / 2 && NT_SUCCESS(status); round++) {
            status = irp->Cancel ? STATUS_CANCELLED : MoverRound(DeviceObject, irp, buffer, round, test.Seed, result);
        }
        ExFreePoolWithTag(buffer, TAG_TEST);
    }
    IoFreeWorkItem(irp->Tail.Overlay.DriverContext[0]);
    InterlockedExchange(&mover->IsTesting, FALSE);
    DmaDeviceLeave(&mover->Device, irp, status, NT_SUCCESS(status) ? sizeof(*result) : 0);
}

/* Takes long, and waits for the device: in a worker thread. Two tests would overwrite each other's pattern. */
static NTSTATUS MoverStartTest(PMOVER Mover, PIRP Irp)
{
    if (InterlockedExchange(&Mover->IsTesting, TRUE)) {
        return STATUS_DEVICE_BUSY;
    }
    PIO_WORKITEM item = IoAllocateWorkItem(Mover->Device.Self);
    if (item == NULL) {
        InterlockedExchange(&Mover->IsTesting, FALSE);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Irp->Tail.Overlay.DriverContext[0] = item;
    IoMarkIrpPending(Irp);
    IoQueueWorkItem(item, MoverTestRoutine, DelayedWorkQueue, Irp);
    return STATUS_PENDING;
}

/* ---- control */

static NTSTATUS MoverDo(PMOVER Mover, PIRP Irp, PULONG_PTR Information)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_MOVER_METHOD:
        if (inputBytes < sizeof(ULONG)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        if (*(PULONG)buffer >= MoverMethods) {
            return STATUS_INVALID_PARAMETER;
        }
        Mover->Method = *(PULONG)buffer;
        return STATUS_SUCCESS;
    case IOCTL_MOVER_TEST:
        if (inputBytes < sizeof(MOVER_TEST) || outputBytes < sizeof(MOVER_TEST_RESULT)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        if (((PMOVER_TEST)buffer)->Megabytes > MAX_TEST_MEGABYTES) {
            return STATUS_INVALID_PARAMETER;
        }
        return MoverStartTest(Mover, Irp);
    case IOCTL_MOVER_COUNTS:
        if (outputBytes < sizeof(MOVER_COUNTS)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        RtlCopyMemory(buffer, &Mover->Counts, sizeof(MOVER_COUNTS));
        ((PMOVER_COUNTS)buffer)->Interrupts = Mover->Device.Interrupts;
        *Information = sizeof(MOVER_COUNTS);
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI MoverControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMOVER mover = DeviceObject->DeviceExtension;
    ULONG_PTR information = 0;

    NTSTATUS status = DmaDeviceEnter(&mover->Device, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    status = MoverDo(mover, Irp, &information);
    return status == STATUS_PENDING ? status : DmaDeviceLeave(&mover->Device, Irp, status, information);
}

static NTSTATUS NTAPI MoverAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(MOVER), &MoverRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, MoverAddDevice);
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = MoverControl;
    return STATUS_SUCCESS;
}
