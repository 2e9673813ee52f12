/** Security identifiers in guest memory, and as text (`S-1-5-32-544`), which is how the kernel's own tables hold them. */
import { type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { SID } from '../structures/security.ts';

const sidRevision = 1;
export const maximumSubAuthorities = 15;

/** RtlLengthRequiredSid */
export function sidBytes(subAuthorities: number): number {
  return 8 + 4 * subAuthorities;
}

export function sidLength(memory: GuestMemory, sid: Va): number {
  return sidBytes(SID.SubAuthorityCount.get(memory, sid));
}

/** RtlValidSid: revision and count are right. */
export function isValidSid(memory: GuestMemory, sid: Va): boolean {
  return (
    (SID.Revision.get(memory, sid) & 0xf) === sidRevision &&
    SID.SubAuthorityCount.get(memory, sid) <= maximumSubAuthorities
  );
}

/** The six bytes of the authority count from the most significant one. */
export function sidText(memory: GuestMemory, sid: Va): string {
  return sidTextOf(memory.readBytes(sid, sidLength(memory, sid)));
}

export function sidTextOf(content: Uint8Array): string {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const authority = view.getUint16(2) * 0x1_0000_0000 + view.getUint32(4);
  // RtlConvertSidToUnicodeString writes authorities of more than 32 bits in hexadecimal.
  const first = authority > 0xffff_ffff ? `0x${authority.toString(16).padStart(12, '0')}` : `${authority}`;
  const parts = Array.from({ length: view.getUint8(1) }, (_, index) => view.getUint32(8 + index * 4, true));
  return ['S', view.getUint8(0), first, ...parts].join('-');
}

/** The bytes of a SID that stands as text. */
export function bytesOfSid(text: string): Uint8Array {
  const [, revision = '1', authority = '0', ...parts] = text.split('-');
  const content = new Uint8Array(sidBytes(parts.length));
  const view = new DataView(content.buffer);
  view.setUint8(0, Number(revision));
  view.setUint8(1, parts.length);
  view.setUint16(2, Math.floor(Number(authority) / 0x1_0000_0000));
  view.setUint32(4, Number(authority) >>> 0);
  for (const [index, part] of parts.entries()) view.setUint32(8 + index * 4, Number(part), true);
  return content;
}

export function writeSid(memory: GuestMemory, at: Va, text: string): number {
  const content = bytesOfSid(text);
  memory.writeBytes(at, content);
  return content.length;
}

export function subAuthorityAt(sid: Va, index: number): Va {
  return vaAdd(sid, 8 + index * 4);
}
