/* Opens \Device\Base from the kernel; DriverUnload forgets the reference to the file. */
#include "several.h"

static UNICODE_STRING Target = {sizeof(L"\\Device\\Base") - sizeof(WCHAR), sizeof(L"\\Device\\Base"), L"\\Device\\Base"};

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    DbgPrint("holder: unload\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    (void)path;
    driver->DriverUnload = Unload;
    return IoGetDeviceObjectPointer(&Target, FILE_READ_DATA, &file, &device);
}
