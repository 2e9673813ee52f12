/** The command that runs the same life again: a finding is worth little without it. */
import { defaultFlags } from '../verifier/core/options.ts';

/** Chosen without `--limit`: minutes of a busy loop. */
export const defaultInstructionLimit = 4e9;

export interface RunChoice {
  readonly path: string;
  readonly seed: number;
  readonly flags: number;
  readonly steps: readonly string[];
  readonly symbols: readonly string[];
  readonly limit: number;
}

/** For a POSIX shell. */
export function repeatCommand(choice: RunChoice): string {
  const words = ['poolproof', /^-/.test(choice.path) ? `./${choice.path}` : choice.path, '--seed', String(choice.seed)];
  if (choice.flags !== defaultFlags) words.push('--flags', `0x${choice.flags.toString(16)}`);
  if (choice.limit !== defaultInstructionLimit) words.push('--limit', String(choice.limit));
  for (const path of choice.symbols) words.push('--symbols', path);
  for (const step of choice.steps) words.push('--do', step);
  return words.map(shellQuoted).join(' ');
}

/** A word as a POSIX shell takes it literally. */
export function shellQuoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
