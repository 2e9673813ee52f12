/** Who wants to hear what happens to devices: the registrations of IoRegisterPlugPlayNotification. */
import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Holder } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { referenceObject, releaseObjectLater } from '../ob/references.ts';
import type { DeviceInterface } from './device-interfaces.ts';
import { interfaceNotification } from './notification-data.ts';

export type NotificationCategory = 'interface' | 'hardware-profile' | 'target';

export interface PnpNotification extends Holder {
  /** What the driver knows it by. */
  readonly entry: Va;
  readonly category: NotificationCategory;
  /** Of the interface class, in braces and capitals; empty for the others. */
  readonly guid: string;
  /** The device and the file on it; null unless the category is `target`. */
  readonly pdo: Va;
  readonly file: Va;
  readonly driverObject: Va;
  readonly routine: Va;
  readonly context: bigint;
}

/** An entry is opaque; a small block gives it an address of its own. */
const entryBytes = 0x40;

export class PnpNotifications {
  private readonly nt: Nt;
  private readonly entries: StoreMap<number, PnpNotification>;
  /** Who was asked whether a device may go, by PDO: only they hear that it stays. */
  private readonly asked: StoreMap<number, readonly Va[]>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.entries = nt.stores.map('pnp/notifications');
    this.asked = nt.stores.map('pnp/notifications-asked');
  }

  all(): IterableIterator<PnpNotification> {
    return this.entries.values();
  }

  get(entry: Va): PnpNotification | undefined {
    return this.entries.get(entry);
  }

  /** The driver stays loaded as long as it is registered: its driver object is referenced. */
  register(notification: Omit<PnpNotification, 'entry'>): Va {
    referenceObject(this.nt, notification.driverObject);
    const entry = this.nt.pool.allocateKernel(entryBytes, 'PnpN');
    this.entries.set(entry, { ...notification, entry });
    return entry;
  }

  unregister(entry: Va): void {
    const notification = this.entries.get(entry);
    if (notification === undefined) {
      throw new BugCheck(
        0x139,
        [3, entry, 0, 0],
        'a plug-and-play notification was unregistered that is not registered (any more)',
      );
    }
    this.entries.delete(entry);
    this.nt.pool.freeKernel(entry);
    releaseObjectLater(this.nt, notification.driverObject);
  }

  /** An interface was enabled or disabled: a worker thread tells those who registered for its class. */
  interfaceChanged({ guid, link }: DeviceInterface, isEnabled: boolean): void {
    if (!this.hasClass(guid)) return;
    const block = interfaceNotification(this.nt, guid, link, isEnabled);
    this.nt.io.deviceQueries.queueCall('PnpNotifyInterfaceClassChange', [block]);
  }

  private hasClass(guid: string): boolean {
    return [...this.entries.values()].some((one) => one.category === 'interface' && one.guid === guid.toUpperCase());
  }

  /** Entries of a class or of a device that were made before now, for a walk over them: each by its address. */
  ofClass(guid: string): Va[] {
    return this.entriesThat((one) => one.category === 'interface' && one.guid === guid.toUpperCase());
  }

  ofDevice(pdo: Va): Va[] {
    return pdo === nullVa ? [] : this.entriesThat((one) => one.category === 'target' && one.pdo === pdo);
  }

  /** The registrant hears a question about the removal of its device. */
  noteAsked({ pdo, entry }: PnpNotification): void {
    this.asked.set(pdo, [...(this.asked.get(pdo) ?? []), entry]);
  }

  /** Those who were asked, once: the question is answered. */
  takeAsked(pdo: Va): readonly Va[] {
    const entries = this.asked.get(pdo) ?? [];
    this.asked.delete(pdo);
    return entries;
  }

  private entriesThat(fits: (one: PnpNotification) => boolean): Va[] {
    return [...this.entries.values()].filter(fits).map(({ entry }) => entry);
  }
}
