/*
 * A plug-and-play function driver: AddDevice, a device interface, a remove lock, start, stop, both kinds of removal, power.
 * While it is started it has a table of the beacon's positions and a log of what programs asked for.
 *
 * It leaks only when the device is pulled out: IRP_MN_SURPRISE_REMOVAL says that the beacon is stopped and frees nothing,
 * so IRP_MN_REMOVE_DEVICE finds nothing to free. An orderly removal is clean.
 */
#include "sample.h"

#define TAG_POSITIONS 'soPB' /* BPos */
#define TAG_LOG 'goLB'       /* BLog */
#define TAG_LOCK 'kcLB'      /* BLck */

#define POSITIONS 32
#define IOCTL_BEACON_POSITION CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_BEACON_NAME CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8C1, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* {6D1B3A52-9C0E-4E1B-8F57-2A4C7D9E1B60} */
static const GUID BeaconInterface = {0x6d1b3a52, 0x9c0e, 0x4e1b, {0x8f, 0x57, 0x2a, 0x4c, 0x7d, 0x9e, 0x1b, 0x60}};

typedef struct _BEACON_ENTRY {
    LIST_ENTRY Link;
    ULONG Index;
} BEACON_ENTRY, *PBEACON_ENTRY;

typedef struct _BEACON_EXTENSION {
    PDEVICE_OBJECT Lower;
    PDEVICE_OBJECT Pdo;
    IO_REMOVE_LOCK RemoveLock;
    UNICODE_STRING InterfaceName;
    FAST_MUTEX Mutex;
    LIST_ENTRY Log;
    PULONG Positions;
    BOOLEAN IsStarted;
    BOOLEAN IsGone;
} BEACON_EXTENSION, *PBEACON_EXTENSION;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD BeaconUnload;
static DRIVER_ADD_DEVICE BeaconAddDevice;
static DRIVER_DISPATCH BeaconCreateClose;
static DRIVER_DISPATCH BeaconControl;
static DRIVER_DISPATCH BeaconPnp;
static DRIVER_DISPATCH BeaconPower;
static DRIVER_DISPATCH BeaconForward;

static NTSTATUS BeaconStart(PBEACON_EXTENSION Beacon)
{
    SIZE_T bytes = POSITIONS * sizeof(ULONG);
    PULONG positions = ExAllocatePoolWithTag(PagedPool, bytes, TAG_POSITIONS); // leak: tag=BPos bytes=128 count=1 pool=PagedPool
    if (positions == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG i = 0; i < POSITIONS; i++) {
        positions[i] = i * i + 7;
    }
    Beacon->Positions = positions;
    NTSTATUS status = IoSetDeviceInterfaceState(&Beacon->InterfaceName, TRUE);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(positions, TAG_POSITIONS);
        Beacon->Positions = NULL;
        return status;
    }
    Beacon->IsStarted = TRUE;
    return STATUS_SUCCESS;
}

static void BeaconDropLog(PBEACON_EXTENSION Beacon)
{
    ExAcquireFastMutex(&Beacon->Mutex);
    while (!IsListEmpty(&Beacon->Log)) {
        PLIST_ENTRY link = RemoveHeadList(&Beacon->Log);
        ExFreePoolWithTag(CONTAINING_RECORD(link, BEACON_ENTRY, Link), TAG_LOG);
    }
    ExReleaseFastMutex(&Beacon->Mutex);
}

/* Stops the beacon; the log stays for the next start. */
static void BeaconStop(PBEACON_EXTENSION Beacon)
{
    if (!Beacon->IsStarted) {
        return;
    }
    Beacon->IsStarted = FALSE;
    IoSetDeviceInterfaceState(&Beacon->InterfaceName, FALSE);
    ExFreePoolWithTag(Beacon->Positions, TAG_POSITIONS);
    Beacon->Positions = NULL;
}

static NTSTATUS BeaconForward(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PBEACON_EXTENSION beacon = DeviceObject->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(beacon->Lower, Irp);
}

static NTSTATUS BeaconPower(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PBEACON_EXTENSION beacon = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    if (location->MinorFunction == IRP_MN_SET_POWER && location->Parameters.Power.Type == DevicePowerState) {
        PoSetPowerState(DeviceObject, DevicePowerState, location->Parameters.Power.State);
    }
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(beacon->Lower, Irp);
}

static NTSTATUS BeaconRemove(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PBEACON_EXTENSION beacon = DeviceObject->DeviceExtension;
    PDEVICE_OBJECT lower = beacon->Lower;
    IoReleaseRemoveLockAndWait(&beacon->RemoveLock, Irp);
    BeaconStop(beacon);
    BeaconDropLog(beacon);
    if (!beacon->IsGone) {
        RtlFreeUnicodeString(&beacon->InterfaceName);
    }
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = IoCallDriver(lower, Irp);
    IoDetachDevice(lower);
    IoDeleteDevice(DeviceObject);
    return status;
}

