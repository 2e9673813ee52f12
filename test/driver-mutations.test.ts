import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type KeptMutant,
  keep,
  mutantOf,
  mutantOfKept,
  runDriverMutations,
  runMutant,
  sampleOriginals,
} from '../fuzz/driver-mutations.ts';

const originals = sampleOriginals();
const corpus = JSON.parse(readFileSync('fuzz/corpus/driver-mutations.json', 'utf8')) as KeptMutant[];

describe('damaged drivers', () => {
  it('are run to a verdict or refused, in bounded time and memory', () => {
    const before = process.memoryUsage().rss;
    const { outcomes, slowestMs } = runDriverMutations(originals, 160, 2025);
    expect(process.memoryUsage().rss - before).toBeLessThan(1e9);
    // Two seconds on a machine of its own.
    expect(slowestMs).toBeLessThan(10_000);
    const verdicts = new Set([...outcomes.keys()].map((outcome) => outcome.split(' ')[0]));
    expect([...verdicts].sort()).toEqual(['clean', 'incomplete', 'refused', 'violation']);
    const count = (verdict: string): number =>
      [...outcomes].reduce((sum, [outcome, times]) => (outcome.startsWith(verdict) ? sum + times : sum), 0);
    // Most of them get as far as running.
    expect(count('refused')).toBeLessThan(80);
    expect(count('violation')).toBeGreaterThan(30);
  });

  it.each(corpus.map((kept) => [`${kept.driver}: ${kept.why}`, kept] as const))('kept: %s', (_title, kept) => {
    const started = performance.now();
    runMutant(mutantOfKept(originals, kept));
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('can be kept', () => {
    for (let number = 0; number < 50; number++) {
      const mutant = mutantOf(originals, 7, number);
      const again = mutantOfKept(originals, keep(mutant, ''));
      expect(Buffer.compare(again.bytes, mutant.bytes)).toBe(0);
      expect(again.original.steps).toEqual(mutant.original.steps);
    }
  });
});
