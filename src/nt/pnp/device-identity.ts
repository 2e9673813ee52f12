/** What a device is called: its IDs, which its instance path and the names of its interfaces are made of. */
import { type DeviceModel, pciCompatibleIds, pciDeviceId, pciHardwareIds } from '../../hardware/device-model.ts';
import { slotOf } from './pci-slot.ts';

export interface DeviceIdentity {
  /** `ROOT\POOLPROOF`; empty while it is not known. */
  readonly deviceId: string;
  /** `0000` */
  readonly instance: string;
  readonly hardwareIds: readonly string[];
  readonly compatibleIds: readonly string[];
  readonly description: string;
  readonly location: string;
}

const rootDeviceId = 'ROOT\\POOLPROOF';

/** The nth device of the root bus. */
export function rootIdentity(number: number, hardwareIds: readonly string[] = [rootDeviceId]): DeviceIdentity {
  return {
    deviceId: rootDeviceId,
    instance: number.toString().padStart(4, '0'),
    hardwareIds,
    compatibleIds: [],
    description: 'Root-enumerated device',
    location: 'Root bus',
  };
}

/** The nth device of the root bus, if it is one with a model. */
export function modelIdentity(
  { pci, name }: DeviceModel,
  number: number,
  hardwareIds: readonly string[] = pciHardwareIds(pci),
): DeviceIdentity {
  const slot = slotOf(number);
  return {
    deviceId: pciDeviceId(pci),
    instance: `3&0&${number}&${(slot << 3).toString(16).toUpperCase().padStart(2, '0')}`,
    hardwareIds,
    compatibleIds: pciCompatibleIds(pci),
    description: `Device model ${name}`,
    location: `PCI bus 0, device ${slot}, function 0`,
  };
}

/** `ROOT` */
export const enumeratorOf = ({ deviceId }: DeviceIdentity): string => deviceId.split('\\')[0] ?? '';

/** `ROOT\POOLPROOF\0000` */
export const instancePath = ({ deviceId, instance }: DeviceIdentity): string => `${deviceId}\\${instance}`;

/** The names of a REG_MULTI_SZ as one text, each with its null and one more at the end. */
export const multiText = (names: readonly string[]): string => `${names.map((name) => `${name}\0`).join('')}\0`;

/** GUID_DEVCLASS_SYSTEM */
export const systemClassGuid = '{4d36e97d-e325-11ce-bfc1-08002be10318}';
