/*
 * A driver for the DMA engine that streams a request through a window of two map registers, whose channel it keeps until
 * the last byte is moved.
 *
 * Broken: what is mapped has to be flushed before its map registers map something else. The window is flushed once, at the
 * end of the request.
 */
#include "dma-device.h"

#define WINDOW_REGISTERS 2

typedef struct _STREAM {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    ULONG MapRegisters;
    /* Of the current request. */
    PVOID Window;
    ULONG Done;
    ULONG Windows;
} STREAM, *PSTREAM;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE StreamAddDevice;
static DRIVER_CONTROL StreamAdapterControl;

static VOID StreamShiftWindow(PSTREAM Stream)
{
    PIRP irp = Stream->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);
    PUCHAR va = (PUCHAR)MmGetMdlVirtualAddress(irp->MdlAddress) + Stream->Done;
    ULONG length = DmaDeviceLength(irp) - Stream->Done;
    ULONG room = WINDOW_REGISTERS * PAGE_SIZE - BYTE_OFFSET(va);

    if (length > room) {
        length = room;
    }
    Stream->Windows++;
    PHYSICAL_ADDRESS address = Stream->Adapter->DmaOperations->MapTransfer(Stream->Adapter, irp->MdlAddress,
                                                                           Stream->Window, va, &length, isWrite);
    DmaDeviceGo(&Stream->Device, address, length, DmaDeviceOffset(irp) + Stream->Done,
                isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
}

static IO_ALLOCATION_ACTION NTAPI StreamAdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID MapRegisterBase,
                                                       PVOID Context)
{
    PSTREAM stream = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    stream->Window = MapRegisterBase;
    StreamShiftWindow(stream);
    return KeepObject;
}

static NTSTATUS StreamBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PSTREAM stream = CONTAINING_RECORD(Device, STREAM, Device);

    stream->Done = 0;
    stream->Windows = 0;
    KeFlushIoBuffers(Irp->MdlAddress, !DmaDeviceIsWrite(Irp), TRUE);
    NTSTATUS status = stream->Adapter->DmaOperations->AllocateAdapterChannel(
        stream->Adapter, Device->Self, WINDOW_REGISTERS, StreamAdapterControl, stream);
    return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

/* Ends the request: the caller sees the bytes of a read after the flush. */
static VOID StreamEnd(PSTREAM Stream, NTSTATUS Status)
{
    PIRP irp = Stream->Device.Current;
    PDMA_OPERATIONS operations = Stream->Adapter->DmaOperations;

    operations->FlushAdapterBuffers(Stream->Adapter, irp->MdlAddress, Stream->Window,
                                    MmGetMdlVirtualAddress(irp->MdlAddress), DmaDeviceLength(irp),
                                    DmaDeviceIsWrite(irp));
    operations->FreeAdapterChannel(Stream->Adapter);
    DmaDeviceComplete(&Stream->Device, Status, NT_SUCCESS(Status) ? Stream->Done : 0);
}

static VOID StreamDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PSTREAM stream = CONTAINING_RECORD(Device, STREAM, Device);

    stream->Done += Transferred;
    if (NT_SUCCESS(Status) && stream->Done < DmaDeviceLength(Device->Current)) {
        StreamShiftWindow(stream);
    } else {
        StreamEnd(stream, Status);
    }
}

static VOID StreamStop(PDMA_DEVICE Device)
{
    PSTREAM stream = CONTAINING_RECORD(Device, STREAM, Device);

    if (stream->Adapter != NULL) {
        stream->Adapter->DmaOperations->PutDmaAdapter(stream->Adapter);
        stream->Adapter = NULL;
    }
}

static NTSTATUS StreamStart(PDMA_DEVICE Device)
{
    PSTREAM stream = CONTAINING_RECORD(Device, STREAM, Device);
    DEVICE_DESCRIPTION description;

    DmaDeviceDescribe(&description, WINDOW_REGISTERS * PAGE_SIZE);
    stream->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &stream->MapRegisters);
    if (stream->Adapter == NULL || stream->MapRegisters < WINDOW_REGISTERS) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES StreamRoutines = {StreamStart, StreamStop, StreamBegin, StreamDone};

static NTSTATUS NTAPI StreamAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(STREAM), &StreamRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, StreamAddDevice);
    return STATUS_SUCCESS;
}
