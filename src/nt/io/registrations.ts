/** What drivers leave with the I/O manager: driver object extensions, shutdown notifications, error log entries. */
import type { StoreCell, StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import type { Holder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { referenceObject, releaseObjectLater } from '../ob/references.ts';
import { DEVICE_OBJECT, DeviceFlag, IoType } from '../structures/io.ts';
import { IO_ERROR_LOG_PACKET } from '../structures/io-queues.ts';

interface DriverExtension {
  readonly driverObject: Va;
  readonly client: Va;
  readonly extension: Va;
}

export interface ShutdownNotification {
  readonly device: Va;
  readonly isLastChance: boolean;
}

/** An entry that was neither written nor freed: it keeps its device or driver from going. */
export interface ErrorLogEntry extends Holder {
  readonly entry: Va;
  readonly bytes: number;
  readonly object: Va;
}

/** ERROR_LOG_MAXIMUM_SIZE */
const largestErrorLogEntry = 0xf0;

export class Registrations {
  private readonly nt: Nt;
  private readonly extensions: StoreCell<readonly DriverExtension[]>;
  private readonly shutdown: StoreCell<readonly ShutdownNotification[]>;
  private readonly errorLogEntries: StoreMap<number, ErrorLogEntry>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.extensions = nt.stores.cell<readonly DriverExtension[]>('io/driver-object-extensions', []);
    this.shutdown = nt.stores.cell<readonly ShutdownNotification[]>('io/shutdown-notifications', []);
    this.errorLogEntries = nt.stores.map('io/error-log-entries');
  }

  // ---- driver object extensions

  extension(driverObject: Va, client: Va): Va | undefined {
    const found = this.extensions.value.find((entry) => entry.driverObject === driverObject && entry.client === client);
    return found?.extension;
  }

  /** Zeroed; the I/O manager frees it with the driver object. */
  addExtension(driverObject: Va, client: Va, bytes: number): Va {
    const extension = this.nt.pool.allocateKernel(bytes, 'Driv');
    this.extensions.value = [...this.extensions.value, { driverObject, client, extension }];
    return extension;
  }

  /** The driver goes. */
  freeExtensions(driverObject: Va): void {
    for (const entry of this.extensions.value) {
      if (entry.driverObject === driverObject) this.nt.pool.freeKernel(entry.extension);
    }
    this.extensions.value = this.extensions.value.filter((entry) => entry.driverObject !== driverObject);
  }

  // ---- shutdown

  /** Devices that are told of the shutdown, latest first. */
  get shutdownNotifications(): readonly ShutdownNotification[] {
    return this.shutdown.value;
  }

  /** Each registration holds a reference to the device. */
  addShutdown(device: Va, isLastChance: boolean): void {
    referenceObject(this.nt, device);
    this.shutdown.value = [{ device, isLastChance }, ...this.shutdown.value];
    this.setShutdownFlag(device, true);
  }

  /** Takes back all of the device's registrations; IoDeleteDevice does it too. */
  removeShutdown(device: Va): undefined {
    const count = this.shutdown.value.filter((entry) => entry.device === device).length;
    this.shutdown.value = this.shutdown.value.filter((entry) => entry.device !== device);
    this.setShutdownFlag(device, false);
    for (let left = count; left > 0; left--) releaseObjectLater(this.nt, device);
  }

  private setShutdownFlag(device: Va, isSet: boolean): void {
    const { memory } = this.nt;
    const others = DEVICE_OBJECT.Flags.get(memory, device) & ~DeviceFlag.ShutdownRegistered;
    DEVICE_OBJECT.Flags.set(memory, device, others | (isSet ? DeviceFlag.ShutdownRegistered : 0));
  }

  // ---- the error log

  /** Entries that were neither written nor freed. */
  get pendingErrorLogEntries(): IterableIterator<ErrorLogEntry> {
    return this.errorLogEntries.values();
  }

  /** Null for sizes that the log does not take, and for what is neither a device nor a driver by its type field. */
  allocateErrorLogEntry(object: Va, bytes: number, holder: Holder): Va {
    if (bytes < IO_ERROR_LOG_PACKET.sizeBytes || bytes > largestErrorLogEntry) return nullVa;
    const type = object === nullVa ? 0 : DEVICE_OBJECT.Type.get(this.nt.memory, object);
    if (type !== IoType.Device && type !== IoType.Driver) return nullVa;
    referenceObject(this.nt, object);
    const entry = this.nt.pool.allocateKernel(bytes, 'IoEr');
    this.errorLogEntries.set(entry, { entry, bytes, object, ...holder });
    return entry;
  }

  /** Written or thrown away: the entry is gone, and its reference to the device or driver with it. */
  finishErrorLogEntry(entry: Va, isWritten: boolean): undefined {
    const object = this.errorLogEntries.get(entry)?.object;
    if (object === undefined) {
      this.nt.pool.freeAny(entry);
      return;
    }
    if (isWritten) {
      const errorCode = IO_ERROR_LOG_PACKET.ErrorCode.get(this.nt.memory, entry);
      this.nt.events.emit('errorLogged', { object, errorCode });
    }
    this.errorLogEntries.delete(entry);
    this.nt.pool.freeKernel(entry);
    releaseObjectLater(this.nt, object);
  }
}
