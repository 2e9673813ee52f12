/**
 * BUS_INTERFACE_STANDARD of a device of the simulated bus, and the configuration space behind it and behind
 * IRP_MN_READ_CONFIG and IRP_MN_WRITE_CONFIG: a PCI header that names the device's resources; what is written stays.
 */
import type { StoreMap } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { upToApc, upToDispatch } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { PVOID, ULONG, ULONG64 } from '../declare/parameter-types.ts';
import { type Origin, originOf } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS } from '../ntstatus.ts';
import { guidBytes, guidText } from '../rtl/guid.ts';
import { BUS_INTERFACE_STANDARD, PNP_PARAMETERS } from '../structures/pnp.ts';
import { configurationBytes } from './pci-configuration.ts';
import { interruptsOf } from './resources.ts';

const busInterfaceStandard = '{496B8280-6F25-11D0-BEAF-08002BE2092F}';
/** PCI_WHICHSPACE_CONFIG */
const configurationSpace = 0;

/** Vendor and device of a device whose hardware ID does not name them. */
const unknownVendor = 0x1234;
const unknownDevice = 0x0001;

/** References to an interface that a driver asked for and has not given back. */
export interface HeldInterface extends Origin {
  readonly pdo: Va;
  readonly count: number;
  readonly drivers: readonly Va[];
}

export class BusInterfaces {
  private readonly nt: Nt;
  private readonly spaces: StoreMap<number, Va>;
  private readonly held: StoreMap<number, HeldInterface>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.spaces = nt.stores.map('pnp/configuration-spaces');
    this.held = nt.stores.map('pnp/bus-interfaces');
  }

  /** What was not given back, also of devices that are gone. */
  outstanding(): IterableIterator<HeldInterface> {
    return this.held.values();
  }

  reference(pdo: Va, by: number): void {
    const before = this.held.get(pdo);
    const count = (before?.count ?? 0) + by;
    if (count <= 0) this.held.delete(pdo);
    else {
      const drivers = this.nt.io.pnp.get(pdo)?.drivers ?? before?.drivers ?? [];
      this.held.set(pdo, { ...(before ?? originOf(this.nt)), pdo, count, drivers });
    }
  }

  /** How many bytes of the range there are; they are copied from or to `buffer`. */
  transfer(pdo: Va, buffer: Va, offset: number, bytes: number, isWrite: boolean): number {
    const count = Math.max(0, Math.min(bytes, configurationBytes - offset));
    if (count === 0) return 0;
    if (this.nt.io.hardware.model !== undefined) return this.transferOfModel(pdo, buffer, offset, count, isWrite);
    const at = vaAdd(this.spaceOf(pdo), offset);
    const { memory } = this.nt;
    if (isWrite) memory.writeBytes(at, memory.readBytes(buffer, count));
    else memory.writeBytes(buffer, memory.readBytes(at, count));
    return count;
  }

  /** Ones where no device is. */
  private transferOfModel(pdo: Va, buffer: Va, offset: number, bytes: number, isWrite: boolean): number {
    const { memory, io } = this.nt;
    const isThere = io.hardware.has(pdo);
    const { configuration } = io.hardware;
    if (isWrite) {
      const written = memory.readBytes(buffer, bytes);
      if (isThere) configuration.write(offset, written);
    } else {
      const read = new Uint8Array(bytes).fill(0xff);
      if (isThere) configuration.read(offset, read);
      memory.writeBytes(buffer, read);
    }
    return bytes;
  }

  /** The device is gone; an interface that somebody still has answers as an empty slot does. */
  forget(pdo: Va): void {
    const space = this.spaces.get(pdo);
    if (space !== undefined) this.nt.pool.freeKernel(space);
    this.spaces.delete(pdo);
  }

  private spaceOf(pdo: Va): Va {
    const known = this.spaces.get(pdo);
    if (known !== undefined) return known;
    const { memory, pool, io } = this.nt;
    const space = pool.allocateKernel(configurationBytes, 'PnpK');
    const device = io.pnp.get(pdo);
    const id = device?.identity.hardwareIds[0] ?? '';
    const [, vendor, product] = /VEN_([0-9a-f]{4})&DEV_([0-9a-f]{4})/i.exec(id) ?? [];
    memory.writeU16(space, vendor === undefined ? unknownVendor : Number.parseInt(vendor, 16));
    memory.writeU16(vaAdd(space, 2), product === undefined ? unknownDevice : Number.parseInt(product, 16));
    // Command: ports, memory, bus master.
    memory.writeU16(vaAdd(space, 4), 7);
    let register = 0x10;
    for (const resource of device?.resources ?? []) {
      if (resource.type !== 'memory' && resource.type !== 'port') continue;
      memory.writeU32(vaAdd(space, register), (resource.start | (resource.type === 'port' ? 1 : 0)) >>> 0);
      register += 4;
    }
    const line = interruptsOf(device?.resources ?? []).find(({ isMessage }) => !isMessage);
    memory.writeU8(vaAdd(space, 0x3c), line?.rawVector ?? 0xff);
    memory.writeU8(vaAdd(space, 0x3d), line === undefined ? 0 : 1);
    this.spaces.set(pdo, space);
    return space;
  }
}

