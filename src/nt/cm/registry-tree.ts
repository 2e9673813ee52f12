/** The keys and values of the registry: one tree, `\REGISTRY`. Knows nothing of handles. */
import type { StoreCell, StoreMap, Stores } from '../../base/store.ts';
import {
  STATUS_CANNOT_DELETE,
  STATUS_CHILD_MUST_BE_VOLATILE,
  STATUS_INVALID_PARAMETER,
  STATUS_KEY_DELETED,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_REGISTRY_QUOTA_LIMIT,
  STATUS_SUCCESS,
} from '../ntstatus.ts';
import { textOfUtf16 } from '../rtl/guest-text.ts';
import { upcaseText } from '../rtl/letter-case.ts';

export interface RegistryValue {
  readonly name: string;
  readonly type: number;
  /** Never written to. */
  readonly data: Uint8Array;
}

export interface RegistryKey {
  readonly id: number;
  /** 0: none, this is the root. */
  readonly parent: number;
  readonly name: string;
  readonly className: string;
  readonly isVolatile: boolean;
  /** 100 ns since 1601. */
  readonly lastWriteTime: bigint;
  /** Sorted by name, volatile ones behind the others. */
  readonly subkeys: readonly number[];
  /** In the order in which they were first set. */
  readonly values: readonly RegistryValue[];
}

export interface NewKey {
  readonly className?: string;
  readonly isVolatile?: boolean;
}

/** What a path leads to: a key, or the place at which it ends. */
export interface FoundKey {
  readonly status: number;
  readonly key?: RegistryKey;
  /** Where a key of that name could be created: only the last part of the path is missing. */
  readonly missing?: { readonly parent: RegistryKey; readonly name: string };
}

/** REG_* value types, wdm.h. */
export const RegType = {
  None: 0,
  Sz: 1,
  ExpandSz: 2,
  Binary: 3,
  Dword: 4,
  DwordBigEndian: 5,
  Link: 6,
  MultiSz: 7,
  Qword: 11,
} as const;

const rootId = 1;
const linkValueName = 'SymbolicLinkValue';
/** REG_MAX_KEY_NAME_LENGTH and REG_MAX_KEY_VALUE_NAME_LENGTH, in UTF-16 code units. */
const longestKeyName = 256;
const longestValueName = 16_383;
const mostHops = 16;
/** What the machine's registry takes: keys and values together, and bytes of data. */
const mostEntries = 20_000;
const mostDataBytes = 0x400_0000;

const same = (name: string, other: string): boolean =>
  name.length === other.length && upcaseText(name) === upcaseText(other);

export class RegistryTree {
  private readonly keys: StoreMap<number, RegistryKey>;
  /** `id of the parent\NAME` to id. */
  private readonly names: StoreMap<string, number>;
  private readonly nextId: StoreCell<number>;
  private readonly entries: StoreCell<number>;
  private readonly dataBytes: StoreCell<number>;
  private readonly now: () => bigint;

  constructor(stores: Stores, now: () => bigint) {
    this.now = now;
    this.keys = stores.map('cm/keys');
    this.names = stores.map('cm/names');
    this.nextId = stores.cell('cm/next-key', rootId + 1);
    this.entries = stores.cell('cm/entries', 0);
    this.dataBytes = stores.cell('cm/data-bytes', 0);
    this.keys.set(rootId, {
      id: rootId,
      parent: 0,
      name: 'REGISTRY',
      className: '',
      isVolatile: true,
      lastWriteTime: now(),
      subkeys: [],
      values: [],
    });
  }

  // ---- keys

  get root(): RegistryKey {
    return this.keys.get(rootId) as RegistryKey;
  }

  /** Undefined once it was deleted. */
  key(id: number): RegistryKey | undefined {
    return this.keys.get(id);
  }

  child(parent: RegistryKey, name: string): RegistryKey | undefined {
    return this.keys.get(this.names.get(nameKey(parent.id, name)) ?? 0);
  }

  subkeys(key: RegistryKey): RegistryKey[] {
    return key.subkeys.flatMap((id) => this.keys.get(id) ?? []);
  }

  /** `\REGISTRY\MACHINE\…` */
  pathOf(key: RegistryKey): string {
    const names: string[] = [];
    for (let at: RegistryKey | undefined = key; at !== undefined; at = this.keys.get(at.parent)) names.push(at.name);
    return `\\${names.reverse().join('\\')}`;
  }

  /**
   * Follows `path` from a key. Links on the way are followed, the last one only unless `opensLink`.
   * Where any part is missing the status is STATUS_OBJECT_NAME_NOT_FOUND.
   */
  find(start: RegistryKey, path: string, opensLink = false): FoundKey {
    let key = start;
    let parts = path.split('\\').filter((part) => part !== '');
    let hops = 0;
    while (parts.length > 0) {
      const [name = '', ...rest] = parts;
      if (name.length > longestKeyName) return { status: STATUS_INVALID_PARAMETER };
      const next = this.child(key, name);
      if (next === undefined) {
        const missing = rest.length === 0 ? { parent: key, name } : undefined;
        return { status: STATUS_OBJECT_NAME_NOT_FOUND, ...(missing === undefined ? {} : { missing }) };
      }
      const target = rest.length === 0 && opensLink ? undefined : this.linkTarget(next);
      if (target === undefined) {
        key = next;
        parts = rest;
      } else {
        if (++hops > mostHops) return { status: STATUS_OBJECT_NAME_NOT_FOUND };
        key = this.root;
        // The target begins with `\REGISTRY`.
        parts = [...target.split('\\').slice(2), ...rest];
      }
    }
    return { status: STATUS_SUCCESS, key };
  }

