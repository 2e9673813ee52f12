/** A DEVICE_DESCRIPTION and the adapter that a driver gets for it. */
import { type Va, vaAdd } from '../src/base/va.ts';
import { DEVICE_DESCRIPTION, DEVICE_DESCRIPTION_V3 } from '../src/nt/structures/dma.ts';
import type { KernelCaller } from './kernel-caller.ts';

export interface DmaDevice {
  readonly version?: number;
  readonly scatterGather?: boolean;
  readonly dma64?: boolean;
  readonly addressWidth?: number;
  readonly maximumLength?: number;
}

export interface ObtainedAdapter {
  readonly adapter: Va;
  readonly mapRegisters: number;
  readonly description: Va;
  /** Where the number of map registers stands. */
  readonly count: Va;
}

/** A bus master of 64 bits that knows scatter/gather and moves 64 KB at most, unless told. */
export function describeDevice(kernel: KernelCaller, device: DmaDevice): ObtainedAdapter {
  const { memory, pool } = kernel.nt;
  const description = pool.allocateKernel(0x40, 'Test');
  const count = pool.allocateKernel(8, 'Test');
  DEVICE_DESCRIPTION.Version.set(memory, description, device.version ?? 2);
  DEVICE_DESCRIPTION.Master.set(memory, description, 1);
  DEVICE_DESCRIPTION.ScatterGather.set(memory, description, (device.scatterGather ?? true) ? 1 : 0);
  DEVICE_DESCRIPTION.Dma64BitAddresses.set(memory, description, (device.dma64 ?? true) ? 1 : 0);
  DEVICE_DESCRIPTION.InterfaceType.set(memory, description, 5);
  DEVICE_DESCRIPTION.MaximumLength.set(memory, description, device.maximumLength ?? 0x10000);
  const tail = vaAdd(description, DEVICE_DESCRIPTION.sizeBytes);
  DEVICE_DESCRIPTION_V3.DmaAddressWidth.set(memory, tail, device.addressWidth ?? 64);
  const adapter = kernel.callVa('IoGetDmaAdapter', 0, description, count);
  return { adapter, mapRegisters: memory.readU32(count), description, count };
}
