import type { StreamView } from './stream-view.ts';
import type { TypeRecords } from './type-records.ts';

/** Leaf kinds of cvinfo.h. */
const leaf = {
  class: 0x1504,
  structure: 0x1505,
  union: 0x1506,
  enumeration: 0x1507,
  interface: 0x1519,
  class2: 0x1608,
  structure2: 0x1609,
  funcId: 0x1601,
  memberFuncId: 0x1602,
  stringId: 0x1605,
} as const;

/**
 * Qualified names of inlined functions: IPI records, with the class name from TPI.
 * Source: cvinfo.h, lfFuncId, lfMFuncId, lfStringId, lfClass, lfUnion, lfEnum; the newer class2 and structure2 have
 * 32-bit properties and a second number before the name.
 */
export class FunctionIds {
  readonly #ids: TypeRecords | undefined;
  readonly #types: TypeRecords | undefined;
  readonly #names = new Map<number, string | undefined>();

  constructor(ids: TypeRecords | undefined, types: TypeRecords | undefined) {
    this.#ids = ids;
    this.#types = types;
  }

  /** `ns::Class::function`, or undefined if that id names no function. */
  name(id: number): string | undefined {
    if (!this.#names.has(id)) this.#names.set(id, this.#read(id));
    return this.#names.get(id);
  }

  #read(id: number): string | undefined {
    const record = this.#ids?.record(id);
    if (record === undefined) return undefined;
    const { data } = record;
    const scope = data.u32(0);
    if (record.leaf === leaf.funcId) return qualified(scope === 0 ? undefined : this.#scopeName(scope), data.text(8));
    if (record.leaf === leaf.memberFuncId) return qualified(this.#className(scope), data.text(8));
    return undefined;
  }

  #scopeName(id: number): string | undefined {
    const record = this.#ids?.record(id);
    return record?.leaf === leaf.stringId ? record.data.text(4) : undefined;
  }

  #className(type: number): string | undefined {
    const record = this.#types?.record(type);
    if (record === undefined) return undefined;
    const { data } = record;
    switch (record.leaf) {
      case leaf.class:
      case leaf.structure:
      case leaf.interface:
        return data.text(afterNumber(data, 16));
      case leaf.class2:
      case leaf.structure2:
        return data.text(afterNumber(data, afterNumber(data, 16)));
      case leaf.union:
        return data.text(afterNumber(data, 8));
      case leaf.enumeration:
        return data.text(12);
      default:
        return undefined;
    }
  }
}

function qualified(scope: string | undefined, name: string): string {
  return scope === undefined ? name : `${scope}::${name}`;
}

/** Offset after a numeric leaf: a value below 0x8000, or the kind of a longer one with its bytes. */
function afterNumber(data: StreamView, at: number): number {
  const kind = data.u16(at);
  if (kind < 0x8000) return at + 2;
  const size = numericLeafBytes[kind - 0x8000];
  if (size === undefined) throw data.damaged(`numeric leaf 0x${kind.toString(16)}`, 'LF_CHAR to LF_UQUADWORD');
  return at + 2 + size;
}

/** Value bytes of LF_CHAR, LF_SHORT, LF_USHORT, LF_LONG, LF_ULONG, (reals), LF_QUADWORD, LF_UQUADWORD. */
const numericLeafBytes = [1, 2, 2, 4, 4, 4, 8, 10, 16, 8, 8];
