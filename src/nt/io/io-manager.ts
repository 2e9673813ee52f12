import type { Nt } from '../nt.ts';
import { DeviceInterfaces } from '../pnp/device-interfaces.ts';
import { PlugAndPlay } from '../pnp/plug-and-play.ts';
import { DeviceObjects } from './device-objects.ts';
import { DriverObjects } from './driver-objects.ts';
import { FileObjects } from './file-objects.ts';
import { Irps } from './irps.ts';
import { Registrations } from './registrations.ts';

/** The I/O manager: driver, device and file objects, and the requests between them. */
export class IoManager {
  readonly drivers: DriverObjects;
  readonly devices: DeviceObjects;
  readonly files: FileObjects;
  readonly irps: Irps;
  readonly registrations: Registrations;
  readonly pnp: PlugAndPlay;
  readonly interfaces: DeviceInterfaces;

  constructor(nt: Nt) {
    this.drivers = new DriverObjects(nt);
    this.devices = new DeviceObjects(nt);
    this.files = new FileObjects(nt);
    this.irps = new Irps(nt);
    this.registrations = new Registrations(nt);
    this.pnp = new PlugAndPlay(nt);
    this.interfaces = new DeviceInterfaces(nt);
  }
}
