/**
 * Binary trees in guest memory (RTL_SPLAY_LINKS; RTL_BALANCED_LINKS begin alike). A root is its own parent, or the child
 * of a header, which AVL tables have.
 */
import { nullVa, type Va } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { RTL_SPLAY_LINKS } from '../structures/tables.ts';

const { Parent, LeftChild, RightChild } = RTL_SPLAY_LINKS;

export class Tree {
  private readonly memory: GuestMemory;
  /** Null if a root is its own parent. */
  private readonly header: Va;

  constructor(memory: GuestMemory, header: Va = nullVa) {
    this.memory = memory;
    this.header = header;
  }

  left(node: Va): Va {
    return LeftChild.get(this.memory, node);
  }

  right(node: Va): Va {
    return RightChild.get(this.memory, node);
  }

  parent(node: Va): Va {
    return Parent.get(this.memory, node);
  }

  isRoot(node: Va): boolean {
    const parent = this.parent(node);
    return parent === node || parent === this.header;
  }

  /** A node without children that is the whole tree. */
  plant(node: Va): void {
    this.link(node, nullVa, nullVa);
    this.makeRoot(node);
  }

  /** A new leaf below `parent`. */
  attach(node: Va, parent: Va, isLeft: boolean): void {
    this.link(node, nullVa, nullVa);
    Parent.set(this.memory, node, parent);
    (isLeft ? LeftChild : RightChild).set(this.memory, parent, node);
  }

  private link(node: Va, left: Va, right: Va): void {
    LeftChild.set(this.memory, node, left);
    RightChild.set(this.memory, node, right);
  }

  private makeRoot(node: Va): void {
    Parent.set(this.memory, node, this.header === nullVa ? node : this.header);
    if (this.header !== nullVa) RightChild.set(this.memory, this.header, node);
  }

  /** Puts `by` (null: nothing) in the place of `node` below its parent. */
  private replace(node: Va, by: Va): void {
    const parent = this.parent(node);
    if (this.isRoot(node)) {
      if (by !== nullVa) this.makeRoot(by);
      else if (this.header !== nullVa) RightChild.set(this.memory, this.header, nullVa);
      return;
    }
    (this.left(parent) === node ? LeftChild : RightChild).set(this.memory, parent, by);
    if (by !== nullVa) Parent.set(this.memory, by, parent);
  }

  private rotateUp(node: Va): void {
    const parent = this.parent(node);
    this.replace(parent, node);
    const isLeft = this.left(parent) === node;
    const inner = isLeft ? this.right(node) : this.left(node);
    (isLeft ? LeftChild : RightChild).set(this.memory, parent, inner);
    if (inner !== nullVa) Parent.set(this.memory, inner, parent);
    (isLeft ? RightChild : LeftChild).set(this.memory, node, parent);
    Parent.set(this.memory, parent, node);
  }

  /** RtlSplay: the node becomes the root. */
  splay(node: Va): Va {
    while (!this.isRoot(node)) {
      const parent = this.parent(node);
      if (!this.isRoot(parent)) {
        const isSameSide = (this.left(parent) === node) === (this.left(this.parent(parent)) === parent);
        this.rotateUp(isSameSide ? parent : node);
      }
      this.rotateUp(node);
    }
    return node;
  }

  /** Takes a node out; the parent of what moved, null if that was the root. The order of the others stays. */
  remove(node: Va): Va {
    const [left, right] = [this.left(node), this.right(node)];
    if (left !== nullVa && right !== nullVa) {
      const before = this.rightmost(left);
      const last = this.parent(before) === node ? before : this.parent(before);
      this.replace(before, this.left(before));
      this.link(before, this.left(node), this.right(node));
      for (const child of [this.left(before), this.right(before)]) {
        if (child !== nullVa) Parent.set(this.memory, child, before);
      }
      this.replace(node, before);
      return last;
    }
    const parent = this.isRoot(node) ? nullVa : this.parent(node);
    const child = left === nullVa ? right : left;
    this.replace(node, child);
    return parent === nullVa ? child : parent;
  }

  /** The root above a node. */
  rootOf(node: Va): Va {
    let at = node;
    while (!this.isRoot(at)) at = this.parent(at);
    return at;
  }

  leftmost(node: Va): Va {
    let at = node;
    for (let next = this.left(at); next !== nullVa; next = this.left(at)) at = next;
    return at;
  }

  rightmost(node: Va): Va {
    let at = node;
    for (let next = this.right(at); next !== nullVa; next = this.right(at)) at = next;
    return at;
  }

  /** The next node in order, in the whole tree; null behind the last. */
  successor(node: Va): Va {
    const right = this.right(node);
    if (right !== nullVa) return this.leftmost(right);
    let at = node;
    while (!this.isRoot(at)) {
      const parent = this.parent(at);
      if (this.left(parent) === at) return parent;
      at = parent;
    }
    return nullVa;
  }

  predecessor(node: Va): Va {
    const left = this.left(node);
    if (left !== nullVa) return this.rightmost(left);
    let at = node;
    while (!this.isRoot(at)) {
      const parent = this.parent(at);
      if (this.right(parent) === at) return parent;
      at = parent;
    }
    return nullVa;
  }
}
