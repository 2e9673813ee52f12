import { expect, it } from 'vitest';
import { RangeIndex } from './range-index.ts';

it('finds the covering range that starts last, and the first of those that start together', () => {
  const index = new RangeIndex([
    { rva: 100, sizeBytes: 100, name: 'large' },
    { rva: 120, sizeBytes: 10, name: 'inside' },
    { rva: 120, sizeBytes: 5, name: 'folded' },
    { rva: 150, sizeBytes: 0, name: 'empty' },
    { rva: 10, sizeBytes: 5, name: 'early' },
  ]);
  const at = (rva: number): string | undefined => index.at(rva)?.name;
  expect([9, 10, 14, 15, 99, 100].map(at)).toEqual([undefined, 'early', 'early', undefined, undefined, 'large']);
  expect([119, 120, 124, 129, 130, 150, 199, 200].map(at)).toEqual([
    'large',
    'inside',
    'inside',
    'inside',
    'large',
    'large',
    'large',
    undefined,
  ]);
});
