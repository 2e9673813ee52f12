/* Uses that keep all rules, put together as drivers do it: nothing may be said of them. They check the data, too. */
#define USE_DMA_MACROS
#include "dma-rules.h"

#define CHECK(Condition) \
    do { \
        if (!(Condition)) \
            return STATUS_DATA_ERROR; \
    } while (0)

typedef IO_ALLOCATION_ACTION (NTAPI *ADAPTER_CONTROL)(PDEVICE_OBJECT, PIRP, PVOID, PVOID);
typedef void (NTAPI *LIST_CONTROL)(PDEVICE_OBJECT, PIRP, PSCATTER_GATHER_LIST, PVOID);

/* ---- packets: a channel for each piece; the DPC of its end flushes it and begins the next one */

typedef struct _PACKETS {
    PDMA_ADAPTER Adapter;
    BUFFER *Buffer;
    ULONG MapRegisters, Done, Piece, Pages, Pieces;
    PVOID Base;
    BOOLEAN ToDevice;
    NTSTATUS Status;
    KDPC Dpc;
    KEVENT End;
} PACKETS;

static IO_ALLOCATION_ACTION NTAPI PacketControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Base, PVOID Context)
{
    PACKETS *packets = Context;
    ULONG mapped, length;

    (void)DeviceObject;
    (void)Irp;
    packets->Base = Base;
    for (mapped = 0; mapped < packets->Piece; mapped += length) {
        PHYSICAL_ADDRESS logical;

        length = packets->Piece - mapped;
        logical = IoMapTransfer(packets->Adapter, packets->Buffer->Mdl, Base,
                                (PUCHAR)MmGetMdlVirtualAddress(packets->Buffer->Mdl) + packets->Done + mapped, &length,
                                packets->ToDevice);
        if (!packets->ToDevice)
            DeviceWrites(logical, 0, length, (UCHAR)(0x11 + packets->Done + mapped));
        else if (!DeviceReads(logical, length, (UCHAR)(1 + packets->Done + mapped)))
            packets->Status = STATUS_DATA_ERROR;
    }
    packets->Pieces++;
    KeInsertQueueDpc(&packets->Dpc, NULL, NULL);
    return DeallocateObjectKeepRegisters;
}

static NTSTATUS NextPacket(PACKETS *Packets)
{
    PUCHAR va = (PUCHAR)MmGetMdlVirtualAddress(Packets->Buffer->Mdl) + Packets->Done;
    ULONG room = Packets->MapRegisters * PAGE - BYTE_OFFSET(va);

    Packets->Piece = min(Packets->Buffer->Length - Packets->Done, room);
    Packets->Pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(va, Packets->Piece);
    return IoAllocateAdapterChannel(Packets->Adapter, Device, Packets->Pages, PacketControl, Packets);
}

