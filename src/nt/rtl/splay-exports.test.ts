import { beforeEach, expect, it } from 'vitest';
import { GuestFixture } from '../../../test/guest-memory-fixture.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { Tree } from './splay.ts';
import { rtlSplayTrees } from './splay-exports.ts';

let guest: GuestFixture;
let tree: Tree;
/** In order; the second is the root, the first and third are below it, the fourth below the third. */
let nodes: Va[];

beforeEach(() => {
  guest = new GuestFixture();
  tree = new Tree(guest.memory);
  nodes = Array.from({ length: 4 }, () => guest.allocate(24));
  const [first, root, third, fourth] = nodes as [Va, Va, Va, Va];
  tree.plant(root);
  tree.attach(first, root, true);
  tree.attach(third, root, false);
  tree.attach(fourth, third, false);
});

const call = (name: keyof typeof rtlSplayTrees.routines, ...args: number[]) =>
  guest.call(name, rtlSplayTrees.routines[name], ...args);
const each = (name: keyof typeof rtlSplayTrees.routines): unknown[] =>
  nodes.map((node) => nodes.indexOf(call(name, node) as Va));

it('neighbours in the whole tree, and below a node only', () => {
  expect(each('RtlRealSuccessor')).toEqual([1, 2, 3, -1]);
  expect(each('RtlRealPredecessor')).toEqual([-1, 0, 1, 2]);
  expect(each('RtlSubtreeSuccessor')).toEqual([-1, 2, 3, -1]);
  expect(each('RtlSubtreePredecessor')).toEqual([-1, 0, -1, -1]);
});

it('RtlSplay makes the node the root, and keeps the order', () => {
  const last = nodes[3] as Va;
  expect(call('RtlSplay', last)).toBe(last);
  expect(tree.rootOf(nodes[0] as Va)).toBe(last);
  expect(each('RtlRealSuccessor')).toEqual([1, 2, 3, -1]);
});

it('RtlDelete gives the new root, NULL behind the last', () => {
  let left = nodes.slice();
  for (const node of nodes) {
    left = left.filter((one) => one !== node);
    const root = call('RtlDelete', node) as Va;
    if (left.length === 0) expect(root).toBe(nullVa);
    else expect(tree.rootOf(left[0] as Va)).toBe(root);
    expect(left.map((one) => left.indexOf(call('RtlRealSuccessor', one) as Va))).toEqual(
      left.map((_, index) => (index + 1 < left.length ? index + 1 : -1)),
    );
  }
});

it('RtlDeleteNoSplay changes the root only when it is deleted', () => {
  const [, second, third] = nodes as [Va, Va, Va];
  const root = guest.allocate(8);
  guest.memory.writeVa(root, second);
  call('RtlDeleteNoSplay', third, root);
  expect(guest.memory.readVa(root)).toBe(second);
  call('RtlDeleteNoSplay', second, root);
  expect(guest.memory.readVa(root)).not.toBe(second);
  for (const node of [nodes[0], nodes[3]]) call('RtlDeleteNoSplay', node as Va, root);
  expect(guest.memory.readVa(root)).toBe(nullVa);
});
