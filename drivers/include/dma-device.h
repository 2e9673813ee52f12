/*
 * What the drivers of the DMA engine have in common, all but the DMA: the device object, plug and play, power, registers,
 * interrupt, and reads and writes that wait in a cancel-safe queue and reach the engine one at a time.
 */
#ifndef DMA_DEVICE_H
#define DMA_DEVICE_H

#include "dma-engine.h"

/* Does nothing on this processor; the headers' one lets its arguments go unused. */
#undef KeFlushIoBuffers
#define KeFlushIoBuffers(Mdl, ReadOperation, DmaOperation) \
    ((void)(Mdl), (void)(ReadOperation), (void)(DmaOperation))

/* {C71B5E0A-44D9-4B7C-9E35-60A2F1D8B493} */
#define DMA_DEVICE_INTERFACE \
    {0xc71b5e0a, 0x44d9, 0x4b7c, {0x9e, 0x35, 0x60, 0xa2, 0xf1, 0xd8, 0xb4, 0x93}}

typedef struct _DMA_DEVICE DMA_DEVICE, *PDMA_DEVICE;

/* What each driver does its own way. */
typedef struct _DMA_DEVICE_ROUTINES {
    /* PASSIVE_LEVEL: the registers are mapped and the engine is reset; gets what DMA needs. */
    NTSTATUS (*Start)(PDMA_DEVICE Device);
    /* PASSIVE_LEVEL: no request is in progress, and none begins; gives that back. Also after a Start that failed. */
    VOID (*Stop)(PDMA_DEVICE Device);
    /* DISPATCH_LEVEL: a read or write has its turn. STATUS_PENDING, or what it is completed with. */
    NTSTATUS (*Begin)(PDMA_DEVICE Device, PIRP Irp);
    /* DISPATCH_LEVEL: the command that DmaDeviceGo gave is over. */
    VOID (*Done)(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred);
} DMA_DEVICE_ROUTINES;

typedef enum _DMA_DEVICE_STATE {
    DmaDeviceNew,
    DmaDeviceStarted,
    DmaDeviceStopped,
    DmaDeviceGone,
} DMA_DEVICE_STATE;

/* The beginning of each driver's device extension. */
struct _DMA_DEVICE {
    const DMA_DEVICE_ROUTINES *Routines;
    PDEVICE_OBJECT Self;
    PDEVICE_OBJECT Lower;
    PDEVICE_OBJECT Pdo;
    UNICODE_STRING InterfaceName;
    IO_REMOVE_LOCK RemoveLock;
    /* Held while the device starts, stops or is paused. */
    KMUTEX Changing;

    PVOID Registers;
    ULONG RegisterBytes;
    IO_DISCONNECT_INTERRUPT_PARAMETERS Connection;
    BOOLEAN IsConnected;
    KDPC DoneDpc;
    /* Of the service routine for DoneDpc. */
    ULONG Status;
    ULONG ErrorCode;
    ULONG Transferred;
    ULONG Interrupts;

    IO_CSQ Queue;
    KSPIN_LOCK QueueLock;
    LIST_ENTRY Waiting;

    /* Guards what follows. */
    KSPIN_LOCK Lock;
    DMA_DEVICE_STATE State;
    PIRP Current;
    /* A command is with the engine. */
    BOOLEAN IsBusy;
    /* Powered down, or about to be; then DownIrp waits for the current request. */
    BOOLEAN IsAsleep;
    PIRP DownIrp;
    /* Commands are not given any more, and the one that is with the engine does not end. */
    BOOLEAN IsAborted;
    /* Signalled while there is no current request. */
    KEVENT Idle;
    KDPC NextDpc;
};

/* DriverEntry: plug and play, power, reads and writes; the driver adds its control requests. */
VOID DmaDeviceInitialize(PDRIVER_OBJECT DriverObject, PDRIVER_ADD_DEVICE AddDevice);

/* AddDevice: an extension of that size, which begins with a DMA_DEVICE and is zeroed. */
NTSTATUS DmaDeviceAdd(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject, ULONG ExtensionBytes,
                      const DMA_DEVICE_ROUTINES *Routines);

/*
 * At DISPATCH_LEVEL: gives the engine a command; Done is called for it from a DPC, even if the device has gone.
 * Length is in bytes, or a number of descriptors.
 */
VOID DmaDeviceGo(PDMA_DEVICE Device, PHYSICAL_ADDRESS Address, ULONG Length, ULONG Offset, ULONG Command);

/* At DISPATCH_LEVEL: completes the current request; the next one begins from a DPC. */
VOID DmaDeviceComplete(PDMA_DEVICE Device, NTSTATUS Status, ULONG_PTR Information);

/* Admits a request that is not queued: STATUS_SUCCESS and the remove lock, or why not. */
NTSTATUS DmaDeviceEnter(PDMA_DEVICE Device, PIRP Irp);

/* Completes such a request and releases the lock. */
NTSTATUS DmaDeviceLeave(PDMA_DEVICE Device, PIRP Irp, NTSTATUS Status, ULONG_PTR Information);

/* Begins requests until one is in progress. */
VOID DmaDeviceNext(PDMA_DEVICE Device);

DRIVER_DISPATCH DmaDevicePower;

/* The device is at rest: its power goes. */
VOID DmaDeviceSendDown(PDMA_DEVICE Device, PIRP Irp);

/*
 * At PASSIVE_LEVEL: waits for the current request, and lets no other begin until DmaDeviceResume. On failure the device is
 * not started, or does not come to rest.
 */
NTSTATUS DmaDevicePause(PDMA_DEVICE Device);
VOID DmaDeviceResume(PDMA_DEVICE Device);

static inline BOOLEAN DmaDeviceIsWrite(PIRP Irp)
{
    return IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_WRITE;
}

/* Bytes of a read or write, which lie in the same place. */
static inline ULONG DmaDeviceLength(PIRP Irp)
{
    return IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length;
}

/* Where in the engine's memory a read or write begins; the engine refuses what is beyond it. */
static inline ULONG DmaDeviceOffset(PIRP Irp)
{
    LONGLONG offset = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.ByteOffset.QuadPart;
    return offset < 0 || offset > DMA_ENGINE_MEMORY_BYTES ? DMA_ENGINE_MEMORY_BYTES : (ULONG)offset;
}

/* What describes the engine to IoGetDmaAdapter. */
static inline VOID DmaDeviceDescribe(PDEVICE_DESCRIPTION Description, ULONG MaximumLength)
{
    RtlZeroMemory(Description, sizeof(*Description));
    Description->Version = DEVICE_DESCRIPTION_VERSION2;
    Description->Master = TRUE;
    Description->ScatterGather = TRUE;
    Description->Dma32BitAddresses = TRUE;
    Description->Dma64BitAddresses = TRUE;
    Description->InterfaceType = PCIBus;
    Description->MaximumLength = MaximumLength;
}

#endif
