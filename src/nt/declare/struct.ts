/**
 * Structure layouts in guest memory. One declaration gives x64 offsets by C's rules (natural alignment), or takes a
 * stated offset where only part of a structure is public; tests compare them with a C compiler's.
 */
import { assert } from '../../base/errors.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';

export interface FieldType<T> {
  readonly size: number;
  readonly align: number;
  readonly offset?: number;
  read(memory: GuestMemory, va: Va): T;
  write(memory: GuestMemory, va: Va, value: T): void;
}

type AnyFieldType = FieldType<number> | FieldType<bigint> | FieldType<Va> | FieldType<void>;

export interface Field<T> {
  readonly offset: number;
  readonly size: number;
  /** Address of the field in the structure at `base`. */
  at(base: Va): Va;
  get(memory: GuestMemory, base: Va): T;
  set(memory: GuestMemory, base: Va, value: T): void;
}

export type Struct<F extends Record<string, AnyFieldType>> = {
  readonly [K in keyof F]: Field<F[K] extends FieldType<infer T> ? T : never>;
} & { readonly structName: string; readonly sizeBytes: number };

function scalar<T>(
  size: number,
  read: (memory: GuestMemory, va: Va) => T,
  write: (memory: GuestMemory, va: Va, value: T) => void,
): FieldType<T> {
  return { size, align: size, read, write };
}

export const u8 = scalar<number>(
  1,
  (m, va) => m.readU8(va),
  (m, va, v) => m.writeU8(va, v),
);
export const i8 = scalar<number>(
  1,
  (m, va) => (m.readU8(va) << 24) >> 24,
  (m, va, v) => m.writeU8(va, v),
);
export const u16 = scalar<number>(
  2,
  (m, va) => m.readU16(va),
  (m, va, v) => m.writeU16(va, v),
);
export const i16 = scalar<number>(
  2,
  (m, va) => (m.readU16(va) << 16) >> 16,
  (m, va, v) => m.writeU16(va, v),
);
export const u32 = scalar<number>(
  4,
  (m, va) => m.readU32(va),
  (m, va, v) => m.writeU32(va, v),
);
export const i32 = scalar<number>(
  4,
  (m, va) => m.readI32(va),
  (m, va, v) => m.writeU32(va, v),
);
export const u64 = scalar<bigint>(
  8,
  (m, va) => m.readU64(va),
  (m, va, v) => m.writeU64(va, v),
);
export const i64 = scalar<bigint>(
  8,
  (m, va) => BigInt.asIntN(64, m.readU64(va)),
  (m, va, v) => m.writeU64(va, v),
);
export const pointer = scalar<Va>(
  8,
  (m, va) => m.readVa(va),
  (m, va, v) => m.writeVa(va, v),
);

/** Raw bytes or an embedded structure: only its address is of use. */
export function bytes(size: number, align = 1): FieldType<void> {
  const refuse = (): never => {
    throw new TypeError('an embedded structure is used through at()');
  };
  return { size, align, read: refuse, write: refuse };
}

/** A structure inside another one. */
export function embedded(inner: { readonly sizeBytes: number }, align = 8): FieldType<void> {
  return bytes(inner.sizeBytes, align);
}

/** `type` at a stated offset, for partly public structures and unions. */
export function placed<F extends AnyFieldType>(offset: number, type: F): F {
  return { ...type, offset };
}

/**
 * Declares a structure. `sizeBytes` is needed where the end of the structure is not declared.
 *
 * @example const UNICODE_STRING = struct('_UNICODE_STRING', { Length: u16, MaximumLength: u16, Buffer: pointer });
 *   UNICODE_STRING.Buffer.get(memory, string)
 */
export function struct<F extends Record<string, AnyFieldType>>(name: string, fields: F, sizeBytes?: number): Struct<F> {
  const result: Record<string, unknown> = {};
  let next = 0;
  let align = 1;
  for (const [fieldName, type] of Object.entries(fields)) {
    const offset = type.offset ?? Math.ceil(next / type.align) * type.align;
    next = Math.max(next, offset + type.size);
    align = Math.max(align, type.align);
    result[fieldName] = field(offset, type as FieldType<unknown>);
  }
  const natural = Math.ceil(next / align) * align;
  assert(sizeBytes === undefined || sizeBytes >= next, `${name}: fields end at ${next}, behind its ${sizeBytes} bytes`);
  result.structName = name;
  result.sizeBytes = sizeBytes ?? natural;
  return result as Struct<F>;
}

function field<T>(offset: number, type: FieldType<T>): Field<T> {
  return {
    offset,
    size: type.size,
    at: (base) => vaAdd(base, offset),
    get: (memory, base) => type.read(memory, vaAdd(base, offset)),
    set: (memory, base, value) => type.write(memory, vaAdd(base, offset), value),
  };
}
