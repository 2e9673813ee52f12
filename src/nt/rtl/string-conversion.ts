/** One way for all routines that convert a counted string into another one, allocated or given by the caller. */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import type { Call } from '../declare/call.ts';
import type { Nt } from '../nt.ts';
import { STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER_2, STATUS_SUCCESS } from '../ntstatus.ts';
import { STRING } from '../structures/strings.ts';
import { createString } from './string-buffers.ts';

export interface Conversion {
  readonly destination: Va;
  readonly content: Uint8Array;
  /** Bytes of zero that go behind the content: 0, 1 or 2. */
  readonly terminatorBytes: number;
  readonly allocates: boolean;
  /** What a buffer that is too small gets: nothing, or as much as fits with the terminator. */
  readonly whenTooSmall: 'nothing' | 'truncated';
}

const maximumBytes = 0xffff;

export function convertString(nt: Nt, conversion: Conversion, call: Call): number {
  const { destination, content, terminatorBytes, allocates } = conversion;
  if (content.length + terminatorBytes > maximumBytes) return STATUS_INVALID_PARAMETER_2;
  if (allocates) return createString(nt, destination, content, terminatorBytes, call);
  return putString(nt.memory, conversion);
}

/** Writes into the buffer that the destination has. */
export function putString(memory: GuestMemory, conversion: Omit<Conversion, 'allocates'>): number {
  const { destination, content, terminatorBytes, whenTooSmall } = conversion;
  const room = STRING.MaximumLength.get(memory, destination);
  const fits = content.length + terminatorBytes <= room;
  if (!fits && (whenTooSmall === 'nothing' || room < terminatorBytes)) return STATUS_BUFFER_OVERFLOW;
  const part = fits ? content : content.subarray(0, room - terminatorBytes);
  const buffer = STRING.Buffer.get(memory, destination);
  memory.writeBytes(buffer, part);
  memory.fill((buffer + part.length) as Va, terminatorBytes, 0);
  STRING.Length.set(memory, destination, part.length);
  return fits ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW;
}
