/*
 * Files as drivers use them, checked by the driver itself on the volume C:. DriverEntry fails with the line of the first
 * check that does. Control codes leave one thing behind each.
 */
#include <ntifs.h>

#define CODE(function) CTL_CODE(FILE_DEVICE_UNKNOWN, function, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_CLEAN CODE(0x800)    /* writes a file from the caller's thread */
#define IOCTL_HANDLE CODE(0x801)   /* a file that stays open */
#define IOCTL_FILE CODE(0x802)     /* a reference to a file object */
#define IOCTL_SELF CODE(0x803)     /* opens its own device, asks it something, and closes it */

static ULONG FailedLine;
#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition) && FailedLine == 0) {                 \
            FailedLine = __LINE__;                             \
            DbgPrint("line %lu: %s\n", FailedLine, #condition); \
        }                                                      \
    } while (0)

NTSYSAPI NTSTATUS NTAPI ZwQueryFullAttributesFile(POBJECT_ATTRIBUTES, PFILE_NETWORK_OPEN_INFORMATION);
NTSYSAPI NTSTATUS NTAPI ZwFlushBuffersFile(HANDLE, PIO_STATUS_BLOCK);

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Files");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Files");
static IO_STATUS_BLOCK Iosb;

static NTSTATUS Create(PHANDLE handle, HANDLE root, PCWSTR name, ACCESS_MASK access, ULONG share, ULONG disposition, ULONG options)
{
    UNICODE_STRING string;
    OBJECT_ATTRIBUTES attributes;
    RtlInitUnicodeString(&string, name);
    InitializeObjectAttributes(&attributes, &string, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, root, NULL);
    return ZwCreateFile(handle, access, &attributes, &Iosb, NULL, FILE_ATTRIBUTE_NORMAL, share, disposition, options, NULL, 0);
}

#define SYNC FILE_SYNCHRONOUS_IO_NONALERT
#define RW (GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE)

static NTSTATUS Read(HANDLE handle, PVOID buffer, ULONG bytes, LONGLONG offset)
{
    LARGE_INTEGER at;
    at.QuadPart = offset;
    return ZwReadFile(handle, NULL, NULL, NULL, &Iosb, buffer, bytes, offset == -2 ? NULL : &at, NULL);
}

static NTSTATUS Write(HANDLE handle, PVOID buffer, ULONG bytes, LONGLONG offset)
{
    LARGE_INTEGER at;
    at.QuadPart = offset;
    return ZwWriteFile(handle, NULL, NULL, NULL, &Iosb, buffer, bytes, offset == -2 ? NULL : &at, NULL);
}

static void CheckOpens(void)
{
    HANDLE handle = NULL, other = NULL;
    CHECK(Create(&handle, NULL, L"\\??\\C:\\missing.txt", GENERIC_READ, 0, FILE_OPEN, 0) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\missing\\a.txt", GENERIC_READ, 0, FILE_OPEN, 0) == STATUS_OBJECT_PATH_NOT_FOUND);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\a*b", GENERIC_WRITE, 0, FILE_CREATE, 0) == STATUS_OBJECT_NAME_INVALID);
    CHECK(Create(&handle, NULL, L"\\SystemRoot\\System32", GENERIC_READ, 7, FILE_OPEN, FILE_NON_DIRECTORY_FILE) == STATUS_FILE_IS_A_DIRECTORY);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", GENERIC_READ, 0, FILE_OPEN, FILE_DIRECTORY_FILE | FILE_NON_DIRECTORY_FILE) == STATUS_INVALID_PARAMETER);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", RW, FILE_SHARE_READ, FILE_OPEN_IF, SYNC) == STATUS_SUCCESS && Iosb.Information == FILE_CREATED);
    CHECK(Create(&other, NULL, L"\\DosDevices\\c:\\LOG.TXT", RW, 7, FILE_OPEN, SYNC) == STATUS_SHARING_VIOLATION);
    CHECK(Create(&other, NULL, L"\\??\\C:\\log.txt", GENERIC_READ, FILE_SHARE_READ, FILE_OPEN, SYNC) == STATUS_SHARING_VIOLATION);
    CHECK(Create(&other, NULL, L"\\Device\\HarddiskVolume1\\log.txt", GENERIC_READ, 7, FILE_OPEN, SYNC) == STATUS_SUCCESS && Iosb.Information == FILE_OPENED);
    ZwClose(other);
    ZwClose(handle);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", RW, 0, FILE_CREATE, 0) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", RW, 0, FILE_OPEN, FILE_DIRECTORY_FILE) == STATUS_NOT_A_DIRECTORY);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", RW, 0, FILE_OVERWRITE_IF, SYNC) == STATUS_SUCCESS && Iosb.Information == FILE_OVERWRITTEN);
    ZwClose(handle);
    /* Relative to a directory. */
    CHECK(Create(&handle, NULL, L"\\SystemRoot\\Temp", FILE_LIST_DIRECTORY, 7, FILE_OPEN, FILE_DIRECTORY_FILE) == STATUS_SUCCESS);
    CHECK(Create(&other, handle, L"deep.txt", RW, 0, FILE_CREATE, FILE_DELETE_ON_CLOSE) == STATUS_SUCCESS);
    ZwClose(other);
    CHECK(Create(&other, handle, L"deep.txt", RW, 0, FILE_OPEN, 0) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Create(&other, handle, L"\\deep.txt", RW, 0, FILE_OPEN, 0) == STATUS_OBJECT_NAME_INVALID);
    ZwClose(handle);
}

