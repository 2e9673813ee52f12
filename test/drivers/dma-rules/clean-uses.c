/* Uses that keep all rules: nothing may be said of them. They check the data too, and answer STATUS_DATA_ERROR. */
#include "dma-rules.h"

#define CHECK(Condition) \
    do { \
        if (!(Condition)) \
            return STATUS_DATA_ERROR; \
    } while (0)

static NTSTATUS CommonBuffers(void)
{
    static const ULONG lengths[] = {1, 0x10, 0xff8, 0x1000, 0x1234, 0x3000};
    PHYSICAL_ADDRESS logical[RTL_NUMBER_OF(lengths)];
    PUCHAR buffers[RTL_NUMBER_OF(lengths)];
    ULONG registers, i;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL);
    for (i = 0; i < RTL_NUMBER_OF(lengths); i++) {
        buffers[i] = adapter->DmaOperations->AllocateCommonBuffer(adapter, lengths[i], &logical[i], TRUE);
        CHECK(buffers[i] != NULL);
        RtlFillMemory(buffers[i], lengths[i], i);
        DeviceWrites(logical[i], 0, lengths[i], (UCHAR)(0x40 + i));
    }
    for (i = 0; i < RTL_NUMBER_OF(lengths); i++) {
        CHECK(buffers[i][0] == 0x40 + i && buffers[i][lengths[i] - 1] == (UCHAR)(0x40 + i + lengths[i] - 1));
        CHECK(DeviceReads(logical[i], lengths[i], (UCHAR)(0x40 + i)));
    }
    for (i = RTL_NUMBER_OF(lengths); i-- > 0;)
        adapter->DmaOperations->FreeCommonBuffer(adapter, lengths[i], logical[i], buffers[i], FALSE);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

static NTSTATUS KeepChannel(void)
{
    ULONG registers, length = 0x1800, bytes;
    PHYSICAL_ADDRESS logical;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(2, FALSE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x800, length, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 2, KeepObject, &channel)));
    bytes = length;
    logical = MAP(adapter, buffer, channel.Base, 0, &bytes, TRUE);
    CHECK(bytes == length && DeviceReads(logical, length, 1));
    CHECK(FLUSH(adapter, buffer, channel.Base, 0, length, TRUE));
    /* The other way, with the same map registers. */
    logical = MAP(adapter, buffer, channel.Base, 0, &bytes, FALSE);
    DeviceWrites(logical, 0, length, 0x77);
    CHECK(FLUSH(adapter, buffer, channel.Base, 0, length, FALSE) && HoldsBytes(&buffer, 0x77));
    FreeChannel(adapter);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

static void MapAndFlush(PDMA_ADAPTER Adapter, CHANNEL *Channel)
{
    BUFFER *buffer = Channel->Context;
    ULONG bytes = buffer->Length;
    PHYSICAL_ADDRESS logical = MAP(Adapter, *buffer, Channel->Base, 0, &bytes, FALSE);

    DeviceWrites(logical, 0, bytes, 9);
    FLUSH(Adapter, *buffer, Channel->Base, 0, bytes, FALSE);
}

static NTSTATUS DeallocateAll(void)
{
    ULONG registers;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(1, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x100, 0x300, 1)));
    channel.Then = MapAndFlush;
    channel.Context = &buffer;
    CHECK(NT_SUCCESS(GetChannel(adapter, 1, DeallocateObject, &channel)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 1, DeallocateObject, &channel)));
    CHECK(HoldsBytes(&buffer, 9));
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* A scatter/gather master: several MapTransfers, one flush. */
static NTSTATUS Scatter(ULONG Offset, ULONG Length)
{
    ULONG registers, done, bytes, pages = (Offset + Length + PAGE - 1) / PAGE;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x60000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, Offset, Length, 1)));
    CHECK(registers >= pages && NT_SUCCESS(GetChannel(adapter, pages, DeallocateObjectKeepRegisters, &channel)));
    for (done = 0; done < Length; done += bytes) {
        PHYSICAL_ADDRESS logical;

        bytes = Length - done;
        logical = MAP(adapter, buffer, channel.Base, done, &bytes, FALSE);
        CHECK(bytes != 0 && bytes <= Length - done);
        DeviceWrites(logical, 0, bytes, (UCHAR)(0x30 + done));
    }
    CHECK(FLUSH(adapter, buffer, channel.Base, 0, Length, FALSE) && HoldsBytes(&buffer, 0x30));
    FreeRegisters(adapter, channel.Base, pages);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

