/** What tests of DMA need: adapters, buffers whose physical pages are known, and callbacks that return. */
import { type Va, vaAdd } from '../src/base/va.ts';
import { Gpr } from '../src/engine/cpu/state.ts';
import { Access } from '../src/engine/memory/layout.ts';
import { AddressMap } from '../src/nt/address-map.ts';
import { ResumedCall } from '../src/nt/declare/call.ts';
import { isAction, type Outcome } from '../src/nt/declare/outcome.ts';
import { initialiseMdl, writePfn } from '../src/nt/mm/mdl-layout.ts';
import { DEVICE_DESCRIPTION, DEVICE_DESCRIPTION_V3 } from '../src/nt/structures/dma.ts';
import { DEVICE_OBJECT, MDL, MdlFlag } from '../src/nt/structures/io.ts';
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

/** What a routine that called the driver's AdapterControl or AdapterListControl answers when that has returned. */
export function returned(kernel: KernelCaller, name: string, outcome: Outcome, result = 0): Outcome {
  if (!isAction(outcome) || outcome.action !== 'call-guest') throw new Error(`${name} called nobody`);
  const { nt, image } = kernel;
  nt.cpu.state.setGpr(Gpr.Rax, BigInt(result));
  const go = nt.entries.routine(name)?.routine.resume?.[outcome.resume];
  if (go === undefined) throw new Error(`${name} has no resume point ${outcome.resume}`);
  return go(nt, new ResumedCall(nt, name, image, nt.cpu.state.gprVa(Gpr.Rsp), outcome.record));
}

export interface DmaMemory {
  readonly mdl: Va;
  /** MmGetMdlVirtualAddress */
  readonly va: Va;
  /** Physical addresses of its pages. */
  readonly pages: readonly number[];
}

/**
 * A locked buffer that begins `offset` bytes into the first of its pages, of which `order` says how they follow each
 * other in physical memory: [0, 2, 1] are three, the latter two exchanged. Its bytes count up from `first`.
 */
export function dmaMemory(
  kernel: KernelCaller,
  order: readonly number[],
  offset: number,
  bytes: number,
  first = 1,
): DmaMemory {
  const { memory, pool, addressSpace } = kernel.nt;
  const start = memory.allocateContiguousFrames(order.reduce((last, frame) => Math.max(last, frame), 0) + 1);
  if (start === undefined) throw new Error('no memory');
  const va = addressSpace.reserve(AddressMap.systemPtes, order.length + 1);
  if (va === undefined) throw new Error('no addresses');
  const mdl = pool.allocateKernel(MDL.sizeBytes + order.length * 8, 'Test');
  initialiseMdl(memory, mdl, vaAdd(va, offset), bytes, MdlFlag.PagesLocked);
  for (const [index, frame] of order.entries()) {
    memory.mapPage(vaAdd(va, index * 0x1000), start + frame, Access.Read | Access.Write);
    writePfn(memory, mdl, index, addressSpace.frames.pfnOf(start + frame));
  }
  const contents = new Uint8Array(bytes);
  for (let index = 0; index < bytes; index++) contents[index] = first + index;
  memory.writeBytes(vaAdd(va, offset), contents);
  const pages = order.map((frame) => addressSpace.frames.pfnOf(start + frame) * 0x1000);
  return { mdl, va: vaAdd(va, offset), pages };
}

/** The device is any device object with room for a wait context block. */
export function dmaDeviceObject(kernel: KernelCaller, irp = 0x1234): Va {
  const device = kernel.nt.pool.allocateKernel(0x150, 'Test');
  DEVICE_OBJECT.CurrentIrp.set(kernel.nt.memory, device, irp as Va);
  return device;
}
