import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { documents } from '../docs/generate.ts';
import { repository } from './end-to-end.ts';

it('documentation made from the code is up to date (npm run docs)', async () => {
  for (const [path, text] of await documents()) {
    expect(readFileSync(join(repository, path), 'utf8'), path).toBe(text);
  }
});

it('dependencies.md names every dependency', () => {
  const page = readFileSync(join(repository, 'docs/dependencies.md'), 'utf8');
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(repository, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>;
  const named = [...page.matchAll(/^\| (@?[a-z][\w/-]*) \| /gm)]
    .map((match) => match[1])
    .filter((name) => name !== 'package');
  expect(named.sort()).toEqual(Object.keys({ ...dependencies, ...devDependencies }).sort());
});
