import { expect, it } from 'vitest';
import { printable, terminalSafeJson } from './printable.ts';

it('shows what a terminal would obey', () => {
  expect(printable('a\u001b[31mb\u0007\u009b\u007f\r\n')).toBe('a\\x1b[31mb\\x07\\x9b\\x7f\\x0d\\x0a');
  expect(printable('\u202ecod.exe\u2028\ud800')).toBe('\\u202ecod.exe\\u2028\\ud800');
});

it('leaves text alone', () => {
  const text = 'C:\\src\\Gerät – 設備 😀.c';
  expect(printable(text)).toBe(text);
});

it('JSON keeps its value and loses every control character but line feeds', () => {
  const value = { name: 'a\u001b\u009b\u202e\u007f😀\n', list: [1] };
  const json = terminalSafeJson(JSON.stringify(value, null, 2));
  expect(JSON.parse(json)).toEqual(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(json).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});
