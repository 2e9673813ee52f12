import { assert } from '../../base/errors.ts';
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import { chain } from '../declare/chain.ts';
import { initialiseDeviceQueue } from '../ke/device-queue.ts';
import { type Origin, originOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import {
  DEVICE_OBJECT,
  DEVOBJ_EXTENSION,
  DeviceExtensionFlag,
  DeviceFlag,
  DRIVER_OBJECT,
  IoType,
} from '../structures/io.ts';
import { deleteDeviceTimer } from './device-timer-exports.ts';

export interface Device extends Origin {
  readonly device: Va;
  readonly driverObject: Va;
  /** Image index of the driver that created it. */
  readonly createdBy: number;
  readonly name: string | undefined;
  /** IoDeleteDevice was called while files were open. */
  readonly isDeletePending: boolean;
  /** Deleted, and kept in memory by references. */
  readonly isUnlinked?: boolean;
}

export interface DeviceRequest {
  readonly driverObject: Va;
  readonly extensionBytes: number;
  readonly name: string | undefined;
  readonly deviceType: number;
  readonly characteristics: number;
  readonly isExclusive: boolean;
}

export class DeviceObjects {
  private readonly nt: Nt;
  private readonly devices: StoreMap<number, Device>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.devices = nt.stores.map('io/devices');
  }

  get(device: Va): Device | undefined {
    return this.devices.get(device);
  }

  all(): IterableIterator<Device> {
    return this.devices.values();
  }

  /** The devices of a driver, latest first, as its list has them. */
  ofDriver(driverObject: Va): Device[] {
    const list: Device[] = [];
    // No more than there are: the driver may have closed its list to a loop.
    for (let at = this.nt.io.drivers.firstDevice(driverObject); list.length < this.devices.size; ) {
      const device = this.devices.get(at);
      if (device === undefined) break;
      list.push(device);
      at = DEVICE_OBJECT.NextDevice.get(this.nt.memory, at);
    }
    return list;
  }

  create(request: DeviceRequest, createdBy: number): { readonly status: number; readonly device: Va } {
    const { memory, pool, objects } = this.nt;
    const extensionAt = DEVICE_OBJECT.sizeBytes;
    const extensionBytes = Math.ceil(request.extensionBytes / 16) * 16;
    const privateAt = extensionAt + extensionBytes;
    if (extensionBytes > 0xffff) return { status: STATUS_INSUFFICIENT_RESOURCES, device: nullVa };
    const device = pool.allocateKernel(privateAt + DEVOBJ_EXTENSION.sizeBytes, 'Devi');
    const status = objects.create(device, 'Device', request.name);
    if (status !== STATUS_SUCCESS) {
      pool.freeKernel(device);
      return { status, device: nullVa };
    }
    const extension = vaAdd(device, privateAt);
    let flags: number = DeviceFlag.DeviceInitializing;
    if (request.isExclusive) flags |= DeviceFlag.Exclusive;
    if (request.name !== undefined) flags |= DeviceFlag.DeviceHasName;
    DEVICE_OBJECT.Type.set(memory, device, IoType.Device);
    DEVICE_OBJECT.Size.set(memory, device, extensionAt + request.extensionBytes);
    DEVICE_OBJECT.DriverObject.set(memory, device, request.driverObject);
    DEVICE_OBJECT.Flags.set(memory, device, flags);
    DEVICE_OBJECT.Characteristics.set(memory, device, request.characteristics);
    DEVICE_OBJECT.DeviceType.set(memory, device, request.deviceType);
    DEVICE_OBJECT.StackSize.set(memory, device, 1);
    DEVICE_OBJECT.DeviceExtension.set(
      memory,
      device,
      request.extensionBytes === 0 ? nullVa : vaAdd(device, extensionAt),
    );
    DEVICE_OBJECT.DeviceObjectExtension.set(memory, device, extension);
    DEVOBJ_EXTENSION.Type.set(memory, extension, IoType.DeviceObjectExtension);
    DEVOBJ_EXTENSION.Size.set(memory, extension, 0);
    DEVOBJ_EXTENSION.DeviceObject.set(memory, extension, device);
    initialiseDeviceQueue(this.nt, DEVICE_OBJECT.DeviceQueue.at(device));
    DEVICE_OBJECT.NextDevice.set(memory, device, DRIVER_OBJECT.DeviceObject.get(memory, request.driverObject));
    DRIVER_OBJECT.DeviceObject.set(memory, request.driverObject, device);
    this.devices.set(device, {
      device,
      driverObject: request.driverObject,
      createdBy,
      name: request.name,
      isDeletePending: false,
      ...originOf(this.nt),
    });
    return { status: STATUS_SUCCESS, device };
  }

  /** IoDeleteDevice: at once, or when the last file on it is closed and nothing is attached to it any more. */
  delete(device: Va): undefined {
    const record = this.devices.get(device);
    if (record === undefined || record.isDeletePending) {
      throw new BugCheck(
        0x18,
        [0, device, 2, 0],
        'IoDeleteDevice was called for a device that was deleted already, or is none',
      );
    }
    this.nt.objects.makeTemporary(device);
    deleteDeviceTimer(this.nt, device);
    this.nt.io.registrations.removeShutdown(device);
    this.devices.set(device, { ...record, isDeletePending: true });
    this.addExtensionFlags(device, DeviceExtensionFlag.DeletePending);
    this.freeIfUnused(device);
    return undefined;
  }

  addExtensionFlags(device: Va, flags: number): void {
    const { memory } = this.nt;
    const extension = DEVICE_OBJECT.DeviceObjectExtension.get(memory, device);
    const before = DEVOBJ_EXTENSION.ExtensionFlags.get(memory, extension);
    DEVOBJ_EXTENSION.ExtensionFlags.set(memory, extension, before | flags);
  }

  /** A file on the device was opened or is gone. */
  changeReferenceCount(device: Va, by: number): void {
    const { memory } = this.nt;
    const count = DEVICE_OBJECT.ReferenceCount.get(memory, device) + by;
    DEVICE_OBJECT.ReferenceCount.set(memory, device, count);
    this.freeIfUnused(device);
  }

  /** A device that was deleted goes when no file is open on it and no device is attached to it. */
  private freeIfUnused(device: Va): void {
    const { memory } = this.nt;
    const record = this.devices.get(device);
    if (record?.isDeletePending !== true || record.isUnlinked === true) return;
    if (DEVICE_OBJECT.ReferenceCount.get(memory, device) > 0) return;
    if (DEVICE_OBJECT.AttachedDevice.get(memory, device) === nullVa) this.free(device);
  }

  /** Nothing is open on it any more: it leaves its driver; its memory stays as long as somebody holds a reference. */
  private free(device: Va): void {
    const record = this.devices.get(device);
    if (record === undefined) return;
    this.unlink(record.driverObject, device);
    if (releaseObject(this.nt, device).count > 0) this.devices.set(device, { ...record, isUnlinked: true });
  }

  /** The last reference went. */
  freeBody(device: Va): void {
    const { memory, pool } = this.nt;
    const record = this.devices.get(device);
    assert(record, 'a device object is freed once');
    this.devices.delete(device);
    this.nt.io.pnp.forgetDevice(device);
    memory.fill(device, DEVICE_OBJECT.sizeBytes, 0);
    pool.freeKernel(device);
    this.nt.io.drivers.retryUnload(record.driverObject);
  }

  private unlink(driverObject: Va, device: Va): void {
    const { memory } = this.nt;
    const next = (at: Va): Va => DEVICE_OBJECT.NextDevice.get(memory, at);
    let slot = DRIVER_OBJECT.DeviceObject.at(driverObject);
    for (const at of chain(memory.readVa(slot), nullVa, next, "a driver's devices")) {
      if (at === device) {
        memory.writeVa(slot, next(device));
        return;
      }
      slot = DEVICE_OBJECT.NextDevice.at(at);
    }
  }

  // ---- device stacks

  /** The device on top of the stack that `device` belongs to. */
  top(device: Va): Va {
    const { memory } = this.nt;
    let at = device;
    for (let hops = 0; hops < 64; hops++) {
      const above = DEVICE_OBJECT.AttachedDevice.get(memory, at);
      if (above === nullVa) return at;
      at = above;
    }
    return at;
  }

  /** Puts `source` on top of `target`'s stack; returns the device right below it, or null if that one is going away. */
  attach(source: Va, target: Va): Va {
    const { memory } = this.nt;
    const below = this.top(target);
    if (this.devices.get(below)?.isDeletePending !== false) return nullVa;
    DEVICE_OBJECT.AttachedDevice.set(memory, below, source);
    DEVICE_OBJECT.StackSize.set(memory, source, DEVICE_OBJECT.StackSize.get(memory, below) + 1);
    DEVICE_OBJECT.AlignmentRequirement.set(memory, source, DEVICE_OBJECT.AlignmentRequirement.get(memory, below));
    DEVICE_OBJECT.SectorSize.set(memory, source, DEVICE_OBJECT.SectorSize.get(memory, below));
    DEVOBJ_EXTENSION.AttachedTo.set(memory, DEVICE_OBJECT.DeviceObjectExtension.get(memory, source), below);
    return below;
  }

  /** IoDetachDevice: `target` is the device below. */
  detach(target: Va): undefined {
    const { memory } = this.nt;
    const above = DEVICE_OBJECT.AttachedDevice.get(memory, target);
    if (above !== nullVa) {
      DEVOBJ_EXTENSION.AttachedTo.set(memory, DEVICE_OBJECT.DeviceObjectExtension.get(memory, above), nullVa);
    }
    DEVICE_OBJECT.AttachedDevice.set(memory, target, nullVa);
    this.freeIfUnused(target);
    return undefined;
  }

  /** The device that a full name leads to; a status if none. */
  findByName(path: string): { readonly status: number; readonly device: Va; readonly remainder: string } {
    const found = this.nt.objects.lookup(path);
    if (found.object?.type === 'Device') {
      return { status: STATUS_SUCCESS, device: found.object.body, remainder: found.remainder ?? '' };
    }
    return { status: found.object === undefined ? found.status : STATUS_NO_SUCH_DEVICE, device: nullVa, remainder: '' };
  }
}