static NTSTATUS KeepRegisters(void)
{
    CHECK(NT_SUCCESS(Scatter(0, 0x3000)) && NT_SUCCESS(Scatter(0x123, 0x2345)));
    return Scatter(0xfff, 1);
}

/* The device transfers less than was mapped, and only that is flushed: all in one page. */
static NTSTATUS ShortFlush(void)
{
    ULONG registers, bytes = 0x400;
    PHYSICAL_ADDRESS logical;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x40, 0x400, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 1, DeallocateObjectKeepRegisters, &channel)));
    logical = MAP(adapter, buffer, channel.Base, 0, &bytes, FALSE);
    DeviceWrites(logical, 0, 0x11, 0x90);
    FLUSH(adapter, buffer, channel.Base, 0, 0x11, FALSE);
    CHECK(buffer.Va[0] == 0x90 && buffer.Va[0x10] == 0xa0 && buffer.Va[0x11] == 0x12);
    FreeRegisters(adapter, channel.Base, 1);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* More than the map registers hold: each piece is flushed before the next one. */
static NTSTATUS Pieces(void)
{
    ULONG registers, done, bytes, length = 0x4800;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(2, FALSE, 0x2000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0, length, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 2, KeepObject, &channel)));
    for (done = 0; done < length; done += bytes) {
        PHYSICAL_ADDRESS logical;

        bytes = min(length - done, 0x2000);
        logical = MAP(adapter, buffer, channel.Base, done, &bytes, FALSE);
        DeviceWrites(logical, 0, bytes, (UCHAR)(0x50 + done));
        FLUSH(adapter, buffer, channel.Base, done, bytes, FALSE);
    }
    CHECK(HoldsBytes(&buffer, 0x50));
    FreeChannel(adapter);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* A scatter/gather master with two map registers, which asks for all that is left and takes what it gets. */
static NTSTATUS Window(void)
{
    ULONG registers, done = 0, mapped, pages, bytes, length = 0x4321;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x321, length, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 2, DeallocateObjectKeepRegisters, &channel)));
    while (done < length) {
        for (mapped = pages = 0; pages < 2 && done + mapped < length; mapped += bytes) {
            PHYSICAL_ADDRESS logical;

            bytes = length - done - mapped;
            logical = MAP(adapter, buffer, channel.Base, done + mapped, &bytes, FALSE);
            DeviceWrites(logical, 0, bytes, (UCHAR)(0x19 + done + mapped));
            pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(buffer.Va + done, mapped + bytes);
        }
        FLUSH(adapter, buffer, channel.Base, done, mapped, FALSE);
        done += mapped;
    }
    CHECK(HoldsBytes(&buffer, 0x19));
    FreeRegisters(adapter, channel.Base, 2);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* A device that moves no more than 512 bytes at a time: a page takes one map register all the same. */
static NTSTATUS SmallPieces(void)
{
    ULONG registers, done, bytes, length = 0x1e00;
    CHANNEL channel = {0};
    BUFFER buffer;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x200, length, 1)));
    CHECK(NT_SUCCESS(GetChannel(adapter, 2, DeallocateObjectKeepRegisters, &channel)));
    for (done = 0; done < length; done += bytes) {
        PHYSICAL_ADDRESS logical;

        bytes = min(length - done, 0x200);
        logical = MAP(adapter, buffer, channel.Base, done, &bytes, FALSE);
        DeviceWrites(logical, 0, bytes, (UCHAR)(0x71 + done));
    }
    CHECK(FLUSH(adapter, buffer, channel.Base, 0, length, FALSE) && HoldsBytes(&buffer, 0x71));
    FreeRegisters(adapter, channel.Base, 2);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

static void DevicePlaysList(const SCATTER_GATHER_LIST *List, UCHAR Seed)
{
    ULONG i, done = 0;

    for (i = 0; i < List->NumberOfElements; i++) {
        DeviceWrites(List->Elements[i].Address, 0, List->Elements[i].Length, (UCHAR)(Seed + done));
        done += List->Elements[i].Length;
    }
}

