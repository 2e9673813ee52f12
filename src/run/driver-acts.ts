/** What becomes of the driver: it is loaded, its device arrives, is started, stopped and removed, it is unloaded. */
import { nullVa } from '../base/va.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Nt } from '../nt/nt.ts';
import { ntSuccess, statusText } from '../nt/ntstatus.ts';
import { DRIVER_OBJECT } from '../nt/structures/io.ts';
import type { LifeRecord } from './life-record.ts';
import { type KernelCall, PnpDeviceOfLife } from './pnp-device.ts';
import type { Step } from './scenario/step.ts';

type DeviceStep = Step & { readonly verb: 'start' | 'stop' | 'surprise-remove' | 'remove' };

export class DriverActs {
  private readonly nt: Nt;
  private readonly life: LifeRecord;
  private readonly image: () => KernelImage;
  private readonly pnp: PnpDeviceOfLife;

  constructor(nt: Nt, life: LifeRecord, image: () => KernelImage) {
    this.nt = nt;
    this.life = life;
    this.image = image;
    this.pnp = new PnpDeviceOfLife(nt, () => [image()]);
  }

  // ---- load and unload

  load(): void {
    this.life.callSystem(['IopLoadDriver', [this.image().index]]);
  }

  loaded(status: number): void {
    if (!ntSuccess(status)) this.life.goOnWith([{ verb: 'aftermath' }]);
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver !== undefined && driver.state === 'loaded') {
      this.noteDevices();
      if (this.pnp.hasAddDevice) this.life.insert([{ verb: 'arrival' }]);
    }
    this.life.next();
  }

  private noteDevices(): void {
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver === undefined || this.nt.io.drivers.firstDevice(driver.driverObject) === nullVa) return;
    this.life.change({ madeDevices: true });
  }

  unload(): void {
    const driver = this.nt.io.drivers.ofImage(this.image());
    if (driver === undefined) {
      this.life.next();
      return;
    }
    if (DRIVER_OBJECT.DriverUnload.get(this.nt.memory, driver.driverObject) === nullVa) {
      this.life.giveUp(
        'the driver has no DriverUnload routine, so Windows never unloads it and the check at unload cannot run',
      );
      return;
    }
    if (this.pnp.leftAttached) {
      this.life.addReason('a device of the driver is still attached to the stack of a device that was removed');
    }
    if (this.isInUse) this.life.wait();
    else this.life.callSystem(['IopUnloadDriver', [driver.driverObject]]);
  }

  get isInUse(): boolean {
    const driver = this.nt.io.drivers.ofImage(this.image());
    return driver !== undefined && this.nt.io.drivers.isInUse(driver.driverObject);
  }

  // ---- its device

  arrive(): void {
    this.life.callSystem(this.pnp.arrive());
  }

  /** AddDevice and the start are over. A driver without a device is unloaded. */
  arrived(): void {
    this.noteDevices();
    const { failure } = this.pnp;
    if (failure !== undefined) {
      this.life.addReason(failure);
      this.life.goOnWith([{ verb: 'unload', text: 'unload' }, { verb: 'aftermath' }]);
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

  changed(act: DeviceStep, status: number): void {
    if (act.verb === 'start' && !ntSuccess(status)) this.life.addReason(this.pnp.failure);
    this.life.answer(act.text, status);
  }

  /** The device is removed, when nobody has it open any more. */
  depart(): void {
    const { departure, device, isOpen } = this.pnp;
    if (isOpen && (departure !== undefined || device?.state === 'surprise-removed')) this.life.wait();
    else if (departure !== undefined) this.life.callSystem(departure);
    else this.life.next();
  }

  departed(status: number): void {
    if (ntSuccess(status)) this.life.next();
    else this.life.giveUp(`the device was not removed: its removal was refused with ${statusText(status)}`);
  }
}
