/* What the parts of dma-rules.sys share: one adapter or several, buffers, channels, and what stands in for the device. */
#ifndef DMA_RULES_H
#define DMA_RULES_H

#include <ntddk.h>

#define TAG 'rmaD'
#define PAGE 0x1000u

typedef NTSTATUS (*OPERATION)(void);

typedef struct _NAMED {
    const char *Name;
    OPERATION Run;
} NAMED;

extern const NAMED CleanUses[];
extern const NAMED DriverPatterns[];
extern const NAMED WrongReleases[];
extern const NAMED WrongWrites[];
extern const NAMED WrongCalls[];
extern PDEVICE_OBJECT Device;

typedef struct _BUFFER {
    PUCHAR Memory;
    PUCHAR Va;
    ULONG Length;
    PMDL Mdl;
} BUFFER;

typedef struct _CHANNEL {
    IO_ALLOCATION_ACTION Answer;
    PVOID Base;
    ULONG Calls;
    /* Called in AdapterControl. */
    void (*Then)(PDMA_ADAPTER Adapter, struct _CHANNEL *Channel);
    PDMA_ADAPTER Adapter;
    void *Context;
} CHANNEL;

typedef struct _LIST {
    PSCATTER_GATHER_LIST List;
    ULONG Calls;
} LIST;

/* Members of DMA_OPERATIONS behind BuildMdlFromScatterGatherList, counted from PutDmaAdapter. */
enum { InitializeDmaTransferContext = 17, AllocateCommonBufferEx = 18, AllocateAdapterChannelEx = 19, MapTransferEx = 22,
       GetScatterGatherListEx = 23, FlushAdapterBuffersEx = 25, FreeAdapterObject = 26 };
#define MEMBER(Adapter, Index) (((PVOID *)(&(Adapter)->DmaOperations->PutDmaAdapter))[Index])

typedef NTSTATUS (*INITIALIZE_CONTEXT)(PDMA_ADAPTER, PVOID);
typedef PVOID (*ALLOCATE_EX)(PDMA_ADAPTER, PPHYSICAL_ADDRESS, ULONG, PPHYSICAL_ADDRESS, BOOLEAN, ULONG);
typedef NTSTATUS (*CHANNEL_EX)(PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, ULONG, ULONG, PDRIVER_CONTROL, PVOID, PVOID *);
typedef NTSTATUS (*MAP_EX)(PDMA_ADAPTER, PMDL, PVOID, ULONG64, ULONG, PULONG, BOOLEAN, PSCATTER_GATHER_LIST, ULONG, PVOID,
                           PVOID);
typedef NTSTATUS (*LIST_EX)(PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, PMDL, ULONG64, ULONG, ULONG, PVOID, PVOID, BOOLEAN, PVOID,
                            PVOID, PSCATTER_GATHER_LIST *);
typedef NTSTATUS (*FLUSH_EX)(PDMA_ADAPTER, PMDL, PVOID, ULONG64, ULONG, BOOLEAN);
typedef void (*FREE_OBJECT)(PDMA_ADAPTER, IO_ALLOCATION_ACTION);

/* A bus master with 64-bit addresses and transfers of up to MaximumLength bytes. */
PDMA_ADAPTER GetAdapter(ULONG Version, BOOLEAN ScatterGather, ULONG MaximumLength, PULONG Registers);
void PutAdapter(PDMA_ADAPTER Adapter);

/* Nonpaged pool with its MDL, from Offset of a page on; bytes count up from Seed. */
NTSTATUS MakeBuffer(BUFFER *Buffer, ULONG Offset, ULONG Length, UCHAR Seed);
void FreeBuffer(BUFFER *Buffer);
BOOLEAN HoldsBytes(const BUFFER *Buffer, UCHAR Seed);

/* An AdapterControl whose context is a CHANNEL. */
IO_ALLOCATION_ACTION NTAPI ChannelControl(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Base, PVOID Context);
NTSTATUS GetChannel(PDMA_ADAPTER Adapter, ULONG Registers, IO_ALLOCATION_ACTION Answer, CHANNEL *Channel);
void FreeChannel(PDMA_ADAPTER Adapter);
void FreeRegisters(PDMA_ADAPTER Adapter, PVOID Base, ULONG Registers);
NTSTATUS GetList(PDMA_ADAPTER Adapter, PMDL Mdl, PVOID Va, ULONG Length, BOOLEAN ToDevice, LIST *List);
void PutList(PDMA_ADAPTER Adapter, LIST *List, BOOLEAN ToDevice);

/* The device: it reads or writes at a logical address. */
void DeviceWrites(PHYSICAL_ADDRESS Logical, LONG Offset, ULONG Bytes, UCHAR Seed);
BOOLEAN DeviceReads(PHYSICAL_ADDRESS Logical, ULONG Bytes, UCHAR Seed);

#define FLUSH(Adapter, Buffer, Base, Offset, Bytes, ToDevice) \
    (Adapter)->DmaOperations->FlushAdapterBuffers(Adapter, (Buffer).Mdl, Base, (Buffer).Va + (Offset), Bytes, ToDevice)
#define MAP(Adapter, Buffer, Base, Offset, Bytes, ToDevice) \
    (Adapter)->DmaOperations->MapTransfer(Adapter, (Buffer).Mdl, Base, (Buffer).Va + (Offset), Bytes, ToDevice)

#endif
