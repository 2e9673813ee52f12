/* What is given back twice, too early or never, or taken too often. */
#include "misdeeds.h"

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

/* A second list is built over the first one, which nobody can put any more. */
static void NTAPI Ignore(PDEVICE_OBJECT DeviceObject, PIRP Irp, PSCATTER_GATHER_LIST ScatterGather, PVOID Context)
{
    (void)DeviceObject;
    (void)Irp;
    List.List = ScatterGather;
    (void)Context;
}

static NTSTATUS BuildOverList(void)
{
    static UCHAR space[sizeof(SCATTER_GATHER_LIST) + 4 * sizeof(SCATTER_GATHER_ELEMENT)];
    KIRQL irql;
    ULONG i;

    ADAPTER(TRUE, 0x10000);
    MakeBuffer(&Buffer, 0x100, 0x1200, 1);
    for (i = 0; i < 2; i++) {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        Adapter->DmaOperations->BuildScatterGatherList(Adapter, Device, Buffer.Mdl, Buffer.Va, Buffer.Length, Ignore, NULL, TRUE,
                                                       space, sizeof space);
        KeLowerIrql(irql);
    }
    PutList(Adapter, &List, TRUE);
    FreeBuffer(&Buffer);
    PutAdapter(Adapter);
    return Done();
}

/* A list is built at once, without a routine, and put; the channel that it took stays taken. */
static NTSTATUS KeepChannelOfList(void)
{
    UCHAR context[128];
    KIRQL irql;

    Adapter = GetAdapter(3, TRUE, 0x10000, &Registers);
    MakeBuffer(&Buffer, 0x100, 0x1200, 1);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ((INITIALIZE_CONTEXT)MEMBER(Adapter, InitializeDmaTransferContext))(Adapter, context);
    ((LIST_EX)MEMBER(Adapter, GetScatterGatherListEx))(Adapter, Device, context, Buffer.Mdl, 0, Buffer.Length, 1, NULL, NULL, TRUE,
                                                      NULL, NULL, &List.List);
    KeLowerIrql(irql);
    PutList(Adapter, &List, TRUE);
    FreeBuffer(&Buffer);
    PutAdapter(Adapter);
    return Done();
}

const NAMED WrongReleases[] = {
    {"keep-channel-of-list", KeepChannelOfList},
    {"build-over-list", BuildOverList},
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
    {"free-mapped-registers", FreeMappedRegisters},
    {"free-mapped-channel", FreeMappedChannel},
    {"use-released-adapter", UseReleasedAdapter},
    {"put-adapter-twice", PutAdapterTwice},
    {NULL, NULL},
};
