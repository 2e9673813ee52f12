/** What becomes of the drivers: they are loaded and unloaded; their device arrives, is started, stopped and removed. */
import { assert } from '../base/errors.ts';
import { nullVa, type Va } from '../base/va.ts';
import type { Driver } from '../nt/io/driver-objects.ts';
import type { Nt } from '../nt/nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_REQUEST, STATUS_NOT_FOUND, STATUS_SUCCESS } from '../nt/ntstatus.ts';
import { statusWithName } from '../nt/status-name.ts';
import { DRIVER_OBJECT } from '../nt/structures/io.ts';
import type { LifeRecord } from './life-record.ts';
import type { Act } from './life-state.ts';
import { type LoadedDriver, moduleName } from './loaded-driver.ts';
import { type KernelCall, PnpDeviceOfLife } from './pnp-device.ts';
import type { DeviceStep, Step } from './scenario/step.ts';

type InterruptStep = Step & { readonly verb: 'interrupt' };
type UnloadStep = Step & { readonly verb: 'unload' };

/** The end of every life: the device goes, then the drivers, the last one first. */
export function lastActs(drivers: readonly LoadedDriver[]): readonly Act[] {
  const unloads = drivers.map((_, driver): Act => ({ verb: 'final-unload', driver })).reverse();
  return [{ verb: 'departure' }, ...unloads, { verb: 'aftermath' }];
}

/** Every driver is unloaded at the end anyway. */
export function withoutLastUnloads(steps: readonly Step[]): readonly Step[] {
  const last = steps.findLastIndex((step) => step.verb !== 'unload' || step.driver !== undefined);
  return steps.slice(0, last + 1);
}

export class DriverActs {
  private readonly nt: Nt;
  private readonly life: LifeRecord;
  private readonly drivers: readonly LoadedDriver[];
  private readonly pnp: PnpDeviceOfLife;

  constructor(nt: Nt, life: LifeRecord, drivers: readonly LoadedDriver[]) {
    this.nt = nt;
    this.life = life;
    this.drivers = drivers;
    this.pnp = new PnpDeviceOfLife(nt, drivers);
  }

  private at(place: number): LoadedDriver {
    const driver = this.drivers[place];
    assert(driver, 'an act is of a driver of this machine');
    return driver;
  }

  private objectOf({ image }: LoadedDriver): Driver | undefined {
    return this.nt.io.drivers.ofImage(image);
  }

  /** How reasons speak of a driver. */
  private nameOf({ image }: LoadedDriver): string {
    return this.drivers.length === 1 ? 'the driver' : image.fileName;
  }

  /** Whether the image is still there. */
  private isHere({ image }: LoadedDriver): boolean {
    return this.nt.images.byIndex(image.index)?.isLoaded === true;
  }

  // ---- load

  load(place: number): void {
    const { image, isLibrary } = this.at(place);
    this.life.callSystem([isLibrary ? 'IopInitializeLibrary' : 'IopLoadDriver', [image.index]]);
  }

  loaded(place: number, status: number): void {
    const driver = this.at(place);
    if (driver.isLibrary && !ntSuccess(status)) {
      this.life.addReason(`DllInitialize of ${driver.image.fileName} failed with ${statusWithName(status)}`);
    }
    this.noteDevices(driver);
    this.life.next();
  }

  private noteDevices(driver: LoadedDriver): void {
    const object = this.objectOf(driver);
    const { madeDevices } = this.life.state;
    if (object?.state !== 'loaded' || madeDevices.includes(driver.image.index)) return;
    if (this.nt.io.drivers.firstDevice(object.driverObject) === nullVa) return;
    this.life.change({ madeDevices: [...madeDevices, driver.image.index] });
  }

  // ---- unload

  /** A driver that is told to go by a step: it goes at once, or when nothing uses it any more. */
  unload(act: UnloadStep): void {
    const named = this.drivers.filter(
      ({ image, isVerified }) =>
        isVerified && (act.driver === undefined || moduleName(image.fileName) === moduleName(act.driver)),
    );
    const objects = named.map((driver) => this.objectOf(driver)).filter((object) => object?.state === 'loaded');
    // As the service control manager has it: drivers of devices stay, and so do drivers that cannot be unloaded.
    const canGo = objects.every(
      (object) => object !== undefined && this.hasUnload(object.driverObject) && !this.pnp.holds(object.driverObject),
    );
    if (objects.length === 0 || !canGo) {
      this.life.answer(act.text, STATUS_INVALID_DEVICE_REQUEST);
      return;
    }
    const { unloading } = this.life.state;
    const going = objects.map((object) => object?.imageIndex ?? 0).reverse();
    this.life.change({ unloading: [...unloading, ...going.filter((index) => !unloading.includes(index))] });
    this.life.answer(act.text, STATUS_SUCCESS);
  }

  private hasUnload(driverObject: Va): boolean {
    return DRIVER_OBJECT.DriverUnload.get(this.nt.memory, driverObject) !== nullVa;
  }