static void CheckContents(void)
{
    HANDLE handle = NULL;
    char buffer[64];
    FILE_STANDARD_INFORMATION standard;
    FILE_POSITION_INFORMATION position;
    FILE_END_OF_FILE_INFORMATION end;
    FILE_BASIC_INFORMATION basic;
    FILE_DISPOSITION_INFORMATION gone = {TRUE};
    struct { FILE_NAME_INFORMATION info; WCHAR rest[32]; } name;
    HANDLE event = NULL;

    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", RW | DELETE, 0, FILE_OPEN, SYNC) == STATUS_SUCCESS);
    CHECK(Read(handle, buffer, 4, 0) == STATUS_END_OF_FILE);
    CHECK(Write(handle, "hello", 5, -2) == STATUS_SUCCESS && Iosb.Information == 5);
    CHECK(Write(handle, " world", 6, -2) == STATUS_SUCCESS);
    CHECK(Write(handle, "!", 1, -1) == STATUS_SUCCESS);
    CHECK(Read(handle, buffer, sizeof(buffer), 6) == STATUS_SUCCESS && Iosb.Information == 6 && RtlEqualMemory(buffer, "world!", 6));
    CHECK(ZwQueryInformationFile(handle, &Iosb, &standard, 8, FileStandardInformation) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryInformationFile(handle, &Iosb, &standard, sizeof(standard), FileStandardInformation) == STATUS_SUCCESS);
    CHECK(standard.EndOfFile.QuadPart == 12 && !standard.Directory && standard.AllocationSize.QuadPart == 4096 && Iosb.Information == sizeof(standard));
    CHECK(ZwQueryInformationFile(handle, &Iosb, &position, sizeof(position), FilePositionInformation) == STATUS_SUCCESS && position.CurrentByteOffset.QuadPart == 12);
    position.CurrentByteOffset.QuadPart = 2;
    CHECK(ZwSetInformationFile(handle, &Iosb, &position, sizeof(position), FilePositionInformation) == STATUS_SUCCESS);
    CHECK(Read(handle, buffer, 3, -2) == STATUS_SUCCESS && RtlEqualMemory(buffer, "llo", 3));
    end.EndOfFile.QuadPart = 5;
    CHECK(ZwSetInformationFile(handle, &Iosb, &end, sizeof(end), FileEndOfFileInformation) == STATUS_SUCCESS);
    CHECK(Read(handle, buffer, 10, 0) == STATUS_SUCCESS && Iosb.Information == 5);
    CHECK(Write(handle, "z", 1, 7) == STATUS_SUCCESS && Read(handle, buffer, 10, 0) == STATUS_SUCCESS && RtlEqualMemory(buffer, "hello\0\0z", 8));
    CHECK(ZwQueryInformationFile(handle, &Iosb, &basic, sizeof(basic), FileBasicInformation) == STATUS_SUCCESS && basic.FileAttributes == FILE_ATTRIBUTE_ARCHIVE);
    CHECK(ZwQueryInformationFile(handle, &Iosb, &name, sizeof(name), FileNameInformation) == STATUS_SUCCESS && name.info.FileNameLength == 16);
    CHECK(RtlEqualMemory(name.info.FileName, L"\\log.txt", 16));
    CHECK(ZwQueryInformationFile(handle, &Iosb, &name, 8, FileNameInformation) == STATUS_BUFFER_OVERFLOW);
    CHECK(ZwFlushBuffersFile(handle, &Iosb) == STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &Iosb, 0x222000, NULL, 0, NULL, 0) == STATUS_INVALID_DEVICE_REQUEST);
    CHECK(ZwFsControlFile(handle, NULL, NULL, NULL, &Iosb, FSCTL_GET_COMPRESSION, NULL, 0, buffer, 2) == STATUS_INVALID_DEVICE_REQUEST);
    ZwClose(handle);

    /* Asynchronous: with an offset, and an event. */
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_SUCCESS);
    CHECK(Read(handle, buffer, 4, -2) == STATUS_INVALID_PARAMETER);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, NULL, NotificationEvent, FALSE) == STATUS_SUCCESS);
    {
        LARGE_INTEGER at = {{0, 0}};
        CHECK(ZwReadFile(handle, event, NULL, NULL, &Iosb, buffer, 4, &at, NULL) == STATUS_SUCCESS);
        CHECK(ZwWaitForSingleObject(event, FALSE, NULL) == STATUS_SUCCESS && Iosb.Information == 4);
        CHECK(Read(handle, buffer, 4, 0) == STATUS_SUCCESS && ZwWaitForSingleObject(handle, FALSE, NULL) == STATUS_SUCCESS);
    }
    ZwClose(event);
    ZwClose(handle);

    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", DELETE, 7, FILE_OPEN, 0) == STATUS_SUCCESS);
    CHECK(ZwSetInformationFile(handle, &Iosb, &gone, sizeof(gone), FileDispositionInformation) == STATUS_SUCCESS);
    {
        HANDLE other;
        CHECK(Create(&other, NULL, L"\\??\\C:\\log.txt", GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_DELETE_PENDING);
    }
    ZwClose(handle);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\log.txt", GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_OBJECT_NAME_NOT_FOUND);
}

