/** The requests of a tour: what a tester who knows a driver's control codes, but not its structures, would send. */
import type { Chance } from './chance.ts';

/**
 * What goes to each control code, in the order in which forms are left out when there are many codes, the last first.
 * They are sent by `order`. The first words of some hold small numbers and their own length, as structures do that are
 * checked by an index and a length.
 */
export const requestForms: readonly { readonly order: number; readonly words: (seed: number) => string }[] = [
  { order: 2, words: () => 'in=01000000*64 out=256' },
  { order: 0, words: () => '' },
  { order: 9, words: (seed) => `in=noise:256:${seed} out=256` },
  { order: 3, words: () => 'in=40000000*64 out=256' },
  { order: 1, words: () => 'in=00*8 out=8' },
  // An offset or index, a length, and as many bytes as it says.
  { order: 4, words: () => `in=${words(0, 8)}${textDigits('text one')} out=64` },
  // An offset that is too large.
  { order: 5, words: () => `in=${words(0x1_0000, 8)}${textDigits('text two')} out=64` },
  // Bytes instead of words.
  { order: 6, words: () => 'in=00010203*4 out=16' },
  { order: 7, words: () => 'in=01*16 out=16' },
  // A structure that begins with its size.
  { order: 8, words: () => `in=${words(24, 1, 2, 3, 0, 1)} out=24` },
  { order: 10, words: (seed) => `in=noise:4096:${seed} out=4096` },
];

/** What is read and written first. */
export const transfers = (seed: number): readonly string[] => [
  'read 64',
  'write 00*64',
  `write ${textDigits('a few words of text')}`,
  `write noise:256:${seed}`,
  'read 512 at=8',
  // Of many pages, not aligned.
  `write noise:70000:${seed}`,
  'read 70000 at=1',
  // Behind the end of whatever there is.
  `write ${textDigits('behind the end')} at=0x7fffffff`,
  'read 512 at=0x7fffffff',
];

/** `in=…` of a structure that nobody has seen: words that are often lengths, indexes and flags, and some bytes. */
export function inventedInput(chance: Chance): string {
  const count = 1 + chance.below(8);
  const bytes = count * 4 + chance.oneOf([0, 0, 8, 24]);
  const likely = [0, 0, 1, 1, 2, 3, 4, 8, 16, bytes, bytes - 4, bytes - 8, 0x101, 0x1000, 0x1_0000, 0xffff_ffff];
  const head = words(...Array.from({ length: count }, () => Math.max(0, chance.oneOf(likely))));
  const tail = Array.from({ length: bytes - count * 4 }, () => hexByte(0x61 + chance.below(26))).join('');
  return `in=${head}${tail} out=${chance.oneOf([0, 8, 64, 256])}`;
}

/** Little-endian words of four bytes, as hexadecimal digits. */
function words(...values: readonly number[]): string {
  return values.flatMap((value) => [0, 8, 16, 24].map((shift) => hexByte((value >>> shift) & 0xff))).join('');
}

function textDigits(text: string): string {
  return Array.from(text, (character) => hexByte(character.charCodeAt(0))).join('');
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
