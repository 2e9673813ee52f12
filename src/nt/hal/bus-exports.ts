/**
 * Configuration space by bus and slot, as drivers from before plug and play look for devices. The machine has one PCI
 * bus, number 0, with the device that has a model, if there is one (`pnp/hardware.ts`).
 */
import { nullVa, type Va } from '../../base/va.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';

/** BUS_DATA_TYPE: PCIConfiguration */
const pciConfiguration = 4;
/** Behind it a device's own registers begin (PCI_COMMON_HDR_LENGTH). */
const headerBytes = 0x40;
/** What a slot without a device shows of itself: its vendor ID, 0xFFFF. */
const vendorIdBytes = 2;

interface BusDataArguments {
  readonly BusDataType: number;
  readonly BusNumber: number;
  readonly SlotNumber: number;
  readonly Buffer: Va;
  readonly Length: number;
}

/** The device with a model that stands in the slot; null if none does. */
function deviceAt(nt: Nt, { BusDataType, BusNumber, SlotNumber }: BusDataArguments): Va {
  return BusDataType === pciConfiguration && BusNumber === 0 ? nt.io.hardware.inSlot(SlotNumber) : nullVa;
}

/** How many bytes were read: none of a bus that does not exist, and only the vendor ID of an empty slot. */
function readBusData(nt: Nt, args: BusDataArguments, offset: number): number {
  const { BusDataType, BusNumber, Buffer, Length } = args;
  const device = deviceAt(nt, args);
  if (device !== nullVa) return nt.io.busInterfaces.transfer(device, Buffer, offset, Length, false);
  if (BusDataType !== pciConfiguration || BusNumber !== 0 || offset >= headerBytes) return 0;
  const bytes = Math.min(Math.max(vendorIdBytes - offset, 0), Length);
  if (bytes > 0) nt.memory.fill(Buffer, bytes, 0xff);
  return bytes;
}

/** How many bytes were written: none where no device takes them. */
function writeBusData(nt: Nt, args: BusDataArguments, offset: number): number {
  const device = deviceAt(nt, args);
  return device === nullVa ? 0 : nt.io.busInterfaces.transfer(device, args.Buffer, offset, args.Length, true);
}

const parameters = { BusDataType: ULONG, BusNumber: ULONG, SlotNumber: ULONG, Buffer: PVOID } as const;
const support = { partial: 'one PCI bus, on it the device with a model, if there is one; no other bus' } as const;

export const halBuses = ntExports('hal.dll', {
  HalGetBusData: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-halgetbusdata',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { ...parameters, Length: ULONG },
    returns: 'ULONG',
    support,
    body: (nt, args) => readBusData(nt, args, 0),
  }),
  HalGetBusDataByOffset: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-halgetbusdatabyoffset',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { ...parameters, Offset: ULONG, Length: ULONG },
    returns: 'ULONG',
    support,
    body: (nt, args) => readBusData(nt, args, args.Offset),
  }),
  HalSetBusData: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-halsetbusdata',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { ...parameters, Length: ULONG },
    returns: 'ULONG',
    support,
    body: (nt, args) => writeBusData(nt, args, 0),
  }),
  HalSetBusDataByOffset: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-halsetbusdatabyoffset',
    irql: ['PASSIVE', 'DISPATCH'],
    params: { ...parameters, Offset: ULONG, Length: ULONG },
    returns: 'ULONG',
    support,
    body: (nt, args) => writeBusData(nt, args, args.Offset),
  }),
});
