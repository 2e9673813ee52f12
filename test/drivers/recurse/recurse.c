/*
 * DriverEntry recurses four thousand million times, each frame with a buffer of its own, until the kernel stack's guard page.
 * Windows stops with a double fault; a run must report the exhausted stack, not one of its own.
 */
#include "sample.h"

static volatile ULONG Depth;

static DECLSPEC_NOINLINE ULONG Descend(const UCHAR *Above)
{
    UCHAR frame[64];
    if (Depth == MAXULONG) {
        return 0;
    }
    for (ULONG i = 0; i < sizeof(frame); i++) {
        frame[i] = (UCHAR)(Above[i] + Depth);
    }
    Depth++;
    return Descend(frame) + frame[Depth % sizeof(frame)];
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UCHAR seed[64] = {1};

    UNREFERENCED_PARAMETER(DriverObject);
    UNREFERENCED_PARAMETER(RegistryPath);
    return Descend(seed) == 0 ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
}