static NTSTATUS Lists(void)
{
    ULONG registers;
    BUFFER one, other;
    LIST first, second;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL);
    CHECK(NT_SUCCESS(MakeBuffer(&one, 0x10, 0x2468, 1)) && NT_SUCCESS(MakeBuffer(&other, 0x800, 0x900, 2)));
    CHECK(NT_SUCCESS(GetList(adapter, one.Mdl, one.Va, one.Length, FALSE, &first)));
    CHECK(NT_SUCCESS(GetList(adapter, other.Mdl, other.Va, other.Length, TRUE, &second)));
    DevicePlaysList(first.List, 0x21);
    CHECK(DeviceReads(second.List->Elements[0].Address, second.List->Elements[0].Length, 2));
    PutList(adapter, &first, FALSE);
    CHECK(HoldsBytes(&one, 0x21));
    PutList(adapter, &second, TRUE);
    CHECK(HoldsBytes(&other, 2));
    FreeBuffer(&one);
    FreeBuffer(&other);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

static NTSTATUS Chain(void)
{
    ULONG registers, length;
    BUFFER one, other;
    LIST list;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL);
    CHECK(NT_SUCCESS(MakeBuffer(&one, 0x10, 14, 1)) && NT_SUCCESS(MakeBuffer(&other, 0, 0x1100, 15)));
    one.Mdl->Next = other.Mdl;
    length = one.Length + other.Length;
    CHECK(NT_SUCCESS(GetList(adapter, one.Mdl, one.Va, length, FALSE, &list)));
    DevicePlaysList(list.List, 0x33);
    PutList(adapter, &list, FALSE);
    CHECK(HoldsBytes(&one, 0x33) && HoldsBytes(&other, 0x33 + 14));
    one.Mdl->Next = NULL;
    FreeBuffer(&one);
    FreeBuffer(&other);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* A part of a locked buffer, which its MDL does not call locked. */
static NTSTATUS Partial(void)
{
    ULONG registers;
    BUFFER buffer;
    LIST list;
    PUCHAR paged = ExAllocatePoolWithTag(PagedPool, 0x1800, TAG);
    PMDL locked, part;
    PDMA_ADAPTER adapter = GetAdapter(2, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && paged != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x80, 0x1800, 1)));
    locked = IoAllocateMdl(paged, 0x1800, FALSE, FALSE, NULL);
    part = IoAllocateMdl(paged + 0x700, 0x1000, FALSE, FALSE, NULL);
    MmProbeAndLockPages(locked, KernelMode, IoModifyAccess);
    IoBuildPartialMdl(locked, part, paged + 0x700, 0x1000);
    CHECK(NT_SUCCESS(GetList(adapter, part, paged + 0x700, 0x1000, FALSE, &list)));
    DevicePlaysList(list.List, 0x44);
    PutList(adapter, &list, FALSE);
    CHECK(paged[0x700] == 0x44 && paged[0x16ff] == (UCHAR)(0x44 + 0xfff));
    IoBuildPartialMdl(buffer.Mdl, part, buffer.Va + 0x10, 0xfff);
    CHECK(NT_SUCCESS(GetList(adapter, part, buffer.Va + 0x10, 0xfff, TRUE, &list)));
    PutList(adapter, &list, TRUE);
    IoFreeMdl(part);
    MmUnlockPages(locked);
    IoFreeMdl(locked);
    ExFreePoolWithTag(paged, TAG);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

