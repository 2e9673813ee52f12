/** Properties of devices and of device interfaces that drivers set for each other, by DEVPROPKEY (devpropdef.h). */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { passiveOnly, upToApc } from '../declare/irql-ranges.ts';
import { ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_BUFFER_TOO_SMALL, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS } from '../ntstatus.ts';
import { readUnicodeString } from '../rtl/guest-text.ts';
import { guidBytes, guidText } from '../rtl/guid.ts';

const pdevice = pointerTo('DEVICE_OBJECT');
const pstring = pointerTo('UNICODE_STRING');

/** DEVPROP_TYPE_EMPTY: setting it deletes the property. */
const emptyType = 0;

interface Setting {
  readonly PropertyKey: Va;
  readonly Lcid: number;
  readonly Flags: number;
  readonly Type: number;
  readonly Size: number;
  readonly Data: Va;
}

interface Query {
  readonly PropertyKey: Va;
  readonly Lcid: number;
  readonly Size: number;
  readonly Data: Va;
  readonly RequiredSize: Va;
  readonly Type: Va;
}

/** DEVPROPKEY: a GUID and a number. */
function keyOf({ memory }: Nt, key: Va): { readonly guid: string; readonly name: string } {
  const guid = guidText(memory.readBytes(key, guidBytes));
  return { guid, name: `${guid} ${memory.readU32(vaAdd(key, guidBytes))}` };
}

/** Families of DEVPKEY_Device_*, DEVPKEY_DeviceInterface_* and their like (devpkey.h), which the system sets itself. */
const systemFamilies: readonly string[] = [
  '{A45C254E-DF1C-4EFD-8020-67D146A850E0}',
  '{4340A6C5-93FA-4706-972C-7B648008A5A7}',
  '{83DA6326-97A6-4088-9453-A1923F573B29}',
  '{540B947E-8B40-45BC-A8A2-6A0B894CBDA2}',
  '{80497100-8C73-48B9-AAD9-CE387E19C56E}',
  '{A8B865DD-2E3D-4094-AD97-E593A70C75D6}',
  '{026E516E-B814-414B-83CD-856D6FEF4822}',
];

function set(nt: Nt, owner: string, args: Setting): number {
  const { name } = keyOf(nt, args.PropertyKey);
  if (args.Type === emptyType || args.Data === nullVa) {
    return nt.io.pnp.deleteProperty(owner, `${name} ${args.Lcid}`) ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
  }
  const data = [...nt.memory.readBytes(args.Data, args.Size)];
  nt.io.pnp.setProperty(owner, `${name} ${args.Lcid}`, { type: args.Type, data });
  return STATUS_SUCCESS;
}

/** The size is told also where there is too little room. */
function get(nt: Nt, owner: string, args: Query): Outcome {
  const { guid, name } = keyOf(nt, args.PropertyKey);
  const property = nt.io.pnp.property(owner, `${name} ${args.Lcid}`);
  if (property === undefined) {
    if (systemFamilies.includes(guid.toUpperCase())) return unsupported(`the device property ${name}`);
    nt.memory.writeU32(args.RequiredSize, 0);
    return STATUS_OBJECT_NAME_NOT_FOUND;
  }
  nt.memory.writeU32(args.RequiredSize, property.data.length);
  nt.memory.writeU32(args.Type, property.type);
  if (property.data.length > args.Size) return STATUS_BUFFER_TOO_SMALL;
  nt.memory.writeBytes(args.Data, Uint8Array.from(property.data));
  return STATUS_SUCCESS;
}

const key = { PropertyKey: PVOID, Lcid: ULONG, Flags: ULONG } as const;
const value = { Type: ULONG, Size: ULONG, Data: PVOID } as const;
const room = { Size: ULONG, Data: PVOID, RequiredSize: PVOID, Type: PVOID } as const;

/** They last as long as the life: the registry keeps what is persistent, and nothing starts Windows again. */
export const propertyRoutines = {
  IoSetDevicePropertyData: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosetdevicepropertydata',
    irql: upToApc,
    params: { Pdo: pdevice, ...key, ...value },
    returns: 'NTSTATUS',
    body: (nt, { Pdo, ...args }) => set(nt, nt.io.pnp.propertyOwner(Pdo), args),
  }),
  IoGetDevicePropertyData: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdevicepropertydata',
    irql: upToApc,
    params: { Pdo: pdevice, ...key, ...room },
    returns: 'NTSTATUS',
    support: { partial: 'what drivers set; of the properties that the system sets, none' },
    body: (nt, { Pdo, ...args }) => get(nt, nt.io.pnp.propertyOwner(Pdo), args),
  }),
  IoSetDeviceInterfacePropertyData: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosetdeviceinterfacepropertydata',
    irql: upToApc,
    params: { SymbolicLinkName: pstring, ...key, ...value },
    returns: 'NTSTATUS',
    body: (nt, { SymbolicLinkName, ...args }) => {
      const found = nt.io.interfaces.find(readUnicodeString(nt.memory, SymbolicLinkName));
      return found === undefined ? STATUS_OBJECT_NAME_NOT_FOUND : set(nt, found.link.toLowerCase(), args);
    },
  }),
  IoGetDeviceInterfacePropertyData: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdeviceinterfacepropertydata',
    irql: passiveOnly,
    params: { SymbolicLinkName: pstring, ...key, ...room },
    returns: 'NTSTATUS',
    support: { partial: 'what drivers set; of the properties that the system sets, none' },
    body: (nt, { SymbolicLinkName, ...args }) => {
      const found = nt.io.interfaces.find(readUnicodeString(nt.memory, SymbolicLinkName));
      return found === undefined ? STATUS_OBJECT_NAME_NOT_FOUND : get(nt, found.link.toLowerCase(), args);
    },
  }),
};
