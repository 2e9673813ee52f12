/** Text in guest memory: counted and null-terminated, of bytes and of UTF-16 code units. */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { Access, pageMask, pageSize } from '../../engine/memory/layout.ts';
import { STRING, UNICODE_STRING } from '../structures/strings.ts';
import { ansiCodePage, type CodePage } from './code-page.ts';

/** Bytes before the terminating zero; `limit` bytes at most are looked at. */
export function byteLength(memory: GuestMemory, va: Va, limit = Number.POSITIVE_INFINITY): number {
  for (let done = 0; done < limit; ) {
    const offset = memory.offsetOf(vaAdd(va, done), Access.Read);
    const part = Math.min(limit - done, pageSize - (offset & pageMask));
    const found = memory.u8.subarray(offset, offset + part).indexOf(0);
    if (found >= 0) return done + found;
    done += part;
  }
  return limit;
}

/** UTF-16 code units before the terminating zero; `limit` units at most are looked at. */
export function wideLength(memory: GuestMemory, va: Va, limit = Number.POSITIVE_INFINITY): number {
  let done = 0;
  if ((vaLow(va) & 1) !== 0) {
    while (done < limit && memory.readU16(vaAdd(va, done * 2)) !== 0) done++;
    return done;
  }
  while (done < limit) {
    const offset = memory.offsetOf(vaAdd(va, done * 2), Access.Read);
    const units = Math.min(limit - done, (pageSize - (offset & pageMask)) >> 1);
    for (let index = 0; index < units; index++) {
      if (memory.view.getUint16(offset + index * 2, true) === 0) return done + index;
    }
    done += units;
  }
  return done;
}

/** `units` UTF-16 code units at `va`. */
export function readWide(memory: GuestMemory, va: Va, units: number): string {
  return textOfUtf16(memory.readBytes(va, units * 2));
}

/** A null-terminated UTF-16 string; `limit` units at most. */
export function readWideZ(memory: GuestMemory, va: Va, limit?: number): string {
  return readWide(memory, va, wideLength(memory, va, limit));
}

/** A null-terminated string of bytes, in the ANSI code page; `limit` bytes at most. */
export function readAnsiZ(memory: GuestMemory, va: Va, limit?: number): string {
  return ansiCodePage.decode(memory.readBytes(va, byteLength(memory, va, limit)));
}

export function writeWide(memory: GuestMemory, va: Va, text: string): void {
  memory.writeBytes(va, utf16OfText(text));
}

/** What a UNICODE_STRING holds (an odd last byte is left out). */
export function readUnicodeString(memory: GuestMemory, string: Va): string {
  const units = UNICODE_STRING.Length.get(memory, string) >> 1;
  return units === 0 ? '' : readWide(memory, UNICODE_STRING.Buffer.get(memory, string), units);
}

/** What an ANSI_STRING or OEM_STRING holds. */
export function readString(memory: GuestMemory, string: Va, codePage: CodePage = ansiCodePage): string {
  return codePage.decode(stringBytes(memory, string));
}

export function stringBytes(memory: GuestMemory, string: Va): Uint8Array {
  const bytes = STRING.Length.get(memory, string);
  return bytes === 0 ? new Uint8Array(0) : memory.readBytes(STRING.Buffer.get(memory, string), bytes);
}

export function utf16OfText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    bytes[index * 2] = unit & 0xff;
    bytes[index * 2 + 1] = unit >> 8;
  }
  return bytes;
}

export function textOfUtf16(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index + 1 < bytes.length; index += 2) {
    text += String.fromCharCode((bytes[index] as number) | ((bytes[index + 1] as number) << 8));
  }
  return text;
}
