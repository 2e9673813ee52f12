import { expect, it } from 'vitest';
import { statusOfVerdict } from './exit-status.ts';

it('each verdict has its status', () => {
  expect((['clean', 'violation', 'incomplete', 'error'] as const).map(statusOfVerdict)).toEqual([0, 1, 3, 4]);
});
