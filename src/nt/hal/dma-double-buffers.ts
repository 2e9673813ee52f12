/**
 * Pages of the HAL's that a device sees in place of the driver's: because it does not reach the driver's, because it
 * needs them in a row, or because its driver is verified. The latter have guards: the tag `DmaVrfy0` directly before
 * and behind what is mapped, padding around it and in registers that map nothing (`!dma`, bug check 0xE6/0x0F).
 */
import { assert } from '../../base/errors.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { firstPfn } from '../mm/frames.ts';
import type { Nt } from '../nt.ts';
import type { CommonBuffer, DmaAdapter, DoubleBuffer, MappedTransfer, MapRegisterFile } from './dma-adapters.ts';
import { giveRun, takeRun } from './dma-frame-runs.ts';

/** `DmaVrfy0` */
export const guardTag: readonly number[] = [0x44, 0x6d, 0x61, 0x56, 0x72, 0x66, 0x79, 0x30];
export const guardPadding = 0x0f;

/** The first byte of a guard that changed. */
export interface GuardDamage {
  readonly kind: 'tag-before' | 'tag-after' | 'padding-before' | 'padding-after' | 'free-register';
  /** Where it lies, as a physical address. */
  readonly address: bigint;
}

/** `count` double buffers that the adapter reaches; undefined if memory is short. */
export function allocateDoubleBuffers(
  nt: Nt,
  adapter: DmaAdapter,
  count: number,
  isGuarded: boolean,
): DoubleBuffer[] | undefined {
  if (count === 0) return [];
  if (!adapter.description.isScatterGather) return inARow(nt, adapter, count, isGuarded);
  const buffers: DoubleBuffer[] = [];
  for (let index = 0; index < count; index++) {
    const [buffer] = inARow(nt, adapter, 1, isGuarded) ?? [];
    if (buffer === undefined) {
      freeDoubleBuffers(nt, buffers);
      return undefined;
    }
    buffers.push(buffer);
  }
  return buffers;
}

function inARow(nt: Nt, adapter: DmaAdapter, count: number, isGuarded: boolean): DoubleBuffer[] | undefined {
  const run = takeRun(nt, count + (isGuarded ? 2 : 0), adapter.highestAddress);
  if (run === undefined) return undefined;
  const { first, pages } = run;
  if (isGuarded) {
    for (let frame = first; frame < first + pages; frame++) nt.memory.frameBytes(frame).fill(guardPadding);
  }
  return Array.from({ length: count }, (_, index) => ({
    run,
    frame: first + index + (isGuarded ? 1 : 0),
    before: isGuarded && index === 0 ? first : undefined,
    after: isGuarded && index === count - 1 ? first + pages - 1 : undefined,
    isGuarded,
  }));
}

export function freeDoubleBuffers(nt: Nt, buffers: readonly DoubleBuffer[]): void {
  for (const run of new Set(buffers.map((buffer) => buffer.run))) giveRun(nt, run);
}

/** Physical address of a double buffer's page. */
export function bufferAddress({ frame }: DoubleBuffer): bigint {
  return BigInt(frame + firstPfn) * BigInt(pageSize);
}

// ---- guards of what is mapped

/** Where a guarded transfer and its guards lie. */
interface GuardedRange {
  /** Physical addresses: of the first guard byte, of the data, and behind both. */
  readonly start: bigint;
  readonly data: bigint;
  readonly dataEnd: bigint;
  readonly end: bigint;
}

/** Undefined if the transfer has no guards. */
function guardedRange(nt: Nt, file: MapRegisterFile, transfer: MappedTransfer): GuardedRange | undefined {
  if (transfer.registers === 0) return undefined;
  const first = nt.dma.register(file, transfer.firstRegister).buffer;
  const last = nt.dma.register(file, transfer.firstRegister + transfer.registers - 1).buffer;
  if (!transfer.isBuffered || first === undefined || last === undefined || !first.isGuarded) return undefined;
  return {
    start: bufferAddress(first) - BigInt(first.before === undefined ? 0 : pageSize),
    data: transfer.logical,
    dataEnd: transfer.logical + BigInt(transfer.bytes),
    end: bufferAddress(last) + BigInt(pageSize * (last.after === undefined ? 1 : 2)),
  };
}

/** Puts tags around what was mapped; padding is there. */
export function guardTransfer(nt: Nt, file: MapRegisterFile, transfer: MappedTransfer): void {
  const range = guardedRange(nt, file, transfer);
  if (range !== undefined) writeTags(nt, range);
}

/** Fills the registers with padding again: where data and tags were. */
export function unguardTransfer(nt: Nt, file: MapRegisterFile, transfer: MappedTransfer): void {
  const range = guardedRange(nt, file, transfer);
  if (range === undefined) return;
  const tag = BigInt(guardTag.length);
  const start = range.data - tag < range.start ? range.start : range.data - tag;
  const end = range.dataEnd + tag > range.end ? range.end : range.dataEnd + tag;
  nt.dma.bus.fill(start, Number(end - start), guardPadding);
}

/** What the device, or somebody else, wrote around a mapped fragment; nothing for one without guards. */
export function damagedGuards(nt: Nt, transfer: MappedTransfer): readonly GuardDamage[] {
  const file = nt.dma.files.get(transfer.file);
  const range = file === undefined ? undefined : guardedRange(nt, file, transfer);
  return range === undefined ? [] : damageOf(nt, range);
}

