import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('..', import.meta.url));
const builder = join(repository, 'drivers/build.mjs');

interface Expectations {
  readonly drivers: readonly { readonly sys: string; readonly pdb: string | null }[];
}

const committed = JSON.parse(readFileSync(join(repository, 'drivers/toolchain.json'), 'utf8')) as Record<
  string,
  string
>;
const found = JSON.parse(execFileSync(process.execPath, [builder, '--toolchain'], { encoding: 'utf8' })) as Record<
  string,
  string | null
>;
const differences = Object.entries(committed)
  .filter(([name, version]) => found[name] !== version)
  .map(([name, version]) => `${name}: ${found[name] ?? 'missing'} instead of ${version}`);

describe('sample drivers', () => {
  let out = '';
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), 'poolproof-rebuild-'));
  });
  afterAll(() => rmSync(out, { recursive: true, force: true }));

  it('expected.json says what the sources declare', () => {
    execFileSync(process.execPath, [builder, '--expected', '--out', out]);
    const path = 'drivers/expected.json';
    expect(readFileSync(join(repository, path), 'utf8')).toBe(readFileSync(join(out, path), 'utf8'));
  });

  const why = differences.length === 0 ? '' : ` (skipped: ${differences.join('; ')})`;
  it.skipIf(differences.length > 0)(`rebuild to the committed bytes in another folder${why}`, () => {
    const elsewhere = join(out, 'a folder elsewhere');
    mkdirSync(elsewhere);
    execFileSync(process.execPath, [builder, '--out', out], { env: { ...process.env, TMPDIR: elsewhere } });
    const { drivers } = JSON.parse(readFileSync(join(repository, 'drivers/expected.json'), 'utf8')) as Expectations;
    const files = drivers.flatMap(({ sys, pdb }) => (pdb === null ? [sys] : [sys, pdb]));
    const changed = files.filter((file) => !readFileSync(join(repository, file)).equals(readFileSync(join(out, file))));
    expect(changed).toEqual([]);
  });
});
