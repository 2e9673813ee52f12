/** Device interfaces: names of a device that programs find by a GUID. */
import type { StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { STATUS_OBJECT_NAME_EXISTS, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS } from '../ntstatus.ts';
import { instancePath } from './device-identity.ts';

export interface DeviceInterface {
  /** `\??\ROOT#POOLPROOF#0000#{GUID}`, with `\reference` behind it if there is one. */
  readonly link: string;
  /** The link without the reference string, which reaches the driver as the file's name. */
  readonly base: string;
  readonly pdo: Va;
  /** In braces. */
  readonly guid: string;
  readonly isEnabled: boolean;
}

export class DeviceInterfaces {
  private readonly nt: Nt;
  /** By link in lower case. */
  private readonly interfaces: StoreMap<string, DeviceInterface>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.interfaces = nt.stores.map('pnp/device-interfaces');
  }

  all(): IterableIterator<DeviceInterface> {
    return this.interfaces.values();
  }

  find(link: string): DeviceInterface | undefined {
    return this.interfaces.get(link.toLowerCase());
  }

  /** The symbolic link's name; registering again gives the same. */
  register(pdo: Va, guid: string, reference: string): string {
    const path = instancePath(this.nt.io.pnp.present(pdo).identity).replaceAll('\\', '#');
    const base = `\\??\\${path}#${guid.toLowerCase()}`;
    const link = reference === '' ? base : `${base}\\${reference}`;
    const key = link.toLowerCase();
    if (!this.interfaces.has(key)) this.interfaces.set(key, { link, base, pdo, guid, isEnabled: false });
    return link;
  }

  /** The same device's interface of another class with the same reference string. */
  alias({ pdo, link, base }: DeviceInterface, guid: string): DeviceInterface | undefined {
    const reference = link.slice(base.length);
    return [...this.interfaces.values()].find(
      (entry) => entry.pdo === pdo && entry.guid === guid && entry.link.slice(entry.base.length) === reference,
    );
  }

  /** Makes the symbolic link to the PDO, or takes it away; as IoSetDeviceInterfaceState answers. */
  setState(link: string, isEnabled: boolean): number {
    const key = link.toLowerCase();
    const found = this.interfaces.get(key);
    const pdo = found && this.nt.io.devices.get(found.pdo);
    if (found === undefined || (isEnabled && pdo?.name === undefined)) return STATUS_OBJECT_NAME_NOT_FOUND;
    if (found.isEnabled === isEnabled) return isEnabled ? STATUS_OBJECT_NAME_EXISTS : STATUS_OBJECT_NAME_NOT_FOUND;
    const isShared = this.isEnabled(found.base);
    this.interfaces.set(key, { ...found, isEnabled });
    if (isEnabled && !isShared) this.nt.objects.createSymbolicLink(found.base, pdo?.name ?? '');
    if (!isEnabled && !this.isEnabled(found.base)) this.nt.objects.deleteSymbolicLink(found.base);
    this.nt.io.notifications.interfaceChanged(found, isEnabled);
    return STATUS_SUCCESS;
  }

  private isEnabled(base: string): boolean {
    return [...this.interfaces.values()].some((entry) => entry.base === base && entry.isEnabled);
  }

  /** The device goes: its interfaces with it. */
  disableAll(pdo: Va): void {
    for (const entry of [...this.interfaces.values()]) {
      if (entry.pdo === pdo && entry.isEnabled) this.setState(entry.link, false);
    }
  }
}
