/** Lists of devices that drivers answer IRP_MN_QUERY_DEVICE_RELATIONS with. Each device in one comes with a reference. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { BugCheck } from '../declare/bug-check.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess } from '../ntstatus.ts';
import { releaseObjectLater } from '../ob/references.ts';
import { DEVICE_RELATIONS } from '../structures/pnp.ts';

/** The list's devices, with their references; the list itself is freed. Undefined: there was none. */
export function readRelations(nt: Nt, status: number, list: Va): readonly Va[] | undefined {
  if (!ntSuccess(status) || list === nullVa) return undefined;
  const count = DEVICE_RELATIONS.Count.get(nt.memory, list);
  const first = DEVICE_RELATIONS.Objects.at(list);
  const devices: Va[] = [];
  for (let index = 0; index < count; index++) devices.push(nt.memory.readVa(vaAdd(first, index * 8)));
  // Whichever driver took them, the list's references are the PnP manager's now.
  for (const object of devices) nt.events.emit('referenceReturned', { object, image: undefined });
  nt.pool.freeAny(list);
  return devices;
}

/** As {@link readRelations}, where nobody is to keep the references. */
export function takeRelations(nt: Nt, status: number, list: Va): readonly Va[] {
  const devices = readRelations(nt, status, list) ?? [];
  for (const device of devices) releaseObjectLater(nt, device);
  return devices;
}

/** What the driver above `parent` reports now: new children are taken in, and those that it left out are missing. */
export function takeChildren(nt: Nt, parent: Va, status: number, list: Va): void {
  const devices = readRelations(nt, status, list);
  if (devices === undefined) return;
  const { pnp, devices: objects } = nt.io;
  const before = pnp.childrenOf(parent);
  for (const [index, pdo] of devices.entries()) {
    if (pdo === nullVa) {
      throw new BugCheck(0xca, [8, parent, devices.length, index], 'a bus driver reported a child that is no device');
    }
    const object = objects.get(pdo);
    if (object === undefined || object.isDeletePending) {
      throw new BugCheck(0xca, [4, pdo, 0, 0], 'a bus driver reported a child whose device object it deleted');
    }
    if (before.some((child) => child.pdo === pdo)) releaseObjectLater(nt, pdo);
    else pnp.addChild(parent, pdo);
  }
  for (const { pdo } of before) if (!devices.includes(pdo)) pnp.change(pdo, { isMissing: true });
}
