/** What the bus driver below every device of the root bus makes of IRP_MJ_PNP requests. */
import { type Va, vaAdd } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_DEVICE_POWER_FAILURE,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../ntstatus.ts';
import { referenceObject } from '../ob/references.ts';
import { utf16OfText } from '../rtl/guest-text.ts';
import { IO_STACK_LOCATION, IRP } from '../structures/io.ts';
import {
  Capability,
  DEVICE_CAPABILITIES,
  DEVICE_RELATIONS,
  DeviceRelation,
  PNP_PARAMETERS,
  PnpMinor,
} from '../structures/pnp.ts';
import { PoolType } from '../structures/pool.ts';
import { SystemPower } from '../structures/power.ts';
import { accessConfiguration, giveInterface } from './bus-interface.ts';
import { multiText } from './device-identity.ts';
import { requirementsBytes, resourceListBytes, writeRequirements, writeResourceList } from './resources.ts';

const queryTag = tagOf('Pp  ');

const succeeding: readonly number[] = [
  PnpMinor.StartDevice,
  PnpMinor.QueryRemoveDevice,
  PnpMinor.RemoveDevice,
  PnpMinor.CancelRemoveDevice,
  PnpMinor.StopDevice,
  PnpMinor.QueryStopDevice,
  PnpMinor.CancelStopDevice,
  PnpMinor.QueryPnpDeviceState,
  PnpMinor.SurpriseRemoval,
];

/** Once in so many, where the bus may refuse. */
const refusals = 5;

/**
 * Refused by seed, in a tour: questions that a bus may say no to, and the restart of a device that came back after another
 * one was pulled out. The first start always succeeds: nothing would be seen of a driver otherwise.
 */
function refusal(nt: Nt, pdo: Va, minor: number): number | undefined {
  const { pnp, lowerDevice } = nt.io;
  const isQuestion = minor === PnpMinor.QueryStopDevice || minor === PnpMinor.QueryRemoveDevice;
  const isRestart = minor === PnpMinor.StartDevice && pnp.get(pdo)?.state === 'stopped' && pnp.hasPredecessor(pdo);
  if (!lowerDevice.isTrying || !(isQuestion || isRestart) || nt.random.u32() % refusals !== 0) return undefined;
  if (isQuestion) return STATUS_UNSUCCESSFUL;
  pnp.change(pdo, { isRestartRefused: true });
  return STATUS_DEVICE_POWER_FAILURE;
}

/** What the bus makes of a request; undefined leaves the status as it came. */
export function pnpAnswer(nt: Nt, pdo: Va, irp: Va, call: Call): number | undefined {
  const location = nt.io.irps.currentLocation(irp);
  const minor = IO_STACK_LOCATION.MinorFunction.get(nt.memory, location);
  if (succeeding.includes(minor)) {
    // PNP_DEVICE_STATE: nothing to say.
    if (minor === PnpMinor.QueryPnpDeviceState) return STATUS_SUCCESS;
    const status = refusal(nt, pdo, minor) ?? STATUS_SUCCESS;
    if (minor === PnpMinor.StartDevice && status === STATUS_SUCCESS) nt.io.hardware.enable(pdo);
    if (minor === PnpMinor.StopDevice || minor === PnpMinor.RemoveDevice) nt.io.hardware.disable(pdo);
    return status;
  }
  const device = nt.io.pnp.get(pdo);
  if (device === undefined) return undefined;
  const { resources } = device;
  switch (minor) {
    case PnpMinor.QueryCapabilities:
      fillCapabilities(nt, pdo, PNP_PARAMETERS.Capabilities.get(nt.memory, location));
      return STATUS_SUCCESS;
    case PnpMinor.QueryDeviceRelations:
      if (PNP_PARAMETERS.RelationType.get(nt.memory, location) !== DeviceRelation.TargetDevice) return undefined;
      return giveTarget(nt, pdo, irp, call);
    case PnpMinor.QueryResources:
      return resources.length === 0
        ? undefined
        : give(nt, irp, resourceListBytes(resources), (at) => writeResourceList(nt.memory, at, resources, false), call);
    case PnpMinor.QueryResourceRequirements:
      return resources.length === 0
        ? undefined
        : give(nt, irp, requirementsBytes(resources), (at) => writeRequirements(nt.memory, at, resources), call);
    case PnpMinor.QueryId:
      return giveText(nt, irp, idText(nt, pdo, PNP_PARAMETERS.IdType.get(nt.memory, location)), call);
    case PnpMinor.QueryDeviceText: {
      const type = PNP_PARAMETERS.TextType.get(nt.memory, location);
      const text = [device.identity.description, device.identity.location][type];
      return giveText(nt, irp, text && `${text}\0`, call);
    }
    case PnpMinor.QueryInterface:
      return resources.length === 0 ? undefined : giveInterface(nt, pdo, location);
    case PnpMinor.ReadConfig:
    case PnpMinor.WriteConfig:
      return resources.length === 0
        ? undefined
        : accessConfiguration(nt, pdo, location, minor === PnpMinor.WriteConfig);
    default:
      return undefined;
  }
}

