import { assert } from '../../base/errors.ts';
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { Access } from '../../engine/memory/layout.ts';
import { importsFrom } from '../mm/driver-exports.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { writeWide } from '../rtl/guest-text.ts';
import {
  DEVICE_OBJECT,
  DeviceExtensionFlag,
  DRIVER_EXTENSION,
  DRIVER_OBJECT,
  IoType,
  majorFunctionCount,
} from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

/** `unload-deferred`: DriverUnload ran, and something still refers to the driver object, so the image stays. */
export type DriverState = 'loading' | 'loaded' | 'load-failed' | 'unloading' | 'unload-deferred' | 'unloaded';

export interface Driver {
  readonly driverObject: Va;
  readonly imageIndex: number;
  /** Service name: `leaky`. */
  readonly serviceName: string;
  readonly state: DriverState;
  /** What DriverEntry returned; undefined before it did. */
  readonly entryStatus: number | undefined;
}

/** The drivers of this machine, by driver object. */
export class DriverObjects {
  private readonly nt: Nt;
  private readonly drivers: StoreMap<number, Driver>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.drivers = nt.stores.map('io/drivers');
  }

  get(driverObject: Va): Driver | undefined {
    return this.drivers.get(driverObject);
  }

  all(): IterableIterator<Driver> {
    return this.drivers.values();
  }

  ofImage(image: KernelImage): Driver | undefined {
    return [...this.drivers.values()].reverse().find((driver) => driver.imageIndex === image.index);
  }

  setState(driverObject: Va, change: Partial<Driver>): void {
    const driver = this.drivers.get(driverObject);
    assert(driver, 'a driver object belongs to a driver');
    this.drivers.set(driverObject, { ...driver, ...change });
  }

  image(driver: Driver): KernelImage {
    const image = this.nt.images.byIndex(driver.imageIndex);
    assert(image, 'a driver has its image');
    return image;
  }

  /** A driver object as the I/O manager hands it to DriverEntry: every major function answers "invalid device request". */
  create(image: KernelImage, serviceName: string): Driver {
    const { memory, pool, entries } = this.nt;
    const driverObject = pool.allocateKernel(DRIVER_OBJECT.sizeBytes, 'Driv');
    const extension = pool.allocateKernel(DRIVER_EXTENSION.sizeBytes, 'Driv');
    DRIVER_OBJECT.Type.set(memory, driverObject, IoType.Driver);
    DRIVER_OBJECT.Size.set(memory, driverObject, DRIVER_OBJECT.sizeBytes);
    // DRVO_LEGACY_DRIVER until AddDevice is set is not kept: drivers do not read it.
    DRIVER_OBJECT.DriverStart.set(memory, driverObject, image.base);
    DRIVER_OBJECT.DriverSize.set(memory, driverObject, image.sizeBytes);
    DRIVER_OBJECT.DriverExtension.set(memory, driverObject, extension);
    DRIVER_OBJECT.DriverInit.set(memory, driverObject, vaAdd(image.base, image.pe?.entryPointRva ?? 0));
    const name = `\\Driver\\${serviceName}`;
    this.writeString(DRIVER_OBJECT.DriverName.at(driverObject), name);
    this.writeString(DRIVER_EXTENSION.ServiceKeyName.at(extension), serviceName);
    DRIVER_EXTENSION.DriverObject.set(memory, extension, driverObject);
    const invalid = entries.routineVa('IopInvalidDeviceRequest');
    for (let major = 0; major < majorFunctionCount; major++) {
      memory.writeVa(vaAdd(DRIVER_OBJECT.MajorFunction.at(driverObject), major * 8), invalid);
    }
    this.nt.objects.create(driverObject, 'Driver', name);
    const driver: Driver = {
      driverObject,
      imageIndex: image.index,
      serviceName,
      state: 'loading',
      entryStatus: undefined,
    };
    this.drivers.set(driverObject, driver);
    return driver;
  }

  /** A UNICODE_STRING with a buffer of the kernel's own; returns the buffer. */
  writeString(string: Va, text: string): Va {
    const { memory, pool } = this.nt;
    const buffer = pool.allocateKernel(text.length * 2 + 2, 'IoNm');
    writeWide(memory, buffer, `${text}\0`);
    UNICODE_STRING.Length.set(memory, string, text.length * 2);
    UNICODE_STRING.MaximumLength.set(memory, string, text.length * 2 + 2);
    UNICODE_STRING.Buffer.set(memory, string, buffer);
    return buffer;
  }

  majorFunction(driverObject: Va, major: number): Va {
    return this.nt.memory.readVa(vaAdd(DRIVER_OBJECT.MajorFunction.at(driverObject), major * 8));
  }

  /** First device in the driver's list; null if it has none. */
  firstDevice(driverObject: Va): Va {
    return DRIVER_OBJECT.DeviceObject.get(this.nt.memory, driverObject);
  }

  /**
   * DriverUnload returned (or DriverEntry failed): the image goes, unless something still refers to the driver.
   * The listeners of `driverUnloaded` check what was left behind.
   */
  finishUnload(driverObject: Va): DriverState {
    if (this.isReferenced(driverObject)) {
      this.setState(driverObject, { state: 'unload-deferred' });
      return 'unload-deferred';
    }
    const driver = this.drivers.get(driverObject);
    assert(driver, 'a driver object belongs to a driver');
    const image = this.image(driver);
    this.nt.io.registrations.freeExtensions(driverObject);
    this.nt.events.emit('driverUnloaded', { image, driverObject });
    this.setState(driverObject, {
      state: driver.entryStatus !== undefined && driver.entryStatus >>> 31 === 1 ? 'load-failed' : 'unloaded',
    });
    this.letGo(image);
    return 'unloaded';
  }

  /** Unmaps the image; what it imported from may go too if only that kept it. */
  letGo(image: KernelImage): void {
    this.nt.images.unload(image);
    for (const other of [...this.drivers.values()]) {
      if (other.state === 'unload-deferred' && importsFrom(image.pe, this.image(other).fileName)) {
        this.retryUnload(other.driverObject);
      }
    }
  }

  /** Something that referred to the driver is gone: an unload that waited for it goes on. */
  retryUnload(driverObject: Va): void {
    if (this.drivers.get(driverObject)?.state === 'unload-deferred') this.finishUnload(driverObject);
  }

  /**
   * Whether a file is open on a device of the driver, or a device stands on top of one: then NtUnloadDriver only marks
   * the driver, and DriverUnload runs when that is over.
   */
  isInUse(driverObject: Va): boolean {
    const { memory, io } = this.nt;
    return io.devices
      .ofDriver(driverObject)
      .some(
        ({ device }) =>
          DEVICE_OBJECT.ReferenceCount.get(memory, device) > 0 ||
          DEVICE_OBJECT.AttachedDevice.get(memory, device) !== nullVa,
      );
  }

  /** NtUnloadDriver was called: from now on nobody can open a device of the driver. */
  markForUnload(driverObject: Va): void {
    for (const { device } of this.nt.io.devices.ofDriver(driverObject)) {
      this.nt.io.devices.addExtensionFlags(device, DeviceExtensionFlag.UnloadPending);
    }
  }

  addFlags(driverObject: Va, flags: number): void {
    const { memory } = this.nt;
    DRIVER_OBJECT.Flags.set(memory, driverObject, DRIVER_OBJECT.Flags.get(memory, driverObject) | flags);
  }

  /** What keeps a driver whose DriverUnload ran in memory, in words. */
  keepers(driverObject: Va): readonly string[] {
    const driver = this.drivers.get(driverObject);
    const { io, images, objects } = this.nt;
    const devices = [...io.devices.all()].filter((device) => device.driverObject === driverObject);
    const linked = devices.filter(({ isUnlinked }) => isUnlinked !== true).length;
    const hasList = this.firstDevice(driverObject) !== nullVa;
    const references = (objects.get(driverObject)?.pointerCount ?? 1) - 1;
    return [
      ...(linked > 0 || hasList ? ['device objects of the driver remain'] : []),
      ...(devices.length > linked ? ['somebody refers to a device object of the driver that was deleted'] : []),
      ...(references > 0 ? ['somebody refers to the driver object'] : []),
      ...(driver !== undefined && images.importersOf(this.image(driver)).length > 0
        ? ['another driver imports from it']
        : []),
    ];
  }

  /** AddDevice of a plug-and-play driver; null for others. A driver may have written over its driver object. */
  addDeviceRoutine(driverObject: Va): Va {
    const { memory } = this.nt;
    const extension = DRIVER_OBJECT.DriverExtension.get(memory, driverObject);
    if (!memory.isAccessible(extension, DRIVER_EXTENSION.sizeBytes, Access.Read)) return nullVa;
    return DRIVER_EXTENSION.AddDevice.get(memory, extension);
  }

  /**
   * Whether a device of the driver is left, if only in memory, somebody holds a reference to the driver object, or another
   * driver imports from it.
   */
  private isReferenced(driverObject: Va): boolean {
    const driver = this.drivers.get(driverObject);
    if (driver !== undefined && this.nt.images.importersOf(this.image(driver)).length > 0) return true;
    if (this.firstDevice(driverObject) !== nullVa) return true;
    if ((this.nt.objects.get(driverObject)?.pointerCount ?? 0) > 1) return true;
    for (const device of this.nt.io.devices.all()) if (device.driverObject === driverObject) return true;
    return false;
  }
}
