/*
 * Brings up a board while it loads: a calibration table in paged pool, a ring with an MDL over it, and the serial number
 * as a Unicode string. The first board's calibration data is damaged, so DriverEntry fails.
 *
 * The leak: each failure returns at once and leaves what was allocated before it. A driver whose DriverEntry fails is
 * unloaded without its Unload being called, so nothing frees them later either. It shows with a plain load.
 */
#include "sample.h"

#define TAG_CALIBRATION 'lCrB' /* BrCl */
#define TAG_RING 'gRrB'        /* BrRg */

#define RING_BYTES 2048
#define CALIBRATION_POINTS 160

#define IOCTL_BRINGUP_SERIAL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x840, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_BRINGUP_LINEARIZE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x841, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _BOARD {
    PCSTR Serial;
    ULONG Gain;
    LONG Offset;
    ULONG Checksum;
} BOARD;

typedef struct _CALIBRATION {
    ULONG Points[CALIBRATION_POINTS];
} CALIBRATION, *PCALIBRATION;
C_ASSERT(sizeof(CALIBRATION) == 640);

typedef struct _BRINGUP_EXTENSION {
    PCALIBRATION Calibration;
    PVOID Ring;
    PMDL RingMdl;
    UNICODE_STRING Serial;
} BRINGUP_EXTENSION, *PBRINGUP_EXTENSION;

/* The first board's record was written with a bit flipped; its checksum does not match. */
static const BOARD Boards[] = {
    {"PPF-2041-A7", 3215, -41, 0x1E91F714},
    {"PPF-0000-00", 1024, 0, 0xE0885BC8},
};

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD BringupUnload;
static DRIVER_DISPATCH BringupCreateClose;
static DRIVER_DISPATCH BringupControl;

static ULONG BringupChecksum(const CALIBRATION *Calibration)
{
    ULONG crc = 0xFFFFFFFF;
    for (ULONG i = 0; i < CALIBRATION_POINTS; i++) {
        crc ^= Calibration->Points[i];
        for (ULONG bit = 0; bit < 32; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320 & (0 - (crc & 1)));
        }
    }
    return ~crc;
}

static VOID BringupCalibrate(PCALIBRATION Calibration, const BOARD *Board)
{
    for (ULONG i = 0; i < CALIBRATION_POINTS; i++) {
        LONG64 raw = (LONG64)i * 65536 / CALIBRATION_POINTS;
        LONG64 value = raw * Board->Gain / 1024 + Board->Offset + raw * raw / 8388608;
        Calibration->Points[i] = (ULONG)value;
    }
}

static NTSTATUS BringupBoard(PBRINGUP_EXTENSION Extension, const BOARD *Board)
{
    ANSI_STRING serial;

    Extension->Calibration = ExAllocatePool2(POOL_FLAG_PAGED, sizeof(CALIBRATION), TAG_CALIBRATION); // leak: tag=BrCl bytes=640 count=1 pool=PagedPool outer=DriverEntry
    if (Extension->Calibration == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Extension->Ring = ExAllocatePoolWithTag(NonPagedPoolNx, RING_BYTES, TAG_RING); // leak: tag=BrRg bytes=2048 count=1 pool=NonPagedPoolNx outer=DriverEntry
    if (Extension->Ring == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Extension->RingMdl = IoAllocateMdl(Extension->Ring, RING_BYTES, FALSE, FALSE, NULL); // leak: kind=mdl count=1 outer=DriverEntry
    if (Extension->RingMdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(Extension->RingMdl);

    RtlInitAnsiString(&serial, Board->Serial);
    NTSTATUS status = RtlAnsiStringToUnicodeString(&Extension->Serial, &serial, TRUE); // leak: kind=string bytes=24 count=1 outer=DriverEntry
    if (!NT_SUCCESS(status)) {
        return status;
    }

    BringupCalibrate(Extension->Calibration, Board);
    if (BringupChecksum(Extension->Calibration) != Board->Checksum) {
        DbgPrint("bringup: board %wZ has damaged calibration data\n", &Extension->Serial);
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    return STATUS_SUCCESS;
}

static VOID BringupShutDown(PBRINGUP_EXTENSION Extension)
{
    RtlFreeUnicodeString(&Extension->Serial);
    IoFreeMdl(Extension->RingMdl);
    ExFreePoolWithTag(Extension->Ring, TAG_RING);
    ExFreePoolWithTag(Extension->Calibration, TAG_CALIBRATION);
}

static NTSTATUS BringupCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

/* Maps a reading between the two calibration points around it. */
static ULONG BringupLinearize(const CALIBRATION *Calibration, ULONG Reading)
{
    ULONG low = 0, high = CALIBRATION_POINTS - 1;
    while (high - low > 1) {
        ULONG middle = (low + high) / 2;
        if ((LONG)Calibration->Points[middle] <= (LONG)Reading) {
            low = middle;
        } else {
            high = middle;
        }
    }
    LONG span = (LONG)(Calibration->Points[high] - Calibration->Points[low]);
    LONG above = (LONG)(Reading - Calibration->Points[low]);
    return low * 65536 + (span == 0 ? 0 : (ULONG)((LONG64)above * 65536 / span));
}

static NTSTATUS BringupControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PBRINGUP_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_BRINGUP_SERIAL:
        if (outputBytes < extension->Serial.Length) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        RtlCopyMemory(buffer, extension->Serial.Buffer, extension->Serial.Length);
        return SampleComplete(Irp, STATUS_SUCCESS, extension->Serial.Length);
    case IOCTL_BRINGUP_LINEARIZE:
        if (inputBytes < sizeof(ULONG) || outputBytes < sizeof(ULONG)) {
            return SampleComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        *(PULONG)buffer = BringupLinearize(extension->Calibration, *(PULONG)buffer);
        return SampleComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
    default:
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID BringupUnload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyBringup");
    IoDeleteSymbolicLink(&link);
    BringupShutDown(DriverObject->DeviceObject->DeviceExtension);
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyBringup");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyBringup");
    PDEVICE_OBJECT device;

    UNREFERENCED_PARAMETER(RegistryPath);
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(BRINGUP_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PBRINGUP_EXTENSION extension = device->DeviceExtension;

    status = BringupBoard(extension, &Boards[0]);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        BringupShutDown(extension);
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = BringupCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = BringupCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = BringupControl;
    DriverObject->DriverUnload = BringupUnload;
    return STATUS_SUCCESS;
}
