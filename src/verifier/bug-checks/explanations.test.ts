import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bugCheckName } from '../../nt/bug-check-names.ts';
import { caseExplanations } from './case-explanations.ts';
import { dmaExplanations } from './dma-explanations.ts';
import { explanationOf } from './explanations.ts';
import { kernelExplanations } from './kernel-explanations.ts';
import { poolCallMeanings } from './pool-call-explanations.ts';
import { verifierRuleExplanations } from './verifier-rule-explanations.ts';

const source = fileURLToPath(new URL('../..', import.meta.url));
const files = (readdirSync(source, { recursive: true }) as string[])
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => readFileSync(join(source, path), 'utf8'));

/** Code and, where it stands there as a number, first parameter of each bug check that is raised. */
function raised(): string[] {
  const bugChecks = /new BugCheck\(\s*0x([0-9a-f]+),\s*\[(?:0x([0-9a-f]+)|(\d+))?/g;
  const violations = /\bviolation\(\s*0x([0-9a-f]+),/g;
  const found = files.flatMap((text) => [
    ...[...text.matchAll(bugChecks)].map(
      ([, code = '', hex, decimal]) => `${code}/${hex ?? Number(decimal ?? Number.NaN).toString(16)}`,
    ),
    ...[...text.matchAll(violations)].map(([, rule]) => `c4/${rule}`),
  ]);
  return [...new Set(found)].sort();
}

describe('the meanings of bug checks', () => {
  it.each(raised())('that are raised here are known: %s', (key) => {
    const [code = '', first = ''] = key.split('/');
    const explanation = explanationOf(code, first, '');
    expect(explanation?.about).toMatch(/\.$/);
    expect(bugCheckName(Number.parseInt(code, 16))).toBeDefined();
    if (code === 'c4' && first !== 'NaN') expect(explanation?.meanings[0]).not.toBe('the rule');
  });

  it('stand once each', () => {
    const keys = [
      ...caseExplanations,
      ...dmaExplanations,
      ...kernelExplanations,
      ...poolCallMeanings,
      ...verifierRuleExplanations,
    ].map(([key]) => key);
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });

  it('are found by code and parameters as they are written anywhere', () => {
    for (const [code, rule] of [
      ['0xC4', '0x62'],
      ['c4', '62'],
      ['0x000000C4', '0000000000000062'],
    ] as const) {
      expect(explanationOf(code, rule, '0x1')?.meanings[3]).toMatch(/^allocations that are left/);
    }
    expect(explanationOf('c4', 'fff', '')?.meanings[0]).toBe('the rule');
    expect(explanationOf('dead', '0', '0')).toBeUndefined();
  });
});
