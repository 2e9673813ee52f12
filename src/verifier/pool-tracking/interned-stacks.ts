import type { StoreList } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../../nt/nt.ts';

const smallestIndex = 256;
const recentStacks = 4;

interface RecentStack {
  /** As it was asked for: nobody changes it. */
  readonly stack: readonly Va[];
  readonly id: number;
  readonly kept: readonly Va[];
}

/** Call stacks, each kept once and known by a number: equal stacks have equal numbers. */
export class InternedStacks {
  private readonly stacks: StoreList<readonly Va[]>;
  /** An open-addressing hash table of numbers plus one; 0 is free. It follows from the list. */
  private index = new Uint32Array(smallestIndex);
  /** How many of the list's stacks are in the table, and the last of them: no other list has that one there. */
  private indexed = 0;
  private lastIndexed: readonly Va[] | undefined;
  /** What was asked for of late, with its number and what stands there: the same array often comes again. */
  private readonly recent: RecentStack[] = [];
  private nextRecent = 0;

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
    const { recent } = this;
    const { items } = this.stacks;
    for (let at = 0; at < recent.length; at++) {
      const known = recent[at] as RecentStack;
      if (known.stack === stack && items[known.id] === known.kept) return known.id;
    }
    const id = this.find(stack);
    recent[this.nextRecent] = { stack, id, kept: this.get(id) };
    this.nextRecent = (this.nextRecent + 1) % recentStacks;
    return id;
  }

  private find(stack: readonly Va[]): number {
    this.followList();
    const { index } = this;
    const { items } = this.stacks;
    const mask = index.length - 1;
    for (let slot = hashOf(stack) & mask; ; slot = (slot + 1) & mask) {
      const id = (index[slot] as number) - 1;
      if (id < 0) break;
      if (isSame(items[id] as readonly Va[], stack)) return id;
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
