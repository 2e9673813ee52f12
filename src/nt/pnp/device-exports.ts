/** What drivers ask the PnP manager: properties of a device, its interfaces, to be asked again. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call } from '../declare/call.ts';
import { passiveOnly, upToDispatch } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { BOOLEAN, PVOID, pointerTo, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_2,
  STATUS_NO_MEMORY,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { readUnicodeString, utf16OfText } from '../rtl/guest-text.ts';
import { guidBytes, guidText } from '../rtl/guid.ts';
import { allocateStringBuffer, createString } from '../rtl/string-buffers.ts';
import { DeviceRelation } from '../structures/pnp.ts';
import { enumeratorOf, multiText, systemClassGuid } from './device-identity.ts';
import type { PnpDevice } from './plug-and-play.ts';
import { propertyRoutines } from './property-exports.ts';

const pdevice = pointerTo('DEVICE_OBJECT');
const pstring = pointerTo('UNICODE_STRING');
const pguid = pointerTo('GUID');

const textValue = (text: string): Uint8Array => utf16OfText(`${text}\0`);
const multiValue = (names: readonly string[]): Uint8Array | undefined =>
  names.length === 0 ? undefined : utf16OfText(multiText(names));
const numberValue = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);

/** DEVICE_REGISTRY_PROPERTY to its value; what is not here this device does not have. */
const properties: Readonly<Record<number, (device: PnpDevice, nt: Nt) => Uint8Array | undefined>> = {
  // DevicePropertyDeviceDescription
  0: ({ identity }) => textValue(identity.description),
  // DevicePropertyHardwareID, REG_MULTI_SZ
  1: ({ identity }) => multiValue(identity.hardwareIds),
  // DevicePropertyCompatibleIDs, REG_MULTI_SZ
  2: ({ identity }) => multiValue(identity.compatibleIds),
  // DevicePropertyClassName
  5: () => textValue('System'),
  // DevicePropertyClassGuid
  6: () => textValue(systemClassGuid),
  // DevicePropertyDriverKeyName
  7: ({ identity }) => textValue(`${systemClassGuid}\\${identity.instance}`),
  // DevicePropertyManufacturer
  8: () => textValue('Poolproof'),
  // DevicePropertyLocationInformation
  10: ({ identity }) => textValue(identity.location),
  // DevicePropertyPhysicalDeviceObjectName
  11: ({ name }) => textValue(name),
  // DevicePropertyLegacyBusType: PCIBus, as the resource lists say
  13: ({ resources }) => (resources.length === 0 ? undefined : numberValue(5)),
  // DevicePropertyBusNumber
  14: ({ resources }) => (resources.length === 0 ? undefined : numberValue(0)),
  // DevicePropertyEnumeratorName
  15: ({ identity }) => textValue(enumeratorOf(identity)),
  // DevicePropertyAddress: device and function number, of a device with a model
  16: ({ pdo }, nt) => (nt.io.hardware.has(pdo) ? numberValue(nt.io.hardware.slot << 16) : undefined),
  // DevicePropertyInstallState: InstallStateInstalled
  18: () => numberValue(0),
  // DevicePropertyRemovalPolicy: RemovalPolicyExpectSurpriseRemoval
  19: () => numberValue(3),
};
const lastProperty = 22;

interface PropertyQuery {
  readonly DeviceObject: Va;
  readonly DeviceProperty: number;
  readonly BufferLength: number;
  readonly PropertyBuffer: Va;
  readonly ResultLength: Va;
}

function property(nt: Nt, args: PropertyQuery): Outcome {
  const device = nt.io.pnp.present(args.DeviceObject);
  if (args.DeviceProperty > lastProperty) return STATUS_INVALID_PARAMETER_2;
  const value = properties[args.DeviceProperty]?.(device, nt);
  nt.memory.writeU32(args.ResultLength, value?.length ?? 0);
  if (value === undefined) return STATUS_OBJECT_NAME_NOT_FOUND;
  if (value.length > args.BufferLength) return STATUS_BUFFER_TOO_SMALL;
  nt.memory.writeBytes(args.PropertyBuffer, value);
  return STATUS_SUCCESS;
}

