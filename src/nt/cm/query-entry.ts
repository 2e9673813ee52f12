/** What one entry of a query table wants of one value, for RtlQueryRegistryValues. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { Nt } from '../nt.ts';
import {
  STATUS_BUFFER_TOO_SMALL,
  STATUS_NO_MEMORY,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { setString } from '../rtl/counted-strings.ts';
import { readWideZ, textOfUtf16, utf16OfText, wideLength } from '../rtl/guest-text.ts';
import { upcaseText } from '../rtl/letter-case.ts';
import { allocateStringBuffer } from '../rtl/string-buffers.ts';
import { RTL_QUERY_REGISTRY_TABLE as Table } from '../structures/registry.ts';
import { STRING } from '../structures/strings.ts';
import { type RegistryValue, RegType } from './registry-tree.ts';

/** RTL_QUERY_REGISTRY_*, wdm.h */
export const QueryFlag = {
  Subkey: 0x01,
  TopKey: 0x02,
  Required: 0x04,
  NoValue: 0x08,
  NoExpand: 0x10,
  Direct: 0x20,
  Delete: 0x40,
  TypeCheck: 0x100,
} as const;

export interface QueryEntry {
  readonly routine: Va;
  readonly flags: number;
  readonly name: Va;
  readonly context: Va;
  readonly defaultType: number;
  readonly expectedType: number;
  readonly defaultData: Va;
  readonly defaultLength: number;
}

export function readEntry(memory: GuestMemory, at: Va): QueryEntry {
  const flags = Table.Flags.get(memory, at);
  const type = Table.DefaultType.get(memory, at);
  const isChecked = (flags & QueryFlag.TypeCheck) !== 0;
  return {
    routine: Table.QueryRoutine.get(memory, at),
    flags,
    name: Table.Name.get(memory, at),
    context: Table.EntryContext.get(memory, at),
    defaultType: isChecked ? type & 0xff : type,
    expectedType: type >>> 24,
    defaultData: Table.DefaultData.get(memory, at),
    defaultLength: Table.DefaultLength.get(memory, at),
  };
}

/** A value as it is handed out: in several parts where a REG_MULTI_SZ is taken apart. */
export interface Delivery {
  readonly status: number;
  readonly type: number;
  readonly parts: readonly Uint8Array[];
}

const nothing = (status: number): Delivery => ({ status, type: RegType.None, parts: [] });

/** The value, or the entry's default for it, checked and expanded as the entry says. */
export function deliveryOf(
  memory: GuestMemory,
  entry: QueryEntry,
  value: RegistryValue | undefined,
  environment: Va,
): Delivery {
  const has = (flag: number): boolean => (entry.flags & flag) !== 0;
  const isMissing =
    value === undefined || value.type === RegType.None || (value.data.length === 0 && value.type === entry.defaultType);
  if (isMissing && entry.defaultType === RegType.None) {
    return nothing(has(QueryFlag.Required) ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_SUCCESS);
  }
  const { type, data } = isMissing ? { type: entry.defaultType, data: defaultData(memory, entry) } : value;
  if (!isMissing && has(QueryFlag.TypeCheck) && has(QueryFlag.Direct) && type !== entry.expectedType) {
    return nothing(STATUS_OBJECT_TYPE_MISMATCH);
  }
  if (has(QueryFlag.NoExpand)) return { status: STATUS_SUCCESS, type, parts: [data] };
  if (type === RegType.MultiSz) return { status: STATUS_SUCCESS, type: RegType.Sz, parts: stringsOf(data) };
  const text = type === RegType.ExpandSz ? textOfUtf16(data).replace(/\0$/, '') : '';
  if (!text.includes('%')) return { status: STATUS_SUCCESS, type, parts: [data] };
  return { status: STATUS_SUCCESS, type: RegType.Sz, parts: [utf16OfText(`${expand(memory, text, environment)}\0`)] };
}

