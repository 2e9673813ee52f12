/* Calls with buffers, addresses, IRQLs or adapters that are not right. */
#include "misdeeds.h"

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

const NAMED WrongCalls[] = {
    {"map-without-flush", MapWithoutFlush},
    {"unlocked-buffer", UnlockedBuffer},
    {"unlocked-list", UnlockedList},
    {"partial-of-unlocked", PartialOfUnlocked},
    {"common-buffer-at-dispatch", CommonBufferAtDispatch},
    {"list-at-passive", ListAtPassive},
    {"map-above-dispatch", MapAboveDispatch},
    {"flush-other-buffer", FlushOtherBuffer},
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
    {NULL, NULL},
};
