/** GUIDs as text and as 16 bytes (Data1, Data2 and Data3 little-endian), and ExUuidCreate. */
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { pointerTo } from '../declare/parameter-types.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import type { Random } from '../random.ts';
import { readUnicodeString, utf16OfText } from './guest-text.ts';
import { createString } from './string-buffers.ts';

export const guidBytes = 16;
/** Where each byte of the text's order stands in memory. */
const memoryOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;

/** `{01020304-0506-0708-090A-0B0C0D0E0F10}` */
export function guidText(guid: Uint8Array): string {
  const digits = memoryOrder
    .map((index) => (guid[index] as number).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
  const groups = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ];
  return `{${groups.join('-')}}`;
}

/** Undefined if the text does not start with a GUID in braces; what follows the closing brace is not looked at. */
export function parseGuid(text: string): Uint8Array | undefined {
  const match = /^\{([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}/i.exec(text);
  if (match === null) return undefined;
  const digits = match.slice(1).join('');
  const guid = new Uint8Array(guidBytes);
  for (const [index, target] of memoryOrder.entries()) {
    guid[target] = Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16);
  }
  return guid;
}

/** A random UUID (version 4, variant 1); Windows makes time-based ones, which drivers can't tell apart. */
export function randomGuid(random: Random): Uint8Array {
  const guid = new Uint8Array(guidBytes);
  for (let index = 0; index < guidBytes; index++) guid[index] = random.u32() >>> 24;
  guid[7] = ((guid[7] as number) & 0x0f) | 0x40;
  guid[8] = ((guid[8] as number) & 0x3f) | 0x80;
  return guid;
}

export const rtlGuid = ntExports('ntoskrnl.exe', {
  RtlStringFromGUID: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlstringfromguid',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Guid: pointerTo('GUID'), GuidString: pointerTo('UNICODE_STRING') },
    returns: 'NTSTATUS',
    body: (nt, { Guid, GuidString }, call) =>
      createString(nt, GuidString, utf16OfText(guidText(nt.memory.readBytes(Guid, guidBytes))), 2, call),
  }),
  RtlGUIDFromString: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlguidfromstring',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { GuidString: pointerTo('UNICODE_STRING'), Guid: pointerTo('GUID') },
    returns: 'NTSTATUS',
    body: ({ memory }, { GuidString, Guid }) => {
      const guid = parseGuid(readUnicodeString(memory, GuidString));
      if (guid === undefined) return STATUS_INVALID_PARAMETER;
      memory.writeBytes(Guid, guid);
      return STATUS_SUCCESS;
    },
  }),
  ExUuidCreate: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-exuuidcreate',
    irql: ['PASSIVE', 'PASSIVE'],
    params: { Uuid: pointerTo('UUID') },
    returns: 'NTSTATUS',
    body: (nt, { Uuid }) => {
      nt.memory.writeBytes(Uuid, randomGuid(nt.random));
      return STATUS_SUCCESS;
    },
  }),
});
