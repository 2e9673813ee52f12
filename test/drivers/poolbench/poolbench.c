/*
 * Allocates and frees a million pool blocks of varying sizes while it loads, a few dozen of them alive at any time, and
 * checks that each still holds what was written to it. It leaves nothing behind. It measures what one allocation and one
 * free cost, hooks and tracking included.
 */
#include "sample.h"

#define TAG_BLOCK 'hcnB' /* Bnch */

#define PAIR_COUNT 1000000
#define SLOT_COUNT 64

typedef struct _SLOT {
    PULONG64 Block;
    ULONG64 Mark;
} SLOT, *PSLOT;

static VOID PoolbenchUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

static NTSTATUS PoolbenchRelease(PSLOT Slot)
{
    NTSTATUS status = STATUS_SUCCESS;
    if (Slot->Block != NULL) {
        if (*Slot->Block != Slot->Mark) {
            status = STATUS_DATA_ERROR;
        }
        ExFreePoolWithTag(Slot->Block, TAG_BLOCK);
        Slot->Block = NULL;
    }
    return status;
}

static NTSTATUS PoolbenchRun(PSLOT Slots)
{
    ULONG64 random = 0x9E3779B97F4A7C15ULL;
    NTSTATUS status = STATUS_SUCCESS;
    for (ULONG i = 0; i < PAIR_COUNT && NT_SUCCESS(status); i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        PSLOT slot = &Slots[random % SLOT_COUNT];
        SIZE_T bytes = 16 + ((random >> 20) & 0x1FF) + ((random >> 40) % 61 == 0 ? 2048 : 0);
        status = PoolbenchRelease(slot);
        slot->Block = ExAllocatePoolWithTag((random >> 32) & 1 ? PagedPool : NonPagedPoolNx, bytes, TAG_BLOCK);
        if (slot->Block == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        slot->Mark = random;
        *slot->Block = random;
    }
    return status;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    SLOT slots[SLOT_COUNT];

    UNREFERENCED_PARAMETER(RegistryPath);
    RtlZeroMemory(slots, sizeof(slots));
    DriverObject->DriverUnload = PoolbenchUnload;
    NTSTATUS status = PoolbenchRun(slots);
    for (ULONG i = 0; i < SLOT_COUNT; i++) {
        NTSTATUS released = PoolbenchRelease(&slots[i]);
        if (!NT_SUCCESS(released)) {
            status = released;
        }
    }
    return status;
}
