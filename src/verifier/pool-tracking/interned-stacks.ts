import type { StoreList } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../../nt/nt.ts';

const smallestIndex = 256;

/** Call stacks, each kept once and known by a number: equal stacks have equal numbers. */
export class InternedStacks {
  private readonly stacks: StoreList<readonly Va[]>;
  /** An open-addressing hash table of numbers plus one; 0 is free. It follows from the list. */
  private index = new Uint32Array(smallestIndex);
  /** How many of the list's stacks are in the table, and the last of them: no other list has that one there. */
  private indexed = 0;
  private lastIndexed: readonly Va[] | undefined;
  /** The one that was asked for last: often the next one too. */
  private latest = 0;

  constructor(nt: Nt) {
    this.stacks = nt.stores.list('verifier/stacks');
  }

  /** Stacks so far. */
  get size(): number {
    return this.stacks.items.length;
  }

  /** The stack of that number. */
  get(id: number): readonly Va[] {
    return this.stacks.items[id] as readonly Va[];
  }

  /** The number of a stack: 0, 1, … in the order in which they are first seen. */
  intern(stack: readonly Va[]): number {
    this.followList();
    const { index, latest } = this;
    const { items } = this.stacks;
    if (latest < items.length && isSame(items[latest] as readonly Va[], stack)) return latest;
    const mask = index.length - 1;
    for (let slot = hashOf(stack) & mask; ; slot = (slot + 1) & mask) {
      const id = (index[slot] as number) - 1;
      if (id < 0) break;
      if (!isSame(items[id] as readonly Va[], stack)) continue;
      this.latest = id;
      return id;
    }
    this.stacks.push(Object.freeze(stack.slice()));
    return this.size - 1;
  }

  /** Stacks were added, or a snapshot was restored. */
  private followList(): void {
    const { items } = this.stacks;
    const { length } = items;
    if (length === this.indexed && items[length - 1] === this.lastIndexed) return;
    const isContinued = length >= this.indexed && items[this.indexed - 1] === this.lastIndexed;
    if (!isContinued || 2 * length > this.index.length) {
      let size = smallestIndex;
      while (size < 4 * length) size *= 2;
      this.index = new Uint32Array(size);
      this.indexed = 0;
    }
    const mask = this.index.length - 1;
    for (let id = this.indexed; id < length; id++) {
      let slot = hashOf(items[id] as readonly Va[]) & mask;
      while (this.index[slot] !== 0) slot = (slot + 1) & mask;
      this.index[slot] = id + 1;
    }
    this.indexed = length;
    this.lastIndexed = items[length - 1];
  }
}

/** Of the lower halves: the upper ones are alike. */
function hashOf(stack: readonly Va[]): number {
  let hash = 0x811c_9dc5;
  for (let depth = 0; depth < stack.length; depth++) hash = Math.imul(hash ^ ((stack[depth] as Va) | 0), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function isSame(one: readonly Va[], other: readonly Va[]): boolean {
  if (one.length !== other.length) return false;
  for (let depth = 0; depth < one.length; depth++) if (one[depth] !== other[depth]) return false;
  return true;
}
