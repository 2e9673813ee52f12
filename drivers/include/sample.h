/* What the samples use beyond mingw-w64's <ntddk.h>: newer pool calls, which its headers lack. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <ntddk.h>

#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL

/* Zeroes what it returns unless POOL_FLAG_UNINITIALIZED is given; returns NULL when out of memory. */
__declspec(dllimport) PVOID NTAPI ExAllocatePool2(ULONG64 Flags, SIZE_T NumberOfBytes, ULONG Tag);

/* Not in the older headers' MM_PAGE_PRIORITY flags. */
#define MDL_MAPPING_NO_EXECUTE 0x40000000

/* Completes a request and returns its status, as the end of most dispatch routines. */
static inline NTSTATUS SampleComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

#endif