  /** The unload of a driver that was told to go and that nothing uses any more. */
  get dueUnload(): KernelCall | undefined {
    for (const index of this.life.state.unloading) {
      const object = [...this.nt.io.drivers.all()].find(({ imageIndex }) => imageIndex === index);
      if (object?.state !== 'loaded' || this.nt.io.drivers.isInUse(object.driverObject)) continue;
      return ['IopUnloadDriver', [object.driverObject]];
    }
    return undefined;
  }

  finalUnload(place: number): void {
    const driver = this.at(place);
    if (driver.isLibrary) this.unloadLibrary(driver);
    else this.unloadDriver(driver);
  }

  private unloadDriver(driver: LoadedDriver): void {
    const object = this.objectOf(driver);
    if (object?.state !== 'loaded') {
      this.life.next();
    } else if (!this.hasUnload(object.driverObject)) {
      if (!driver.isVerified) this.life.next();
      else {
        this.life.passOver(
          `${this.nameOf(driver)} has no DriverUnload routine, so Windows never unloads it and the check at unload cannot run`,
        );
      }
    } else {
      if (this.pnp.leftAttached) {
        this.life.addReason('a device of the driver is still attached to the stack of a device that was removed');
      }
      if (this.nt.io.drivers.isInUse(object.driverObject)) this.life.wait();
      else this.life.callSystem(['IopUnloadDriver', [object.driverObject]]);
    }
  }

  private unloadLibrary(driver: LoadedDriver): void {
    const { image, isVerified } = driver;
    if (!this.isHere(driver)) {
      this.life.next();
      return;
    }
    const importers = this.nt.images.importersOf(image).map(({ fileName }) => fileName);
    const hasUnload = this.nt.images.driverExport(image.fileName, { name: 'DllUnload', ordinal: undefined });
    if (importers.length === 0 && hasUnload !== undefined) {
      this.life.callSystem(['IopUnloadLibrary', [image.index]]);
      return;
    }
    if (!isVerified) this.life.next();
    else if (importers.length > 0) {
      this.life.passOver(`${image.fileName} was not unloaded: ${importers.join(', ')} still imports from it`);
    } else {
      this.life.passOver(
        `${image.fileName} has no DllUnload routine, so Windows never unloads it and the check at unload cannot run`,
      );
    }
  }

  unloaded(place: number, status: number): void {
    const driver = this.at(place);
    if (driver.isLibrary && driver.isVerified && !ntSuccess(status)) {
      this.life.addReason(`${driver.image.fileName} was not unloaded: DllUnload answered ${statusWithName(status)}`);
    }
    this.life.next();
  }

  /** Whether something keeps the driver from being unloaded. */
  isInUse(place: number): boolean {
    const object = this.objectOf(this.at(place));
    return object !== undefined && this.nt.io.drivers.isInUse(object.driverObject);
  }

  // ---- the device

  /** Without a driver there is nothing to do in this life. */
  arrive(): void {
    const isAnyLoaded = this.drivers.some(
      (driver) =>
        driver.isVerified && (driver.isLibrary ? this.isHere(driver) : this.objectOf(driver)?.state === 'loaded'),
    );
    if (!isAnyLoaded) this.life.goOnWith([{ verb: 'aftermath' }]);
    const arrival = isAnyLoaded ? this.pnp.arrive() : undefined;
    if (arrival === undefined) this.life.next();
    else this.life.callSystem(arrival);
  }

  /** AddDevice and the start are over. Drivers without a device are unloaded. */
  arrived(): void {
    for (const driver of this.drivers) this.noteDevices(driver);
    const { failure } = this.pnp;
    if (failure !== undefined) {
      this.life.addReason(failure);
      this.life.goOnWith(lastActs(this.drivers));
    }
    this.life.next();
  }

  /** The removal of a device that was pulled out and that nobody has open any more. */
  get dueRemoval(): KernelCall | undefined {
    return this.pnp.dueRemoval;
  }

  get isDeviceOpen(): boolean {
    return this.pnp.isOpen;
  }

  change(act: DeviceStep): void {
    const call = this.pnp.callFor(act.verb);
    if (typeof call === 'string') this.life.giveUp(`the step '${act.text}' ${call}`);
    else this.life.callSystem(call);
  }

  /** Only a connected interrupt comes: the line is masked without. */
  interrupt(act: InterruptStep): void {
    const call = this.pnp.interruptFor(act.isMessage);
    if (call === undefined) this.life.answer(act.text, STATUS_NOT_FOUND);
    else this.life.callSystem(call);
  }

  changed(act: DeviceStep, status: number): void {
    if (act.verb === 'start' && !ntSuccess(status)) this.life.addReason(this.pnp.failure);
    this.life.answer(act.text, status);
  }

  /** The device is removed, when nobody has it open any more. */
  depart(): void {
    this.nt.io.lowerDevice.leaveDriversAlone();
    const { departure, device, isOpen } = this.pnp;
    if (isOpen && (departure !== undefined || device?.state === 'surprise-removed')) this.life.wait();
    else if (departure !== undefined) this.life.callSystem(departure);
    else this.life.next();
  }

  departed(status: number): void {
    if (ntSuccess(status)) this.life.next();
    else this.life.giveUp(`the device was not removed: its removal was refused with ${statusWithName(status)}`);
  }
}
