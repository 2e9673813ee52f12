/** Keys and values in the shapes of KEY_INFORMATION_CLASS and KEY_VALUE_INFORMATION_CLASS (wdm.h, ntddk.h). */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_SUCCESS } from '../ntstatus.ts';
import { utf16OfText } from '../rtl/guest-text.ts';
import type { RegistryKey, RegistryTree, RegistryValue } from './registry-tree.ts';

/** KEY_INFORMATION_CLASS */
export const KeyClass = { Basic: 0, Node: 1, Full: 2, Name: 3, Cached: 4 } as const;
/** KEY_VALUE_INFORMATION_CLASS */
export const ValueClass = { Basic: 0, Full: 1, Partial: 2, FullAlign64: 3, PartialAlign64: 4 } as const;

/** All of the information, and how much of it a buffer must hold at least. */
export interface Information {
  readonly bytes: Uint8Array;
  readonly fixedBytes: number;
}

/** Stands for "there is none" in offsets. */
const noOffset = 0xffff_ffff;

/**
 * Hands out information: nothing if not even the fixed part fits (STATUS_BUFFER_TOO_SMALL), as much as fits
 * (STATUS_BUFFER_OVERFLOW), or all. The length of all of it is told in any case.
 */
export function giveInformation(
  memory: GuestMemory,
  { bytes, fixedBytes }: Information,
  buffer: { readonly at: Va; readonly length: number; readonly resultLength: Va },
): number {
  memory.writeU32(buffer.resultLength, bytes.length);
  if (buffer.length < fixedBytes) return STATUS_BUFFER_TOO_SMALL;
  memory.writeBytes(buffer.at, bytes.subarray(0, Math.min(buffer.length, bytes.length)));
  return buffer.length < bytes.length ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

/** 32-bit words, behind a time if there is one, then parts at their offsets. */
function pack(
  time: bigint | undefined,
  words: readonly number[],
  parts: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
  fixedBytes: number,
): Information {
  const ends = parts.map(({ offset, bytes }) => (bytes.length === 0 ? 0 : offset + bytes.length));
  const view = new DataView(new ArrayBuffer(Math.max(fixedBytes, ...ends)));
  const start = time === undefined ? 0 : 8;
  if (time !== undefined) view.setBigInt64(0, time, true);
  for (const [index, word] of words.entries()) view.setUint32(start + index * 4, word, true);
  const bytes = new Uint8Array(view.buffer);
  for (const part of parts) if (part.bytes.length > 0) bytes.set(part.bytes, part.offset);
  return { bytes, fixedBytes };
}

const alignUp = (offset: number, to: number): number => Math.ceil(offset / to) * to;

/** Undefined for classes that are not known. */
export function valueInformation({ name, type, data }: RegistryValue, infoClass: number): Information | undefined {
  const nameBytes = utf16OfText(name);
  switch (infoClass) {
    case ValueClass.Basic:
      return pack(undefined, [0, type, nameBytes.length], [{ offset: 12, bytes: nameBytes }], 12);
    case ValueClass.Full:
    case ValueClass.FullAlign64: {
      const aligned = alignUp(20 + nameBytes.length, infoClass === ValueClass.Full ? 4 : 8);
      const words = [0, type, data.length === 0 ? noOffset : aligned, data.length, nameBytes.length];
      const parts = [
        { offset: 20, bytes: nameBytes },
        { offset: aligned, bytes: data },
      ];
      return pack(undefined, words, parts, 20);
    }
    case ValueClass.Partial:
      return pack(undefined, [0, type, data.length], [{ offset: 12, bytes: data }], 12);
    case ValueClass.PartialAlign64:
      return pack(undefined, [type, data.length], [{ offset: 8, bytes: data }], 8);
    default:
      return undefined;
  }
}

const longest = (lengths: readonly number[]): number => lengths.reduce((most, length) => Math.max(most, length), 0);

/** SubKeys, MaxNameLen, MaxClassLen, Values, MaxValueNameLen, MaxValueDataLen; lengths in bytes. */
function counts(tree: RegistryTree, key: RegistryKey): readonly [number, number, number, number, number, number] {
  const subkeys = tree.subkeys(key);
  return [
    subkeys.length,
    longest(subkeys.map(({ name }) => name.length * 2)),
    longest(subkeys.map(({ className }) => className.length * 2)),
    key.values.length,
    longest(key.values.map(({ name }) => name.length * 2)),
    longest(key.values.map(({ data }) => data.length)),
  ];
}

/** Undefined for classes that are not known. */
export function keyInformation(tree: RegistryTree, key: RegistryKey, infoClass: number): Information | undefined {
  const name = utf16OfText(key.name);
  const className = utf16OfText(key.className);
  const classAt = (offset: number): number => (className.length === 0 ? noOffset : offset);
  const time = key.lastWriteTime;
  switch (infoClass) {
    case KeyClass.Basic:
      return pack(time, [0, name.length], [{ offset: 16, bytes: name }], 16);
    case KeyClass.Node: {
      const aligned = alignUp(24 + name.length, 4);
      const parts = [
        { offset: 24, bytes: name },
        { offset: aligned, bytes: className },
      ];
      return pack(time, [0, classAt(aligned), className.length, name.length], parts, 24);
    }
    case KeyClass.Full: {
      const words = [0, classAt(44), className.length, ...counts(tree, key)];
      return pack(time, words, [{ offset: 44, bytes: className }], 44);
    }
    case KeyClass.Name: {
      const path = utf16OfText(tree.pathOf(key));
      return pack(undefined, [path.length], [{ offset: 4, bytes: path }], 4);
    }
    case KeyClass.Cached: {
      const [subkeys, maximumName, , values, maximumValueName, maximumData] = counts(tree, key);
      const words = [0, subkeys, maximumName, values, maximumValueName, maximumData, name.length];
      return pack(time, words, [], 40);
    }
    default:
      return undefined;
  }
}
