import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { BusInterfaces } from '../pnp/bus-interface.ts';
import { DeviceInterfaces } from '../pnp/device-interfaces.ts';
import { DeviceQueries } from '../pnp/device-queries.ts';
import { DeviceRegisters } from '../pnp/device-registers.ts';
import { Hardware } from '../pnp/hardware.ts';
import { LowerDevice } from '../pnp/lower-device.ts';
import { PnpNotifications } from '../pnp/notifications.ts';
import { PlugAndPlay } from '../pnp/plug-and-play.ts';
import { DeviceObjects } from './device-objects.ts';
import { DriverObjects } from './driver-objects.ts';
import { FileObjects } from './file-objects.ts';
import { DevicesToVerify } from './hard-error-exports.ts';
import { InterruptObjects } from './interrupt-objects.ts';
import { Irps } from './irps.ts';
import { Registrations } from './registrations.ts';
import { Reinitializations } from './reinitialization-exports.ts';

/** The I/O manager: driver, device and file objects, and the requests between them. */
export class IoManager {
  readonly drivers: DriverObjects;
  readonly devices: DeviceObjects;
  readonly files: FileObjects;
  readonly irps: Irps;
  readonly registrations: Registrations;
  readonly reinitializations: Reinitializations;
  readonly devicesToVerify: DevicesToVerify;
  /** CONFIGURATION_INFORMATION; null until it is asked for. */
  readonly configuration: StoreCell<Va>;
  /** WMI instances that were handed out, by GUID. */
  readonly wmiInstances: StoreMap<string, number>;
  /** IoSetTopLevelIrp: by thread. */
  readonly topLevelIrps: StoreMap<number, Va>;
  readonly pnp: PlugAndPlay;
  readonly interfaces: DeviceInterfaces;
  readonly deviceRegisters: DeviceRegisters;
  readonly deviceQueries: DeviceQueries;
  readonly notifications: PnpNotifications;
  readonly busInterfaces: BusInterfaces;
  readonly lowerDevice: LowerDevice;
  readonly hardware: Hardware;
  readonly interruptObjects: InterruptObjects;

  constructor(nt: Nt) {
    this.drivers = new DriverObjects(nt);
    this.devices = new DeviceObjects(nt);
    this.files = new FileObjects(nt);
    this.irps = new Irps(nt);
    this.configuration = nt.stores.cell('io/configuration', nullVa);
    this.wmiInstances = nt.stores.map('io/wmi-instances');
    this.topLevelIrps = nt.stores.map('io/top-level-irps');
    this.registrations = new Registrations(nt);
    this.reinitializations = new Reinitializations(nt);
    this.devicesToVerify = new DevicesToVerify(nt);
    this.pnp = new PlugAndPlay(nt);
    this.interfaces = new DeviceInterfaces(nt);
    this.deviceRegisters = new DeviceRegisters(nt);
    this.deviceQueries = new DeviceQueries(nt);
    this.notifications = new PnpNotifications(nt);
    this.busInterfaces = new BusInterfaces(nt);
    this.lowerDevice = new LowerDevice(nt);
    this.hardware = new Hardware(nt);
    this.interruptObjects = new InterruptObjects(nt);
  }
}
