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

  it('expected.json says what the sources declare, and the table in README.md what the runs do', () => {
    execFileSync(process.execPath, [builder, '--expected', '--out', out]);
    for (const path of ['drivers/expected.json', 'drivers/README.md'])
      expect(readFileSync(join(repository, path), 'utf8')).toBe(readFileSync(join(out, path), 'utf8'));
  });

  it('build.mjs NAME touches nothing else in expected.json', () => {
    const part = join(out, 'part');
    execFileSync(process.execPath, [builder, '--expected', '--out', part, 'mailbox']);
    execFileSync(process.execPath, [builder, '--expected', '--out', part, 'clean-beacon']);
    const { drivers } = JSON.parse(readFileSync(join(part, 'drivers/expected.json'), 'utf8')) as Expectations;
    expect(drivers.map(({ sys }) => sys.split('/')[1])).toEqual(['clean-beacon', 'clean-mailbox', 'leaky-mailbox']);
  });

  const why = differences.length === 0 ? '' : ` (skipped: ${differences.join('; ')})`;
  it.skipIf(differences.length > 0)(
    `rebuild to the committed bytes in another folder${why}`,
    () => {
      const elsewhere = join(out, 'a folder elsewhere');
      mkdirSync(elsewhere);
      execFileSync(process.execPath, [builder, '--out', out], { env: { ...process.env, TMPDIR: elsewhere } });
      const { drivers } = JSON.parse(readFileSync(join(repository, 'drivers/expected.json'), 'utf8')) as Expectations;
      const files = drivers.flatMap(({ sys, pdb }) => (pdb === null ? [sys] : [sys, pdb]));
      const changed = files.filter(
        (file) => !readFileSync(join(repository, file)).equals(readFileSync(join(out, file))),
      );
      expect(changed).toEqual([]);
    },
    180_000,
  );
});