interface InterfaceRegistration {
  readonly PhysicalDeviceObject: Va;
  readonly InterfaceClassGuid: Va;
  readonly ReferenceString: Va;
  readonly SymbolicLinkName: Va;
}

function registerInterface(nt: Nt, args: InterfaceRegistration, call: Call): number {
  const reference = args.ReferenceString === nullVa ? '' : readUnicodeString(nt.memory, args.ReferenceString);
  if (/[\\/]/.test(reference)) return STATUS_INVALID_PARAMETER;
  const guid = guidText(nt.memory.readBytes(args.InterfaceClassGuid, guidBytes));
  const link = nt.io.interfaces.register(args.PhysicalDeviceObject, guid, reference);
  return createString(nt, args.SymbolicLinkName, utf16OfText(link), 2, call);
}

interface AliasQuery {
  readonly SymbolicLinkName: Va;
  readonly AliasInterfaceClassGuid: Va;
  readonly AliasSymbolicLinkName: Va;
}

function interfaceAlias(nt: Nt, args: AliasQuery, call: Call): number {
  const found = nt.io.interfaces.find(readUnicodeString(nt.memory, args.SymbolicLinkName));
  if (found === undefined) return STATUS_OBJECT_NAME_NOT_FOUND;
  const guid = guidText(nt.memory.readBytes(args.AliasInterfaceClassGuid, guidBytes));
  const alias = nt.io.interfaces.alias(found, guid);
  if (alias === undefined) return STATUS_OBJECT_NAME_NOT_FOUND;
  return createString(nt, args.AliasSymbolicLinkName, utf16OfText(alias.link), 2, call);
}

interface InterfaceQuery {
  readonly InterfaceClassGuid: Va;
  readonly PhysicalDeviceObject: Va;
  readonly Flags: number;
  readonly SymbolicLinkList: Va;
}

/** DEVICE_INTERFACE_INCLUDE_NONACTIVE */
const includeNonActive = 1;

/** A REG_MULTI_SZ of names that the driver frees with ExFreePool. */
function interfaces(nt: Nt, args: InterfaceQuery, call: Call): number {
  const guid = guidText(nt.memory.readBytes(args.InterfaceClassGuid, guidBytes));
  const { PhysicalDeviceObject: pdo } = args;
  const names = [...nt.io.interfaces.all()]
    .filter((entry) => entry.guid === guid && (pdo === nullVa || entry.pdo === pdo))
    .filter(({ isEnabled }) => isEnabled || (args.Flags & includeNonActive) !== 0)
    .map(({ link }) => `${link}\0`);
  const list = utf16OfText(`${names.join('')}\0`);
  const buffer = allocateStringBuffer(nt, list.length, call);
  if (buffer === undefined) return STATUS_NO_MEMORY;
  nt.memory.writeBytes(buffer, list);
  nt.memory.writeVa(args.SymbolicLinkList, buffer);
  return STATUS_SUCCESS;
}

/** WMIREG_ACTION_*, wdm.h */
const wmiActions = { register: 1, deregister: 2, reregister: 3, updateGuids: 4 } as const;

