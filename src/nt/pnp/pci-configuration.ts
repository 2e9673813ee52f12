/**
 * Configuration space of a device with a model: a PCI header of type 0 and the capability of message-signalled interrupts.
 * Base address registers and the identity cannot be changed by writing; the PCI bus driver alone would.
 * Reference: PCI Local Bus Specification 3.0, chapter 6 and section 6.8.
 */
import type { StoreBytes } from '../../base/store-bytes.ts';
import type { DeviceModel, DeviceRange } from '../../hardware/device-model.ts';
import { type DeviceResource, interruptsOf } from './resources.ts';

export const configurationBytes = 0x100;

/** Bits of the command register. */
export const PciCommand = { Io: 1, Memory: 2, BusMaster: 4 } as const;

const Field = {
  Vendor: 0x00,
  Device: 0x02,
  Command: 0x04,
  Status: 0x06,
  Revision: 0x08,
  CacheLineSize: 0x0c,
  Bars: 0x10,
  SubsystemVendor: 0x2c,
  Subsystem: 0x2e,
  Capabilities: 0x34,
  InterruptLine: 0x3c,
  InterruptPin: 0x3d,
} as const;
const hasCapabilities = 0x10;

const msiAt = 0x50;
const Msi = { id: 5, control: msiAt + 2, address: msiAt + 4, data: msiAt + 12 } as const;
const msiIs64Bit = 0x80;
const msiEnabled = 1;
const messageAddress = 0xfee0_0000;

/** Bits that a driver can change, by byte; all others stay. */
const writable: Readonly<Record<number, number>> = {
  // Command: decoding, bus master, special cycles, parity, SERR#, INTx# off.
  [Field.Command]: 0x5f,
  [Field.Command + 1]: 0x05,
  [Field.CacheLineSize]: 0xff,
  [Field.CacheLineSize + 1]: 0xff,
  [Field.InterruptLine]: 0xff,
};
/** Behind the header and the capability: whatever the device has for its driver, which here is nothing. */
const firstFree = 0x60;

export class PciConfiguration {
  private readonly bytes: StoreBytes;

  constructor(bytes: StoreBytes) {
    this.bytes = bytes;
  }

  /** As firmware and the PCI bus driver leave it before a driver starts. */
  reset({ pci, ranges, interrupts = {} }: DeviceModel, resources: readonly DeviceResource[]): void {
    this.bytes.clear();
    this.set(Field.Vendor, 2, pci.vendor);
    this.set(Field.Device, 2, pci.device);
    this.set(Field.Revision, 4, ((pci.classCode << 8) | (pci.revision ?? 0)) >>> 0);
    this.set(Field.SubsystemVendor, 2, pci.subsystemVendor ?? 0);
    this.set(Field.Subsystem, 2, pci.subsystem ?? 0);
    this.setRanges(ranges, resources);
    const line = interruptsOf(resources).find(({ isMessage }) => !isMessage);
    this.set(Field.InterruptLine, 1, line?.rawVector ?? 0xff);
    this.set(Field.InterruptPin, 1, line === undefined ? 0 : 1);
    const messages = interrupts.messages ?? 0;
    if (messages === 0) return;
    this.set(Field.Status, 2, hasCapabilities);
    this.set(Field.Capabilities, 1, msiAt);
    this.set(msiAt, 1, Msi.id);
    const log = Math.log2(messages);
    this.set(Msi.control, 2, msiIs64Bit | (log << 1));
  }

  private setRanges(ranges: readonly DeviceRange[], resources: readonly DeviceResource[]): void {
    const given = resources.filter(({ type }) => type === 'memory' || type === 'port');
    let register = Field.Bars as number;
    for (const [index, { type, is64Bit, isPrefetchable }] of ranges.entries()) {
      const resource = given[index];
      if (resource?.type !== 'memory' && resource?.type !== 'port') continue;
      const bits = type === 'port' ? 1 : (is64Bit === true ? 4 : 0) | (isPrefetchable === true ? 8 : 0);
      this.set(register, 4, ((resource.start % 0x1_0000_0000) | bits) >>> 0);
      register += 4;
      if (type !== 'memory' || is64Bit !== true) continue;
      this.set(register, 4, Math.floor(resource.start / 0x1_0000_0000));
      register += 4;
    }
  }

  get command(): number {
    return this.get(Field.Command, 2);
  }

  set command(value: number) {
    this.set(Field.Command, 2, value);
  }

  /** The kernel has the messages delivered to a vector; undefined: not any more. */
  setMessages(vector: number | undefined): void {
    const control = this.get(Msi.control, 2) & ~msiEnabled;
    this.set(Msi.control, 2, vector === undefined ? control : control | msiEnabled);
    this.set(Msi.address, 4, vector === undefined ? 0 : messageAddress);
    this.set(Msi.data, 2, vector ?? 0);
  }

  read(offset: number, into: Uint8Array): void {
    this.bytes.read(offset, into);
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const [index, value] of bytes.entries()) {
      const at = offset + index;
      const mask = at >= firstFree ? 0xff : (writable[at] ?? 0);
      this.set(at, 1, (this.get(at, 1) & ~mask) | (value & mask));
    }
  }

  private get(offset: number, bytes: number): number {
    let value = 0;
    for (let index = bytes - 1; index >= 0; index--) value = value * 0x100 + this.bytes.at(offset + index);
    return value;
  }

  private set(offset: number, bytes: number, value: number): void {
    const from = new Uint8Array(4);
    new DataView(from.buffer).setUint32(0, value >>> 0, true);
    this.bytes.write(offset, from.subarray(0, bytes));
  }
}
