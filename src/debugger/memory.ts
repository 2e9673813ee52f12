/**
 * Guest memory as a debugger sees it: what is mapped can be read whatever the IRQL, what can't be read is undefined,
 * and nothing that runs notices. Registers of a device are only
 * looked at if it can tell them without effect.
 */
import { type Va, vaAdd, vaLow } from '../base/va.ts';
import { PageFlag, pageMask } from '../engine/memory/layout.ts';
import type { Nt } from '../nt/nt.ts';

/** Bytes from `va` on, undefined for those that can't be read. */
export function readMemory(nt: Nt, va: Va, bytes: number): readonly (number | undefined)[] {
  const whole = nt.memory.peekBytes(va, bytes);
  if (whole !== undefined) return [...whole];
  return Array.from({ length: bytes }, (_, index) => nt.memory.peekBytes(vaAdd(va, index), 1)?.[0]);
}

/** A little-endian number of at most eight bytes; undefined if one of them can't be read. */
export function readNumber(nt: Nt, va: Va, bytes: number): bigint | undefined {
  const read = nt.memory.peekBytes(va, bytes);
  return read?.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/**
 * Writes bytes whatever the page's protection, as a debugger does; translated code of the page is made anew. False if
 * one of the bytes is not mapped or a device's: then none is written.
 */
export function writeMemory(nt: Nt, va: Va, bytes: Uint8Array): boolean {
  const places: { readonly frame: number; readonly offset: number }[] = [];
  for (let index = 0; index < bytes.length; index++) {
    const at = vaAdd(va, index);
    const mapping = nt.memory.mappingAt(at);
    if (mapping === undefined || (mapping.flags & PageFlag.Device) !== 0) return false;
    places.push({ frame: mapping.frame, offset: vaLow(at) & pageMask });
  }
  for (const [index, { frame, offset }] of places.entries()) {
    nt.memory.frameBytes(frame)[offset] = bytes[index] as number;
  }
  return true;
}
