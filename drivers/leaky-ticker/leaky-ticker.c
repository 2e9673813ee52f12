/*
 * Tickers: a program starts a ticker with a period and a number of ticks; each tick of its timer's DPC adds a sample to a
 * ring; after the last tick the ticker ends by itself, or the program stops it.
 *
 * The leak: stopping takes a ticker off the list and cancels its timer. When the timer was still set (KeCancelTimer says
 * TRUE), no DPC will come, so the ticker has to be freed there and is not. When the DPC was on its way already, it frees
 * the ticker, and so it does after the last tick.
 */
#include "sample.h"

#define TAG_TICKER 'kciT' /* Tick */
#define TAG_RING 'gnRT'   /* TRng */

#define MAX_TICKERS 8
#define MAX_SAMPLES 64

#define IOCTL_TICKER_START CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8D0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_TICKER_STOP CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8D1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_TICKER_SAMPLES CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8D2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_TICKER_COUNT CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8D3, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _TICKER_START {
    ULONG Id;
    ULONG PeriodMilliseconds;
    ULONG Ticks;
} TICKER_START, *PTICKER_START;

typedef struct _TICKER_EXTENSION *PTICKER_EXTENSION;

typedef struct _TICKER {
    LIST_ENTRY Link;
    PTICKER_EXTENSION Extension;
    ULONG Id;
    ULONG Left;
    LARGE_INTEGER Period;
    BOOLEAN IsStopped;
    KTIMER Timer;
    KDPC Dpc;
} TICKER, *PTICKER;

typedef struct _TICKER_SAMPLE {
    ULONG Id;
    ULONG Left;
} TICKER_SAMPLE, *PTICKER_SAMPLE;

typedef struct _TICKER_EXTENSION {
    KSPIN_LOCK Lock;
    LIST_ENTRY Tickers;
    ULONG Count;
    KEVENT Idle;
    ULONG SampleCount;
    ULONG FirstSample;
    PTICKER_SAMPLE Samples;
} TICKER_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD TickerUnload;
static DRIVER_DISPATCH TickerCreateClose;
static DRIVER_DISPATCH TickerControl;
static KDEFERRED_ROUTINE TickerDpc;

/* The ticker is off the list. The caller holds the lock. */
static VOID TickerFree(PTICKER_EXTENSION Extension, PTICKER Ticker)
{
    ExFreePoolWithTag(Ticker, TAG_TICKER);
    if (--Extension->Count == 0) {
        KeSetEvent(&Extension->Idle, IO_NO_INCREMENT, FALSE);
    }
}

static VOID TickerAddSample(PTICKER_EXTENSION Extension, PTICKER Ticker)
{
    ULONG at = (Extension->FirstSample + Extension->SampleCount) % MAX_SAMPLES;
    Extension->Samples[at].Id = Ticker->Id;
    Extension->Samples[at].Left = Ticker->Left;
    if (Extension->SampleCount < MAX_SAMPLES) {
        Extension->SampleCount++;
    } else {
        Extension->FirstSample = (Extension->FirstSample + 1) % MAX_SAMPLES;
    }
}

/* One tick. Sets the timer again, or frees the ticker: after the last tick, or if it was stopped meanwhile. */
static VOID NTAPI TickerDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    PTICKER ticker = Context;
    PTICKER_EXTENSION extension = ticker->Extension;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLockAtDpcLevel(&extension->Lock);
    if (ticker->IsStopped) {
        TickerFree(extension, ticker);
    } else {
        ticker->Left--;
        TickerAddSample(extension, ticker);
        if (ticker->Left > 0) {
            KeSetTimer(&ticker->Timer, ticker->Period, &ticker->Dpc);
        } else {
            RemoveEntryList(&ticker->Link);
            TickerFree(extension, ticker);
        }
    }
    KeReleaseSpinLockFromDpcLevel(&extension->Lock);
}

static PTICKER TickerFind(PTICKER_EXTENSION Extension, ULONG Id)
{
    for (PLIST_ENTRY link = Extension->Tickers.Flink; link != &Extension->Tickers; link = link->Flink) {
        PTICKER ticker = CONTAINING_RECORD(link, TICKER, Link);
        if (ticker->Id == Id) {
            return ticker;
        }
    }
    return NULL;
}

