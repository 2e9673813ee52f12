import { expect, it } from 'vitest';
import { CommandError } from './command.ts';
import type { ExpressionHolder } from './expression.ts';
import { parseRange } from './ranges.ts';

const scope: ExpressionHolder = { scope: { symbol: () => undefined, register: () => 0x1000n, read: () => undefined } };

it.each([
  ['', 1, undefined],
  ['1000', 1, { start: 0x1000, count: undefined }],
  ['1000 L8', 4, { start: 0x1000, count: 8 }],
  ['1000 l8', 4, { start: 0x1000, count: 8 }],
  ['1000 L 10', 4, { start: 0x1000, count: 16 }],
  ['1000 L-4', 4, { start: 0xff0, count: 4 }],
  ['1000 100f', 1, { start: 0x1000, count: 16 }],
  ['1000 100f', 8, { start: 0x1000, count: 2 }],
  // The element that holds the end is part of it.
  ['1000 1010', 8, { start: 0x1000, count: 3 }],
  ['rsp rsp+f', 1, { start: 0x1000, count: 16 }],
  ['1000 L?100001', 1, { start: 0x1000, count: 0x10_0001 }],
  ['fffff805`12e40000 L1', 8, { start: -0x7fa_ed1c_0000, count: 1 }],
])('%s of %i bytes', (text, bytes, expected) => {
  expect(parseRange(scope, text, bytes)).toEqual(expected);
});

it.each(['1000 fff', '1000 L100001', '1000 101000', '1000 L?1000001'])('%s is no range', (text) => {
  expect(() => parseRange(scope, text, 1)).toThrow(CommandError);
});
