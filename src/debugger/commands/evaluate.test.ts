import { expect, it } from 'vitest';
import { general } from './evaluate.ts';

/** What C's printf("%g") gives, with exponents of three digits. */
it.each([
  [0, '0'],
  [-0, '-0'],
  [1, '1'],
  [1.5, '1.5'],
  [100000, '100000'],
  [1000000, '1e+006'],
  [123456789, '1.23457e+008'],
  [0.0001, '0.0001'],
  [0.00001, '1e-005'],
  [-2.5, '-2.5'],
  [999999.5, '1e+006'],
  [6.36908e-22, '6.36908e-022'],
  [2.34182e-315, '2.34182e-315'],
  [Number.POSITIVE_INFINITY, 'inf'],
  [Number.NEGATIVE_INFINITY, '-inf'],
  [Number.NaN, 'nan'],
])('%d', (value, text) => {
  expect(general(value)).toBe(text);
});
