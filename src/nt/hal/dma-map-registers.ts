/** Map register files: how a request's registers come and go, and which pages of the HAL's they bring. */
import { nullVa } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { firstPfn } from '../mm/frames.ts';
import type { Nt } from '../nt.ts';
import {
  type DmaAdapter,
  type DoubleBuffer,
  fileHeaderBytes,
  type MapRegisterFile,
  registerAddress,
  registerBytes,
} from './dma-adapters.ts';
import { allocateDoubleBuffers, freeDoubleBuffers } from './dma-double-buffers.ts';

/** Files of the HAL's own memory. */
const fileTag = 'Hal ';

/** Whether the device can't use the driver's pages: it does not reach all memory, or needs them in a row. */
export function needsBuffers(nt: Nt, { description, highestAddress }: DmaAdapter): boolean {
  const endOfRam = BigInt(nt.memory.frameCount + firstPfn) * BigInt(pageSize);
  return !description.isScatterGather || highestAddress < endOfRam - 1n;
}

/** Whether the adapter has so many registers left. Only those with pages of the HAL's are limited altogether. */
export function hasRegisters(nt: Nt, adapter: DmaAdapter, count: number): boolean {
  if (!needsBuffers(nt, adapter)) return true;
  let taken = 0;
  for (const file of nt.dma.files.values()) if (file.adapter === adapter.adapter) taken += file.count;
  return taken + count <= adapter.mapRegisters;
}

type FileRequest = Omit<MapRegisterFile, 'base' | 'adapter' | 'buffered'>;

/** Undefined if the memory for pages that the device needs is short. */
export function allocateFile(nt: Nt, adapter: DmaAdapter, request: FileRequest): MapRegisterFile | undefined {
  const { count } = request;
  const buffers = buffersFor(nt, adapter, request);
  if (buffers === undefined) return undefined;
  const base = nt.pool.allocateKernel(fileHeaderBytes + count * registerBytes, fileTag);
  const file: MapRegisterFile = { ...request, base, adapter: adapter.adapter, buffered: buffers.length };
  nt.memory.writeU32(base, count);
  for (const [index, buffer] of buffers.entries()) {
    const address = registerAddress(base, index);
    nt.dma.registers.set(address, { address, file: base, index, buffer, transfer: undefined });
  }
  nt.dma.files.set(base, file);
  nt.events.emit('mapRegistersAllocated', { file });
  return file;
}

/** The first registers' double buffers; undefined if those that the device needs are not to be had. */
function buffersFor(nt: Nt, adapter: DmaAdapter, request: FileRequest): DoubleBuffer[] | undefined {
  const { count } = request;
  const guarded = Math.min(count, nt.dma.buffering.guardedRegisters(adapter, count, request));
  const isNeeded = needsBuffers(nt, adapter);
  if (isNeeded && !adapter.description.isScatterGather) {
    const withGuards = guarded > 0 ? allocateDoubleBuffers(nt, adapter, count, true) : undefined;
    return withGuards ?? allocateDoubleBuffers(nt, adapter, count, false);
  }
  const first = guarded > 0 ? (allocateDoubleBuffers(nt, adapter, guarded, true) ?? []) : [];
  if (!isNeeded) return first;
  const rest = allocateDoubleBuffers(nt, adapter, count - first.length, false);
  if (rest === undefined) freeDoubleBuffers(nt, first);
  return rest === undefined ? undefined : [...first, ...rest];
}

/** What is still mapped is so no more, and data in double buffers is lost. */
export function freeFile(nt: Nt, file: MapRegisterFile): void {
  nt.events.emit('mapRegistersFreed', { file });
  const buffers: DoubleBuffer[] = [];
  for (const { id, firstRegister, registers } of nt.dma.transfersOf(file.base)) {
    for (let index = 0; index < registers; index++) nt.dma.setTransfer(file, firstRegister + index, undefined);
    nt.dma.transfers.delete(id);
  }
  for (let index = 0; index < file.buffered; index++) {
    const { address, buffer } = nt.dma.register(file, index);
    if (buffer !== undefined) buffers.push(buffer);
    nt.dma.registers.delete(address);
  }
  freeDoubleBuffers(nt, buffers);
  nt.dma.files.delete(file.base);
  nt.dma.nextRegisters.delete(file.base);
  nt.pool.freeKernel(file.base);
  for (const channel of nt.dma.channels.values()) {
    if (channel.base === file.base) nt.dma.channels.set(channel.adapter, { ...channel, base: nullVa });
  }
}
