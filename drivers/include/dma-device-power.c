/*
 * What the drivers of the DMA engine have in common, continued: power. The device follows the system: down when it
 * sleeps, and up again. A request that is in progress is ended first, and the others wait until the device is up.
 */
#include "dma-device.h"

static NTSTATUS DmaDevicePassPower(PDMA_DEVICE Device, PIRP Irp)
{
    PoStartNextPowerIrp(Irp);
    IoSkipCurrentIrpStackLocation(Irp);
    NTSTATUS status = PoCallDriver(Device->Lower, Irp);
    IoReleaseRemoveLock(&Device->RemoveLock, Irp);
    return status;
}

/* ---- the device's power */

VOID DmaDeviceSendDown(PDMA_DEVICE Device, PIRP Irp)
{
    PoSetPowerState(Device->Self, DevicePowerState, IoGetCurrentIrpStackLocation(Irp)->Parameters.Power.State);
    PoStartNextPowerIrp(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    PoCallDriver(Device->Lower, Irp);
    IoReleaseRemoveLock(&Device->RemoveLock, Irp);
}

static NTSTATUS DmaDeviceGoDown(PDMA_DEVICE Device, PIRP Irp)
{
    KIRQL irql;

    IoMarkIrpPending(Irp);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    KeAcquireSpinLock(&Device->Lock, &irql);
    Device->IsAsleep = TRUE;
    BOOLEAN isIdle = Device->Current == NULL;
    if (!isIdle) {
        Device->DownIrp = Irp;
    }
    KeReleaseSpinLock(&Device->Lock, irql);
    if (isIdle) {
        DmaDeviceSendDown(Device, Irp);
    }
    return STATUS_PENDING;
}

/* The bus has switched the engine on, and it has forgotten everything. */
static NTSTATUS NTAPI DmaDeviceIsUp(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PDMA_DEVICE device = Context;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        PoSetPowerState(device->Self, DevicePowerState, IoGetCurrentIrpStackLocation(Irp)->Parameters.Power.State);
        KeAcquireSpinLock(&device->Lock, &irql);
        device->IsAsleep = FALSE;
        if (device->State == DmaDeviceStarted) {
            DmaEngineWrite(device->Registers, DMA_ENGINE_CONTROL, DMA_ENGINE_CONTROL_INTERRUPT_ENABLE);
        }
        KeReleaseSpinLock(&device->Lock, irql);
        DmaDeviceNext(device);
    }
    PoStartNextPowerIrp(Irp);
    IoReleaseRemoveLock(&device->RemoveLock, Irp);
    return STATUS_SUCCESS;
}

static NTSTATUS DmaDeviceSetPower(PDMA_DEVICE Device, PIRP Irp, DEVICE_POWER_STATE State)
{
    if (State != PowerDeviceD0) {
        return DmaDeviceGoDown(Device, Irp);
    }
    IoMarkIrpPending(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, DmaDeviceIsUp, Device, TRUE, TRUE, TRUE);
    PoCallDriver(Device->Lower, Irp);
    return STATUS_PENDING;
}

/* ---- the system's */

static VOID DmaDeviceFinishSystem(PDMA_DEVICE Device, PIRP Irp, NTSTATUS Status)
{
    PoStartNextPowerIrp(Irp);
    DmaDeviceLeave(Device, Irp, Status, 0);
}

static VOID NTAPI DmaDevicePowerDone(PDEVICE_OBJECT DeviceObject, UCHAR MinorFunction, POWER_STATE PowerState,
                                     PVOID Context, PIO_STATUS_BLOCK IoStatus)
{
    PIRP irp = Context;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(MinorFunction);
    UNREFERENCED_PARAMETER(PowerState);
    DmaDeviceFinishSystem(IoGetCurrentIrpStackLocation(irp)->DeviceObject->DeviceExtension, irp, IoStatus->Status);
}

/* The drivers below know of the system's state: the device's follows. */
static NTSTATUS NTAPI DmaDeviceFollow(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PDMA_DEVICE device = Context;
    NTSTATUS status = Irp->IoStatus.Status;
    POWER_STATE state;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (NT_SUCCESS(status)) {
        BOOLEAN isWorking =
            IoGetCurrentIrpStackLocation(Irp)->Parameters.Power.State.SystemState == PowerSystemWorking;
        state.DeviceState = isWorking ? PowerDeviceD0 : PowerDeviceD3;
        status = PoRequestPowerIrp(device->Pdo, IRP_MN_SET_POWER, state, DmaDevicePowerDone, Irp, NULL);
    }
    if (status != STATUS_PENDING) {
        DmaDeviceFinishSystem(device, Irp, status);
    }
    return STATUS_MORE_PROCESSING_REQUIRED;
}

NTSTATUS NTAPI DmaDevicePower(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDMA_DEVICE device = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    NTSTATUS status = IoAcquireRemoveLock(&device->RemoveLock, Irp);
    if (!NT_SUCCESS(status)) {
        PoStartNextPowerIrp(Irp);
        return SampleComplete(Irp, status, 0);
    }
    if (stack->MinorFunction == IRP_MN_QUERY_POWER) {
        Irp->IoStatus.Status = STATUS_SUCCESS;
    }
    if (stack->MinorFunction != IRP_MN_SET_POWER) {
        return DmaDevicePassPower(device, Irp);
    }
    if (stack->Parameters.Power.Type == DevicePowerState) {
        return DmaDeviceSetPower(device, Irp, stack->Parameters.Power.State.DeviceState);
    }
    IoMarkIrpPending(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, DmaDeviceFollow, device, TRUE, TRUE, TRUE);
    PoCallDriver(device->Lower, Irp);
    return STATUS_PENDING;
}