static void Make(PCWSTR name, ULONG options)
{
    HANDLE handle = NULL;
    CHECK(Create(&handle, NULL, name, FILE_WRITE_ATTRIBUTES | SYNCHRONIZE, 7, FILE_CREATE, options) == STATUS_SUCCESS);
    ZwClose(handle);
}

static void CheckDirectories(void)
{
    HANDLE handle = NULL, file = NULL;
    UNICODE_STRING pattern = RTL_CONSTANT_STRING(L"*.log"), gone = RTL_CONSTANT_STRING(L"\\??\\C:\\dir\\a.log");
    UNICODE_STRING none = RTL_CONSTANT_STRING(L"*.exe");
    OBJECT_ATTRIBUTES attributes;
    union { FILE_BOTH_DIR_INFORMATION both; FILE_NAMES_INFORMATION names; UCHAR room[512]; } buffer;
    struct { FILE_RENAME_INFORMATION info; WCHAR rest[16]; } rename;
    FILE_NETWORK_OPEN_INFORMATION network;
    FILE_DISPOSITION_INFORMATION disposition = {TRUE};
    FILE_FS_SIZE_INFORMATION size;
    ULONG count = 0;

    Make(L"\\??\\C:\\dir", FILE_DIRECTORY_FILE);
    Make(L"\\??\\C:\\dir\\b.LOG", 0);
    Make(L"\\??\\C:\\dir\\a.log", 0);
    Make(L"\\??\\C:\\dir\\c.txt", 0);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\dir", FILE_LIST_DIRECTORY | SYNCHRONIZE | DELETE, 7, FILE_OPEN, FILE_DIRECTORY_FILE | SYNC) == STATUS_SUCCESS);
    CHECK(ZwQueryDirectoryFile(handle, NULL, NULL, NULL, &Iosb, &buffer, sizeof(buffer), FileBothDirectoryInformation, TRUE, &pattern, FALSE) == STATUS_SUCCESS);
    CHECK(buffer.both.FileNameLength == 10 && RtlEqualMemory(buffer.both.FileName, L"a.log", 10) && buffer.both.NextEntryOffset == 0);
    CHECK(ZwQueryDirectoryFile(handle, NULL, NULL, NULL, &Iosb, &buffer, sizeof(buffer), FileBothDirectoryInformation, TRUE, NULL, FALSE) == STATUS_SUCCESS);
    CHECK(RtlEqualMemory(buffer.both.FileName, L"b.LOG", 10));
    CHECK(ZwQueryDirectoryFile(handle, NULL, NULL, NULL, &Iosb, &buffer, sizeof(buffer), FileBothDirectoryInformation, TRUE, NULL, FALSE) == STATUS_NO_MORE_FILES);
    CHECK(ZwQueryDirectoryFile(handle, NULL, NULL, NULL, &Iosb, &buffer, sizeof(buffer), FileNamesInformation, FALSE, NULL, TRUE) == STATUS_SUCCESS);
    CHECK(buffer.names.NextEntryOffset == 24);
    CHECK(ZwSetInformationFile(handle, &Iosb, &disposition, sizeof(disposition), FileDispositionInformation) == STATUS_DIRECTORY_NOT_EMPTY);
    ZwClose(handle);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\dir", FILE_LIST_DIRECTORY | SYNCHRONIZE, 7, FILE_OPEN, FILE_DIRECTORY_FILE | SYNC) == STATUS_SUCCESS);
    CHECK(ZwQueryDirectoryFile(handle, NULL, NULL, NULL, &Iosb, &buffer, sizeof(buffer), FileBothDirectoryInformation, TRUE, &none, FALSE) == STATUS_NO_SUCH_FILE);
    ZwClose(handle);
    CHECK(Create(&handle, NULL, L"\\??\\C:\\dir", FILE_LIST_DIRECTORY | SYNCHRONIZE, 7, FILE_OPEN, FILE_DIRECTORY_FILE | SYNC) == STATUS_SUCCESS);
    while (ZwQueryDirectoryFile(handle, NULL, NULL, NULL, &Iosb, &buffer, sizeof(buffer), FileBothDirectoryInformation, TRUE, NULL, FALSE) == STATUS_SUCCESS) count++;
    CHECK(count == 5);
    CHECK(ZwQueryVolumeInformationFile(handle, &Iosb, &size, sizeof(size), FileFsSizeInformation) == STATUS_SUCCESS && size.BytesPerSector == 512);
    ZwClose(handle);

    CHECK(Create(&file, NULL, L"\\??\\C:\\dir\\c.txt", DELETE | SYNCHRONIZE, 7, FILE_OPEN, SYNC) == STATUS_SUCCESS);
    rename.info.ReplaceIfExists = FALSE;
    rename.info.RootDirectory = NULL;
    rename.info.FileNameLength = 10;
    RtlCopyMemory(rename.info.FileName, L"a.log", 10);
    CHECK(ZwSetInformationFile(file, &Iosb, &rename, sizeof(rename), FileRenameInformation) == STATUS_OBJECT_NAME_COLLISION);
    RtlCopyMemory(rename.info.FileName, L"d.log", 10);
    CHECK(ZwSetInformationFile(file, &Iosb, &rename, sizeof(rename), FileRenameInformation) == STATUS_SUCCESS);
    ZwClose(file);
    InitializeObjectAttributes(&attributes, &gone, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwQueryFullAttributesFile(&attributes, &network) == STATUS_SUCCESS && network.EndOfFile.QuadPart == 0);
    CHECK(ZwDeleteFile(&attributes) == STATUS_SUCCESS);
    CHECK(ZwDeleteFile(&attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwQueryFullAttributesFile(&attributes, &network) == STATUS_OBJECT_NAME_NOT_FOUND);
}

/* Opens its own device, as drivers do for lower ones. */
static void CheckSelf(void)
{
    HANDLE handle = NULL;
    ULONG answer = 0;
    PFILE_OBJECT file = NULL;
    CHECK(Create(&handle, NULL, Name.Buffer, RW, 7, FILE_OPEN, SYNC) == STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &Iosb, IOCTL_CLEAN, NULL, 0, &answer, sizeof(answer)) == STATUS_SUCCESS);
    CHECK(Iosb.Information == 4 && answer == 0x1234);
    CHECK(ObReferenceObjectByHandle(handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&file, NULL) == STATUS_SUCCESS);
    CHECK(file->DeviceObject->DeviceType == FILE_DEVICE_UNKNOWN && (file->Flags & FO_SYNCHRONOUS_IO));
    ObDereferenceObject(file);
    ZwClose(handle);
}

