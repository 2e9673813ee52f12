/*
 * A driver for the DMA engine that moves requests through slots: common buffers of 16 KB that take turns. A slot whose
 * transfer the engine refuses is under suspicion, and taken out of use.
 *
 * Broken: every common buffer has to be freed before the adapter is given back. Stop frees the slots that are in use, and
 * forgets those under suspicion.
 */
#include "dma-device.h"

#define SLOTS 4
#define SLOT_BYTES 0x4000

typedef struct _SLOT {
    LIST_ENTRY Link;
    PUCHAR Bytes;
    PHYSICAL_ADDRESS Address;
    ULONG Transfers;
} SLOT, *PSLOT;

typedef struct _SLOTTED {
    DMA_DEVICE Device;
    PDMA_ADAPTER Adapter;
    SLOT Slots[SLOTS];
    /* In use; the next one is the first. */
    LIST_ENTRY Rotation;
    /* Of the current request. */
    PSLOT Slot;
    PUCHAR Caller;
    ULONG Done;
    ULONG Length;
} SLOTTED, *PSLOTTED;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE SlottedAddDevice;

static BOOLEAN SlottedNextPiece(PSLOTTED Slotted)
{
    PIRP irp = Slotted->Device.Current;
    BOOLEAN isWrite = DmaDeviceIsWrite(irp);

    if (IsListEmpty(&Slotted->Rotation)) {
        return FALSE;
    }
    Slotted->Slot = CONTAINING_RECORD(RemoveHeadList(&Slotted->Rotation), SLOT, Link);
    Slotted->Slot->Transfers++;
    Slotted->Length = DmaDeviceLength(irp) - Slotted->Done;
    if (Slotted->Length > SLOT_BYTES) {
        Slotted->Length = SLOT_BYTES;
    }
    if (isWrite) {
        RtlCopyMemory(Slotted->Slot->Bytes, Slotted->Caller + Slotted->Done, Slotted->Length);
    }
    DmaDeviceGo(&Slotted->Device, Slotted->Slot->Address, Slotted->Length, DmaDeviceOffset(irp) + Slotted->Done,
                isWrite ? DMA_ENGINE_COMMAND_READ : DMA_ENGINE_COMMAND_WRITE);
    return TRUE;
}

static NTSTATUS SlottedBegin(PDMA_DEVICE Device, PIRP Irp)
{
    PSLOTTED slotted = CONTAINING_RECORD(Device, SLOTTED, Device);

    slotted->Done = 0;
    slotted->Caller = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MDL_MAPPING_NO_EXECUTE);
    if (slotted->Caller == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return SlottedNextPiece(slotted) ? STATUS_PENDING : STATUS_DEVICE_NOT_READY;
}

static VOID SlottedDone(PDMA_DEVICE Device, NTSTATUS Status, ULONG Transferred)
{
    PSLOTTED slotted = CONTAINING_RECORD(Device, SLOTTED, Device);
    PSLOT slot = slotted->Slot;

    if (!NT_SUCCESS(Status)) {
        DbgPrint("slotted: slot %Iu is out of use after %lu transfers\n", slot - slotted->Slots, slot->Transfers);
        DmaDeviceComplete(Device, Status, 0);
        return;
    }
    if (!DmaDeviceIsWrite(Device->Current)) {
        RtlCopyMemory(slotted->Caller + slotted->Done, slot->Bytes, slotted->Length);
    }
    InsertTailList(&slotted->Rotation, &slot->Link);
    slotted->Done += Transferred;
    if (slotted->Done == DmaDeviceLength(Device->Current) || !SlottedNextPiece(slotted)) {
        DmaDeviceComplete(Device, STATUS_SUCCESS, slotted->Done);
    }
}

static VOID SlottedStop(PDMA_DEVICE Device)
{
    PSLOTTED slotted = CONTAINING_RECORD(Device, SLOTTED, Device);

    if (slotted->Adapter == NULL) {
        return;
    }
    while (!IsListEmpty(&slotted->Rotation)) {
        PSLOT slot = CONTAINING_RECORD(RemoveHeadList(&slotted->Rotation), SLOT, Link);
        slotted->Adapter->DmaOperations->FreeCommonBuffer(slotted->Adapter, SLOT_BYTES, slot->Address, slot->Bytes,
                                                          TRUE);
        slot->Bytes = NULL;
    }
    slotted->Adapter->DmaOperations->PutDmaAdapter(slotted->Adapter);
    slotted->Adapter = NULL;
}

static NTSTATUS SlottedStart(PDMA_DEVICE Device)
{
    PSLOTTED slotted = CONTAINING_RECORD(Device, SLOTTED, Device);
    DEVICE_DESCRIPTION description;
    ULONG mapRegisters;

    InitializeListHead(&slotted->Rotation);
    DmaDeviceDescribe(&description, SLOT_BYTES);
    slotted->Adapter = IoGetDmaAdapter(Device->Pdo, &description, &mapRegisters);
    if (slotted->Adapter == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PALLOCATE_COMMON_BUFFER allocate = slotted->Adapter->DmaOperations->AllocateCommonBuffer;
    for (ULONG i = 0; i < SLOTS; i++) {
        PSLOT slot = &slotted->Slots[i];
        slot->Transfers = 0;
        slot->Bytes = allocate(slotted->Adapter, SLOT_BYTES, &slot->Address, TRUE); // leak[refused]: kind=common-buffer bytes=16384 count=1
        if (slot->Bytes == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        InsertTailList(&slotted->Rotation, &slot->Link);
    }
    return STATUS_SUCCESS;
}

static const DMA_DEVICE_ROUTINES SlottedRoutines = {SlottedStart, SlottedStop, SlottedBegin, SlottedDone};

static NTSTATUS NTAPI SlottedAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    return DmaDeviceAdd(DriverObject, PhysicalDeviceObject, sizeof(SLOTTED), &SlottedRoutines);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DmaDeviceInitialize(DriverObject, SlottedAddDevice);
    return STATUS_SUCCESS;
}
