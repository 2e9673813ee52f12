/*
 * Keeps a million pool blocks when it is unloaded; every eleventh block that it allocates is freed again.
 * It measures what a live block and a leaked block cost in time and memory.
 */
#include <ntddk.h>

#define TAG_LEAK 'kaeL' /* Leak */

#define BLOCK_COUNT 1000000

static VOID MillionUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = MillionUnload;
    for (ULONG i = 0; i < BLOCK_COUNT / 10 * 11; i++) {
        PVOID block = ExAllocatePoolWithTag(NonPagedPoolNx, 24, TAG_LEAK);
        if (block == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        if (i % 11 == 10) {
            ExFreePoolWithTag(block, TAG_LEAK);
        }
    }
    return STATUS_SUCCESS;
}
