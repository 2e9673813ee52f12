import { expect, it } from 'vitest';
import { fileTimeText, utcText } from './time-text.ts';

it.each([
  [0, 'Thu Jan 01 00:00:00 1970'],
  [473_988_706_000, 'Mon Jan 07 23:31:46 1985'],
  [951_782_399_000, 'Mon Feb 28 23:59:59 2000'],
])('%i ms since 1970', (milliseconds, text) => {
  expect(utcText(milliseconds)).toBe(text);
});

it.each([
  [0n, 'Mon Jan 01 00:00:00.000 1601 (UTC + 0:00)'],
  [116_444_736_000_000_000n, 'Thu Jan 01 00:00:00.000 1970 (UTC + 0:00)'],
  [133_240_512_533_465_600n, 'Thu Mar 23 13:20:53.346 2023 (UTC + 0:00)'],
  [-1n, undefined],
  [1n << 63n, undefined],
])('%i of 100 ns since 1601', (time, text) => {
  expect(fileTimeText(time)).toBe(text);
});