/** What was written to registers of a file that map nothing. */
export function damagedFreeRegisters(nt: Nt, file: MapRegisterFile): readonly GuardDamage[] {
  const damages: GuardDamage[] = [];
  for (let index = 0; index < file.buffered; index++) {
    const { buffer, transfer } = nt.dma.register(file, index);
    if (buffer === undefined || !buffer.isGuarded || transfer !== undefined) continue;
    const bytes = ownBytes(nt, bufferAddress(buffer), pageSize);
    const at = firstOther(bytes, 0, bytes.length);
    if (at >= 0) damages.push({ kind: 'free-register', address: bufferAddress(buffer) + BigInt(at) });
  }
  return damages;
}

/** Tags directly before and behind the data. Those that have no room are left out. */
function writeTags(nt: Nt, { start, data, dataEnd, end }: GuardedRange): void {
  const tag = Uint8Array.from(guardTag);
  const length = BigInt(tag.length);
  if (data - start >= length) nt.dma.bus.write(data - length, tag);
  if (end - dataEnd >= length) nt.dma.bus.write(dataEnd, tag);
}

function damageOf(nt: Nt, { start, data, dataEnd, end }: GuardedRange): GuardDamage[] {
  const before = ownBytes(nt, start, Number(data - start));
  const after = ownBytes(nt, dataEnd, Number(end - dataEnd));
  const damages: GuardDamage[] = [];
  const hasTag = (guard: Uint8Array): boolean => guard.length >= guardTag.length;
  const add = (kind: GuardDamage['kind'], base: bigint, index: number): void => {
    if (index >= 0) damages.push({ kind, address: base + BigInt(index) });
  };
  const tagStart = hasTag(before) ? before.length - guardTag.length : before.length;
  const tagEnd = hasTag(after) ? guardTag.length : 0;
  // The byte next to the buffer is the last one before it and the first one behind it.
  const tagBefore = guardTag.findLastIndex(
    (byte, index) => tagStart < before.length && before[tagStart + index] !== byte,
  );
  add('tag-before', start, tagBefore < 0 ? -1 : tagStart + tagBefore);
  add(
    'tag-after',
    dataEnd,
    guardTag.findIndex((byte, index) => tagEnd > 0 && after[index] !== byte),
  );
  add('padding-before', start, lastOther(before, 0, tagStart));
  add('padding-after', dataEnd, firstOther(after, tagEnd, after.length));
  return damages;
}

/** Of the HAL's own pages. */
function ownBytes(nt: Nt, address: bigint, bytes: number): Uint8Array {
  const view = nt.dma.bus.view(address, bytes);
  assert(view !== undefined, 'double buffers and common buffers are RAM');
  return view;
}

/** Eight bytes of padding. As a number it equals nothing but itself, unlike 0 and those that are none. */
const [paddingWord] = new Float64Array(new Uint8Array(8).fill(guardPadding).buffer);

/** The first byte from `from` to before `to` that is no padding; -1 if all are. */
function firstOther(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  const words = wordsOf(bytes, from, to);
  if (words.length > 0) {
    while (at < from + unaligned(bytes, from)) if (bytes[at++] !== guardPadding) return at - 1;
    for (let word = 0; words[word] === paddingWord; word++) at += 8;
  }
  for (; at < to; at++) if (bytes[at] !== guardPadding) return at;
  return -1;
}

/** The last one. */
function lastOther(bytes: Uint8Array, from: number, to: number): number {
  const words = wordsOf(bytes, from, to);
  let end = from;
  if (words.length > 0) {
    end += unaligned(bytes, from) + words.length * 8;
    for (let at = to - 1; at >= end; at--) if (bytes[at] !== guardPadding) return at;
    for (let word = words.length - 1; words[word] === paddingWord; word--) end -= 8;
  } else {
    end = to;
  }
  for (let at = end - 1; at >= from; at--) if (bytes[at] !== guardPadding) return at;
  return -1;
}

/** How many bytes lie before the first whole word. */
const unaligned = ({ byteOffset }: Uint8Array, from: number): number => -(byteOffset + from) & 7;

/** The whole words from `from` to before `to`: nearly always all is padding, and eight bytes at a time are faster. */
function wordsOf(bytes: Uint8Array, from: number, to: number): Float64Array {
  const start = from + unaligned(bytes, from);
  return new Float64Array(bytes.buffer, bytes.byteOffset + start, Math.max(0, (to - start) >> 3));
}

// ---- guards of common buffers

function commonBufferRange(buffer: CommonBuffer): GuardedRange {
  const start = buffer.logical - BigInt(buffer.va - buffer.region);
  const dataEnd = buffer.logical + BigInt(buffer.bytes);
  return { start, data: buffer.logical, dataEnd, end: start + BigInt(buffer.pages * pageSize) };
}

/** Puts tags and padding around a common buffer. */
export function guardCommonBuffer(nt: Nt, buffer: CommonBuffer): void {
  const range = commonBufferRange(buffer);
  nt.dma.bus.fill(range.start, Number(range.data - range.start), guardPadding);
  nt.dma.bus.fill(range.dataEnd, Number(range.end - range.dataEnd), guardPadding);
  writeTags(nt, range);
}

/** What was written around a common buffer; nothing for one without guards. */
export function damagedCommonBuffer(nt: Nt, buffer: CommonBuffer): readonly GuardDamage[] {
  return buffer.isGuarded ? damageOf(nt, commonBufferRange(buffer)) : [];
}
