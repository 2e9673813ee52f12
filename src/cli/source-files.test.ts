import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SourceFiles } from './source-files.ts';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'poolproof-sources-'));
  const files = ['out/beside.c', 'tree/drivers/a/main.c', 'tree/main.c', 'other/drivers/b/main.c', 'secret.txt'];
  for (const file of files) {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), `text of ${file}`);
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const find = (file: string, folders: readonly string[] = ['tree', 'other']): string | undefined =>
  new SourceFiles(
    [join(root, 'out/a.sys')],
    folders.map((folder) => join(root, folder)),
  ).find(file)?.text;

describe('a source file', () => {
  it('is found as it is, beside the driver, and by the longest end of its path', () => {
    expect(find(join(root, 'tree/drivers/a/main.c'), [])).toBe('text of tree/drivers/a/main.c');
    expect(find('d:\\build\\beside.c', [])).toBe('text of out/beside.c');
    expect(find('C:\\work\\drivers\\a\\main.c')).toBe('text of tree/drivers/a/main.c');
    expect(find('/sources/drivers/b/main.c')).toBe('text of other/drivers/b/main.c');
    expect(find('/sources/drivers/c/main.c')).toBe('text of tree/main.c');
    expect(find('x/../drivers/a/main.c')).toBe('text of tree/drivers/a/main.c');
    expect(find('main.c', [])).toBeUndefined();
  });

  it('is source text, in no folder above those that are searched', () => {
    expect(find(join(root, 'secret.txt'))).toBeUndefined();
    expect(find('../secret.txt')).toBeUndefined();
    expect(find('..\\tree\\main.c', [])).toBeUndefined();
    expect(find('c:\\')).toBeUndefined();
  });
});
