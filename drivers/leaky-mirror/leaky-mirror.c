/*
 * A mirror: two disks in memory, and a device in front of them that writes to both and reads from the one whose turn it is.
 * A write becomes two associated IRPs, each with a partial MDL over the writer's buffer; a read is passed down as it is.
 * A program binds the mirror to its disks by name, and can break one of them.
 *
 * The leak: a write that cannot be split, because the second disk is broken, has already made the first disk's IRP, which
 * is neither sent nor freed, nor is its MDL.
 */
#include "sample.h"

#define DISK_BYTES 2048

#define IOCTL_MIRROR_BIND CTL_CODE(FILE_DEVICE_UNKNOWN, 0x910, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MIRROR_BREAK CTL_CODE(FILE_DEVICE_UNKNOWN, 0x911, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_MIRROR_COUNTS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x912, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define DISK_NAME L"\\Device\\LeakyMirrorDisk0"
#define DISK_NAME_CHARACTERS (sizeof(DISK_NAME) / sizeof(WCHAR) - 1)

typedef struct _COMMON_EXTENSION {
    BOOLEAN IsDisk;
} COMMON_EXTENSION, *PCOMMON_EXTENSION;

typedef struct _DISK_EXTENSION {
    COMMON_EXTENSION Common;
    BOOLEAN IsBroken;
    ULONG Reads;
    ULONG Writes;
    UCHAR Bytes[DISK_BYTES];
} DISK_EXTENSION, *PDISK_EXTENSION;

typedef struct _MIRROR_EXTENSION {
    COMMON_EXTENSION Common;
    PDEVICE_OBJECT Disks[2];
    PFILE_OBJECT Files[2];
    ULONG Turn;
} MIRROR_EXTENSION, *PMIRROR_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD MirrorUnload;
static DRIVER_DISPATCH MirrorCreateClose;
static DRIVER_DISPATCH MirrorReadWrite;
static DRIVER_DISPATCH MirrorControl;

/* ---- a disk */

