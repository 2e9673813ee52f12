/**
 * Host-side state of the machine that has no place in guest memory. Values are immutable plain data, so a snapshot
 * shares them; a store that did not change since the last snapshot is shared whole.
 */
import { assert } from './errors.ts';
import { StoreBytes } from './store-bytes.ts';
import { StoreNumbers } from './store-numbers.ts';
import { StoreQueue } from './store-queue.ts';
import { StoreRing } from './store-ring.ts';
import { StoreTable } from './store-table.ts';

/** What one store held at a snapshot: opaque to everyone but the store. */
type Saved = unknown;

interface Snapshotted {
  save(): Saved;
  load(saved: Saved): void;
}

export type StoresSnapshot = ReadonlyMap<string, Saved>;

/** All stores of one machine. Each is created once, under a name of its own. */
export class Stores {
  private readonly stores = new Map<string, Snapshotted>();

  map<K extends string | number, V>(name: string): StoreMap<K, V> {
    return this.add(name, new StoreMap<K, V>());
  }

  cell<V>(name: string, initial: V): StoreCell<V> {
    return this.add(name, new StoreCell<V>(initial));
  }

  /** Only grows, like a log. */
  list<V>(name: string): StoreList<V> {
    return this.add(name, new StoreList<V>());
  }

  numbers(name: string, count: number): StoreNumbers {
    return this.add(name, new StoreNumbers(count));
  }

  bytes(name: string, size: number): StoreBytes {
    return this.add(name, new StoreBytes(size));
  }

  queue(name: string): StoreQueue {
    return this.add(name, new StoreQueue());
  }

  /** Rows of `words` 32-bit numbers, found by the first. */
  table(name: string, words: number): StoreTable {
    return this.add(name, new StoreTable(words));
  }

  /** The latest `capacity` rows of four 32-bit numbers. */
  ring(name: string, capacity: number): StoreRing {
    return this.add(name, new StoreRing(capacity));
  }

  snapshot(): StoresSnapshot {
    return new Map([...this.stores].map(([name, store]) => [name, store.save()]));
  }

  restore(snapshot: StoresSnapshot): void {
    for (const [name, store] of this.stores) {
      assert(snapshot.has(name), `the snapshot has no store '${name}': it was taken of a machine of another shape`);
      store.load(snapshot.get(name));
    }
  }

  private add<S extends Snapshotted>(name: string, store: S): S {
    assert(!this.stores.has(name), `store '${name}' exists already`);
    this.stores.set(name, store);
    return store;
  }
}

/** A map that keeps insertion order. */
export class StoreMap<K extends string | number, V> implements Snapshotted {
  private entries_ = new Map<K, V>();
  private isShared = false;
  /** What was found last is often what is asked for next. */
  private latestKey: K | undefined;
  private latest: V | undefined;

  get size(): number {
    return this.entries_.size;
  }

  get(key: K): V | undefined {
    if (key === this.latestKey) return this.latest;
    const value = this.entries_.get(key);
    if (value === undefined) return undefined;
    this.latestKey = key;
    this.latest = value;
    return value;
  }

  has(key: K): boolean {
    return this.entries_.has(key);
  }

  set(key: K, value: V): void {
    this.own().set(key, value);
    if (key === this.latestKey) this.latest = value;
  }

  delete(key: K): boolean {
    if (key === this.latestKey) this.latestKey = undefined;
    return this.entries_.has(key) && this.own().delete(key);
  }

  keys(): IterableIterator<K> {
    return this.entries_.keys();
  }

  values(): IterableIterator<V> {
    return this.entries_.values();
  }

  entries(): IterableIterator<[K, V]> {
    return this.entries_.entries();
  }

  save(): Saved {
    this.isShared = true;
    return this.entries_;
  }

  load(saved: Saved): void {
    this.entries_ = saved as Map<K, V>;
    this.isShared = true;
    this.latestKey = undefined;
    this.latest = undefined;
  }

  private own(): Map<K, V> {
    if (this.isShared) {
      this.entries_ = new Map(this.entries_);
      this.isShared = false;
    }
    return this.entries_;
  }
}

export class StoreCell<V> implements Snapshotted {
  value: V;

  constructor(initial: V) {
    this.value = initial;
  }

  save(): Saved {
    return this.value;
  }

  load(saved: Saved): void {
    this.value = saved as V;
  }
}

/** An append-only list; a snapshot remembers its items by length and shares the array. */
export class StoreList<V> implements Snapshotted {
  private items_: V[] = [];
  private isShared = false;

  get items(): readonly V[] {
    return this.items_;
  }

  push(value: V): void {
    if (this.isShared) {
      this.items_ = this.items_.slice();
      this.isShared = false;
    }
    this.items_.push(value);
  }

  save(): Saved {
    this.isShared = true;
    return this.items_;
  }

  load(saved: Saved): void {
    this.items_ = saved as V[];
    this.isShared = true;
  }
}
