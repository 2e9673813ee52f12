import { describe, expect, it } from 'vitest';
import { buildPe, sectionFlags } from '../../../test/pe-builder.ts';
import { PoolproofError } from '../../base/errors.ts';
import { parsePe } from '../pe/index.ts';
import { coffSymbols } from './coff-symbols.ts';
import type { SymbolSource } from './symbol-source.ts';

interface Symbol {
  readonly name: string;
  readonly value: number;
  readonly section: number;
  readonly type?: number;
  readonly storage?: number;
  readonly auxiliaries?: number;
}

const { bytes: image } = buildPe({
  code: new Uint8Array(0x80).fill(0x90),
  sections: [{ name: '.data', data: new Uint8Array(0x40), characteristics: sectionFlags.data }],
});
const { sections } = parsePe(image, 'x.sys');
/** Section numbers count from 1. */
const sectionNumber = (name: string): number => sections.findIndex((section) => section.name === name) + 1;
const text = sectionNumber('.text');
const data = sectionNumber('.data');
const rvaOf = (number: number): number => sections[number - 1]!.rva;

function withSymbols(symbols: readonly Symbol[]): Uint8Array {
  const table: number[] = [];
  const strings: number[] = [0, 0, 0, 0];
  const u32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
  let count = 0;
  for (const { name, value, section, type = 0, storage = 2, auxiliaries = 0 } of symbols) {
    const encoded = [...new TextEncoder().encode(name)];
    if (encoded.length <= 8) table.push(...encoded, ...Array.from({ length: 8 - encoded.length }, () => 0));
    else {
      table.push(0, 0, 0, 0, ...u32(strings.length));
      strings.push(...encoded, 0);
    }
    table.push(...u32(value), section & 255, (section >> 8) & 255, type, 0, storage, auxiliaries);
    for (let i = 0; i < auxiliaries; i++) table.push(...Array.from({ length: 18 }, () => 0x41));
    count += 1 + auxiliaries;
  }
  strings.splice(0, 4, ...u32(strings.length));
  const bytes = Uint8Array.from([...image, ...table, ...strings]);
  const view = new DataView(bytes.buffer);
  const coff = view.getUint32(60, true) + 4;
  view.setUint32(coff + 8, image.length, true);
  view.setUint32(coff + 12, count, true);
  return bytes;
}

const symbolsOf = (symbols: readonly Symbol[]): SymbolSource | undefined => coffSymbols(withSymbols(symbols), sections);

describe('coffSymbols', () => {
  it('names functions until the next one, and data', () => {
    const source = symbolsOf([
      { name: 'x.c', value: 0, section: -2, storage: 103, auxiliaries: 1 },
      { name: '.text', value: 0, section: text, storage: 3, auxiliaries: 1 },
      { name: 'aVeryLongFunctionName', value: 0x10, section: text, type: 0x20 },
      { name: 'helper', value: 0x20, section: text, type: 0x20, storage: 3 },
      { name: 'byHand', value: 0x30, section: text },
      { name: '___CTOR_LIST__', value: 0x70, section: text },
      { name: 'counter', value: 8, section: data },
      { name: 'absolute', value: 8, section: -1 },
      { name: 'elsewhere', value: 8, section: 0 },
      { name: 'outside', value: 0x10_0000, section: data },
    ])!;
    const at = (offset: number): unknown => source.framesAt(rvaOf(text) + offset)[0]?.function;
    expect([0xf, 0x10, 0x1f, 0x20, 0x30, 0x7f].map(at)).toEqual([
      undefined,
      'aVeryLongFunctionName',
      'aVeryLongFunctionName',
      'helper',
      'byHand',
      'byHand',
    ]);
    expect(source.framesAt(rvaOf(text) + sections[text - 1]!.virtualSize)).toEqual([]);
    expect(source.framesAt(rvaOf(text) + 0x28)).toEqual([
      { function: 'helper', functionRva: rvaOf(text) + 0x20, inlined: false, source: undefined },
    ]);
    expect(source.find('counter')).toEqual({ name: 'counter', rva: rvaOf(data) + 8, kind: 'data', sizeBytes: 0 });
    expect(
      source
        .symbols()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['aVeryLongFunctionName', 'byHand', 'counter', 'helper']);
  });

  it('shows what the source declares before what the linker adds at the same place', () => {
    const source = symbolsOf([
      { name: '__bss_start__', value: 0, section: text },
      { name: 'local', value: 0, section: text, type: 0x20, storage: 3 },
      { name: 'external', value: 0, section: text, type: 0x20 },
    ])!;
    expect(source.framesAt(rvaOf(text) + 4)).toMatchObject([{ function: 'external' }]);
    expect(source.find('local')?.rva).toBe(rvaOf(text));
  });

  it('is nothing without a table', () => {
    expect(coffSymbols(image, sections)).toBeUndefined();
    expect(coffSymbols(new Uint8Array(8), sections)).toBeUndefined();
  });

  it('refuses a table that does not fit the file', () => {
    const bytes = withSymbols([{ name: 'aVeryLongFunctionName', value: 0, section: text }]);
    const view = new DataView(bytes.buffer);
    const refused = (change: () => void): void => {
      change();
      expect(() => coffSymbols(bytes, sections)).toThrow(PoolproofError);
      expect(() => coffSymbols(bytes, sections)).toThrow(/damaged COFF symbol table/);
    };
    refused(() => view.setUint32(image.length + 4, 0xffff, true));
    refused(() => view.setUint32(view.getUint32(60, true) + 16, 0xfffffff, true));
  });
});