/** A length of zero is computed for strings. */
function defaultData(memory: GuestMemory, entry: QueryEntry): Uint8Array {
  const { defaultType: type, defaultData: at } = entry;
  let length = entry.defaultLength;
  if (length === 0 && (type === RegType.Sz || type === RegType.ExpandSz)) length = (wideLength(memory, at) + 1) * 2;
  if (length === 0 && type === RegType.MultiSz) {
    for (let units = wideLength(memory, at); units > 0; units = wideLength(memory, vaAdd(at, length))) {
      length += (units + 1) * 2;
    }
    length += 2;
  }
  return length === 0 ? new Uint8Array(0) : memory.readBytes(at, length);
}

/** The strings of a REG_MULTI_SZ, each with its terminator; an empty one ends the list. */
function stringsOf(data: Uint8Array): Uint8Array[] {
  const texts = textOfUtf16(data).split('\0');
  const end = texts.indexOf('');
  return texts.slice(0, end < 0 ? undefined : end).map((text) => utf16OfText(`${text}\0`));
}

/** Variables that the environment lacks stay as they are; the system process has none at all. */
function expand(memory: GuestMemory, text: string, environment: Va): string {
  const variables = new Map<string, string>();
  if (environment !== nullVa) {
    for (let at = environment; ; ) {
      const line = readWideZ(memory, at);
      if (line === '') break;
      const equals = line.indexOf('=', 1);
      variables.set(upcaseText(line.slice(0, equals)), line.slice(equals + 1));
      at = vaAdd(at, (line.length + 1) * 2);
    }
  }
  return text.replace(/%([^%]+)%/g, (whole, name: string) => variables.get(upcaseText(name)) ?? whole);
}

/** RTL_QUERY_REGISTRY_DIRECT: parts go to one UNICODE_STRING after the other. */
export function storeDirect(nt: Nt, entry: QueryEntry, { type, parts }: Delivery, call: Call | ResumedCall): number {
  for (const [index, data] of parts.entries()) {
    const status = storePart(nt, vaAdd(entry.context, index * STRING.sizeBytes), type, data, call);
    if (status !== STATUS_SUCCESS) return status;
  }
  return STATUS_SUCCESS;
}

function storePart(nt: Nt, at: Va, type: number, data: Uint8Array, call: Call | ResumedCall): number {
  const { memory } = nt;
  if (type === RegType.Sz || type === RegType.ExpandSz || type === RegType.MultiSz) {
    return storeString(nt, at, data, call);
  }
  if (data.length <= 4) {
    memory.writeBytes(at, data);
    return STATUS_SUCCESS;
  }
  const room = memory.readI32(at);
  if (room < 0) {
    if (-room < data.length) return STATUS_BUFFER_TOO_SMALL;
    memory.writeBytes(at, data);
    return STATUS_SUCCESS;
  }
  if (room < 8 + data.length) return STATUS_BUFFER_TOO_SMALL;
  memory.writeU32(at, data.length);
  memory.writeU32(vaAdd(at, 4), type);
  memory.writeBytes(vaAdd(at, 8), data);
  return STATUS_SUCCESS;
}

/** Without a buffer one is allocated, which is the driver's to free. */
function storeString(nt: Nt, string: Va, data: Uint8Array, call: Call | ResumedCall): number {
  const { memory } = nt;
  const content = data.subarray(0, 0xfffe);
  const length = Math.max(0, content.length - 2);
  const own = STRING.Buffer.get(memory, string);
  if (own !== nullVa) {
    if (content.length > STRING.MaximumLength.get(memory, string)) return STATUS_BUFFER_TOO_SMALL;
    memory.writeBytes(own, content);
    STRING.Length.set(memory, string, length);
    return STATUS_SUCCESS;
  }
  const buffer = allocateStringBuffer(nt, content.length, call);
  if (buffer === undefined) return STATUS_NO_MEMORY;
  memory.writeBytes(buffer, content);
  setString(memory, string, length, content.length, buffer);
  return STATUS_SUCCESS;
}
