import { expect, it } from 'vitest';
import { isNameInExpression } from './name-expression.ts';

it.each([
  ['*', 'ANYTHING.TXT', true],
  ['*', '', true],
  ['*.TXT', 'A.TXT', true],
  ['*.TXT', 'A.TXT.BAK', false],
  ['A?C', 'ABC', true],
  ['A?C', 'AC', false],
  ['???', 'AB', false],
  // DOS_QM matches at the end of a name, and in front of a dot, without a letter.
  ['A>>', 'A', true],
  ['>>>.TXT', 'AB.TXT', true],
  ['>>>.TXT', 'ABCD.TXT', false],
  // DOS_STAR stops at the last dot.
  ['<.TXT', 'A.B.TXT', true],
  ['A<B', 'A.B', false],
  ['<', 'README', true],
  // DOS_DOT matches a dot, or the end.
  ['A"', 'A', true],
  ['A"B', 'A.B', true],
  ['<"*', 'README', true],
  ['abc', 'ABC', false],
])('%s matches %s: %s', (expression, name, expected) => {
  expect(isNameInExpression(expression, name)).toBe(expected);
});
