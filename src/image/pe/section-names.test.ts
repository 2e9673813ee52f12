import { expect, it } from 'vitest';
import { buildPe } from '../../../test/pe-builder.ts';
import { parsePe } from './index.ts';

/** A driver whose sections have those raw names, with a string table behind it. */
function namesOf(rawNames: string[], strings: string, claimedBytes = strings.length + 4): string[] {
  const { bytes } = buildPe({ sections: rawNames.map((name) => ({ name, data: [1] })) });
  const file = new Uint8Array(bytes.length + 18 + 4 + strings.length);
  file.set(bytes);
  const view = new DataView(file.buffer);
  view.setUint32(0x80 + 12, bytes.length, true);
  view.setUint32(0x80 + 16, 1, true);
  view.setUint32(bytes.length + 18, claimedBytes, true);
  for (let index = 0; index < strings.length; index++) file[bytes.length + 22 + index] = strings.charCodeAt(index);
  return parsePe(file, 'x.sys')
    .sections.slice(1)
    .map(({ name }) => name);
}

it('resolves long names in the string table, decimal and base 64', () => {
  expect(namesOf(['/4', '/16', '//AAAAAE', '.exactly'], '.debug_info\0.debug_abbrev\0')).toEqual([
    '.debug_info',
    '.debug_abbrev',
    '.debug_info',
    '.exactly',
  ]);
});

it('keeps the short name when there is nothing at its offset', () => {
  expect(namesOf(['/400', '/0', '/x', '//AAAAA'], '.debug_info\0')).toEqual(['/400', '/0', '/x', '//AAAAA']);
  expect(namesOf(['/4'], '.debug_info\0', 4)).toEqual(['/4']);
  expect(namesOf(['/4'], '.debug_info\0', 0xffff_ffff)).toEqual(['.debug_info']);
});