static void NTAPI PacketDpc(PKDPC Dpc, PVOID Context, PVOID First, PVOID Second)
{
    PACKETS *packets = Context;

    (void)Dpc;
    (void)First;
    (void)Second;
    IoFlushAdapterBuffers(packets->Adapter, packets->Buffer->Mdl, packets->Base,
                          (PUCHAR)MmGetMdlVirtualAddress(packets->Buffer->Mdl) + packets->Done, packets->Piece,
                          packets->ToDevice);
    IoFreeMapRegisters(packets->Adapter, packets->Base, packets->Pages);
    packets->Done += packets->Piece;
    if (packets->Done == packets->Buffer->Length || !NT_SUCCESS(packets->Status)
        || !NT_SUCCESS(packets->Status = NextPacket(packets)))
        KeSetEvent(&packets->End, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS Packets(BOOLEAN ScatterGather, ULONG MaximumLength, ULONG Offset, ULONG Length, BOOLEAN ToDevice)
{
    BUFFER buffer;
    PACKETS packets = {0};
    KIRQL irql;

    packets.Adapter = GetAdapter(1, ScatterGather, MaximumLength, &packets.MapRegisters);
    CHECK(packets.Adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, Offset, Length, 1)));
    packets.Buffer = &buffer;
    packets.ToDevice = ToDevice;
    KeInitializeDpc(&packets.Dpc, PacketDpc, &packets);
    KeInitializeEvent(&packets.End, NotificationEvent, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    packets.Status = NextPacket(&packets);
    KeLowerIrql(irql);
    CHECK(NT_SUCCESS(packets.Status));
    KeWaitForSingleObject(&packets.End, Executive, KernelMode, FALSE, NULL);
    CHECK(NT_SUCCESS(packets.Status) && packets.Done == Length && HoldsBytes(&buffer, ToDevice ? 1 : 0x11));
    CHECK(packets.Pieces == (BYTE_OFFSET(Offset) + Length + packets.MapRegisters * PAGE - 1) / (packets.MapRegisters * PAGE));
    FreeBuffer(&buffer);
    PutAdapter(packets.Adapter);
    return STATUS_SUCCESS;
}

static NTSTATUS PacketLoop(void)
{
    CHECK(NT_SUCCESS(Packets(TRUE, 0x3000, 0x123, 0xf001, FALSE)) && NT_SUCCESS(Packets(TRUE, 0x3000, 0xfff, 0xf001, TRUE)));
    CHECK(NT_SUCCESS(Packets(FALSE, 0x2000, 0x7, 0x8765, FALSE)) && NT_SUCCESS(Packets(FALSE, 0x2000, 0, 0x8000, TRUE)));
    return Packets(TRUE, 0x1000, 0xffd, 5, FALSE);
}

/* ---- lists that are put at unusual places */

typedef struct _LISTS {
    PDMA_ADAPTER Adapter;
    BUFFER *Buffer, *Other;
    ULONG Calls;
    LIST Inner;
} LISTS;

static void Play(const SCATTER_GATHER_LIST *List, UCHAR Seed)
{
    ULONG i, done = 0;

    for (i = 0; i < List->NumberOfElements; done += List->Elements[i++].Length)
        DeviceWrites(List->Elements[i].Address, 0, List->Elements[i].Length, (UCHAR)(Seed + done));
}

static NTSTATUS List(LISTS *Lists, BUFFER *Buffer, LIST_CONTROL Control)
{
    KIRQL irql;
    NTSTATUS status;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    status = Lists->Adapter->DmaOperations->GetScatterGatherList(Lists->Adapter, Device, Buffer->Mdl, Buffer->Va,
                                                                 Buffer->Length, Control, Lists, FALSE);
    KeLowerIrql(irql);
    return status;
}

static void NTAPI PutAtOnce(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST ScatterGather, PVOID Context)
{
    LISTS *lists = Context;

    (void)DeviceObject;
    (void)Irp;
    Play(ScatterGather, 0x51);
    lists->Adapter->DmaOperations->PutScatterGatherList(lists->Adapter, ScatterGather, FALSE);
    lists->Calls++;
}

static void NTAPI AskAgain(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST ScatterGather, PVOID Context)
{
    LISTS *lists = Context;

    (void)DeviceObject;
    (void)Irp;
    List(lists, lists->Other, PutAtOnce);
    Play(ScatterGather, 0x51);
    lists->Adapter->DmaOperations->PutScatterGatherList(lists->Adapter, ScatterGather, FALSE);
    lists->Calls++;
}

static NTSTATUS ListPutInControl(void)
{
    BUFFER one, other;
    LISTS lists = {0};
    ULONG registers;

    lists.Adapter = GetAdapter(2, TRUE, 0x10000, &registers);
    CHECK(lists.Adapter != NULL);
    CHECK(NT_SUCCESS(MakeBuffer(&one, 0x801, 0x2fff, 1)) && NT_SUCCESS(MakeBuffer(&other, 3, 0x1000, 1)));
    lists.Buffer = &one;
    lists.Other = &other;
    CHECK(NT_SUCCESS(List(&lists, &one, PutAtOnce)) && lists.Calls == 1 && HoldsBytes(&one, 0x51));
    CHECK(NT_SUCCESS(List(&lists, &one, AskAgain)) && lists.Calls == 3 && HoldsBytes(&other, 0x51));
    FreeBuffer(&one);
    FreeBuffer(&other);
    PutAdapter(lists.Adapter);
    return STATUS_SUCCESS;
}

/* A list in memory of a lookaside list, as large as was calculated; the memory is used again and again. */
static void NTAPI Remember(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST ScatterGather, PVOID Context)
{
    (void)DeviceObject;
    (void)Irp;
    ((LIST *)Context)->List = ScatterGather;
    ((LIST *)Context)->Calls++;
}

static NTSTATUS Build(PDMA_ADAPTER Adapter, BUFFER *Buffer, PVOID Space, ULONG Size, LIST *List)
{
    KIRQL irql;
    NTSTATUS status;

    List->Calls = 0;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    status = Adapter->DmaOperations->BuildScatterGatherList(Adapter, Device, Buffer->Mdl, Buffer->Va, Buffer->Length, Remember,
                                                            List, FALSE, Space, Size);
    KeLowerIrql(irql);
    return NT_SUCCESS(status) && List->Calls == 1 && List->List == Space ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

static NTSTATUS BuildInLookaside(void)
{
    NPAGED_LOOKASIDE_LIST lookaside;
    ULONG registers, most, size, needed, i;
    BUFFER buffer;
    LIST list;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x8000, &registers);

    CHECK(adapter != NULL);
    CHECK(NT_SUCCESS(adapter->DmaOperations->CalculateScatterGatherList(adapter, NULL, (PVOID)(ULONG_PTR)(PAGE - 1), 0x8000,
                                                                        &most, &needed)));
    CHECK(needed <= registers);
    ExInitializeNPagedLookasideList(&lookaside, NULL, NULL, 0, most, TAG, 0);
    for (i = 0; i < 6; i++) {
        PVOID space = ExAllocateFromNPagedLookasideList(&lookaside);

        CHECK(space != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x3ff * i, 0x8000 - i, 1)));
        CHECK(NT_SUCCESS(adapter->DmaOperations->CalculateScatterGatherList(adapter, buffer.Mdl, buffer.Va, buffer.Length, &size,
                                                                            NULL)));
        CHECK(size <= most && NT_SUCCESS(Build(adapter, &buffer, space, size, &list)));
        Play(list.List, (UCHAR)i);
        PutList(adapter, &list, FALSE);
        CHECK(HoldsBytes(&buffer, (UCHAR)i));
        ExFreeToNPagedLookasideList(&lookaside, space);
        FreeBuffer(&buffer);
    }
    ExDeleteNPagedLookasideList(&lookaside);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* ---- other kinds of memory */

