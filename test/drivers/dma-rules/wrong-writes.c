/* Memory that the device or the driver writes and should not, and what the driver sees too early. */
#include "misdeeds.h"

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

const NAMED WrongWrites[] = {
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
    {"read-before-flush", ReadBeforeFlush},
    {NULL, NULL},
};
