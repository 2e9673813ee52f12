/*
 * A plug-and-play function driver for an antenna. Programs find it by a device interface, and switch on a second one for
 * its service; its frequency is kept in the interface's registry key, and it tells what other antennas there are.
 *
 * Three leaks. The first start, which finds no frequency and writes the default, does not close the key. The list of
 * antennas stays when there is no room for it. And switching on the service again forgets the name it had.
 */
#include "sample.h"

#define TAG_LOCK 'kLnA' /* AnLk */

#define DEFAULT_FREQUENCY 868
#define MAX_FREQUENCY 6000

#define IOCTL_ANTENNA_TUNE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9A0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_ANTENNA_FREQUENCY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9A1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_ANTENNA_LIST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9A2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_ANTENNA_SERVICE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x9A3, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* {3B0F5C61-7D42-4A95-9A6E-C5D2E8F10A37} */
static const GUID AntennaInterface = {0x3b0f5c61, 0x7d42, 0x4a95, {0x9a, 0x6e, 0xc5, 0xd2, 0xe8, 0xf1, 0x0a, 0x37}};

typedef struct _ANTENNA {
    PDEVICE_OBJECT Lower;
    PDEVICE_OBJECT Pdo;
    IO_REMOVE_LOCK RemoveLock;
    UNICODE_STRING Name;
    UNICODE_STRING ServiceName;
    ULONG Frequency;
    BOOLEAN IsStarted;
    BOOLEAN IsServing;
} ANTENNA, *PANTENNA;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD AntennaUnload;
static DRIVER_ADD_DEVICE AntennaAddDevice;
static DRIVER_DISPATCH AntennaCreateClose;
static DRIVER_DISPATCH AntennaControl;
static DRIVER_DISPATCH AntennaPnp;
static DRIVER_DISPATCH AntennaPower;
static DRIVER_DISPATCH AntennaForward;

static NTSTATUS AntennaWriteFrequency(HANDLE Key, ULONG Frequency)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"Frequency");
    return ZwSetValueKey(Key, &name, 0, REG_DWORD, &Frequency, sizeof(Frequency));
}

/* What was tuned last; the default when the antenna is new. */
static NTSTATUS AntennaLoadFrequency(PANTENNA Antenna)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"Frequency");
    struct {
        KEY_VALUE_PARTIAL_INFORMATION Information;
        UCHAR More[sizeof(ULONG)];
    } value;
    ULONG length;
    HANDLE key;

    NTSTATUS status = IoOpenDeviceInterfaceRegistryKey(&Antenna->Name, KEY_READ | KEY_WRITE, &key); // leak: kind=handle bytes=0 count=1
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ZwQueryValueKey(key, &name, KeyValuePartialInformation, &value, sizeof(value), &length);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
        Antenna->Frequency = DEFAULT_FREQUENCY;
        return AntennaWriteFrequency(key, DEFAULT_FREQUENCY);
    } else if (NT_SUCCESS(status)) {
        if (value.Information.Type == REG_DWORD && value.Information.DataLength == sizeof(ULONG)) {
            RtlCopyMemory(&Antenna->Frequency, value.Information.Data, sizeof(ULONG));
        } else {
            Antenna->Frequency = DEFAULT_FREQUENCY;
        }
    }
    ZwClose(key);
    return status;
}

static NTSTATUS AntennaTune(PANTENNA Antenna, ULONG Frequency)
{
    HANDLE key;

    if (Frequency == 0 || Frequency > MAX_FREQUENCY) {
        return STATUS_INVALID_PARAMETER;
    }
    NTSTATUS status = IoOpenDeviceInterfaceRegistryKey(&Antenna->Name, KEY_WRITE, &key);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = AntennaWriteFrequency(key, Frequency);
    if (NT_SUCCESS(status)) {
        Antenna->Frequency = Frequency;
    }
    ZwClose(key);
    return status;
}

/* The names of all antennas, each with a NUL, and one more at the end. */
static NTSTATUS AntennaList(PVOID Output, ULONG OutputBytes, PULONG_PTR Information)
{
    ULONG length = 0;
    PWSTR names;

    NTSTATUS status = IoGetDeviceInterfaces(&AntennaInterface, NULL, 0, &names); // leak[no-room]: kind=string bytes=256 count=2 pool=PagedPool
    if (!NT_SUCCESS(status)) {
        return status;
    }
    while (names[length] != 0) {
        while (names[length] != 0) {
            length++;
        }
        length++;
    }
    length = (length + 1) * sizeof(WCHAR);
    if (length > OutputBytes) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    RtlCopyMemory(Output, names, length);
    ExFreePool(names);
    *Information = length;
    return STATUS_SUCCESS;
}

/* Switches the service on or off. */
static NTSTATUS AntennaService(PANTENNA Antenna, BOOLEAN On)
{
    UNICODE_STRING reference = RTL_CONSTANT_STRING(L"service");
    NTSTATUS status = STATUS_SUCCESS;

    if (On == Antenna->IsServing) {
        return STATUS_SUCCESS;
    }
    if (On) {
        status = IoRegisterDeviceInterface(Antenna->Pdo, &AntennaInterface, &reference, &Antenna->ServiceName); // leak[service]: kind=string bytes=284 count=2 pool=PagedPool
    }
    if (NT_SUCCESS(status)) {
        status = IoSetDeviceInterfaceState(&Antenna->ServiceName, On);
    }
    if (NT_SUCCESS(status)) {
        Antenna->IsServing = On;
    }
    return status;
}