/* Pages without an address, and a buffer of pageable memory that is locked, from an odd byte on. */
static NTSTATUS Pages(void)
{
    PHYSICAL_ADDRESS low, high, skip;
    PMDL mdl, odd;
    PUCHAR mapped, paged = ExAllocatePoolWithTag(PagedPool, 0x4000, TAG);
    LIST list;
    ULONG registers;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    low.QuadPart = skip.QuadPart = 0;
    high.QuadPart = -1;
    CHECK(adapter != NULL && paged != NULL);
    mdl = MmAllocatePagesForMdl(low, high, skip, 0x3000);
    CHECK(mdl != NULL && MmGetMdlByteCount(mdl) == 0x3000);
    CHECK(NT_SUCCESS(GetList(adapter, mdl, MmGetMdlVirtualAddress(mdl), 0x3000, FALSE, &list)));
    Play(list.List, 0x21);
    PutList(adapter, &list, FALSE);
    mapped = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    CHECK(mapped != NULL && mapped[0] == 0x21 && mapped[0x2fff] == (UCHAR)(0x21 + 0x2fff));
    CHECK(NT_SUCCESS(GetList(adapter, mdl, (PUCHAR)MmGetMdlVirtualAddress(mdl) + 0x1234, 0x1000, TRUE, &list)));
    PutList(adapter, &list, TRUE);
    MmUnmapLockedPages(mapped, mdl);
    MmFreePagesFromMdl(mdl);
    ExFreePool(mdl);

    odd = IoAllocateMdl(paged + 0xfd, 0x2a5b, FALSE, FALSE, NULL);
    CHECK(odd != NULL);
    MmProbeAndLockPages(odd, KernelMode, IoWriteAccess);
    CHECK(NT_SUCCESS(GetList(adapter, odd, MmGetMdlVirtualAddress(odd), MmGetMdlByteCount(odd), FALSE, &list)));
    Play(list.List, 0x31);
    PutList(adapter, &list, FALSE);
    CHECK(paged[0xfd] == 0x31 && paged[0xfd + 0x2a5a] == (UCHAR)(0x31 + 0x2a5a));
    MmUnlockPages(odd);
    IoFreeMdl(odd);
    ExFreePoolWithTag(paged, TAG);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* MapTransfer knows one MDL: a driver maps those of a chain one after the other, with map registers for all of them. */
static NTSTATUS ChainOfPackets(void)
{
    ULONG registers, done, bytes, seed = 0;
    BUFFER buffers[3];
    CHANNEL channel = {0};
    PMDL mdl;
    PDMA_ADAPTER adapter = GetAdapter(1, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffers[0], 0x3c, 0x20, 1)));
    CHECK(NT_SUCCESS(MakeBuffer(&buffers[1], 0x800, 0x1800, 1)) && NT_SUCCESS(MakeBuffer(&buffers[2], 1, 0xfff, 1)));
    buffers[0].Mdl->Next = buffers[1].Mdl;
    buffers[1].Mdl->Next = buffers[2].Mdl;
    CHECK(NT_SUCCESS(GetChannel(adapter, 4, DeallocateObjectKeepRegisters, &channel)));
    for (mdl = buffers[0].Mdl; mdl != NULL; mdl = mdl->Next) {
        for (done = 0; done < MmGetMdlByteCount(mdl); done += bytes) {
            PHYSICAL_ADDRESS logical;

            bytes = MmGetMdlByteCount(mdl) - done;
            logical = IoMapTransfer(adapter, mdl, channel.Base, (PUCHAR)MmGetMdlVirtualAddress(mdl) + done, &bytes, FALSE);
            DeviceWrites(logical, 0, bytes, (UCHAR)(seed + done));
        }
        seed += 0x40;
    }
    for (mdl = buffers[0].Mdl; mdl != NULL; mdl = mdl->Next)
        IoFlushAdapterBuffers(adapter, mdl, channel.Base, MmGetMdlVirtualAddress(mdl), MmGetMdlByteCount(mdl), FALSE);
    FreeRegisters(adapter, channel.Base, 4);
    CHECK(HoldsBytes(&buffers[0], 0) && HoldsBytes(&buffers[1], 0x40) && HoldsBytes(&buffers[2], 0x80));
    for (bytes = 0; bytes < 3; bytes++)
        FreeBuffer(&buffers[bytes]);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* Every fragment is flushed by itself. */
