/*
 * A bus driver: a hub whose children are plugged and unplugged by a program. A child is a physical device object of its own,
 * with a serial number and a label; the PnP manager asks for its IDs, its text and its capabilities, and frees the answers.
 *
 * The leak: a child that is unplugged frees its label when it is removed. Children that are still there when the hub itself
 * is removed are deleted with it, but their labels are not.
 */
#include "sample.h"

#define TAG_LABEL 'baLH'  /* HLab */
#define TAG_ANSWER 'snAH' /* HAns */
#define TAG_LOCK 'kcLH'   /* HLck */

#define MAX_CHILDREN 4

#define IOCTL_HUB_PLUG CTL_CODE(FILE_DEVICE_BUS_EXTENDER, 0x930, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_HUB_UNPLUG CTL_CODE(FILE_DEVICE_BUS_EXTENDER, 0x931, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_HUB_LIST CTL_CODE(FILE_DEVICE_BUS_EXTENDER, 0x932, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _COMMON_EXTENSION {
    BOOLEAN IsChild;
} COMMON_EXTENSION, *PCOMMON_EXTENSION;

typedef struct _HUB_EXTENSION {
    COMMON_EXTENSION Common;
    PDEVICE_OBJECT Pdo;
    PDEVICE_OBJECT Lower;
    IO_REMOVE_LOCK RemoveLock;
    FAST_MUTEX Mutex;
    LIST_ENTRY Children;
    ULONG Count;
} HUB_EXTENSION, *PHUB_EXTENSION;

typedef struct _CHILD_EXTENSION {
    COMMON_EXTENSION Common;
    BOOLEAN IsPresent;
    BOOLEAN IsReported;
    BOOLEAN IsStarted;
    LIST_ENTRY Link;
    PDEVICE_OBJECT Device;
    PHUB_EXTENSION Hub;
    ULONG Serial;
    PWCHAR Label;
} CHILD_EXTENSION, *PCHILD_EXTENSION;

/* What a program is told of a child. */
typedef struct _HUB_CHILD {
    ULONG Serial;
    ULONG IsStarted;
} HUB_CHILD, *PHUB_CHILD;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD HubUnload;
static DRIVER_ADD_DEVICE HubAddDevice;
static DRIVER_DISPATCH HubCreateClose;
static DRIVER_DISPATCH HubControl;
static DRIVER_DISPATCH HubPnp;
static DRIVER_DISPATCH HubPower;
static DRIVER_DISPATCH HubSystemControl;

/* ---- children */

/* A copy of a text that whoever asked for it frees. */
static PWCHAR ChildAnswer(PCWSTR Text, SIZE_T Bytes)
{
    PWCHAR copy = ExAllocatePoolWithTag(PagedPool, Bytes, TAG_ANSWER);
    if (copy != NULL) {
        RtlCopyMemory(copy, Text, Bytes);
    }
    return copy;
}

static PWCHAR ChildMakeLabel(ULONG Serial)
{
    static const WCHAR text[] = L"port ........";
    PWCHAR label = ExAllocatePoolWithTag(PagedPool, sizeof(text), TAG_LABEL); // leak: tag=HLab bytes=56 count=2 pool=PagedPool
    if (label == NULL) {
        return NULL;
    }
    RtlCopyMemory(label, text, sizeof(text));
    for (ULONG i = 0; i < 8; i++) {
        ULONG digit = Serial >> (28 - 4 * i) & 15;
        label[5 + i] = (WCHAR)(digit < 10 ? L'0' + digit : L'A' + digit - 10);
    }
    return label;
}

/* The child leaves the hub's list, which the caller holds, and goes. */
static VOID ChildDelete(PCHILD_EXTENSION Child)
{
    RemoveEntryList(&Child->Link);
    Child->Hub->Count--;
    IoDeleteDevice(Child->Device);
}