export const pnpDevices = ntExports('ntoskrnl.exe', {
  ...propertyRoutines,
  /** Asked for in a worker thread, as if the user had. */
  IoRequestDeviceEject: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-iorequestdeviceeject',
    irql: upToDispatch,
    params: { PhysicalDeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { PhysicalDeviceObject }) =>
      nt.io.deviceQueries.queue(nt.io.pnp.present(PhysicalDeviceObject).pdo, 'eject'),
  }),
  IoGetDeviceProperty: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdeviceproperty',
    irql: passiveOnly,
    params: {
      DeviceObject: pdevice,
      DeviceProperty: ULONG,
      BufferLength: ULONG,
      PropertyBuffer: PVOID,
      ResultLength: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, args) => property(nt, args),
  }),
  IoRegisterDeviceInterface: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioregisterdeviceinterface',
    irql: passiveOnly,
    params: {
      PhysicalDeviceObject: pdevice,
      InterfaceClassGuid: pguid,
      ReferenceString: pstring,
      SymbolicLinkName: pstring,
    },
    returns: 'NTSTATUS',
    body: (nt, args, call) => registerInterface(nt, args, call),
  }),
  IoSetDeviceInterfaceState: ntRoutine({
    doc: 'wdm.h; nf-wdm-iosetdeviceinterfacestate',
    irql: passiveOnly,
    params: { SymbolicLinkName: pstring, Enable: BOOLEAN },
    returns: 'NTSTATUS',
    body: (nt, { SymbolicLinkName, Enable }) =>
      nt.io.interfaces.setState(readUnicodeString(nt.memory, SymbolicLinkName), Enable),
  }),
  IoGetDeviceInterfaces: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdeviceinterfaces',
    irql: passiveOnly,
    params: { InterfaceClassGuid: pguid, PhysicalDeviceObject: pdevice, Flags: ULONG, SymbolicLinkList: PVOID },
    returns: 'NTSTATUS',
    body: (nt, args, call) => interfaces(nt, args, call),
  }),
  /** The name's buffer is the driver's to free. */
  IoGetDeviceInterfaceAlias: ntRoutine({
    doc: 'wdm.h; nf-wdm-iogetdeviceinterfacealias',
    irql: passiveOnly,
    params: { SymbolicLinkName: pstring, AliasInterfaceClassGuid: pguid, AliasSymbolicLinkName: pstring },
    returns: 'NTSTATUS',
    body: (nt, args, call) => interfaceAlias(nt, args, call),
  }),
  IoInvalidateDeviceRelations: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioinvalidatedevicerelations',
    irql: upToDispatch,
    params: { DeviceObject: pdevice, Type: ULONG },
    returns: 'VOID',
    support: { partial: 'bus relations only' },
    body: (nt, { DeviceObject, Type }) => {
      const { pdo } = nt.io.pnp.present(DeviceObject);
      if (Type !== DeviceRelation.Bus) return unsupported(`IoInvalidateDeviceRelations with type ${Type}`);
      return nt.io.deviceQueries.queue(pdo, 'queryBusRelations');
    },
  }),
  IoInvalidateDeviceState: ntRoutine({
    doc: 'wdm.h; nf-wdm-ioinvalidatedevicestate',
    irql: upToDispatch,
    params: { PhysicalDeviceObject: pdevice },
    returns: 'VOID',
    body: (nt, { PhysicalDeviceObject }) =>
      nt.io.deviceQueries.queue(nt.io.pnp.present(PhysicalDeviceObject).pdo, 'queryState'),
  }),
  /** The registration is taken note of; nobody asks for data. */
  IoWMIRegistrationControl: ntRoutine({
    doc: 'wdm.h; nf-wdm-iowmiregistrationcontrol',
    irql: passiveOnly,
    params: { DeviceObject: pdevice, Action: ULONG },
    returns: 'NTSTATUS',
    support: { partial: 'the driver is not asked for its data blocks (IRP_MN_REGINFO_EX)' },
    body: (nt, { DeviceObject, Action }) => {
      // The high bits are flags.
      const action = Action & 0xff;
      if (action === wmiActions.register) return nt.io.pnp.registerWmi(DeviceObject);
      if (action === wmiActions.deregister) return nt.io.pnp.deregisterWmi(DeviceObject);
      const isKnown = action === wmiActions.reregister || action === wmiActions.updateGuids;
      return isKnown ? unsupported(`IoWMIRegistrationControl with action ${action}`) : STATUS_INVALID_PARAMETER;
    },
  }),
});
