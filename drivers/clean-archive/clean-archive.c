/*
 * An archive: texts that programs store under a number go to files in a directory of the system's volume, with a header
 * that has their length and checksum; later they are read back and checked. A program can damage a file to see what happens.
 *
 * The clean twin of leaky-archive: a file whose text does not fit its checksum is closed, and the buffer freed.
 */
#include "sample.h"

#define TAG_TEXT 'txTA' /* ATxt */
#define MAX_TEXT_BYTES 2000
#define MAGIC 0x48435241 /* ARCH */

#define IOCTL_ARCHIVE_STORE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x970, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_ARCHIVE_LOAD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x971, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_ARCHIVE_DAMAGE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x972, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define DIRECTORY_NAME L"\\SystemRoot\\CleanArchive"
#define FILE_NAME DIRECTORY_NAME L"\\00000000.txt"
#define FILE_NAME_DIGITS (sizeof(DIRECTORY_NAME) / sizeof(WCHAR))

typedef struct _ARCHIVE_HEADER {
    ULONG Magic;
    ULONG Length;
    ULONG Checksum;
} ARCHIVE_HEADER, *PARCHIVE_HEADER;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD ArchiveUnload;
static DRIVER_DISPATCH ArchiveCreateClose;
static DRIVER_DISPATCH ArchiveControl;

static ULONG ArchiveChecksum(const UCHAR *Bytes, ULONG Length)
{
    ULONG low = 1, high = 0;
    for (ULONG i = 0; i < Length; i++) {
        low = (low + Bytes[i]) % 65521;
        high = (high + low) % 65521;
    }
    return high << 16 | low;
}

static NTSTATUS ArchiveOpen(ULONG Number, ULONG Disposition, PHANDLE File)
{
    WCHAR buffer[] = FILE_NAME;
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;

    for (ULONG i = 0; i < 8; i++) {
        ULONG digit = Number >> (28 - 4 * i) & 15;
        buffer[FILE_NAME_DIGITS + i] = (WCHAR)(digit < 10 ? L'0' + digit : L'a' + digit - 10);
    }
    RtlInitUnicodeString(&name, buffer);
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateFile(File, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, &attributes, &iosb, NULL, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ, Disposition, FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE, NULL, 0);
}

static NTSTATUS ArchiveStore(ULONG Number, const UCHAR *Text, ULONG Length)
{
    ARCHIVE_HEADER header = {MAGIC, Length, ArchiveChecksum(Text, Length)};
    IO_STATUS_BLOCK iosb;
    HANDLE file;

    if (Length == 0 || Length > MAX_TEXT_BYTES) {
        return STATUS_INVALID_PARAMETER;
    }
    NTSTATUS status = ArchiveOpen(Number, FILE_OVERWRITE_IF, &file);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ZwWriteFile(file, NULL, NULL, NULL, &iosb, &header, sizeof(header), NULL, NULL);
    if (NT_SUCCESS(status)) {
        status = ZwWriteFile(file, NULL, NULL, NULL, &iosb, (PVOID)Text, Length, NULL, NULL);
    }
    ZwClose(file);
    return status;
}

/* Reads the text of an open file into a buffer of its own. */
static NTSTATUS ArchiveReadText(HANDLE File, PARCHIVE_HEADER Header, PUCHAR *Text)
{
    IO_STATUS_BLOCK iosb;

    *Text = NULL;
    NTSTATUS status = ZwReadFile(File, NULL, NULL, NULL, &iosb, Header, sizeof(*Header), NULL, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (iosb.Information != sizeof(*Header) || Header->Magic != MAGIC || Header->Length > MAX_TEXT_BYTES) {
        return STATUS_FILE_CORRUPT_ERROR;
    }
    PUCHAR text = ExAllocatePoolWithTag(PagedPool, Header->Length, TAG_TEXT);
    if (text == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = ZwReadFile(File, NULL, NULL, NULL, &iosb, text, Header->Length, NULL, NULL);
    if (NT_SUCCESS(status) && iosb.Information != Header->Length) {
        status = STATUS_FILE_CORRUPT_ERROR;
    }
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(text, TAG_TEXT);
        return status;
    }
    *Text = text;
    return STATUS_SUCCESS;
}

static NTSTATUS ArchiveLoad(ULONG Number, PVOID Buffer, ULONG Room, PULONG Length)
{
    ARCHIVE_HEADER header;
    PUCHAR text;
    HANDLE file;

    NTSTATUS status = ArchiveOpen(Number, FILE_OPEN, &file);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ArchiveReadText(file, &header, &text);
    if (!NT_SUCCESS(status)) {
        ZwClose(file);
        return status;
    }
    if (ArchiveChecksum(text, header.Length) != header.Checksum) {
        ExFreePoolWithTag(text, TAG_TEXT);
        ZwClose(file);
        return STATUS_CRC_ERROR;
    }
    status = Room < header.Length ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
    if (NT_SUCCESS(status)) {
        RtlCopyMemory(Buffer, text, header.Length);
        *Length = header.Length;
    }
    ExFreePoolWithTag(text, TAG_TEXT);
    ZwClose(file);
    return status;
}

/* Writes a byte at an offset of the file. */
static NTSTATUS ArchiveDamage(ULONG Number, LONGLONG Offset)
{
    IO_STATUS_BLOCK iosb;
    LARGE_INTEGER offset;
    HANDLE file;

    NTSTATUS status = ArchiveOpen(Number, FILE_OPEN, &file);
    if (NT_SUCCESS(status)) {
        offset.QuadPart = Offset;
        status = ZwWriteFile(file, NULL, NULL, NULL, &iosb, "\xff", 1, &offset, NULL);
        ZwClose(file);
    }
    return status;
}

static NTSTATUS ArchiveControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    PULONG buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG length = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (inputBytes < sizeof(ULONG)) {
        return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_ARCHIVE_STORE:
        status = ArchiveStore(buffer[0], (PUCHAR)(buffer + 1), inputBytes - sizeof(ULONG));
        return SampleComplete(Irp, status, 0);
    case IOCTL_ARCHIVE_LOAD:
        status = ArchiveLoad(buffer[0], buffer, stack->Parameters.DeviceIoControl.OutputBufferLength, &length);
        return SampleComplete(Irp, status, length);
    case IOCTL_ARCHIVE_DAMAGE:
        if (inputBytes < 2 * sizeof(ULONG) || buffer[1] >= sizeof(ARCHIVE_HEADER) + MAX_TEXT_BYTES) {
            return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
        }
        return SampleComplete(Irp, ArchiveDamage(buffer[0], buffer[1]), 0);
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS ArchiveCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID ArchiveUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanArchive");
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(DriverObject->DeviceObject);
}

static NTSTATUS ArchiveMakeDirectory(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(DIRECTORY_NAME);
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    HANDLE directory;

    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    NTSTATUS status = ZwCreateFile(&directory, FILE_LIST_DIRECTORY | SYNCHRONIZE, &attributes, &iosb, NULL,
                                   FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN_IF,
                                   FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    if (NT_SUCCESS(status)) {
        ZwClose(directory);
    }
    return status;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CleanArchive");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\CleanArchive");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = ArchiveMakeDirectory();
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = ArchiveCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = ArchiveCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ArchiveControl;
    DriverObject->DriverUnload = ArchiveUnload;
    return STATUS_SUCCESS;
}
