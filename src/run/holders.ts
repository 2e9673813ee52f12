/** What keeps a driver loaded, by the names of those who do it. */
import { nullVa } from '../base/va.ts';
import type { Nt } from '../nt/nt.ts';
import { DEVICE_OBJECT, FILE_OBJECT } from '../nt/structures/io.ts';
import type { HeldReferences } from '../verifier/outliving-resources/object-references.ts';
import type { LoadedDriver } from './loaded-driver.ts';

/** One sentence part each: `B.sys is attached to a device of it`. */
export function holdersOf(
  nt: Nt,
  { image }: LoadedDriver,
  drivers: readonly LoadedDriver[],
  references: (imageIndex: number) => readonly HeldReferences[],
): readonly string[] {
  const own = nt.io.drivers.ofImage(image);
  if (own === undefined) return [];
  const holders: string[] = [];
  const devices = nt.io.devices.ofDriver(own.driverObject);
  for (const { device } of devices) {
    const above = DEVICE_OBJECT.AttachedDevice.get(nt.memory, device);
    if (above === nullVa) continue;
    const record = nt.io.devices.get(above);
    const owner = record && nt.io.drivers.get(record.driverObject);
    const name = owner === undefined ? 'something' : nt.io.drivers.image(owner).fileName;
    holders.push(`${name} is attached to ${nameOfDevice(nt.io.devices.get(device)?.name)}`);
  }
  for (const { image: holder } of drivers) {
    for (const { object } of references(holder.index)) {
      const type = nt.objects.get(object)?.type;
      const target = type === 'File' ? FILE_OBJECT.DeviceObject.get(nt.memory, object) : object;
      if (type !== 'File' && type !== 'Device') continue;
      const held = devices.find(({ device }) => device === target);
      if (held === undefined) continue;
      const what = type === 'File' ? 'a file that is open on ' : '';
      holders.push(`${holder.fileName} holds a reference to ${what}${nameOfDevice(held.name)}`);
    }
  }
  return [...new Set(holders)];
}

const nameOfDevice = (name: string | undefined): string => name ?? 'a device of it';