/* A request waits until another one's map registers are free. */
static NTSTATUS Waiting(void)
{
    ULONG registers;
    CHANNEL first = {0}, second = {0};
    PDMA_ADAPTER adapter = GetAdapter(2, FALSE, 0x2000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(GetChannel(adapter, registers, DeallocateObjectKeepRegisters, &first)));
    CHECK(GetChannel(adapter, 1, KeepObject, &second) == STATUS_UNSUCCESSFUL && second.Calls == 0);
    FreeRegisters(adapter, first.Base, registers);
    CHECK(second.Calls == 1);
    FreeChannel(adapter);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

static NTSTATUS SeveralAdapters(void)
{
    ULONG registers;
    PHYSICAL_ADDRESS logical[2];
    PVOID buffers[2];
    PDMA_ADAPTER one = GetAdapter(2, TRUE, 0x10000, &registers);
    PDMA_ADAPTER other = GetAdapter(1, FALSE, 0x10000, &registers);

    CHECK(one != NULL && other != NULL);
    buffers[0] = one->DmaOperations->AllocateCommonBuffer(one, 0x80, &logical[0], TRUE);
    buffers[1] = other->DmaOperations->AllocateCommonBuffer(other, 0x80, &logical[1], TRUE);
    one->DmaOperations->FreeCommonBuffer(one, 0x80, logical[0], buffers[0], TRUE);
    PutAdapter(one);
    other->DmaOperations->FreeCommonBuffer(other, 0x80, logical[1], buffers[1], TRUE);
    PutAdapter(other);
    return STATUS_SUCCESS;
}

/* More than are double-buffered: the rest goes straight through. */
static NTSTATUS ManyRegisters(void)
{
    return Scatter(0, 80 * PAGE) == STATUS_SUCCESS ? Scatter(0, 0x1000) : STATUS_DATA_ERROR;
}

static NTSTATUS Version3(void)
{
    UCHAR context[128], space[sizeof(SCATTER_GATHER_LIST) + 8 * sizeof(SCATTER_GATHER_ELEMENT)];
    PSCATTER_GATHER_LIST list = (PSCATTER_GATHER_LIST)space;
    ULONG registers, bytes = 0x1800;
    PHYSICAL_ADDRESS logical, highest;
    PVOID base = NULL, common;
    BUFFER buffer;
    KIRQL irql;
    NTSTATUS status;
    PDMA_ADAPTER adapter = GetAdapter(3, TRUE, 0x10000, &registers);

    CHECK(adapter != NULL && NT_SUCCESS(MakeBuffer(&buffer, 0x200, bytes, 1)));
    highest.QuadPart = 0xffffffff;
    common = ((ALLOCATE_EX)MEMBER(adapter, AllocateCommonBufferEx))(adapter, &highest, 0x40, &logical, TRUE, 0);
    CHECK(common != NULL && logical.QuadPart <= highest.QuadPart);
    adapter->DmaOperations->FreeCommonBuffer(adapter, 0x40, logical, common, TRUE);
    CHECK(NT_SUCCESS(((INITIALIZE_CONTEXT)MEMBER(adapter, InitializeDmaTransferContext))(adapter, context)));
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    status = ((CHANNEL_EX)MEMBER(adapter, AllocateAdapterChannelEx))(adapter, Device, context, 2, 1, NULL, NULL, &base);
    KeLowerIrql(irql);
    CHECK(NT_SUCCESS(status));
    CHECK(NT_SUCCESS(((MAP_EX)MEMBER(adapter, MapTransferEx))(adapter, buffer.Mdl, base, 0, 0, &bytes, FALSE, list,
                                                             sizeof space, NULL, NULL)));
    CHECK(bytes == 0x1800);
    DevicePlaysList(list, 0x66);
    CHECK(NT_SUCCESS(((FLUSH_EX)MEMBER(adapter, FlushAdapterBuffersEx))(adapter, buffer.Mdl, base, 0, bytes, FALSE)));
    CHECK(HoldsBytes(&buffer, 0x66));
    ((FREE_OBJECT)MEMBER(adapter, FreeAdapterObject))(adapter, DeallocateObject);
    FreeBuffer(&buffer);
    PutAdapter(adapter);
    return STATUS_SUCCESS;
}

const NAMED CleanUses[] = {
    {"common-buffers", CommonBuffers},
    {"keep-object", KeepChannel},
    {"deallocate-object", DeallocateAll},
    {"keep-registers", KeepRegisters},
    {"short-flush", ShortFlush},
    {"pieces", Pieces},
    {"window", Window},
    {"small-pieces", SmallPieces},
    {"lists", Lists},
    {"chain", Chain},
    {"partial", Partial},
    {"waiting", Waiting},
    {"several-adapters", SeveralAdapters},
    {"many-registers", ManyRegisters},
    {"version-3", Version3},
    {NULL, NULL},
};
