/* One broken rule each. Where nothing stops the machine, they answer STATUS_SUCCESS and leave what they leave. */
#include "dma-rules.h"

static PDMA_ADAPTER Adapter;
static ULONG Registers;
static BUFFER Buffer;
static CHANNEL Channel;
static LIST List;
static PHYSICAL_ADDRESS Logical;
static PVOID Common;

#define ADAPTER(ScatterGather, MaximumLength) (Adapter = GetAdapter(2, ScatterGather, MaximumLength, &Registers))
#define COMMON(Bytes) (Common = Adapter->DmaOperations->AllocateCommonBuffer(Adapter, Bytes, &Logical, TRUE))

/* Map registers that the driver keeps, with nothing mapped. */
static void Prepare(BOOLEAN ScatterGather, ULONG Count)
{
    ADAPTER(ScatterGather, 0x10000);
    MakeBuffer(&Buffer, 0x100, 0x1200, 1);
    GetChannel(Adapter, Count, DeallocateObjectKeepRegisters, &Channel);
}

static PHYSICAL_ADDRESS Map(ULONG Offset, ULONG Bytes)
{
    return MAP(Adapter, Buffer, Channel.Base, Offset, &Bytes, FALSE);
}

static NTSTATUS Done(void)
{
    return STATUS_SUCCESS;
}

static NTSTATUS LeakCommonBuffers(void)
{
    ADAPTER(TRUE, 0x10000);
    COMMON(0x100);
    COMMON(0x200);
    PutAdapter(Adapter);
    return Done();
}

static NTSTATUS LeakChannel(void)
{
    ADAPTER(TRUE, 0x10000);
    GetChannel(Adapter, 2, KeepObject, &Channel);
    PutAdapter(Adapter);
    return Done();
}

static NTSTATUS LeakMapRegisters(void)
{
    Prepare(TRUE, 3);
    FreeBuffer(&Buffer);
    PutAdapter(Adapter);
    return Done();
}

static NTSTATUS LeakList(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va, 0x800, TRUE, &List);
    FreeBuffer(&Buffer);
    PutAdapter(Adapter);
    return Done();
}

static NTSTATUS LeakAdapter(void)
{
    ADAPTER(TRUE, 0x10000);
    return Done();
}

static NTSTATUS LeakAdapterAndBuffer(void)
{
    ADAPTER(TRUE, 0x10000);
    COMMON(0x1234);
    return Done();
}

static NTSTATUS FreeCommonBufferTwice(void)
{
    ADAPTER(TRUE, 0x10000);
    COMMON(0x100);
    Adapter->DmaOperations->FreeCommonBuffer(Adapter, 0x100, Logical, Common, TRUE);
    Adapter->DmaOperations->FreeCommonBuffer(Adapter, 0x100, Logical, Common, TRUE);
    return Done();
}

static NTSTATUS FreeChannelTwice(void)
{
    ADAPTER(FALSE, 0x10000);
    GetChannel(Adapter, 1, KeepObject, &Channel);
    FreeChannel(Adapter);
    FreeChannel(Adapter);
    return Done();
}

static NTSTATUS FreeMapRegistersTwice(void)
{
    Prepare(TRUE, 3);
    FreeRegisters(Adapter, Channel.Base, 3);
    FreeRegisters(Adapter, Channel.Base, 3);
    return Done();
}

static NTSTATUS FreeTooManyMapRegisters(void)
{
    Prepare(TRUE, 3);
    FreeRegisters(Adapter, Channel.Base, 5);
    return Done();
}

static NTSTATUS PutListTwice(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va, 0x800, TRUE, &List);
    PutList(Adapter, &List, TRUE);
    PutList(Adapter, &List, TRUE);
    return Done();
}

static NTSTATUS SecondChannel(void)
{
    CHANNEL second = {0};

    ADAPTER(FALSE, 0x10000);
    GetChannel(Adapter, 1, KeepObject, &Channel);
    GetChannel(Adapter, 1, KeepObject, &second);
    return Done();
}

static NTSTATUS SecondRequest(void)
{
    CHANNEL second = {0}, third = {0};

    /* All map registers are taken, so the next request waits. */
    ADAPTER(FALSE, 0x2000);
    GetChannel(Adapter, Registers, DeallocateObjectKeepRegisters, &Channel);
    GetChannel(Adapter, 1, KeepObject, &second);
    GetChannel(Adapter, 1, KeepObject, &third);
    return Done();
}