  private linkTarget(key: RegistryKey): string | undefined {
    const value = this.value(key, linkValueName);
    return value?.type === RegType.Link ? textOfUtf16(value.data) : undefined;
  }

  createKey(parent: RegistryKey, name: string, options: NewKey = {}): FoundKey {
    const isVolatile = options.isVolatile ?? false;
    if (this.child(parent, name) !== undefined) return { status: STATUS_OBJECT_NAME_COLLISION };
    if (parent.isVolatile && !isVolatile) return { status: STATUS_CHILD_MUST_BE_VOLATILE };
    if (this.entries.value >= mostEntries) return { status: STATUS_REGISTRY_QUOTA_LIMIT };
    return { status: STATUS_SUCCESS, key: this.addKey(parent, name, options) };
  }

  /** As {@link createKey} without its rules: hives may begin below a volatile key. */
  addKey(parent: RegistryKey, name: string, { className = '', isVolatile = false }: NewKey = {}): RegistryKey {
    const id = this.nextId.value;
    this.nextId.value = id + 1;
    this.entries.value++;
    const key: RegistryKey = {
      id,
      parent: parent.id,
      name,
      className,
      isVolatile,
      lastWriteTime: this.now(),
      subkeys: [],
      values: [],
    };
    this.keys.set(id, key);
    this.names.set(nameKey(parent.id, name), id);
    const current = this.keys.get(parent.id) as RegistryKey;
    this.write(current, { subkeys: this.insert(current.subkeys, key) });
    return key;
  }

  private insert(subkeys: readonly number[], key: RegistryKey): number[] {
    const rank = upcaseText(key.name);
    let low = 0;
    let high = subkeys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.isBefore(subkeys[middle] as number, key.isVolatile, rank)) low = middle + 1;
      else high = middle;
    }
    return [...subkeys.slice(0, low), key.id, ...subkeys.slice(low)];
  }

  private isBefore(id: number, isVolatile: boolean, rank: string): boolean {
    const other = this.keys.get(id) as RegistryKey;
    return other.isVolatile === isVolatile ? upcaseText(other.name) < rank : isVolatile;
  }

  /** STATUS_CANNOT_DELETE for keys that have subkeys, and for the roots of hives. */
  deleteKey(key: RegistryKey): number {
    const parent = this.keys.get(key.parent);
    if (parent === undefined || key.subkeys.length > 0 || parent.id === rootId) return STATUS_CANNOT_DELETE;
    if (parent.parent === rootId) return STATUS_CANNOT_DELETE;
    for (const { data } of key.values) this.dataBytes.value -= data.length;
    this.entries.value -= 1 + key.values.length;
    this.keys.delete(key.id);
    this.names.delete(nameKey(parent.id, key.name));
    this.write(parent, { subkeys: parent.subkeys.filter((id) => id !== key.id) });
    return STATUS_SUCCESS;
  }

  private write(key: RegistryKey, change: Partial<RegistryKey>): void {
    this.keys.set(key.id, { ...key, ...change, lastWriteTime: this.now() });
  }

  // ---- values

  value(key: RegistryKey, name: string): RegistryValue | undefined {
    return key.values.find((value) => same(value.name, name));
  }

  /** A value that exists keeps its place and the case of its name. */
  setValue({ id }: RegistryKey, name: string, type: number, data: Uint8Array): number {
    const key = this.keys.get(id);
    if (key === undefined) return STATUS_KEY_DELETED;
    if (name.length > longestValueName) return STATUS_INVALID_PARAMETER;
    const before = this.value(key, name);
    const more = data.length - (before?.data.length ?? 0);
    if (this.dataBytes.value + more > mostDataBytes) return STATUS_REGISTRY_QUOTA_LIMIT;
    if (before === undefined && this.entries.value >= mostEntries) return STATUS_REGISTRY_QUOTA_LIMIT;
    this.dataBytes.value += more;
    if (before === undefined) this.entries.value++;
    const value = { name: before?.name ?? name, type, data };
    const values =
      before === undefined ? [...key.values, value] : key.values.map((old) => (old === before ? value : old));
    this.write(key, { values });
    return STATUS_SUCCESS;
  }

  deleteValue(key: RegistryKey, name: string): number {
    const value = this.value(key, name);
    if (value === undefined) return STATUS_OBJECT_NAME_NOT_FOUND;
    this.dataBytes.value -= value.data.length;
    this.entries.value--;
    this.write(key, { values: key.values.filter((other) => other !== value) });
    return STATUS_SUCCESS;
  }
}

function nameKey(parent: number, name: string): string {
  return `${parent}\\${upcaseText(name)}`;
}
