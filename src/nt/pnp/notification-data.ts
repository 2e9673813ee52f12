/** What the PnP manager hands to notification callbacks (wdm.h; the GUIDs are wdmguid.h's). */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import { writeWide } from '../rtl/guest-text.ts';
import { guidBytes, parseGuid } from '../rtl/guid.ts';
import {
  DEVICE_INTERFACE_CHANGE_NOTIFICATION,
  PLUGPLAY_NOTIFICATION_HEADER,
  TARGET_DEVICE_REMOVAL_NOTIFICATION,
} from '../structures/pnp.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

export const interfaceArrival = '{CB3A4004-46F0-11D0-B08F-00609713053F}';
export const interfaceRemoval = '{CB3A4005-46F0-11D0-B08F-00609713053F}';

/** What happens to a device, in the order of the numbers that stacks and snapshots hold. */
export const TargetEvent = {
  queryRemove: '{CB3A4006-46F0-11D0-B08F-00609713053F}',
  removeCancelled: '{CB3A4007-46F0-11D0-B08F-00609713053F}',
  removeComplete: '{CB3A4008-46F0-11D0-B08F-00609713053F}',
} as const;

const targetEvents = Object.values(TargetEvent);
const targetEventNames = Object.keys(TargetEvent);

export const targetEventNumber = (event: keyof typeof TargetEvent): number => targetEventNames.indexOf(event);
export const targetEventGuid = (number: number): string => targetEvents[number] ?? '';

/** Events that only the PnP manager reports. */
export const isSystemEvent = (guid: string): boolean =>
  /^\{CB3A400[1-9]-46F0-11D0-B08F-00609713053F\}$/.test(guid.toUpperCase());

const notificationVersion = 1;

function writeHeader(nt: Nt, at: Va, guid: string, bytes: number): void {
  PLUGPLAY_NOTIFICATION_HEADER.Version.set(nt.memory, at, notificationVersion);
  PLUGPLAY_NOTIFICATION_HEADER.Size.set(nt.memory, at, bytes);
  nt.memory.writeBytes(PLUGPLAY_NOTIFICATION_HEADER.Event.at(at), parseGuid(guid) ?? new Uint8Array(guidBytes));
}

/** A block of the kernel's own that starts with a DEVICE_INTERFACE_CHANGE_NOTIFICATION and holds the name behind it. */
export function interfaceNotification(nt: Nt, guid: string, link: string, isArrival: boolean): Va {
  const { memory, pool } = nt;
  const layout = DEVICE_INTERFACE_CHANGE_NOTIFICATION;
  const stringAt = layout.sizeBytes;
  const textAt = stringAt + UNICODE_STRING.sizeBytes;
  const block = pool.allocateKernel(textAt + link.length * 2 + 2, 'PnpN');
  const string = vaAdd(block, stringAt);
  writeHeader(nt, block, isArrival ? interfaceArrival : interfaceRemoval, layout.sizeBytes);
  memory.writeBytes(layout.InterfaceClassGuid.at(block), parseGuid(guid) ?? new Uint8Array(guidBytes));
  layout.SymbolicLinkName.set(memory, block, string);
  UNICODE_STRING.Length.set(memory, string, link.length * 2);
  UNICODE_STRING.MaximumLength.set(memory, string, link.length * 2 + 2);
  UNICODE_STRING.Buffer.set(memory, string, vaAdd(block, textAt));
  writeWide(memory, vaAdd(block, textAt), `${link}\0`);
  return block;
}

/** A TARGET_DEVICE_REMOVAL_NOTIFICATION in a block of the kernel's own; the file is each registrant's. */
export function removalNotification(nt: Nt, event: number): Va {
  const block = nt.pool.allocateKernel(TARGET_DEVICE_REMOVAL_NOTIFICATION.sizeBytes, 'PnpN');
  writeHeader(nt, block, targetEventGuid(event), TARGET_DEVICE_REMOVAL_NOTIFICATION.sizeBytes);
  TARGET_DEVICE_REMOVAL_NOTIFICATION.FileObject.set(nt.memory, block, nullVa);
  return block;
}
