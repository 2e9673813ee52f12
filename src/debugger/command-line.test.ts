import { expect, it } from 'vitest';
import { firstCommand, splitName, takeWord } from './command-line.ts';

it.each([
  ['k; g', 'k', ' g'],
  ['k', 'k', ''],
  ['', '', ''],
  [';k', '', 'k'],
  ['bp x "k; g"; r', 'bp x "k; g"', ' r'],
  ['.echo "a\\";b"; c', '.echo "a\\";b"', ' c'],
  ['.echo "open; end', '.echo "open; end', ''],
])('%s', (line, text, rest) => {
  expect(firstCommand(line)).toEqual({ text, rest });
});

it.each([
  ['db rsp', 'db', 'rsp'],
  ['db@rsp', 'db', '@rsp'],
  ['?1+2', '?', '1+2'],
  ['? 1+2', '?', '1+2'],
  ['k5', 'k', '5'],
  ['!verifier 3', '!verifier', '3'],
  ['.bugcheck', '.bugcheck', ''],
  ['$$ text', '$$', 'text'],
  ['* text', '*', 'text'],
  ['db/c4 rip', 'db', '/c4 rip'],
  ['lmvm x*', 'lmvm', 'x*'],
  ['', '', ''],
])('%s', (command, name, rest) => {
  expect(splitName(command)).toEqual({ name, rest });
});

it.each([
  ['"a b" c', 'a b', 'c'],
  ['"a\\"b\\\\" c', 'a"b\\', 'c'],
  ['a b', 'a', 'b'],
  ['"open', 'open', ''],
  ['', '', ''],
])('%s', (text, word, rest) => {
  expect(takeWord(text)).toEqual({ word, rest });
});