static NTSTATUS AntennaStart(PANTENNA Antenna)
{
    NTSTATUS status = AntennaLoadFrequency(Antenna);
    if (NT_SUCCESS(status)) {
        status = IoSetDeviceInterfaceState(&Antenna->Name, TRUE);
    }
    Antenna->IsStarted = NT_SUCCESS(status);
    return status;
}

static VOID AntennaStop(PANTENNA Antenna)
{
    if (Antenna->IsStarted) {
        Antenna->IsStarted = FALSE;
        AntennaService(Antenna, FALSE);
        IoSetDeviceInterfaceState(&Antenna->Name, FALSE);
    }
}

static NTSTATUS AntennaForward(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PANTENNA antenna = DeviceObject->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(antenna->Lower, Irp);
}

static NTSTATUS AntennaPower(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PANTENNA antenna = DeviceObject->DeviceExtension;
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(antenna->Lower, Irp);
}

static NTSTATUS AntennaRemove(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PANTENNA antenna = DeviceObject->DeviceExtension;
    PDEVICE_OBJECT lower = antenna->Lower;

    IoReleaseRemoveLockAndWait(&antenna->RemoveLock, Irp);
    AntennaStop(antenna);
    RtlFreeUnicodeString(&antenna->ServiceName);
    RtlFreeUnicodeString(&antenna->Name);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = IoCallDriver(lower, Irp);
    IoDetachDevice(lower);
    IoDeleteDevice(DeviceObject);
    return status;
}

static NTSTATUS AntennaPnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PANTENNA antenna = DeviceObject->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&antenna->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = IoForwardIrpSynchronously(antenna->Lower, Irp) ? Irp->IoStatus.Status : STATUS_UNSUCCESSFUL;
        if (NT_SUCCESS(status)) {
            status = AntennaStart(antenna);
        }
        status = SampleComplete(Irp, status, 0);
        break;
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        AntennaStop(antenna);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = AntennaForward(DeviceObject, Irp);
        break;
    case IRP_MN_REMOVE_DEVICE:
        return AntennaRemove(DeviceObject, Irp);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = AntennaForward(DeviceObject, Irp);
        break;
    default:
        status = AntennaForward(DeviceObject, Irp);
        break;
    }
    IoReleaseRemoveLock(&antenna->RemoveLock, Irp);
    return status;
}

static NTSTATUS AntennaCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS AntennaDo(PANTENNA Antenna, PIO_STACK_LOCATION Stack, PULONG Buffer, PULONG_PTR Information)
{
    ULONG inputBytes = Stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG outputBytes = Stack->Parameters.DeviceIoControl.OutputBufferLength;

    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_ANTENNA_TUNE:
        return inputBytes < sizeof(ULONG) ? STATUS_BUFFER_TOO_SMALL : AntennaTune(Antenna, Buffer[0]);
    case IOCTL_ANTENNA_FREQUENCY:
        if (outputBytes < sizeof(ULONG)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        Buffer[0] = Antenna->Frequency;
        *Information = sizeof(ULONG);
        return STATUS_SUCCESS;
    case IOCTL_ANTENNA_LIST:
        return AntennaList(Buffer, outputBytes, Information);
    case IOCTL_ANTENNA_SERVICE:
        return inputBytes < sizeof(ULONG) ? STATUS_BUFFER_TOO_SMALL : AntennaService(Antenna, Buffer[0] != 0);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS AntennaControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PANTENNA antenna = DeviceObject->DeviceExtension;
    ULONG_PTR information = 0;

    NTSTATUS status = IoAcquireRemoveLock(&antenna->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    if (antenna->IsStarted) {
        status = AntennaDo(antenna, IoGetCurrentIrpStackLocation(Irp), Irp->AssociatedIrp.SystemBuffer, &information);
    } else {
        status = STATUS_DEVICE_NOT_READY;
    }
    status = SampleComplete(Irp, status, information);
    IoReleaseRemoveLock(&antenna->RemoveLock, Irp);
    return status;
}

static NTSTATUS AntennaAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    PDEVICE_OBJECT device;

    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(ANTENNA), NULL, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN,
                                     FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PANTENNA antenna = device->DeviceExtension;
    antenna->Pdo = PhysicalDeviceObject;
    IoInitializeRemoveLock(&antenna->RemoveLock, TAG_LOCK, 1, 0);
    status = IoRegisterDeviceInterface(PhysicalDeviceObject, &AntennaInterface, NULL, &antenna->Name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    antenna->Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject);
    if (antenna->Lower == NULL) {
        RtlFreeUnicodeString(&antenna->Name);
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= DO_BUFFERED_IO | (antenna->Lower->Flags & DO_POWER_PAGABLE);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID AntennaUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = AntennaUnload;
    DriverObject->DriverExtension->AddDevice = AntennaAddDevice;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = AntennaCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = AntennaCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = AntennaCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = AntennaControl;
    DriverObject->MajorFunction[IRP_MJ_PNP] = AntennaPnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = AntennaPower;
    DriverObject->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = AntennaForward;
    return STATUS_SUCCESS;
}