static NTSTATUS Leave(PIRP irp, ULONG code)
{
    HANDLE handle = NULL;
    PFILE_OBJECT file;
    switch (code) {
    case IOCTL_CLEAN:
        if (irp->RequestorMode == KernelMode) {
            *(PULONG)irp->AssociatedIrp.SystemBuffer = 0x1234;
            irp->IoStatus.Information = 4;
            return STATUS_SUCCESS;
        }
        CHECK(Create(&handle, NULL, L"\\??\\C:\\caller.txt", RW, 0, FILE_SUPERSEDE, SYNC) == STATUS_SUCCESS);
        CHECK(Write(handle, "caller", 6, -2) == STATUS_SUCCESS);
        ZwClose(handle);
        return FailedLine == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
    case IOCTL_HANDLE:
        return Create(&handle, NULL, L"\\SystemRoot\\Temp\\open.txt", RW, 0, FILE_OPEN_IF, SYNC);
    case IOCTL_FILE:
        Create(&handle, NULL, L"\\SystemRoot\\Temp\\open.txt", RW, 0, FILE_OPEN_IF, SYNC);
        ObReferenceObjectByHandle(handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&file, NULL);
        ZwClose(handle);
        return STATUS_SUCCESS;
    case IOCTL_SELF:
        CheckSelf();
        return FailedLine == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Information = 0;
    if (location->MajorFunction == IRP_MJ_DEVICE_CONTROL) status = Leave(irp, location->Parameters.DeviceIoControl.IoControlCode);
    irp->IoStatus.Status = status;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static void NTAPI Unload(PDRIVER_OBJECT driver)
{
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PDEVICE_OBJECT device;
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    CheckOpens();
    CheckContents();
    CheckDirectories();
    if (FailedLine != 0) return STATUS_UNSUCCESSFUL;
    CHECK(IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device) == STATUS_SUCCESS);
    return IoCreateSymbolicLink(&Link, &Name);
}
