import { expect, it } from 'vitest';
import { buildPe } from '../../../test/pe-builder.ts';
import { parsePe } from '../pe/index.ts';
import { parseScopeTable } from './index.ts';

function tableOf(words: number[]) {
  const data = new Uint8Array(Uint32Array.from(words).buffer);
  const built = buildPe({ sections: [{ name: 'x', data }] });
  return parseScopeTable(parsePe(built.bytes, 'x.sys'), built.sectionRva.get('x')!);
}

it('tells filters, constant filters and finally blocks apart', () => {
  expect(tableOf([3, 0x1000, 0x1010, 0x1200, 0x1300, 0x1000, 0x1020, 1, 0x1400, 0x1008, 0x1018, 0x1500, 0])).toEqual({
    entries: [
      { kind: 'except', beginRva: 0x1000, endRva: 0x1010, filterRva: 0x1200, targetRva: 0x1300 },
      { kind: 'except', beginRva: 0x1000, endRva: 0x1020, filterRva: undefined, targetRva: 0x1400 },
      { kind: 'finally', beginRva: 0x1008, endRva: 0x1018, handlerRva: 0x1500 },
    ],
    sizeBytes: 52,
  });
});

it('refuses tables and addresses outside of the image', () => {
  expect(() => tableOf([0x1000])).toThrow('a scope table of 4096 entries, expected one that ends in the image');
  expect(() => tableOf([1, 0x1000, 0x1010, 0x9000_0000, 0])).toThrow('expected addresses in the image');
  expect(() => tableOf([1, 0x1010, 0x1000, 1, 0x1100])).toThrow('scope 0x1010..0x1000');
});
