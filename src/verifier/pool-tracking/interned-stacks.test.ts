import { expect, it } from 'vitest';
import { Stores } from '../../base/store.ts';
import type { Va } from '../../base/va.ts';
import type { Nt } from '../../nt/nt.ts';
import { InternedStacks } from './interned-stacks.ts';

const stack = (...addresses: number[]): readonly Va[] => addresses.map((address) => (address - 0x800_0000_0000) as Va);

function build(): { stores: Stores; stacks: InternedStacks } {
  const stores = new Stores();
  return { stores, stacks: new InternedStacks({ stores } as Nt) };
}

it('equal stacks have one number, in the order in which they came', () => {
  const { stacks } = build();
  const many = Array.from({ length: 1000 }, (_, at) => stack(16, at * 16, 0x1_0000 + (at % 7)));
  expect(many.map((one) => stacks.intern(one))).toEqual(many.map((_, at) => at));
  expect(many.toReversed().map((one) => stacks.intern(one.slice()))).toEqual(many.map((_, at) => 999 - at));
  expect([stacks.intern(stack()), stacks.intern(stack(16)), stacks.size]).toEqual([1000, 1001, 1002]);
  expect(stacks.get(3)).toEqual(stack(16, 48, 0x1_0003));
});

it('numbers go on from a snapshot as they did, in this machine and in another', () => {
  const first = build();
  for (const at of [1, 2, 3]) first.stacks.intern(stack(at));
  const snapshot = first.stores.snapshot();
  expect([first.stacks.intern(stack(4)), first.stacks.intern(stack(5))]).toEqual([3, 4]);
  const second = build();
  second.stacks.intern(stack(9));
  for (const { stores, stacks } of [first, second]) {
    stores.restore(snapshot);
    expect([5, 2, 4, 5].map((at) => stacks.intern(stack(at)))).toEqual([3, 1, 4, 3]);
    expect(stacks.size).toBe(5);
  }
});
