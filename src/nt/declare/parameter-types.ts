/** Parameter and return types of kernel routines: how each stands in a register, and how a trace shows it. */
import { formatVa, type Va, vaFromHalves } from '../../base/va.ts';

/** The 64-bit slots of a call: RCX, RDX, R8, R9, then the stack. */
export interface ArgumentSlots {
  low(index: number): number;
  high(index: number): number;
}

export interface ParameterType<T> {
  readonly name: string;
  read(slots: ArgumentSlots, index: number): T;
  show(value: T): string;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

function unsigned32(name: string, mask = 0xffff_ffff): ParameterType<number> {
  return { name, read: (slots, index) => (slots.low(index) & mask) >>> 0, show: hex };
}

function address(name: string): ParameterType<Va> {
  return { name, read: (slots, index) => vaFromHalves(slots.low(index), slots.high(index)), show: formatVa };
}

export const ULONG = unsigned32('ULONG');
export const USHORT = unsigned32('USHORT', 0xffff);
export const UCHAR = unsigned32('UCHAR', 0xff);
export const WCHAR = unsigned32('WCHAR', 0xffff);
export const KIRQL = unsigned32('KIRQL', 0xff);
export const KPROCESSOR_MODE = unsigned32('KPROCESSOR_MODE', 0xff);
export const ACCESS_MASK = unsigned32('ACCESS_MASK');
export const POOL_TYPE = unsigned32('POOL_TYPE');
export const NTSTATUS: ParameterType<number> = unsigned32('NTSTATUS');
export const LONG: ParameterType<number> = { name: 'LONG', read: (slots, index) => slots.low(index) | 0, show: String };
export const CCHAR: ParameterType<number> = {
  name: 'CCHAR',
  read: (slots, index) => (slots.low(index) << 24) >> 24,
  show: String,
};
export const BOOLEAN: ParameterType<boolean> = {
  name: 'BOOLEAN',
  read: (slots, index) => (slots.low(index) & 0xff) !== 0,
  show: (value) => (value ? 'TRUE' : 'FALSE'),
};
/** Unsigned 64-bit length; exact up to 2^53, and larger ones stay larger than anything that can be allocated. */
export const SIZE_T: ParameterType<number> = {
  name: 'SIZE_T',
  read: (slots, index) => (slots.high(index) >>> 0) * 0x1_0000_0000 + (slots.low(index) >>> 0),
  show: hex,
};
export const ULONG64: ParameterType<bigint> = {
  name: 'ULONG64',
  read: (slots, index) => (BigInt(slots.high(index) >>> 0) << 32n) | BigInt(slots.low(index) >>> 0),
  show: hex,
};
/** A LARGE_INTEGER passed by value, signed. */
export const LARGE_INTEGER: ParameterType<bigint> = {
  name: 'LARGE_INTEGER',
  read: (slots, index) => BigInt.asIntN(64, ULONG64.read(slots, index)),
  show: String,
};
/** Four characters in memory order. */
export const POOL_TAG: ParameterType<number> = {
  name: 'ULONG (tag)',
  read: (slots, index) => slots.low(index) >>> 0,
  show: (tag) => `'${tagText(tag)}'`,
};
export const PVOID = address('PVOID');
export const HANDLE = address('HANDLE');

/** A pointer to the named type; the name is for traces and documentation. */
export function pointerTo(name: string): ParameterType<Va> {
  return address(name);
}

/** A pool tag as Windows prints it: memory order, unprintable bytes as dots. */
export function tagText(tag: number): string {
  let text = '';
  for (let shift = 0; shift < 32; shift += 8) {
    const code = (tag >>> shift) & 0xff;
    text += code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '.';
  }
  return text;
}

export type ReturnType =
  | 'VOID'
  | 'NTSTATUS'
  | 'PVOID'
  | 'BOOLEAN'
  | 'ULONG'
  | 'LONG'
  | 'KIRQL'
  | 'SIZE_T'
  | 'ULONG64'
  | 'LONG64';