static NTSTATUS FlushEach(void)
{
    ULONG registers, done, bytes, lengths[4], count = 0, i;
    BUFFER buffer;
    CHANNEL channel = {0};
    PDMA_ADAPTER adapter = GetAdapter(1, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x456, 0x2800, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 3, DeallocateObjectKeepRegisters, &channel)));
    for (done = 0; done < buffer.Length; done += bytes) {
        PHYSICAL_ADDRESS logical;

        bytes = buffer.Length - done;
        logical = MAP(adapter, buffer, channel.Base, done, &bytes, FALSE);
        DeviceWrites(logical, 0, bytes, (UCHAR)(7 + done));
        CHECK(count < RTL_NUMBER_OF(lengths));
        lengths[count++] = bytes;
    }
    for (done = i = 0; i < count; done += lengths[i++])
        FLUSH(adapter, buffer, channel.Base, done, lengths[i], FALSE);
    FreeRegisters(adapter, channel.Base, 3);
    CHECK(HoldsBytes(&buffer, 7));
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* What the device sees, as an MDL that the driver can map. */
static NTSTATUS SeenByDevice(void)
{
    ULONG registers;
    BUFFER buffer;
    LIST list;
    PMDL seen = NULL;
    PUCHAR mapped;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x80, 0x1900, 1)));
    CHECK(NT_SUCCESS(GetList(adapter, buffer.Mdl, buffer.Va, buffer.Length, FALSE, &list)));
    CHECK(NT_SUCCESS(adapter->DmaOperations->BuildMdlFromScatterGatherList(adapter, list.List, buffer.Mdl, &seen)));
    Play(list.List, 0x61);
    mapped = MmGetSystemAddressForMdlSafe(seen, NormalPagePriority);
    CHECK(mapped != NULL && mapped[0] == 0x61 && mapped[0x18ff] == (UCHAR)(0x61 + 0x18ff));
    PutList(adapter, &list, FALSE);
    CHECK(HoldsBytes(&buffer, 0x61));
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* All of the map registers for a byte, of a driver that says it may transfer anything. */
static NTSTATUS AnyLength(void)
{
    ULONG registers, bytes = 1;
    BUFFER buffer;
    CHANNEL channel = {0};
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0xffffffff, &registers);

    CHECK(adapter != NULL && registers > 0 && NT_SUCCESS(MakeBuffer(&buffer, 0xfff, 1, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, registers, KeepObject, &channel)));
    CHECK(DeviceReads(MAP(adapter, buffer, channel.Base, 0, &bytes, TRUE), 1, 1));
    FLUSH(adapter, buffer, channel.Base, 0, 1, TRUE);
    FreeChannel(adapter);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* ---- cancelled requests: one waits for the channel that another one of the same device has */

