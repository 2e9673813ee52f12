import { describe, expect, it } from 'vitest';
import { excerptOf } from './source-excerpt.ts';

const site = (line: number) => ({ module: 'leaky', offset: '0x0', file: 'a.c', line });
const reading = (text: string) => (file: string) => (file === 'a.c' ? { path: 'src/a.c', text } : undefined);

describe('excerptOf', () => {
  it('gives the line with those around it, tabs as spaces, however lines end', () => {
    const text = 'one\r\ntwo\n\tthree  \nfour\nfive\n';
    expect(excerptOf(site(3), reading(text))).toEqual({
      path: 'src/a.c',
      line: 3,
      firstLine: 1,
      lines: ['one', 'two', '    three', 'four'],
    });
    expect(excerptOf(site(1), reading(text))).toMatchObject({ firstLine: 1, lines: ['one', 'two'] });
    expect(excerptOf(site(5), reading(text))).toMatchObject({ firstLine: 3, lines: ['    three', 'four', 'five'] });
  });

  it('gives nothing of a file that has no such line, or that is not there', () => {
    expect(excerptOf(site(6), reading('one\ntwo\nthree\nfour\nfive\n'))).toBeNull();
    expect(excerptOf(site(1), reading(''))).toBeNull();
    expect(excerptOf({ ...site(1), file: 'b.c' }, reading('one'))).toBeNull();
    expect(excerptOf({ module: 'leaky', offset: '0x0' }, reading('one'))).toBeNull();
    expect(excerptOf(site(1), undefined)).toBeNull();
  });

  it('cuts long lines', () => {
    const [line] = excerptOf(site(1), reading('x'.repeat(200)))?.lines ?? [];
    expect(line).toBe(`${'x'.repeat(119)}…`);
  });
});
