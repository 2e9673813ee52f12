/** The progress line as a terminal gets it: standard error is a pseudo-terminal of script(1). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from './end-to-end.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolproof-progress-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the terminal gets of a run that lasts some seconds. */
function onTerminal(more: string): { terminal: string; verdict: string } {
  const json = join(folder, 'report.json');
  const command = `"${process.execPath}" --import tsx src/cli/poolproof.ts test/drivers/spin/spin.sys --limit 2e10 --json "${json}" ${more} > /dev/null`;
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { cwd: repository, encoding: 'utf8' });
  const { verdict } = JSON.parse(readFileSync(json, 'utf8')) as { verdict: string };
  return { terminal: stdout, verdict };
}

describe.skipIf(!hasScript)('on a terminal', () => {
  it('a long run shows how far it is, and erases it', () => {
    const { terminal, verdict } = onTerminal('');
    expect(verdict).toBe('incomplete');
    const drawn = terminal.split('\r\u001b[K');
    expect(drawn.length).toBeGreaterThan(3);
    expect(drawn[1]).toMatch(/^DriverEntry {2}[\d.]+ s virtual {2}\d+ M instructions {2}0 blocks, 0 bytes$/);
    expect([drawn.at(0), drawn.at(-1)]).toEqual(['', '']);
  });

  it('--no-progress shows nothing', () => {
    expect(onTerminal('--no-progress')).toEqual({ terminal: '', verdict: 'incomplete' });
  });
});
