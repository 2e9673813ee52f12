import { expect, it } from 'vitest';
import { statusOfVerdict, worstStatus } from './exit-status.ts';

it('each verdict has its status', () => {
  expect((['clean', 'violation', 'incomplete', 'error'] as const).map(statusOfVerdict)).toEqual([0, 1, 3, 4]);
});

it('of several, what must not be overlooked wins', () => {
  expect(worstStatus([0, 0])).toBe(0);
  expect(worstStatus([0, 3, 0])).toBe(3);
  expect(worstStatus([3, 1, 0])).toBe(1);
  expect(worstStatus([1, 2])).toBe(2);
  expect(worstStatus([2, 4, 1])).toBe(4);
});
