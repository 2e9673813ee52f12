/*
 * The PCI DMA engine, a device model of poolproof (`--device-model pci-dma-engine`), as its drivers see it: a bus master
 * with 64-bit addresses that copies between the host's memory and 1 MB of memory of its own.
 */
#ifndef DMA_ENGINE_H
#define DMA_ENGINE_H

#include "sample.h"

/* PCI\VEN_5050&DEV_0D4A, class 0x088000. BAR 0 is a page of registers: 32 bits wide, little-endian, aligned. */
#define DMA_ENGINE_VENDOR_ID 0x5050
#define DMA_ENGINE_DEVICE_ID 0x0D4A
#define DMA_ENGINE_REGISTER_BYTES 0x1000
#define DMA_ENGINE_MEMORY_BYTES 0x100000

/* Registers, by their offset. */
#define DMA_ENGINE_ID 0x00            /* read only: DMA_ENGINE_ID_VALUE */
#define DMA_ENGINE_VERSION 0x04       /* read only: 1 */
#define DMA_ENGINE_CONTROL 0x08       /* DMA_ENGINE_CONTROL_… */
#define DMA_ENGINE_STATUS 0x0C        /* DMA_ENGINE_STATUS_… */
#define DMA_ENGINE_ADDRESS_LOW 0x10   /* logical address of host memory or of a table of descriptors */
#define DMA_ENGINE_ADDRESS_HIGH 0x14
#define DMA_ENGINE_LENGTH 0x18        /* bytes, or number of descriptors */
#define DMA_ENGINE_DEVICE_OFFSET 0x1C /* where in the engine's memory */
#define DMA_ENGINE_COMMAND 0x20       /* write only: DMA_ENGINE_COMMAND_…, starts the transfer */
#define DMA_ENGINE_TRANSFERRED 0x24   /* read only: bytes that the last command moved */
#define DMA_ENGINE_ERROR_CODE 0x28    /* read only: DMA_ENGINE_ERROR_… */
#define DMA_ENGINE_FAULT 0x2C         /* a defect to provoke: DMA_ENGINE_FAULT_… */

#define DMA_ENGINE_ID_VALUE ((DMA_ENGINE_DEVICE_ID << 16) | DMA_ENGINE_VENDOR_ID)

#define DMA_ENGINE_CONTROL_RESET 0x01 /* acts at once and reads as 0 */
#define DMA_ENGINE_CONTROL_INTERRUPT_ENABLE 0x02

/* The interrupt is asserted while DONE or ERROR is set and INTERRUPT_ENABLE is; writing 1 to DONE or ERROR clears it. */
#define DMA_ENGINE_STATUS_BUSY 0x01
#define DMA_ENGINE_STATUS_DONE 0x02
#define DMA_ENGINE_STATUS_ERROR 0x04

#define DMA_ENGINE_COMMAND_READ 0x001        /* the engine reads: host to device */
#define DMA_ENGINE_COMMAND_WRITE 0x002       /* the engine writes: device to host */
#define DMA_ENGINE_COMMAND_DESCRIPTORS 0x100 /* the address is that of LENGTH descriptors */

#define DMA_ENGINE_ERROR_NONE 0
#define DMA_ENGINE_ERROR_HOST_ADDRESS 1
#define DMA_ENGINE_ERROR_DEVICE_OFFSET 2 /* beyond the engine's memory */
#define DMA_ENGINE_ERROR_BUSY 3
#define DMA_ENGINE_ERROR_COMMAND 4
#define DMA_ENGINE_ERROR_BUS_MASTER 5 /* the PCI command register does not allow it */

/* Bytes that every WRITE also writes behind its last fragment, and before its first one. */
#define DMA_ENGINE_FAULT_BEHIND(Bytes) ((Bytes)&0xFFFF)
#define DMA_ENGINE_FAULT_BEFORE(Bytes) ((Bytes) << 16)

/* A fragment of host memory; the fragments of a table are moved one after the other. */
typedef struct _DMA_ENGINE_DESCRIPTOR {
    ULONG64 Address;
    ULONG Length;
    ULONG Zero;
} DMA_ENGINE_DESCRIPTOR, *PDMA_ENGINE_DESCRIPTOR;
C_ASSERT(sizeof(DMA_ENGINE_DESCRIPTOR) == 16);

static inline ULONG DmaEngineRead(PVOID Registers, ULONG Offset)
{
    return READ_REGISTER_ULONG((volatile ULONG *)((PUCHAR)Registers + Offset));
}

static inline VOID DmaEngineWrite(PVOID Registers, ULONG Offset, ULONG Value)
{
    WRITE_REGISTER_ULONG((volatile ULONG *)((PUCHAR)Registers + Offset), Value);
}

#endif
