/** Registry keys of a device: its parameters below Enum, its driver's below Class. */

import type { FoundKey, RegistryKey } from '../cm/registry-tree.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { ACCESS_MASK, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { instancePath, systemClassGuid } from './device-identity.ts';
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

interface OpenDeviceKey {
  readonly device: PnpDevice;
  readonly type: number;
  readonly access: number;
  readonly handleAt: Parameters<Nt['registry']['open']>[4];
}

function open(nt: Nt, { device, type, access, handleAt }: OpenDeviceKey, call: Call): Outcome {
  if ((type & keyType.currentHardwareProfile) !== 0) return unsupported('registry keys of the hardware profile');
  const parts = partsOf(device, type);
  if (parts === undefined) return STATUS_INVALID_PARAMETER;
  const { status, key } = keyAt(nt, parts);
  if (key === undefined) return status;
  nt.registry.open(call, key, access, true, handleAt);
  return STATUS_SUCCESS;
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
});
