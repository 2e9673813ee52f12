/**
 * What lies behind the memory and port ranges of a device of the simulated bus: registers that start as zeros and keep what
 * is written to them. Nothing acts on them; devices with behaviour of their own are `hardware.ts`.
 */
import type { StoreMap } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import { vaAdd } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import type { Nt } from '../nt.ts';
import type { DeviceResource } from './resources.ts';

interface PortRange {
  readonly start: number;
  readonly bytes: number;
  /** Where the registers lie, in the kernel's own memory. */
  readonly registers: Va;
}

export class DeviceRegisters {
  private readonly nt: Nt;
  private readonly ranges: StoreMap<number, readonly PortRange[]>;
  /** Page frame numbers, by device. */
  private readonly pages: StoreMap<number, readonly number[]>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.ranges = nt.stores.map('pnp/port-ranges');
    this.pages = nt.stores.map('pnp/register-pages');
  }

  /** The device is on the bus. */
  add(pdo: Va, resources: readonly DeviceResource[]): void {
    const ranges: PortRange[] = [];
    const pages: number[] = [];
    for (const resource of resources) {
      if (resource.type === 'port') {
        const registers = this.nt.pool.allocateKernel(resource.bytes, 'PnpP');
        ranges.push({ start: resource.start, bytes: resource.bytes, registers });
      } else if (resource.type === 'memory') {
        const first = resource.start / pageSize;
        for (let pfn = first; pfn < first + resource.bytes / pageSize; pfn++) {
          if (this.nt.addressSpace.frames.addDevicePage(pfn)) pages.push(pfn);
        }
      }
    }
    this.ranges.set(pdo, ranges);
    this.pages.set(pdo, pages);
  }

  /** The device is gone; what is still mapped keeps its pages. */
  remove(pdo: Va): void {
    for (const { registers } of this.ranges.get(pdo) ?? []) this.nt.pool.freeKernel(registers);
    for (const pfn of this.pages.get(pdo) ?? []) this.nt.addressSpace.frames.removeDevicePage(pfn);
    this.ranges.delete(pdo);
    this.pages.delete(pdo);
  }

  /** Undefined for a port that no device has. */
  readPort(port: number, bytes: 1 | 2 | 4): number | undefined {
    const at = this.registersAt(port, bytes);
    if (at === undefined) return this.nt.io.hardware.readPort(port, bytes);
    const { memory } = this.nt;
    return bytes === 1 ? memory.readU8(at) : bytes === 2 ? memory.readU16(at) : memory.readU32(at);
  }

  /** False for a port that no device has. */
  writePort(port: number, bytes: 1 | 2 | 4, value: number): boolean {
    const at = this.registersAt(port, bytes);
    if (at === undefined) return this.nt.io.hardware.writePort(port, bytes, value);
    const { memory } = this.nt;
    if (bytes === 1) memory.writeU8(at, value & 0xff);
    else if (bytes === 2) memory.writeU16(at, value & 0xffff);
    else memory.writeU32(at, value >>> 0);
    return true;
  }

  /** Whether some device has the port. */
  hasPort(port: number): boolean {
    return this.registersAt(port, 1) !== undefined || this.nt.io.hardware.hasPort(port);
  }

  private registersAt(port: number, bytes: number): Va | undefined {
    for (const ranges of this.ranges.values()) {
      const found = ranges.find((range) => port >= range.start && port + bytes <= range.start + range.bytes);
      if (found !== undefined) return vaAdd(found.registers, port - found.start);
    }
    return undefined;
  }
}
