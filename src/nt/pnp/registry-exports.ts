/** Registry keys of a device: its parameters below Enum, its driver's below Class, its interfaces' below DeviceClasses. */

import type { FoundKey, RegistryKey } from '../cm/registry-tree.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS } from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { instancePath, systemClassGuid } from './device-identity.ts';
import type { DeviceInterface } from './device-interfaces.ts';
import type { PnpDevice } from './plug-and-play.ts';

/** PLUGPLAY_REGKEY_*, wdm.h */
const keyType = { device: 1, driver: 2, currentHardwareProfile: 4 } as const;
const controlSet = ['MACHINE', 'SYSTEM', 'ControlSet001'];

function partsOf({ identity }: PnpDevice, type: number): readonly string[] | undefined {
  if (type === keyType.device)
    return [...controlSet, 'Enum', ...instancePath(identity).split('\\'), 'Device Parameters'];
  if (type === keyType.driver) return [...controlSet, 'Control', 'Class', systemClassGuid, identity.instance];
  return undefined;
}

/** `DeviceClasses\{GUID}\##?#ROOT#…#{GUID}\#reference`: the link's backslashes become number signs. */
function partsOfInterface({ link, base, guid }: DeviceInterface): readonly string[] {
  const names = [guid, base.replace('\\??\\', '##?#'), `#${link.slice(base.length + 1)}`];
  return [...controlSet, 'Control', 'DeviceClasses', ...names, 'Device Parameters'];
}

/** The key at a path from the root; what is missing is created, as the device's installation does. */
function keyAt({ registry }: Nt, parts: readonly string[]): FoundKey {
  let key: RegistryKey = registry.tree.root;
  for (const name of parts) {
    const child = registry.tree.child(key, name);
    const made = child === undefined ? registry.tree.createKey(key, name) : { status: STATUS_SUCCESS, key: child };
    if (made.key === undefined) return made;
    key = made.key;
  }
  return { status: STATUS_SUCCESS, key };
}

interface OpenKey {
  readonly access: number;
  readonly handleAt: Parameters<Nt['registry']['open']>[4];
}

interface OpenDeviceKey extends OpenKey {
  readonly device: PnpDevice;
  readonly type: number;
}

function openAt(nt: Nt, parts: readonly string[], { access, handleAt }: OpenKey, call: Call): number {
  const { status, key } = keyAt(nt, parts);
  if (key === undefined) return status;
  nt.registry.open(call, key, access, true, handleAt);
  return STATUS_SUCCESS;
}

function open(nt: Nt, { device, type, ...request }: OpenDeviceKey, call: Call): Outcome {
  if ((type & keyType.currentHardwareProfile) !== 0) return unsupported('registry keys of the hardware profile');
  const parts = partsOf(device, type);
  return parts === undefined ? STATUS_INVALID_PARAMETER : openAt(nt, parts, request, call);
}

export const pnpRegistry = ntExports('ntoskrnl.exe', {
  IoOpenDeviceRegistryKey: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioopendeviceregistrykey',
    irql: passiveOnly,
    params: {
      DeviceObject: pointerTo('DEVICE_OBJECT'),
      DevInstKeyType: ULONG,
      DesiredAccess: ACCESS_MASK,
      DeviceRegKey: PVOID,
    },
    returns: 'NTSTATUS',
    support: { partial: 'PLUGPLAY_REGKEY_CURRENT_HWPROFILE' },
    body: (nt, args, call) => {
      const device = nt.io.pnp.present(args.DeviceObject);
      const { DevInstKeyType: type, DesiredAccess: access, DeviceRegKey: handleAt } = args;
      return open(nt, { device, type, access, handleAt }, call);
    },
  }),
  /** The driver closes the handle with ZwClose. */
  IoOpenDeviceInterfaceRegistryKey: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioopendeviceinterfaceregistrykey',
    irql: passiveOnly,
    params: { SymbolicLinkName: pointerTo('UNICODE_STRING'), DesiredAccess: ACCESS_MASK, DeviceInterfaceRegKey: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { SymbolicLinkName, DesiredAccess: access, DeviceInterfaceRegKey: handleAt }, call) => {
      const found = nt.io.interfaces.find(readUnicodeString(nt.memory, SymbolicLinkName));
      if (found === undefined) return STATUS_OBJECT_NAME_NOT_FOUND;
      return openAt(nt, partsOfInterface(found), { access, handleAt }, call);
    },
  }),
});
