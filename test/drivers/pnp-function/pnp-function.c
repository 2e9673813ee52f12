/*
 * A function driver that uses all that its device has: registers in memory and at ports, a line, the bus's interface. It
 * owns the device's power policy, and is told of interfaces and of the display. What it says is checked by
 * test/pnp-drivers.test.ts; IOCTL_LEAK tells it what to leave behind when it goes.
 */
#include <ntddk.h>
#include <wdmguid.h>

#define IOCTL_LEAK 0x222000
#define IOCTL_STATE 0x222004

#define LEAK_INTERRUPT 1
#define LEAK_NOTIFICATION 2
#define LEAK_SETTING 4
#define LEAK_SLEEP 8
#define LEAK_BUS 16

typedef NTSTATUS (NTAPI *POWER_CALLBACK)(LPCGUID, PVOID, ULONG, PVOID);
__declspec(dllimport) NTSTATUS NTAPI PoRegisterPowerSettingCallback(PDEVICE_OBJECT, LPCGUID, POWER_CALLBACK, PVOID, PVOID *);
__declspec(dllimport) NTSTATUS NTAPI PoUnregisterPowerSettingCallback(PVOID);
__declspec(dllimport) NTSTATUS NTAPI IoUnregisterPlugPlayNotificationEx(PVOID);

/* {0A9C1E1D-4B8C-4E0A-9E57-6C1F5E0F7D21} */
static const GUID FunctionInterface = {0x0a9c1e1d, 0x4b8c, 0x4e0a, {0x9e, 0x57, 0x6c, 0x1f, 0x5e, 0x0f, 0x7d, 0x21}};
/* GUID_MONITOR_POWER_ON */
static const GUID MonitorPowerOn = {0x02731015, 0x4510, 0x4526, {0x99, 0xe6, 0xe5, 0xa1, 0x7e, 0xbd, 0x1a, 0xea}};
static const GUID BusInterfaceStandard = {0x496b8280, 0x6f25, 0x11d0, {0xbe, 0xaf, 0x08, 0x00, 0x2b, 0xe2, 0x09, 0x2f}};

typedef struct _EXTENSION {
    PDEVICE_OBJECT Self;
    PDEVICE_OBJECT Pdo;
    PDEVICE_OBJECT Lower;
    UNICODE_STRING InterfaceName;
    PULONG Registers;
    ULONG RegisterBytes;
    USHORT Port;
    PKINTERRUPT Interrupt;
    ULONG Interrupts;
    KDPC Dpc;
    PVOID Notification;
    PVOID Setting;
    PVOID Context;
} EXTENSION, *PEXTENSION;

static ULONG Leaks;

static void WritePort(USHORT Port, ULONG Value) { __asm__ volatile("outl %0, %1" : : "a"(Value), "d"(Port)); }
static ULONG ReadPort(USHORT Port)
{
    ULONG value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(Port));
    return value;
}

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static BOOLEAN NTAPI Isr(PKINTERRUPT Interrupt, PVOID Context)
{
    PEXTENSION extension = Context;
    UNREFERENCED_PARAMETER(Interrupt);
    DbgPrint("isr at %u\n", KeGetCurrentIrql());
    extension->Interrupts++;
    KeInsertQueueDpc(&extension->Dpc, NULL, NULL);
    return TRUE;
}

static void NTAPI DpcRoutine(PKDPC Dpc, PVOID Context, PVOID One, PVOID Two)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(One);
    UNREFERENCED_PARAMETER(Two);
    DbgPrint("dpc at %u\n", KeGetCurrentIrql());
}

static BOOLEAN NTAPI ReadCount(PVOID Context)
{
    DbgPrint("synchronized at %u: %u\n", KeGetCurrentIrql(), ((PEXTENSION)Context)->Interrupts);
    return TRUE;
}

