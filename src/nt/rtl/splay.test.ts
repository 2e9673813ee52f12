import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { RTL_BALANCED_LINKS } from '../structures/tables.ts';
import { Tree } from './splay.ts';

/** Nodes in order; every link is checked both ways. */
function inOrder(tree: Tree, root: Va): Va[] {
  if (root === nullVa) return [];
  const children = [tree.left(root), tree.right(root)] as const;
  for (const child of children) if (child !== nullVa) expect(tree.parent(child)).toBe(root);
  return [...inOrder(tree, children[0]), root, ...inOrder(tree, children[1])];
}

function lowest(tree: Tree, root: Va, isBelow: (node: Va) => boolean): { parent: Va; isLeft: boolean } {
  for (let at = root; ; ) {
    const isLeft = isBelow(at);
    const next = isLeft ? tree.left(at) : tree.right(at);
    if (next === nullVa) return { parent: at, isLeft };
    at = next;
  }
}

it.each([false, true])('keeps the order whatever is inserted, splayed and removed; with a header: %s', (hasHeader) => {
  const step = fc.tuple(fc.constantFrom('insert', 'remove', 'splay'), fc.nat(30));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const guest = new GuestFixture();
      const header = hasHeader ? guest.allocate(RTL_BALANCED_LINKS.sizeBytes) : nullVa;
      if (hasHeader) RTL_BALANCED_LINKS.RightChild.set(guest.memory, header, nullVa);
      const tree = new Tree(guest.memory, header);
      const nodes = new Map<number, Va>();
      let root = nullVa;
      for (const [what, key] of steps) {
        const known = nodes.get(key);
        if (what === 'insert' && known === undefined) {
          const node = guest.allocate(32);
          if (root === nullVa) tree.plant(node);
          else {
            const keyOf = (at: Va): number => [...nodes].find(([, one]) => one === at)?.[0] ?? -1;
            const { parent, isLeft } = lowest(tree, root, (at) => key < keyOf(at));
            tree.attach(node, parent, isLeft);
          }
          nodes.set(key, node);
          root = tree.rootOf(node);
        } else if (what === 'remove' && known !== undefined) {
          const near = tree.remove(known);
          nodes.delete(key);
          root = near === nullVa ? nullVa : tree.rootOf(near);
        } else if (what === 'splay' && known !== undefined) {
          root = tree.splay(known);
          expect(root).toBe(known);
        }
        const sorted = [...nodes].sort(([a], [b]) => a - b).map(([, node]) => node);
        expect(inOrder(tree, root)).toEqual(sorted);
        if (hasHeader) expect(RTL_BALANCED_LINKS.RightChild.get(guest.memory, header)).toBe(root);
        for (const [index, node] of sorted.entries()) {
          expect(tree.successor(node)).toBe(sorted[index + 1] ?? nullVa);
          expect(tree.predecessor(node)).toBe(sorted[index - 1] ?? nullVa);
        }
      }
    }),
    { numRuns: 60, seed: 5 },
  );
});
