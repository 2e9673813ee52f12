/** The device of a plug-and-play driver in a life: which routine of the kernel carries out what a step asks for. */
import { nullVa, type Va } from '../base/va.ts';
import { Access } from '../engine/memory/layout.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt } from '../nt/nt.ts';
import { statusText } from '../nt/ntstatus.ts';
import { type PnpAction, pnpActionNumber } from '../nt/pnp/device-actions.ts';
import type { PnpDevice } from '../nt/pnp/plug-and-play.ts';
import { DRIVER_EXTENSION, DRIVER_OBJECT } from '../nt/structures/io.ts';

/** A routine of the kernel with its arguments. */
export type KernelCall = readonly [routine: string, args: readonly number[]];

export class PnpDeviceOfLife {
  private readonly nt: Nt;
  private readonly images: () => readonly KernelImage[];

  /** `images`: the drivers of the device's stack, from the lowest up. */
  constructor(nt: Nt, images: () => readonly KernelImage[]) {
    this.nt = nt;
    this.images = images;
  }

  private get driverObjects(): readonly Va[] {
    return this.images()
      .map((image) => this.nt.io.drivers.ofImage(image)?.driverObject ?? nullVa)
      .filter((driver) => driver !== nullVa);
  }

  /** The driver objects of those that have an AddDevice routine. */
  private get drivers(): readonly Va[] {
    return this.driverObjects.filter((driver) => this.canAdd(driver));
  }

  /** The latest device that the drivers were asked to add. */
  get device(): PnpDevice | undefined {
    return this.driverObjects.map((driver) => this.nt.io.pnp.ofDriver(driver)).find((device) => device !== undefined);
  }

  get hasAddDevice(): boolean {
    return this.drivers.length > 0;
  }

  /** A driver may have written over its driver object. */
  private canAdd(driver: Va): boolean {
    const { memory } = this.nt;
    const extension = DRIVER_OBJECT.DriverExtension.get(memory, driver);
    if (!memory.isAccessible(extension, DRIVER_EXTENSION.sizeBytes, Access.Read)) return false;
    return DRIVER_EXTENSION.AddDevice.get(memory, extension) !== nullVa;
  }

  get isOpen(): boolean {
    const { device } = this;
    return device !== undefined && this.nt.io.pnp.isOpen(device.pdo);
  }

  /** A new device on the bus. */
  arrive(): KernelCall {
    return ['IopAddDevice', [this.nt.io.pnp.create(this.drivers)]];
  }

  /** IRP_MN_REMOVE_DEVICE for a device that was pulled out and is closed by now; undefined if there is none. */
  get dueRemoval(): KernelCall | undefined {
    const due = this.nt.io.pnp.removalDue;
    return due && call(due, 'remove');
  }

  /** A step's call; a text if the driver has no such device. */
  callFor(verb: 'start' | 'stop' | 'surprise-remove' | 'remove'): KernelCall | string {
    const { device } = this;
    if (device === undefined) return 'needs a plug-and-play driver, and this one has no AddDevice routine';
    const isGone = device.state === 'removed' || device.state === 'failed';
    if (verb === 'start') return isGone ? this.arrive() : call(device, 'start');
    if (verb === 'stop') return call(device, 'stop');
    if (verb === 'surprise-remove') return call(device, 'surpriseRemove');
    return this.removalOf(device);
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
    return `the device was not started: ${what} failed with ${statusText(status)}`;
  }

  /** Whether a driver's device stands on the stack of a device that is gone. */
  get leftAttached(): boolean {
    return [...this.nt.io.pnp.all()].some(
      ({ pdo, state }) => (state === 'removed' || state === 'failed') && this.nt.io.pnp.hasAttached(pdo),
    );
  }
}

const call = ({ pdo }: PnpDevice, action: PnpAction): KernelCall => ['IopDeviceAction', [pdo, pnpActionNumber(action)]];
