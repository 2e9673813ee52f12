/**
 * Guest memory as a debugger sees it: what is mapped can be read whatever the IRQL, what can't be read is undefined,
 * and nothing that runs notices. Memory of devices is never read: a register may change by being looked at.
 */
import { type Va, vaAdd } from '../base/va.ts';
import { Access } from '../engine/memory/layout.ts';
import type { Nt } from '../nt/nt.ts';

/** One byte; undefined if it can't be read. */
export function readByte(nt: Nt, va: Va): number | undefined {
  const offset = nt.memory.tryOffsetOf(va, Access.Read);
  return offset === 0 ? undefined : nt.memory.u8[offset];
}

/** Bytes from `va` on, undefined for those that can't be read. */
export function readMemory(nt: Nt, va: Va, bytes: number): readonly (number | undefined)[] {
  const result: (number | undefined)[] = [];
  for (let index = 0; index < bytes; index++) result.push(readByte(nt, vaAdd(va, index)));
  return result;
}

/** A little-endian number; undefined if one of its bytes can't be read. */
export function readNumber(nt: Nt, va: Va, bytes: number): bigint | undefined {
  let value = 0n;
  for (const [index, byte] of readMemory(nt, va, bytes).entries()) {
    if (byte === undefined) return undefined;
    value |= BigInt(byte) << BigInt(8 * index);
  }
  return value;
}

/**
 * Writes bytes whatever the page's protection, as a debugger does; translated code of the page is made anew. False if
 * one of the bytes is not mapped: then none is written.
 */
export function writeMemory(nt: Nt, va: Va, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) if (readByte(nt, vaAdd(va, index)) === undefined) return false;
  for (const [index, byte] of bytes.entries()) {
    const at = vaAdd(va, index);
    const frame = nt.memory.mappingAt(at)?.frame;
    if (frame === undefined) return false;
    nt.memory.frameBytes(frame)[at & 0xfff] = byte;
  }
  return true;
}
