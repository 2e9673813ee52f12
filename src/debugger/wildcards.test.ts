import { expect, it } from 'vitest';
import { matches, matchesCase } from './wildcards.ts';

it.each([
  ['*', '', true],
  ['*', 'anything', true],
  ['toast*', 'ToasterIoctl', true],
  ['*ioctl', 'ToasterIoctl', true],
  ['*ster*', 'ToasterIoctl', true],
  ['t?aster*', 'ToasterIoctl', true],
  ['toaster', 'ToasterIoctl', false],
  ['?', '', false],
  ['a*b*c', 'aXbXbYc', true],
  ['a*b*c', 'aXbXbYcd', false],
  ['**', 'x', true],
  ['', '', true],
  ['', 'x', false],
  ['a.c', 'abc', false],
])('%s of %s: %s', (pattern, text, expected) => {
  expect(matches(pattern, text)).toBe(expected);
});

it('takes no time over names made for it', () => {
  expect(matches('*a*a*a*a*a*a*a*a*a*a*b', 'a'.repeat(5000))).toBe(false);
});

it('with regard to case', () => {
  expect(matchesCase('T?st', 'Test')).toBe(true);
  expect(matchesCase('t*', 'Test')).toBe(false);
  expect(matchesCase('?*'.repeat(100_000), 'Test')).toBe(false);
});
