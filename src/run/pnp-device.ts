/** The plug-and-play device in a life: which routine of the kernel carries out what a step asks for. */
import { nullVa, type Va } from '../base/va.ts';
import type { Nt } from '../nt/nt.ts';
import { type PnpAction, pnpActionNumber } from '../nt/pnp/device-actions.ts';
import type { PnpDevice } from '../nt/pnp/plug-and-play.ts';
import { interruptsOf } from '../nt/pnp/resources.ts';
import { statusWithName } from '../nt/status-name.ts';
import { SystemPower } from '../nt/structures/power.ts';
import type { LoadedDriver } from './loaded-driver.ts';
import type { DeviceVerb } from './scenario/step.ts';

/** A routine of the kernel with its arguments. */
export type KernelCall = readonly [routine: string, args: readonly number[]];

export class PnpDeviceOfLife {
  private readonly nt: Nt;
  private readonly drivers: readonly LoadedDriver[];

  constructor(nt: Nt, drivers: readonly LoadedDriver[]) {
    this.nt = nt;
    this.drivers = drivers;
  }

  /** Driver objects of those that are loaded and have an AddDevice routine, from the bottom of the stack up. */
  private get stack(): readonly Va[] {
    const { drivers } = this.nt.io;
    return this.drivers.flatMap(({ image }) => {
      const driver = drivers.ofImage(image);
      if (driver?.state !== 'loaded' || drivers.addDeviceRoutine(driver.driverObject) === nullVa) return [];
      return [driver.driverObject];
    });
  }

  /** The latest device that the drivers were asked to add. */
  get device(): PnpDevice | undefined {
    for (const { image } of this.drivers) {
      const driver = this.nt.io.drivers.ofImage(image);
      const device = driver && this.nt.io.pnp.ofDriver(driver.driverObject);
      if (device !== undefined) return device;
    }
    return undefined;
  }

  /** Whether the driver's device stands on a device that is there: such a driver cannot be unloaded by its name. */
  holds(driverObject: Va): boolean {
    const device = this.nt.io.pnp.ofDriver(driverObject);
    return device !== undefined && device.state !== 'removed' && device.state !== 'failed';
  }

  get isOpen(): boolean {
    const { device } = this;
    return device !== undefined && this.nt.io.pnp.isOpen(device.pdo);
  }

  /** A new device on the bus; undefined without a plug-and-play driver. */
  arrive(): KernelCall | undefined {
    const { stack } = this;
    return stack.length === 0 ? undefined : ['IopAddDevice', [this.nt.io.pnp.create(stack)]];
  }

  /** IRP_MN_REMOVE_DEVICE for a device that was pulled out and is closed by now; undefined if there is none. */
  get dueRemoval(): KernelCall | undefined {
    const due = this.nt.io.pnp.removalDue;
    return due && call(due, 'remove');
  }

  /** A step's call; a text if there is no such device. */
  callFor(verb: DeviceVerb): KernelCall | string {
    if (verb === 'suspend') return ['PopSetSystemPowerState', [SystemPower.Sleeping3]];
    if (verb === 'resume') return ['PopSetSystemPowerState', [SystemPower.Working]];
    const { device } = this;
    const needsDriver = 'needs a plug-and-play driver, and this one has no AddDevice routine';
    if (device === undefined) return needsDriver;
    const isGone = device.state === 'removed' || device.state === 'failed';
    if (verb === 'start') return isGone ? (this.arrive() ?? needsDriver) : call(device, 'start');
    if (verb === 'stop') return call(device, 'stop');
    if (verb === 'cancel-stop') return call(device, 'stopAndCancel');
    if (verb === 'cancel-remove') return call(device, 'queryRemoveAndCancel');
    if (verb === 'surprise-remove') return call(device, 'surpriseRemove');
    return this.removalOf(device);
  }

  /** The interrupt that the device's driver connected, a line rather than a message unless said; undefined if none. */
  interruptFor(isMessage: boolean | undefined): KernelCall | undefined {
    const { interruptObjects } = this.nt.io;
    const connected = interruptsOf(this.device?.resources ?? [])
      .filter((one) => isMessage === undefined || one.isMessage === isMessage)
      .find(({ vector }) => interruptObjects.ofVector(vector).length > 0);
    return connected && ['KiInterruptDispatch', [connected.vector]];
  }

  /** What has to come before the driver can be unloaded; undefined if nothing has. */
  get departure(): KernelCall | undefined {
    const { device } = this;
    if (device?.state !== 'started' && device?.state !== 'stopped') return undefined;
    return this.removalOf(device);
  }

  /** A device that is stopped is removed as if it had been pulled out. */
  private removalOf(device: PnpDevice): KernelCall {
    return call(device, device.state === 'stopped' ? 'surpriseRemove' : 'queryRemove');
  }

  /** Why the device did not start; undefined if it did. */
  get failure(): string | undefined {
    const { device } = this;
    if (device?.failure === undefined || device.isRestartRefused === true) return undefined;
    const { what, status } = device.failure;
    const hint =
      what === 'IRP_MN_START_DEVICE' && this.nt.options.device?.model === undefined
        ? '; if the driver looks for its hardware, give it a model of it (--device-model)'
        : '';
    return `the device was not started: ${what} failed with ${statusWithName(status)}${hint}`;
  }

  /** Whether a driver's device stands on the stack of a device that is gone. */
  get leftAttached(): boolean {
    return [...this.nt.io.pnp.all()].some(
      ({ pdo, state }) => (state === 'removed' || state === 'failed') && this.nt.io.pnp.hasAttached(pdo),
    );
  }
}

const call = ({ pdo }: PnpDevice, action: PnpAction): KernelCall => ['IopDeviceAction', [pdo, pnpActionNumber(action)]];
