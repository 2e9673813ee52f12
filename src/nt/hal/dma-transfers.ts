/** Mapping a buffer for a device and flushing it: which registers it takes, and copies where the device sees the HAL's pages. */
import type { Va } from '../../base/va.ts';
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import type { Origin } from '../mm/holder.ts';
import type { Nt } from '../nt.ts';

import type { DmaAdapter, MappedTransfer, MapRegister, MapRegisterFile, PhysicalPart } from './dma-adapters.ts';
import type { DmaBus } from './dma-bus.ts';
import { bufferAddress, guardTransfer, unguardTransfer } from './dma-double-buffers.ts';
import { type Run, runs } from './dma-mdl.ts';

/** Why nothing more could be mapped: what the run can't go on from. */
export type NotMapped = 'no-registers' | 'no-memory' | 'out-of-reach';

export interface Mapping {
  readonly file: MapRegisterFile;
  readonly adapter: DmaAdapter;
  /** The first MDL of the chain; the MDL itself for MapTransfer. */
  readonly chain: Va;
  readonly isWriteToDevice: boolean;
  readonly origin: Origin;
}

/** Maps as much of the run as one fragment can be: to the device it is contiguous. */
export function mapRun(nt: Nt, mapping: Mapping, run: Run): MappedTransfer | NotMapped {
  const inPage = Number(run.physical & BigInt(pageMask));
  const rest = { ...run, bytes: Math.min(run.bytes, pageSize - inPage) };
  const before = mappedBefore(nt, mapping, run);
  const first = nextFree(nt, mapping.file);
  // The page's register is taken already; only pages behind it need more.
  const shared = before === undefined ? 0 : 1;
  if (first === undefined || first.buffer !== undefined) {
    if (before !== undefined) return mapRestOfPage(nt, mapping, rest, before);
    if (first?.buffer === undefined) return 'no-registers';
    const logical = bufferAddress(first.buffer) + BigInt(inPage);
    return take(nt, mapping, rest, first.index, 1, logical, [rest]);
  }
  if (!isReached(mapping, run)) return 'out-of-reach';
  const wanted = Math.ceil((inPage + run.bytes) / pageSize) - shared;
  const registers = freeInARow(nt, mapping.file, first.index, wanted);
  const bytes = Math.min(run.bytes, (registers + shared) * pageSize - inPage);
  return take(nt, mapping, { ...run, bytes }, first.index, registers, run.physical, undefined);
}

/** Maps all runs as one fragment, for a device that knows no scatter/gather. */
export function mapInARow(nt: Nt, mapping: Mapping, all: readonly Run[]): MappedTransfer | NotMapped {
  const [run] = all;
  if (run === undefined) return 'no-registers';
  const bytes = all.reduce((sum, each) => sum + each.bytes, 0);
  const inPage = Number(run.physical & BigInt(pageMask));
  const whole = { ...run, bytes };
  const before = mappedBefore(nt, mapping, run);
  if (before !== undefined && inPage + bytes <= pageSize) return mapRestOfPage(nt, mapping, whole, before);
  const registers = Math.ceil((inPage + bytes) / pageSize);
  const first = firstFreeRun(nt, mapping.file, registers);
  if (first === undefined) return 'no-registers';
  const { buffer } = first;
  if (all.length === 1 && isReached(mapping, run) && buffer?.isGuarded !== true) {
    return take(nt, mapping, whole, first.index, registers, run.physical, undefined);
  }
  if (buffer === undefined) return 'out-of-reach';
  return take(nt, mapping, whole, first.index, registers, bufferAddress(buffer) + BigInt(inPage), all);
}

function isReached({ adapter }: Mapping, { physical, bytes }: Run): boolean {
  return physical + BigInt(bytes) - 1n <= adapter.highestAddress;
}

/** The transfer that a run goes on from in the middle of a page. */
function mappedBefore(nt: Nt, { file }: Mapping, run: Run): MappedTransfer | undefined {
  if ((run.physical & BigInt(pageMask)) === 0n) return undefined;
  return nt.dma.transfersOf(file.base).find(({ mdl, va, bytes, parts }) => {
    const last = parts.at(-1);
    const end = last === undefined ? undefined : last.physical + BigInt(last.bytes);
    return mdl === run.mdl && va + bytes === run.va && end === run.physical;
  });
}

/**
 * A page that is mapped piece by piece takes one register. Guards are around the first piece only: the device sees the
 * others in the driver's page.
 */
function mapRestOfPage(nt: Nt, mapping: Mapping, rest: Run, before: MappedTransfer): MappedTransfer | NotMapped {
  const index = before.firstRegister + Math.max(before.registers, 1) - 1;
  if (isReached(mapping, rest)) return take(nt, mapping, rest, index, 0, rest.physical, undefined);
  const { buffer } = nt.dma.register(mapping.file, index);
  if (!before.isBuffered || buffer === undefined || buffer.isGuarded) return 'out-of-reach';
  return take(nt, mapping, rest, index, 0, before.logical + BigInt(before.bytes), [rest]);
}

/** Maps a part of a chain: its fragments, as many as there are registers and `most` for. */
export function mapChain(
  nt: Nt,
  mapping: Mapping,
  offset: number,
  bytes: number,
  most: number,
): readonly MappedTransfer[] | NotMapped {
  if (!mapping.adapter.description.isScatterGather) {
    const transfer = mapInARow(nt, mapping, [...runs(nt, mapping.chain, offset, bytes)]);
    return typeof transfer === 'string' ? transfer : [transfer];
  }
  const transfers: MappedTransfer[] = [];
  for (const run of runs(nt, mapping.chain, offset, bytes)) {
    for (let done = 0; done < run.bytes; ) {
      if (transfers.length === most) return transfers;
      const rest = { ...run, offset: run.offset + done, bytes: run.bytes - done };
      const part = { ...rest, va: (run.va + done) as Va, physical: run.physical + BigInt(done) };
      const transfer = mapRun(nt, mapping, part);
      if (typeof transfer === 'string') {
        return transfer === 'no-registers' && transfers.length > 0 ? transfers : transfer;
      }
      transfers.push(transfer);
      done += transfer.bytes;
    }
  }
  return transfers;
}