const busCapabilities = Capability.UniqueId | Capability.SurpriseRemovalOk | Capability.WakeFromD3;
/** PowerDeviceD3 */
const deviceOff = 4;

/** D0 in S0, D3 in all other system states, from which it can wake the system. */
function fillCapabilities({ memory, io }: Nt, pdo: Va, capabilities: Va): void {
  // Of a PCI device: device and function number.
  if (io.hardware.has(pdo)) DEVICE_CAPABILITIES.Address.set(memory, capabilities, io.hardware.slot << 16);
  const flags = DEVICE_CAPABILITIES.Flags.get(memory, capabilities);
  DEVICE_CAPABILITIES.Flags.set(memory, capabilities, flags | busCapabilities);
  DEVICE_CAPABILITIES.SystemWake.set(memory, capabilities, SystemPower.Sleeping3);
  DEVICE_CAPABILITIES.DeviceWake.set(memory, capabilities, deviceOff);
  for (let system = 0; system < 7; system++) {
    const deviceState = system === 0 ? 0 : system === 1 ? 1 : deviceOff;
    memory.writeU32(vaAdd(DEVICE_CAPABILITIES.DeviceState.at(capabilities), system * 4), deviceState);
  }
}

/** BUS_QUERY_ID_TYPE: device, hardware IDs, compatible IDs, instance. */
function idText(nt: Nt, pdo: Va, type: number): string | undefined {
  const identity = nt.io.pnp.get(pdo)?.identity;
  if (identity === undefined) return undefined;
  const { deviceId, hardwareIds, compatibleIds, instance } = identity;
  const compatible = compatibleIds.length === 0 ? undefined : multiText(compatibleIds);
  return [`${deviceId}\0`, multiText(hardwareIds), compatible, `${instance}\0`][type];
}

function giveText(nt: Nt, irp: Va, text: string | undefined, call: Call): number | undefined {
  if (text === undefined || text === '') return undefined;
  const bytes = utf16OfText(text);
  return give(nt, irp, bytes.length, (at) => nt.memory.writeBytes(at, bytes), call);
}

/** The PDO itself, with a reference for whoever asked. */
function giveTarget(nt: Nt, pdo: Va, irp: Va, call: Call): number {
  const fill = (relations: Va): void => {
    DEVICE_RELATIONS.Count.set(nt.memory, relations, 1);
    DEVICE_RELATIONS.Objects.set(nt.memory, relations, pdo);
    referenceObject(nt, pdo);
  };
  return give(nt, irp, DEVICE_RELATIONS.sizeBytes, fill, call);
}

/** Paged pool that the sender of the request frees. */
function give(nt: Nt, irp: Va, bytes: number, fill: (at: Va) => void, call: Call): number {
  const buffer = nt.pool.allocate({ poolType: PoolType.PagedPool, bytes, tag: queryTag }, call);
  if (buffer === undefined) return STATUS_INSUFFICIENT_RESOURCES;
  fill(buffer);
  nt.memory.writeVa(IRP.Information.at(irp), buffer);
  return STATUS_SUCCESS;
}
