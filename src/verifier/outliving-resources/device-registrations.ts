/** What a driver left with the PnP and power managers, the interrupt controller and the bus below. */
import type { Nt } from '../../nt/nt.ts';
import type { PowerRegistrationKind } from '../../nt/po/power-manager.ts';
import type { OutlivingResource } from './outliving-resources.ts';

const powerRoutines: Readonly<Record<PowerRegistrationKind, string>> = {
  'power setting': 'PoRegisterPowerSettingCallback',
  'system state': 'PoRegisterSystemState',
  'PoFx device': 'PoFxRegisterDevice',
};

/** Registrations, interrupts that are connected, and interfaces of the bus that were not given back. */
export function deviceRegistrations(nt: Nt, imageIndex: number): OutlivingResource[] {
  const found: OutlivingResource[] = [];
  for (const { imageIndex: owner, routine, stack, activity } of nt.io.notifications.all()) {
    if (owner !== imageIndex) continue;
    found.push({
      kind: 'callback',
      name: 'IoRegisterPlugPlayNotification',
      address: routine,
      bytes: 0,
      stack,
      activity,
    });
  }
  for (const { imageIndex: owner, kind, handle, stack, activity } of nt.power.all()) {
    if (owner !== imageIndex) continue;
    found.push({ kind: 'callback', name: powerRoutines[kind], address: handle, bytes: 0, stack, activity });
  }
  for (const { imageIndex: owner, object, vector, message, stack, activity } of nt.io.interruptObjects.all()) {
    if (owner !== imageIndex) continue;
    const name = message === undefined ? `vector 0x${vector.toString(16)}` : `message ${message}`;
    found.push({ kind: 'interrupt', name, address: object, bytes: 0, stack, activity });
  }
  for (const { pdo, count, drivers, stack, activity } of nt.io.busInterfaces.outstanding()) {
    if (!drivers.some((driver) => nt.io.drivers.get(driver)?.imageIndex === imageIndex)) continue;
    for (let index = 0; index < count; index++) {
      found.push({ kind: 'reference', name: 'BUS_INTERFACE_STANDARD', address: pdo, bytes: 0, stack, activity });
    }
  }
  return found;
}
