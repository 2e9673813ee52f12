/* Imports routines and data from library.sys. The second block is its own, and leaks. */
#include "several.h"

__declspec(dllimport) extern ULONG LibraryVersion;
__declspec(dllimport) PVOID NTAPI LibraryAllocate(SIZE_T bytes);
__declspec(dllimport) VOID NTAPI LibraryFree(PVOID block);

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    DbgPrint("user: unload\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    (void)path;
    PVOID block = LibraryAllocate(32);
    PVOID own = ExAllocatePoolWithTag(PagedPool, 48, 'resU');
    DbgPrint("user: library %u, %s\n", LibraryVersion, block != NULL && own != NULL ? "blocks" : "nothing");
    if (block != NULL)
        LibraryFree(block);
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
