/** What the I/O manager counts of the machine's devices, and the part of WMI that needs no consumer. */
import { nullVa, type Va } from '../../base/va.ts';
import { passiveOnly, upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { CONFIGURATION_INFORMATION } from '../structures/configuration.ts';

/** Drivers of disks and ports count theirs here: one structure for all, made when it is first asked for. */
function configuration(nt: Nt): Va {
  const cell = nt.io.configuration;
  if (cell.value === nullVa) {
    cell.value = nt.pool.allocateKernel(CONFIGURATION_INFORMATION.sizeBytes, 'IoCf');
    CONFIGURATION_INFORMATION.DiskCount.set(nt.memory, cell.value, 1);
    CONFIGURATION_INFORMATION.Version.set(nt.memory, cell.value, CONFIGURATION_INFORMATION.sizeBytes);
  }
  return cell.value;
}

/** GUIDs as keys: their bytes in hexadecimal. */
function guidKey(nt: Nt, guid: Va): string {
  return [...nt.memory.readBytes(guid, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const ioConfiguration = ntExports('ntoskrnl.exe', {
  IoGetConfigurationInformation: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-iogetconfigurationinformation',
    irql: passiveOnly,
    params: {},
    returns: 'PVOID',
    body: (nt) => configuration(nt),
  }),
  /** Nobody consumes events. The block was the driver's, and is the kernel's now: it is freed. */
  IoWMIWriteEvent: ntRoutine({
    doc: 'wdm.h; nf-wdm-iowmiwriteevent',
    irql: upToApc,
    params: { WnodeEventItem: pointerTo('WNODE_HEADER') },
    returns: 'NTSTATUS',
    support: { partial: 'nobody consumes events' },
    body: (nt, { WnodeEventItem }) => {
      if (WnodeEventItem === nullVa) return STATUS_INVALID_PARAMETER;
      nt.pool.free(WnodeEventItem, 0, undefined);
      return STATUS_SUCCESS;
    },
  }),
  IoWMIAllocateInstanceIds: ntRoutine({
    doc: 'wdm.h; nf-wdm-iowmiallocateinstanceids',
    irql: passiveOnly,
    params: { Guid: pointerTo('GUID'), InstanceCount: ULONG, FirstInstanceId: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Guid, InstanceCount, FirstInstanceId }) => {
      const key = guidKey(nt, Guid);
      const first = nt.io.wmiInstances.get(key) ?? 0;
      nt.io.wmiInstances.set(key, first + InstanceCount);
      nt.memory.writeU32(FirstInstanceId, first);
      return STATUS_SUCCESS;
    },
  }),
  /** A number that tells devices apart: the lower half of the address. */
  IoWMIDeviceObjectToProviderId: ntRoutine({
    doc: 'wdm.h; nf-wdm-iowmideviceobjecttoproviderid',
    irql: upToDispatch,
    params: { DeviceObject: pointerTo('DEVICE_OBJECT') },
    returns: 'ULONG',
    body: (_nt, { DeviceObject }) => Number(BigInt.asUintN(32, BigInt(DeviceObject))),
  }),
});
