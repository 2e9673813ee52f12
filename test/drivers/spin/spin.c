/*
 * DriverEntry never returns: it polls a flag that nothing sets, as drivers do that wait for hardware without a timeout.
 * A run must end by its instruction budget and say where it was.
 */
#include "sample.h"

static volatile ULONG DeviceReady;

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    ULONG polls = 0;

    UNREFERENCED_PARAMETER(DriverObject);
    UNREFERENCED_PARAMETER(RegistryPath);
    while (DeviceReady == 0) {
        polls = polls * 3 + 1;
    }
    return polls == 0 ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
}