/** IRP_MN_READ_CONFIG, IRP_MN_WRITE_CONFIG */
export function accessConfiguration(nt: Nt, pdo: Va, location: Va, isWrite: boolean): number {
  const which = PNP_PARAMETERS.ConfigWhichSpace.get(nt.memory, location);
  const offset = PNP_PARAMETERS.ConfigOffset.get(nt.memory, location);
  const bytes = PNP_PARAMETERS.ConfigLength.get(nt.memory, location);
  if (which !== configurationSpace || offset + bytes > configurationBytes) return STATUS_INVALID_PARAMETER;
  nt.io.busInterfaces.transfer(pdo, PNP_PARAMETERS.ConfigBuffer.get(nt.memory, location), offset, bytes, isWrite);
  return STATUS_SUCCESS;
}

/** IRP_MN_QUERY_INTERFACE; undefined for an interface that the bus does not have. */
export function giveInterface(nt: Nt, pdo: Va, location: Va): number | undefined {
  const { memory, entries } = nt;
  const guid = guidText(memory.readBytes(PNP_PARAMETERS.InterfaceType.get(memory, location), guidBytes));
  if (guid !== busInterfaceStandard) return undefined;
  if (PNP_PARAMETERS.InterfaceSize.get(memory, location) < BUS_INTERFACE_STANDARD.sizeBytes)
    return STATUS_NOT_SUPPORTED;
  const at = PNP_PARAMETERS.Interface.get(memory, location);
  BUS_INTERFACE_STANDARD.Size.set(memory, at, BUS_INTERFACE_STANDARD.sizeBytes);
  BUS_INTERFACE_STANDARD.Version.set(memory, at, 1);
  BUS_INTERFACE_STANDARD.Context.set(memory, at, pdo);
  BUS_INTERFACE_STANDARD.InterfaceReference.set(memory, at, entries.routineVa('IopBusInterfaceReference'));
  BUS_INTERFACE_STANDARD.InterfaceDereference.set(memory, at, entries.routineVa('IopBusInterfaceDereference'));
  BUS_INTERFACE_STANDARD.TranslateBusAddress.set(memory, at, entries.routineVa('IopTranslateBusAddress'));
  BUS_INTERFACE_STANDARD.GetDmaAdapter.set(memory, at, entries.routineVa('IopBusGetDmaAdapter'));
  BUS_INTERFACE_STANDARD.SetBusData.set(memory, at, entries.routineVa('IopSetBusData'));
  BUS_INTERFACE_STANDARD.GetBusData.set(memory, at, entries.routineVa('IopGetBusData'));
  nt.io.busInterfaces.reference(pdo, 1);
  return STATUS_SUCCESS;
}

const reference = (by: number) =>
  ntRoutine({
    doc: 'wdm.h: PINTERFACE_REFERENCE and PINTERFACE_DEREFERENCE of BUS_INTERFACE_STANDARD',
    irql: upToDispatch,
    params: { Context: PVOID },
    returns: 'VOID',
    body: (nt, { Context }) => nt.io.busInterfaces.reference(Context, by) as undefined,
  });

const busData = (isWrite: boolean) =>
  ntRoutine({
    doc: 'wdm.h; nc-wdm-get_set_device_data',
    irql: upToDispatch,
    params: { Context: PVOID, DataType: ULONG, Buffer: PVOID, Offset: ULONG, Length: ULONG },
    returns: 'ULONG',
    body: (nt, { Context, DataType, Buffer, Offset, Length }) =>
      DataType === configurationSpace ? nt.io.busInterfaces.transfer(Context, Buffer, Offset, Length, isWrite) : 0,
  });

export const pnpBusInterface = ntInternals({
  IopBusInterfaceReference: reference(1),
  IopBusInterfaceDereference: reference(-1),
  IopGetBusData: busData(false),
  IopSetBusData: busData(true),
  /** The bus's addresses are the processor's. */
  IopTranslateBusAddress: ntRoutine({
    doc: 'wdm.h; nc-wdm-translate_bus_address',
    irql: upToDispatch,
    params: { Context: PVOID, BusAddress: ULONG64, Length: ULONG, AddressSpace: PVOID, TranslatedAddress: PVOID },
    returns: 'BOOLEAN',
    body: ({ memory }, { BusAddress, TranslatedAddress }) => {
      memory.writeU64(TranslatedAddress, BusAddress);
      return true;
    },
  }),
  IopBusGetDmaAdapter: ntRoutine({
    doc: 'wdm.h; nc-wdm-get_dma_adapter',
    irql: upToApc,
    params: { Context: PVOID, DeviceDescription: PVOID, NumberOfMapRegisters: PVOID },
    returns: 'PVOID',
    support: { partial: 'as far as IoGetDmaAdapter is' },
    body: (nt, { Context, DeviceDescription, NumberOfMapRegisters }, call): Outcome => {
      // In the name of the driver that asks: it will have to put the adapter.
      const image = nt.images.containing(call.returnAddress);
      const thunk = image?.isDriver === true ? nt.images.internalThunk(image, 'IoGetDmaAdapter') : undefined;
      const routine = thunk ?? nt.entries.routineVa('IoGetDmaAdapter');
      return callGuest(routine, [Context, DeviceDescription, NumberOfMapRegisters], 'got', []);
    },
    resume: { got: (_nt, call) => call.resultVa },
  }),
});
