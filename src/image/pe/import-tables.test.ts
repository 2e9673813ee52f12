import { expect, it } from 'vitest';
import { buildPe } from '../../../test/pe-builder.ts';
import { parsePe } from './index.ts';

const directoryAt = 0x80 + 24 + 112;

/** A driver with one delay-loaded module; its section starts at RVA 0x2000. */
function delayLoading(attributes: number): Uint8Array {
  const data = new Uint8Array(0x200);
  const view = new DataView(data.buffer);
  const at = 0x2000;
  const descriptor = [attributes, at + 0x80, 0, at + 0x100, at + 0x120, 0, 0, 0];
  for (const [index, word] of descriptor.entries()) view.setUint32(index * 4, word, true);
  data.set(new TextEncoder().encode('late.sys'), 0x80);
  view.setBigUint64(0x120, BigInt(at + 0x90), true);
  view.setBigUint64(0x128, 0x8000_0000_0000_0011n, true);
  data.set(new TextEncoder().encode('LateName'), 0x92);
  const { bytes } = buildPe({ sections: [{ name: '.didat', data }] });
  new DataView(bytes.buffer).setUint32(directoryAt + 13 * 8, at, true);
  new DataView(bytes.buffer).setUint32(directoryAt + 13 * 8 + 4, 64, true);
  return bytes;
}

it('lists delay imports apart', () => {
  const pe = parsePe(delayLoading(1), 'x.sys');
  expect(pe.imports).toEqual([]);
  expect(pe.delayImports).toEqual([
    {
      module: 'late.sys',
      imports: [
        { name: 'LateName', ordinal: undefined, iatRva: 0x2100 },
        { name: undefined, ordinal: 0x11, iatRva: 0x2108 },
      ],
    },
  ]);
});

it('refuses delay imports by address', () => {
  expect(() => parsePe(delayLoading(0), 'x.sys')).toThrow(
    'malformed delay import table: a descriptor of addresses, expected RVAs (attribute bit 0 set)',
  );
});

it('limits what a table of endless names may cost', () => {
  const longName = new Uint8Array(0x1000).fill(0x41, 0, 0xfff);
  const thunks = new Uint8Array(0x10000);
  const { bytes, iat } = buildPe({
    imports: { 'ntoskrnl.exe': ['DbgPrint'] },
    sections: [
      { name: 'x', data: longName },
      { name: 'y', data: thunks },
    ],
  });
  const pe = parsePe(bytes, 'x.sys');
  const [x, y] = pe.sections.slice(-2);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < 0xfff8; at += 8) view.setUint32((y?.rawOffset ?? 0) + at, x?.rva ?? 0, true);
  const descriptor = pe.sections[0]?.rawOffset ?? 0;
  view.setUint32(descriptor, y?.rva ?? 0, true);
  view.setUint32(descriptor + 16, y?.rva ?? 0, true);
  expect(iat('DbgPrint')).toBeGreaterThan(0);
  expect(() => parsePe(bytes, 'x.sys')).toThrow('more than 16 MB of names');
});