static NTSTATUS BeaconPnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PBEACON_EXTENSION beacon = DeviceObject->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&beacon->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = STATUS_UNSUCCESSFUL;
        if (IoForwardIrpSynchronously(beacon->Lower, Irp)) {
            status = Irp->IoStatus.Status;
        }
        if (NT_SUCCESS(status)) {
            status = BeaconStart(beacon);
        }
        status = SampleComplete(Irp, status, 0);
        break;
    case IRP_MN_STOP_DEVICE:
        BeaconStop(beacon);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = BeaconForward(DeviceObject, Irp);
        break;
    case IRP_MN_SURPRISE_REMOVAL:
        beacon->IsGone = TRUE;
        beacon->IsStarted = FALSE;
        IoSetDeviceInterfaceState(&beacon->InterfaceName, FALSE);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = BeaconForward(DeviceObject, Irp);
        break;
    case IRP_MN_REMOVE_DEVICE:
        return BeaconRemove(DeviceObject, Irp);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        status = BeaconForward(DeviceObject, Irp);
        break;
    default:
        status = BeaconForward(DeviceObject, Irp);
        break;
    }
    IoReleaseRemoveLock(&beacon->RemoveLock, Irp);
    return status;
}

static NTSTATUS BeaconCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS BeaconPosition(PBEACON_EXTENSION Beacon, PIRP Irp)
{
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    PULONG buffer = Irp->AssociatedIrp.SystemBuffer;
    if (location->Parameters.DeviceIoControl.InputBufferLength < sizeof(ULONG) ||
        location->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG) || buffer[0] >= POSITIONS) {
        return STATUS_INVALID_PARAMETER;
    }
    PBEACON_ENTRY entry = ExAllocatePoolWithTag(PagedPool, sizeof(BEACON_ENTRY), TAG_LOG);
    if (entry == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    entry->Index = buffer[0];
    ExAcquireFastMutex(&Beacon->Mutex);
    InsertTailList(&Beacon->Log, &entry->Link);
    ExReleaseFastMutex(&Beacon->Mutex);
    buffer[0] = Beacon->Positions[entry->Index];
    Irp->IoStatus.Information = sizeof(ULONG);
    return STATUS_SUCCESS;
}

static NTSTATUS BeaconName(PBEACON_EXTENSION Beacon, PIRP Irp)
{
    ULONG length = 0;
    ULONG room = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength;
    NTSTATUS status = IoGetDeviceProperty(Beacon->Pdo, DevicePropertyEnumeratorName, room,
                                          Irp->AssociatedIrp.SystemBuffer, &length);
    Irp->IoStatus.Information = NT_SUCCESS(status) ? length : 0;
    return status;
}

static NTSTATUS BeaconControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PBEACON_EXTENSION beacon = DeviceObject->DeviceExtension;
    NTSTATUS status = IoAcquireRemoveLock(&beacon->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    Irp->IoStatus.Information = 0;
    if (beacon->IsGone) {
        status = STATUS_DELETE_PENDING;
    } else if (!beacon->IsStarted) {
        status = STATUS_DEVICE_NOT_READY;
    } else {
        switch (IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode) {
        case IOCTL_BEACON_POSITION:
            status = BeaconPosition(beacon, Irp);
            break;
        case IOCTL_BEACON_NAME:
            status = BeaconName(beacon, Irp);
            break;
        default:
            status = STATUS_INVALID_DEVICE_REQUEST;
            break;
        }
    }
    status = SampleComplete(Irp, status, Irp->IoStatus.Information);
    IoReleaseRemoveLock(&beacon->RemoveLock, Irp);
    return status;
}

static NTSTATUS BeaconAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(BEACON_EXTENSION), NULL, FILE_DEVICE_UNKNOWN,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PBEACON_EXTENSION beacon = device->DeviceExtension;
    beacon->Pdo = PhysicalDeviceObject;
    IoInitializeRemoveLock(&beacon->RemoveLock, TAG_LOCK, 1, 0);
    ExInitializeFastMutex(&beacon->Mutex);
    InitializeListHead(&beacon->Log);
    PUNICODE_STRING name = &beacon->InterfaceName;
    status = IoRegisterDeviceInterface(PhysicalDeviceObject, &BeaconInterface, NULL, name); // leak: kind=string tag=Strg bytes=126 count=1 pool=PagedPool
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    beacon->Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject);
    if (beacon->Lower == NULL) {
        RtlFreeUnicodeString(&beacon->InterfaceName);
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= DO_BUFFERED_IO | (beacon->Lower->Flags & DO_POWER_PAGABLE);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static void BeaconUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = BeaconUnload;
    DriverObject->DriverExtension->AddDevice = BeaconAddDevice;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = BeaconCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = BeaconCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = BeaconCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = BeaconControl;
    DriverObject->MajorFunction[IRP_MJ_PNP] = BeaconPnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = BeaconPower;
    DriverObject->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = BeaconForward;
    return STATUS_SUCCESS;
}