enum { CancelAdapterChannel = 21 };
typedef BOOLEAN (*CANCEL_CHANNEL)(PDMA_ADAPTER, PDEVICE_OBJECT, PVOID);

static NTSTATUS CancelWaiting(void)
{
    UCHAR contexts[3][128];
    ULONG registers, i;
    CHANNEL kept = {0}, waits = {0}, cancelled = {0};
    KIRQL irql;
    NTSTATUS statuses[3];
    BOOLEAN isCancelled;
    PDMA_ADAPTER adapter = GetAdapter(3, TRUE, 0x10000, &registers);
    CHANNEL *channels[] = {&kept, &waits, &cancelled};

    CHECK(adapter != NULL);
    kept.Answer = KeepObject;
    waits.Answer = cancelled.Answer = DeallocateObject;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    for (i = 0; i < 3; i++) {
        ((INITIALIZE_CONTEXT)MEMBER(adapter, InitializeDmaTransferContext))(adapter, contexts[i]);
        statuses[i] = ((CHANNEL_EX)MEMBER(adapter, AllocateAdapterChannelEx))(adapter, Device, contexts[i], 1, 0, ChannelControl,
                                                                             channels[i], NULL);
    }
    isCancelled = ((CANCEL_CHANNEL)MEMBER(adapter, CancelAdapterChannel))(adapter, Device, contexts[2]);
    ((FREE_OBJECT)MEMBER(adapter, FreeAdapterObject))(adapter, DeallocateObject);
    KeLowerIrql(irql);
    CHECK(NT_SUCCESS(statuses[0]) && NT_SUCCESS(statuses[1]) && NT_SUCCESS(statuses[2]) && isCancelled);
    CHECK(kept.Calls == 1 && waits.Calls == 1 && cancelled.Calls == 0);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* A list that is built at once, without a routine: the channel that it took is the driver's until it frees the adapter object. */
static NTSTATUS ListWithoutRoutine(void)
{
    UCHAR context[128];
    ULONG registers;
    BUFFER buffer;
    LIST list = {0};
    KIRQL irql;
    NTSTATUS status, busy;
    PDMA_ADAPTER adapter = GetAdapter(3, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x321, 0x2222, 1)));
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ((INITIALIZE_CONTEXT)MEMBER(adapter, InitializeDmaTransferContext))(adapter, context);
    status = ((LIST_EX)MEMBER(adapter, GetScatterGatherListEx))(adapter, Device, context, buffer.Mdl, 0, buffer.Length, 1, NULL,
                                                               NULL, FALSE, NULL, NULL, &list.List);
    busy = ((LIST_EX)MEMBER(adapter, GetScatterGatherListEx))(adapter, Device, context, buffer.Mdl, 0, buffer.Length, 1, NULL,
                                                             NULL, FALSE, NULL, NULL, &list.List);
    ((FREE_OBJECT)MEMBER(adapter, FreeAdapterObject))(adapter, DeallocateObjectKeepRegisters);
    KeLowerIrql(irql);
    CHECK(NT_SUCCESS(status) && busy == STATUS_INSUFFICIENT_RESOURCES);
    Play(list.List, 0x71);
    PutList(adapter, &list, FALSE);
    CHECK(HoldsBytes(&buffer, 0x71));
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

const NAMED DriverPatterns[] = {
    {"list-without-routine", ListWithoutRoutine},
    {"packet-loop", PacketLoop},
    {"list-put-in-control", ListPutInControl},
    {"build-in-lookaside", BuildInLookaside},
    {"pages", Pages},
    {"chain-of-packets", ChainOfPackets},
    {"flush-each", FlushEach},
    {"seen-by-device", SeenByDevice},
    {"any-length", AnyLength},
    {"cancel-waiting", CancelWaiting},
    {NULL, NULL},
};