static NTSTATUS NTAPI Notified(PVOID Structure, PVOID Context)
{
    PDEVICE_INTERFACE_CHANGE_NOTIFICATION change = Structure;
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("%s: %wZ\n", change->Event.Data1 == 0xcb3a4004 ? "arrival" : "removal", change->SymbolicLinkName);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI SettingChanged(LPCGUID Setting, PVOID Value, ULONG Length, PVOID Context)
{
    UNREFERENCED_PARAMETER(Setting);
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("display: %u, %u bytes\n", *(PULONG)Value, Length);
    return STATUS_SUCCESS;
}

static void AskBus(PEXTENSION Extension)
{
    BUS_INTERFACE_STANDARD bus;
    KEVENT event;
    IO_STATUS_BLOCK iosb;
    USHORT id[2] = {0, 0};
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp = IoBuildSynchronousFsdRequest(IRP_MJ_PNP, Extension->Lower, NULL, 0, NULL, &event, &iosb);
    if (irp == NULL) return;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    next->MinorFunction = IRP_MN_QUERY_INTERFACE;
    next->Parameters.QueryInterface.InterfaceType = &BusInterfaceStandard;
    next->Parameters.QueryInterface.Size = sizeof(bus);
    next->Parameters.QueryInterface.Version = 1;
    next->Parameters.QueryInterface.Interface = (PINTERFACE)&bus;
    next->Parameters.QueryInterface.InterfaceSpecificData = NULL;
    NTSTATUS status = IoCallDriver(Extension->Lower, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
        status = iosb.Status;
    }
    if (!NT_SUCCESS(status)) {
        DbgPrint("no bus interface: %08x\n", status);
        return;
    }
    ULONG read = bus.GetBusData(bus.Context, PCI_WHICHSPACE_CONFIG, id, 0, sizeof(id));
    DbgPrint("bus: %u bytes, %04x %04x\n", read, id[0], id[1]);
    if ((Leaks & LEAK_BUS) == 0) bus.InterfaceDereference(bus.Context);
}

static NTSTATUS Start(PEXTENSION Extension, PIO_STACK_LOCATION Location)
{
    PCM_RESOURCE_LIST list = Location->Parameters.StartDevice.AllocatedResourcesTranslated;
    if (list == NULL) {
        DbgPrint("started without resources\n");
        return IoSetDeviceInterfaceState(&Extension->InterfaceName, TRUE);
    }
    PCM_PARTIAL_RESOURCE_LIST partial = &list->List[0].PartialResourceList;
    PCM_PARTIAL_RESOURCE_DESCRIPTOR line = NULL;
    for (ULONG i = 0; i < partial->Count; i++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR one = &partial->PartialDescriptors[i];
        if (one->Type == CmResourceTypeMemory) {
            Extension->RegisterBytes = one->u.Memory.Length;
            Extension->Registers = MmMapIoSpace(one->u.Memory.Start, one->u.Memory.Length, MmNonCached);
        } else if (one->Type == CmResourceTypePort) {
            Extension->Port = (USHORT)one->u.Port.Start.LowPart;
        } else if (one->Type == CmResourceTypeInterrupt && (one->Flags & CM_RESOURCE_INTERRUPT_MESSAGE) == 0) {
            line = one;
        }
    }
    if (Extension->Registers == NULL || line == NULL) return STATUS_DEVICE_CONFIGURATION_ERROR;
    DbgPrint("register 0: %u, port: %u\n", Extension->Registers[0], ReadPort(Extension->Port));
    Extension->Registers[0]++;
    WritePort(Extension->Port, Extension->Registers[0] + 100);
    NTSTATUS status = IoConnectInterrupt(&Extension->Interrupt, Isr, Extension, NULL, line->u.Interrupt.Vector,
                                         (KIRQL)line->u.Interrupt.Level, (KIRQL)line->u.Interrupt.Level, LevelSensitive,
                                         TRUE, line->u.Interrupt.Affinity, FALSE); /* the interrupt */
    if (!NT_SUCCESS(status)) {
        MmUnmapIoSpace(Extension->Registers, Extension->RegisterBytes);
        Extension->Registers = NULL;
        return status;
    }
    KeSynchronizeExecution(Extension->Interrupt, ReadCount, Extension);
    AskBus(Extension);
    return IoSetDeviceInterfaceState(&Extension->InterfaceName, TRUE);
}

static void Stop(PEXTENSION Extension)
{
    if (Extension->Interrupt != NULL) {
        if ((Leaks & LEAK_INTERRUPT) == 0) IoDisconnectInterrupt(Extension->Interrupt);
        Extension->Interrupt = NULL;
        KeRemoveQueueDpc(&Extension->Dpc);
    }
    if (Extension->Registers != NULL) MmUnmapIoSpace(Extension->Registers, Extension->RegisterBytes);
    Extension->Registers = NULL;
    IoSetDeviceInterfaceState(&Extension->InterfaceName, FALSE);
}

static NTSTATUS NTAPI Forward(PDEVICE_OBJECT Device, PIRP Irp)
{
    PEXTENSION extension = Device->DeviceExtension;
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(extension->Lower, Irp);
}

/* ---- power: this driver says which state the device has */

static void NTAPI PoweredForSystem(PDEVICE_OBJECT Device, UCHAR Minor, POWER_STATE State, PVOID Context, PIO_STATUS_BLOCK Iosb)
{
    PIRP systemIrp = Context;
    UNREFERENCED_PARAMETER(Device);
    DbgPrint("%s D%u: %08x\n", Minor == IRP_MN_QUERY_POWER ? "query" : "set", State.DeviceState - 1, Iosb->Status);
    systemIrp->IoStatus.Status = Iosb->Status;
    IoCompleteRequest(systemIrp, IO_NO_INCREMENT);
}

static NTSTATUS NTAPI SystemPowerDone(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    PEXTENSION extension = Context;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    POWER_STATE state;
    if (!NT_SUCCESS(Irp->IoStatus.Status)) {
        if (Irp->PendingReturned) IoMarkIrpPending(Irp);
        return STATUS_SUCCESS;
    }
    state.DeviceState = location->Parameters.Power.State.SystemState == PowerSystemWorking ? PowerDeviceD0 : PowerDeviceD3;
    NTSTATUS status = PoRequestPowerIrp(extension->Self, location->MinorFunction, state, PoweredForSystem, Irp, NULL);
    UNREFERENCED_PARAMETER(Device);
    if (status == STATUS_PENDING) return STATUS_MORE_PROCESSING_REQUIRED;
    Irp->IoStatus.Status = status;
    if (Irp->PendingReturned) IoMarkIrpPending(Irp);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Power(PDEVICE_OBJECT Device, PIRP Irp)
{
    PEXTENSION extension = Device->DeviceExtension;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    UCHAR minor = location->MinorFunction;
    BOOLEAN isChange = minor == IRP_MN_SET_POWER || minor == IRP_MN_QUERY_POWER;
    if (isChange && location->Parameters.Power.Type == SystemPowerState) {
        DbgPrint("%s S%u\n", minor == IRP_MN_SET_POWER ? "set" : "query", location->Parameters.Power.State.SystemState - 1);
        IoMarkIrpPending(Irp);
        IoCopyCurrentIrpStackLocationToNext(Irp);
        IoSetCompletionRoutine(Irp, SystemPowerDone, extension, TRUE, TRUE, TRUE);
        PoCallDriver(extension->Lower, Irp);
        return STATUS_PENDING;
    }
    if (minor == IRP_MN_SET_POWER) {
        BOOLEAN isOff = location->Parameters.Power.State.DeviceState != PowerDeviceD0;
        if (isOff) {
            /* The context of a device that has one context before is lost with LEAK_SLEEP. */
            PVOID context = ExAllocatePoolWithTag(NonPagedPool, 64, 'xtnC'); /* the context */
            if (extension->Context != NULL && (Leaks & LEAK_SLEEP) == 0) ExFreePoolWithTag(extension->Context, 'xtnC');
            extension->Context = context;
        }
        PoSetPowerState(Device, DevicePowerState, location->Parameters.Power.State);
    }
    IoSkipCurrentIrpStackLocation(Irp);
    return PoCallDriver(extension->Lower, Irp);
}

/* ---- plug and play */

static NTSTATUS Remove(PEXTENSION Extension, PIRP Irp)
{
    PDEVICE_OBJECT lower = Extension->Lower;
    PDEVICE_OBJECT self = Extension->Self;
    Stop(Extension);
    if (Extension->Context != NULL) ExFreePoolWithTag(Extension->Context, 'xtnC');
    if ((Leaks & LEAK_NOTIFICATION) == 0) IoUnregisterPlugPlayNotificationEx(Extension->Notification);
    if ((Leaks & LEAK_SETTING) == 0) PoUnregisterPowerSettingCallback(Extension->Setting);
    RtlFreeUnicodeString(&Extension->InterfaceName);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = IoCallDriver(lower, Irp);
    IoDetachDevice(lower);
    IoDeleteDevice(self);
    return status;
}

static NTSTATUS NTAPI Pnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    PEXTENSION extension = Device->DeviceExtension;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS status;
    DbgPrint("pnp %02x\n", location->MinorFunction);
    switch (location->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = IoForwardIrpSynchronously(extension->Lower, Irp) ? Irp->IoStatus.Status : STATUS_UNSUCCESSFUL;
        if (NT_SUCCESS(status)) status = Start(extension, location);
        return Complete(Irp, status, 0);
    case IRP_MN_STOP_DEVICE:
    case IRP_MN_SURPRISE_REMOVAL:
        Stop(extension);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        return Forward(Device, Irp);
    case IRP_MN_REMOVE_DEVICE:
        return Remove(extension, Irp);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        return Forward(Device, Irp);
    default:
        return Forward(Device, Irp);
    }
}

static NTSTATUS NTAPI CreateClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    PEXTENSION extension = Device->DeviceExtension;
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = location->Parameters.DeviceIoControl.IoControlCode;
    if (code == IOCTL_LEAK && location->Parameters.DeviceIoControl.InputBufferLength >= sizeof(ULONG)) {
        /* Not by chance: a tour tries numbers too. */
        ULONG what = *(PULONG)Irp->AssociatedIrp.SystemBuffer;
        if (what >> 8 != 0x4c) return Complete(Irp, STATUS_INVALID_PARAMETER, 0);
        Leaks = what & 0xff;
        return Complete(Irp, STATUS_SUCCESS, 0);
    }
    if (code == IOCTL_STATE) {
        WCHAR text[64];
        ULONG length = 0;
        NTSTATUS status = IoGetDeviceProperty(extension->Pdo, DevicePropertyHardwareID, sizeof(text), text, &length);
        if (NT_SUCCESS(status)) DbgPrint("hardware: %ws\n", text);
        return Complete(Irp, status, 0);
    }
    return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

static NTSTATUS NTAPI AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Pdo)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(Driver, sizeof(EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) return status;
    PEXTENSION extension = device->DeviceExtension;
    RtlZeroMemory(extension, sizeof(*extension));
    extension->Self = device;
    extension->Pdo = Pdo;
    KeInitializeDpc(&extension->Dpc, DpcRoutine, extension);
    status = IoRegisterDeviceInterface(Pdo, &FunctionInterface, NULL, &extension->InterfaceName);
    if (!NT_SUCCESS(status)) goto noInterface;
    status = IoRegisterPlugPlayNotification(EventCategoryDeviceInterfaceChange,
                                            PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES,
                                            (PVOID)&FunctionInterface, Driver, Notified, extension,
                                            &extension->Notification); /* the notification */
    if (!NT_SUCCESS(status)) goto noNotification;
    status = PoRegisterPowerSettingCallback(Pdo, &MonitorPowerOn, SettingChanged, extension,
                                            &extension->Setting); /* the setting */
    if (!NT_SUCCESS(status)) goto noSetting;
    extension->Lower = IoAttachDeviceToDeviceStack(device, Pdo);
    device->Flags |= DO_BUFFERED_IO | DO_POWER_PAGABLE;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
noSetting:
    IoUnregisterPlugPlayNotificationEx(extension->Notification);
noNotification:
    RtlFreeUnicodeString(&extension->InterfaceName);
noInterface:
    IoDeleteDevice(device);
    return status;
}

static void NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    DbgPrint("unload\n");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Driver->DriverUnload = Unload;
    Driver->DriverExtension->AddDevice = AddDevice;
    Driver->MajorFunction[IRP_MJ_CREATE] = CreateClose;
    Driver->MajorFunction[IRP_MJ_CLOSE] = CreateClose;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    Driver->MajorFunction[IRP_MJ_READ] = Forward;
    Driver->MajorFunction[IRP_MJ_PNP] = Pnp;
    Driver->MajorFunction[IRP_MJ_POWER] = Power;
    Driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = Forward;
    return STATUS_SUCCESS;
}