/** `buffered`: the driver's memory, where the device sees copies of it. */
function take(
  nt: Nt,
  mapping: Mapping,
  run: Run,
  firstRegister: number,
  registers: number,
  logical: bigint,
  buffered: readonly PhysicalPart[] | undefined,
): MappedTransfer | NotMapped {
  const { file, adapter, chain, isWriteToDevice, origin } = mapping;
  const parts = (buffered ?? [run]).map(({ physical, bytes }) => ({ physical, bytes }));
  const { mdl, va, offset, bytes } = run;
  const place = { id: nt.dma.newId(), file: file.base, adapter: adapter.adapter, firstRegister, registers };
  const isBuffered = buffered !== undefined;
  const what = { chain, mdl, va, offset, logical, bytes, isWriteToDevice, isBuffered, parts };
  const transfer: MappedTransfer = { ...place, ...what, stack: origin.stack, activity: origin.activity };
  if (isBuffered && isWriteToDevice && !copyIn(nt, transfer)) return 'no-memory';
  for (let index = firstRegister; index < firstRegister + registers; index++) {
    nt.dma.setTransfer(file, index, transfer.id);
  }
  nt.dma.transfers.set(transfer.id, transfer);
  nt.dma.nextRegisters.set(file.base, firstRegister + registers);
  guardTransfer(nt, file, transfer);
  nt.events.emit('transferMapped', { file, transfer });
  return transfer;
}

// ---- flushing

/** Unmaps what begins within [offset, offset + bytes) of the chain; data from a device goes to the driver's memory. */
export function flush(
  nt: Nt,
  file: MapRegisterFile,
  range: { readonly chain: Va; readonly offset: number; readonly bytes: number },
  isWriteToDevice: boolean,
): void {
  const end = range.offset + range.bytes;
  for (const transfer of nt.dma.transfersOf(file.base)) {
    if (transfer.chain !== range.chain || transfer.offset < range.offset || transfer.offset >= end) continue;
    unmap(nt, file, transfer, isWriteToDevice, Math.min(transfer.bytes, end - transfer.offset));
  }
}

/** Everything that the file maps. */
export function flushAll(nt: Nt, file: MapRegisterFile, isWriteToDevice: boolean): void {
  for (const transfer of nt.dma.transfersOf(file.base)) unmap(nt, file, transfer, isWriteToDevice, transfer.bytes);
}

function unmap(nt: Nt, file: MapRegisterFile, transfer: MappedTransfer, isWriteToDevice: boolean, bytes: number): void {
  nt.events.emit('transferFlushing', { file, transfer });
  if (transfer.isBuffered && !isWriteToDevice) copyOut(nt, transfer, bytes);
  unguardTransfer(nt, file, transfer);
  for (let index = transfer.firstRegister; index < transfer.firstRegister + transfer.registers; index++) {
    nt.dma.setTransfer(file, index, undefined);
  }
  nt.dma.transfers.delete(transfer.id);
  nt.events.emit('transferFlushed', { file, transfer });
}

function copyIn(nt: Nt, { parts, logical, bytes }: MappedTransfer): boolean {
  const { bus } = nt.dma;
  let done = 0;
  for (const part of parts) {
    const count = Math.min(part.bytes, bytes - done);
    if (!copy(bus, part.physical, logical + BigInt(done), count)) return false;
    done += count;
  }
  return true;
}

function copyOut(nt: Nt, { parts, logical }: MappedTransfer, bytes: number): void {
  let done = 0;
  for (const part of parts) {
    const count = Math.min(part.bytes, bytes - done);
    // Memory that went meanwhile takes nothing.
    copy(nt.dma.bus, logical + BigInt(done), part.physical, count);
    done += count;
  }
}

/** False if one of both is no memory. */
function copy(bus: DmaBus, from: bigint, to: bigint, bytes: number): boolean {
  const view = bus.view(from, bytes);
  if (view !== undefined) return bus.write(to, view);
  const data = new Uint8Array(bytes);
  return bus.read(from, data) && bus.write(to, data);
}

// ---- free registers

/** The first register that maps nothing, from where it was mapped last on and then from the start. */
function nextFree(nt: Nt, file: MapRegisterFile): MapRegister | undefined {
  const from = nt.dma.nextRegisters.get(file.base) ?? 0;
  for (let step = 0; step < file.count; step++) {
    const register = nt.dma.register(file, (from + step) % file.count);
    if (register.transfer === undefined) return register;
  }
  return undefined;
}

/** How many registers from `first` on are free and show the driver's pages; `wanted` at most. */
function freeInARow(nt: Nt, file: MapRegisterFile, first: number, wanted: number): number {
  let count = 0;
  while (count < wanted && first + count < file.count) {
    const { transfer, buffer } = nt.dma.register(file, first + count);
    if (transfer !== undefined || buffer !== undefined) break;
    count++;
  }
  return count;
}

/** The first of so many free registers in a row. */
function firstFreeRun(nt: Nt, file: MapRegisterFile, wanted: number): MapRegister | undefined {
  let count = 0;
  for (let index = 0; index < file.count; index++) {
    count = nt.dma.register(file, index).transfer === undefined ? count + 1 : 0;
    if (count === wanted) return nt.dma.register(file, index - wanted + 1);
  }
  return undefined;
}