static NTSTATUS TooManyMapRegisters(void)
{
    ADAPTER(TRUE, 0x4000);
    GetChannel(Adapter, Registers + 1, KeepObject, &Channel);
    return Done();
}

static NTSTATUS MapWithoutFlush(void)
{
    ADAPTER(FALSE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x2000, 1);
    GetChannel(Adapter, 1, KeepObject, &Channel);
    Map(0, 0x1000);
    Map(0x1000, 0x1000);
    return Done();
}

static NTSTATUS UnlockedBuffer(void)
{
    PVOID paged = ExAllocatePoolWithTag(PagedPool, 0x400, TAG);
    PMDL mdl = IoAllocateMdl(paged, 0x400, FALSE, FALSE, NULL);
    ULONG bytes = 0x400;

    Prepare(TRUE, 1);
    Adapter->DmaOperations->MapTransfer(Adapter, mdl, Channel.Base, paged, &bytes, TRUE);
    return Done();
}

static NTSTATUS PartialOfUnlocked(void)
{
    PVOID paged = ExAllocatePoolWithTag(PagedPool, 0x400, TAG);
    PMDL mdl = IoAllocateMdl(paged, 0x400, FALSE, FALSE, NULL), part = IoAllocateMdl(paged, 0x200, FALSE, FALSE, NULL);

    IoBuildPartialMdl(mdl, part, paged, 0x200);
    ADAPTER(TRUE, 0x10000);
    GetList(Adapter, part, paged, 0x200, TRUE, &List);
    return Done();
}

static NTSTATUS UnlockedList(void)
{
    PVOID paged = ExAllocatePoolWithTag(PagedPool, 0x400, TAG);
    PMDL mdl = IoAllocateMdl(paged, 0x400, FALSE, FALSE, NULL);

    ADAPTER(TRUE, 0x10000);
    GetList(Adapter, mdl, paged, 0x400, TRUE, &List);
    return Done();
}

static void TransferWithDamage(LONG Offset, ULONG Bytes)
{
    Prepare(TRUE, 1);
    Logical = Map(0x40, 0x80);
    DeviceWrites(Logical, Offset, Bytes, 0x99);
    FLUSH(Adapter, Buffer, Channel.Base, 0x40, 0x80, FALSE);
}

static NTSTATUS DeviceWritesBefore(void)
{
    TransferWithDamage(-1, 1);
    return Done();
}

static NTSTATUS DeviceWritesBehind(void)
{
    TransferWithDamage(0x80, 1);
    return Done();
}

static NTSTATUS DeviceWritesFarBefore(void)
{
    TransferWithDamage(-9, 1);
    return Done();
}

static NTSTATUS DeviceWritesFarBehind(void)
{
    TransferWithDamage(0x88, 1);
    return Done();
}

static NTSTATUS DeviceWritesAfterFlush(void)
{
    TransferWithDamage(0, 0x80);
    DeviceWrites(Logical, 0, 1, 0x99);
    FreeRegisters(Adapter, Channel.Base, 1);
    return Done();
}

/* No page of its own lies between the registers of a device that needs its memory in a row. */
static NTSTATUS DeviceWritesUnusedRegister(void)
{
    ADAPTER(FALSE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x1000, 1);
    GetChannel(Adapter, 2, DeallocateObjectKeepRegisters, &Channel);
    Logical = Map(0, 0x1000);
    DeviceWrites(Logical, 0x1000, 1, 0x99);
    FLUSH(Adapter, Buffer, Channel.Base, 0, 0x1000, FALSE);
    return Done();
}

static NTSTATUS LeakWrittenBuffer(void)
{
    ADAPTER(TRUE, 0x10000);
    COMMON(0x100);
    ((volatile UCHAR *)Common)[0x100] = 0x99;
    return Done();
}

static NTSTATUS ListWrittenBehind(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va, 0x800, FALSE, &List);
    DeviceWrites(List.List->Elements[0].Address, 0x800, 4, 0x99);
    PutList(Adapter, &List, FALSE);
    return Done();
}

/* The driver's own overrun, into the tag or the padding of a common buffer. */
static void CommonBufferWithDamage(LONG Offset)
{
    ADAPTER(TRUE, 0x10000);
    COMMON(0x100);
    ((volatile UCHAR *)Common)[Offset] = 0x99;
    Adapter->DmaOperations->FreeCommonBuffer(Adapter, 0x100, Logical, Common, TRUE);
}

