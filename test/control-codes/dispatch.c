/*
 * Dispatch routines as drivers have them, for the reading of control codes out of machine code. Compiled by build.mjs
 * with several compilers and options; which codes each routine knows stands in control-codes.test.ts.
 */
#include <ntddk.h>

#define EXPORT __declspec(dllexport)
#define NOINLINE __attribute__((noinline))
#define CODE(function, method) CTL_CODE(FILE_DEVICE_UNKNOWN, function, method, FILE_ANY_ACCESS)
#define SENSOR(function, method) CTL_CODE(40000, function, method, FILE_READ_ACCESS)

volatile LONG Work;
static NTSTATUS (*const Handlers[5])(PIRP);

static NOINLINE NTSTATUS Do(LONG What, PIRP Irp)
{
    Work += What;
    Irp->IoStatus.Information = What;
    return What;
}

static PIO_STACK_LOCATION Location(PIRP Irp)
{
    return IoGetCurrentIrpStackLocation(Irp);
}

static ULONG CodeOf(PIRP Irp)
{
    return IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;
}

/* Far apart. */
EXPORT NTSTATUS NTAPI Sparse(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = Location(Irp);
    if (stack->Parameters.DeviceIoControl.InputBufferLength == 0x222ABC) {
        return Do(0x222DEF, Irp);
    }
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(0x800, METHOD_BUFFERED): return Do(1, Irp);
    case CODE(0x8F1, METHOD_NEITHER): return Do(2, (PIRP)Device);
    case SENSOR(0x901, METHOD_IN_DIRECT): return Do(3, Irp);
    }
    return Do(-1, Irp);
}

/* Every fourth value, with a gap. */
EXPORT NTSTATUS NTAPI Dense(PDEVICE_OBJECT Device, PIRP Irp)
{
    switch (CodeOf(Irp)) {
    case CODE(0x810, METHOD_BUFFERED): return Do(10, Irp);
    case CODE(0x811, METHOD_BUFFERED): return Do(20, (PIRP)Device);
    case CODE(0x812, METHOD_BUFFERED): Work = 7; return Do(30, Irp);
    case CODE(0x814, METHOD_BUFFERED): Work ^= 9; return Do(40, Irp);
    case CODE(0x815, METHOD_BUFFERED): Work <<= 1; return Do(50, Irp);
    case CODE(0x816, METHOD_BUFFERED): Work -= 12; return Do(60, Irp);
    default: return Do(-1, Irp);
    }
}

/* One after the other: all methods of two functions, in one table without gaps. */
EXPORT NTSTATUS NTAPI Adjacent(PDEVICE_OBJECT Device, PIRP Irp)
{
    switch (CodeOf(Irp)) {
    case CODE(0x820, METHOD_BUFFERED): return Do(11, Irp);
    case CODE(0x820, METHOD_IN_DIRECT): return Do(21, (PIRP)Device);
    case CODE(0x820, METHOD_OUT_DIRECT): Work = 7; return Do(31, Irp);
    case CODE(0x820, METHOD_NEITHER): Work ^= 9; return Do(41, Irp);
    case CODE(0x821, METHOD_BUFFERED): Work <<= 1; return Do(51, Irp);
    case CODE(0x821, METHOD_IN_DIRECT): Work -= 12; return Do(61, Irp);
    }
    return Do(-1, Irp);
}

/* Enough far values for a search tree. */
EXPORT NTSTATUS NTAPI Tree(PDEVICE_OBJECT Device, PIRP Irp)
{
    switch (CodeOf(Irp)) {
    case 0x00070000: return Do(1, Irp);
    case 0x0007C0A4: return Do(2, Irp);
    case 0x002D1400: return Do(3, (PIRP)Device);
    case 0x00222403: return Do(4, Irp);
    case 0x00226410: return Do(5, Irp);
    case 0x0022A81D: return Do(6, Irp);
    case 0x0022E9F2: return Do(7, (PIRP)Device);
    case 0x80002004: return Do(8, Irp);
    case 0x9C402400: return Do(9, Irp);
    case 0xFFFF0000: return Do(10, Irp);
    }
    return Do(-1, Irp);
}