static NTSTATUS DiskReadWrite(PDISK_EXTENSION Disk, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    BOOLEAN isWrite = stack->MajorFunction == IRP_MJ_WRITE;
    ULONG length = isWrite ? stack->Parameters.Write.Length : stack->Parameters.Read.Length;
    LONGLONG offset = isWrite ? stack->Parameters.Write.ByteOffset.QuadPart : stack->Parameters.Read.ByteOffset.QuadPart;

    if (Disk->IsBroken) {
        return SampleComplete(Irp, STATUS_DEVICE_DATA_ERROR, 0);
    }
    if (offset < 0 || length > DISK_BYTES || offset > DISK_BYTES - (LONGLONG)length) {
        return SampleComplete(Irp, STATUS_END_OF_FILE, 0);
    }
    if (length == 0) {
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
    PUCHAR bytes = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
    if (bytes == NULL) {
        return SampleComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    if (isWrite) {
        RtlCopyMemory(Disk->Bytes + offset, bytes, length);
        Disk->Writes++;
    } else {
        RtlCopyMemory(bytes, Disk->Bytes + offset, length);
        Disk->Reads++;
    }
    return SampleComplete(Irp, STATUS_SUCCESS, length);
}

/* ---- the mirror */

/* A half of a write is done: its MDL goes, and the I/O manager frees the IRP and completes the master with the last half. */
static NTSTATUS NTAPI MirrorHalfDone(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PIRP master = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (!NT_SUCCESS(Irp->IoStatus.Status)) {
        master->IoStatus.Status = Irp->IoStatus.Status;
        master->IoStatus.Information = 0;
    }
    IoFreeMdl(Irp->MdlAddress);
    Irp->MdlAddress = NULL;
    return STATUS_SUCCESS;
}

/* One disk's half of a write; NULL if there is no memory, or no disk that works. */
static PIRP MirrorMakeHalf(PMIRROR_EXTENSION Extension, ULONG Index, PIRP Master)
{
    PDEVICE_OBJECT disk = Extension->Disks[Index];
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Master);

    if (((PDISK_EXTENSION)disk->DeviceExtension)->IsBroken) {
        return NULL;
    }
    PIRP half = IoMakeAssociatedIrp(Master, disk->StackSize); // leak[broken]: kind=irp count=2
    if (half == NULL) {
        return NULL;
    }
    PUCHAR start = MmGetMdlVirtualAddress(Master->MdlAddress);
    PMDL mdl = IoAllocateMdl(start, stack->Parameters.Write.Length, FALSE, FALSE, half); // leak[broken]: kind=mdl tag=VMdl count=2
    if (mdl == NULL) {
        IoFreeIrp(half);
        return NULL;
    }
    IoBuildPartialMdl(Master->MdlAddress, mdl, start, stack->Parameters.Write.Length);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(half);
    next->MajorFunction = IRP_MJ_WRITE;
    next->Parameters.Write = stack->Parameters.Write;
    IoSetCompletionRoutine(half, MirrorHalfDone, Master, TRUE, TRUE, TRUE);
    return half;
}

static NTSTATUS MirrorWrite(PMIRROR_EXTENSION Extension, PIRP Irp)
{
    PIRP halves[2];

    for (ULONG i = 0; i < 2; i++) {
        halves[i] = MirrorMakeHalf(Extension, i, Irp);
        if (halves[i] == NULL) {
            return SampleComplete(Irp, STATUS_DEVICE_NOT_READY, 0);
        }
    }
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;
    Irp->AssociatedIrp.IrpCount = 2;
    IoMarkIrpPending(Irp);
    for (ULONG i = 0; i < 2; i++) {
        IoCallDriver(Extension->Disks[i], halves[i]);
    }
    return STATUS_PENDING;
}

static NTSTATUS MirrorRead(PMIRROR_EXTENSION Extension, PIRP Irp)
{
    PDEVICE_OBJECT disk = Extension->Disks[Extension->Turn++ % 2];
    if (((PDISK_EXTENSION)disk->DeviceExtension)->IsBroken) {
        disk = Extension->Disks[Extension->Turn++ % 2];
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, NULL, NULL, FALSE, FALSE, FALSE);
    return IoCallDriver(disk, Irp);
}

static NTSTATUS MirrorReadWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMIRROR_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    if (extension->Common.IsDisk) {
        return DiskReadWrite(DeviceObject->DeviceExtension, Irp);
    }
    if (extension->Disks[1] == NULL) {
        return SampleComplete(Irp, STATUS_DEVICE_NOT_READY, 0);
    }
    if (stack->MajorFunction == IRP_MJ_READ) {
        return MirrorRead(extension, Irp);
    }
    return stack->Parameters.Write.Length == 0 ? SampleComplete(Irp, STATUS_SUCCESS, 0) : MirrorWrite(extension, Irp);
}

static VOID MirrorRelease(PMIRROR_EXTENSION Extension)
{
    for (ULONG i = 0; i < 2; i++) {
        if (Extension->Files[i] != NULL) {
            ObDereferenceObject(Extension->Files[i]);
        }
        Extension->Files[i] = NULL;
        Extension->Disks[i] = NULL;
    }
}

/* Binds the mirror to two of the disks: their numbers are digits of their names. */
static NTSTATUS MirrorBind(PMIRROR_EXTENSION Extension, const UCHAR *Numbers)
{
    PDEVICE_OBJECT disks[2];
    PFILE_OBJECT files[2];

    for (ULONG i = 0; i < 2; i++) {
        WCHAR buffer[] = DISK_NAME;
        UNICODE_STRING name;
        buffer[DISK_NAME_CHARACTERS - 1] = (WCHAR)(L'0' + Numbers[i] % 10);
        RtlInitUnicodeString(&name, buffer);
        NTSTATUS status = IoGetDeviceObjectPointer(&name, FILE_ALL_ACCESS, &files[i], &disks[i]);
        if (!NT_SUCCESS(status)) {
            if (i == 1) {
                ObDereferenceObject(files[0]);
            }
            return status;
        }
    }
    MirrorRelease(Extension);
    for (ULONG i = 0; i < 2; i++) {
        Extension->Files[i] = files[i];
        Extension->Disks[i] = disks[i];
    }
    return STATUS_SUCCESS;
}

