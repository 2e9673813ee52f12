/* A kernel-mode DLL without an entry point. */
#include "several.h"

#define TAG 'rbiL'

__declspec(dllexport) ULONG LibraryVersion = 7;

static PVOID Table;

__declspec(dllexport) PVOID NTAPI LibraryAllocate(SIZE_T bytes) { return ExAllocatePoolWithTag(PagedPool, bytes, TAG); }

__declspec(dllexport) VOID NTAPI LibraryFree(PVOID block) { ExFreePoolWithTag(block, TAG); }

__declspec(dllexport) NTSTATUS NTAPI DllInitialize(PUNICODE_STRING path)
{
    DbgPrint("library: %wZ\n", path);
    Table = LibraryAllocate(64);
    return Table == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

__declspec(dllexport) NTSTATUS NTAPI DllUnload(VOID)
{
    DbgPrint("library: unload\n");
    LibraryFree(Table);
    return STATUS_SUCCESS;
}