static NTSTATUS DriverWritesBefore(void)
{
    CommonBufferWithDamage(-1);
    return Done();
}

static NTSTATUS DriverWritesBehind(void)
{
    CommonBufferWithDamage(0x100);
    return Done();
}

static NTSTATUS DriverWritesFarBefore(void)
{
    CommonBufferWithDamage(-0x20);
    return Done();
}

static NTSTATUS DriverWritesFarBehind(void)
{
    CommonBufferWithDamage(0x120);
    return Done();
}

static NTSTATUS FreeMappedRegisters(void)
{
    Prepare(TRUE, 2);
    Map(0, 0xf00);
    FreeRegisters(Adapter, Channel.Base, 2);
    return Done();
}

static NTSTATUS FreeMappedChannel(void)
{
    ADAPTER(FALSE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x1800, 1);
    GetChannel(Adapter, 2, KeepObject, &Channel);
    Map(0, 0x1800);
    FreeChannel(Adapter);
    return Done();
}

static NTSTATUS CommonBufferAtDispatch(void)
{
    KIRQL irql;

    ADAPTER(TRUE, 0x10000);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    COMMON(0x100);
    KeLowerIrql(irql);
    return Done();
}

static NTSTATUS ListAtPassive(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va, 0x800, TRUE, &List);
    Adapter->DmaOperations->PutScatterGatherList(Adapter, List.List, TRUE);
    return Done();
}

static NTSTATUS MapAboveDispatch(void)
{
    KIRQL irql;

    Prepare(TRUE, 1);
    KeRaiseIrql(5, &irql);
    Map(0, 0x100);
    KeLowerIrql(irql);
    return Done();
}

static NTSTATUS FlushOtherBuffer(void)
{
    Prepare(TRUE, 1);
    Map(0, 0x100);
    FLUSH(Adapter, Buffer, Channel.Base, 0x800, 0x100, FALSE);
    return Done();
}

static NTSTATUS UseReleasedAdapter(void)
{
    PDMA_OPERATIONS operations;

    ADAPTER(TRUE, 0x10000);
    operations = Adapter->DmaOperations;
    PutAdapter(Adapter);
    operations->AllocateCommonBuffer(Adapter, 0x100, &Logical, TRUE);
    return Done();
}

static NTSTATUS PutAdapterTwice(void)
{
    ADAPTER(TRUE, 0x10000);
    PutAdapter(Adapter);
    PutAdapter(Adapter);
    return Done();
}

static NTSTATUS NullAdapter(void)
{
    ADAPTER(TRUE, 0x10000);
    Adapter->DmaOperations->GetDmaAlignment(NULL);
    return Done();
}

static NTSTATUS MapOutsideMdl(void)
{
    Prepare(TRUE, 1);
    Map(0x1200, 0x10);
    return Done();
}

static NTSTATUS FlushOutsideMdl(void)
{
    Prepare(TRUE, 1);
    Map(0, 0x100);
    FLUSH(Adapter, Buffer, Channel.Base, 0x1300, 0x100, FALSE);
    return Done();
}

static NTSTATUS MapTwice(void)
{
    Prepare(TRUE, 3);
    Map(0, 0x400);
    Map(0x200, 0x400);
    return Done();
}

static NTSTATUS ListBeforeMdl(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0x100, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va - 0x10, 0x100, TRUE, &List);
    return Done();
}

static NTSTATUS ListBehindMdl(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0x100, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va + 0x800, 0x100, TRUE, &List);
    return Done();
}

static NTSTATUS MapBeyondMdl(void)
{
    Prepare(TRUE, 3);
    Map(0, 0x2200);
    return Done();
}

static NTSTATUS FlushUnmapped(void)
{
    Prepare(TRUE, 1);
    FLUSH(Adapter, Buffer, Channel.Base, 0, 0x100, FALSE);
    return Done();
}

static NTSTATUS MapNothing(void)
{
    Prepare(TRUE, 1);
    Map(0, 0);
    return Done();
}

static NTSTATUS MangledMdl(void)
{
    Prepare(TRUE, 1);
    Buffer.Mdl->MappedSystemVa = NULL;
    Map(0, 0x100);
    return Done();
}

static NTSTATUS ShortChain(void)
{
    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0, 0x800, 1);
    GetList(Adapter, Buffer.Mdl, Buffer.Va, 0x900, TRUE, &List);
    return Done();
}