static NTSTATUS ChildQueryId(PCHILD_EXTENSION Child, PIRP Irp)
{
    PWCHAR answer;
    switch (IoGetCurrentIrpStackLocation(Irp)->Parameters.QueryId.IdType) {
    case BusQueryDeviceID:
        answer = ChildAnswer(L"HUB\\Port", sizeof(L"HUB\\Port"));
        break;
    case BusQueryHardwareIDs:
        answer = ChildAnswer(L"HUB\\Port\0", sizeof(L"HUB\\Port\0"));
        break;
    case BusQueryInstanceID:
        answer = ChildAnswer(Child->Label + 5, 9 * sizeof(WCHAR));
        break;
    default:
        return Irp->IoStatus.Status;
    }
    Irp->IoStatus.Information = (ULONG_PTR)answer;
    return answer == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static NTSTATUS ChildQueryText(PCHILD_EXTENSION Child, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    if (stack->Parameters.QueryDeviceText.DeviceTextType != DeviceTextDescription) {
        return Irp->IoStatus.Status;
    }
    Irp->IoStatus.Information = (ULONG_PTR)ChildAnswer(Child->Label, 14 * sizeof(WCHAR));
    return Irp->IoStatus.Information == 0 ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static NTSTATUS ChildQueryRelations(PCHILD_EXTENSION Child, PIRP Irp)
{
    if (IoGetCurrentIrpStackLocation(Irp)->Parameters.QueryDeviceRelations.Type != TargetDeviceRelation) {
        return Irp->IoStatus.Status;
    }
    PDEVICE_RELATIONS relations = ExAllocatePoolWithTag(PagedPool, sizeof(*relations), TAG_ANSWER);
    if (relations == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ObReferenceObject(Child->Device);
    relations->Count = 1;
    relations->Objects[0] = Child->Device;
    Irp->IoStatus.Information = (ULONG_PTR)relations;
    return STATUS_SUCCESS;
}

static NTSTATUS ChildQueryCapabilities(PCHILD_EXTENSION Child, PIRP Irp)
{
    PDEVICE_CAPABILITIES capabilities = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceCapabilities.Capabilities;
    if (capabilities->Version != 1 || capabilities->Size < sizeof(*capabilities)) {
        return STATUS_UNSUCCESSFUL;
    }
    capabilities->RawDeviceOK = TRUE;
    capabilities->Removable = TRUE;
    capabilities->SurpriseRemovalOK = TRUE;
    capabilities->UniqueID = FALSE;
    capabilities->Address = Child->Serial;
    capabilities->DeviceState[PowerSystemWorking] = PowerDeviceD0;
    for (ULONG state = PowerSystemSleeping1; state < PowerSystemMaximum; state++) {
        capabilities->DeviceState[state] = PowerDeviceD3;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS ChildRemove(PCHILD_EXTENSION Child, PIRP Irp)
{
    PHUB_EXTENSION hub = Child->Hub;
    Child->IsStarted = FALSE;
    if (!Child->IsPresent) {
        ExFreePoolWithTag(Child->Label, TAG_LABEL);
        ExAcquireFastMutex(&hub->Mutex);
        ChildDelete(Child);
        ExReleaseFastMutex(&hub->Mutex);
    }
    return SampleComplete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS ChildPnp(PCHILD_EXTENSION Child, PIRP Irp)
{
    NTSTATUS status = Irp->IoStatus.Status;
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        Child->IsStarted = TRUE;
        status = STATUS_SUCCESS;
        break;
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        Child->IsStarted = FALSE;
        status = STATUS_SUCCESS;
        break;
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        status = STATUS_SUCCESS;
        break;
    case IRP_MN_REMOVE_DEVICE:
        return ChildRemove(Child, Irp);
    case IRP_MN_QUERY_ID:
        status = ChildQueryId(Child, Irp);
        break;
    case IRP_MN_QUERY_DEVICE_TEXT:
        status = ChildQueryText(Child, Irp);
        break;
    case IRP_MN_QUERY_CAPABILITIES:
        status = ChildQueryCapabilities(Child, Irp);
        break;
    case IRP_MN_QUERY_DEVICE_RELATIONS:
        status = ChildQueryRelations(Child, Irp);
        break;
    }
    return SampleComplete(Irp, status, Irp->IoStatus.Information);
}

/* ---- the hub */

static NTSTATUS HubPlug(PHUB_EXTENSION Hub, PDRIVER_OBJECT DriverObject, ULONG Serial)
{
    NTSTATUS status = STATUS_SUCCESS;
    PDEVICE_OBJECT device;

    ExAcquireFastMutex(&Hub->Mutex);
    if (Hub->Count == MAX_CHILDREN) {
        status = STATUS_DEVICE_BUSY;
    }
    for (PLIST_ENTRY link = Hub->Children.Flink; NT_SUCCESS(status) && link != &Hub->Children; link = link->Flink) {
        if (CONTAINING_RECORD(link, CHILD_EXTENSION, Link)->Serial == Serial) {
            status = STATUS_OBJECT_NAME_COLLISION;
        }
    }
    if (NT_SUCCESS(status)) {
        status = IoCreateDevice(DriverObject, sizeof(CHILD_EXTENSION), NULL, FILE_DEVICE_UNKNOWN,
                                FILE_AUTOGENERATED_DEVICE_NAME, FALSE, &device);
    }
    if (NT_SUCCESS(status)) {
        PCHILD_EXTENSION child = device->DeviceExtension;
        child->Label = ChildMakeLabel(Serial);
        if (child->Label == NULL) {
            IoDeleteDevice(device);
            status = STATUS_INSUFFICIENT_RESOURCES;
        } else {
            child->Common.IsChild = TRUE;
            child->IsPresent = TRUE;
            child->Device = device;
            child->Hub = Hub;
            child->Serial = Serial;
            InsertTailList(&Hub->Children, &child->Link);
            Hub->Count++;
            device->Flags |= DO_POWER_PAGABLE;
            device->Flags &= ~DO_DEVICE_INITIALIZING;
        }
    }
    ExReleaseFastMutex(&Hub->Mutex);
    if (NT_SUCCESS(status)) {
        IoInvalidateDeviceRelations(Hub->Pdo, BusRelations);
    }
    return status;
}

static NTSTATUS HubUnplug(PHUB_EXTENSION Hub, ULONG Serial)
{
    NTSTATUS status = STATUS_NOT_FOUND;
    ExAcquireFastMutex(&Hub->Mutex);
    for (PLIST_ENTRY link = Hub->Children.Flink; link != &Hub->Children; link = link->Flink) {
        PCHILD_EXTENSION child = CONTAINING_RECORD(link, CHILD_EXTENSION, Link);
        if (child->Serial == Serial && child->IsPresent) {
            child->IsPresent = FALSE;
            status = STATUS_SUCCESS;
        }
    }
    ExReleaseFastMutex(&Hub->Mutex);
    if (NT_SUCCESS(status)) {
        IoInvalidateDeviceRelations(Hub->Pdo, BusRelations);
    }
    return status;
}

static ULONG HubList(PHUB_EXTENSION Hub, PHUB_CHILD Children, ULONG Room)
{
    ULONG count = 0;
    ExAcquireFastMutex(&Hub->Mutex);
    for (PLIST_ENTRY link = Hub->Children.Flink; link != &Hub->Children && count < Room; link = link->Flink) {
        PCHILD_EXTENSION child = CONTAINING_RECORD(link, CHILD_EXTENSION, Link);
        Children[count].Serial = child->Serial;
        Children[count++].IsStarted = child->IsStarted;
    }
    ExReleaseFastMutex(&Hub->Mutex);
    return count * sizeof(HUB_CHILD);
}

/* Adds the children that are there to what the devices above have reported. */
static NTSTATUS HubQueryRelations(PHUB_EXTENSION Hub, PIRP Irp)
{
    PDEVICE_RELATIONS before = (PDEVICE_RELATIONS)Irp->IoStatus.Information;
    ULONG count = before == NULL ? 0 : before->Count;

    ExAcquireFastMutex(&Hub->Mutex);
    PDEVICE_RELATIONS relations = ExAllocatePoolWithTag(
        PagedPool, FIELD_OFFSET(DEVICE_RELATIONS, Objects) + (count + Hub->Count + 1) * sizeof(PVOID), TAG_ANSWER);
    if (relations == NULL) {
        ExReleaseFastMutex(&Hub->Mutex);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG i = 0; i < count; i++) {
        relations->Objects[i] = before->Objects[i];
    }
    for (PLIST_ENTRY link = Hub->Children.Flink; link != &Hub->Children; link = link->Flink) {
        PCHILD_EXTENSION child = CONTAINING_RECORD(link, CHILD_EXTENSION, Link);
        child->IsReported = child->IsPresent;
        if (child->IsPresent) {
            ObReferenceObject(child->Device);
            relations->Objects[count++] = child->Device;
        }
    }
    relations->Count = count;
    ExReleaseFastMutex(&Hub->Mutex);
    if (before != NULL) {
        ExFreePool(before);
    }
    Irp->IoStatus.Information = (ULONG_PTR)relations;
    return STATUS_SUCCESS;
}

static NTSTATUS HubRemove(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PHUB_EXTENSION hub = DeviceObject->DeviceExtension;
    PDEVICE_OBJECT lower = hub->Lower;
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyHub");

    IoReleaseRemoveLockAndWait(&hub->RemoveLock, Irp);
    IoDeleteSymbolicLink(&link);
    ExAcquireFastMutex(&hub->Mutex);
    while (!IsListEmpty(&hub->Children)) {
        PCHILD_EXTENSION child = CONTAINING_RECORD(hub->Children.Flink, CHILD_EXTENSION, Link);
        ChildDelete(child);
    }
    ExReleaseFastMutex(&hub->Mutex);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = IoCallDriver(lower, Irp);
    IoDetachDevice(lower);
    IoDeleteDevice(DeviceObject);
    return status;
}

static NTSTATUS HubPnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PHUB_EXTENSION hub = DeviceObject->DeviceExtension;
    if (hub->Common.IsChild) {
        return ChildPnp(DeviceObject->DeviceExtension, Irp);
    }
    NTSTATUS status = IoAcquireRemoveLock(&hub->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    switch (stack->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = STATUS_UNSUCCESSFUL;
        if (IoForwardIrpSynchronously(hub->Lower, Irp)) {
            status = Irp->IoStatus.Status;
        }
        status = SampleComplete(Irp, status, 0);
        IoReleaseRemoveLock(&hub->RemoveLock, Irp);
        return status;
    case IRP_MN_REMOVE_DEVICE:
        return HubRemove(DeviceObject, Irp);
    case IRP_MN_QUERY_DEVICE_RELATIONS:
        if (stack->Parameters.QueryDeviceRelations.Type == BusRelations) {
            status = HubQueryRelations(hub, Irp);
            if (!NT_SUCCESS(status)) {
                status = SampleComplete(Irp, status, Irp->IoStatus.Information);
                IoReleaseRemoveLock(&hub->RemoveLock, Irp);
                return status;
            }
            Irp->IoStatus.Status = status;
        }
        break;
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        break;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(hub->Lower, Irp);
    IoReleaseRemoveLock(&hub->RemoveLock, Irp);
    return status;
}

static NTSTATUS HubPower(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PHUB_EXTENSION hub = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    PoStartNextPowerIrp(Irp);
    if (!hub->Common.IsChild) {
        IoSkipCurrentIrpStackLocation(Irp);
        return PoCallDriver(hub->Lower, Irp);
    }
    if (stack->MinorFunction == IRP_MN_SET_POWER || stack->MinorFunction == IRP_MN_QUERY_POWER) {
        return SampleComplete(Irp, STATUS_SUCCESS, 0);
    }
    return SampleComplete(Irp, Irp->IoStatus.Status, 0);
}

static NTSTATUS HubSystemControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PHUB_EXTENSION hub = DeviceObject->DeviceExtension;
    if (hub->Common.IsChild) {
        return SampleComplete(Irp, Irp->IoStatus.Status, Irp->IoStatus.Information);
    }
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(hub->Lower, Irp);
}

static NTSTATUS HubCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PHUB_EXTENSION hub = DeviceObject->DeviceExtension;
    return SampleComplete(Irp, hub->Common.IsChild ? STATUS_INVALID_DEVICE_REQUEST : STATUS_SUCCESS, 0);
}

static NTSTATUS HubControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PHUB_EXTENSION hub = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    PULONG buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG bytes = 0;

    if (hub->Common.IsChild) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    NTSTATUS status = IoAcquireRemoveLock(&hub->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        return SampleComplete(Irp, status, 0);
    }
    if (code == IOCTL_HUB_LIST) {
        bytes = HubList(hub, Irp->AssociatedIrp.SystemBuffer,
                        stack->Parameters.DeviceIoControl.OutputBufferLength / sizeof(HUB_CHILD));
    } else if (code != IOCTL_HUB_PLUG && code != IOCTL_HUB_UNPLUG) {
        status = STATUS_INVALID_DEVICE_REQUEST;
    } else if (stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(ULONG)) {
        status = STATUS_BUFFER_TOO_SMALL;
    } else if (code == IOCTL_HUB_PLUG) {
        status = HubPlug(hub, DeviceObject->DriverObject, *buffer);
    } else {
        status = HubUnplug(hub, *buffer);
    }
    SampleComplete(Irp, status, bytes);
    IoReleaseRemoveLock(&hub->RemoveLock, Irp);
    return status;
}

static NTSTATUS HubAddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT PhysicalDeviceObject)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LeakyHub");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\LeakyHub");
    PDEVICE_OBJECT device;

    NTSTATUS status = IoCreateDevice(DriverObject, sizeof(HUB_EXTENSION), &name, FILE_DEVICE_BUS_EXTENDER,
                                     FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PHUB_EXTENSION hub = device->DeviceExtension;
    hub->Pdo = PhysicalDeviceObject;
    IoInitializeRemoveLock(&hub->RemoveLock, TAG_LOCK, 0, 0);
    ExInitializeFastMutex(&hub->Mutex);
    InitializeListHead(&hub->Children);
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    hub->Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject);
    if (hub->Lower == NULL) {
        IoDeleteSymbolicLink(&link);
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags |= hub->Lower->Flags & DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID HubUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->DriverUnload = HubUnload;
    DriverObject->DriverExtension->AddDevice = HubAddDevice;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = HubCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = HubCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = HubControl;
    DriverObject->MajorFunction[IRP_MJ_PNP] = HubPnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = HubPower;
    DriverObject->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = HubSystemControl;
    return STATUS_SUCCESS;
}
