import { describe, expect, test } from 'vitest';
import { analyseFlow } from './structure.ts';

describe('analyseFlow', () => {
  test('a loop with a condition inside', () => {
    // 0 -> 1; 1 -> 2 | 3; 2 -> 4; 3 -> 4; 4 -> 1 | 5
    const shape = analyseFlow([[1], [2, 3], [4], [4], [1, 5], []]);
    expect([...shape.isHeader]).toEqual([0, 1, 0, 0, 0, 0]);
    expect([...shape.isMerge]).toEqual([0, 0, 0, 0, 1, 0]);
    expect(shape.mergeChildren[1]).toEqual([4]);
    expect(shape.isReducible).toBe(true);
  });

  test('a loop with two entries is not reducible', () => {
    expect(analyseFlow([[1, 2], [2], [1]]).isReducible).toBe(false);
  });

  test('blocks that nothing reaches are left out', () => {
    const shape = analyseFlow([[2], [2], []]);
    expect(shape.order).toEqual([0, 2]);
    expect(shape.position[1]).toBe(-1);
    expect(shape.isMerge[2]).toBe(0);
  });

  test('both ways of a branch to one block make it a merge', () => {
    expect(analyseFlow([[1, 1], []]).isMerge[1]).toBe(1);
  });
});
