/** What a tour opens, and the control codes that it tries there. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Nt } from '../../nt/nt.ts';
import { DEVICE_OBJECT, DEVOBJ_EXTENSION, MajorFunction } from '../../nt/structures/io.ts';
import type { LoadedDriver } from '../loaded-driver.ts';
import { findControlCodes } from './control-codes.ts';

export interface TourTarget {
  /** As a program opens it. */
  readonly path: string;
  /** Of every driver that a request to it can come to, the lowest one's last. */
  readonly codes: readonly number[];
}

/** No stack is higher. */
const mostDevices = 64;

/** Named devices and device interfaces through which a request comes to a driver that is verified. */
export function targetsOf(nt: Nt, drivers: readonly LoadedDriver[]): readonly TourTarget[] {
  const codes = new CodesOfDrivers(nt, drivers);
  const targets = new Map<string, TourTarget>();
  for (const { device, path } of [...namedDevices(nt, drivers), ...interfaces(nt)]) {
    const stack = driversOfStack(nt, device);
    const isVerified = drivers.some(
      ({ image, isVerified: verified }) =>
        verified && stack.includes(nt.io.drivers.ofImage(image)?.driverObject ?? nullVa),
    );
    if (isVerified && !targets.has(path)) targets.set(path, { path, codes: codes.of(stack) });
  }
  return [...targets.values()];
}

/** The control codes that dispatch routines know, looked for once for each driver. */
class CodesOfDrivers {
  private readonly nt: Nt;
  private readonly drivers: readonly LoadedDriver[];
  private readonly found = new Map<Va, readonly number[]>();

  constructor(nt: Nt, drivers: readonly LoadedDriver[]) {
    this.nt = nt;
    this.drivers = drivers;
  }

  of(driverObjects: readonly Va[]): readonly number[] {
    return [...new Set(driverObjects.flatMap((driverObject) => this.ofDriver(driverObject)))];
  }

  private ofDriver(driverObject: Va): readonly number[] {
    const known = this.found.get(driverObject);
    if (known !== undefined) return known;
    const { io, memory } = this.nt;
    const driver = this.drivers.find(({ image }) => io.drivers.ofImage(image)?.driverObject === driverObject);
    const routine = io.drivers.majorFunction(driverObject, MajorFunction.DeviceControl);
    const codes = driver === undefined ? [] : findControlCodes(memory, driver.image, routine).map(({ code }) => code);
    this.found.set(driverObject, codes);
    return codes;
  }
}

/** Drivers of the stack that the device belongs to, from the top down. */
function driversOfStack(nt: Nt, device: Va): readonly Va[] {
  const found: Va[] = [];
  let at = nt.io.devices.top(device);
  for (let count = 0; at !== nullVa && count < mostDevices; count++) {
    found.push(DEVICE_OBJECT.DriverObject.get(nt.memory, at));
    at = DEVOBJ_EXTENSION.AttachedTo.get(nt.memory, DEVICE_OBJECT.DeviceObjectExtension.get(nt.memory, at));
  }
  return found;
}

interface Place {
  readonly device: Va;
  readonly path: string;
}

/** Where named devices are opened: by a link to them, if there is one. */
function namedDevices(nt: Nt, drivers: readonly LoadedDriver[]): readonly Place[] {
  const links = [...nt.objects.symbolicLinks()];
  const places: Place[] = [];
  for (const { image } of drivers) {
    const driver = nt.io.drivers.ofImage(image);
    if (driver?.state !== 'loaded') continue;
    for (const { name, device } of nt.io.devices.ofDriver(driver.driverObject).reverse()) {
      if (name === undefined) continue;
      const link = links.find(({ target }) => target.toLowerCase() === name.toLowerCase());
      const path = link === undefined ? name : `\\\\.\\${link.name.slice(link.name.lastIndexOf('\\') + 1)}`;
      places.push({ device, path });
    }
  }
  return places;
}

/** Device interfaces that are enabled, by name. */
function interfaces(nt: Nt): readonly Place[] {
  return [...nt.io.interfaces.all()]
    .filter(({ pdo, isEnabled }) => isEnabled && nt.io.devices.get(pdo) !== undefined)
    .map(({ pdo, link }) => ({ device: pdo, path: `\\\\.\\${link.slice(link.indexOf('\\', 1) + 1)}` }));
}
