/** Buffers of strings that the kernel makes and the driver frees: paged pool with the tag `Strg`. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import { tagOf } from '../ex/pool.ts';
import type { Nt } from '../nt.ts';
import { STATUS_NO_MEMORY, STATUS_SUCCESS } from '../ntstatus.ts';
import { PoolType } from '../structures/pool.ts';
import { STRING } from '../structures/strings.ts';
import { setString } from './counted-strings.ts';

export const stringTag = tagOf('Strg');

/** @returns undefined when memory is short or the allocation was made to fail. */
export function allocateStringBuffer(nt: Nt, bytes: number, call: Call | ResumedCall): Va | undefined {
  return nt.pool.allocate({ poolType: PoolType.PagedPool, bytes, tag: stringTag, family: 'string' }, call);
}

/** A new string that holds `content`, and `terminatorBytes` of zero behind it. STATUS_NO_MEMORY: nothing changed. */
export function createString(nt: Nt, string: Va, content: Uint8Array, terminatorBytes: number, call: Call): number {
  const room = content.length + terminatorBytes;
  const buffer = allocateStringBuffer(nt, room, call);
  if (buffer === undefined) return STATUS_NO_MEMORY;
  nt.memory.writeBytes(buffer, content);
  nt.memory.fill((buffer + content.length) as Va, terminatorBytes, 0);
  setString(nt.memory, string, content.length, room, buffer);
  return STATUS_SUCCESS;
}

/** RtlFree*String: frees the buffer, if there is one, and clears the structure. */
export function freeString(nt: Nt, string: Va, call: Call): void {
  const buffer = STRING.Buffer.get(nt.memory, string);
  if (buffer === nullVa) return;
  nt.pool.free(buffer, 0, call);
  setString(nt.memory, string, 0, 0, nullVa);
}