static NTSTATUS MirrorControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMIRROR_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    PUCHAR buffer = Irp->AssociatedIrp.SystemBuffer;

    if (extension->Common.IsDisk) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_MIRROR_BIND:
        if (inputBytes < 2) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        return SampleComplete(Irp, MirrorBind(extension, buffer), 0);
    case IOCTL_MIRROR_BREAK:
        if (inputBytes < 2) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        if (buffer[0] > 1 || extension->Disks[buffer[0]] == NULL) {
            return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
        }
        ((PDISK_EXTENSION)extension->Disks[buffer[0]]->DeviceExtension)->IsBroken = buffer[1] != 0;
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    case IOCTL_MIRROR_COUNTS:
        if (outputBytes < 4 * sizeof(ULONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        if (extension->Disks[1] == NULL) {
            return SampleComplete(Irp, STATUS_DEVICE_NOT_READY, 0);
        }
        for (ULONG i = 0; i < 2; i++) {
            PDISK_EXTENSION disk = extension->Disks[i]->DeviceExtension;
            ((PULONG)buffer)[2 * i] = disk->Reads;
            ((PULONG)buffer)[2 * i + 1] = disk->Writes;
        }
        return SampleComplete(Irp, STATUS_SUCCESS, 4 * sizeof(ULONG));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

/* The last handle of the mirror lets its disks go. */
static NTSTATUS MirrorCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PMIRROR_EXTENSION extension = DeviceObject->DeviceExtension;
    if (!extension->Common.IsDisk && IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_CLEANUP) {
        MirrorRelease(extension);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static VOID MirrorUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyMirror");
    IoDeleteSymbolicLink(&link);
    while (DriverObject->DeviceObject != NULL) {
        IoDeleteDevice(DriverObject->DeviceObject);
    }
}

static NTSTATUS MirrorMakeDevice(PDRIVER_OBJECT DriverObject, PCWSTR Name, ULONG ExtensionBytes, BOOLEAN IsDisk,
                                 PDEVICE_OBJECT *Device)
{
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, Name);
    NTSTATUS status = IoCreateDevice(DriverObject, ExtensionBytes, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN,
                                     !IsDisk, Device);
    if (NT_SUCCESS(status)) {
        ((PCOMMON_EXTENSION)(*Device)->DeviceExtension)->IsDisk = IsDisk;
        (*Device)->Flags |= DO_DIRECT_IO;
        (*Device)->Flags &= ~DO_DEVICE_INITIALIZING;
    }
    return status;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING mirror = RTL_CONSTANT_STRING(L"\\Device\\LeakyMirror");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyMirror");
    WCHAR name[] = DISK_NAME;
    PDEVICE_OBJECT device;
    NTSTATUS status = STATUS_SUCCESS;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->MajorFunction[IRP_MJ_CREATE] = MirrorCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = MirrorCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = MirrorCreateClose;
    DriverObject->MajorFunction[IRP_MJ_READ] = MirrorReadWrite;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = MirrorReadWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = MirrorControl;
    DriverObject->DriverUnload = MirrorUnload;
    for (WCHAR digit = L'0'; NT_SUCCESS(status) && digit < L'3'; digit++) {
        name[DISK_NAME_CHARACTERS - 1] = digit;
        status = MirrorMakeDevice(DriverObject, name, sizeof(DISK_EXTENSION), TRUE, &device);
    }
    if (NT_SUCCESS(status)) {
        status = MirrorMakeDevice(DriverObject, mirror.Buffer, sizeof(MIRROR_EXTENSION), FALSE, &device);
    }
    if (NT_SUCCESS(status)) {
        /* One location more than a disk's, for the read that is passed down. */
        device->StackSize = 2;
        status = IoCreateSymbolicLink(&link, &mirror);
    }
    if (!NT_SUCCESS(status)) {
        while (DriverObject->DeviceObject != NULL) {
            IoDeleteDevice(DriverObject->DeviceObject);
        }
    }
    return status;
}