static NTSTATUS TickerStart(PTICKER_EXTENSION Extension, const TICKER_START *Start, ULONG Length)
{
    if (Length < sizeof(*Start)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (Start->Ticks == 0 || Start->PeriodMilliseconds == 0 || Start->PeriodMilliseconds > 60000) {
        return STATUS_INVALID_PARAMETER;
    }
    PTICKER ticker = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*ticker), TAG_TICKER); // leak: tag=Tick bytes=352 count=2 pool=NonPagedPoolNx
    if (ticker == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ticker->Extension = Extension;
    ticker->Id = Start->Id;
    ticker->Left = Start->Ticks;
    ticker->Period.QuadPart = -10000LL * Start->PeriodMilliseconds;
    ticker->IsStopped = FALSE;
    KeInitializeTimer(&ticker->Timer);
    KeInitializeDpc(&ticker->Dpc, TickerDpc, ticker);

    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;
    KeAcquireSpinLock(&Extension->Lock, &irql);
    if (Extension->Count == MAX_TICKERS) {
        status = STATUS_DEVICE_BUSY;
    } else if (TickerFind(Extension, Start->Id) != NULL) {
        status = STATUS_OBJECT_NAME_COLLISION;
    } else {
        InsertTailList(&Extension->Tickers, &ticker->Link);
        Extension->Count++;
        KeClearEvent(&Extension->Idle);
        KeSetTimer(&ticker->Timer, ticker->Period, &ticker->Dpc);
    }
    KeReleaseSpinLock(&Extension->Lock, irql);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(ticker, TAG_TICKER);
    }
    return status;
}

/* Takes the ticker off the list; its memory goes here or with the DPC that is on its way. The caller holds the lock. */
static VOID TickerStop(PTICKER_EXTENSION Extension, PTICKER Ticker)
{
    RemoveEntryList(&Ticker->Link);
    Ticker->IsStopped = TRUE;
    if (KeCancelTimer(&Ticker->Timer) && --Extension->Count == 0) {
        KeSetEvent(&Extension->Idle, IO_NO_INCREMENT, FALSE);
    }
}

static NTSTATUS TickerStopById(PTICKER_EXTENSION Extension, ULONG Id)
{
    KIRQL irql;
    KeAcquireSpinLock(&Extension->Lock, &irql);
    PTICKER ticker = TickerFind(Extension, Id);
    if (ticker != NULL) {
        TickerStop(Extension, ticker);
    }
    KeReleaseSpinLock(&Extension->Lock, irql);
    return ticker == NULL ? STATUS_NOT_FOUND : STATUS_SUCCESS;
}

/* Hands out the oldest samples, as many as fit. */
static ULONG TickerTakeSamples(PTICKER_EXTENSION Extension, PTICKER_SAMPLE Samples, ULONG Room)
{
    ULONG taken = 0;
    KIRQL irql;
    KeAcquireSpinLock(&Extension->Lock, &irql);
    while (taken < Room && Extension->SampleCount > 0) {
        Samples[taken++] = Extension->Samples[Extension->FirstSample];
        Extension->FirstSample = (Extension->FirstSample + 1) % MAX_SAMPLES;
        Extension->SampleCount--;
    }
    KeReleaseSpinLock(&Extension->Lock, irql);
    return taken * sizeof(TICKER_SAMPLE);
}

static NTSTATUS TickerControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PTICKER_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_TICKER_START:
        return SampleComplete(Irp, TickerStart(extension, buffer, inputBytes), 0);
    case IOCTL_TICKER_STOP:
        if (inputBytes < sizeof(ULONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        return SampleComplete(Irp, TickerStopById(extension, *(PULONG)buffer), 0);
    case IOCTL_TICKER_SAMPLES:
        return SampleComplete(Irp, STATUS_SUCCESS, TickerTakeSamples(extension, buffer, room / sizeof(TICKER_SAMPLE)));
    case IOCTL_TICKER_COUNT:
        if (room < sizeof(ULONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        *(PULONG)buffer = extension->Count;
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS TickerCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID TickerUnload(PDRIVER_OBJECT DriverObject)
{
    PTICKER_EXTENSION extension = DriverObject->DeviceObject->DeviceExtension;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyTicker");
    KIRQL irql;

    IoDeleteSymbolicLink(&link);
    KeAcquireSpinLock(&extension->Lock, &irql);
    while (!IsListEmpty(&extension->Tickers)) {
        TickerStop(extension, CONTAINING_RECORD(extension->Tickers.Flink, TICKER, Link));
    }
    KeReleaseSpinLock(&extension->Lock, irql);
    /* The last DPC has let go of the ticker, and then of the lock. */
    KeWaitForSingleObject(&extension->Idle, Executive, KernelMode, FALSE, NULL);
    KeFlushQueuedDpcs();
    ExFreePoolWithTag(extension->Samples, TAG_RING);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyTicker");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyTicker");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(TICKER_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PTICKER_EXTENSION extension = device->DeviceExtension;
    KeInitializeSpinLock(&extension->Lock);
    InitializeListHead(&extension->Tickers);
    KeInitializeEvent(&extension->Idle, NotificationEvent, TRUE);
    extension->Samples = ExAllocatePoolWithTag(NonPagedPoolNx, MAX_SAMPLES * sizeof(TICKER_SAMPLE), TAG_RING);
    status = extension->Samples == NULL ? STATUS_INSUFFICIENT_RESOURCES : IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        if (extension->Samples != NULL) {
            ExFreePoolWithTag(extension->Samples, TAG_RING);
        }
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = TickerCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = TickerCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = TickerControl;
    DriverObject->DriverUnload = TickerUnload;
    return STATUS_SUCCESS;
}
