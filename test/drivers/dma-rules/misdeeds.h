/* What the misdeeds share: each breaks one rule. Where nothing stops the machine, it succeeds and leaves what it leaves. */
#ifndef MISDEEDS_H
#define MISDEEDS_H

#include "dma-rules.h"

#define UNUSED __attribute__((unused))

static PDMA_ADAPTER Adapter UNUSED;
static ULONG Registers UNUSED;
static BUFFER Buffer UNUSED;
static CHANNEL Channel UNUSED;
static LIST List UNUSED;
static PHYSICAL_ADDRESS Logical UNUSED;
static PVOID Common UNUSED;

#define ADAPTER(ScatterGather, MaximumLength) (Adapter = GetAdapter(2, ScatterGather, MaximumLength, &Registers))
#define COMMON(Bytes) (Common = Adapter->DmaOperations->AllocateCommonBuffer(Adapter, Bytes, &Logical, TRUE))

/* Map registers that the driver keeps, with nothing mapped. */
static UNUSED void Prepare(BOOLEAN ScatterGather, ULONG Count)
{
    ADAPTER(ScatterGather, 0x10000);
    MakeBuffer(&Buffer, 0x100, 0x1200, 1);
    GetChannel(Adapter, Count, DeallocateObjectKeepRegisters, &Channel);
}

static UNUSED PHYSICAL_ADDRESS Map(ULONG Offset, ULONG Bytes)
{
    return MAP(Adapter, Buffer, Channel.Base, Offset, &Bytes, FALSE);
}

static UNUSED NTSTATUS Done(void)
{
    return STATUS_SUCCESS;
}

#endif