/* Several codes for one case. */
EXPORT NTSTATUS NTAPI Shared(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status = (NTSTATUS)0xC0000010;
    switch (CodeOf(Irp)) {
    case CODE(0x830, METHOD_BUFFERED):
    case CODE(0x832, METHOD_BUFFERED):
    case CODE(0x835, METHOD_BUFFERED):
    case CODE(0x837, METHOD_NEITHER):
        status = Do(5, Irp);
        break;
    case CODE(0x831, METHOD_BUFFERED):
    case CODE(0x831, METHOD_IN_DIRECT):
        status = Do(6, (PIRP)Device);
        break;
    }
    Do(status, Irp);
    return status;
}

/* No jump at all: the status is chosen. */
EXPORT NTSTATUS NTAPI Chosen(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return Do(CodeOf(Irp) == CODE(0x840, METHOD_BUFFERED) ? 3 : 4, Irp);
}

static NOINLINE NTSTATUS HandleLocation(PIO_STACK_LOCATION Stack, PIRP Irp)
{
    if (Stack->Parameters.DeviceIoControl.IoControlCode == CODE(0x850, METHOD_BUFFERED)) {
        return Do(1, Irp);
    }
    Work++;
    return Do(2, Irp);
}

static NOINLINE NTSTATUS HandleCode(LONG Unrelated, ULONG Code, PIRP Irp)
{
    if (Code == CODE(0x851, METHOD_OUT_DIRECT)) {
        return Do(Unrelated, Irp);
    }
    return Do(1, Irp);
}

static NOINLINE PIO_STACK_LOCATION FindLocation(PIRP Irp)
{
    Work += 3;
    return IoGetCurrentIrpStackLocation(Irp);
}

/* In routines that are called. */
EXPORT NTSTATUS NTAPI Called(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = FindLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    if (HandleLocation(stack, Irp) == 0 || HandleCode(0x222333, code, Irp) == 0) {
        return Do(7, (PIRP)Device);
    }
    return code == CODE(0x852, METHOD_NEITHER) ? Do(8, Irp) : Do(9, Irp);
}

/* One routine for every major function. */
EXPORT NTSTATUS NTAPI Major(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = Location(Irp);
    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return Do(stack->Parameters.Read.ByteOffset.LowPart == 0x222999 ? 1 : 2, Irp);
    case IRP_MJ_DEVICE_CONTROL:
        if (stack->Parameters.DeviceIoControl.IoControlCode == CODE(0x860, METHOD_BUFFERED)) {
            return Do(3, Irp);
        }
        return Do(4, (PIRP)Device);
    case IRP_MJ_WRITE:
        return Do(stack->Parameters.Write.ByteOffset.LowPart == 0x222998 ? 1 : 2, Irp);
    }
    return Do(5, Irp);
}

static NTSTATUS First(PIRP Irp) { return Do(71, Irp); }
static NTSTATUS Second(PIRP Irp) { Work = 3; return Do(72, Irp); }
static NTSTATUS Third(PIRP Irp) { Work = 5; return Do(73, Irp); }
static NTSTATUS Fourth(PIRP Irp) { Work = 8; return Do(74, Irp); }
static NTSTATUS Fifth(PIRP Irp) { Work = 9; return Do(75, Irp); }
static NTSTATUS (*const Handlers[5])(PIRP) = { First, Second, Third, Fourth, Fifth };

/* A table of routines. */
EXPORT NTSTATUS NTAPI Table(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG code = CodeOf(Irp);
    ULONG index = (code - CODE(0x870, METHOD_BUFFERED)) / 4;
    UNREFERENCED_PARAMETER(Device);
    if ((code & 3) != METHOD_BUFFERED || index >= 5) {
        return Do(-1, Irp);
    }
    return Handlers[index](Irp);
}

/* Only parts of the code are looked at: nothing is known of it. */
EXPORT NTSTATUS NTAPI Parts(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG code = CodeOf(Irp);
    if (((code >> 2) & 0xFFF) == 0x888) {
        return Do(1, (PIRP)Device);
    }
    if ((code & 3) == METHOD_NEITHER && code >> 16 == 0x22) {
        return Do(2, Irp);
    }
    return Do(3, Irp);
}

/* No code is looked at. */
EXPORT NTSTATUS NTAPI None(PDEVICE_OBJECT Device, PIRP Irp)
{
    return Device->Flags == 0x222001 ? Do(0x222002, Irp) : Do(0x222003, Irp);
}