static NTSTATUS UnknownVersion(void)
{
    Adapter = GetAdapter(7, TRUE, 0x10000, &Registers);
    return Done();
}

static NTSTATUS ObsoleteAdapter(void)
{
    DEVICE_DESCRIPTION description;

    RtlZeroMemory(&description, sizeof description);
    description.Master = TRUE;
    HalGetAdapter(&description, &Registers);
    return Done();
}

static NTSTATUS FlushTooMuch(void)
{
    Prepare(TRUE, 1);
    Map(0, 0xf00);
    FLUSH(Adapter, Buffer, Channel.Base, 0, 0x1100, FALSE);
    return Done();
}

/* The data is in the HAL's pages until it is flushed. */
static NTSTATUS ReadBeforeFlush(void)
{
    BOOLEAN isStale;

    Prepare(TRUE, 1);
    DeviceWrites(Map(0, 0x100), 0, 0x100, 0x42);
    isStale = Buffer.Va[0] == 1;
    FLUSH(Adapter, Buffer, Channel.Base, 0, 0x100, FALSE);
    FreeRegisters(Adapter, Channel.Base, 1);
    FreeBuffer(&Buffer);
    PutAdapter(Adapter);
    return isStale ? STATUS_SUCCESS : STATUS_DATA_ERROR;
}

const NAMED Misdeeds[] = {
    {"leak-common-buffers", LeakCommonBuffers},
    {"leak-channel", LeakChannel},
    {"leak-map-registers", LeakMapRegisters},
    {"leak-list", LeakList},
    {"leak-adapter", LeakAdapter},
    {"leak-adapter-and-buffer", LeakAdapterAndBuffer},
    {"free-common-buffer-twice", FreeCommonBufferTwice},
    {"free-channel-twice", FreeChannelTwice},
    {"free-map-registers-twice", FreeMapRegistersTwice},
    {"free-too-many-map-registers", FreeTooManyMapRegisters},
    {"put-list-twice", PutListTwice},
    {"second-channel", SecondChannel},
    {"second-request", SecondRequest},
    {"too-many-map-registers", TooManyMapRegisters},
    {"map-without-flush", MapWithoutFlush},
    {"unlocked-buffer", UnlockedBuffer},
    {"unlocked-list", UnlockedList},
    {"partial-of-unlocked", PartialOfUnlocked},
    {"device-writes-before", DeviceWritesBefore},
    {"device-writes-behind", DeviceWritesBehind},
    {"device-writes-far-before", DeviceWritesFarBefore},
    {"device-writes-far-behind", DeviceWritesFarBehind},
    {"device-writes-after-flush", DeviceWritesAfterFlush},
    {"device-writes-unused-register", DeviceWritesUnusedRegister},
    {"leak-written-buffer", LeakWrittenBuffer},
    {"list-written-behind", ListWrittenBehind},
    {"driver-writes-before", DriverWritesBefore},
    {"driver-writes-behind", DriverWritesBehind},
    {"driver-writes-far-before", DriverWritesFarBefore},
    {"driver-writes-far-behind", DriverWritesFarBehind},
    {"free-mapped-registers", FreeMappedRegisters},
    {"free-mapped-channel", FreeMappedChannel},
    {"common-buffer-at-dispatch", CommonBufferAtDispatch},
    {"list-at-passive", ListAtPassive},
    {"map-above-dispatch", MapAboveDispatch},
    {"flush-other-buffer", FlushOtherBuffer},
    {"use-released-adapter", UseReleasedAdapter},
    {"put-adapter-twice", PutAdapterTwice},
    {"null-adapter", NullAdapter},
    {"map-outside-mdl", MapOutsideMdl},
    {"flush-outside-mdl", FlushOutsideMdl},
    {"map-twice", MapTwice},
    {"list-before-mdl", ListBeforeMdl},
    {"list-behind-mdl", ListBehindMdl},
    {"map-beyond-mdl", MapBeyondMdl},
    {"flush-unmapped", FlushUnmapped},
    {"map-nothing", MapNothing},
    {"mangled-mdl", MangledMdl},
    {"short-chain", ShortChain},
    {"unknown-version", UnknownVersion},
    {"obsolete-adapter", ObsoleteAdapter},
    {"flush-too-much", FlushTooMuch},
    {"read-before-flush", ReadBeforeFlush},
    {NULL, NULL},
};
